"""Which candidates are disguises, and the text with them undone; see ``pipeline.text.disguise`` and ``.normalise``."""

from __future__ import annotations

from ..text.disguise import _FEWEST_LETTERS as FEWEST_LETTERS
from ..text.disguise import _FREE_LETTERS as FREE_LETTERS
from . import fields as f
from .candidates import (
    ACCEPTED,
    CHAR_BY_CHAR,
    END,
    KIND,
    ROW_WIDTH,
    START,
    TERM,
    UNIT,
    UNIT_END,
    UNIT_START,
    UNIT_WIDTH,
    WHOLE,
    by_list,
    by_sound,
    cell,
    cut_units,
    find_plain,
    overlaps,
    put_row,
    term_char,
    term_size,
)
from .context import accept_in_context, copy_row, find_anchors, supported
from .disguise_tables import (
    EMOJI_BETWEEN,
    GLOSS,
    KNOWN_SPELLING,
    PINYIN,
    SPLIT_CHARACTER,
)
from .folding import BARE, BRACKET, HAN, LETTER
from .jit import kernel
from .matcher import classify, find
from .memory import get4, get8, put4
from .patterns import GLOSSES, URLISH
from .segmentation import cut_words
from .trie import exact, starts_at


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
    at = (unit + i) * UNIT_WIDTH
    if i + 1 < term_size(book, cell(rows, number, TERM)):
        return get4(units, at + UNIT_START), get4(units, at + UNIT_WIDTH + UNIT_START)
    return get4(units, at + UNIT_START), get4(units, at + UNIT_END)


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
            return letters < FEWEST_LETTERS or (
                letters < FREE_LETTERS
                and (
                    (start > 0 and get4(marks, start - 1) & LETTER != 0)
                    or (end < length and get4(marks, end) & LETTER != 0)
                )
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
def _is_sure(book: int, text: int, marks: int, rows: int, number: int) -> bool:
    kind = cell(rows, number, KIND)
    if kind <= EMOJI_BETWEEN:
        return True
    if kind != SPLIT_CHARACTER or term_size(book, cell(rows, number, TERM)) < 2:
        return False
    end = cell(rows, number, END)
    for at in range(cell(rows, number, START), end):
        if get4(marks, at) & BARE or starts_at(book, f.SURE_SPLITS, text, at, end):
            return True
    return False


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
    units = cut_units(book, work, text, marks, length)
    candidates = get8(work, f.CANDIDATES)
    count = by_sound(book, work, text, units, glosses, candidates)
    count = by_list(book, text, marks, length, candidates, count)
    accepted = get8(work, f.ACCEPTED)
    total = 0
    for i in range(count):
        if _is_sure(book, text, marks, candidates, i):
            put4(candidates, i * ROW_WIDTH + ACCEPTED, 1)
            copy_row(candidates, i, accepted, total)
            total += 1
    if total < count:
        if not classified:
            classify(book, text, length, kinds)
        total = _accept_open(book, work, text, marks, length, candidates, count, accepted, total)
    for i in range(glosses):
        spans = get8(work, f.GLOSS_SPANS)
        put_row(accepted, total, get4(spans, 2 * i), get4(spans, 2 * i + 1), -1, GLOSS, WHOLE, -1)
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
    anchor_count = find_anchors(book, work, text, length, plain_count, accepted, sure)
    url_spans = get8(work, f.URL_SPANS)
    urls = find(book, URLISH, text, kinds, length, stack, url_spans)
    rows = get8(work, f.OPEN)
    open_count = 0
    for i in range(count):
        start = cell(candidates, i, START)
        if cell(candidates, i, ACCEPTED) == 0 and not overlaps(start, cell(candidates, i, END), url_spans, urls, 2):
            copy_row(candidates, i, rows, open_count)
            open_count += 1
    # Most candidates of ordinary text stand alone: then words need not be looked at.
    possible = False
    for i in range(open_count):
        possible = possible or supported(book, text, marks, rows, open_count, i, anchors, anchor_count)
    if not possible:
        return sure
    cut_words(
        book, text, length, get8(work, f.WORD_ENDS), get8(work, f.BEST), get8(work, f.FOLLOWING), get8(work, f.CHOSEN)
    )
    tried = open_count
    open_count = 0
    for i in range(tried):
        if not _cuts_plain(book, work, text, rows, i, plain_count) and not _is_ordinary(
            book, work, text, marks, length, rows, i
        ):
            copy_row(rows, i, rows, open_count)
            open_count += 1
    return accept_in_context(book, text, marks, rows, open_count, anchors, anchor_count, accepted, sure)


@kernel
def _in_order(rows: int, count: int) -> int:
    """Sort by start, longest first, equal ones as they were; drop what overlaps an earlier one. Returns how many stay."""
    spare = count  # a row behind the others
    for i in range(1, count):
        copy_row(rows, i, rows, spare)
        start = cell(rows, spare, START)
        end = cell(rows, spare, END)
        at = i
        while at > 0 and (
            cell(rows, at - 1, START) > start or (cell(rows, at - 1, START) == start and cell(rows, at - 1, END) < end)
        ):
            copy_row(rows, at - 1, rows, at)
            at -= 1
        copy_row(rows, spare, rows, at)
    kept = 0
    for i in range(count):
        if kept == 0 or cell(rows, i, START) >= cell(rows, kept - 1, END):
            copy_row(rows, i, rows, kept)
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
