"""The normaliser: raw text to canonical text, with an offset map and the disguises it undid.

Two steps. ``characters`` folds single code points. ``disguise`` then finds key terms of loan advertising that were
cut by separators, split into components, or written by sound, and puts the term in their place.
"""

from __future__ import annotations

from dataclasses import dataclass

from .characters import EMOJI, canonicalise, traditional_share
from .disguise import Disguise, find_disguises, find_terms
from .offsets import OffsetMap, compose

MOSTLY_TRADITIONAL = 0.15


@dataclass(frozen=True, slots=True)
class Evasion:
    """One undone disguise; ``start`` and ``end`` index the raw text."""

    kind: str
    start: int
    end: int
    raw: str
    canonical: str


@dataclass(frozen=True, slots=True)
class Normalised:
    """A raw text, its canonical form, the map between them, and what was undone."""

    raw: str
    text: str
    offsets: OffsetMap
    evasions: tuple[Evasion, ...]
    traditional: bool

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Raw span of a canonical span."""
        return self.offsets.span(start, end)


def normalise(raw: str) -> Normalised:
    """Canonical form of ``raw``. Text that needs no change comes back unchanged with the identity map."""
    text, offsets = canonicalise(raw)
    disguises = find_disguises(text)
    if disguises:
        text, offsets = _replace(text, offsets, disguises)
    if EMOJI in text:
        text = text.replace(EMOJI, " ")
    traditional = text != raw and traditional_share(raw) >= MOSTLY_TRADITIONAL
    if text == raw:
        return Normalised(raw, text, offsets, (), False)
    return Normalised(raw, text, offsets, _evasions(raw, text, offsets, disguises, traditional), traditional)


def _replace(text: str, offsets: OffsetMap, disguises: list[Disguise]) -> tuple[str, OffsetMap]:
    chars: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for disguise in disguises:
        for index in range(at, disguise.start):
            chars.append(text[index])
            spans.append((index, index + 1))
        chars.extend(disguise.term)
        spans.extend(disguise.spans)
        at = disguise.end
    for index in range(at, len(text)):
        chars.append(text[index])
        spans.append((index, index + 1))
    return "".join(chars), compose(spans, offsets)


def _evasions(
    raw: str, text: str, offsets: OffsetMap, disguises: list[Disguise], traditional: bool
) -> tuple[Evasion, ...]:
    kinds: dict[int, str] = {}
    shift = 0
    for disguise in disguises:
        if disguise.term:
            kinds[disguise.start + shift] = disguise.kind
        shift += len(disguise.term) - (disguise.end - disguise.start)
    found = []
    for start, end, term in find_terms(text):
        raw_start, raw_end = offsets.span(start, end)
        surface = raw[raw_start:raw_end]
        if surface == term:
            continue
        kind = next((kinds[i] for i in range(start, end) if i in kinds), None)
        kind = kind or _glyph_kind(surface, term, traditional)
        if kind:
            found.append(Evasion(kind, raw_start, raw_end, surface, term))
    return tuple(found)


def _glyph_kind(surface: str, term: str, traditional: bool) -> str | None:
    """Why a surface that single-character folding made equal to ``term`` differs from it."""
    if len(surface) > len(term):
        return "zero_width"
    changed = "".join(s for s, t in zip(surface, term, strict=False) if s != t)
    if traditional_share(changed) > 0:
        # Traditional script is no disguise where the whole text is written in it.
        return None if traditional else "traditional"
    if all(s.lower() == t for s, t in zip(surface, term, strict=False)):
        return None
    return "variant_glyph"
