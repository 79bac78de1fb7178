"""Features of a window: what the linear heads see.

Keys are strings, a block letter and the content:

====== ==================================================================================================
block  content
====== ==================================================================================================
``c``  character n-gram (1–3)
``w``  word; ``b`` two words in a row (jieba dictionary, HMM off)
``U``  a lexicon class stands in the window; ``N`` two classes right behind each other, in order;
       ``S`` two classes in one sentence
``K``  a concept; ``P`` two concepts in one window
``D``  a frame class (warning, court, news …) stands anywhere in the text
====== ==================================================================================================

A feature is there or not; its weight already holds its inverse document frequency.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..text.concepts import Found, concepts
from ..text.lexicon import Hit, lexicon
from ..text.normalise import Normalised, normalise
from ..text.tokens import spans as word_spans
from ..text.windows import WindowSettings, sentence_breaks, windows

Spans = tuple[tuple[int, int], ...]
Occurrence = tuple[str, Spans]


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """What is extracted. ``near`` is the largest gap in characters of an ``N`` pair."""

    longest_gram: int = 3
    near: int = 4
    window: WindowSettings = field(default_factory=WindowSettings)
    frames: tuple[str, ...] = ("WARN", "COURT", "NEWS", "COMPLAIN", "INVEST", "INDUSTRY", "HASHTAG", "APPINTRO", "HOLE")


@dataclass(frozen=True, slots=True)
class Document:
    """A text analysed once, for all its windows."""

    normalised: Normalised
    hits: list[Hit]
    breaks: list[int]
    found: list[Found]
    words: list[tuple[int, int]]
    windows: list[tuple[int, int]]
    frames: tuple[str, ...]

    @property
    def text(self) -> str:
        """Canonical text."""
        return self.normalised.text


def analyse(raw: str, settings: FeatureSettings) -> Document:
    """Normalise ``raw`` and find everything features are made of."""
    return analyse_normalised(normalise(raw), settings)


def analyse_normalised(normalised: Normalised, settings: FeatureSettings) -> Document:
    """As :func:`analyse`, for a text already normalised."""
    text = normalised.text
    hits = lexicon().hits(text)
    breaks = sentence_breaks(text)
    seen = {h.name for h in hits}
    return Document(
        normalised=normalised,
        hits=hits,
        breaks=breaks,
        found=concepts().find(hits, breaks),
        words=word_spans(text),
        windows=windows(text, settings.window),
        frames=tuple(f for f in settings.frames if f in seen),
    )


def occurrences(document: Document, window: tuple[int, int], settings: FeatureSettings) -> Iterator[Occurrence]:
    """Every feature of a window with the canonical spans it rests on; a key may come more than once."""
    start, end = window
    yield from _grams(document.text, start, end, settings.longest_gram)
    yield from _words(document, start, end)
    yield from _classes(document, start, end, settings.near)
    yield from _concepts(document, start, end)
    for frame in document.frames:
        yield "D" + frame, ()


def feature_keys(document: Document, window: tuple[int, int], settings: FeatureSettings) -> set[str]:
    """The keys of a window."""
    return {key for key, _ in occurrences(document, window, settings)}


def _grams(text: str, start: int, end: int, longest: int) -> Iterator[Occurrence]:
    text = text.replace("\n", " ")
    for size in range(1, longest + 1):
        for at in range(start, end - size + 1):
            yield "c" + text[at : at + size], ((at, at + size),)


def _words(document: Document, start: int, end: int) -> Iterator[Occurrence]:
    text = document.text
    starts = [s for s, _ in document.words] if start else None
    first = bisect_left(starts, start) if starts is not None else 0
    previous: tuple[int, int] | None = None
    for span in document.words[first:]:
        if span[1] > end:
            break
        word = text[span[0] : span[1]]
        if word.isspace():
            continue
        yield "w" + word, (span,)
        if previous is not None:
            yield "b" + text[previous[0] : previous[1]] + " " + word, ((previous[0], span[1]),)
        previous = span


def _classes(document: Document, start: int, end: int, near: int) -> Iterator[Occurrence]:
    inside = [h for h in document.hits if h.start >= start and h.end <= end]
    breaks = document.breaks
    sentence = [bisect_right(breaks, h.start) for h in inside]
    paired: set[str] = set()
    for i, a in enumerate(inside):
        yield "U" + a.name, ((a.start, a.end),)
        for j in range(i + 1, len(inside)):
            b = inside[j]
            if sentence[j] != sentence[i]:
                break
            if b.name == a.name:
                continue
            if b.start - a.end <= near:
                yield f"N{a.name}>{b.name}", ((a.start, max(a.end, b.end)),)
            key = f"S{a.name}~{b.name}" if a.name < b.name else f"S{b.name}~{a.name}"
            if key not in paired:
                paired.add(key)
                yield key, ((a.start, a.end), (b.start, b.end))


def _concepts(document: Document, start: int, end: int) -> Iterator[Occurrence]:
    first: dict[str, tuple[int, int]] = {}
    for found in document.found:
        if found.start >= start and found.end <= end:
            yield "K" + found.name, ((found.start, found.end),)
            first.setdefault(found.name, (found.start, found.end))
    names = sorted(first)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            yield f"P{a}*{b}", (first[a], first[b])
