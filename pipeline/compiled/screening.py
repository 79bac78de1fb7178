"""Texts that pass the gate picked out of many, before any of them is looked at more closely.

Most texts stop at the gate. What follows it needs other tables and another piece of code, which stay near if they are used for many
texts in a row.
"""

from __future__ import annotations

from . import fields as f
from .canonical import normalise, passes, place_of, too_short
from .jit import Array, kernel
from .memory import get8, put8

GATED, IS_TRADITIONAL, TOO_SHORT, OBFUSCATED = 1, 2, 4, 8  # flags of a text
MOST_HELD = 128  # texts
HELD_CHARS = 4096  # from which on no more are held
HELD_LINE = 16  # int32 of a line of memory, at which each begins
# Columns of a text that is held. Where its disguises were undone, LENGTH is -1: it has to be normalised again.
NUMBER, LENGTH, CHANGED, TEXT, MARKS, STARTS, ENDS = range(7)
HELD = 7
_TEXT_FIELDS = (f.TEXT, f.TEXT_MARKS, f.TEXT_STARTS, f.TEXT_ENDS)


@kernel
def _move(work: int, by: int) -> None:
    """Let the fields of the canonical text begin ``by`` int32 further on."""
    for field in _TEXT_FIELDS:
        put8(work, field, get8(work, field) + 4 * by)


@kernel
def hold_texts(
    book: int,
    work: int,
    raws: int,
    offsets: Array,
    number: int,
    used: int,
    held: int,
    outcome: int,
    flags: Array,
    jurisdiction: Array,
) -> tuple[int, int, int]:
    """Normalise texts from ``number`` on, set their flags, and hold those that pass the gate as rows of ``held`` (int64).

    ``used``: int32 that the fields of the canonical text were moved by when texts were last held, which are let go; they stand behind
    the texts held then. Returns the next text, how many are held, and the new ``used``. Where the next text is ``number``, there is not
    room enough for it.
    """
    _move(work, -used)
    count = 0
    used = 0
    total = len(offsets) - 1
    while number < total and count < MOST_HELD and used < HELD_CHARS:
        raw = raws + 4 * offsets[number]
        length = normalise(book, work, raw, offsets[number + 1] - offsets[number], outcome)
        if length < 0:
            break
        replaced = get8(outcome, 0) != 0
        text = get8(work, f.NEW_TEXT if replaced else f.TEXT)
        flag = TOO_SHORT if too_short(get8(work, f.NEW_MARKS if replaced else f.TEXT_MARKS), length) else 0
        if get8(outcome, 2) != 0:
            flag |= IS_TRADITIONAL
            jurisdiction[number] = place_of(book, text, length)
        if passes(book, text, length, get8(outcome, 3), get8(outcome, 4)):
            row = held + 8 * HELD * count
            put8(row, NUMBER, number)
            put8(row, LENGTH, -1 if replaced else length)
            put8(row, CHANGED, get8(outcome, 1))
            for column, field in enumerate(_TEXT_FIELDS):
                put8(row, TEXT + column, get8(work, field))
            count += 1
            if not replaced:
                # Some look at what stands behind the last character; and whole lines of memory.
                size = (length + HELD_LINE) & ~(HELD_LINE - 1)
                used += size
                _move(work, size)
        else:
            flag |= GATED
        flags[number] = flag
        number += 1
    return number, count, used
