"""Runs the programs of :mod:`.regex` by backtracking, as Python's own engine does: same matches, same spans.

Addresses: ``book`` fields, ``text`` code points and ``kinds`` their classes (int32), ``stack`` int64, 4 a row, of
``book[STACK_ROWS]`` rows and two more for each group.
"""

from __future__ import annotations

from . import fields as f
from .jit import kernel
from .memory import CHARACTER, DIRECT, get1, get2, get4, get8, put4, put8
from .regex import (
    BACKREF,
    BEHIND,
    GREEDY,
    GUARD,
    JUMP,
    LAZY,
    LOOK,
    NEGATED,
    SAVE,
    SET,
    SPLIT,
    UNBOUNDED,
    WORD_BITS,
)

_CHOICE, _COUNTED_DOWN, _COUNTED_UP, _GROUP = 0, 1, 2, 3


@kernel
def classify(book: int, text: int, length: int, kinds: int) -> None:
    """Class of each character into ``kinds``."""
    characters = get8(book, f.CHARACTERS)
    classes = get8(book, f.CLASSES)
    for at in range(length):
        char = get4(text, at)
        kind = get4(characters, char * CHARACTER + f.KIND) if char < DIRECT else get2(classes, char)
        put4(kinds, at, kind)


@kernel
def in_set(book: int, number: int, kind: int) -> bool:
    """Whether a class of characters is in a set."""
    return get1(get8(book, f.SETS), number * get8(book, f.SET_WIDTH) + kind) != 0


@kernel
def _looks(book: int, first: int, count: int, flags: int, kinds: int, length: int, position: int) -> bool:
    """Whether the condition of a ``LOOK`` holds at ``position``."""
    rows = get8(book, f.ROWS)
    row_starts = get8(book, f.ROW_STARTS)
    found = False
    for choice in range(first, first + count):
        row = get4(row_starts, choice)
        width = get4(row_starts, choice + 1) - row
        start = position - width if flags & BEHIND else position
        if start < 0 or start + width > length:
            continue
        found = True
        for i in range(width):
            if not in_set(book, get4(rows, row + i), get4(kinds, start + i)):
                found = False
                break
        if found:
            break
    return found != (flags & NEGATED != 0)


@kernel
def match_at(book: int, program: int, kinds: int, text: int, length: int, start: int, stack: int) -> int:
    """End of the match of a program at ``start``, or -1."""
    code = get8(book, f.CODE)
    sets = get8(book, f.SETS)
    set_width = get8(book, f.SET_WIDTH)
    groups = 4 * get8(book, f.STACK_ROWS)  # where they are kept in the stack
    for i in range(2 * get8(book, f.GROUPS)):
        put8(stack, groups + i, -1)
    row = 4 * get4(get8(book, f.ENTRIES), program)
    position = start
    top = 0
    while True:
        operation = get4(code, row)
        a = get4(code, row + 1)
        alive = True
        if operation == SET:
            alive = position < length and get1(sets, a * set_width + get4(kinds, position)) != 0
            position += 1
            row += 4
        elif operation == GUARD:
            if position < length and get1(sets, a * set_width + get4(kinds, position)) != 0:
                row += 4
            else:
                row = 4 * get4(code, row + 2)
        elif operation == SPLIT:
            put8(stack, top, _CHOICE)
            put8(stack, top + 1, 4 * get4(code, row + 2))
            put8(stack, top + 2, position)
            top += 4
            row = 4 * a
        elif operation == JUMP:
            row = 4 * a
        elif operation == GREEDY:
            least = get4(code, row + 2)
            most = get4(code, row + 3)
            end = length if most >= UNBOUNDED else min(length, position + most)
            at = position
            while at < end and get1(sets, a * set_width + get4(kinds, at)) != 0:
                at += 1
            alive = at - position >= least
            row += 4
            if alive and at - position > least:
                put8(stack, top, _COUNTED_DOWN)
                put8(stack, top + 1, row)
                put8(stack, top + 2, position + least)
                put8(stack, top + 3, at)
                top += 4
            position = at
        elif operation == LAZY:
            least = get4(code, row + 2)
            end = min(length, position + least)
            at = position
            while at < end and get1(sets, a * set_width + get4(kinds, at)) != 0:
                at += 1
            alive = at - position >= least
            if alive:
                put8(stack, top, _COUNTED_UP)
                put8(stack, top + 1, row)
                put8(stack, top + 2, at)
                put8(stack, top + 3, get4(code, row + 3) - least)
                top += 4
            position = at
            row += 4
        elif operation == SAVE:
            put8(stack, top, _GROUP)
            put8(stack, top + 1, a)
            put8(stack, top + 2, get8(stack, groups + a))
            top += 4
            put8(stack, groups + a, position)
            row += 4
        elif operation == BACKREF:
            first = get8(stack, groups + 2 * a)
            last = get8(stack, groups + 2 * a + 1)
            alive = first >= 0 and last >= first and position + last - first <= length
            if alive:
                for i in range(last - first):
                    if get4(text, first + i) != get4(text, position + i):
                        alive = False
                        break
                position += last - first
            row += 4
        elif operation == LOOK:
            alive = _looks(book, a, get4(code, row + 2), get4(code, row + 3), kinds, length, position)
            row += 4
        else:
            return position
        while not alive:
            if top == 0:
                return -1
            kind = get8(stack, top - 4)
            if kind == _CHOICE:
                top -= 4
                row = get8(stack, top + 1)
                position = get8(stack, top + 2)
                alive = True
            elif kind == _COUNTED_DOWN:
                row = get8(stack, top - 3)
                position = get8(stack, top - 1) - 1
                put8(stack, top - 1, position)
                if position <= get8(stack, top - 2):
                    top -= 4
                alive = True
            elif kind == _COUNTED_UP:
                at = get8(stack, top - 2)
                repeat = get8(stack, top - 3)
                left = get8(stack, top - 1)
                wanted = get4(code, repeat + 1)
                if left > 0 and at < length and get1(sets, wanted * set_width + get4(kinds, at)) != 0:
                    position = at + 1
                    row = repeat + 4
                    put8(stack, top - 2, position)
                    put8(stack, top - 1, left - 1)
                    alive = True
                else:
                    top -= 4
            else:
                top -= 4
                put8(stack, groups + get8(stack, top + 1), get8(stack, top + 2))


@kernel
def may_begin(book: int, program: int, kind: int) -> bool:
    """Whether a match of the program may begin with a character of this class."""
    words = get8(book, f.FIRST_WORDS)
    return get8(get8(book, f.FIRST), kind * words + program // WORD_BITS) >> (program % WORD_BITS) & 1 != 0


@kernel
def required_ahead(book: int, program: int, kinds: int, length: int, position: int, looked: int) -> tuple[bool, int]:
    """Whether the character that every match holds is near enough; and where it is, no need to look before it again."""
    required = get8(book, f.REQUIRED)
    wanted = get4(required, 3 * program)
    if wanted < 0:
        return True, looked
    at = max(looked, position + get4(required, 3 * program + 1))
    while at < length and not in_set(book, wanted, get4(kinds, at)):
        at += 1
    return at < length and at - position <= get4(required, 3 * program + 2), at


@kernel
def find(book: int, program: int, text: int, kinds: int, length: int, stack: int, spans: int) -> int:
    """Matches of a program as ``finditer`` gives them, as (start, end) into ``spans`` (int32); returns how many."""
    count = 0
    position = 0
    looked = 0
    while position < length:
        if may_begin(book, program, get4(kinds, position)):
            near, looked = required_ahead(book, program, kinds, length, position, looked)
            if near:
                end = match_at(book, program, kinds, text, length, position, stack)
                if end >= 0:
                    put4(spans, 2 * count, position)
                    put4(spans, 2 * count + 1, end)
                    count += 1
                    position = end
                    continue
            elif looked >= length:
                break  # nothing more can match
        position += 1
    return count
