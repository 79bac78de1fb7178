"""Batches of texts as code points: from lists of strings and from Arrow arrays, a few million characters at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..errors import InputError
from .entries import entries
from .jit import Array
from .trie import code_points

MOST_TEXTS = 16384
MOST_CHARS = 1 << 21


def batches(texts: Sequence[str] | Any) -> Iterator[tuple[Array, Array]]:
    """Code points (int32) of some texts and their offsets (int64, one more than texts), in order.

    ``texts``: a sequence of strings, or a pyarrow array or chunked array of strings, where null counts as empty.
    """
    if hasattr(texts, "chunks"):
        for chunk in texts.chunks:
            yield from _from_arrow(chunk)
    elif hasattr(texts, "buffers"):
        yield from _from_arrow(texts)
    else:
        yield from _from_strings(texts)


def _from_strings(texts: Sequence[str]) -> Iterator[tuple[Array, Array]]:
    source = iter(texts)
    while part := list(islice(source, MOST_TEXTS)):
        lengths = np.fromiter(map(len, part), dtype=np.int64, count=len(part))
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        for first, last in _cuts(offsets):
            yield code_points("".join(part[first:last])), offsets[first : last + 1] - offsets[first]


def _from_arrow(array: Any) -> Iterator[tuple[Array, Array]]:
    if str(array.type) not in ("string", "large_string"):
        array = array.cast("large_string")
    if array.null_count:
        array = array.fill_null("")
    _, places, data = array.buffers()
    width = np.int32 if str(array.type) == "string" else np.int64
    if len(array) == 0:
        return
    offsets = np.frombuffer(places, dtype=width)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    bytes_of = np.frombuffer(data if data is not None else b"", dtype=np.uint8)
    bytes_of.flags.writeable = False  # one kind of array, so that one version is compiled
    decode = entries().decode
    for start in range(0, len(array), MOST_TEXTS):
        part = offsets[start : start + MOST_TEXTS + 1]
        for first, last in _cuts(part):
            places = part[first : last + 1]
            chars = np.empty(int(places[-1] - places[0]), dtype=np.int32)
            begins = np.empty(len(places), dtype=np.int64)
            if (broken := decode(bytes_of, places, chars, begins)) >= 0:
                raise InputError(
                    f"text {start + first + broken} of an Arrow array of strings is not UTF-8. "
                    "Check how the array was made, for example with array.validate(full=True).",
                    code="E_INPUT_ENCODING",
                )
            yield chars[: begins[-1]], begins


def _cuts(offsets: Array) -> Iterator[tuple[int, int]]:
    """First and last text of stretches of at most ``MOST_CHARS`` characters; a longer text stands alone."""
    first = 0
    total = len(offsets) - 1
    while first < total:
        last = int(np.searchsorted(offsets, offsets[first] + MOST_CHARS, side="right")) - 1
        last = min(total, max(first + 1, last))
        yield first, last
        first = last
