"""Where data files and the shipped model lie: inside the installed package, or in the checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .errors import DataError

_PACKAGE = Path(__file__).resolve().parent


@cache
def _root() -> Path:
    packaged = _PACKAGE / "_resources"
    return packaged if packaged.is_dir() else _PACKAGE.parent


def data_path(*parts: str) -> Path:
    """Path of a file under ``data/``; raises ``DataError`` if it is not there."""
    path = _root().joinpath("data", *parts)
    if not path.exists():
        raise DataError(
            f"data file missing: {path}. Reinstall loanlint, or run from a complete checkout.",
            code="E_DATA_MISSING",
        )
    return path


def default_model_path() -> Path:
    """Directory of the shipped model."""
    return _root() / "models" / "default"


def read_table(*parts: str) -> list[list[str]]:
    """Rows of a tab-separated data file; blank lines and lines starting with ``#`` are skipped.

    A line ``# `` is a comment only when its first field is exactly ``#`` or starts with ``# ``.
    """
    text = data_path(*parts).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.split("\n") if line and not line.startswith("# ") and line != "#"]
