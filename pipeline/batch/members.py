"""Compressed files: members (gzip) or frames (Zstandard) one after the other, none passed on as good that is damaged.

That a member is damaged may show late: its checksum stands at its end. So the last ``HELD`` bytes of its text wait until the
checksum is right. A member with less text than that is passed on whole or not at all. Of a larger one the beginning is passed on,
after ``Opened``, which lets its rows be named if ``Damage`` follows.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

READ = 1 << 20
STEP = 1 << 13  # compressed bytes at a time: bounds what they swell to
HELD = 32 << 20  # bytes of text
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 17  # bytes of text that are put together
_FIRST = 1 << 18  # the first block of a frame, and thus its first text, ends within so many compressed bytes
# Bytes of text of a damaged member. From random bytes behind the magic ones as many come once in 2,000 times.
_TELLING = 16


@dataclass(frozen=True, slots=True)
class Opened:
    """Here begins a member of which something is passed on before its checksum is read."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A member is damaged; stands in the place of what is lost of it.

    ``reason`` is ``truncated``, ``corrupt`` or ``unreadable``; ``lost`` text that is not passed on; ``passed`` whether some was,
    behind the last ``Opened``.
    """

    reason: str
    message: str
    lost: bytes
    passed: bool


Piece = bytes | Opened | Damage


@dataclass(frozen=True, slots=True)
class _Packing:
    name: str
    magic: bytes
    error: type[Exception]
    decoder: Callable[[], Any]


def raw_chunks(path: Path, held: int | None = None) -> Iterator[Piece]:
    """Content of a plain, gzip or Zstandard file. Raises ``OSError``.

    ``held`` bytes of a member wait for its checksum (default ``HELD``; 0: none, for a look at the beginning).
    """
    packing = _packing(path)
    with path.open("rb") as file:
        if packing is not None:
            yield from _members(_Steps(file), packing, HELD if held is None else held)
            return
        while data := file.read(READ):
            yield data


def is_compressed(path: Path) -> bool:
    """Whether a file is gzip or Zstandard."""
    return _packing(path) is not None


def _gzip() -> _Packing:
    return _Packing("gzip", _GZIP, zlib.error, lambda: zlib.decompressobj(31))


def _zstd() -> _Packing:
    import zstandard

    factory = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    return _Packing("zstd", _ZSTD, zstandard.ZstdError, factory.decompressobj)


_PACKINGS = ((_GZIP, (".gz",), _gzip), (_ZSTD, (".zst", ".zstd"), _zstd))


def _packing(path: Path) -> _Packing | None:
    """How a file is compressed, by its first bytes; where these are damaged, by its name and a member that comes later."""
    with path.open("rb") as file:
        head = file.read(4)
        for magic, _, make in _PACKINGS:
            if head.startswith(magic):
                return make()
        for _, suffixes, make in _PACKINGS:
            if path.name.lower().endswith(suffixes) and _seek_member(_Steps(file), 0, packing := make()):
                return packing
    return None


class _Steps:
    """A file in steps of ``STEP`` bytes; ``at`` is where the next begins. What is not used of one can be put back."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.at = file.tell()
        self._back = b""

    def take(self) -> bytes:
        data = self._back or self.file.read(STEP)
        self._back = b""
        self.at += len(data)
        return data

    def put_back(self, data: bytes) -> None:
        self._back = data
        self.at -= len(data)

    def seek(self, at: int, whence: int = os.SEEK_SET) -> None:
        self.at = self.file.seek(at, whence)
        self._back = b""


class _Held:
    """Text that waits, in pieces: first in, first out. Small ones are put together soon, while the processor's cache has them."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: deque[bytes] = deque()
        self._small: list[bytes] = []
        self._small_size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._small.append(piece)
        self._small_size += len(piece)
        if self._small_size >= _PIECE:
            self._pieces.append(b"".join(self._small))
            self._small.clear()
            self._small_size = 0

    def down_to(self, most: int) -> Iterator[bytes]:
        """Let go of the first pieces until not more than ``most`` bytes are left."""
        while self.size > most:
            if not self._pieces:
                self._pieces.extend(self._small)
                self._small.clear()
                self._small_size = 0
            piece = self._pieces.popleft()
            self.size -= len(piece)
            yield piece


def _members(steps: _Steps, packing: _Packing, most: int) -> Iterator[Piece]:
    while data := steps.take():
        data = data.lstrip(b"\x00")  # padding behind a member
        if data:
            steps.put_back(data)
            yield from _member(steps, packing, most)


def _member(steps: _Steps, packing: _Packing, most: int) -> Iterator[Piece]:
    """Text of the member that begins here; leaves the file where the next one begins."""
    worker = packing.decoder()
    begin = good = steps.at
    held = _Held()
    passed = False
    while not worker.eof:
        try:
            good = steps.at
            data = steps.take()
            if not data:
                reason, problem = "truncated", "ends in the middle; the file was cut short"
                break
            out = worker.decompress(data)
        except packing.error as error:
            reason, problem = "corrupt", f"is damaged ({error})"
            break
        except OSError as error:
            reason, problem = "unreadable", f"cannot be read any further ({error.strerror or error})"
            break
        if not out:
            continue
        held.add(out)
        if held.size > most:
            if not passed:
                passed = True
                yield Opened()
            yield from held.down_to(most)
    else:
        steps.put_back(worker.unused_data)
        yield from held.down_to(0)
        return

    if reason == "unreadable":
        followed = False
        steps.seek(0, os.SEEK_END)
    else:
        if reason == "corrupt" and not passed:
            held = _decoded(steps, begin, good, packing)
        followed = _seek_member(steps, begin + 1, packing)
    if reason != "corrupt" and not followed:
        # Nothing says that what stands before a cut is wrong: it is passed on, and named.
        if held.size and not passed:
            passed = True
            yield Opened()
        yield from held.down_to(0)
    yield Damage(reason, f"the {packing.name} member at byte {begin:,} {problem}", b"".join(held.down_to(0)), passed)


def _decoded(steps: _Steps, begin: int, good: int, packing: _Packing) -> _Held:
    """Text of a member up to its damage, which is behind ``good``: a step in which damage shows gives nothing as a whole."""
    worker = packing.decoder()
    steps.seek(begin)
    held = _Held()
    with suppress(packing.error):
        for at in range(begin, good, READ):
            held.add(worker.decompress(steps.file.read(min(READ, good - at))))
        while data := steps.file.read(1):
            held.add(worker.decompress(data))
    return held


def _seek_member(steps: _Steps, start: int, packing: _Packing) -> bool:
    """Go to the first member that begins at ``start`` or later, else to the end.

    A decoder may run on for long into what it takes for its own data, so this begins where the damaged member began.
    """
    at, held = start, b""
    steps.seek(start)
    while data := steps.file.read(READ):
        held += data
        found = held.find(packing.magic)
        while found >= 0:
            steps.seek(at + found)
            if _gives_text(steps, packing):
                steps.seek(at + found)
                return True
            found = held.find(packing.magic, found + 1)
        at += max(0, len(held) - len(packing.magic) + 1)
        held = held[-len(packing.magic) + 1 :]
        steps.seek(at + len(held))
    steps.seek(0, os.SEEK_END)
    return False


def _gives_text(steps: _Steps, packing: _Packing) -> bool:
    begin = steps.at
    worker = packing.decoder()
    try:
        for _ in range(_FIRST // STEP):
            data = steps.take()
            if worker.decompress(data) or worker.eof:
                return True
            if not data:
                break
    except packing.error:
        # A member that is damaged, too, so that it is told of; what only looks like the beginning of one gives less.
        return _decoded(steps, begin, begin, packing).size >= _TELLING
    return False
