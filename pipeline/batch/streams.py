"""Bytes of files: decompressed, cut at line ends, bounded in memory."""

from __future__ import annotations

import os
import select
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from .settings import MAX_ROW

READ = 1 << 20
BLOCK = 4 << 20
STEP = 1 << 12  # compressed bytes at a time: bounds what they swell to, and what is lost where a stream is damaged
_GZIP_MAGIC = b"\x1f\x8b\x08"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class Damage(Exception):
    """The rest of a compressed stream cannot be read. ``reason`` is ``truncated`` or ``corrupt``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def raw_chunks(path: Path) -> Iterator[bytes]:
    """Content of a plain, gzip or Zstandard file, decided by its first bytes. Raises ``Damage`` and ``OSError``."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head.startswith(_GZIP_MAGIC):
            yield from _members(file, lambda: zlib.decompressobj(31), zlib.error, _GZIP_MAGIC, "gzip")
        elif head.startswith(_ZSTD_MAGIC):
            import zstandard

            factory = zstandard.ZstdDecompressor(max_window_size=1 << 27)
            yield from _members(file, factory.decompressobj, zstandard.ZstdError, _ZSTD_MAGIC, "zstd")
        else:
            while data := file.read(READ):
                yield data


def is_compressed(path: Path) -> bool:
    """Whether a file is gzip or Zstandard."""
    with path.open("rb") as file:
        return file.read(4).startswith((_GZIP_MAGIC, _ZSTD_MAGIC))


def _members(
    file: BinaryIO, factory: Callable[[], Any], error: type[Exception], magic: bytes, name: str
) -> Iterator[bytes]:
    """Content of members (frames) one after the other.

    After a damaged member the next one is looked for: what stands there is read, and ``Damage`` is raised last.
    """
    damage: Damage | None = None
    worker: Any = None
    begin = 0  # where the member begins in the file
    pending = b""
    while True:
        data = pending or file.read(STEP)
        pending = b""
        if not data:
            if worker is None:
                break
            damage = Damage("truncated", f"the {name} stream ends in the middle; the file was cut short")
            if not _seek_member(file, begin + 1, factory, error, magic):
                break
            worker = None
            yield b"\n"
            continue
        if worker is None:
            begin = file.tell() - len(data)
            data = data.lstrip(b"\x00")  # padding after the last member
            if not data:
                continue
            worker = factory()
        try:
            out = worker.decompress(data)
        except error as problem:
            damage = Damage("corrupt", f"the {name} stream is damaged ({problem})")
            worker = None
            yield b"\n"  # what stood before the damage and what comes after are not one line
            if not _seek_member(file, begin + 1, factory, error, magic):
                break
            continue
        if out:
            yield out
        if worker.eof:
            pending = worker.unused_data
            worker = None
    if damage is not None:
        if worker is None:
            yield b"\n"  # the last line is whole
        raise damage


def _seek_member(file: BinaryIO, start: int, factory: Callable[[], Any], error: type[Exception], magic: bytes) -> bool:
    """Go to the first member that begins at ``start`` or later, if there is one.

    A decoder may run on for long into what it takes for its own data, so this begins where the damaged member began.
    """
    at, held = start, b""
    file.seek(start)
    while data := file.read(READ):
        held += data
        found = held.find(magic)
        while found >= 0:
            with suppress(error):
                file.seek(at + found)
                if factory().decompress(file.read(STEP)):
                    file.seek(at + found)
                    return True
            found = held.find(magic, found + 1)
        at += max(0, len(held) - len(magic) + 1)
        held = held[-len(magic) + 1 :]
        file.seek(at + len(held))
    return False


def standard_input() -> Iterator[bytes]:
    """Standard input as it comes: what is there is handed on without waiting for more, up to a block."""
    stream = sys.stdin.fileno()
    while data := os.read(stream, READ):
        parts, size = [data], len(data)
        while size < BLOCK and select.select([stream], [], [], 0)[0]:
            more = os.read(stream, READ)
            if not more:
                break
            parts.append(more)
            size += len(more)
        yield b"".join(parts)


def whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that end at a line end (the last may lack it).

    A line above ``MAX_ROW`` is cut to ``MAX_ROW + 1`` bytes, so that the reader still sees that it is too long.
    """
    carry = b""
    dropping = False
    for chunk in chunks:
        data = chunk
        if dropping:
            at = data.find(b"\n")
            if at < 0:
                continue
            data = data[at:]
            dropping = False
        cut = data.rfind(b"\n") + 1
        if cut:
            yield carry + data[:cut]
            carry = data[cut:]
        else:
            carry += data
        if len(carry) > MAX_ROW:
            carry = carry[: MAX_ROW + 1]
            dropping = True
    if carry:
        yield carry


def blocks(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Whole lines in blocks of at least ``size`` bytes, save the last."""
    parts: list[bytes] = []
    held = 0
    try:
        for lines in whole_lines(chunks):
            parts.append(lines)
            held += len(lines)
            if held >= size:
                yield b"".join(parts)
                parts, held = [], 0
    except Damage:
        if parts:
            yield b"".join(parts)
        raise
    if parts:
        yield b"".join(parts)


def range_chunks(path: Path, start: int, stop: int) -> Iterator[bytes]:
    """The lines that begin in ``[start, stop)`` of a plain file, in chunks cut anywhere."""
    with path.open("rb") as file:
        if start:
            file.seek(start - 1)
            if not _pass_line(file):
                return
        at = file.tell()
        last = b"\n"
        while at < stop:
            data = file.read(min(BLOCK, stop - at))
            if not data:
                return
            at += len(data)
            last = data[-1:]
            yield data
        while last != b"\n":
            data = file.readline(READ)
            if not data:
                return
            last = data[-1:]
            yield data


def _pass_line(file: BinaryIO) -> bool:
    while data := file.readline(READ):
        if data.endswith(b"\n"):
            return True
    return False
