"""Parquet files put together byte by byte: row groups are copied, only the offsets in the footer change.

The footer is a Thrift structure in the compact protocol. It is read into plain values and written back, so that fields unknown
here pass through. See https://parquet.apache.org/docs/file-format/metadata/.
"""

from __future__ import annotations

import errno
import os
import struct
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

MAGIC = b"PAR1"

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

# Fields of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData.
_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSETS = (2, 4, 6)  # file_offset, offset_index_offset, column_index_offset
_CHUNK_METADATA = 3
_DATA_OFFSETS = (9, 10, 11, 14)  # data page, index page, dictionary page, bloom filter
I16, STRUCT = _I16, _STRUCT
_MOST_ORDINALS = 1 << 15


class Value(NamedTuple):
    """A value with its Thrift type; a structure is a dict of field number to ``Value``."""

    type: int
    value: Any


class FooterError(ValueError):
    """The footer is not what the format says."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        shift = result = 0
        while True:
            b = self.byte()
            result |= (b & 0x7F) << shift
            if b < 0x80:
                return result
            shift += 7

    def zigzag(self) -> int:
        n = self.varint()
        return (n >> 1) ^ -(n & 1)

    def struct(self) -> dict[int, Value]:
        fields: dict[int, Value] = {}
        number = 0
        while head := self.byte():
            kind = head & 0x0F
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            value = kind == _TRUE if kind in (_TRUE, _FALSE) else self.value(kind)
            fields[number] = Value(kind, value)
        return fields

    def value(self, kind: int) -> Any:
        if kind in (_TRUE, _FALSE, _BYTE):
            return self.byte()
        if kind in (_I16, _I32, _I64):
            return self.zigzag()
        if kind == _DOUBLE:
            self.at += 8
            return self.data[self.at - 8 : self.at]
        if kind == _BINARY:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind in (_LIST, _SET):
            head = self.byte()
            size = head >> 4 if head >> 4 < 15 else self.varint()
            return [Value(head & 0x0F, self.value(head & 0x0F)) for _ in range(size)], head & 0x0F
        if kind == _STRUCT:
            return self.struct()
        raise FooterError(f"unexpected Thrift type {kind} at byte {self.at}")


def _varint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _zigzag(n: int) -> bytes:
    return _varint((n << 1) ^ (n >> 63))


def _write_struct(fields: dict[int, Value]) -> bytes:
    out = bytearray()
    last = 0
    for number, (kind, value) in fields.items():
        if kind in (_TRUE, _FALSE):
            kind = _TRUE if value else _FALSE
        step = number - last
        out += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _zigzag(number)
        if kind not in (_TRUE, _FALSE):
            out += _write(kind, value)
        last = number
    out.append(0)
    return bytes(out)


def _write(kind: int, value: Any) -> bytes:
    if kind in (_TRUE, _FALSE, _BYTE):
        return bytes([value])
    if kind in (_I16, _I32, _I64):
        return _zigzag(value)
    if kind == _DOUBLE:
        return bytes(value)
    if kind == _BINARY:
        return _varint(len(value)) + bytes(value)
    if kind in (_LIST, _SET):
        items, inner = value
        return _list_head(len(items), inner) + b"".join(_write(item.type, item.value) for item in items)
    return _write_struct(value)


def _list_head(size: int, kind: int) -> bytes:
    return bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + _varint(size)


def written(fields: dict[int, Value]) -> bytes:
    """A structure as it stands in a footer."""
    return _write_struct(fields)


def read_footer(footer: bytes) -> dict[int, Value]:
    """The fields of ``FileMetaData``."""
    try:
        return _Reader(footer).struct()
    except IndexError as error:
        raise FooterError("the footer is cut short") from error


def footer_size(tail: bytes) -> int:
    """Size of the footer, from the last 8 bytes of a file."""
    if len(tail) != 8 or tail[4:] != MAGIC:
        raise FooterError("not a Parquet file")
    return int(struct.unpack("<I", tail[:4])[0])


def moved_row_groups(fields: dict[int, Value], shift: int, first: int) -> list[bytes]:
    """The row groups of a footer, each as bytes, as they are when the data stand ``shift`` bytes further on.

    ``first`` is the number of row groups before them.
    """
    groups, _ = fields[_ROW_GROUPS].value
    moved = []
    for k, group in enumerate(groups):
        _shift(group.value, (_GROUP_OFFSET,), shift)
        if _ORDINAL in group.value:
            if first + k < _MOST_ORDINALS:
                group.value[_ORDINAL] = Value(_I16, first + k)
            else:
                del group.value[_ORDINAL]
        for chunk in group.value[_COLUMNS].value[0]:
            shift_chunk(chunk.value, shift)
        moved.append(_write_struct(group.value))
    return moved


def shift_chunk(fields: dict[int, Value], by: int) -> None:
    """Change a column chunk to one that stands ``by`` bytes further on."""
    _shift(fields, _CHUNK_OFFSETS, by)
    if _CHUNK_METADATA in fields:
        _shift(fields[_CHUNK_METADATA].value, _DATA_OFFSETS, by)


def _shift(fields: dict[int, Value], numbers: tuple[int, ...], by: int) -> None:
    for number in numbers:
        # 0 stands for "not given" in file_offset of newer writers.
        if number in fields and fields[number].value > 0:
            fields[number] = Value(fields[number].type, fields[number].value + by)


def joined_footer(fields: dict[int, Value], row_groups: bytes, count: int, rows: int) -> bytes:
    """The footer, its size and the closing magic of a file with ``count`` row groups that were written with ``fields`` as schema."""
    whole = dict(fields)
    whole[_ROWS] = Value(_I64, rows)
    del whole[_ROW_GROUPS]
    before = {n: v for n, v in whole.items() if n < _ROW_GROUPS}
    after = {n: v for n, v in whole.items() if n > _ROW_GROUPS}
    head = _write_struct(before)[:-1] + bytes([(_ROW_GROUPS - max(before)) << 4 | _LIST])
    body = head + _list_head(count, _STRUCT) + row_groups + _continued(after, _ROW_GROUPS)
    return body + struct.pack("<I", len(body)) + MAGIC


def _continued(fields: dict[int, Value], last: int) -> bytes:
    """The rest of a structure, after field ``last``."""
    marked = _write_struct({last: Value(_TRUE, True), **fields})
    return marked[1:]


def copy(file: BinaryIO, out: BinaryIO, size: int) -> None:
    """Append the next ``size`` bytes of a file; inside the kernel where it can."""
    if hasattr(os, "copy_file_range") and out.seekable():
        out.flush()
        at, to = file.tell(), out.tell()
        with suppress(OSError):  # a file system that cannot; what is wrong with a disk shows below
            while size:
                copied = os.copy_file_range(file.fileno(), out.fileno(), size, at, to)
                if not copied:
                    break
                at, to, size = at + copied, to + copied, size - copied
        file.seek(at)
        out.seek(to)
    while size:
        data = file.read(min(size, 1 << 20))
        if not data:
            raise OSError(errno.EIO, "a file is shorter than it was")
        out.write(data)
        size -= len(data)
