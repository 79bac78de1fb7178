"""``loanlint scan``: pages in, a verdict per segment and a page summary out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import InputError, LoanlintError
from . import EXIT_CLEAN, EXIT_ERROR, EXIT_FLAGGED
from .options import check_settings, deciding, read_bytes

if TYPE_CHECKING:
    from ..classifier import CheckSettings, Classifier
    from ..pages.scan import PageReport

FORMATS = ("human", "text", "json", "jsonl")
MAX_SEGMENT = 2_000_000


@click.command(name="scan")
@click.argument("pages", nargs=-1, required=True, metavar="PAGE… | -")
@click.option(
    "--format",
    "output",
    type=click.Choice(FORMATS),
    help="输出格式;终端默认 human,否则 text。Output format; human on a terminal, else text.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="列出证据、规避写法与法规依据。Show evidence, undone disguises and legal references.",
)
@click.option("--all", "everything", is_flag=True, help="也列出未命中的片段。List segments that are not flagged, too.")
@deciding
def command(
    pages: tuple[str, ...],
    output: str | None,
    explain: bool,
    everything: bool,
    model_path: Path | None,
    operating_point: str,
    fail_on: str,
    on: str | None,
) -> int:
    """检查网页(HTML 或纯文本),逐段给出结论。Judge pages (HTML or plain text) segment by segment.

    Encodings (UTF-8, GB18030, GBK, Big5) are detected. A page that cannot be read is reported and the others are
    still scanned; the exit status is then 2.
    """
    settings = check_settings(operating_point, fail_on, on)
    from ..classifier import load

    classifier = load(model_path)
    if output is None:
        output = "human" if sys.stdout.isatty() else "text"
    reports = []
    failed = False
    for page in pages:
        try:
            report = scan_file(page, classifier, settings)
        except LoanlintError as error:
            print(f"loanlint: {error}", file=sys.stderr)
            failed = True
            continue
        reports.append(report)
        if output != "json":
            _print(report, output, explain, everything)
    if output == "json":
        from .output import write

        rows = [r.to_dict() for r in reports]
        if rows:
            write(json.dumps(rows[0] if len(pages) == 1 else rows, ensure_ascii=False, indent=2))
    if failed:
        return EXIT_ERROR
    return EXIT_FLAGGED if any(r.summary.flagged for r in reports) else EXIT_CLEAN


def scan_file(name: str, classifier: Classifier, settings: CheckSettings) -> PageReport:
    """Read, decode and scan one page; raises ``InputError``."""
    from ..pages.encoding import decode
    from ..pages.scan import scan
    from ..pages.segments import segments

    shown = "<stdin>" if name == "-" else name
    data = read_bytes(name)
    if not data.strip():
        raise InputError(f"{shown}: the page is empty. Give a page with text.", code="E_INPUT_EMPTY")
    text, encoding = decode(data, shown)
    parts = segments(text)
    if not parts:
        raise InputError(f"{shown}: no text in this page. Is it drawn by a script?", code="E_INPUT_EMPTY")
    longest = max(len(p.text) for p in parts)
    if longest > MAX_SEGMENT:
        raise InputError(
            f"{shown}: {longest:,} characters without a break, the limit is {MAX_SEGMENT:,}; this is no page. "
            "Split the text into lines.",
            code="E_INPUT_SIZE",
        )
    return scan(text, classifier, settings, name=shown, encoding=encoding)


def _print(report: PageReport, output: str, explain: bool, everything: bool) -> None:
    from .output import explanation, one_line, write

    if output == "jsonl":
        rows = report.to_dict()
        for row in rows["segments"]:
            write(json.dumps({"page": report.name, **row}, ensure_ascii=False))
        return
    shown = [v for v in report.segments if everything or v.severity > 0]
    if output == "text":
        for verdict in shown:
            place = verdict.segment
            where = f"{report.name}:{place.path} ({place.role})" if place else report.name
            write(one_line(verdict, where))
            if explain:
                for line in explanation(verdict):
                    write("    " + line)
        write(summary_line(report))
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from .output import headline, highlighted

    console = Console(highlight=False)
    console.rule(f"{report.name} ({report.encoding})")
    for verdict in shown:
        head = headline(verdict)
        if verdict.segment:
            head.append(f"  {verdict.segment.role} · {verdict.segment.path}", style="dim")
        console.print(head)
        console.print(Padding(highlighted(verdict), (0, 2)))
        if explain:
            for reason in explanation(verdict):
                console.print(Padding(Text(reason, style="dim"), (0, 4)))
        console.print()
    console.print(summary_line(report), style="bold")


def summary_line(report: PageReport) -> str:
    """The page in one line, Chinese and English."""
    s = report.summary
    return (
        f"{report.name}: {s.segments} 段,命中 {s.flagged} 段(正文 {s.article.label},侧栏推广 {s.promo_exposure})"
        f" · {s.segments} segments, {s.flagged} flagged, article {s.article.label} ({s.article.stance}),"
        f" promo exposure {s.promo_exposure}" + (f", {', '.join(s.signals)}" if s.signals else "")
    )
