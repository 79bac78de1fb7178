"""Texts made fit for a page: evidence marked, hidden characters written out, long texts cut to what matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..visible import is_hidden, name

MOST = 420
_AROUND = 60


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of a text. ``kind``: ``""`` plain, ``hidden`` (a code point written out), ``gap`` (left out); ``marked`` evidence."""

    text: str
    kind: str
    marked: bool
    title: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """Evidence: ``start`` and ``end`` index the raw text; ``title`` says what it stands for."""

    start: int
    end: int
    title: str


def pieces(text: str, marks: Sequence[Mark]) -> list[Piece]:
    """``text`` in pieces. Joined, those of no gap and no hidden character give the raw text back."""
    found: list[Piece] = []
    for start, end in _kept(text, marks):
        if start > 0 and not found:
            found.append(Piece("…", "gap", False))
        at = start
        for mark in sorted(marks, key=lambda m: m.start):
            if mark.start >= end or mark.end <= at:
                continue
            found += _shown(text[at : mark.start], None)
            found += _shown(text[max(at, mark.start) : mark.end], mark)
            at = mark.end
        found += _shown(text[at:end], None)
        if end < len(text):
            found.append(Piece("…", "gap", False))
    return found


def _kept(text: str, marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """Spans shown: everything where the text is short, else what is around the evidence, or the beginning."""
    if len(text) <= MOST:
        return [(0, len(text))]
    spans: list[tuple[int, int]] = []
    for mark in sorted(marks, key=lambda m: m.start) or [Mark(0, min(len(text), MOST), "")]:
        start, end = max(0, mark.start - _AROUND), min(len(text), mark.end + _AROUND)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans


def _shown(text: str, mark: Mark | None) -> list[Piece]:
    found: list[Piece] = []
    marked, title = mark is not None, mark.title if mark else ""
    start = 0
    for at, char in enumerate(text):
        if is_hidden(char):
            if at > start:
                found.append(Piece(text[start:at], "", marked, title))
            found.append(Piece(name(char), "hidden", marked, title))
            start = at + 1
    if start < len(text):
        found.append(Piece(text[start:], "", marked, title))
    return found
