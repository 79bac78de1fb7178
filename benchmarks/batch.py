"""Whole files, against the plain pipeline: python benchmarks/batch.py TEXTS.jsonl [--ads ADS.jsonl] [--size MB].

The plain pipeline is jieba.lcut, TfidfVectorizer (words and pairs) and LogisticRegression in one process, fitted on the corpus of
this repository. A file of the size asked for is drawn at random from the texts (field ``text``), with a share of advertisements;
it is then judged Parquet → Parquet and JSONL → JSONL with one and with two workers. The plain rate is measured before and after
each of them, since machines are shared; a second table column counts processor time, which other programs disturb less. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLE = 8_000


def texts_of(path: Path) -> list[str]:
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8").splitlines()
    return [text for line in lines if (text := json.loads(line)["text"])]


def drawn(texts: list[str], ads: list[str], share: float, size: int) -> Iterator[str]:
    rng = random.Random(7)
    written = 0
    while written < size:
        text = rng.choice(ads if ads and rng.random() < share else texts)
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


class Plain:
    """The plain pipeline."""

    def __init__(self, texts: list[str]) -> None:
        import jieba
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        jieba.setLogLevel(60)
        jieba.initialize()
        rows = [
            json.loads(line)
            for path in sorted((REPOSITORY / "data" / "corpus").glob("*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        vectors = TfidfVectorizer(tokenizer=jieba.lcut, token_pattern=None, ngram_range=(1, 2), lowercase=False)
        self._model = make_pipeline(vectors, LogisticRegression(max_iter=500))
        self._model.fit([row["text"] for row in rows], [row["severity"] >= 2 for row in rows])
        self._sample = texts

    def rates(self) -> tuple[float, float]:
        """Texts a second of the clock, and of the processor."""
        start, busy = time.perf_counter(), time.process_time()
        self._model.predict_proba(self._sample)
        spent, busy = time.perf_counter() - start, time.process_time() - busy
        return len(self._sample) / spent, len(self._sample) / busy


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help="JSONL (also .gz) of ordinary text")
    parser.add_argument("--ads", type=Path, help="JSONL of loan advertisements to mix in")
    parser.add_argument("--share", type=float, default=0.01, help="share of advertisements")
    parser.add_argument("--size", type=int, default=1000, help="MB of JSONL to make")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to put the files, a temporary folder by default")
    options: Any = parser.parse_args()
    texts = texts_of(options.texts)
    ads = texts_of(options.ads) if options.ads else []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        rows = make_files(folder, drawn(texts, ads, options.share, options.size << 20))
        plain = Plain(list(islice(drawn(texts, ads, options.share, sys.maxsize), SAMPLE)))
        size = (folder / "in.jsonl").stat().st_size / 1e6
        print(
            f"{rows:,} rows, {size:,.0f} MB as JSONL, {(folder / 'in.parquet').stat().st_size / 1e6:,.0f} MB as Parquet\n"
        )
        print(
            "| run | seconds | rows/s | plain rows/s | × plain | rows per CPU second | × plain | peak MB of a process |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for kind in ("parquet", "jsonl"):
            spent: dict[int, float] = {}
            for workers in (1, 2):
                before = plain.rates()
                runs = [judged(folder / f"in.{kind}", folder / f"out.{kind}", workers) for _ in range(options.rounds)]
                wall, busy = (statistics.mean(pair) for pair in zip(before, plain.rates(), strict=True))
                spent[workers] = statistics.median(run[0] for run in runs)
                fast, sparing = rows / spent[workers], rows / statistics.median(run[1] for run in runs)
                print(
                    f"| {kind} → {kind}, {workers} worker{'s' * (workers > 1)} | {spent[workers]:.1f} | {fast:,.0f} | {wall:,.0f} |"
                    f" {fast / wall:.0f} | {sparing:,.0f} | {sparing / busy:.0f} | {max(run[2] for run in runs):.0f} |",
                    flush=True,
                )
            print(f"| 2 workers against 1 | | {spent[1] / spent[2]:.2f} × | | | | | |")
        count = make_pages(folder / "pages.jsonl", drawn(texts, ads, options.share, sys.maxsize), options.size << 17)
        mean = (folder / "pages.jsonl").stat().st_size / count
        clock, busy, memory = judged(folder / "pages.jsonl", folder / "out.jsonl", 1, "--html-column", "html")
        print(
            f"| {count:,} pages of {mean / 1000:.1f} KB HTML, 1 worker | {clock:.1f} | {count / clock:,.0f} | | |"
            f" {count / busy:,.0f} | | {memory:.0f} |"
        )


if __name__ == "__main__":
    main()
