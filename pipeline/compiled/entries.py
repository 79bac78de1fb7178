"""The compiled functions that Python calls, kept on disk between runs.

numba's cache looks only at the file of the function it stores. Each entry therefore encloses a digest of this package's
sources: when any of them changes, numba sees another function and compiles it again.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import event

from . import engine, trie, utf8
from .fields import FIELDS
from .jit import entry, kernel
from .memory import Book

_judge, _insert, _rehash, _decode = engine.judge, trie.insert, trie.rehash, kernel(utf8.decode)


_log = logging.getLogger("pipeline.compiled")


class _FirstCompilation(event.Listener):
    """Says on the log that it compiles, once; nothing where all comes from the cache."""

    def __init__(self) -> None:
        self._told = False

    def on_start(self, event: Any) -> None:
        if not self._told:
            self._told = True
            _log.info(
                "首次使用,正在编译,约半分钟,只需一次。Compiling on first use; takes about half a minute, and only this once."
            )

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


@contextmanager
def first_use(folder: str | None, name: str, *, long: bool = True) -> Iterator[None]:
    """Around the first calls of functions whose cache is ``folder``: of processes that begin at once only one compiles.

    It says so on the log ``pipeline.compiled`` where that is ``long``; the others wait for what it leaves in the cache. ``name``
    stands for the functions as they are.
    """
    with ExitStack() as stack:
        marker = _marker(folder, name)
        if marker is not None and not marker.exists():
            _wait(stack, marker.with_suffix(".lock"))
        if long:
            stack.enter_context(event.install_listener("numba:compile", _FirstCompilation()))
        yield
        if marker is not None:
            with suppress(OSError):
                marker.touch()


def _marker(folder: str | None, name: str) -> Path | None:
    """A file that is there once the cache is filled."""
    version = f"py{sys.version_info[0]}{sys.version_info[1]}-numba{numba.__version__}"
    return Path(folder) / f"{name[:32]}-{version}.compiled" if folder else None


def _wait(stack: ExitStack, lock: Path) -> None:
    """Until no other process compiles. Where files cannot be locked, each compiles for itself."""
    with suppress(ImportError, OSError):
        import fcntl

        file = stack.enter_context(lock.open("wb"))
        fcntl.flock(file, fcntl.LOCK_EX)


class Entries(NamedTuple):
    """Compiled functions."""

    judge: Callable[..., engine.Output]
    insert: Callable[..., int]
    rehash: Callable[..., int]
    decode: Callable[..., int]


@cache
def entries() -> Entries:
    """The entries, from numba's cache if it can be read, else compiled anew for this process."""
    made = _make(_digest(), cached=True)
    try:
        with first_use(cache_folder(made.judge), _digest()):
            _try(made)
    except Exception:
        # An unreadable or unwritable cache. If the fault lies elsewhere, compiling without it will say so.
        made = _make(_digest(), cached=False)
        with first_use(None, _digest()):
            _try(made)
    return made


def cache_folder(function: Any) -> str | None:
    """Where a compiled function is kept, if it is."""
    found: str | None = function.stats.cache_path
    return found


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

    def decode(data: Any, places: Any, chars: Any, offsets: Any) -> Any:
        if len(digest) == 0:
            raise ValueError
        return _decode(data, places, chars, offsets)

    return Entries(*(entry(function, cache=cached) for function in (judge, insert, rehash, decode)))


def _try(made: Entries) -> None:
    """Call every entry, so that whatever is wrong with it shows."""
    builder = trie.Builder(made.insert, made.rehash)
    builder.strings(["贷款"])
    made.rehash(np.zeros(16, dtype=np.int64), np.zeros(16, dtype=np.int64))
    none = np.zeros(0, dtype=np.int32)
    start = np.zeros(1, dtype=np.int64)
    made.decode(np.frombuffer(b"", dtype=np.uint8), start, none, start.copy())
    book = Book(FIELDS)
    made.judge(none, start, none.astype(np.uint8), book.address, (0.0, 0.0, 0.0), True)


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    for module in ("disguise", "characters"):  # constants of these are compiled in
        digest.update(Path(__file__).parent.parent.joinpath("text", f"{module}.py").read_bytes())
    digest.update(Path(__file__).parent.parent.joinpath("model", "evidence.py").read_bytes())
    return digest.hexdigest()
