"""Windows: a long text is judged by its most telling stretch, so that padding does not dilute an advertisement."""

from __future__ import annotations

import re
from dataclasses import dataclass

SENTENCE_END = re.compile(r"[。!?;\n]|\.{3}")
_CLAUSE_END = re.compile(r"[。!?;,:、\n ]")


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """Lengths in canonical characters. A text up to ``whole`` is one window."""

    whole: int = 120
    target: int = 90
    stride: int = 45


def sentence_breaks(text: str) -> list[int]:
    """Positions of sentence ends."""
    return [m.start() for m in SENTENCE_END.finditer(text)]


def windows(text: str, settings: WindowSettings) -> list[tuple[int, int]]:
    """Canonical spans that cover ``text``, each about ``target`` long and overlapping the one before.

    Windows start behind a clause end where there is one near, so that no claim is cut in all of them.
    """
    length = len(text)
    if length <= settings.whole:
        return [(0, length)]
    spans = []
    start = 0
    while True:
        end = min(length, start + settings.target)
        if end < length:
            match = _CLAUSE_END.search(text, end, min(length, end + settings.target // 3))
            end = match.end() if match else end
        spans.append((start, end))
        if end >= length:
            return spans
        following = start + settings.stride
        match = _CLAUSE_END.search(text, following, min(end, following + settings.stride // 2))
        start = match.end() if match else following
