"""Second step of the normaliser over arrays of code points; see ``pipeline.text.disguise``, which this repeats step by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..resources import read_table
from ..text import disguise as plain
from ..text.pinyin import fold_syllable, spellings_of
from .folding import (
    EMOJI_CODE,
    LETTER,
    LINE,
    SEPARATOR,
    SOUND_MASK,
    SPELLING_START,
    SPLIT_START,
    TERM_START,
    Folding,
    is_han,
)
from .jit import Array, kernel
from .matcher import classify, find
from .regex import Regex
from .segmentation import Dictionary, is_alphanumeric, word_ends
from .trie import Builder, Trie, exact, longest_at, starts_at, step

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


class Disguises(NamedTuple):
    """Tables of ``pipeline.text.disguise``. Terms are numbered: key terms first, then other meanings of listed spellings."""

    terms: Trie
    term_chars: Array
    term_starts: Array
    in_context: Array
    sounds: Trie
    sound_terms: Array
    sound_term_starts: Array
    syllables: Trie
    letters: Trie
    splits: Trie
    split_meaning: Array
    spellings: Trie
    spelling_term: Array
    spelling_flags: Array  # see below
    ordinary: Trie
    lending: Array


_ASCII_FIRST, _ASCII_LAST, _ONE_TO_ONE, _DOUBTFUL = 1, 2, 4, 8


def build_disguises(builder: Builder, folding: Folding) -> tuple[Disguises, tuple[str, ...]]:
    """The tables, and the terms by number. Sets the marks of the characters that terms and spellings begin with."""
    tables = plain._tables()
    marks = folding.marks
    if len(tables.sounds) >= SOUND_MASK:
        raise DataError("data/text/keyterms.tsv: more syllables than the compiled scorer can number.")
    sound = {code: number for number, code in enumerate(tables.sounds.values(), start=1)}
    for char, code in tables.fold.items():
        marks[char] = (marks[char] & ~SOUND_MASK) | sound[code]
    numbers = {term: number for number, term in reversed(list(enumerate(tables.terms)))}
    names = list(tables.terms)
    for term in tables.spellings.values():
        if term not in numbers:
            numbers[term] = len(names)
            names.append(term)
    sequences: dict[str, list[int]] = {}
    letters: set[str] = set()
    for term, pinyin, _ in read_table("text", "keyterms.tsv"):
        letters.update(pinyin.split())
        sequence = "".join(chr(sound[tables.sounds[fold_syllable(s)]]) for s in pinyin.split())
        sequences.setdefault(sequence, []).append(numbers[term])
    sound_terms = list(sequences.values())
    syllables: dict[str, int] = {}
    for syllable, code in tables.sounds.items():
        for spelling in spellings_of(syllable):
            if len(spelling) <= _LONGEST_SYLLABLE:
                syllables[spelling] = sound[code]
    spellings = tables.spelling_list
    for keys, bit in (
        (tables.terms, TERM_START),
        (spellings, SPELLING_START),
        (tuple(tables.split), SPLIT_START),
    ):
        marks[[ord(key[0]) for key in keys]] |= bit
    flags = [
        _ASCII_FIRST * raw[0].isascii()
        | _ASCII_LAST * raw[-1].isascii()
        | _ONE_TO_ONE * (len(raw) == len(tables.spellings[raw]))
        | _DOUBTFUL * (raw in plain._DOUBTFUL)
        for raw in spellings
    ]
    disguises = Disguises(
        terms=builder.strings(tables.terms),
        term_chars=np.array([ord(c) for term in names for c in term], dtype=np.int32),
        term_starts=np.cumsum([0, *map(len, names)], dtype=np.int32),
        in_context=np.array([term in tables.context_terms for term in names]),
        sounds=builder.strings(tuple(sequences)),
        sound_terms=np.array([t for terms in sound_terms for t in terms], dtype=np.int32),
        sound_term_starts=np.cumsum([0, *map(len, sound_terms)], dtype=np.int32),
        syllables=builder.strings(tuple(syllables), tuple(syllables.values())),
        letters=builder.strings(sorted(letters)),
        splits=builder.strings(tuple(tables.split)),
        split_meaning=np.array([ord(c) for c in tables.split.values()], dtype=np.int32),
        spellings=builder.strings(spellings),
        spelling_term=np.array([numbers[tables.spellings[raw]] for raw in spellings], dtype=np.int32),
        spelling_flags=np.array(flags, dtype=np.int32),
        ordinary=builder.strings(tuple(sorted(tables.ordinary))),
        lending=np.array(sorted(map(ord, plain._LENDING)), dtype=np.int32),
    )
    return disguises, tuple(names)


@kernel
def _next_longest(trie: Trie, text: Array, position: int, length: int) -> tuple[int, int, int]:
    """The next leftmost-longest key from ``position``: its value, start and end; value -1 if there is none."""
    for start in range(position, length):
        value, end = longest_at(trie, text, start, length)
        if value >= 0:
            return value, start, end
    return -1, length, length


@kernel
def _next_term(tables: Disguises, folding: Folding, text: Array, position: int, length: int) -> tuple[int, int, int]:
    """The next key term in plain spelling."""
    for start in range(position, length):
        if folding.marks[text[start]] & TERM_START:
            value, end = longest_at(tables.terms, text, start, length)
            if value >= 0:
                return value, start, end
    return -1, length, length


@kernel
def _says(tables: Disguises, row: int, term: int) -> bool:
    """Whether a row of sounds is that of a term."""
    for choice in range(tables.sound_term_starts[row], tables.sound_term_starts[row + 1]):
        if tables.sound_terms[choice] == term:
            return True
    return False


@kernel
def may_hold(text: Array, length: int, tables: Disguises, folding: Folding, heard: Array) -> bool:
    """As ``disguise._may_hold``. ``heard`` is scratch for ``length`` numbers."""
    marks = 0
    count = 0
    for at in range(length):
        mark = folding.marks[text[at]]
        marks |= mark
        if mark & SEPARATOR and not mark & SOUND_MASK:
            continue
        heard[count] = mark & SOUND_MASK
        count += 1
    if marks & SOUND_MASK or marks & TERM_START:
        place = 0
        sound_place = 0
        while True:
            term, _, place = _next_term(tables, folding, text, place, length)
            row = -1
            while sound_place < count:
                if heard[sound_place] != _OUTSIDE:
                    row, end = longest_at(tables.sounds, heard, sound_place, count)
                    if row >= 0:
                        sound_place = end
                        break
                sound_place += 1
            if term < 0 and row < 0:
                break
            if term < 0 or row < 0 or not _says(tables, row, term):
                return True
    if not marks & (LETTER | SPLIT_START | SPELLING_START):
        return False
    for at in range(length):
        mark = folding.marks[text[at]]
        if mark & LETTER and starts_at(tables.letters, text, at, length):
            return True
        if mark & SPLIT_START and starts_at(tables.splits, text, at, length):
            return True
        if mark & SPELLING_START and starts_at(tables.spellings, text, at, length):
            return True
    return False


class Units(NamedTuple):
    """Units of a text; ``han`` is 0 for a syllable in letters."""

    starts: Array
    ends: Array
    sounds: Array
    han: Array
    split: Array


@kernel
def _units(text: Array, length: int, tables: Disguises, folding: Folding) -> Units:
    starts = np.empty(length, dtype=np.int32)
    ends = np.empty(length, dtype=np.int32)
    sounds = np.empty(length, dtype=np.int32)
    han = np.empty(length, dtype=np.int32)
    split = np.zeros(length, dtype=np.uint8)
    count = 0
    index = 0
    fewest = np.empty(_LONGEST_RUN + 1, dtype=np.int32)
    origin = np.empty(_LONGEST_RUN + 1, dtype=np.int32)
    sound = np.empty(_LONGEST_RUN + 1, dtype=np.int32)
    while index < length:
        char = text[index]
        mark = folding.marks[char]
        width = 0
        meaning = 0
        if mark & SPLIT_START:
            for size in (3, 2):
                if index + size <= length:
                    number = exact(tables.splits, text, index, index + size)
                    if number >= 0:
                        width = size
                        meaning = tables.split_meaning[number]
                        break
        if width:
            starts[count] = index
            ends[count] = index + width
            sounds[count] = folding.marks[meaning] & SOUND_MASK
            han[count] = meaning
            split[count] = 1
            count += 1
            index += width
        elif mark & SEPARATOR:
            index += 1
        elif mark & LETTER:
            end = index + 1
            while end < length and folding.marks[text[end]] & LETTER:
                end += 1
            pieces = _syllables(text, index, end, tables, fewest, origin, sound)
            if pieces == 0:
                starts[count] = index
                ends[count] = end
                sounds[count] = _OUTSIDE
                han[count] = 0
                count += 1
            else:
                at = end - index
                for piece in range(count + pieces - 1, count - 1, -1):
                    starts[piece] = index + origin[at]
                    ends[piece] = index + at
                    sounds[piece] = sound[at]
                    han[piece] = 0
                    at = origin[at]
                count += pieces
            index = end
        else:
            starts[count] = index
            ends[count] = index + 1
            sounds[count] = mark & SOUND_MASK
            han[count] = char
            count += 1
            index += 1
    return Units(starts[:count], ends[:count], sounds[:count], han[:count], split[:count])


@kernel
def _syllables(
    text: Array, start: int, end: int, tables: Disguises, fewest: Array, origin: Array, sound: Array
) -> int:
    """Cut a run of letters into the fewest syllables; returns how many, 0 if it cannot be done."""
    length = end - start
    if length > _LONGEST_RUN:
        return 0
    fewest[0] = 0
    for to in range(1, length + 1):
        fewest[to] = -1
        for since in range(max(0, to - _LONGEST_SYLLABLE), to):
            if fewest[since] < 0 or (fewest[to] >= 0 and fewest[since] + 1 >= fewest[to]):
                continue
            code = exact(tables.syllables, text, start + since, start + to)
            if code >= 0:
                fewest[to] = fewest[since] + 1
                origin[to] = since
                sound[to] = code
    return max(0, fewest[length])


@kernel
def _is_term(text: Array, start: int, end: int, term: int, tables: Disguises) -> bool:
    """Whether the surface is the term itself."""
    first = tables.term_starts[term]
    if end - start != tables.term_starts[term + 1] - first:
        return False
    for i in range(end - start):
        if text[start + i] != tables.term_chars[first + i]:
            return False
    return True


@kernel
def _by_sound(text: Array, tables: Disguises, units: Units) -> Array:
    """Candidates read as rows of sounds."""
    found = np.empty((max(1, len(units.starts)), 6), dtype=np.int32)
    count = 0
    place = 0
    total = len(units.starts)
    while place < total:
        row = -1
        last = place
        if units.sounds[place] != _OUTSIDE:
            row, last = longest_at(tables.sounds, units.sounds, place, total)
        if row < 0:
            place += 1
            continue
        first = place
        place = last
        term = -1
        most = -1
        for choice in range(tables.sound_term_starts[row], tables.sound_term_starts[row + 1]):
            this = tables.sound_terms[choice]
            same = 0
            for i in range(last - first):
                if units.han[first + i] == tables.term_chars[tables.term_starts[this] + i]:
                    same += 1
            if same > most:
                most = same
                term = this
        start = units.starts[first]
        end = units.ends[last - 1]
        if _is_term(text, start, end, term, tables):
            continue
        emoji = False
        line = False
        for at in range(start, end):
            emoji = emoji or text[at] == EMOJI_CODE
            line = line or text[at] == LINE
        if line:
            continue
        kind = EMOJI_BETWEEN if emoji else SEPARATED
        for i in range(last - first):
            if units.split[first + i] and kind in (SEPARATED, EMOJI_BETWEEN):
                kind = SPLIT_CHARACTER
            if units.han[first + i] == 0:
                kind = PINYIN
            elif kind != PINYIN and units.han[first + i] != tables.term_chars[tables.term_starts[term] + i]:
                kind = HOMOPHONE
        spelling = exact(tables.spellings, text, start, end)
        if spelling >= 0 and tables.spelling_term[spelling] == term:
            kind = KNOWN_SPELLING
        found[count, START] = start
        found[count, END] = end
        found[count, TERM] = term
        found[count, KIND] = kind
        found[count, UNIT] = first
        found[count, SPELLING] = spelling
        count += 1
    return found[:count]


@kernel
def _by_list(text: Array, length: int, tables: Disguises, folding: Folding) -> Array:
    """Candidates that are listed spellings."""
    found = np.empty((max(1, length), 6), dtype=np.int32)
    count = 0
    place = 0
    while place < length:
        if not folding.marks[text[place]] & SPELLING_START:
            place += 1
            continue
        spelling, end = longest_at(tables.spellings, text, place, length)
        if spelling < 0:
            place += 1
            continue
        start = place
        place = end
        flags = tables.spelling_flags[spelling]
        if flags & _ASCII_FIRST and start > 0 and is_alphanumeric(text[start - 1]):
            continue
        if flags & _ASCII_LAST and end < length and is_alphanumeric(text[end]) and not 48 <= text[end] <= 57:
            continue
        found[count, START] = start
        found[count, END] = end
        found[count, TERM] = tables.spelling_term[spelling]
        found[count, KIND] = KNOWN_SPELLING
        found[count, UNIT] = CHAR_BY_CHAR if flags & _ONE_TO_ONE else WHOLE
        found[count, SPELLING] = spelling
        count += 1
    return found[:count]


@kernel
def _span(row: Array, units: Units, tables: Disguises, i: int) -> tuple[int, int]:
    """Canonical span of character ``i`` of the term of a candidate."""
    unit = row[UNIT]
    if unit == WHOLE:
        return row[START], row[END]
    if unit == CHAR_BY_CHAR:
        return row[START] + i, row[START] + i + 1
    size = tables.term_starts[row[TERM] + 1] - tables.term_starts[row[TERM]]
    at = unit + i
    return units.starts[at], (units.starts[at + 1] if i + 1 < size else units.ends[at])


@kernel
def _cuts_plain(text: Array, row: Array, terms: Array, units: Units, tables: Disguises) -> bool:
    start = row[START]
    end = row[END]
    for i in range(len(terms)):
        s = terms[i, 1]
        e = terms[i, 2]
        if s < end and start < e and not (start <= s and e <= end):
            return True
    first = tables.term_starts[row[TERM]]
    for i in range(tables.term_starts[row[TERM] + 1] - first):
        s, e = _span(row, units, tables, i)
        if e - s == 1 and text[s] != tables.term_chars[first + i]:
            for char in tables.lending:
                if text[s] == char:
                    return True
    return False


@kernel
def _is_ordinary(text: Array, length: int, row: Array, ends: Array, units: Units, tables: Disguises) -> bool:
    start = row[START]
    end = row[END]
    listed = row[KIND] == KNOWN_SPELLING
    han = 0
    letters = 0
    for at in range(start, end):
        han += is_han(text[at])
        letters += 97 <= text[at] <= 122
    if row[KIND] == PINYIN and han == 0:
        return (
            letters < 5
            or (start > 0 and is_alphanumeric(text[start - 1]))
            or (end < length and is_alphanumeric(text[end]))
        )
    if not listed and exact(tables.ordinary, text, start, end) >= 0:
        return True
    # Words lie side by side: go back to the one that reaches into the candidate.
    word = start
    while word > 0 and ends[word] == 0:
        word -= 1
    first = tables.term_starts[row[TERM]]
    size = tables.term_starts[row[TERM] + 1] - first
    while word < end:
        word_end = ends[word]
        if word_end - word >= 2:
            has_han = False
            for at in range(word, word_end):
                has_han = has_han or is_han(text[at])
            if has_han and exact(tables.terms, text, word, word_end) < 0:
                if not (start <= word and word_end <= end):
                    return True
                if not listed:
                    fits = False
                    for i in range(size - 1, -1, -1):
                        s, _ = _span(row, units, tables, i)
                        if s == word:
                            fits = i + word_end - word <= size
                            if fits:
                                for k in range(word_end - word):
                                    if text[word + k] != tables.term_chars[first + i + k]:
                                        fits = False
                                        break
                            break
                    if not fits:
                        return True
        word = word_end
    return False


@kernel
def _near(start: int, end: int, row: Array) -> bool:
    if start < row[END] and row[START] < end:
        return False
    return start - row[END] <= plain.CONTEXT_WINDOW and row[START] - end <= plain.CONTEXT_WINDOW


@kernel
def plain_terms(text: Array, length: int, tables: Disguises, folding: Folding) -> Array:
    """Key terms in plain spelling: rows of (term, start, end)."""
    found = np.empty((8, 3), dtype=np.int32)
    count = 0
    place = 0
    while True:
        term, start, end = _next_term(tables, folding, text, place, length)
        if term < 0:
            return found[:count]
        if count == len(found):
            larger = np.empty((2 * count, 3), dtype=np.int32)
            larger[:count] = found
            found = larger
        found[count, 0] = term
        found[count, 1] = start
        found[count, 2] = end
        count += 1
        place = end


@kernel
def _supported(row: Array, number: int, open_rows: Array, anchors: Array, needed: int) -> bool:
    """Whether enough signs of lending stand near: different anchors, and different terms of other candidates."""
    weight = 0
    for i in range(len(anchors)):
        if _near(anchors[i, 0], anchors[i, 1], row):
            new = True
            for j in range(i):
                if (
                    anchors[j, 0] == anchors[i, 0]
                    and anchors[j, 1] == anchors[i, 1]
                ):
                    new = False
                    break
            weight += new
            if weight >= needed:
                return True
    for i in range(len(open_rows)):
        other = open_rows[i]
        if i != number and other[KIND] != KNOWN_SPELLING and _near(other[START], other[END], row):
            new = True
            for j in range(i):
                earlier = open_rows[j]
                if (
                    j != number
                    and earlier[TERM] == other[TERM]
                    and earlier[KIND] != KNOWN_SPELLING
                    and _near(earlier[START], earlier[END], row)
                ):
                    new = False
                    break
            weight += new
            if weight >= needed:
                return True
    return False


@kernel
def _overlaps(row: Array, spans: Array, first: int, last: int) -> bool:
    """Whether a candidate overlaps a span in columns ``first`` and ``last``."""
    for i in range(len(spans)):
        if row[START] < spans[i, last] and spans[i, first] < row[END]:
            return True
    return False


@kernel
def find_disguises(
    text: Array, length: int, tables: Disguises, folding: Folding, regex: Regex, dictionary: Dictionary
) -> tuple[Array, Units]:
    """Accepted disguises in order, not overlapping, and the units they refer to. Call only if :func:`may_hold`."""
    units = _units(text, length, tables, folding)
    kinds = np.empty(0, dtype=np.uint16)
    glosses = np.empty((0, 3), dtype=np.int32)
    for at in range(length):
        if text[at] == 40:  # a bracket: else there is no gloss
            kinds = classify(text, length, regex)
            glosses = find(regex, GLOSSES, GLOSSES + 1, text, kinds, length)
            break
    if len(glosses) < 2:
        glosses = glosses[:0]
    by_sound = _by_sound(text, tables, units)
    by_list = _by_list(text, length, tables, folding)
    candidates = np.empty((len(by_sound) + len(by_list), 6), dtype=np.int32)
    count = 0
    for row in by_sound:
        if not _overlaps(row, glosses, 1, 2):
            candidates[count] = row
            count += 1
    heard = candidates[:count]
    for row in by_list:
        if not _overlaps(row, heard, START, END):
            candidates[count] = row
            count += 1
    accepted = np.empty((count + len(glosses), 6), dtype=np.int32)
    total = 0
    for i in range(count):
        if candidates[i, KIND] <= EMOJI_BETWEEN:
            accepted[total] = candidates[i]
            total += 1
    if total < count:
        sure = total
        if len(kinds) == 0:
            kinds = classify(text, length, regex)
        terms = plain_terms(text, length, tables, folding)
        urls = find(regex, URLISH, URLISH + 1, text, kinds, length)
        ends = np.empty(0, dtype=np.int32)
        open_rows = np.empty((count - total, 6), dtype=np.int32)
        open_count = 0
        for i in range(count):
            row = candidates[i]
            if row[KIND] <= EMOJI_BETWEEN or _overlaps(row, urls, 1, 2):
                continue
            if len(ends) == 0:
                ends = word_ends(text, length, dictionary)
            if _cuts_plain(text, row, terms, units, tables) or _is_ordinary(text, length, row, ends, units, tables):
                continue
            open_rows[open_count] = row
            open_count += 1
        if open_count:
            open_rows = open_rows[:open_count]
            context = find(regex, CONTEXT, CONTEXT + 1, text, kinds, length)
            anchors = np.empty((len(terms) + len(context) + sure, 2), dtype=np.int32)
            anchor_count = 0
            for i in range(len(terms)):
                if tables.in_context[terms[i, 0]]:
                    anchors[anchor_count] = terms[i, 1:]
                    anchor_count += 1
            for i in range(len(context)):
                anchors[anchor_count] = context[i, 1:]
                anchor_count += 1
            for i in range(sure):
                if tables.in_context[accepted[i, TERM]]:
                    anchors[anchor_count] = accepted[i, : END + 1]
                    anchor_count += 1
            anchors = anchors[:anchor_count]
            for i in range(open_count):
                row = open_rows[i]
                doubtful = (
                    row[KIND] == KNOWN_SPELLING
                    and row[SPELLING] >= 0
                    and tables.spelling_flags[row[SPELLING]] & _DOUBTFUL != 0
                )
                if _supported(row, i, open_rows, anchors, 2 if doubtful else 1):
                    accepted[total] = row
                    total += 1
    for i in range(len(glosses)):
        accepted[total, START] = glosses[i, 1]
        accepted[total, END] = glosses[i, 2]
        accepted[total, TERM] = -1
        accepted[total, KIND] = GLOSS
        total += 1
    return _in_order(accepted[:total]), units


@kernel
def _in_order(rows: Array) -> Array:
    """Sorted by start, longest first, equal ones as they were; what overlaps an earlier one is dropped."""
    for i in range(1, len(rows)):
        row = rows[i].copy()
        at = i
        while at > 0 and (
            rows[at - 1, START] > row[START] or (rows[at - 1, START] == row[START] and rows[at - 1, END] < row[END])
        ):
            rows[at] = rows[at - 1]
            at -= 1
        rows[at] = row
    kept = 0
    for i in range(len(rows)):
        if kept == 0 or rows[i, START] >= rows[kept - 1, END]:
            rows[kept] = rows[i]
            kept += 1
    return rows[:kept]


@kernel
def replace(
    text: Array, length: int, starts: Array, ends: Array, found: Array, units: Units, tables: Disguises
) -> tuple[Array, Array, Array, Array]:
    """The text with terms in place of disguises, raw starts and ends, and for each character the kind + 1 that begins there."""
    size = length
    for row in found:
        if row[TERM] >= 0:
            size += tables.term_starts[row[TERM] + 1] - tables.term_starts[row[TERM]]
        size -= row[END] - row[START]
    new_text = np.empty(size, dtype=np.int32)
    new_starts = np.empty(size, dtype=np.int32)
    new_ends = np.empty(size, dtype=np.int32)
    kinds = np.zeros(size, dtype=np.uint8)
    count = 0
    at = 0
    for number in range(len(found) + 1):
        stop = found[number, START] if number < len(found) else length
        for index in range(at, stop):
            new_text[count] = text[index]
            new_starts[count] = starts[index]
            new_ends[count] = ends[index]
            count += 1
        if number == len(found):
            break
        row = found[number]
        if row[TERM] >= 0:
            kinds[count] = row[KIND] + 1
            first = tables.term_starts[row[TERM]]
            for i in range(tables.term_starts[row[TERM] + 1] - first):
                s, e = _span(row, units, tables, i)
                new_text[count] = tables.term_chars[first + i]
                new_starts[count] = starts[s]
                new_ends[count] = ends[e - 1]
                count += 1
        at = row[END]
    return new_text, new_starts, new_ends, kinds
