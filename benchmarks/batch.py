"""Whole files, against the plain pipeline: python benchmarks/batch.py TEXTS.jsonl [--ads ADS.jsonl] [--size MB] [--join N].

The plain pipeline is jieba.lcut, TfidfVectorizer (words and pairs) and LogisticRegression in one process, fitted on the corpus of
this repository. A file of the size asked for is drawn at random from the texts (field ``text``), with a share of advertisements;
it is then judged Parquet → Parquet and JSONL → JSONL with one and with two workers. On a sample of the same texts, in one process
and in memory: fastText on the words of jieba and rjieba (extra ``peers``), a keyword list, verdicts as columns; and one text a call
to a service of our own (extra ``service``). The plain rate is measured before and after each of them, since machines are shared; a
second column counts processor time, which other programs disturb less. ``--join`` makes longer texts of N drawn ones (advertisements
stay as they are). Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from peers import (
    CONNECTIONS,
    REPOSITORY,
    Method,
    corpus,
    fasttext_methods,
    keyword_list,
    naive,
    own_service,
    read,
    service_installed,
)

from pipeline.batch.scoring import compiled_available, load_scorer

SAMPLE = 8_000
SECONDS = 3.0  # that a peer is measured for, and the plain pipeline each time
ORDINARY = 20_000  # texts that fastText is shown beside the corpus


def texts_of(path: Path) -> list[str]:
    return [row["text"] for row in read(path) if row["text"]]


def drawn(texts: list[str], ads: list[str], share: float, size: int, join: int = 1) -> Iterator[str]:
    """Texts for ``size`` bytes of JSON lines: of ``join`` texts each, or an advertisement."""
    rng = random.Random(7)
    written = 0
    while written < size:
        text = rng.choice(ads) if ads and rng.random() < share else ",".join(rng.choices(texts, k=join))
        written += len(text.encode()) + 40
        yield text


def make_files(folder: Path, texts: Iterator[str]) -> int:
    """``in.jsonl`` and ``in.parquet``; returns the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    count = 0
    held: list[str] = []

    def flush() -> None:
        nonlocal count
        ids = range(count, count + len(held))
        lines.writelines(
            json.dumps({"id": i, "text": t}, ensure_ascii=False) + "\n" for i, t in zip(ids, held, strict=True)
        )
        table.write_table(pa.table([list(ids), held], schema=schema), row_group_size=1 << 20)
        count += len(held)
        held.clear()

    with (
        (folder / "in.jsonl").open("w", encoding="utf-8") as lines,
        pq.ParquetWriter(folder / "in.parquet", schema) as table,
    ):
        for text in texts:
            held.append(text)
            if len(held) == 1 << 20:
                flush()
        flush()
    return count


class Result(NamedTuple):
    """Rows a second of the clock and of the processor; seconds and MB of the largest process, where that is told."""

    clock: float
    busy: float
    seconds: float | None = None
    memory: float | None = None


def timed(method: Method, sample: list[str], seconds: float = 0.0) -> Result:
    """A method in this process, over a sample again and again."""
    count = 0
    start, busy = time.perf_counter(), time.process_time()
    while not count or time.perf_counter() - start < seconds:
        method(sample)
        count += len(sample)
    return Result(count / (time.perf_counter() - start), count / (time.process_time() - busy))


class Table:
    """Lines of the table, each with the plain pipeline measured before and after."""

    def __init__(self, plain: Callable[[], Result]) -> None:
        self._plain = plain
        print(
            "| run | seconds | rows/s | plain rows/s | × plain | rows per CPU second | × plain | peak MB of a process |"
        )
        print("|---|---|---|---|---|---|---|---|")

    def add(self, name: str, run: Callable[[], Result]) -> Result:
        before = self._plain()
        found = run()
        after = self._plain()
        clock, busy = statistics.mean((before.clock, after.clock)), statistics.mean((before.busy, after.busy))
        seconds = f"{found.seconds:.1f}" if found.seconds is not None else ""
        memory = f"{found.memory:.0f}" if found.memory is not None else ""
        print(
            f"| {name} | {seconds} | {found.clock:,.0f} | {clock:,.0f} | {found.clock / clock:.1f} | {found.busy:,.0f} |"
            f" {found.busy / busy:.1f} | {memory} |",
            flush=True,
        )
        return found

    def note(self, name: str, said: str) -> None:
        print(f"| {name} | | {said} | | | | | |", flush=True)


def make_pages(path: Path, texts: Iterator[str], size: int) -> int:
    """JSON lines with pages of 40 texts as HTML in ``html``; returns their number."""
    count = written = 0
    with path.open("w", encoding="utf-8") as lines:
        while written < size:
            title, *rest = (html.escape(text) for text in islice(texts, 40))
            items = "".join(
                f'<li class="item"><a href="/p/{k}.html">{text}</a></li>\n' for k, text in enumerate(rest[:15])
            )
            body = "".join(f'<p style="margin:0 0 1em">{text}</p>\n' for text in rest[15:])
            page = f"<html><head><title>{title}</title><script>var a = {{}};</script></head><body><ul>{items}</ul>{body}</body></html>"
            written += lines.write(json.dumps({"html": page}, ensure_ascii=False) + "\n")
            count += 1
    return count


def judged(source: Path, out: Path, workers: int, *options: str) -> tuple[float, float, float]:
    """Seconds of the clock and of the processor, start of Python and loading of the model included, and MB of the largest process."""
    command = [sys.executable, "-m", "pipeline.cli", "batch", str(source), "--out", str(out), "--quiet", *options]
    start, busy = time.perf_counter(), processor_seconds()
    process = subprocess.Popen([*command, "--workers", str(workers)], cwd=REPOSITORY)
    memory = 0
    while process.poll() is None:
        memory = max([memory, *map(peak_memory, family(process.pid))])
        time.sleep(0.1)
    seconds = time.perf_counter() - start
    if process.returncode not in (0, 1):
        raise SystemExit("the run failed")
    out.unlink()
    return seconds, processor_seconds() - busy, memory / 1024


def processor_seconds() -> float:
    """Of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def family(pid: int) -> list[int]:
    """A process and its children."""
    try:
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except OSError:
        return []


def peak_memory(pid: int) -> int:
    """Resident KB at most so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return max((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), default=0)


def files(table: Table, folder: Path, rows: int, rounds: int) -> None:
    """Whole files, with one and with two workers."""

    def run(kind: str, workers: int) -> Result:
        runs = [judged(folder / f"in.{kind}", folder / f"out.{kind}", workers) for _ in range(rounds)]
        seconds, busy = (statistics.median(run[k] for run in runs) for k in (0, 1))
        return Result(rows / seconds, rows / busy, seconds, max(run[2] for run in runs))

    for kind in ("parquet", "jsonl"):
        one = table.add(f"{kind} → {kind}, 1 worker", partial(run, kind, 1))
        two = table.add(f"{kind} → {kind}, 2 workers", partial(run, kind, 2))
        table.note(f"{kind}: 2 workers against 1", f"{two.clock / one.clock:.2f} ×")


def peers(table: Table, texts: list[str], sample: list[str]) -> None:
    """The same texts by other means, in one process."""
    if compiled_available():
        from pipeline.compiled import load_compiled

        table.add("verdicts as columns, in memory", partial(timed, load_compiled().score, sample, SECONDS))
    else:
        table.note("verdicts as columns, in memory", "left out: needs the extra `fast`")
    table.add("keyword list in Aho–Corasick", partial(timed, keyword_list(), sample, SECONDS))
    known, labels = corpus()
    ordinary = texts[:ORDINARY]
    methods = fasttext_methods(known + ordinary, labels + [0] * len(ordinary))
    for name, method in methods.items():
        table.add(name, partial(timed, method, sample, SECONDS))
    if not methods:
        table.note("fastText", "left out: needs the extra `peers`")
    if not service_installed():
        table.note("one text a call to our own service", "left out: needs the extra `service`")
        return
    with own_service(sample) as measure:
        measure(1.0)
        table.add(f"one text a call to our own service, {CONNECTIONS} connections", lambda: Result(*measure(SECONDS)))


def pages(table: Table, folder: Path, texts: Iterator[str], size: int) -> None:
    """Pages of HTML, with one worker; the plain pipeline knows no pages."""
    count = make_pages(folder / "pages.jsonl", texts, size)
    mean = (folder / "pages.jsonl").stat().st_size / count / 1000
    clock, busy, memory = judged(folder / "pages.jsonl", folder / "out.jsonl", 1, "--html-column", "html")
    print(
        f"| {count:,} pages of {mean:.1f} KB HTML, 1 worker | {clock:.1f} | {count / clock:,.0f} | | |"
        f" {count / busy:,.0f} | | {memory:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="JSONL (also .gz) of ordinary text")
    parser.add_argument("--ads", type=Path, help="JSONL of loan advertisements to mix in")
    parser.add_argument("--share", type=float, default=0.01, help="share of advertisements")
    parser.add_argument("--size", type=int, default=1000, help="MB of JSONL to make")
    parser.add_argument("--join", type=int, default=1, metavar="N", help="make each text of N drawn ones")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=("files", "peers", "pages"), help="a part of the table")
    parser.add_argument("--folder", type=Path, help="where to put the files, a temporary folder by default")
    options: Any = parser.parse_args()
    texts = texts_of(options.texts)
    ads = texts_of(options.ads) if options.ads else []

    def draw(size: int = sys.maxsize) -> Iterator[str]:
        return drawn(texts, ads, options.share, size, options.join)

    wanted = [options.only] if options.only else ["files", "peers", "pages"]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        sample = list(islice(draw(), SAMPLE))
        length = statistics.mean(map(len, sample))
        print(
            f"texts of {length:.0f} characters, {statistics.mean(len(t.encode()) for t in sample):.0f} bytes on average"
        )
        plain = naive(*corpus())
        if "files" in wanted:
            rows = make_files(folder, draw(options.size << 20))
            sizes = [(folder / f"in.{kind}").stat().st_size / 1e6 for kind in ("jsonl", "parquet")]
            print(f"{rows:,} rows, {sizes[0]:,.0f} MB as JSONL, {sizes[1]:,.0f} MB as Parquet")
        print()
        table = Table(partial(timed, plain, sample, SECONDS))
        load_scorer()  # what is compiled on first use is compiled now
        if "files" in wanted:
            files(table, folder, rows, options.rounds)
        if "peers" in wanted:
            peers(table, texts, sample)
        if "pages" in wanted:
            pages(table, folder, draw(), options.size << 17)


if __name__ == "__main__":
    main()
