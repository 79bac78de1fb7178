"""Sinks: what a worker writes of a shard (a part), and how parts become the output."""

from __future__ import annotations

import base64
import csv
import io
import os
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from . import footer
from .carrying import Group, Stretches, Uncarried, carried, schema_of, write_carried
from .lines import Frame
from .reading import Chunk
from .scoring import RowVerdict, Scored
from .settings import Job
from .sources import Input, Shard
from .table import (
    RANKING,
    REPEATING,
    verdict_arrays,
    verdict_names,
    verdict_schema,
    with_dictionaries,
    with_verdicts,
)

_encode = msgspec.json.Encoder().encode
_MARK = 777_777_777
MOST_HELD = 52 << 20  # bytes of verdicts that are held for a row group


class Part(Protocol):
    """Where a worker writes the rows of a shard."""

    def write(self, chunk: Chunk, scored: Scored) -> int:
        """Write the rows of a chunk; returns how many were written."""

    def end(self) -> Stretches | None:
        """All rows of the shard were written; returns what of the input goes into the output before them. Raises ``Uncarried``."""

    def close(self) -> None:
        """Let go, also where not all were written."""


def open_part(job: Job, file: BinaryIO, item: Input, shard: Shard, *, carry: bool = False) -> Part:
    """A part of the job's output format.

    ``carry``: row groups of Parquet may be carried over, which raises ``Uncarried`` where it turns out that they cannot be.
    """
    if job.settings.sink == "jsonl":
        return JsonlPart(job, file)
    if job.settings.sink == "csv":
        return CsvPart(job, file)
    if carry and job.source == "parquet" and not job.settings.only_flagged and job.settings.limit is None:
        group = carried(item.path, shard.group, shard.start, shard.stop, schema_of(_empty(job)))
        if group is not None:
            return CarriedPart(job, file, group)
    return ParquetPart(job, file)


# ---------------------------------------------------------------- JSONL


class JsonlPart:
    """Lines of JSON: the caller's object with the verdict columns after its own fields."""

    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._file = file
        self._prefix = job.settings.prefix
        self._only_flagged = job.settings.only_flagged
        self._quiet: RowVerdict | None = None
        self._quiet_tail = b""
        self._room = np.empty(0, dtype=np.uint8)

    def write(self, chunk: Chunk, scored: Scored) -> int:
        """Write the rows of a chunk."""
        if scored.count == 0:
            return 0
        if self._quiet != scored.quiet:
            self._quiet, self._quiet_tail = scored.quiet, self._tail(scored.quiet)
        heads = chunk.heads if chunk.heads is not None else _heads(chunk.batch)
        if self._only_flagged:
            lines = [heads[k] + self._tail(v) for k, v in zip(scored.rows, scored.verdicts, strict=True) if v.flagged]
            self._file.writelines(lines)
            return len(lines)
        tails = self._tails(scored)
        if isinstance(heads, Frame):
            self._file.write(self._assembled(heads, tails))
            return scored.count
        quiet = self._quiet_tail
        parts: list[bytes] = []
        last = 0
        for row, tail in tails:
            parts.append(quiet.join(heads[last : row + 1]))
            parts.append(tail)
            last = row + 1
        if last < scored.count:
            parts += (quiet.join(heads[last:]), quiet)
        self._file.write(b"".join(parts))
        return scored.count

    def _assembled(self, heads: Frame, tails: Collection[tuple[int, bytes]]) -> memoryview:
        from .kernels import kernels

        rows, special = zip(*tails, strict=True) if tails else ((), ())
        ends = np.cumsum([len(self._quiet_tail), *map(len, special)], dtype=np.int64)
        quiet_lines = len(heads) - len(special)
        size = len(heads.block) - 2 * len(heads) + int(ends[-1]) + (quiet_lines - 1) * len(self._quiet_tail)
        if len(self._room) < size:
            self._room = np.empty(size, dtype=np.uint8)
        written = kernels().assemble(
            np.frombuffer(heads.block, dtype=np.uint8),
            heads.ends,
            np.array(rows, dtype=np.int64),
            np.frombuffer(b"".join((self._quiet_tail, *special)), dtype=np.uint8),
            ends,
            self._room,
        )
        assert written == size
        return self._room[:written].data

    def _tails(self, scored: Scored) -> Collection[tuple[int, bytes]]:
        """The rows that differ from the quiet one, and what is written after them."""
        full = {row: self._tail(verdict) for row, verdict in zip(scored.rows, scored.verdicts, strict=True)}
        s = scored.scalars
        if s is None:
            return full.items()
        quiet = scored.quiet
        differs = (s.p_misleading > 0) | s.abstain | (s.stance != s.stances.index(quiet.stance))
        differs[scored.rows] = False
        # The verdict with marks in the place of what differs, cut at the marks.
        marked = replace(quiet, p_misleading=_MARK, stance=str(_MARK), abstain=_MARK)
        start, rest = self._tail(marked).split(str(_MARK).encode(), 1)
        middle, before_abstain, end = rest.split(str(_MARK).encode())
        abstain = [before_abstain + word + end for word in (b"false", b"true")]
        stances = [middle + name.encode() for name in s.stances]
        rows = differs.nonzero()[0]
        for row, p, stance, short in zip(
            rows.tolist(),
            s.p_misleading[rows].tolist(),
            s.stance[rows].tolist(),
            s.abstain[rows].tolist(),
            strict=True,
        ):
            full[row] = b"%b%b%b%b" % (start, _encode(p), stances[stance], abstain[short])
        return sorted(full.items())

    def _tail(self, verdict: RowVerdict) -> bytes:
        if self._prefix:
            fields = {self._prefix + name: getattr(verdict, name) for name in verdict.__struct_fields__}
            return b"," + _encode(fields)[1:] + b"\n"
        return b"," + _encode(verdict)[1:] + b"\n"

    def end(self) -> Stretches | None:
        """Nothing is held back."""
        return None

    def close(self) -> None:
        """Nothing is held."""


def _heads(batch: pa.RecordBatch | None) -> list[bytes]:
    assert batch is not None
    return [_encode(row)[:-1] for row in batch.to_pylist()]


# ---------------------------------------------------------------- CSV


class CsvPart:
    """CSV as RFC 4180: lists and structures as JSON text, true and false as such, null as an empty field."""

    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._only_flagged = job.settings.only_flagged

    def write(self, chunk: Chunk, scored: Scored) -> int:
        """Write the rows of a chunk."""
        batch = chunk.batch
        assert batch is not None
        quiet = _fields(scored.quiet)
        told = dict(zip(scored.rows, scored.verdicts, strict=True))
        written = 0
        columns = [[_cell(value) for value in column.to_pylist()] for column in batch.columns]
        for k, row in enumerate(zip(*columns, strict=True)):
            verdict = told.get(k)
            if self._only_flagged and (verdict is None or not verdict.flagged):
                continue
            self._writer.writerow([*row, *(quiet if verdict is None else _fields(verdict))])
            written += 1
        return written

    def end(self) -> Stretches | None:
        """Nothing follows the last row."""
        return None

    def close(self) -> None:
        """Hand the rest to the file, which stays open."""
        self._text.flush()
        self._text.detach()


def _fields(verdict: RowVerdict) -> list[Any]:
    return [_cell(getattr(verdict, name)) for name in verdict.__struct_fields__]


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, str | int | float) and not isinstance(value, bool)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple | list | dict):
        return _encode(value).decode() if value else ""
    return str(value)


# ---------------------------------------------------------------- Parquet


class ParquetPart:
    """A Parquet file of one shard."""

    def __init__(self, job: Job, file: BinaryIO, *, dictionaries: bool = True) -> None:
        self._names = verdict_names(job.pages, job.settings.prefix)
        self._pages = job.pages
        self._only_flagged = job.settings.only_flagged
        self._flagged = job.settings.prefix + "flagged"
        schema = output_schema(job)
        # Texts and numbers hardly ever repeat: trying a dictionary on them costs time and saves nothing.
        judged = job.settings.judged_column
        repeating = [job.settings.prefix + name for name in REPEATING]
        own = [f.name for f in schema if f.name not in self._names]
        paths = [name for name in own if name != judged and not pa.types.is_primitive(schema.field(name).type)]
        # Smallest and largest are of use where a reader may pass over a row group for them.
        counted = [name for name in own if name != judged] + [job.settings.prefix + name for name in RANKING]
        # Words as dictionaries are cheaper to write. The file says that they are plain strings: its schema is that of `end`.
        self._writer = pq.ParquetWriter(
            file,
            with_dictionaries(schema, repeating) if dictionaries else schema,
            compression="snappy",
            use_dictionary=_leaves(schema, [*paths, *repeating]),
            write_statistics=_leaves(schema, counted),
        )

    def write(self, chunk: Chunk, scored: Scored) -> int:
        """Write the rows of a chunk as a row group."""
        assert chunk.batch is not None
        batch = with_verdicts(chunk.batch, verdict_arrays(scored, self._pages, dictionaries=True), self._names)
        if self._only_flagged:
            batch = batch.filter(batch.column(self._flagged))
        if batch.num_rows:
            self._writer.write_batch(batch, row_group_size=max(1, batch.num_rows))
        return int(batch.num_rows)

    def end(self) -> Stretches | None:
        """The footer is written last."""
        return None

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


class CarriedPart:
    """A row group as it came in, with the verdict's columns: the caller's are copied as they are."""

    def __init__(self, job: Job, file: BinaryIO, group: Group) -> None:
        self._file = file
        self._group = group
        self._pages = job.pages
        self._held: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        schema = verdict_schema(job.pages, job.settings.prefix)
        self._schema = with_dictionaries(schema, [job.settings.prefix + name for name in REPEATING])
        self._leaves = [
            _leaves(schema, [job.settings.prefix + name for name in names]) for names in (REPEATING, RANKING)
        ]

    def write(self, chunk: Chunk, scored: Scored) -> int:
        """Take in the verdicts on the rows of a chunk."""
        if chunk.rejects:
            raise Uncarried
        arrays = verdict_arrays(scored, self._pages, dictionaries=True)
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += scored.count
        self._bytes += self._held[-1].nbytes
        if self._bytes * self._group.rows > MOST_HELD * self._rows:  # so it will be in the end: rather now than then
            raise Uncarried
        return scored.count

    def end(self) -> Stretches | None:
        """Write the verdict's columns of the row group."""
        table = pa.Table.from_batches(self._held, schema=self._schema)
        if len(table) != self._group.rows:
            raise Uncarried
        buffer = io.BytesIO()
        repeating, ranking = self._leaves
        pq.write_table(
            table.unify_dictionaries(),
            buffer,
            row_group_size=len(table),
            compression="snappy",
            use_dictionary=repeating,
            write_statistics=ranking,
        )
        write_carried(self._group, buffer.getbuffer(), self._file)
        return self._group.stretches

    def close(self) -> None:
        """Nothing is held."""


@cache
def _empty(job: Job) -> bytes:
    """A Parquet file of the output's schema, without a row."""
    file = io.BytesIO()
    ParquetPart(job, file, dictionaries=False).close()
    return file.getvalue()


def output_schema(job: Job) -> pa.Schema:
    """Columns of the output: the caller's, then the verdict's."""
    assert job.schema is not None
    own = pa.ipc.read_schema(pa.py_buffer(job.schema))
    return pa.schema([*own, *verdict_schema(job.pages, job.settings.prefix)])


def _leaves(schema: pa.Schema, names: Sequence[str]) -> list[str]:
    """Column paths of Parquet below the named fields."""
    wanted = set(names)
    paths = []
    buffer = io.BytesIO()
    pq.ParquetWriter(buffer, schema).close()
    columns = pq.ParquetFile(buffer).schema
    for k in range(len(columns)):
        path = columns.column(k).path
        if path.split(".")[0] in wanted or any(path.startswith(name + ".") or path == name for name in wanted):
            paths.append(path)
    return paths


# ---------------------------------------------------------------- putting parts together


class Joiner:
    """Puts the parts of a line format one after the other.

    ``groups`` and ``rows`` count what was added; both go into the journal of a run.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self.groups = 0
        self.rows = 0

    def begin(self) -> bytes:
        """What stands before the first part."""
        if self._job.settings.sink != "csv":
            return b""
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(output_schema(self._job).names)
        return text.getvalue().encode("utf-8")

    def add(self, part: Path, out: BinaryIO, rows: int, before: Stretches | None) -> bytes:
        """Append ``before`` and a part of so many rows to the output; returns what is to be remembered of it."""
        with part.open("rb") as file:
            footer.copy(file, out, os.fstat(file.fileno()).st_size)
        self.rows += rows
        return b""

    def end(self, remembered: bytes) -> bytes:
        """What stands after the last part."""
        return b""


class ParquetJoiner(Joiner):
    """Puts Parquet files together: row groups are copied as they are, their footers' entries remembered."""

    def begin(self) -> bytes:
        """The magic bytes."""
        return footer.MAGIC

    def add(self, part: Path, out: BinaryIO, rows: int, before: Stretches | None) -> bytes:
        """Append the row groups of a part."""
        with part.open("rb") as file:
            file.seek(-8, io.SEEK_END)
            size = footer.footer_size(file.read(8))
            file.seek(-8 - size, io.SEEK_END)
            left = file.tell() - len(footer.MAGIC)
            fields = footer.read_footer(file.read(size))
            moved = footer.moved_row_groups(fields, out.tell() - len(footer.MAGIC), self.groups)
            if before is not None:
                before.copy(out)
            file.seek(len(footer.MAGIC))
            footer.copy(file, out, left)
        self.groups += len(moved)
        self.rows += rows
        return b"".join(moved)

    def end(self, remembered: bytes) -> bytes:
        """The footer."""
        data = _empty(self._job)
        fields = footer.read_footer(data[-8 - footer.footer_size(data[-8:]) : -8])
        return footer.joined_footer(fields, remembered, self.groups, self.rows)


def joiner(job: Job) -> Joiner:
    """The joiner of the job's output format."""
    return ParquetJoiner(job) if job.settings.sink == "parquet" else Joiner(job)
