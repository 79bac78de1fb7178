"""``loanlint batch``: files of scraped text in, the same rows with verdict columns out."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from . import EXIT_CLEAN, EXIT_ERROR, EXIT_FLAGGED, require
from .notices import show_compilation
from .options import check_settings, thresholds

if TYPE_CHECKING:
    from ..batch.run import Progress
    from ..batch.summary import Summary

_LINE_SECONDS = 10.0


@click.command(name="batch")
@click.argument("inputs", nargs=-1, required=True, metavar="IN… | -")
@click.option(
    "--out",
    default="-",
    show_default=True,
    metavar="FILE",
    help="输出文件(.jsonl、.csv、.parquet),- 为标准输出。Output file, - for standard output.",
)
@click.option(
    "--out-format",
    type=click.Choice(("jsonl", "csv", "parquet")),
    help="输出格式,默认看文件名。Output format; as the name of the output says by default.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="进程数,默认全部核心;不影响结果。Processes, all cores by default; the result is the same.",
)
@click.option("--text-column", metavar="NAME", help="文本所在的列,默认 text。Column with the text, text by default.")
@click.option("--html-column", metavar="NAME", help="网页源码所在的列。Column with the HTML of a page.")
@click.option(
    "--id-column", metavar="NAME", help="标识列,用于报告。Column that names a row in the report; id by default."
)
@click.option(
    "--url-column", metavar="NAME", help="网址列,用于按域名汇总。Column for counts by domain; url by default."
)
@click.option(
    "--prefix", default="", metavar="TEXT", help="结论列名的前缀。Put before the names of the verdict columns."
)
@click.option("--only-flagged", is_flag=True, help="只输出命中的行。Write flagged rows only.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="只读前 N 行。Read the first N rows only.")
@click.option("--resume", is_flag=True, help="接着中断的运行继续。Go on with an interrupted run.")
@click.option("--report", metavar="FILE", help="另写一份 HTML 报告。Write a report, one HTML file.")
@click.option("--quiet", is_flag=True, help="不显示进度与汇总。Show neither progress nor summary.")
@click.option(
    "--engine",
    type=click.Choice(("local", "spark")),
    default="local",
    show_default=True,
    help="在本机还是在 Spark 上运行。Run here, or on Spark (Parquet in, Parquet out).",
)
@click.option(
    "--partition-by",
    multiple=True,
    metavar="COLUMN",
    help="Spark 输出按此列分区。Partition the output by this column (Spark).",
)
@thresholds
def command(
    inputs: tuple[str, ...],
    out: str,
    out_format: str | None,
    workers: int | None,
    text_column: str | None,
    html_column: str | None,
    id_column: str | None,
    url_column: str | None,
    prefix: str,
    only_flagged: bool,
    limit: int | None,
    resume: bool,
    report: str | None,
    quiet: bool,
    engine: str,
    partition_by: tuple[str, ...],
    model_path: Path | None,
    operating_point: str,
    fail_on: str,
) -> int:
    """批量检查抓取的文本:原样保留每一行,加上结论列。Judge files of scraped text: every row comes back with verdict columns.

    IN: JSONL, CSV, TSV (also .gz, .zst), Parquet, WARC and WET, folders of these or of .html and .txt files, or - for JSONL
    on standard input. What cannot be read goes to OUT.rejects.jsonl, the counts to OUT.summary.json. Exit status: 0 clean,
    1 rows flagged, 2 rows rejected or error.
    """
    require("batch", "pyarrow")
    require("batch", "msgspec")
    if report is not None:
        require("report", "matplotlib")
    # Nothing here multiplies matrices, and numpy's threads for that spin for a while in every process that starts.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ..batch.settings import BatchSettings

    settings = BatchSettings(
        inputs=inputs,
        out=out,
        out_format="parquet" if engine == "spark" else out_format,
        text_column=text_column,
        html_column=html_column,
        id_column=id_column,
        url_column=url_column,
        prefix=prefix,
        only_flagged=only_flagged,
        limit=limit,
        workers=workers or _cores(),
        resume=resume,
        report=report,
        model=model_path,
        check=check_settings(operating_point, fail_on, None),
    )
    if engine == "spark":
        require("spark", "pyspark")
        from ..batch.spark import run_on_spark

        summary = run_on_spark(settings, partition_by)
    else:
        if partition_by:
            raise UsageError("--partition-by goes with --engine spark.")
        from ..batch.run import run_batch

        prepare = None if quiet else show_compilation
        if prepare is not None:
            prepare()
        with _interruptible(settings.out), _shown(quiet) as show:
            summary = run_batch(settings, show, prepare)
    if not quiet:
        for line in summary_lines(summary, settings.out):
            click.echo(line, err=True)
    if summary.rejected:
        return EXIT_ERROR
    return EXIT_FLAGGED if summary.flagged else EXIT_CLEAN


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _interruptible(out: str) -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: what is done stays done."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        if out != "-":
            click.echo("loanlint: 已保存进度,用 --resume 继续 progress is kept; go on with --resume", err=True)
        raise click.Abort from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Progress: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines()


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]:,} 行 rows"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        TextColumn("命中 flagged {task.fields[flagged]:,} · 弃 rejected {task.fields[rejected]:,}"),
    )
    begun = time.monotonic()
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("batch", total=None, rows=0, rate=0.0, flagged=0, rejected=0)

        def show(p: Progress) -> None:
            rate = p.rows / max(1e-9, time.monotonic() - begun)
            bar.update(
                task,
                total=p.bytes_total or None,
                completed=p.bytes_done,
                rows=p.rows,
                rate=rate,
                flagged=p.flagged,
                rejected=p.rejected,
            )

        yield show


class _Lines:
    """Progress as plain lines, some seconds apart."""

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()

    def __call__(self, p: Progress) -> None:
        now = time.monotonic()
        if now - self._last < _LINE_SECONDS:
            return
        self._last = now
        spent = now - self._begun
        left = ""
        if p.bytes_total and p.bytes_done:
            left = f", {spent * (p.bytes_total - p.bytes_done) / p.bytes_done:.0f} s left"
        share = f"{100 * p.bytes_done / p.bytes_total:.0f} %, " if p.bytes_total else ""
        print(
            f"loanlint: {share}{p.rows:,} rows, {p.rows / spent:,.0f}/s{left}, {p.flagged:,} flagged, {p.rejected:,} rejected",
            file=sys.stderr,
        )


def summary_lines(summary: Summary, out: str) -> list[str]:
    """The run in a few lines, Chinese and English."""
    from ..batch.summary import top
    from ..taxonomy import SEVERITY_LABELS

    counts = "  ".join(f"{label} {summary.by_severity.get(label, 0):,}" for label in SEVERITY_LABELS)
    lines = [
        f"读入 read {summary.read:,} · 输出 written {summary.written:,} · 命中 flagged {summary.flagged:,}"
        f" · 弃 rejected {summary.rejected:,}",
        f"  {counts}",
    ]
    if summary.by_code:
        lines.append("  " + "  ".join(f"{name} {n:,}" for name, n in top(summary.by_code, 6)))
    domains = [(name, d) for name, d in summary.worst_domains(5) if d.flagged]
    if domains:
        lines.append("  " + "  ".join(f"{name} {d.flagged:,}/{d.rows:,}" for name, d in domains))
    if summary.by_reason:
        reasons = "  ".join(f"{name} {n:,}" for name, n in top(summary.by_reason, 6))
        where = f" → {out}.rejects.jsonl" if out != "-" else ""
        lines.append(f"  弃 rejected: {reasons}{where}")
    if summary.suspect:
        lines.append(f"  存疑 suspect: {summary.suspect:,} 行来自损坏的压缩段 lines come from a damaged member")
    return lines
