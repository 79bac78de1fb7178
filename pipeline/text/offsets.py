"""Offset maps: where each canonical character came from in the raw text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OffsetMap:
    """Raw span of every canonical character.

    ``starts`` and ``ends`` hold one raw code-point index per canonical character, both
    non-decreasing; ``None`` stands for the identity. Offsets are Python string indices.
    """

    length: int
    raw_length: int
    starts: tuple[int, ...] | None = None
    ends: tuple[int, ...] | None = None

    @classmethod
    def identity(cls, length: int) -> OffsetMap:
        """The map of a text that was not changed."""
        return cls(length, length)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Raw span of the canonical span ``[start, end)``; an empty span maps to an empty one."""
        if not 0 <= start <= end <= self.length:
            raise IndexError(f"span {start}:{end} outside 0:{self.length}")
        if self.starts is None or self.ends is None:
            return start, end
        if start == end:
            at = self.starts[start] if start < self.length else self.raw_length
            return at, at
        return self.starts[start], self.ends[end - 1]


def compose(spans: Sequence[tuple[int, int]], inner: OffsetMap) -> OffsetMap:
    """Map of a second step whose characters cover ``spans`` of the first step's output."""
    starts = []
    ends = []
    for start, end in spans:
        raw_start, raw_end = inner.span(start, end)
        starts.append(raw_start)
        ends.append(raw_end)
    return OffsetMap(len(spans), inner.raw_length, tuple(starts), tuple(ends))
