"""Second step of the normaliser over code points; see ``pipeline.text.disguise``, which this repeats step by step.

``book`` and ``work`` are addresses of fields, see :mod:`.memory`; the text in hand and its marks are addresses too, since a text
is looked at before and after disguises are undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized

import numpy as np

from ..errors import DataError
from ..resources import read_table
from ..text import disguise as plain
from ..text.pinyin import fold_syllable, spellings_of
from . import fields as f
from .folding import (
    EMOJI_CODE,
    HAN,
    LETTER,
    LINE,
    SEPARATOR,
    SOUND_MASK,
    SPELLING_START,
    SPLIT_START,
    TERM_START,
    BRACKET,
)
from .jit import Array, kernel
from .matcher import classify, find
from .memory import Book, get1, get4, get8, put4
from .segmentation import cut_words, is_alphanumeric
from .trie import Builder, exact, longest_at, starts_at

KINDS = (
    "separator",
    "emoji",
    "pinyin",
    "homophone",
    "split_character",
    "known_spelling",
    "pinyin_gloss",
    "zero_width",
    "traditional",
    "variant_glyph",
)
SEPARATED, EMOJI_BETWEEN, PINYIN, HOMOPHONE, SPLIT_CHARACTER, KNOWN_SPELLING, GLOSS, ZERO_WIDTH, TRADITIONAL_GLYPH, VARIANT = (
    range(10)
)
# Programs at the head of the compiled patterns.
CONTEXT, GLOSSES, URLISH, SENTENCE_END, CLAUSE_END, FIRST_CLASS_PATTERN = range(6)

# Columns of a candidate or an accepted disguise.
START, END, TERM, KIND, UNIT, SPELLING = range(6)
WHOLE, CHAR_BY_CHAR = -1, -2  # UNIT of a listed spelling: its characters map to the whole of it, or one to one
_LONGEST_RUN, _LONGEST_SYLLABLE = 24, 6
_OUTSIDE = 0  # a sound that no term has


_ASCII_FIRST, _ASCII_LAST, _ONE_TO_ONE, _DOUBTFUL = 1, 2, 4, 8  # flags of a listed spelling
# Columns of a unit; HAN_CHAR is 0 for a syllable in letters.
_UNIT_START, _UNIT_END, _SOUND, _HAN_CHAR, _SPLIT = range(5)
_UNIT = 5
_ROW = 6


def enter_disguises(book: Book, builder: Builder, marks: Array) -> tuple[str, ...]:
    """Put the tables into their fields, set the marks of characters, and return the terms by number.

    Terms are numbered: key terms first, then other meanings of listed spellings.
    """
    tables = plain._tables()
    if len(tables.sounds) >= SOUND_MASK:
        raise DataError("data/text/keyterms.tsv: more syllables than the compiled scorer can number.")
    sound = {code: number for number, code in enumerate(tables.sounds.values(), start=1)}
    for char, code in tables.fold.items():
        marks[char] = (marks[char] & ~SOUND_MASK) | sound[code]
    names = list(tables.terms)
    numbers = {term: number for number, term in reversed(list(enumerate(names)))}
    for term in tables.spellings.values():
        if term not in numbers:
            numbers[term] = len(names)
            names.append(term)
    _enter_sounds(book, builder, sound, numbers)
    spellings = tables.spelling_list
    for keys, bit in ((tables.terms, TERM_START), (spellings, SPELLING_START), (tuple(tables.split), SPLIT_START)):
        marks[[ord(key[0]) for key in keys]] |= bit
    flags = [
        _ASCII_FIRST * raw[0].isascii()
        | _ASCII_LAST * raw[-1].isascii()
        | _ONE_TO_ONE * (len(raw) == len(tables.spellings[raw]))
        | _DOUBTFUL * (raw in plain._DOUBTFUL)
        for raw in spellings
    ]
    builder.strings(tables.terms).enter(book, f.TERMS)
    book.table(f.TERM_CHARS, _numbers(ord(c) for term in names for c in term))
    book.table(f.TERM_STARTS, _ends(names))
    book.table(f.IN_CONTEXT, _numbers(term in tables.context_terms for term in names))
    builder.strings(tuple(tables.split)).enter(book, f.SPLITS)
    book.table(f.SPLIT_MEANING, _numbers(map(ord, tables.split.values())))
    builder.strings(spellings).enter(book, f.SPELLINGS)
    book.table(f.SPELLING_TERM, _numbers(numbers[tables.spellings[raw]] for raw in spellings))
    book.table(f.SPELLING_FLAGS, _numbers(flags))
    builder.strings(tuple(sorted(tables.ordinary))).enter(book, f.ORDINARY)
    book.number(f.CONTEXT_WINDOW, plain.CONTEXT_WINDOW)
    book.number(f.GROWTH, max([1, *(-(-len(term) // len(raw)) for raw, term in tables.spellings.items())]))
    book.table(f.LENDING, _numbers(sorted(map(ord, plain._LENDING))))
    book.number(f.LENDING_COUNT, len(plain._LENDING))
    return tuple(names)


def _enter_sounds(book: Book, builder: Builder, sound: dict[str, int], numbers: dict[str, int]) -> None:
    """Tables of what syllables and rows of them mean."""
    tables = plain._tables()
    sequences: dict[str, list[int]] = {}
    letters: set[str] = set()
    for term, pinyin, _ in read_table("text", "keyterms.tsv"):
        syllables = pinyin.split()
        letters.update(syllables)
        sequence = "".join(chr(sound[tables.sounds[fold_syllable(s)]]) for s in syllables)
        sequences.setdefault(sequence, []).append(numbers[term])
    spelt = {
        spelling: sound[code]
        for syllable, code in tables.sounds.items()
        for spelling in spellings_of(syllable)
        if len(spelling) <= _LONGEST_SYLLABLE
    }
    count = len(sound) + 1
    pairs = np.zeros((count, count), dtype=np.uint8)
    for sequence in sequences:
        if len(sequence) == 1:
            pairs[ord(sequence)] = 1
        else:
            pairs[ord(sequence[0]), ord(sequence[1])] = 1
    # Where a character of a term has another sound in another term, the term does not sound like its own row. Its pair is
    # entered too: text without any pair then holds no plain term either.
    for term in tables.terms:
        heard = [sound[tables.fold[ord(c)]] for c in term]
        pairs[heard[0], heard[1] if len(heard) > 1 else slice(None)] = 1
    builder.strings(tuple(sequences)).enter(book, f.SOUNDS)
    book.table(f.SOUND_TERMS, _numbers(number for terms in sequences.values() for number in terms))
    book.table(f.SOUND_TERM_STARTS, _ends(sequences.values()))
    book.table(f.SOUND_PAIRS, pairs)
    book.number(f.SOUND_COUNT, count)
    builder.strings(tuple(spelt), tuple(spelt.values())).enter(book, f.SYLLABLES)
    builder.strings(sorted(letters)).enter(book, f.LETTERS)


def _numbers(values: Iterable[int]) -> Array:
    return np.array(list(values), dtype=np.int32)


def _ends(rows: Iterable[Sized]) -> Array:
    """Where each row begins in all rows behind each other, and where the last ends."""
    return np.cumsum([0, *map(len, rows)], dtype=np.int32)


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
def _heard_otherwise(book: int, text: int, marks: int, length: int, heard: int, count: int) -> bool:
    """Whether the key terms that are heard are not the very ones that stand in the text."""
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
def may_hold(book: int, text: int, marks: int, length: int, every: int, heard: int) -> bool:
    """As ``disguise._may_hold``. ``every``: all marks of the text together; ``heard``: scratch for its sounds."""
    if every & SOUND_MASK or every & TERM_START:
        count = 0
        pairs = get8(book, f.SOUND_PAIRS)
        sounds = get8(book, f.SOUND_COUNT)
        before = 0
        heard_any = False
        for at in range(length):
            mark = get4(marks, at)
            sound = mark & SOUND_MASK
            if mark & SEPARATOR and sound == 0:
                continue
            if before and get1(pairs, before * sounds + sound):
                heard_any = True
            put4(heard, count, sound)
            count += 1
            before = sound
        # A row of one sound counts before any character, and before none.
        if heard_any or (before and get1(pairs, before * sounds)):
            if _heard_otherwise(book, text, marks, length, heard, count):
                return True
    if not every & (LETTER | SPLIT_START | SPELLING_START):
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
    at = number * _UNIT
    put4(units, at + _UNIT_START, start)
    put4(units, at + _UNIT_END, end)
    put4(units, at + _SOUND, sound)
    put4(units, at + _HAN_CHAR, han)
    put4(units, at + _SPLIT, split)


@kernel
def _cut_units(book: int, work: int, text: int, marks: int, length: int) -> int:
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
        put4(heard, number, get4(units, number * _UNIT + _SOUND))
    return count


_FEWEST, _ORIGIN, _SYLLABLE = 0, 32, 64  # parts of the scratch of _syllables


@kernel
def _syllables(book: int, text: int, start: int, end: int, scratch: int) -> int:
    """Cut a run of letters into the fewest syllables; returns how many, 0 if it cannot be done."""
    length = end - start
    if length > _LONGEST_RUN:
        return 0
    put4(scratch, _FEWEST, 0)
    for to in range(1, length + 1):
        fewest = -1
        for since in range(max(0, to - _LONGEST_SYLLABLE), to):
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
def _put_row(rows: int, number: int, start: int, end: int, term: int, kind: int, unit: int, spelling: int) -> None:
    at = number * _ROW
    put4(rows, at + START, start)
    put4(rows, at + END, end)
    put4(rows, at + TERM, term)
    put4(rows, at + KIND, kind)
    put4(rows, at + UNIT, unit)
    put4(rows, at + SPELLING, spelling)


@kernel
def _copy_row(source: int, number: int, target: int, at: int) -> None:
    for column in range(_ROW):
        put4(target, at * _ROW + column, get4(source, number * _ROW + column))


@kernel
def cell(rows: int, number: int, column: int) -> int:
    """An entry of a candidate."""
    return get4(rows, number * _ROW + column)


@kernel
def _overlaps(start: int, end: int, spans: int, count: int, width: int) -> bool:
    """Whether a stretch overlaps one of the rows, whose first two columns are start and end."""
    for i in range(count):
        if start < get4(spans, i * width + 1) and get4(spans, i * width) < end:
            return True
    return False


@kernel
def _by_sound(book: int, work: int, text: int, unit_count: int, glosses: int, rows: int) -> int:
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
                if get4(units, (first + i) * _UNIT + _HAN_CHAR) == term_char(book, this, i):
                    same += 1
            if same > most:
                most = same
                term = this
        start = get4(units, first * _UNIT + _UNIT_START)
        end = get4(units, (last - 1) * _UNIT + _UNIT_END)
        if is_term(book, text, start, end, term):
            continue
        kind = SEPARATED
        line = False
        for at in range(start, end):
            char = get4(text, at)
            line = line or char == LINE
            if char == EMOJI_CODE:
                kind = EMOJI_BETWEEN
        if line or _overlaps(start, end, get8(work, f.GLOSS_SPANS), glosses, 2):
            continue
        for i in range(last - first):
            han = get4(units, (first + i) * _UNIT + _HAN_CHAR)
            if get4(units, (first + i) * _UNIT + _SPLIT) and kind <= EMOJI_BETWEEN:
                kind = SPLIT_CHARACTER
            if han == 0:
                kind = PINYIN
            elif kind != PINYIN and han != term_char(book, term, i):
                kind = HOMOPHONE
        spelling = exact(book, f.SPELLINGS, text, start, end)
        if spelling >= 0 and get4(get8(book, f.SPELLING_TERM), spelling) == term:
            kind = KNOWN_SPELLING
        _put_row(rows, count, start, end, term, kind, first, spelling)
        count += 1
    return count


@kernel
def _by_list(book: int, text: int, marks: int, length: int, rows: int, heard_count: int) -> int:
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
        if flags & _ASCII_FIRST and start > 0 and is_alphanumeric(get4(text, start - 1)):
            continue
        if flags & _ASCII_LAST and end < length:
            after = get4(text, end)
            if is_alphanumeric(after) and not 48 <= after <= 57:
                continue
        if _overlaps(start, end, rows, heard_count, _ROW):
            continue
        term = get4(get8(book, f.SPELLING_TERM), spelling)
        _put_row(
            rows, count, start, end, term, KNOWN_SPELLING, CHAR_BY_CHAR if flags & _ONE_TO_ONE else WHOLE, spelling
        )
        count += 1
    return count


@kernel
def _span(book: int, work: int, rows: int, number: int, i: int) -> tuple[int, int]:
    """Canonical span of character ``i`` of the term of a candidate."""
    unit = cell(rows, number, UNIT)
    start = cell(rows, number, START)
    if unit == WHOLE:
        return start, cell(rows, number, END)
    if unit == CHAR_BY_CHAR:
        return start + i, start + i + 1
    units = get8(work, f.UNITS)
    at = (unit + i) * _UNIT
    if i + 1 < term_size(book, cell(rows, number, TERM)):
        return get4(units, at + _UNIT_START), get4(units, at + _UNIT + _UNIT_START)
    return get4(units, at + _UNIT_START), get4(units, at + _UNIT_END)


@kernel
def _cuts_plain(book: int, work: int, text: int, rows: int, number: int, plain_count: int) -> bool:
    start = cell(rows, number, START)
    end = cell(rows, number, END)
    terms = get8(work, f.PLAIN)
    for i in range(plain_count):
        s = get4(terms, 3 * i + 1)
        e = get4(terms, 3 * i + 2)
        if s < end and start < e and not (start <= s and e <= end):
            return True
    term = cell(rows, number, TERM)
    for i in range(term_size(book, term)):
        s, e = _span(book, work, rows, number, i)
        if e - s == 1 and get4(text, s) != term_char(book, term, i):
            for k in range(get8(book, f.LENDING_COUNT)):
                if get4(text, s) == get4(get8(book, f.LENDING), k):
                    return True
    return False


@kernel
def _is_ordinary(book: int, work: int, text: int, marks: int, length: int, rows: int, number: int) -> bool:
    start = cell(rows, number, START)
    end = cell(rows, number, END)
    kind = cell(rows, number, KIND)
    listed = kind == KNOWN_SPELLING
    if kind == PINYIN:
        han = 0
        letters = 0
        for at in range(start, end):
            han += get4(marks, at) & HAN
            if get4(marks, at) & LETTER:
                letters += 1
        if han == 0:
            return (
                letters < 5
                or (start > 0 and is_alphanumeric(get4(text, start - 1)))
                or (end < length and is_alphanumeric(get4(text, end)))
            )
    if not listed and exact(book, f.ORDINARY, text, start, end) >= 0:
        return True
    # Words lie side by side: go back to the one that reaches into the candidate.
    ends = get8(work, f.WORD_ENDS)
    word = start
    while word > 0 and get4(ends, word) == 0:
        word -= 1
    while word < end:
        word_end = get4(ends, word)
        if word_end - word >= 2 and _takes_up(book, work, text, marks, rows, number, word, word_end, listed):
            return True
        word = word_end
    return False


@kernel
def _takes_up(
    book: int, work: int, text: int, marks: int, rows: int, number: int, word: int, word_end: int, listed: bool
) -> bool:
    """Whether a word that overlaps a candidate shows it to be ordinary text."""
    han = 0
    for at in range(word, word_end):
        han |= get4(marks, at) & HAN
    if han == 0 or exact(book, f.TERMS, text, word, word_end) >= 0:
        return False
    if not (cell(rows, number, START) <= word and word_end <= cell(rows, number, END)):
        return True
    if listed:
        return False
    term = cell(rows, number, TERM)
    size = term_size(book, term)
    for i in range(size - 1, -1, -1):
        s, _ = _span(book, work, rows, number, i)
        if s == word:
            if i + word_end - word > size:
                return True
            for k in range(word_end - word):
                if get4(text, word + k) != term_char(book, term, i + k):
                    return True
            return False
    return True


@kernel
def _near(book: int, start: int, end: int, row_start: int, row_end: int) -> bool:
    if start < row_end and row_start < end:
        return False
    reach = get8(book, f.CONTEXT_WINDOW)
    return start - row_end <= reach and row_start - end <= reach


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


@kernel
def _supported(book: int, rows: int, count: int, number: int, anchors: int, anchor_count: int) -> bool:
    """Whether enough signs of lending stand near: different anchors, and different terms of other candidates."""
    needed = 1
    if cell(rows, number, KIND) == KNOWN_SPELLING:
        spelling = cell(rows, number, SPELLING)
        if get4(get8(book, f.SPELLING_FLAGS), spelling) & _DOUBTFUL:
            needed = 2
    start = cell(rows, number, START)
    end = cell(rows, number, END)
    weight = 0
    for i in range(anchor_count):
        s = get4(anchors, 2 * i)
        e = get4(anchors, 2 * i + 1)
        if _near(book, s, e, start, end):
            new = True
            for j in range(i):
                if get4(anchors, 2 * j) == s and get4(anchors, 2 * j + 1) == e:
                    new = False
                    break
            if new:
                weight += 1
                if weight >= needed:
                    return True
    for i in range(count):
        if i != number and _is_peer(book, rows, i, start, end):
            new = True
            for j in range(i):
                if (
                    j != number
                    and cell(rows, j, TERM) == cell(rows, i, TERM)
                    and _is_peer(book, rows, j, start, end)
                ):
                    new = False
                    break
            if new:
                weight += 1
                if weight >= needed:
                    return True
    return False


@kernel
def _is_peer(book: int, rows: int, number: int, start: int, end: int) -> bool:
    return cell(rows, number, KIND) != KNOWN_SPELLING and _near(
        book, cell(rows, number, START), cell(rows, number, END), start, end
    )


@kernel
def find_disguises(book: int, work: int, text: int, marks: int, length: int, every: int) -> int:
    """Accepted disguises into ``ACCEPTED``, in order, not overlapping; returns how many. Call only if :func:`may_hold`."""
    kinds = get8(work, f.KINDS)
    stack = get8(work, f.STACK)
    glosses = 0
    classified = False
    if every & BRACKET:
        classify(book, text, length, kinds)
        classified = True
        glosses = find(book, GLOSSES, text, kinds, length, stack, get8(work, f.GLOSS_SPANS))
        if glosses < 2:
            glosses = 0
    units = _cut_units(book, work, text, marks, length)
    candidates = get8(work, f.CANDIDATES)
    count = _by_sound(book, work, text, units, glosses, candidates)
    count = _by_list(book, text, marks, length, candidates, count)
    accepted = get8(work, f.ACCEPTED)
    total = 0
    for i in range(count):
        if cell(candidates, i, KIND) <= EMOJI_BETWEEN:
            _copy_row(candidates, i, accepted, total)
            total += 1
    if total < count:
        if not classified:
            classify(book, text, length, kinds)
        total = _accept_open(book, work, text, marks, length, candidates, count, accepted, total)
    for i in range(glosses):
        spans = get8(work, f.GLOSS_SPANS)
        _put_row(accepted, total, get4(spans, 2 * i), get4(spans, 2 * i + 1), -1, GLOSS, WHOLE, -1)
        total += 1
    return _in_order(accepted, total)


@kernel
def _accept_open(
    book: int, work: int, text: int, marks: int, length: int, candidates: int, count: int, accepted: int, sure: int
) -> int:
    """Accept the candidates that are not sure but stand in a lending context; returns how many are accepted in all."""
    kinds = get8(work, f.KINDS)
    stack = get8(work, f.STACK)
    plain_rows = get8(work, f.PLAIN)
    plain_count = find_plain(book, text, marks, length, plain_rows)
    anchors = get8(work, f.ANCHORS)
    anchor_count = _find_anchors(book, work, text, length, plain_count, accepted, sure)
    url_spans = get8(work, f.URL_SPANS)
    urls = find(book, URLISH, text, kinds, length, stack, url_spans)
    rows = get8(work, f.OPEN)
    open_count = 0
    for i in range(count):
        start = cell(candidates, i, START)
        if cell(candidates, i, KIND) > EMOJI_BETWEEN and not _overlaps(
            start, cell(candidates, i, END), url_spans, urls, 2
        ):
            _copy_row(candidates, i, rows, open_count)
            open_count += 1
    # Most candidates of ordinary text stand alone: then words need not be looked at.
    possible = False
    for i in range(open_count):
        possible = possible or _supported(book, rows, open_count, i, anchors, anchor_count)
    if not possible:
        return sure
    cut_words(book, text, length, get8(work, f.WORD_ENDS), get8(work, f.BEST), get8(work, f.FOLLOWING))
    tried = open_count
    open_count = 0
    for i in range(tried):
        if not _cuts_plain(book, work, text, rows, i, plain_count) and not _is_ordinary(
            book, work, text, marks, length, rows, i
        ):
            _copy_row(rows, i, rows, open_count)
            open_count += 1
    total = sure
    for i in range(open_count):
        if _supported(book, rows, open_count, i, anchors, anchor_count):
            _copy_row(rows, i, accepted, total)
            total += 1
    return total


@kernel
def _find_anchors(book: int, work: int, text: int, length: int, plain_count: int, accepted: int, sure: int) -> int:
    """Spans that speak of lending into ``ANCHORS``: plain terms, words of context, accepted disguises. Returns how many."""
    context_spans = get8(work, f.CONTEXT_SPANS)
    context = find(book, CONTEXT, text, get8(work, f.KINDS), length, get8(work, f.STACK), context_spans)
    plain_rows = get8(work, f.PLAIN)
    anchors = get8(work, f.ANCHORS)
    in_context = get8(book, f.IN_CONTEXT)
    count = 0
    for i in range(plain_count):
        if get4(in_context, get4(plain_rows, 3 * i)):
            put4(anchors, 2 * count, get4(plain_rows, 3 * i + 1))
            put4(anchors, 2 * count + 1, get4(plain_rows, 3 * i + 2))
            count += 1
    for i in range(context):
        put4(anchors, 2 * count, get4(context_spans, 2 * i))
        put4(anchors, 2 * count + 1, get4(context_spans, 2 * i + 1))
        count += 1
    for i in range(sure):
        if get4(in_context, cell(accepted, i, TERM)):
            put4(anchors, 2 * count, cell(accepted, i, START))
            put4(anchors, 2 * count + 1, cell(accepted, i, END))
            count += 1
    return count


@kernel
def _in_order(rows: int, count: int) -> int:
    """Sort by start, longest first, equal ones as they were; drop what overlaps an earlier one. Returns how many stay."""
    spare = count  # a row behind the others
    for i in range(1, count):
        _copy_row(rows, i, rows, spare)
        start = cell(rows, spare, START)
        end = cell(rows, spare, END)
        at = i
        while at > 0 and (
            cell(rows, at - 1, START) > start or (cell(rows, at - 1, START) == start and cell(rows, at - 1, END) < end)
        ):
            _copy_row(rows, at - 1, rows, at)
            at -= 1
        _copy_row(rows, spare, rows, at)
    kept = 0
    for i in range(count):
        if kept == 0 or cell(rows, i, START) >= cell(rows, kept - 1, END):
            _copy_row(rows, i, rows, kept)
            kept += 1
    return kept


@kernel
def replace(book: int, work: int, length: int, accepted: int) -> int:
    """``TEXT`` with terms in place of ``ACCEPTED`` disguises into the ``NEW_…`` fields; returns its length."""
    text = get8(work, f.TEXT)
    old_marks = get8(work, f.TEXT_MARKS)
    starts = get8(work, f.TEXT_STARTS)
    ends = get8(work, f.TEXT_ENDS)
    new_text = get8(work, f.NEW_TEXT)
    new_marks = get8(work, f.NEW_MARKS)
    new_starts = get8(work, f.NEW_STARTS)
    new_ends = get8(work, f.NEW_ENDS)
    replaced = get8(work, f.REPLACED)
    rows = get8(work, f.ACCEPTED)
    mark_of = get8(book, f.MARKS)
    count = 0
    at = 0
    for number in range(accepted + 1):
        stop = cell(rows, number, START) if number < accepted else length
        for index in range(at, stop):
            put4(new_text, count, get4(text, index))
            put4(new_marks, count, get4(old_marks, index))
            put4(new_starts, count, get4(starts, index))
            put4(new_ends, count, get4(ends, index))
            put4(replaced, count, 0)
            count += 1
        if number == accepted:
            break
        term = cell(rows, number, TERM)
        if term >= 0:
            for i in range(term_size(book, term)):
                s, e = _span(book, work, rows, number, i)
                char = term_char(book, term, i)
                put4(new_text, count, char)
                put4(new_marks, count, get4(mark_of, char))
                put4(new_starts, count, get4(starts, s))
                put4(new_ends, count, get4(ends, e - 1))
                put4(replaced, count, cell(rows, number, KIND) + 1 if i == 0 else 0)
                count += 1
        at = cell(rows, number, END)
    return count
