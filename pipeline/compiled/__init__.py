"""The compiled scorer: the verdicts of the plain one, many times faster. Needs the extra ``fast`` (numba, numpy, jieba).

>>> from pipeline.compiled import load_compiled
>>> load_compiled().score(["不看征信的口子,有身份证就能下款"]).severity
array([2], dtype=int8)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classifier import CompiledClassifier, load_compiled
    from .columns import Columns, Evasions, EvidenceSpans, Strings

__all__ = ["Columns", "CompiledClassifier", "Evasions", "EvidenceSpans", "Strings", "load_compiled"]

_HOME = {"CompiledClassifier": "classifier", "load_compiled": "classifier"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from ..errors import UsageError

    try:
        return getattr(import_module(f"{__name__}.{_HOME.get(name, 'columns')}"), name)
    except ModuleNotFoundError as error:
        if error.name not in ("numba", "numpy"):
            raise
        raise UsageError(
            f"the compiled scorer needs {error.name}, which is not installed. Run: pip install 'loanlint[fast]'",
            code="E_USAGE_EXTRA",
        ) from error
