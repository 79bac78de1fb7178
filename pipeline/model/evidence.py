"""Evidence: the words that carried the score, exact for a linear model.

Each feature's weight is shared out over the characters it rests on. Candidate spans are the concepts and lexicon terms found; those
that hold most of the weight are kept.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from .artefact import SEVERITY_HEADS, Artefact
from .features import Document, occurrences

KEEP = 3
SHARE = 0.25
LONGEST = 16
DIGITS = 9  # of a weight; what is nothing beyond them is nothing


@dataclass(frozen=True, slots=True)
class Span:
    """A canonical span with its summed contribution and the claim code it speaks for most."""

    start: int
    end: int
    weight: float
    code: str | None


def explain(document: Document, window: tuple[int, int], artefact: Artefact, codes: list[str]) -> list[Span]:
    """The best ``KEEP`` spans of a window, in text order. ``codes`` are those of the verdict."""
    width = len(artefact.heads)
    columns = {code: artefact.heads.index(f"code:{code}") for code in codes}
    severity = artefact.heads.index(SEVERITY_HEADS[1])
    start, end = window
    share = [0.0] * (end - start)
    by_code = {code: [0.0] * (end - start) for code in codes}
    rests: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for key, spans in occurrences(document, window, artefact.settings):
        if key in artefact.vocabulary:
            rests[key].update(spans)
    for key, places in rests.items():
        row = artefact.vocabulary[key] * width
        covered = sum(e - s for s, e in places)
        if not covered:
            continue
        portion = artefact.weights[row + severity] / covered
        portions = {code: artefact.weights[row + column] / covered for code, column in columns.items()}
        for s, e in places:
            for at in range(s - start, e - start):
                share[at] += portion
                for code, value in portions.items():
                    by_code[code][at] += value
    candidates = _candidates(document, window)
    scored = []
    for s, e in candidates:
        weight = sum(share[s - start : e - start])
        if round(weight, DIGITS) > 0:
            scored.append((weight, s, e))
    # Equal weights may differ in their last bits: rounded, they go by position on every machine and in every scorer, and a span that
    # holds just the share that is asked for is kept.
    scored.sort(key=lambda c: (-round(c[0], DIGITS), c[1]))
    kept: list[Span] = []
    for weight, s, e in scored:
        if any(s < k.end and k.start < e for k in kept):
            continue
        if len(kept) == KEEP or (kept and round(weight, DIGITS) < round(SHARE * kept[0].weight, DIGITS)):
            break
        best = max(codes, key=lambda c: sum(by_code[c][s - start : e - start]), default=None)
        kept.append(Span(s, e, weight, best))
    return sorted(kept, key=lambda k: k.start)


def _candidates(document: Document, window: tuple[int, int]) -> list[tuple[int, int]]:
    """Spans that read as phrases: concepts, or else lexicon terms, or else words."""
    start, end = window
    spans = {(f.start, f.end) for f in document.found if f.start >= start and f.end <= end}
    spans |= {(h.start, h.end) for h in document.hits if h.start >= start and h.end <= end}
    short = {(s, e) for s, e in spans if 2 <= e - s <= LONGEST}
    if not short:
        short = {(s, e) for s, e in document.words if s >= start and e <= end and e - s >= 2}
    return sorted(short)
