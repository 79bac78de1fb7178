"""The compiled functions that Python calls, kept on disk between runs.

numba's cache looks only at the file of the function it stores. Each entry therefore encloses a digest of this package's
sources: when any of them changes, numba sees another function and compiles it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import engine, trie
from .fields import FIELDS
from .jit import entry
from .memory import Book

_judge, _insert, _rehash = engine.judge, trie.insert, trie.rehash


class Entries(NamedTuple):
    """Compiled functions."""

    judge: Callable[..., engine.Output]
    insert: Callable[..., int]
    rehash: Callable[..., int]


@cache
def entries() -> Entries:
    """The entries, from numba's cache if it can be read, else compiled anew for this process."""
    made = _make(_digest(), cached=True)
    try:
        _try(made)
    except Exception:
        # An unreadable or unwritable cache. If the fault lies elsewhere, compiling without it will say so.
        made = _make(_digest(), cached=False)
        _try(made)
    return made


def _make(digest: str, *, cached: bool) -> Entries:
    def judge(raws: Any, offsets: Any, questions: Any, book: Any, thresholds: Any, explain: Any) -> Any:
        if len(digest) == 0:
            raise ValueError
        return _judge(raws, offsets, questions, book, thresholds, explain)

    def insert(chars: Any, starts: Any, ends: Any, numbers: Any, slots: Any, values: Any) -> Any:
        if len(digest) == 0:
            raise ValueError
        return _insert(chars, starts, ends, numbers, slots, values)

    def rehash(old: Any, new: Any) -> Any:
        if len(digest) == 0:
            raise ValueError
        return _rehash(old, new)

    return Entries(entry(judge, cache=cached), entry(insert, cache=cached), entry(rehash, cache=cached))


def _try(made: Entries) -> None:
    """Call every entry, so that whatever is wrong with it shows."""
    builder = trie.Builder(made.insert, made.rehash)
    builder.strings(["贷款"])
    made.rehash(np.zeros(16, dtype=np.int64), np.zeros(16, dtype=np.int64))
    none = np.zeros(0, dtype=np.int32)
    book = Book(FIELDS)
    made.judge(none, np.zeros(1, dtype=np.int64), none.astype(np.uint8), book.address, (0.0, 0.0, 0.0), True)


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for module in ("disguise", "characters"):  # constants of these are compiled in
        digest.update(Path(__file__).parent.parent.joinpath("text", f"{module}.py").read_bytes())
    digest.update(Path(__file__).parent.parent.joinpath("model", "evidence.py").read_bytes())
    return digest.hexdigest()
