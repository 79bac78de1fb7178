"""Options shared by commands, and reading of their inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import InputError, UsageError, reading

if TYPE_CHECKING:
    from ..classifier import CheckSettings

F = TypeVar("F", bound=Callable[..., Any])

MAX_TEXT = 2_000_000
MAX_INPUT = 256 * 1024 * 1024
OPERATING_POINTS = ("high_precision", "balanced", "high_recall")
FAIL_ON = ("borderline", "misleading", "illegal")


model_option = click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path),
    help="模型目录,默认内置模型。Model directory; the shipped one by default.",
)
corpus_option = click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path),
    help="语料目录,默认 data/corpus。Corpus folder; data/corpus by default.",
)


def deciding(function: F) -> F:
    """The options that say how to decide: ``--model --operating-point --fail-on --date``."""
    date_option = click.option(
        "--date",
        "on",
        metavar="YYYY-MM-DD",
        help="按该日有效的法规给出引用,默认今天。Cite the law in force on this day.",
    )
    return thresholds(date_option(function))


def thresholds(function: F) -> F:
    """The options ``--model --operating-point --fail-on``."""
    for option in (
        click.option(
            "--fail-on",
            type=click.Choice(FAIL_ON),
            default="misleading",
            show_default=True,
            help="达到该级别即视为命中(退出码 1)。Severity from which a text is flagged.",
        ),
        click.option(
            "--operating-point",
            type=click.Choice(OPERATING_POINTS),
            default="balanced",
            show_default=True,
            help="工作点:高精度、均衡、高召回。Which thresholds to use.",
        ),
        model_option,
    ):
        function = option(function)
    return function


def check_settings(operating_point: str, fail_on: str, on: str | None, explain: bool = True) -> CheckSettings:
    """The settings that the options ask for."""
    from ..classifier import CheckSettings

    try:
        day = date.fromisoformat(on) if on else None
    except ValueError as error:
        raise UsageError(f"--date {on!r} is not a day; write it as 2026-09-30") from error
    return CheckSettings(operating_point=operating_point, fail_on=fail_on, date=day, explain=explain)


def read_bytes(name: str) -> bytes:
    """Content of a file, or of standard input for ``-``."""
    with reading(name):
        if name == "-":
            data = sys.stdin.buffer.read(MAX_INPUT + 1)
        else:
            path = Path(name)
            if path.is_dir():
                raise InputError(f"{name}: is a directory. Name the files in it.", code="E_INPUT_DIRECTORY")
            with path.open("rb") as file:
                data = file.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise InputError(f"{name}: more than {MAX_INPUT // 2**20} MB. Split the file.", code="E_INPUT_SIZE")
    return data


def check_text(text: str, where: str) -> str:
    """``text`` if it can be judged; raises ``InputError`` with what is wrong and where."""
    if not text.strip():
        raise InputError(f"{where}: the text is empty. Give some text.", code="E_INPUT_EMPTY")
    if "\x00" in text:
        raise InputError(f"{where}: holds NUL bytes, so this is no text. Remove them.", code="E_INPUT_BINARY")
    if len(text) > MAX_TEXT:
        raise InputError(
            f"{where}: {len(text):,} characters in one text, the limit is {MAX_TEXT:,}. "
            "Put one text on a line, or use `loanlint scan` for a page.",
            code="E_INPUT_SIZE",
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: lone surrogate at character {error.start}. Decode the text as UTF-8 or GB18030 first.",
            code="E_INPUT_SURROGATE",
        ) from error
    return text
