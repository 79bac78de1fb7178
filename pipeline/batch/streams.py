"""Bytes of files: cut at line ends, bounded in memory."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, overload

from .members import READ, Damage, Piece
from .settings import MAX_ROW

BLOCK = 4 << 20


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


@overload
def whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]: ...


@overload
def whole_lines(chunks: Iterator[Piece]) -> Iterator[Piece]: ...


def whole_lines(chunks: Iterator[Piece]) -> Iterator[Piece]:
    """The same bytes in blocks that end at a line end (the last may lack it).

    A line above ``MAX_ROW`` is cut to ``MAX_ROW + 1`` bytes, so that the reader still sees that it is too long. A line that a
    damaged member cuts short is lost with what follows.
    """
    carry = b""
    dropping = False
    for chunk in chunks:
        if not isinstance(chunk, bytes):
            if isinstance(chunk, Damage):
                chunk = replace(chunk, lost=carry + chunk.lost)
                carry, dropping = b"", False
            yield chunk
            continue
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


def blocks(chunks: Iterator[Piece], size: int) -> Iterator[Piece]:
    """Whole lines in blocks of at least ``size`` bytes, save the last and those before ``Opened`` and ``Damage``."""
    parts: list[bytes] = []
    held = 0
    for lines in whole_lines(chunks):
        if isinstance(lines, bytes):
            parts.append(lines)
            held += len(lines)
            if held < size:
                continue
        if parts:
            yield b"".join(parts)
            parts, held = [], 0
        if not isinstance(lines, bytes):
            yield lines
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
