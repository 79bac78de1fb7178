"""Tries as one hash table of edges: exact, compact, and quick to walk from any place of a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .jit import Array, kernel
from .memory import CHARACTER, DIRECT, Book, fetch, get1, get4, get8, spread

_CHAR_BITS = 21
_STATE_MASK = (1 << 21) - 1
_PAIR_FACTOR = 40503
LEAF = 1 << 20  # in the number of a state that no step leads out of, where a trie was entered with such numbers


@dataclass(frozen=True, slots=True)
class Trie:
    """``slots`` holds ``state << 42 | character << 21 | next state`` (0: empty); ``values`` one number a state, or -1."""

    slots: Array
    values: Array
    place: Callable[[Array, Array], int]  # enters slots into an empty table

    def enter(self, book: Book, field: int) -> None:
        """Put the trie into the three fields from ``field``."""
        book.table(field, self.slots)
        book.number(field + 1, len(self.slots) - 1)
        book.table(field + 2, self.values)

    def enter_direct(self, book: Book, field: int, numbers: int) -> Array:
        """The same, with states renamed to 1 + their value, so that none need be looked up; see :func:`number_of`.

        States that no step leads out of bear ``LEAF``. ``numbers``: how many values there can be, each of at most one key.
        Returns the states behind single characters, see :func:`first_states`.
        """
        names = np.where(self.values >= 0, self.values + 1, 0)
        unnamed = np.flatnonzero(self.values < 0)
        names[unnamed[1:]] = numbers + np.arange(1, len(unnamed))  # the first is the root, and stays 0
        if numbers + len(unnamed) >= LEAF:
            raise DataError("a table is larger than the compiled scorer can hold; use the plain scorer.")
        edges = self.slots[self.slots != 0]
        char = edges >> _CHAR_BITS & _STATE_MASK
        names = names.astype(np.int64)
        following = names[edges & _STATE_MASK] | LEAF * self.leaves()[edges & _STATE_MASK]
        renamed = names[edges >> 42] << 42 | char << _CHAR_BITS | following
        slots = np.zeros_like(self.slots)
        self.place(renamed, slots)
        book.table(field, slots)
        book.number(field + 1, len(slots) - 1)
        book.number(field + 2, numbers)
        return first_states(renamed)

    def leaves(self) -> Array:
        """1 for each state that no step leads out of, else 0."""
        leaves = np.ones(len(self.values), dtype=np.int64)
        leaves[self.slots[self.slots != 0] >> 42] = 0
        return leaves

    def pairs(self) -> tuple[Array, Array]:
        """First and second characters of all keys of two characters or more."""
        edges = self.slots[self.slots != 0]
        first = np.zeros(len(self.values), dtype=np.int64)
        root = edges[edges >> 42 == 0]
        first[root & _STATE_MASK] = root >> _CHAR_BITS & _STATE_MASK
        firsts = first[edges >> 42]
        return firsts[firsts != 0], (edges >> _CHAR_BITS & _STATE_MASK)[firsts != 0]


def first_states(edges: Array) -> Array:
    """The state behind each code point below ``DIRECT`` alone, -1 for none (int32)."""
    states = np.full(DIRECT, -1, dtype=np.int32)
    root = edges[(edges != 0) & (edges >> 42 == 0)]
    chars = root >> _CHAR_BITS & _STATE_MASK
    states[chars[chars < DIRECT]] = (root & _STATE_MASK)[chars < DIRECT]
    return states


@kernel
def step(slots: int, mask: int, state: int, char: int) -> int:
    """The state behind ``char``, or -1. ``slots`` is an address."""
    key = (state << _CHAR_BITS) | char
    at = spread(key) & mask
    while True:
        slot = get8(slots, at)
        if slot == 0:
            return -1
        if slot >> 21 == key:
            return slot & _STATE_MASK
        at = (at + 1) & mask


@kernel
def first_step(characters: int, column: int, slots: int, mask: int, char: int) -> int:
    """The state behind ``char`` alone, or -1. ``column`` of the table of characters holds those of the trie."""
    if char < DIRECT:
        return get4(characters, char * CHARACTER + column)
    return step(slots, mask, 0, char)


@kernel
def fetch_step(slots: int, mask: int, state: int, char: int) -> None:
    """Begin to bring near what :func:`step` will read."""
    fetch(slots + 8 * (spread((state << _CHAR_BITS) | char) & mask))


@kernel
def number_of(state: int, numbers: int) -> int:
    """Value of a state of a trie entered by ``enter_direct``, or -1."""
    name = state & (LEAF - 1)
    return name - 1 if name <= numbers else -1


@kernel
def longest_at(book: int, trie: int, text: int, start: int, length: int) -> tuple[int, int]:
    """Value and end of the longest key at ``start`` of a text (int32), or (-1, start)."""
    slots = get8(book, trie)
    mask = get8(book, trie + 1)
    values = get8(book, trie + 2)
    state = 0
    found = -1
    found_end = start
    at = start
    while at < length:
        state = step(slots, mask, state, get4(text, at))
        if state < 0:
            break
        at += 1
        value = get4(values, state)
        if value >= 0:
            found = value
            found_end = at
    return found, found_end


@kernel
def exact(book: int, trie: int, text: int, start: int, end: int) -> int:
    """Value of the key that is the whole of ``text[start:end]``, or -1."""
    slots = get8(book, trie)
    mask = get8(book, trie + 1)
    state = 0
    for at in range(start, end):
        state = step(slots, mask, state, get4(text, at))
        if state < 0:
            return -1
    return get4(get8(book, trie + 2), state)


@kernel
def starts_at(book: int, trie: int, text: int, start: int, length: int) -> bool:
    """Whether a key begins at ``start``."""
    slots = get8(book, trie)
    mask = get8(book, trie + 1)
    values = get8(book, trie + 2)
    state = 0
    for at in range(start, length):
        state = step(slots, mask, state, get4(text, at))
        if state < 0:
            return False
        if get4(values, state) >= 0:
            return True
    return False


@kernel
def _place(slots: Array, slot: int) -> None:
    mask = len(slots) - 1
    at = spread(slot >> 21) & mask
    while slots[at] != 0:
        at = (at + 1) & mask
    slots[at] = slot


@kernel
def insert(chars: Array, starts: Array, ends: Array, numbers: Array, slots: Array, values: Array) -> int:
    """Fill ``slots`` and ``values`` with keys; the first of equal keys counts. Returns the number of states."""
    mask = len(slots) - 1
    address = slots.ctypes.data
    states = 1
    values[0] = -1
    for key in range(len(starts)):
        state = 0
        for at in range(starts[key], ends[key]):
            char = int(chars[at])
            following = step(address, mask, state, char)
            if following < 0:
                following = states
                values[following] = -1
                states += 1
                _place(slots, (state << 42) | (char << 21) | following)
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
    """The characters of a text as int32, in memory of their own."""
    return np.frombuffer(bytearray(text.encode("utf-32-le", "surrogatepass")), dtype=np.int32)


def pair_places(firsts: Array, seconds: Array, size: int) -> Array:
    """:func:`pair_place` of many pairs."""
    places: Array = (firsts * _PAIR_FACTOR + seconds) & (size - 1)
    return places


@kernel
def pair_place(first: int, second: int, size: int) -> int:
    """A number below ``size``, a power of two, that stands for two characters."""
    return (first * _PAIR_FACTOR + second) & (size - 1)


def pair_bits(firsts: Array, seconds: Array, size: int) -> Array:
    """``size`` bits, a power of two, that tell whether a key may begin with two characters; see :func:`pair_bit`."""
    bits = np.zeros(size // 8, dtype=np.uint8)
    places = pair_places(firsts, seconds, size)
    np.bitwise_or.at(bits, places >> 3, (1 << (places & 7)).astype(np.uint8))
    return bits


@kernel
def pair_bit(bits: int, size: int, first: int, second: int) -> int:
    """1 if a key may begin with two characters, 0 if none does."""
    bit = pair_place(first, second, size)
    return get1(bits, bit >> 3) >> (bit & 7) & 1


class Builder:
    """Builds tries with compiled functions."""

    def __init__(
        self,
        insert: Callable[[Array, Array, Array, Array, Array, Array], int],
        rehash: Callable[[Array, Array], int],
    ) -> None:
        self._insert = insert
        self._rehash = rehash

    def strings(self, keys: Sequence[str], numbers: Sequence[int] | None = None) -> Trie:
        """Trie of ``keys``; the value of a key is its number, by default its position."""
        ends = np.cumsum([0, *map(len, keys)], dtype=np.int64)
        values = np.arange(len(keys)) if numbers is None else np.array(numbers)
        return self.spans(code_points("".join(keys)), ends[:-1], ends[1:], values.astype(np.int32))

    def table(self, edges: Array) -> Array:
        """Slots that hold ``edges``, each a state, a character and the state behind it as in ``Trie.slots``."""
        slots = np.zeros(_size(len(edges) + 1), dtype=np.int64)
        self._rehash(edges, slots)
        return slots

    def spans(self, chars: Array, starts: Array, ends: Array, numbers: Array) -> Trie:
        """Trie of the keys ``chars[start:end]``."""
        most = int((ends - starts).sum()) + 1
        if most > _STATE_MASK:
            raise DataError("a table is larger than the compiled scorer can hold; use the plain scorer.")
        slots = np.zeros(_size(most), dtype=np.int64)
        values = np.full(most, -1, dtype=np.int32)
        states = self._insert(chars, starts, ends, numbers, slots, values)
        if _size(states) < len(slots):
            smaller = np.zeros(_size(states), dtype=np.int64)
            self._rehash(slots, smaller)
            slots = smaller
        return Trie(slots, values[:states].copy(), self._rehash)


def _size(states: int) -> int:
    """Number of slots: a power of two, at most half full, for most steps lead nowhere and must find that out soon."""
    return 1 << max(4, (2 * states - 1).bit_length())
