"""The verdict: one type for the library, JSON, HTTP and table columns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CodeScore:
    """A claim code with its calibrated probability and the severity it stands for."""

    code: str
    p: float
    severity: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Words that speak for the verdict; ``start`` and ``end`` index the raw text.

    ``weight`` is the summed contribution of the features inside the span to the log-odds of severity ≥ 2.
    """

    start: int
    end: int
    raw: str
    canonical: str
    code: str | None
    weight: float


@dataclass(frozen=True, slots=True)
class EvasionNote:
    """A disguise that was undone; offsets index the raw text."""

    kind: str
    start: int
    end: int
    raw: str
    canonical: str


@dataclass(frozen=True, slots=True)
class LegalNote:
    """A reference that the claim may engage. ``relation`` is always ``may_engage``."""

    id: str
    title: str
    article: str
    effective_from: str
    verified: str
    relation: str = "may_engage"


@dataclass(frozen=True, slots=True)
class Segment:
    """Where on a page a text stood."""

    role: str
    path: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What loanlint says of one text.

    ``severity`` 0–3 at the operating point asked for, ``label`` its name; ``score`` 0–100; ``p_misleading`` calibrated
    probability of severity ≥ 2; ``flagged`` severity reaches the ``fail_on`` level; ``abstain`` too little text to judge.
    """

    id: str
    text: str
    severity: int
    label: str
    score: int
    p_misleading: float
    flagged: bool
    action: str
    codes: tuple[CodeScore, ...]
    signals: tuple[str, ...]
    stance: str
    evidence: tuple[Evidence, ...]
    evasions: tuple[EvasionNote, ...]
    legal_refs: tuple[LegalNote, ...]
    jurisdiction_hint: str
    segment: Segment | None
    model_version: str
    taxonomy_version: str
    abstain: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)
