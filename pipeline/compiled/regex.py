"""Regular expressions turned into programs for :mod:`.matcher`.

Python's own parser reads them, so that they mean the same. Understood: literals, sets, categories, ``.``, groups, ``|``, greedy
and lazy counts, back references, and look-around whose content is a choice of fixed rows of characters. Refused with ``DataError``:
flags, anchors and word boundaries, possessive and atomic groups, conditionals, patterns that may match nothing, unbounded
repetition of more than one character, and counts that unroll into too much.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import DataError
from . import fields as f
from .jit import Array
from .memory import DIRECT, Book

# The parser of the standard library; its tree has been the same since Python 2.
_parse: Callable[[str], Any] = re._parser.parse  # type: ignore[attr-defined]

SET, GREEDY, LAZY, SPLIT, JUMP, GUARD, SAVE, BACKREF, LOOK, MATCH = range(10)
NEGATED, BEHIND = 1, 2
UNBOUNDED = 1 << 30
WORD_BITS = 62  # programs a word of ``first``
_TOP = 0x110000
_MOST_CODE = 4000
_RARE = 3000

Ranges = tuple[tuple[int, int], ...]  # half-open, sorted, not touching


@dataclass(frozen=True, slots=True)
class Regex:
    """Compiled patterns.

    ``code`` rows of (operation, a, b, c); ``sets[set, class]`` membership; ``classes[code point]``; ``entries`` first row of each
    program; ``first[class, word]`` bit masks of programs that may begin there; ``required`` (set, least, most offset) of a
    character every match holds, set -1 if none; ``requiring[class, word]`` bit masks of programs that require a character of
    this class, and in a last row of those that require none; ``rows`` and ``row_starts`` the set rows of look-around; ``groups`` number of
    groups back references use; ``stack_rows`` the deepest a match can stack its choices.
    """

    code: Array
    sets: Array
    classes: Array
    entries: Array
    first: Array
    required: Array
    requiring: Array
    rows: Array
    row_starts: Array
    groups: int
    stack_rows: int

    def enter(self, book: Book) -> None:
        """Put the patterns into their fields."""
        book.table(f.CODE, self.code)
        book.table(f.SETS, self.sets)
        book.number(f.SET_WIDTH, self.sets.shape[1])
        book.table(f.CLASSES, self.classes)
        book.column(f.CHARACTERS, f.KIND, self.classes[:DIRECT].astype(np.int32))
        book.table(f.ENTRIES, self.entries)
        book.number(f.PROGRAMS, len(self.entries))
        book.table(f.FIRST, self.first)
        book.number(f.FIRST_WORDS, self.first.shape[1])
        book.number(f.KIND_COUNT, self.sets.shape[1])
        book.table(f.REQUIRED, self.required)
        book.table(f.REQUIRING, self.requiring)
        book.table(f.ROWS, self.rows)
        book.table(f.ROW_STARTS, self.row_starts)
        book.number(f.STACK_ROWS, self.stack_rows)
        book.number(f.GROUPS, self.groups)


@dataclass
class _Compiler:
    sets: dict[Ranges, int] = field(default_factory=dict)
    code: list[list[int]] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    groups: dict[int, int] = field(default_factory=dict)
    group_count: int = 0
    limit: int = 0
    longest: int = 0  # rows of the longest program: none has loops, so none stacks more

    def set_number(self, ranges: Ranges) -> int:
        return self.sets.setdefault(ranges, len(self.sets))

    def emit(self, operation: int, a: int = 0, b: int = 0, c: int = 0) -> int:
        if len(self.code) > self.limit:
            raise _Refused("its counts make it too long")
        self.code.append([operation, a, b, c])
        return len(self.code) - 1

    def program(self, pattern: str) -> tuple[int, Ranges, tuple[int, int, int]]:
        """Emit a program; its first row, the characters it may begin with, and what it requires."""
        tree = _parse(pattern)
        if tree.state.flags & ~re.UNICODE:
            raise _Refused("it sets flags")
        items = list(tree)
        if _width(items)[0] == 0:
            raise _Refused("it may match nothing")
        used = _referenced(items)
        self.groups = {group: self.group_count + i for i, group in enumerate(sorted(used))}
        self.group_count += len(used)
        entry = len(self.code)
        self.limit = entry + _MOST_CODE
        self.sequence(items)
        self.emit(MATCH)
        self.longest = max(self.longest, len(self.code) - entry)
        return entry, _first(items)[0], self.requirement(items)

    def requirement(self, items: Sequence[Any]) -> tuple[int, int, int]:
        choices = [c for c in _required(items, 0, 0) if c[2] > 0 and _size(c[0]) <= _RARE]
        if not choices:
            return -1, 0, 0
        ranges, least, most = min(choices, key=lambda c: _size(c[0]))
        return self.set_number(ranges), least, min(most, UNBOUNDED)

    def sequence(self, items: Sequence[Any]) -> None:
        for item in items:
            self.item(item)

    def item(self, item: Any) -> None:
        name, value = str(item[0]), item[1]
        if (ranges := _ranges(item)) is not None:
            self.emit(SET, self.set_number(ranges))
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            self.repeat(name == "MAX_REPEAT", int(value[0]), min(int(value[1]), UNBOUNDED), list(value[2]))
        elif name == "BRANCH":
            self.branch([list(b) for b in value[1]])
        elif name == "SUBPATTERN":
            group, added, removed, content = value
            if added or removed:
                raise _Refused("it sets flags")
            slot = self.groups.get(group)
            if slot is not None:
                self.emit(SAVE, 2 * slot)
            self.sequence(list(content))
            if slot is not None:
                self.emit(SAVE, 2 * slot + 1)
        elif name == "GROUPREF":
            self.emit(BACKREF, self.groups[value])
        elif name in ("ASSERT", "ASSERT_NOT"):
            self.look(value[0] < 0, name == "ASSERT_NOT", list(value[1]))
        else:
            raise _Refused(f"it uses {name.lower().replace('_', ' ')}")

    def branch(self, branches: list[list[Any]]) -> None:
        ends = []
        for content in branches[:-1]:
            first, empty = _first(content)
            guard = None if empty else self.emit(GUARD, self.set_number(first))
            split = self.emit(SPLIT)
            self.sequence(content)
            ends.append(self.emit(JUMP))
            self.code[split][1:3] = [split + 1, len(self.code)]
            if guard is not None:
                self.code[guard][2] = len(self.code)
        self.sequence(branches[-1])
        for end in ends:
            self.code[end][1] = len(self.code)

    def repeat(self, greedy: bool, least: int, most: int, content: list[Any]) -> None:
        if len(content) == 1 and (ranges := _ranges(content[0])) is not None:
            self.emit(GREEDY if greedy else LAZY, self.set_number(ranges), least, most)
            return
        if most == UNBOUNDED:
            raise _Refused("it repeats more than one character without bound")
        for _ in range(least):
            self.sequence(content)
        splits = []
        for _ in range(most - least):
            splits.append(self.emit(SPLIT))
            self.sequence(content)
        for split in splits:
            ways = [split + 1, len(self.code)]
            self.code[split][1:3] = ways if greedy else ways[::-1]

    def look(self, behind: bool, negated: bool, content: list[Any]) -> None:
        rows = _fixed_rows(content)
        start = len(self.rows)
        self.rows.extend([self.set_number(ranges) for ranges in row] for row in rows)
        self.emit(LOOK, start, len(rows), NEGATED * negated | BEHIND * behind)


class _Refused(Exception):
    """Why a pattern cannot be compiled."""


def compile_patterns(patterns: Sequence[tuple[str, str]]) -> Regex:
    """Programs for (where it stands, pattern) pairs, in order. Raises ``DataError`` for what is not understood."""
    compiler = _Compiler()
    programs = []
    for where, pattern in patterns:
        try:
            programs.append(compiler.program(pattern))
        except _Refused as reason:
            raise DataError(
                f"{where}: the compiled scorer cannot take the pattern {pattern!r}: {reason}. "
                "Write it in another way, or use the plain scorer.",
                code="E_DATA_PATTERN",
            ) from reason
    for _, first, _ in programs:
        compiler.set_number(first)
    classes, sets = _partition(list(compiler.sets))
    words = (len(programs) + WORD_BITS - 1) // WORD_BITS
    first_mask = np.zeros((sets.shape[1], max(1, words)), dtype=np.int64)
    for number, (_, first, _) in enumerate(programs):
        member = sets[compiler.sets[first]].astype(bool)
        first_mask[member, number // WORD_BITS] |= 1 << (number % WORD_BITS)
    requiring = np.zeros((sets.shape[1] + 1, max(1, words)), dtype=np.int64)
    for number, (_, _, (wanted, _, _)) in enumerate(programs):
        member = [-1] if wanted < 0 else np.flatnonzero(sets[wanted])
        requiring[member, number // WORD_BITS] |= 1 << (number % WORD_BITS)
    return Regex(
        code=np.array(compiler.code, dtype=np.int32),
        sets=sets,
        classes=classes,
        entries=np.array([entry for entry, _, _ in programs], dtype=np.int32),
        first=first_mask,
        required=np.array([required for _, _, required in programs], dtype=np.int32),
        requiring=requiring,
        rows=np.array([number for row in compiler.rows for number in row], dtype=np.int32),
        row_starts=np.cumsum([0, *map(len, compiler.rows)], dtype=np.int32),
        groups=compiler.group_count,
        stack_rows=compiler.longest + 1,
    )


def _partition(sets: list[Ranges]) -> tuple[Array, Array]:
    """Classes of code points that no set tells apart, and which class is in which set."""
    edges = sorted({0, _TOP, *(edge for ranges in sets for pair in ranges for edge in pair)})
    spans = list(pairwise(edges))
    starts = [[start for start, _ in ranges] for ranges in sets]
    signatures: dict[tuple[int, ...], int] = {}
    classes = np.zeros(_TOP, dtype=np.uint16)
    for start, end in spans:
        signature = tuple(
            number
            for number, ranges in enumerate(sets)
            if (at := bisect_right(starts[number], start) - 1) >= 0 and start < ranges[at][1]
        )
        classes[start:end] = signatures.setdefault(signature, len(signatures))
    if len(signatures) > 0xFFFF:
        raise DataError("data/lexicon/patterns.tsv: too many different characters.", code="E_DATA_PATTERN")
    member = np.zeros((len(sets), len(signatures)), dtype=np.uint8)
    for signature, number in signatures.items():
        member[list(signature), number] = 1
    return classes, member


def _size(ranges: Ranges) -> int:
    return sum(end - start for start, end in ranges)


def _union(*many: Ranges) -> Ranges:
    merged: list[list[int]] = []
    for start, end in sorted(pair for ranges in many for pair in ranges):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return tuple((start, end) for start, end in merged)


def _complement(ranges: Ranges) -> Ranges:
    edges = [0, *(edge for pair in ranges for edge in pair), _TOP]
    return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)


@cache
def _category(escape: str) -> Ranges:
    """What an escape for a category of characters means to Python, for every code point."""
    everything = np.arange(_TOP, dtype="<i4").tobytes().decode("utf-32-le", "surrogatepass")
    return tuple(m.span() for m in re.finditer(escape + "+", everything))


_CATEGORIES = {"CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w"}


def _ranges(item: Any) -> Ranges | None:
    """The characters of an item that is one character, else ``None``."""
    name, value = str(item[0]), item[1]
    if name == "LITERAL":
        return ((value, value + 1),)
    if name == "NOT_LITERAL":
        return _complement(((value, value + 1),))
    if name == "ANY":
        return _complement(((10, 11),))
    if name == "SUBPATTERN" and value[0] is None and not value[1] and not value[2] and len(value[3]) == 1:
        return _ranges(value[3][0])
    if name != "IN":
        return None
    parts: list[Ranges] = []
    negated = False
    for part, content in value:
        kind = str(part)
        if kind == "NEGATE":
            negated = True
        elif kind == "LITERAL":
            parts.append(((content, content + 1),))
        elif kind == "RANGE":
            parts.append(((content[0], content[1] + 1),))
        else:
            category = str(content)
            if (plain := category.replace("_NOT_", "_")) not in _CATEGORIES:
                raise _Refused(f"it uses {category.lower().replace('_', ' ')}")
            ranges = _category(_CATEGORIES[plain])
            parts.append(ranges if plain == category else _complement(ranges))
    return _complement(_union(*parts)) if negated else _union(*parts)


def _width(items: Sequence[Any]) -> tuple[int, int]:
    """Fewest and most characters a row of items takes."""
    least = most = 0
    for item in items:
        name, value = str(item[0]), item[1]
        low, high = 1, 1
        if _ranges(item) is not None:
            pass
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            inner = _width(list(value[2]))
            low, high = inner[0] * int(value[0]), inner[1] * min(int(value[1]), UNBOUNDED)
        elif name == "BRANCH":
            widths = [_width(list(b)) for b in value[1]]
            low, high = min(w[0] for w in widths), max(w[1] for w in widths)
        elif name == "SUBPATTERN":
            low, high = _width(list(value[3]))
        elif name == "GROUPREF":
            low, high = 0, UNBOUNDED
        else:
            low = high = 0
        least, most = least + low, min(most + high, UNBOUNDED)
    return least, most


def _first(items: Sequence[Any]) -> tuple[Ranges, bool]:
    """Characters a row of items may begin with, and whether it may be empty."""
    found: Ranges = ()
    for item in items:
        name, value = str(item[0]), item[1]
        if (ranges := _ranges(item)) is not None:
            return _union(found, ranges), False
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            inner, empty = _first(list(value[2]))
            empty = empty or int(value[0]) == 0
        elif name == "BRANCH":
            branches = [_first(list(b)) for b in value[1]]
            inner, empty = _union(*(b[0] for b in branches)), any(b[1] for b in branches)
        elif name == "SUBPATTERN":
            inner, empty = _first(list(value[3]))
        elif name == "GROUPREF":
            inner, empty = ((0, _TOP),), True
        else:
            inner, empty = (), True
        found = _union(found, inner)
        if not empty:
            return found, False
    return found, True


def _required(items: Sequence[Any], least: int, most: int) -> list[tuple[Ranges, int, int]]:
    """Sets of which every match holds a character, each with its least and most offset from the start."""
    found = []
    for item in items:
        name, value = str(item[0]), item[1]
        if name == "SUBPATTERN":
            found.extend(_required(list(value[3]), least, most))
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and int(value[0]) > 0:
            found.extend(_required(list(value[2]), least, most))
        else:
            first, empty = _first([item])
            if not empty:
                found.append((first, least, most))
        low, high = _width([item])
        least, most = least + low, min(most + high, UNBOUNDED)
    return found


def _referenced(items: Sequence[Any]) -> set[int]:
    found: set[int] = set()
    for item in items:
        name, value = str(item[0]), item[1]
        if name == "GROUPREF":
            found.add(value)
        elif name == "BRANCH":
            for branch in value[1]:
                found |= _referenced(list(branch))
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            found |= _referenced(list(value[2]))
        elif name == "SUBPATTERN":
            found |= _referenced(list(value[3]))
    return found


def _fixed_rows(items: Sequence[Any]) -> list[list[Ranges]]:
    """The rows of characters that a look-around chooses from."""
    rows: list[list[Ranges]] = [[]]
    for item in items:
        name, value = str(item[0]), item[1]
        if (ranges := _ranges(item)) is not None:
            choices: list[list[Ranges]] = [[ranges]]
        elif name == "BRANCH":
            choices = [row for branch in value[1] for row in _fixed_rows(list(branch))]
        elif name == "SUBPATTERN" and value[0] is None:
            choices = _fixed_rows(list(value[3]))
        else:
            raise _Refused("what it looks around for is not a choice of fixed rows of characters")
        rows = [row + choice for row in rows for choice in choices]
        if len(rows) > 500:
            raise _Refused("it looks around for too many rows of characters")
    return rows
