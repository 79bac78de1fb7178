"""Tries as one hash table of edges: exact, compact, and quick to walk from any position of a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from .jit import Array, kernel

_CHAR_BITS = 21
_STATE_MASK = (1 << 21) - 1
_FACTOR = 0x9E3779B97F4A7C1  # odd; spreads the keys


class Trie(NamedTuple):
    """``slots`` holds ``state << 42 | character << 21 | next state`` (0: empty); ``values`` one number a state, or -1."""

    slots: Array
    values: Array


Insert = Callable[[Array, Array, Array, Array, Array, Array], int]


@kernel
def step(trie: Trie, state: int, char: int) -> int:
    """The state behind ``char``, or -1."""
    slots = trie.slots
    mask = len(slots) - 1
    key = (state << _CHAR_BITS) | char
    at = ((key * _FACTOR) >> 24) & mask
    while True:
        slot = slots[at]
        if slot == 0:
            return -1
        if slot >> 21 == key:
            return int(slot & _STATE_MASK)
        at = (at + 1) & mask


@kernel
def longest_at(trie: Trie, text: Array, start: int, length: int) -> tuple[int, int]:
    """Value and end of the longest key at ``start``, or (-1, start)."""
    state = 0
    found = -1
    found_end = start
    at = start
    while at < length:
        state = step(trie, state, text[at])
        if state < 0:
            break
        at += 1
        if trie.values[state] >= 0:
            found = trie.values[state]
            found_end = at
    return found, found_end


@kernel
def exact(trie: Trie, text: Array, start: int, end: int) -> int:
    """Value of the key that is the whole of ``text[start:end]``, or -1."""
    state = 0
    for at in range(start, end):
        state = step(trie, state, text[at])
        if state < 0:
            return -1
    return int(trie.values[state])


@kernel
def starts_at(trie: Trie, text: Array, start: int, length: int) -> bool:
    """Whether a key begins at ``start``."""
    state = 0
    for at in range(start, length):
        state = step(trie, state, text[at])
        if state < 0:
            return False
        if trie.values[state] >= 0:
            return True
    return False


@kernel
def _place(slots: Array, slot: int) -> None:
    mask = len(slots) - 1
    at = (((slot >> 21) * _FACTOR) >> 24) & mask
    while slots[at] != 0:
        at = (at + 1) & mask
    slots[at] = slot


@kernel
def insert(chars: Array, starts: Array, ends: Array, numbers: Array, slots: Array, values: Array) -> int:
    """Fill ``slots`` and ``values`` with keys; the first of equal keys counts. Returns the number of states."""
    trie = Trie(slots, values)
    states = 1
    values[0] = -1
    for key in range(len(starts)):
        state = 0
        for at in range(starts[key], ends[key]):
            char = chars[at]
            following = step(trie, state, char)
            if following < 0:
                following = states
                values[following] = -1
                states += 1
                _place(slots, (state << 42) | (np.int64(char) << 21) | following)
            state = following
        if values[state] < 0:
            values[state] = numbers[key]
    return states


@kernel
def rehash(old: Array, new: Array) -> int:
    """Copy the edges of one table into another."""
    for slot in old:
        if slot != 0:
            _place(new, slot)
    return 0


def code_points(text: str) -> Array:
    """The characters of a text as an array that may be written to, as the compiled functions expect."""
    return np.frombuffer(bytearray(text.encode("utf-32-le", "surrogatepass")), dtype=np.int32)


class Builder:
    """Builds tries with compiled functions."""

    def __init__(self, insert: Insert, rehash: Callable[[Array, Array], int]) -> None:
        self._insert = insert
        self._rehash = rehash

    def strings(self, keys: Sequence[str], numbers: Sequence[int] | None = None) -> Trie:
        """Trie of ``keys``; the value of a key is its number, by default its position."""
        chars = code_points("".join(keys))
        ends = np.cumsum([0, *map(len, keys)], dtype=np.int64)
        values = np.arange(len(keys)) if numbers is None else np.array(numbers)
        return self.spans(chars, ends[:-1], ends[1:], values.astype(np.int32))

    def spans(self, chars: Array, starts: Array, ends: Array, numbers: Array) -> Trie:
        """Trie of the keys ``chars[start:end]``."""
        most = int((ends - starts).sum()) + 1
        if most > 1 << 22:
            raise DataError("a table of the compiled scorer is larger than it can hold; use the plain scorer.")
        slots = np.zeros(_size(most), dtype=np.int64)
        values = np.full(most, -1, dtype=np.int32)
        states = self._insert(chars, starts, ends, numbers, slots, values)
        if states > _STATE_MASK:
            raise DataError("a table of the compiled scorer is larger than it can hold; use the plain scorer.")
        if _size(states) < len(slots):
            smaller = np.zeros(_size(states), dtype=np.int64)
            self._rehash(slots, smaller)
            slots = smaller
        return Trie(slots, values[:states].copy())


def _size(states: int) -> int:
    """Number of slots: a power of two, at most two thirds full."""
    return 1 << max(4, (states * 3 // 2).bit_length())
