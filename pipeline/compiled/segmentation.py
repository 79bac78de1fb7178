"""Words of a text: jieba's dictionary, HMM off, the same words as ``pipeline.text.tokens`` gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import DataError, UsageError
from . import fields as f
from .jit import Array, kernel
from .memory import CHARACTER, DIRECT, Book, fetch, get2, get4, get8, get_double, put4, put_double
from .trie import LEAF, Builder, Trie, code_points, fetch_step, first_states, first_step, pair_bit, pair_bits, step

_NO_WORD = 1.0
_BLOCKS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF))
_PAIR_BITS = 1 << 20


@dataclass(frozen=True, slots=True)
class Dictionary:
    """``words`` leads to states; ``costs[cost_numbers[state]]`` is the log probability of the word that ends there, 1 for none.

    States that no step leads out of bear ``LEAF``, which is not part of their place in ``cost_numbers``. ``pairs``: see
    ``trie.pair_bit``.
    """

    words: Trie
    cost_numbers: Array
    costs: Array
    pairs: Array
    unknown: float

    def enter(self, book: Book) -> None:
        """Put the dictionary into its fields."""
        self.words.enter(book, f.DICTIONARY)
        book.column(f.CHARACTERS, f.DICTIONARY_STATE, first_states(self.words.slots))
        book.column(f.CHARACTERS, f.BLOCK, np.array([_in_block(c) for c in range(DIRECT)], dtype=np.int32))
        book.table(f.COST_NUMBERS, self.cost_numbers)
        book.table(f.COSTS, self.costs)
        book.table(f.UNKNOWN_COST, np.array([self.unknown]))
        book.table(f.DICTIONARY_PAIRS, self.pairs)


def load_dictionary(builder: Builder) -> Dictionary:
    """The dictionary that the jieba package brings, read without importing jieba."""
    path = _path()
    chars = code_points(path.read_text(encoding="utf-8"))
    ends = np.flatnonzero(chars == 10)
    starts = np.concatenate([[0], ends[:-1] + 1])
    blanks = np.flatnonzero(chars == 32)
    if len(blanks) != 2 * len(ends) or chars[-1] != 10:
        raise DataError(f"{path}: not jieba's dictionary. Install jieba 0.42.1 again.", code="E_DATA_DICTIONARY")
    word_ends, tags = blanks[::2], blanks[1::2]
    frequencies = np.zeros(len(starts), dtype=np.int64)
    for offset in range(1, int((tags - word_ends).max())):
        digits = chars[np.minimum(word_ends + offset, len(chars) - 1)]
        frequencies = np.where(word_ends + offset < tags, frequencies * 10 + digits - 48, frequencies)
    different, which = np.unique(frequencies, return_inverse=True)
    # The logarithm of the C library, as the reference takes it: numpy's own may differ in the last place.
    logs = np.array([math.log(n) if n else -math.inf for n in different.tolist()])
    # Short and frequent words first: their states, and with them their costs, then lie close together.
    order = np.lexsort((-frequencies, word_ends - starts))
    words = builder.spans(chars, starts[order], word_ends[order], order.astype(np.int32))
    log_total = math.log(int(frequencies.sum()))
    # Words have few different frequencies, which takes less memory than a cost for every state.
    costs = np.array([*(logs - log_total), _NO_WORD])
    numbers = np.where(words.values >= 0, which[words.values], len(logs))
    if len(costs) > 0xFFFF:
        raise DataError(f"{path}: more frequencies than the compiled scorer can number.", code="E_DATA_DICTIONARY")
    if len(words.values) >= LEAF:
        raise DataError(
            f"{path}: larger than the compiled scorer can hold; use the plain scorer.", code="E_DATA_DICTIONARY"
        )
    pairs = pair_bits(*words.pairs(), _PAIR_BITS)
    slots = words.slots | LEAF * words.leaves()[words.slots & 0x1FFFFF] * (words.slots != 0)
    trie = Trie(slots, words.values[:1], words.place)
    return Dictionary(trie, numbers.astype(np.uint16), costs, pairs, 0.0 - log_total)


def _path() -> Path:
    spec = find_spec("jieba")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / "dict.txt"
        if path.is_file():
            return path
    raise UsageError(
        "the compiled scorer reads the dictionary of the jieba package, which is not installed. "
        "Run: pip install 'loanlint[fast]'",
        code="E_USAGE_EXTRA",
    )


def _in_block(char: int) -> bool:
    """Whether jieba looks a character up at all: Han, ASCII letters and digits, and ``+#&._%-``."""
    if char < 0x80:
        return chr(char).isalnum() or chr(char) in "+#&._%-"
    return any(first <= char <= last for first, last in _BLOCKS)


@kernel
def _is_block(characters: int, char: int) -> bool:
    if char < DIRECT:
        return get4(characters, char * CHARACTER + f.BLOCK) != 0
    return 0x20000 <= char <= 0x2A6DF or 0x2A700 <= char <= 0x2EBEF or 0x2F800 <= char <= 0x2FA1F


@kernel
def is_alphanumeric(char: int) -> bool:
    """ASCII letter or digit."""
    return 48 <= char <= 57 or 65 <= char <= 90 or 97 <= char <= 122


@kernel
def cut_words(book: int, text: int, length: int, ends: int, best: int, following: int, chosen: int) -> None:
    """End of the word that starts at each place into ``ends``, 0 where none starts.

    ``best`` (double), ``following`` and ``chosen`` (int32) are scratch for ``length + 1`` entries.
    """
    characters = get8(book, f.CHARACTERS)
    start = 0
    while start < length:
        if not _is_block(characters, get4(text, start)):
            # "\r\n" would be one word; the canonical text holds no "\r".
            put4(ends, start, start + 1)
            start += 1
            continue
        end = start + 1
        while end < length and _is_block(characters, get4(text, end)):
            end += 1
        _find_states(book, text, start, end, ends, following, chosen)
        _find_words(book, text, start, end, ends, best, following)
        at = start
        while at < end:
            to = get4(following, at)
            if to == at + 1 and is_alphanumeric(get4(text, at)):
                # Single letters and digits in a row are one word.
                while to < end and get4(following, to) == to + 1 and is_alphanumeric(get4(text, to)):
                    to += 1
            put4(ends, at, to)
            at = to
        start = end


@kernel
def _find_states(book: int, text: int, start: int, end: int, ends: int, following: int, chosen: int) -> None:
    """The states behind the first character of each place into ``ends``, behind the second into ``following``, -1 for none."""
    slots = get8(book, f.DICTIONARY)
    mask = get8(book, f.DICTIONARY + 1)
    characters = get8(book, f.CHARACTERS)
    pairs = get8(book, f.DICTIONARY_PAIRS)
    numbers = get8(book, f.COST_NUMBERS)
    # Of half of all pairs no word begins, which bits in near memory tell; which half is hard to predict. So no branches first.
    count = 0
    before = 0
    for at in range(start, end):
        char = get4(text, at)
        put4(ends, at, first_step(characters, f.DICTIONARY_STATE, slots, mask, char))
        put4(following, at, -1)
        put4(chosen, count, at - 1)
        count += pair_bit(pairs, _PAIR_BITS, before, char) if at > start else 0
        before = char
    for i in range(count):
        at = get4(chosen, i)
        fetch_step(slots, mask, get4(ends, at), get4(text, at + 1))
    for i in range(count):
        at = get4(chosen, i)
        state = get4(ends, at)
        if state >= 0:
            state = step(slots, mask, state, get4(text, at + 1))
            put4(following, at, state)
            if state >= 0:
                # Behind the last character stands whatever was there, which is no harm to fetch.
                fetch_step(slots, mask, state & (LEAF - 1), get4(text, at + 2))
                fetch(numbers + 2 * (state & (LEAF - 1)))


@kernel
def _find_words(book: int, text: int, start: int, end: int, ends: int, best: int, following: int) -> None:
    """The end of the best word at each place into ``following``, from the states that :func:`_find_states` left."""
    slots = get8(book, f.DICTIONARY)
    mask = get8(book, f.DICTIONARY + 1)
    numbers = get8(book, f.COST_NUMBERS)
    costs = get8(book, f.COSTS)
    unknown = get_double(get8(book, f.UNKNOWN_COST), 0)
    put_double(best, end, 0.0)
    for at in range(end - 1, start - 1, -1):
        state = get4(ends, at)
        put4(ends, at, 0)
        # A character that is no word counts as an unknown one if nothing else begins here.
        cost = get_double(costs, get2(numbers, state & (LEAF - 1))) if state >= 0 else _NO_WORD
        some = cost < _NO_WORD
        value = (cost if some else unknown) + get_double(best, at + 1)
        to = at + 1
        state = get4(following, at)
        place = at + 2
        while state >= 0:
            cost = get_double(costs, get2(numbers, state & (LEAF - 1)))
            this = cost + get_double(best, place)
            better = cost < _NO_WORD and (this >= value or not some)
            some = some or better
            value = this if better else value
            to = place if better else to
            if place >= end or state & LEAF:
                break
            state = step(slots, mask, state, get4(text, place))
            place += 1
        put_double(best, at, value)
        put4(following, at, to)
