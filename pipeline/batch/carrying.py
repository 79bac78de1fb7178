"""Row groups of Parquet carried over: the caller's columns as the bytes they are, the verdict's columns beside them.

Encoding and compressing the texts again costs as much as writing all verdicts. Where a whole row group goes out as it came in, its
column chunks are copied, and only their places in the file change.
"""

from __future__ import annotations

import io
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..errors import InputError
from . import footer
from .footer import Value

_MOST_ROWS = 1 << 20  # whose verdicts are held in memory
_LARGEST_FOOTER = 4 << 20  # that is worth taking apart

# Those that are known to say rightly where column chunks begin and end; old ones of Java do not.
_WRITERS = re.compile(rb"parquet-cpp-arrow version \d|parquet-rs version \d|parquet-mr version 1\.1\d")

# Fields of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_SCHEMA, _ROW_GROUPS, _WRITER, _ENCRYPTION = 2, 4, 6, 8
_COLUMNS, _BYTES, _ROWS, _OFFSET, _COMPRESSED = 1, 2, 3, 5, 6
_FILE_OFFSET, _METADATA = 2, 3
_SIZE, _DATA, _DICTIONARY = 7, 9, 11
_KEPT = (1, 2, 3, 4, 5, 6, _SIZE, _DATA, _DICTIONARY, 12, 13, 16)  # all but places of what is not copied


class Uncarried(Exception):
    """The rows do not go out as they came in, so they have to be written anew."""


class Stretches(NamedTuple):
    """Bytes of an input file that had ``version`` (size in bytes, time of change in ns) when they were decoded.

    ``places``: where each stretch begins, and how long it is.
    """

    path: str
    version: tuple[int, int]
    places: tuple[tuple[int, int], ...]

    def copy(self, out: BinaryIO) -> None:
        """Append them to ``out``. Raises ``InputError`` if the file is not what it was, and ``OSError``."""
        try:
            source = open(self.path, "rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read any more ({error.strerror}). Leave inputs where they are during a run.",
                code="E_INPUT_UNREADABLE",
            ) from error
        with source:
            if _version(os.fstat(source.fileno())) == self.version:
                for start, size in self.places:
                    source.seek(start)
                    footer.copy(source, out, size)
                if _version(os.fstat(source.fileno())) == self.version:
                    return
        raise InputError(
            f"{self.path}: was changed while it was read. Leave inputs as they are during a run, and run again "
            "without --resume.",
            code="E_INPUT_CHANGED",
        )


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


class Chunk(NamedTuple):
    """A column of a row group: where its pages are, and what the footer says of it."""

    start: int
    size: int
    described: dict[int, Value]


class Group(NamedTuple):
    """A row group that can be carried over."""

    path: str
    rows: int
    size: int
    chunks: list[Chunk]
    version: tuple[int, int]

    @property
    def stretches(self) -> Stretches:
        """Its columns."""
        return Stretches(self.path, self.version, tuple((chunk.start, chunk.size) for chunk in self.chunks))


def carried(path: str, group: int, start: int, stop: int, schema: tuple[Value, ...]) -> Group | None:
    """Row group ``group`` of a file if rows ``[start, stop)`` are all of it and its columns are those that begin ``schema``."""
    status = os.stat(path)
    found = _footer(path, *_version(status))
    if found is None or start or not 0 < stop <= _MOST_ROWS or not _WRITERS.match(found[_WRITER].value):
        return None
    own = found[_SCHEMA].value[0]
    if tuple(own[1:]) != schema[1 : len(own)]:
        return None
    fields = found[_ROW_GROUPS].value[0][group].value
    if fields[_ROWS].value != stop:
        return None
    chunks = [_chunk(value.value) for value in fields[_COLUMNS].value[0]]
    whole = [c for c in chunks if c is not None and len(footer.MAGIC) <= c.start < c.start + c.size < status.st_size]
    if len(whole) < len(chunks):
        return None
    return Group(path, stop, fields[_BYTES].value, whole, _version(status))


def schema_of(written: bytes) -> tuple[Value, ...]:
    """The schema in the footer of a Parquet file."""
    size = footer.footer_size(written[-8:])
    return tuple(footer.read_footer(written[-8 - size : -8])[_SCHEMA].value[0])


@lru_cache(maxsize=4)
def _footer(path: str, size: int, changed: int) -> dict[int, Value] | None:
    with Path(path).open("rb") as file:
        file.seek(-8, io.SEEK_END)
        length = footer.footer_size(file.read(8))
        if length > _LARGEST_FOOTER:
            return None
        file.seek(-8 - length, io.SEEK_END)
        found = footer.read_footer(file.read(length))
        return found if _WRITER in found and _ENCRYPTION not in found else None


def _chunk(fields: dict[int, Value]) -> Chunk | None:
    """A column chunk with nothing out of the ordinary: in this file, not encrypted."""
    if not fields.keys() <= {_FILE_OFFSET, _METADATA, 4, 5, 6, 7} or _METADATA not in fields:
        return None
    metadata = fields[_METADATA].value
    start = metadata[_DATA].value
    if _DICTIONARY in metadata and metadata[_DICTIONARY].value > 0:
        start = min(start, metadata[_DICTIONARY].value)
    return Chunk(start, metadata[_SIZE].value, metadata)


def write_carried(group: Group, verdicts: memoryview, out: BinaryIO) -> None:
    """A part of one row group: the columns of ``verdicts``, a Parquet file of one row group itself.

    Its footer describes the row group as the output's will, with the columns of ``group`` first, which are copied into that from
    where they are; the schema is left to the output.
    """
    columns: list[Value] = []
    at = len(footer.MAGIC)
    for chunk in group.chunks:
        columns.append(_moved(chunk, at))
        at += chunk.size
    size = footer.footer_size(bytes(verdicts[-8:]))
    fields = footer.read_footer(bytes(verdicts[-8 - size : -8]))
    (own,), _ = fields[_ROW_GROUPS].value
    if own.value[_ROWS].value != group.rows:
        raise Uncarried
    shift = at - len(footer.MAGIC)
    out.write(verdicts[: -8 - size])
    for value in own.value[_COLUMNS].value[0]:
        footer.shift_chunk(value.value, shift)
        columns.append(value)
    whole: dict[int, Value] = {
        _COLUMNS: Value(own.value[_COLUMNS].type, (columns, own.value[_COLUMNS].value[1])),
        _BYTES: Value(own.value[_BYTES].type, own.value[_BYTES].value + group.size),
        _ROWS: own.value[_ROWS],
        _OFFSET: Value(own.value[_BYTES].type, len(footer.MAGIC)),
        _COMPRESSED: Value(own.value[_BYTES].type, shift + out.tell() - len(footer.MAGIC)),
        7: Value(footer.I16, 0),
    }
    out.write(footer.joined_footer(fields, footer.written(whole), 1, group.rows))


def _moved(chunk: Chunk, to: int) -> Value:
    """The chunk as it is described where its pages begin at ``to``."""
    metadata: dict[int, Value] = {n: v for n, v in chunk.described.items() if n in _KEPT}
    for number in (_DATA, _DICTIONARY):
        if number in metadata and metadata[number].value > 0:
            metadata[number] = Value(metadata[number].type, metadata[number].value - chunk.start + to)
    described: dict[int, Any] = {
        _FILE_OFFSET: Value(metadata[_DATA].type, 0),
        _METADATA: Value(footer.STRUCT, metadata),
    }
    return Value(footer.STRUCT, described)
