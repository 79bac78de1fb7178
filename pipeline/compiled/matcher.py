"""Runs the programs of :mod:`.regex` by backtracking, as Python's own engine does: same matches, same spans."""

from __future__ import annotations

import numpy as np

from .jit import Array, kernel
from .regex import (
    BACKREF,
    BEHIND,
    GREEDY,
    GUARD,
    JUMP,
    LAZY,
    LOOK,
    MATCH,
    NEGATED,
    SAVE,
    SET,
    SPLIT,
    UNBOUNDED,
    WORD_BITS,
    Regex,
)

OVERFLOW = -2
_CHOICE, _COUNTED_DOWN, _COUNTED_UP, _GROUP = 0, 1, 2, 3


@kernel
def classify(text: Array, length: int, regex: Regex) -> Array:
    """Class of each character."""
    kinds = np.empty(length, dtype=np.uint16)
    for at in range(length):
        kinds[at] = regex.classes[text[at]]
    return kinds


@kernel
def _looks(regex: Regex, row: int, kinds: Array, length: int, position: int) -> bool:
    """Whether the condition of a ``LOOK`` holds at ``position``."""
    code = regex.code
    flags = code[row, 3]
    found = False
    for choice in range(code[row, 1], code[row, 1] + code[row, 2]):
        first = regex.row_starts[choice]
        width = regex.row_starts[choice + 1] - first
        start = position - width if flags & BEHIND else position
        if start < 0 or start + width > length:
            continue
        found = True
        for i in range(width):
            if regex.sets[regex.rows[first + i], kinds[start + i]] == 0:
                found = False
                break
        if found:
            break
    return found != (flags & NEGATED != 0)


@kernel
def match_at(regex: Regex, program: int, kinds: Array, text: Array, length: int, start: int, stack: Array) -> int:
    """End of the match of a program at ``start``, -1 if there is none, ``OVERFLOW`` if the stack is too small."""
    code = regex.code
    sets = regex.sets
    groups = np.full(2 * regex.groups, -1, dtype=np.int32)
    row = regex.entries[program]
    position = start
    top = 0
    room = len(stack) - 1
    while True:
        operation = code[row, 0]
        alive = True
        if operation == SET:
            alive = position < length and sets[code[row, 1], kinds[position]] != 0
            position += 1
            row += 1
        elif operation == GUARD:
            alive = True
            row = row + 1 if position < length and sets[code[row, 1], kinds[position]] != 0 else code[row, 2]
        elif operation == SPLIT:
            if top >= room:
                return OVERFLOW
            stack[top, 0] = _CHOICE
            stack[top, 1] = code[row, 2]
            stack[top, 2] = position
            top += 1
            row = code[row, 1]
        elif operation == JUMP:
            row = code[row, 1]
        elif operation == GREEDY:
            least = code[row, 2]
            end = min(length, position + code[row, 3]) if code[row, 3] < UNBOUNDED else length
            at = position
            wanted = code[row, 1]
            while at < end and sets[wanted, kinds[at]] != 0:
                at += 1
            alive = at - position >= least
            row += 1
            if alive and at - position > least:
                if top >= room:
                    return OVERFLOW
                stack[top, 0] = _COUNTED_DOWN
                stack[top, 1] = row
                stack[top, 2] = position + least
                stack[top, 3] = at
                top += 1
            position = at
        elif operation == LAZY:
            end = min(length, position + code[row, 2])
            at = position
            while at < end and sets[code[row, 1], kinds[at]] != 0:
                at += 1
            alive = at - position >= code[row, 2]
            if alive:
                if top >= room:
                    return OVERFLOW
                stack[top, 0] = _COUNTED_UP
                stack[top, 1] = row
                stack[top, 2] = at
                stack[top, 3] = code[row, 3] - code[row, 2]
                top += 1
            position = at
            row += 1
        elif operation == SAVE:
            slot = code[row, 1]
            if top >= room:
                return OVERFLOW
            stack[top, 0] = _GROUP
            stack[top, 1] = slot
            stack[top, 2] = groups[slot]
            top += 1
            groups[slot] = position
            row += 1
        elif operation == BACKREF:
            first = groups[2 * code[row, 1]]
            last = groups[2 * code[row, 1] + 1]
            alive = first >= 0 and last >= first and position + last - first <= length
            if alive:
                for i in range(last - first):
                    if text[first + i] != text[position + i]:
                        alive = False
                        break
                position += last - first
            row += 1
        elif operation == LOOK:
            alive = _looks(regex, row, kinds, length, position)
            row += 1
        elif operation == MATCH:
            return position
        while not alive:
            if top == 0:
                return -1
            kind = stack[top - 1, 0]
            if kind == _CHOICE:
                top -= 1
                row = stack[top, 1]
                position = stack[top, 2]
                alive = True
            elif kind == _COUNTED_DOWN:
                row = stack[top - 1, 1]
                position = stack[top - 1, 3] - 1
                stack[top - 1, 3] = position
                if position <= stack[top - 1, 2]:
                    top -= 1
                alive = True
            elif kind == _COUNTED_UP:
                at = stack[top - 1, 2]
                repeat = stack[top - 1, 1]
                if stack[top - 1, 3] > 0 and at < length and sets[code[repeat, 1], kinds[at]] != 0:
                    position = at + 1
                    row = repeat + 1
                    stack[top - 1, 2] = position
                    stack[top - 1, 3] -= 1
                    alive = True
                else:
                    top -= 1
            else:
                top -= 1
                groups[stack[top, 1]] = stack[top, 2]


@kernel
def _grown(array: Array) -> Array:
    """Twice the rows, the old ones kept."""
    larger = np.empty((2 * array.shape[0], array.shape[1]), dtype=np.int32)
    larger[: array.shape[0]] = array
    return larger


@kernel
def find(regex: Regex, first_program: int, last_program: int, text: Array, kinds: Array, length: int) -> Array:
    """Matches of programs ``first_program:last_program`` as ``finditer`` gives them: rows of (program, start, end).

    Ordered by start; those of one program do not overlap.
    """
    programs = last_program - first_program
    found = np.empty((16, 3), dtype=np.int32)
    count = 0
    stack = np.empty((128, 4), dtype=np.int32)
    free = np.zeros(programs, dtype=np.int32)  # where the next match may begin
    seen = np.full(programs, -1, dtype=np.int32)  # place of the required character, as far as looked for
    for position in range(length):
        for word in range(first_program // WORD_BITS, (last_program - 1) // WORD_BITS + 1):
            mask = regex.first[kinds[position], word]
            program = word * WORD_BITS
            while mask != 0:
                if mask & 1 and first_program <= program < last_program and position >= free[program - first_program]:
                    local = program - first_program
                    possible = True
                    required = regex.required[program, 0]
                    if required >= 0:
                        at = max(seen[local], position + regex.required[program, 1])
                        while at < length and regex.sets[required, kinds[at]] == 0:
                            at += 1
                        seen[local] = at
                        possible = at < length and at - position <= regex.required[program, 2]
                    if possible:
                        end = match_at(regex, program, kinds, text, length, position, stack)
                        while end == OVERFLOW:
                            stack = _grown(stack)
                            end = match_at(regex, program, kinds, text, length, position, stack)
                        if end >= 0:
                            free[local] = end
                            if count == len(found):
                                found = _grown(found)
                            found[count, 0] = program
                            found[count, 1] = position
                            found[count, 2] = end
                            count += 1
                mask >>= 1
                program += 1
    return found[:count]
