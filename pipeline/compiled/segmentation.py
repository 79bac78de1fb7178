"""Words of a text: jieba's dictionary, HMM off, the same words as ``pipeline.text.tokens`` gives."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError, UsageError
from .jit import Array, kernel
from .trie import Builder, Trie, code_points, step


class Dictionary(NamedTuple):
    """``words`` leads to the number of a word, ``costs[number]`` is its log frequency."""

    words: Trie
    costs: Array
    log_total: float


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
    words = builder.spans(chars, starts, word_ends, np.arange(len(starts), dtype=np.int32))
    return Dictionary(words, logs[which], math.log(int(frequencies.sum())))


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


@kernel
def _in_block(char: int) -> bool:
    """Whether jieba looks a character up at all: Han, ASCII letters and digits, and ``+#&._%-``."""
    if 0x4E00 <= char <= 0x9FFF:
        return True
    if char < 0x80:
        return (
            48 <= char <= 57
            or 65 <= char <= 90
            or 97 <= char <= 122
            or char == 43
            or char == 35
            or char == 38
            or char == 46
            or char == 95
            or char == 37
            or char == 45
        )
    return (
        0x3400 <= char <= 0x4DBF
        or 0xF900 <= char <= 0xFAFF
        or 0x20000 <= char <= 0x2A6DF
        or 0x2A700 <= char <= 0x2EBEF
        or 0x2F800 <= char <= 0x2FA1F
    )


@kernel
def is_alphanumeric(char: int) -> bool:
    """ASCII letter or digit."""
    return 48 <= char <= 57 or 65 <= char <= 90 or 97 <= char <= 122


@kernel
def word_ends(text: Array, length: int, dictionary: Dictionary) -> Array:
    """End of the word that starts at each position; 0 where none starts."""
    ends = np.zeros(length, dtype=np.int32)
    best = np.empty(length + 1, dtype=np.float64)
    following = np.empty(length + 1, dtype=np.int32)
    costs = dictionary.costs
    values = dictionary.words.values
    log_total = dictionary.log_total
    start = 0
    while start < length:
        if not _in_block(text[start]):
            # "\r\n" would be one word; the canonical text holds no "\r".
            ends[start] = start + 1
            start += 1
            continue
        end = start + 1
        while end < length and _in_block(text[end]):
            end += 1
        best[end] = 0.0
        for at in range(end - 1, start - 1, -1):
            state = 0
            chosen = 0
            value = 0.0
            for place in range(at, end):
                state = step(dictionary.words, state, text[place])
                if state < 0:
                    break
                number = values[state]
                if number >= 0:
                    this = costs[number] - log_total + best[place + 1]
                    if chosen == 0 or this >= value:
                        chosen = place + 1
                        value = this
            if chosen == 0:
                chosen = at + 1
                value = 0.0 - log_total + best[chosen]
            best[at] = value
            following[at] = chosen
        at = start
        while at < end:
            to = following[at]
            if to == at + 1 and is_alphanumeric(text[at]):
                # Single letters and digits in a row are one word.
                while to < end and following[to] == to + 1 and is_alphanumeric(text[to]):
                    to += 1
            ends[at] = to
            at = to
        start = end
    return ends
