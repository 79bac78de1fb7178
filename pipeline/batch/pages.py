"""Pages in a batch: segments of many pages scored at once, then a verdict for each page."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..pages.scan import OUT_OF_SCOPE, article_text, summarise
from ..pages.segments import PageSegment, segments
from ..taxonomy import SEVERITY_LABELS
from ..verdict import CodeScore
from .scoring import PageVerdict, RowVerdict, Scored, Scorer, SegmentVerdict


def quiet_page(model_version: str) -> PageVerdict:
    """The verdict on a page of which there is nothing to say."""
    return PageVerdict(
        0, SEVERITY_LABELS[0], 0.0, False, "pass", (), OUT_OF_SCOPE, (), (), (), False, model_version, 0, 0, ()
    )


def score_pages(pages: Sequence[str], scorer: Scorer) -> Scored:
    """Verdicts on pages (HTML or plain text)."""
    quiet = quiet_page(scorer.model_version)
    cut = [segments(page) for page in pages]
    texts: list[str] = []
    for parts in cut:
        texts += (part.text for part in parts)
        texts.append(article_text(parts))
    scored = scorer.score(texts)
    told = dict(zip(scored.rows, scored.verdicts, strict=True))
    rows: list[int] = []
    verdicts: list[RowVerdict] = []
    at = 0
    for number, parts in enumerate(cut):
        judged = [told.get(at + k, scored.quiet) for k in range(len(parts))]
        article = told.get(at + len(parts), scored.quiet)
        at += len(parts) + 1
        verdict = _page(parts, judged, article, quiet)
        if verdict != quiet:
            rows.append(number)
            verdicts.append(verdict)
    return Scored(len(pages), rows, verdicts, quiet)


def _page(parts: list[PageSegment], judged: list[RowVerdict], article: RowVerdict, quiet: PageVerdict) -> PageVerdict:
    if not parts:
        return replace(quiet, abstain=True)
    summary = summarise(parts, judged, article.stance)
    worst = max(judged, key=lambda v: (v.severity, v.p_misleading))
    return PageVerdict(
        severity=worst.severity,
        label=worst.label,
        p_misleading=max(v.p_misleading for v in judged),
        flagged=worst.flagged,
        action=worst.action,
        codes=_merged(judged),
        stance=summary.article.stance,
        signals=tuple(dict.fromkeys([*(s for v in judged for s in v.signals), *summary.signals])),
        evidence=(),
        evasion_kinds=tuple(dict.fromkeys(k for v in judged for k in v.evasion_kinds)),
        abstain=all(v.abstain for v in judged),
        model_version=quiet.model_version,
        article_severity=summary.article.severity,
        promo_exposure=summary.promo_exposure,
        segments=tuple(
            SegmentVerdict(p.role, p.path, p.text, v.severity, v.p_misleading, v.codes, v.evidence)
            for p, v in zip(parts, judged, strict=True)
            if v.severity
        ),
    )


def _merged(judged: list[RowVerdict]) -> tuple[CodeScore, ...]:
    """Each code once, as the segment says it that is surest."""
    best: dict[str, CodeScore] = {}
    for verdict in judged:
        for code in verdict.codes:
            if code.code not in best or best[code.code].p < code.p:
                best[code.code] = code
    return tuple(sorted(best.values(), key=lambda c: (-c.p, c.code)))
