"""Stretches of a canonical text that may be key terms in disguise; see ``pipeline.text.disguise``, repeated step by step.

``book`` and ``work`` are addresses of fields, see :mod:`.memory`; the text in hand and its marks are addresses too, since a text
is looked at before and after disguises are undone.
"""

from __future__ import annotations

from ..text.disguise import _LONGEST_RUN as LONGEST_RUN
from . import fields as f
from .disguise_tables import (
    ASCII_FIRST,
    ASCII_LAST,
    EMOJI_BETWEEN,
    EXACT,
    HOMOPHONE,
    KNOWN_SPELLING,
    LONGEST_SYLLABLE,
    ONE_TO_ONE,
    PINYIN,
    SEPARATED,
    SPLIT_CHARACTER,
)
from .folding import ALONE, EMOJI_CODE, LETTER, LINE, SEPARATOR, SOUND_MASK, SPELLING_START, SPLIT_START, TERM_START
from .jit import kernel
from .memory import get1, get4, get8, put4
from .segmentation import is_alphanumeric
from .trie import exact, longest_at, starts_at

# Columns of a candidate or an accepted disguise.
START, END, TERM, KIND, UNIT, SPELLING, ACCEPTED = range(7)
ROW_WIDTH = 7
WHOLE, CHAR_BY_CHAR = -1, -2  # UNIT of a listed spelling: its characters map to the whole of it, or one to one
# Columns of a unit; HAN_CHAR is 0 for a syllable in letters.
UNIT_START, UNIT_END, _SOUND, HAN_CHAR, _SPLIT = range(5)
UNIT_WIDTH = 5
_OUTSIDE = 0  # a sound that no term has
_FEWEST, _ORIGIN, _SYLLABLE = 0, LONGEST_RUN + 4, 2 * LONGEST_RUN + 8  # parts of the scratch of _syllables


@kernel
def _next_term(book: int, text: int, marks: int, position: int, length: int) -> tuple[int, int, int]:
    """The next key term in plain spelling: its number, start and end; number -1 if there is none."""
    for start in range(position, length):
        if get4(marks, start) & TERM_START:
            term, end = longest_at(book, f.TERMS, text, start, length)
            if term >= 0:
                return term, start, end
    return -1, length, length


@kernel
def _says(book: int, row: int, term: int) -> bool:
    """Whether a row of sounds is that of a term."""
    starts = get8(book, f.SOUND_TERM_STARTS)
    for choice in range(get4(starts, row), get4(starts, row + 1)):
        if get4(get8(book, f.SOUND_TERMS), choice) == term:
            return True
    return False


@kernel
def _heard_otherwise(book: int, text: int, marks: int, length: int, heard: int) -> bool:
    """Whether the key terms that are heard are not the very ones that stand in the text."""
    count = 0
    for at in range(length):
        mark = get4(marks, at)
        if not (mark & SEPARATOR and mark & SOUND_MASK == 0):
            put4(heard, count, mark & SOUND_MASK)
            count += 1
    pairs = get8(book, f.SOUND_PAIRS)
    sounds = get8(book, f.SOUND_COUNT)
    place = 0
    sound_place = 0
    while True:
        term, _, place = _next_term(book, text, marks, place, length)
        row = -1
        while sound_place < count:
            sound = get4(heard, sound_place)
            following = get4(heard, sound_place + 1) if sound_place + 1 < count else 0
            if sound and get1(pairs, sound * sounds + following):
                row, end = longest_at(book, f.SOUNDS, heard, sound_place, count)
                if row >= 0:
                    sound_place = end
                    break
            sound_place += 1
        if term < 0 and row < 0:
            return False
        if term < 0 or row < 0 or not _says(book, row, term):
            return True


@kernel
def may_hold(book: int, text: int, marks: int, length: int, every: int, sounds: int, hidden: int, heard: int) -> bool:
    """As ``disguise._may_hold``.

    ``every``: all marks of the text together; ``sounds``: not 0 if two sounds stand side by side of which a key term may begin;
    ``hidden``: not 0 if two characters do of which a spelling may begin; ``heard``: scratch for the sounds.
    """
    if sounds and every & (SOUND_MASK | TERM_START) and _heard_otherwise(book, text, marks, length, heard):
        return True
    if not hidden and not every & ALONE:
        return False
    for at in range(length):
        mark = get4(marks, at)
        if mark & LETTER and starts_at(book, f.LETTERS, text, at, length):
            return True
        if mark & SPLIT_START and starts_at(book, f.SPLITS, text, at, length):
            return True
        if mark & SPELLING_START and starts_at(book, f.SPELLINGS, text, at, length):
            return True
    return False


@kernel
def _put_unit(units: int, number: int, start: int, end: int, sound: int, han: int, split: int) -> None:
    at = number * UNIT_WIDTH
    put4(units, at + UNIT_START, start)
    put4(units, at + UNIT_END, end)
    put4(units, at + _SOUND, sound)
    put4(units, at + HAN_CHAR, han)
    put4(units, at + _SPLIT, split)


@kernel
def cut_units(book: int, work: int, text: int, marks: int, length: int) -> int:
    """Units of the text into ``UNITS`` and their sounds into ``HEARD``; returns how many."""
    units = get8(work, f.UNITS)
    scratch = get8(work, f.SYLLABLE_SCRATCH)
    count = 0
    index = 0
    while index < length:
        mark = get4(marks, index)
        width = 0
        meaning = 0
        if mark & SPLIT_START:
            for size in range(3, 1, -1):
                if index + size <= length:
                    number = exact(book, f.SPLITS, text, index, index + size)
                    if number >= 0:
                        width = size
                        meaning = get4(get8(book, f.SPLIT_MEANING), number)
                        break
        if width:
            sound = get4(get8(book, f.MARKS), meaning) & SOUND_MASK
            _put_unit(units, count, index, index + width, sound, meaning, 1)
            count += 1
            index += width
        elif mark & SEPARATOR:
            index += 1
        elif mark & LETTER:
            end = index + 1
            while end < length and get4(marks, end) & LETTER:
                end += 1
            pieces = _syllables(book, text, index, end, scratch)
            if pieces == 0:
                _put_unit(units, count, index, end, _OUTSIDE, 0, 0)
                count += 1
            else:
                at = end - index
                for piece in range(count + pieces - 1, count - 1, -1):
                    origin = get4(scratch, _ORIGIN + at)
                    _put_unit(units, piece, index + origin, index + at, get4(scratch, _SYLLABLE + at), 0, 0)
                    at = origin
                count += pieces
            index = end
        else:
            _put_unit(units, count, index, index + 1, mark & SOUND_MASK, get4(text, index), 0)
            count += 1
            index += 1
    heard = get8(work, f.HEARD)
    for number in range(count):
        put4(heard, number, get4(units, number * UNIT_WIDTH + _SOUND))
    return count


@kernel
def _syllables(book: int, text: int, start: int, end: int, scratch: int) -> int:
    """Cut a run of letters into the fewest syllables; returns how many, 0 if it cannot be done."""
    length = end - start
    if length > LONGEST_RUN:
        return 0
    put4(scratch, _FEWEST, 0)
    for to in range(1, length + 1):
        fewest = -1
        for since in range(max(0, to - LONGEST_SYLLABLE), to):
            before = get4(scratch, _FEWEST + since)
            if before < 0 or (fewest >= 0 and before + 1 >= fewest):
                continue
            sound = exact(book, f.SYLLABLES, text, start + since, start + to)
            if sound >= 0:
                fewest = before + 1
                put4(scratch, _ORIGIN + to, since)
                put4(scratch, _SYLLABLE + to, sound)
        put4(scratch, _FEWEST + to, fewest)
    return max(0, get4(scratch, _FEWEST + length))


@kernel
def term_char(book: int, term: int, i: int) -> int:
    """Character ``i`` of a term."""
    return get4(get8(book, f.TERM_CHARS), get4(get8(book, f.TERM_STARTS), term) + i)


@kernel
def term_size(book: int, term: int) -> int:
    """Length of a term."""
    starts = get8(book, f.TERM_STARTS)
    return get4(starts, term + 1) - get4(starts, term)


@kernel
def is_term(book: int, text: int, start: int, end: int, term: int) -> bool:
    """Whether ``text[start:end]`` is the term itself."""
    if end - start != term_size(book, term):
        return False
    for i in range(end - start):
        if get4(text, start + i) != term_char(book, term, i):
            return False
    return True


@kernel
def put_row(rows: int, number: int, start: int, end: int, term: int, kind: int, unit: int, spelling: int) -> None:
    """Write a candidate into row ``number``."""
    at = number * ROW_WIDTH
    put4(rows, at + START, start)
    put4(rows, at + END, end)
    put4(rows, at + TERM, term)
    put4(rows, at + KIND, kind)
    put4(rows, at + UNIT, unit)
    put4(rows, at + SPELLING, spelling)
    put4(rows, at + ACCEPTED, 0)


@kernel
def cell(rows: int, number: int, column: int) -> int:
    """An entry of a candidate."""
    return get4(rows, number * ROW_WIDTH + column)


@kernel
def overlaps(start: int, end: int, spans: int, count: int, width: int) -> bool:
    """Whether a stretch overlaps one of the rows, whose first two columns are start and end."""
    for i in range(count):
        if start < get4(spans, i * width + 1) and get4(spans, i * width) < end:
            return True
    return False


@kernel
def by_sound(book: int, work: int, text: int, unit_count: int, glosses: int, rows: int) -> int:
    """Candidates read as rows of sounds into ``rows``; returns how many."""
    units = get8(work, f.UNITS)
    heard = get8(work, f.HEARD)
    count = 0
    place = 0
    while place < unit_count:
        row = -1
        last = place
        if get4(heard, place) != _OUTSIDE:
            row, last = longest_at(book, f.SOUNDS, heard, place, unit_count)
        if row < 0:
            place += 1
            continue
        first = place
        place = last
        term = -1
        most = -1
        starts = get8(book, f.SOUND_TERM_STARTS)
        for choice in range(get4(starts, row), get4(starts, row + 1)):
            this = get4(get8(book, f.SOUND_TERMS), choice)
            same = 0
            for i in range(last - first):
                if get4(units, (first + i) * UNIT_WIDTH + HAN_CHAR) == term_char(book, this, i):
                    same += 1
            if same > most:
                most = same
                term = this
        start = get4(units, first * UNIT_WIDTH + UNIT_START)
        end = get4(units, (last - 1) * UNIT_WIDTH + UNIT_END)
        if is_term(book, text, start, end, term):
            continue
        kind = SEPARATED
        line = False
        for at in range(start, end):
            char = get4(text, at)
            line = line or char == LINE
            if char == EMOJI_CODE:
                kind = EMOJI_BETWEEN
        if line or overlaps(start, end, get8(work, f.GLOSS_SPANS), glosses, 2):
            continue
        for i in range(last - first):
            han = get4(units, (first + i) * UNIT_WIDTH + HAN_CHAR)
            if get4(units, (first + i) * UNIT_WIDTH + _SPLIT) and kind <= EMOJI_BETWEEN:
                kind = SPLIT_CHARACTER
            if han == 0:
                kind = PINYIN
            elif kind != PINYIN and han != term_char(book, term, i):
                kind = HOMOPHONE
        if kind in (HOMOPHONE, PINYIN) and get4(get8(book, f.TERM_FLAGS), term) & EXACT:
            continue
        spelling = exact(book, f.SPELLINGS, text, start, end)
        if spelling >= 0 and get4(get8(book, f.SPELLING_TERM), spelling) == term:
            kind = KNOWN_SPELLING
        put_row(rows, count, start, end, term, kind, first, spelling)
        count += 1
    return count


@kernel
def by_list(book: int, text: int, marks: int, length: int, rows: int, heard_count: int) -> int:
    """Candidates that are listed spellings, behind the ``heard_count`` rows there are; returns how many rows in all."""
    count = heard_count
    place = 0
    while place < length:
        if not get4(marks, place) & SPELLING_START:
            place += 1
            continue
        spelling, end = longest_at(book, f.SPELLINGS, text, place, length)
        if spelling < 0:
            place += 1
            continue
        start = place
        place = end
        flags = get4(get8(book, f.SPELLING_FLAGS), spelling)
        if flags & ASCII_FIRST and start > 0 and is_alphanumeric(get4(text, start - 1)):
            continue
        if flags & ASCII_LAST and end < length:
            after = get4(text, end)
            if is_alphanumeric(after) and not 48 <= after <= 57:
                continue
        if overlaps(start, end, rows, heard_count, ROW_WIDTH):
            continue
        term = get4(get8(book, f.SPELLING_TERM), spelling)
        put_row(rows, count, start, end, term, KNOWN_SPELLING, CHAR_BY_CHAR if flags & ONE_TO_ONE else WHOLE, spelling)
        count += 1
    return count


@kernel
def find_plain(book: int, text: int, marks: int, length: int, found: int) -> int:
    """Key terms in plain spelling as (term, start, end) into ``found``; returns how many."""
    count = 0
    place = 0
    while True:
        term, start, place = _next_term(book, text, marks, place, length)
        if term < 0:
            return count
        put4(found, 3 * count, term)
        put4(found, 3 * count + 1, start)
        put4(found, 3 * count + 2, place)
        count += 1
