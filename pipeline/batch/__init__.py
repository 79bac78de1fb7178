"""Batch scoring: files of scraped text in, the same rows with verdict columns out. Needs the extra ``batch``.

>>> from pathlib import Path
>>> from pipeline.batch import BatchSettings, run_batch
>>> summary = run_batch(BatchSettings(inputs=("crawl.jsonl",), out="judged.parquet"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import run_batch
    from .scoring import RowVerdict, Scored, Scorer, load_scorer
    from .settings import BatchSettings
    from .summary import Summary
    from .table import score_batch, verdict_schema

_HOME = {
    "BatchSettings": "settings",
    "RowVerdict": "scoring",
    "Scored": "scoring",
    "Scorer": "scoring",
    "Summary": "summary",
    "load_scorer": "scoring",
    "run_batch": "run",
    "score_batch": "table",
    "verdict_schema": "table",
}

__all__ = [
    "BatchSettings",
    "RowVerdict",
    "Scored",
    "Scorer",
    "Summary",
    "load_scorer",
    "run_batch",
    "score_batch",
    "verdict_schema",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
