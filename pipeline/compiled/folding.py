"""First step of the normaliser over code points; see ``pipeline.text.characters``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..resources import read_table
from ..text.characters import EMOJI, canonical_of, table
from ..text.disguise import SEPARATORS
from . import fields as f
from .jit import Array, kernel
from .memory import Book, get1, get4, get8, put4, put8
from .trie import pair_place, pair_places

TOP = 0x110000
EMOJI_CODE = ord(EMOJI)
BLANK, LINE = 32, 10

# Marks of a character. The lowest bits number the sound it has in key terms, 0 for none.
SOUND_MASK = 0xFFF
SEPARATOR = 1 << 12
TRADITIONAL = 1 << 13
LETTER = 1 << 14
TERM_START = 1 << 15
SPELLING_START = 1 << 16
SPLIT_START = 1 << 17
ALONE = 1 << 18  # a spelling, a component or a syllable by itself
HAN = 1 << 20
GAP = 1 << 21
IS_EMOJI = 1 << 22
BRACKET = 1 << 23
TRIGGER = 1 << 24
LEXICON_TERM = 1 << 25
BARE = 1 << 26  # a component that never stands alone in ordinary text
COMMON = 1 << 27  # a character frequent in ordinary prose
OLD = 1 << 28  # the raw character is a traditional one; only where a text was read

_BLOCK = 256
_SURROGATES = (0xD800, 0xE000)
_FIRST_UNASSIGNED = 0x40000  # planes 4 to 13 hold no characters
_TAGS = (0xE0000, 0xE1000)
_FIRST_PRIVATE = 0xF0000
_NOT_PRIVATE = ((0xFFFFE, 0x100000), (0x10FFFE, 0x110000))  # the last two of each plane are no characters


@dataclass(frozen=True, slots=True)
class Folding:
    """``fold[code point]``: the canonical code point, -1 for none, -2 - k for row k of ``expansion``."""

    fold: Array
    expansion_starts: Array
    expansion: Array
    lower_from: Array  # sorted code points whose lower case is another one …
    lower_to: Array  # … and that one, -1 if it is several

    def enter(self, book: Book, marks: Array) -> None:
        """Put the tables into their fields; ``marks`` int32 by code point."""
        canonical = np.where(self.fold >= 0, self.fold, 0)
        old = np.where(marks & (TRADITIONAL | HAN) == TRADITIONAL | HAN, OLD, 0)
        entries = (self.fold.astype(np.int64) & 0xFFFFFFFF) | ((marks[canonical] | old).astype(np.int64) << 32)
        book.table(f.FOLD, entries)
        book.table(f.MARKS, marks)
        book.table(f.EXPANSION_STARTS, self.expansion_starts)
        book.table(f.EXPANSION, self.expansion)
        book.table(f.LOWER_FROM, self.lower_from)
        book.table(f.LOWER_TO, self.lower_to)
        book.number(f.LOWER_COUNT, len(self.lower_from))


def build_folding() -> Folding:
    """Every code point through ``pipeline.text.characters``."""
    fold = np.arange(TOP, dtype=np.int32)
    fold[_SURROGATES[0] : _SURROGATES[1]] = -1
    fold[_FIRST_PRIVATE:] = -1
    for first, last in _NOT_PRIVATE:
        fold[first:last] = np.arange(first, last)
    expansions: dict[str, int] = {}
    for first, last in ((0, _SURROGATES[0]), (_SURROGATES[1], _FIRST_UNASSIGNED), _TAGS, *_NOT_PRIVATE):
        for code in _to_look_at(first, last):
            canonical = canonical_of(chr(code))
            if len(canonical) == 1:
                fold[code] = ord(canonical)
            elif canonical:
                fold[code] = -2 - expansions.setdefault(canonical, len(expansions))
            else:
                fold[code] = -1
    lower = [(c, low) for c in range(0x20000) if (low := chr(c).lower()) != chr(c)]
    return Folding(
        fold,
        np.cumsum([0, *map(len, expansions)], dtype=np.int32),
        np.array([ord(c) for text in expansions for c in text], dtype=np.int32),
        np.array([c for c, _ in lower], dtype=np.int32),
        np.array([ord(low) if len(low) == 1 else -1 for _, low in lower], dtype=np.int32),
    )


def _to_look_at(first: int, last: int) -> Iterator[int]:
    """Code points that may not stay as they are.

    Letters without case and unassigned ones that no table names do, unless NFKC changes them, which is asked of many at once.
    """
    named = table()
    for start in range(first, last, _BLOCK):
        codes = range(start, min(last, start + _BLOCK))
        block = "".join(map(chr, codes))
        stays = ("Lo", "Cn") if unicodedata.normalize("NFKC", block) == block else ()
        for code, category in zip(codes, map(unicodedata.category, block), strict=True):
            if category not in stays or code in named:
                yield code


def build_marks() -> Array:
    """Marks that depend on no model and no term."""
    marks = np.zeros(TOP, dtype=np.int32)
    marks[[ord(c) for c in SEPARATORS]] |= SEPARATOR
    marks[[ord(raw) for raw, _ in read_table("text", "traditional.tsv")]] |= TRADITIONAL
    marks[97:123] |= LETTER
    marks[0x4E00:0xA000] |= HAN
    marks[[BLANK, EMOJI_CODE, LINE]] |= GAP
    marks[EMOJI_CODE] |= IS_EMOJI
    marks[ord("(")] |= BRACKET
    return marks


@kernel
def _rank(char: int) -> int:
    """Which of two gap characters stays: blank, emoji, line break."""
    if char == BLANK:
        return 1
    return 2 if char == EMOJI_CODE else 3


@kernel
def _is_mute(mark: int) -> bool:
    """Whether a character is passed over when a text is heard."""
    return mark & (SOUND_MASK | SEPARATOR) == SEPARATOR


@kernel
def _sounds_behind(row: int, mark: int) -> int:
    """1 if a key term may begin with the sound that ``row`` of ``SOUND_PAIRS`` stands for and that of a character, else 0."""
    return get1(row, mark & SOUND_MASK) & (0 if _is_mute(mark) else 1)


# Columns of the facts that :func:`canonicalise` leaves.
CHANGED, ALL_MARKS, SOUNDS, PAIRS = range(4)
TRIGGER_PAIR, HIDDEN_PAIR = 1, 2
_SCREEN_PAIRS = 1 << 16


def build_screen() -> Array:
    """Two bits a pair of characters (a hash of it), none of them set."""
    return np.zeros(_SCREEN_PAIRS // 4, dtype=np.uint8)


def look_for(screen: Array, bit: int, firsts: Array, seconds: Array) -> None:
    """Set ``TRIGGER_PAIR`` or ``HIDDEN_PAIR`` for pairs of characters that what is looked for begins with."""
    places = pair_places(firsts, seconds, _SCREEN_PAIRS)
    np.bitwise_or.at(screen, places >> 2, (bit << 2 * (places & 3)).astype(np.uint8))


@kernel
def screened(screen: int, first: int, second: int) -> int:
    """The two bits of a pair of characters; now and then more than were set."""
    place = pair_place(first, second, _SCREEN_PAIRS)
    return get1(screen, place >> 2) >> 2 * (place & 3) & 3


@kernel
def canonicalise(
    book: int, raw: int, size: int, text: int, marks: int, starts: int, ends: int, room: int, facts: int
) -> int:
    """Canonical characters of a raw text (int32), their marks and their raw spans; returns how many.

    ``facts`` (int64) gets whether anything changed, all marks together, and what :func:`look_for_pairs` gives. Returns -1 if
    ``room`` is too small.
    """
    if size > room:
        return -1
    fold = get8(book, f.FOLD)
    differs = 0
    every = 0
    lost = 0  # negative if a character becomes none or several
    gaps = 0  # whether two gap characters stand side by side
    before = 0
    last = 0
    found = 0
    screen = get8(book, f.SCREEN)
    pairs = get8(book, f.SOUND_PAIRS)
    width = get8(book, f.SOUND_COUNT)
    row = pairs  # of the sound before
    sounds = 0
    for index in range(size):
        char = get4(raw, index)
        entry = get8(fold, char)
        code = (entry << 32) >> 32
        mark = entry >> 32
        put4(text, index, code)
        put4(marks, index, mark)
        differs |= code ^ char
        lost |= code
        every |= mark
        gaps |= mark & before
        before = mark
        # The rest as look_for_pairs does it.
        found |= screened(screen, last, code)
        last = code
        sounds |= _sounds_behind(row, mark)
        row = row if _is_mute(mark) else pairs + width * (mark & SOUND_MASK)
    if lost < 0 or gaps & GAP:
        return _canonicalise_slowly(book, raw, size, text, marks, starts, ends, room, facts)
    for index in range(size):
        put4(starts, index, index)
        put4(ends, index, index + 1)
    put8(facts, CHANGED, 1 if differs else 0)
    put8(facts, ALL_MARKS, every)
    put8(facts, SOUNDS, sounds | get1(row, 0))
    put8(facts, PAIRS, found)
    return size


@kernel
def look_for_pairs(book: int, text: int, marks: int, length: int, facts: int) -> None:
    """Put into ``facts`` whether key terms may be heard in a text, and whether a trigger or a disguise may begin in it.

    All look at what stands side by side, without branches, for what ordinary text holds is hard to predict.
    """
    screen = get8(book, f.SCREEN)
    pairs = get8(book, f.SOUND_PAIRS)
    width = get8(book, f.SOUND_COUNT)
    row = pairs  # of the sound before
    last = 0
    sounds = 0
    found = 0
    for at in range(length):
        char = get4(text, at)
        found |= screened(screen, last, char)
        last = char
        mark = get4(marks, at)
        sounds |= _sounds_behind(row, mark)
        row = row if _is_mute(mark) else pairs + width * (mark & SOUND_MASK)
    # A row of one sound counts before any character, and before none.
    put8(facts, SOUNDS, sounds | get1(row, 0))
    put8(facts, PAIRS, found)


@kernel
def _put(text: int, marks: int, starts: int, ends: int, count: int, char: int, mark: int, index: int, gap: bool) -> int:
    """Add a character, or merge it with the gap before it; returns how many there are."""
    if mark & GAP and gap:
        put4(ends, count - 1, index + 1)
        if _rank(char) > _rank(get4(text, count - 1)):
            put4(text, count - 1, char)
            put4(marks, count - 1, mark)
        return count
    put4(text, count, char)
    put4(marks, count, mark)
    put4(starts, count, index)
    put4(ends, count, index + 1)
    return count + 1


@kernel
def _canonicalise_slowly(
    book: int, raw: int, size: int, text: int, marks: int, starts: int, ends: int, room: int, facts: int
) -> int:
    """The same for texts in which characters vanish, multiply or merge."""
    fold = get8(book, f.FOLD)
    mark_of = get8(book, f.MARKS)
    expansion_starts = get8(book, f.EXPANSION_STARTS)
    expansion = get8(book, f.EXPANSION)
    count = 0
    every = 0
    gap = False  # whether the last canonical character is a gap
    for index in range(size):
        entry = get8(fold, get4(raw, index))
        code = (entry << 32) >> 32
        mark = entry >> 32
        first = -2
        last = -1
        if code < 0:
            every |= mark & OLD
            first = get4(expansion_starts, -2 - code) if code < -1 else 0
            last = get4(expansion_starts, -1 - code) if code < -1 else 0
        for at in range(first, last):
            char = code
            if code < 0:
                char = get4(expansion, at)
                mark = get4(mark_of, char)
            if count >= room:
                return -1
            count = _put(text, marks, starts, ends, count, char, mark, index, gap)
            every |= mark
            gap = mark & GAP != 0
    put8(facts, CHANGED, 1)
    put8(facts, ALL_MARKS, every)
    look_for_pairs(book, text, marks, count, facts)
    return count
