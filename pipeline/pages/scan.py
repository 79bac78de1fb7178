"""A page judged segment by segment, and the page as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from ..classifier import DEFAULT_SETTINGS, CheckSettings, Classifier
from ..taxonomy import SEVERITY_LABELS
from ..verdict import CodeScore, Segment, Verdict
from .segments import PageSegment, segments

_ARTICLE_ROLES = frozenset({"title", "heading", "body", "meta"})
_TITLE_ROLES = frozenset({"title", "heading"})
_ARTICLE_SAMPLE = 4_000
OUT_OF_SCOPE = "out_of_scope"


class Judgement(Protocol):
    """What a page summary looks at in the verdict on a segment."""

    @property
    def severity(self) -> int:
        """0–3."""

    @property
    def label(self) -> str:
        """Name of the severity."""

    @property
    def flagged(self) -> bool:
        """Whether the severity reaches the level asked for."""

    @property
    def codes(self) -> tuple[CodeScore, ...]:
        """Claim codes."""


@dataclass(frozen=True, slots=True)
class ArticleSummary:
    """The article proper: what stands outside lists, anchors and banners."""

    severity: int
    label: str
    stance: str


@dataclass(frozen=True, slots=True)
class PageSummary:
    """A page as a whole.

    ``article`` is never raised by what stands beside it; ``promo_exposure`` counts flagged list items, anchors, image texts
    and controls; ``worst`` is the highest severity of any segment. ``signals`` holds ``bait_title`` where the title misleads
    and the body does not.
    """

    article: ArticleSummary
    title_severity: int
    promo_exposure: int
    worst: int
    flagged: int
    segments: int
    by_severity: dict[str, int]
    by_code: dict[str, int]
    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageReport:
    """Verdicts of a page's segments in document order, and the summary."""

    name: str
    encoding: str
    segments: tuple[Verdict, ...]
    summary: PageSummary

    def to_dict(self) -> dict[str, Any]:
        """Plain values; each segment carries its ``role`` and ``path`` beside the verdict fields."""
        rows = []
        for verdict in self.segments:
            row = verdict.to_dict()
            place = row.pop("segment") or {"role": "body", "path": ""}
            rows.append({"text": row.pop("text"), **place, **row})
        return {"name": self.name, "encoding": self.encoding, "summary": asdict(self.summary), "segments": rows}


def scan(
    page: str,
    classifier: Classifier,
    settings: CheckSettings = DEFAULT_SETTINGS,
    *,
    name: str = "-",
    encoding: str = "utf-8",
) -> PageReport:
    """Judge the HTML or plain text of a page."""
    parts = segments(page)
    verdicts = [
        classifier.check(part.text, settings, id=str(i), segment=Segment(part.role, part.path))
        for i, part in enumerate(parts)
    ]
    article = article_text(parts)
    stance = classifier.check(article, replace(settings, explain=False)).stance if article else OUT_OF_SCOPE
    return PageReport(name, encoding, tuple(verdicts), summarise(parts, verdicts, stance))


def article_text(parts: Sequence[PageSegment]) -> str:
    """The article of a page, as far as its stance is judged by it."""
    return "\n".join(p.text for p in parts if p.role in _ARTICLE_ROLES)[:_ARTICLE_SAMPLE]


def summarise(parts: Sequence[PageSegment], verdicts: Sequence[Judgement], stance: str) -> PageSummary:
    """The page as a whole, from the verdicts on its segments and the stance of its article."""
    pairs = list(zip(parts, verdicts, strict=True))
    title = max((v.severity for p, v in pairs if p.role in _TITLE_ROLES), default=0)
    body = max((v.severity for p, v in pairs if p.role in _ARTICLE_ROLES and p.role not in _TITLE_ROLES), default=0)
    exposure = sum(v.flagged for p, v in pairs if p.role not in _ARTICLE_ROLES)
    signals: tuple[str, ...] = ()
    severity = max(title, body)
    if title >= 2 and body <= 1:
        signals = ("bait_title",)
        if body or any(p.role == "body" for p in parts):
            severity = 2 if exposure else 1
    return PageSummary(
        article=ArticleSummary(severity, SEVERITY_LABELS[severity], stance),
        title_severity=title,
        promo_exposure=exposure,
        worst=max((v.severity for v in verdicts), default=0),
        flagged=sum(v.flagged for v in verdicts),
        segments=len(verdicts),
        by_severity=dict(sorted(Counter(v.label for v in verdicts).items())),
        by_code=dict(sorted(Counter(c.code for v in verdicts for c in v.codes).items())),
        signals=signals,
    )
