"""loanlint: flags misleading loan advertising in Chinese text and says why.

>>> from pipeline import load
>>> load().check("不看征信的口子,有身份证就能下款").label
'misleading'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .classifier import CheckSettings, Classifier, load
    from .errors import DataError, InputError, LoanlintError, ModelError, UsageError
    from .pages.scan import PageReport, scan
    from .verdict import CodeScore, EvasionNote, Evidence, LegalNote, Segment, Verdict

# Names are loaded when first asked for: `import pipeline` itself stays cheap.
_HOME = {
    "CheckSettings": "classifier",
    "Classifier": "classifier",
    "CodeScore": "verdict",
    "DataError": "errors",
    "EvasionNote": "verdict",
    "Evidence": "verdict",
    "InputError": "errors",
    "LegalNote": "verdict",
    "LoanlintError": "errors",
    "ModelError": "errors",
    "PageReport": "pages.scan",
    "Segment": "verdict",
    "UsageError": "errors",
    "Verdict": "verdict",
    "load": "classifier",
    "scan": "pages.scan",
}

__all__ = [
    "CheckSettings",
    "Classifier",
    "CodeScore",
    "DataError",
    "EvasionNote",
    "Evidence",
    "InputError",
    "LegalNote",
    "LoanlintError",
    "ModelError",
    "PageReport",
    "Segment",
    "UsageError",
    "Verdict",
    "load",
    "scan",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
