"""Scratch memory of one call, laid out in two blocks; fields of a book of its own, see fields.py."""

from __future__ import annotations

from ..model.evidence import KEEP
from ..text.disguise import _LONGEST_RUN as LONGEST_RUN
from . import fields as f
from .jit import kernel
from .memory import get8, put8
from .screening import HELD_CHARS, HELD_LINE


@kernel
def _take(work: int, field: int, block: int, used: int, size: int) -> int:
    """Give a field ``size`` int32 of a block; returns how many are used then. Kept even, so that doubles lie straight."""
    put8(work, field, block + 4 * used)
    return used + size + (size & 1)


@kernel
def lay_out(book: int, work: int, block: int, room: int) -> int:
    """Give the fields that grow with the text their part of a block, if it is not 0; returns how many int32 they take."""
    used = 0
    one = room + 4
    for field in (f.TEXT, f.TEXT_MARKS, f.TEXT_STARTS, f.TEXT_ENDS):
        # Held texts, of which the last may take all the room, and one that is normalised again behind them.
        used = _take(work, field, block, used, HELD_CHARS + HELD_LINE + 2 * one)
    for field in (f.NEW_TEXT, f.NEW_MARKS, f.NEW_STARTS, f.NEW_ENDS):
        used = _take(work, field, block, used, one)
    for field in (f.REPLACED, f.HEARD, f.KINDS, f.WORD_ENDS, f.FOLLOWING, f.BREAKS, f.CHOSEN):
        used = _take(work, field, block, used, one)
    for field in (f.BEST, f.GLOSS_SPANS, f.URL_SPANS, f.CONTEXT_SPANS, f.BREAK_SPANS):
        used = _take(work, field, block, used, 2 * one)
    for field in (f.CANDIDATES, f.ACCEPTED, f.OPEN):
        used = _take(work, field, block, used, 14 * one)
    used = _take(work, f.PLAIN, block, used, 3 * one)
    used = _take(work, f.UNITS, block, used, 5 * one)
    used = _take(work, f.WORD_ROWS, block, used, 5 * one)
    used = _take(work, f.ANCHORS, block, used, 6 * one)
    used = _take(work, f.GRAM_ROWS, block, used, 2 * get8(book, f.LONGEST_GRAM) * one + 2)
    used = _take(work, f.GRAM_STARTS, block, used, one)
    put8(work, f.ROOM, room)
    return used


@kernel
def lay_out_fixed(book: int, work: int, block: int) -> int:
    """The same for fields whose size the tables fix."""
    classes = get8(book, f.CLASS_COUNT)
    concepts = get8(book, f.CONCEPT_COUNT)
    rows = get8(book, f.WEIGHT_ROWS)
    used = 0
    used = _take(work, f.STACK, block, used, 8 * get8(book, f.STACK_ROWS) + 4 * get8(book, f.GROUPS) + 16)
    used = _take(work, f.FACTS, block, used, 16)
    used = _take(work, f.SYLLABLE_SCRATCH, block, used, 3 * (LONGEST_RUN + 4))
    used = _take(work, f.LAST_END, block, used, classes + 2 * get8(book, f.PROGRAMS))
    used = _take(work, f.GROUP, block, used, 2 * get8(book, f.MOST_AT_ONE_PLACE) + 2)
    used = _take(work, f.SEEN, block, used, concepts)
    used = _take(work, f.ORDER, block, used, max(concepts, get8(book, f.CODES)))
    used = _take(work, f.FIRST_FOUND, block, used, concepts)
    used = _take(work, f.TOTALS, block, used, 2 * max(get8(book, f.WEIGHT_WIDTH), KEEP * get8(book, f.CODES)))
    used = _take(work, f.STAMPS, block, used, rows + 1)
    used = _take(work, f.ROW_LIST, block, used, rows + classes + 2)
    used = _take(work, f.ALIVE, block, used, 2 * get8(book, f.FIRST_WORDS))
    used = _take(work, f.CLASS_SEEN, block, used, classes)
    used = _take(work, f.CLASS_ORDER, block, used, 2 * classes)
    return _take(work, f.COVERED, block, used, rows)
