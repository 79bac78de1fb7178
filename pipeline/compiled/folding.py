"""First step of the normaliser over arrays of code points; see ``pipeline.text.characters``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..resources import read_table
from ..text.characters import EMOJI, canonical_of
from ..text.disguise import SEPARATORS
from .jit import Array, kernel

TOP = 0x110000
EMOJI_CODE = ord(EMOJI)
BLANK, LINE = 32, 10
SOUND_MASK = 0xFFF
SEPARATOR = 1 << 12
TRADITIONAL = 1 << 13
LETTER = 1 << 14
TERM_START = 1 << 15
SPELLING_START = 1 << 16
SPLIT_START = 1 << 17
GATE_START = 1 << 18

_SURROGATES = (0xD800, 0xE000)
_FIRST_UNASSIGNED = 0x40000  # planes 4 to 13 hold no characters
_TAGS = (0xE0000, 0xE1000)
_FIRST_PRIVATE = 0xF0000


class Folding(NamedTuple):
    """``fold[code point]``: the canonical code point, -1 for none, -2 - k for row k of ``expansion``; ``marks`` bits."""

    fold: Array
    expansion_starts: Array
    expansion: Array
    marks: Array


def build_folding() -> Folding:
    """Every code point through ``pipeline.text.characters``; ``marks`` are still to be filled for terms."""
    fold = np.arange(TOP, dtype=np.int32)
    fold[_SURROGATES[0] : _SURROGATES[1]] = -1
    fold[_FIRST_PRIVATE:] = -1
    expansions: dict[str, int] = {}
    for first, last in ((0, _SURROGATES[0]), (_SURROGATES[1], _FIRST_UNASSIGNED), _TAGS):
        for code in range(first, last):
            char = chr(code)
            canonical = canonical_of(char)
            if canonical == char:
                continue
            if len(canonical) == 1:
                fold[code] = ord(canonical)
            elif canonical:
                fold[code] = -2 - expansions.setdefault(canonical, len(expansions))
            else:
                fold[code] = -1
    marks = np.zeros(TOP, dtype=np.int32)
    marks[[ord(c) for c in SEPARATORS]] |= SEPARATOR
    marks[[ord(raw) for raw, _ in read_table("text", "traditional.tsv")]] |= TRADITIONAL
    marks[97:123] |= LETTER
    return Folding(
        fold,
        np.cumsum([0, *map(len, expansions)], dtype=np.int32),
        np.array([ord(c) for text in expansions for c in text], dtype=np.int32),
        marks,
    )


@kernel
def is_han(char: int) -> bool:
    """The main block of Han characters."""
    return 0x4E00 <= char <= 0x9FFF


@kernel
def _rank(char: int) -> int:
    """Which of two gap characters stays: blank, emoji, line break; 0 for others."""
    if char == BLANK:
        return 1
    if char == EMOJI_CODE:
        return 2
    return 3 if char == LINE else 0


@kernel
def survey(raw: Array, starts: Array, folding: Folding) -> Array:
    """For each text: most canonical characters, whether folding may change it, Han characters, traditional ones."""
    found = np.empty((len(starts) - 1, 4), dtype=np.int32)
    for text in range(len(starts) - 1):
        most = 0
        changed = 0
        han = 0
        traditional = 0
        last_gap = False
        for at in range(starts[text], starts[text + 1]):
            char = raw[at]
            code = folding.fold[char]
            if code == char:
                most += 1
                gap = code == BLANK or code == LINE
                if gap and last_gap:
                    changed = 1
                last_gap = gap
            else:
                changed = 1
                last_gap = False
                if code >= 0:
                    most += 1
                elif code < -1:
                    most += folding.expansion_starts[-1 - code] - folding.expansion_starts[-2 - code]
            if is_han(char):
                han += 1
                if folding.marks[char] & TRADITIONAL:
                    traditional += 1
        found[text, 0] = most
        found[text, 1] = changed
        found[text, 2] = han
        found[text, 3] = traditional
    return found


@kernel
def canonicalise(raw: Array, folding: Folding, chars: Array, starts: Array, ends: Array) -> int:
    """Canonical characters of ``raw`` and the raw span of each; returns how many there are."""
    count = 0
    for index in range(len(raw)):
        code = folding.fold[raw[index]]
        if code == -1:
            continue
        first = 0
        last = 1
        if code < -1:
            first = folding.expansion_starts[-2 - code]
            last = folding.expansion_starts[-1 - code]
        for at in range(first, last):
            char = code if code >= 0 else folding.expansion[at]
            rank = _rank(char)
            if rank and count and _rank(chars[count - 1]):
                ends[count - 1] = index + 1
                if rank > _rank(chars[count - 1]):
                    chars[count - 1] = char
                continue
            chars[count] = char
            starts[count] = index
            ends[count] = index + 1
            count += 1
    return count
