"""``loanlint check``: texts in, verdicts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import InputError, UsageError
from . import EXIT_CLEAN, EXIT_FLAGGED
from .options import check_settings, check_text, deciding, read_bytes

if TYPE_CHECKING:
    from .output import Item

FORMATS = ("human", "text", "json", "jsonl", "github", "sarif")


@click.command(name="check")
@click.argument("texts", nargs=-1, metavar="TEXT…")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="FILE",
    help="每行一条文本的文件,- 表示标准输入。File with one text a line, - for standard input.",
)
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
@click.option(
    "--channel",
    metavar="NAME",
    help="文本来源,ugc_question 表示个人提问。Where the texts come from; ugc_question marks people's questions.",
)
@deciding
def command(
    texts: tuple[str, ...],
    files: tuple[str, ...],
    output: str | None,
    explain: bool,
    channel: str | None,
    model_path: Path | None,
    operating_point: str,
    fail_on: str,
    on: str | None,
) -> int:
    """逐条判断文本。Judge texts, one verdict each.

    TEXT is a text itself; a single - reads standard input, one text a line.
    """
    items = _collect(texts, files)
    settings = check_settings(operating_point, fail_on, on)
    from ..classifier import load
    from .output import emit

    classifier = load(model_path)
    flagged = emit(
        ((item, classifier.check(item.text, settings, id=item.id, channel=channel)) for item in items),
        output,
        explain,
    )
    return EXIT_FLAGGED if flagged else EXIT_CLEAN


def _collect(texts: tuple[str, ...], files: tuple[str, ...]) -> list[Item]:
    from .output import Item

    items: list[Item] = []
    sources = list(files)
    for number, text in enumerate(texts, 1):
        if text == "-":
            sources.append("-")
            continue
        items.append(Item(str(number), check_text(text, f"text {number}"), "text", number))
    for source in sources:
        items.extend(_lines(source))
    if not items:
        if not sources:
            raise UsageError("no text given. Give TEXT, -f FILE, or - for standard input.")
        raise InputError(f"{sources[0]}: no text in it. Put one text on a line.", code="E_INPUT_EMPTY")
    return items


def _lines(source: str) -> list[Item]:
    from ..pages.encoding import decode
    from .output import Item

    name = "<stdin>" if source == "-" else source
    data = read_bytes(source)
    if not data.strip():
        raise InputError(f"{name}: empty. Put one text on a line.", code="E_INPUT_EMPTY")
    text, _ = decode(data, name)
    return [
        Item(f"{name}:{number}", check_text(line.rstrip("\r"), f"{name}:{number}"), name, number)
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]
