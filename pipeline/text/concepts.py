"""Concepts: short rows of lexicon classes, such as "ignores" followed by "credit record".

Words change from year to year, what is claimed does not: concepts carry over to text in words the model never saw. They
are defined in ``data/lexicon/concepts.tsv`` and are features of the model, never a verdict of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from ..errors import DataError
from ..resources import read_table
from .lexicon import Hit, lexicon


@dataclass(frozen=True, slots=True)
class Found:
    """A concept and the canonical span it was said in."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Way:
    """One way to say a concept: class numbers of each step and the largest gap before it."""

    concept: int
    steps: tuple[frozenset[int], ...]
    gaps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Concepts:
    """Compiled concepts. ``by_class`` gives the ways that can start with a class."""

    names: tuple[str, ...]
    by_class: tuple[tuple[Way, ...], ...]

    def find(self, hits: list[Hit], breaks: list[int]) -> list[Found]:
        """Concepts said in one sentence; ``hits`` sorted by start, ``breaks`` are sentence ends."""
        found = []
        count = len(hits)
        for position, first in enumerate(hits):
            for way in self.by_class[first.index]:
                if len(way.steps) == 1:
                    found.append(Found(self.names[way.concept], first.start, first.end))
                    continue
                limit = _next_break(breaks, first.start)
                end = _match(hits, count, position, way, limit)
                if end is not None:
                    found.append(Found(self.names[way.concept], first.start, end))
        return found


def _next_break(breaks: list[int], position: int) -> int:
    at = bisect_right(breaks, position)
    return breaks[at] if at < len(breaks) else 1 << 60


def _match(hits: list[Hit], count: int, position: int, way: Way, limit: int) -> int | None:
    """End of the first match of ``way`` from ``position``, steps taken greedily."""
    here = hits[position]
    end = here.end
    at = position
    for step, gap in zip(way.steps[1:], way.gaps, strict=True):
        reach = min(end + gap, limit)
        index = at + 1
        while index < count:
            hit = hits[index]
            if hit.start > reach:
                return None
            if hit.index in step and hit.end > here.start and hit is not here:
                break
            index += 1
        else:
            return None
        at, here = index, hits[index]
        end = max(end, here.end)
    return end


@cache
def concepts() -> Concepts:
    """The concepts under ``data/lexicon``."""
    number = {name: i for i, name in enumerate(lexicon().names)}
    names: list[str] = []
    by_class: list[list[Way]] = [[] for _ in number]
    for name, *ways in read_table("lexicon", "concepts.tsv"):
        names.append(name)
        for text in ways:
            way = _parse(len(names) - 1, name, text, number)
            for index in way.steps[0]:
                by_class[index].append(way)
    return Concepts(tuple(names), tuple(tuple(w) for w in by_class))


def _parse(concept: int, name: str, text: str, number: dict[str, int]) -> Way:
    parts = text.split()
    try:
        steps = tuple(frozenset(number[c] for c in part.split("|")) for part in parts[::2])
        gaps = tuple(int(part) for part in parts[1::2])
    except (KeyError, ValueError) as error:
        raise DataError(
            f"data/lexicon/concepts.tsv: concept {name!r}: cannot read {text!r} ({error}). "
            "Use class names of classes.tsv or patterns.tsv with a whole number between them.",
            code="E_DATA_LEXICON",
        ) from error
    if len(gaps) != len(steps) - 1:
        raise DataError(
            f"data/lexicon/concepts.tsv: concept {name!r}: {text!r} needs a gap between every two steps.",
            code="E_DATA_LEXICON",
        )
    return Way(concept, steps, gaps)
