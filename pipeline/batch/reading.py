"""What a worker reads of a shard: chunks of rows to be judged, and what had to be rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from ..pages.encoding import decode
from . import delimited, parquet, warc
from .lines import LineDecoder
from .rows import fit
from .scoring import compiled_chosen
from .settings import MAX_ROW, MAX_TEXT, Job
from .sources import Input, Reject, Shard
from .streams import range_chunks, whole_lines
from .table import texts_of, verdict_names

PAGE_COLUMNS = ("file", "encoding")


@dataclass(slots=True)
class Chunk:
    """Some rows of a shard.

    ``texts`` to be judged: a list, or an Arrow array; the rows themselves as ``heads`` (JSON objects without the closing brace)
    or as ``batch``; ``ids`` and ``urls`` where there are such columns; ``read`` rows that were there, with the rejected ones;
    ``lines`` that were passed (rows, where the file has no lines).
    """

    texts: Sequence[str] | Any
    heads: Sequence[bytes] | None = None
    batch: pa.RecordBatch | None = None
    ids: Sequence[Any] | None = None
    urls: Sequence[Any] | None = None
    rejects: list[Reject] = field(default_factory=list)
    read: int = 0
    lines: int = 0


class Reader:
    """Reads the shards of a job. ``item`` is the input a shard belongs to; a shard is read up to ``limit`` rows."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._settings = job.settings
        self._schema = pa.ipc.read_schema(pa.py_buffer(job.schema)) if job.schema is not None else None
        self._column = job.settings.judged_column
        self._left: int | None = None
        kinds: dict[str, Callable[[Input, Shard], Iterator[Chunk]]] = {
            "jsonl": self._jsonl,
            "csv": self._delimited,
            "tsv": self._delimited,
            "parquet": self._parquet,
            "warc": self._warc,
            "page": self._pages,
        }
        self._read = kinds[job.source]
        if job.source == "jsonl":
            self._lines = LineDecoder(
                job.settings,
                verdict_names(job.pages, job.settings.prefix),
                compiled=not job.pages and compiled_chosen(job.settings.engine),
            )

    def chunks(self, item: Input, shard: Shard, limit: int | None) -> Iterator[Chunk]:
        """The rows of a shard in order."""
        self._left = limit
        if shard.rejects:
            lost = sum(r.rows for r in shard.rejects)
            yield Chunk([], rejects=list(shard.rejects), read=lost, lines=lost)
        if shard.payload is None and shard.stop == 0:
            return
        rows = self._read(item, shard)
        while self._left is None or self._left > 0:
            try:
                chunk = next(rows, None)
            except OSError as error:
                reject = Reject(1, "unreadable", f"cannot be read any further ({error.strerror or error})")
                chunk, rows = Chunk([], rejects=[reject], read=1), iter(())
            if chunk is None:
                return
            yield chunk
            if self._left is not None:
                self._left -= chunk.read

    # ------------------------------------------------------------ JSONL

    def _jsonl(self, item: Input, shard: Shard) -> Iterator[Chunk]:
        if shard.payload is not None:
            source: Iterator[bytes] = iter((shard.payload,))
        else:
            source = whole_lines(range_chunks(Path(item.path), shard.start, shard.stop))
        for block in source:
            found = self._lines.lines(block, self._left)
            chunk = Chunk(
                found.texts, ids=found.ids, urls=found.urls, rejects=found.rejects, read=found.read, lines=found.lines
            )
            if self._schema is None:
                chunk.heads = found.heads
            else:
                chunk.batch = fit([msgspec.json.decode(head + b"}") for head in found.heads], self._schema)
            yield chunk

    # ------------------------------------------------------------ CSV and TSV

    def _delimited(self, item: Input, shard: Shard) -> Iterator[Chunk]:
        encoding, names, payload = shard.payload
        assert self._schema is not None
        order = [names.index(name) for name in self._schema.names]
        at = self._schema.names.index(self._column)
        kept: list[list[str]] = []
        rejects: list[Reject] = []
        read = 0
        for line, fields in islice(delimited.rows_of(payload, encoding, item.kind), self._left):
            read += 1
            if len(fields) != len(order):
                message = f"{len(fields)} fields where the header has {len(order)}"
                rejects.append(Reject(line, "wrong_columns", message))
                continue
            row: list[str] | None = [fields[i] for i in order]
            if any(map(_has_surrogate, fields)):
                row = delimited.repair(row or [], encoding)
            if row is None:
                rejects.append(
                    Reject(line, "undecodable", f"bytes that are neither UTF-8 nor GB18030 (read as {encoding})")
                )
            elif self._too_long(row[at]):
                rejects.append(_oversized(line, row[at]))
            else:
                kept.append(row)
        columns = list(zip(*kept, strict=True)) or [()] * len(order)
        batch = pa.RecordBatch.from_arrays([pa.array(c, type=pa.string()) for c in columns], schema=self._schema)
        lines = payload.count(b"\n") + (not payload.endswith(b"\n"))
        yield self._of_batch(batch, rejects, read, lines)

    def _too_long(self, text: str) -> bool:
        return len(text) > MAX_TEXT and not self._settings.html_column

    # ------------------------------------------------------------ Parquet

    def _parquet(self, item: Input, shard: Shard) -> Iterator[Chunk]:
        done = 0
        try:
            for batch in parquet.batches_of(item.path, shard.group, shard.start, shard.stop):
                yield self._whole(batch.slice(0, self._left))
                done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            lost = shard.stop - shard.start - done
            message = f"row group {shard.group} is damaged ({str(error)[:200]}); {lost} rows from here are lost"
            yield Chunk([], rejects=[Reject(1, "corrupt", message, lost)], read=lost, lines=lost)

    def _whole(self, batch: pa.RecordBatch) -> Chunk:
        """All rows of a batch, if none is too long. Whether the texts are UTF-8 shows when they are scored."""
        try:
            chunk = self._of_batch(batch, [], batch.num_rows, batch.num_rows)
            lengths = map(len, chunk.texts) if self._job.pages else [pc.max(pc.binary_length(chunk.texts)).as_py() or 0]
            if max(lengths, default=0) <= (MAX_ROW if self._job.pages else MAX_TEXT):
                return chunk
        except (pa.ArrowException, UnicodeDecodeError):
            pass
        return self.sifted(batch)

    def sifted(self, batch: pa.RecordBatch) -> Chunk:
        """The rows of a batch that can be scored; each is looked at."""
        column = batch.column(self._column)
        problems = [self._problem(column, k) for k in range(batch.num_rows)]
        good = batch.filter(pa.array([problem is None for problem in problems], type=pa.bool_()))
        rejects = [problem for problem in problems if problem is not None]
        return self._of_batch(good, rejects, batch.num_rows, batch.num_rows)

    def _problem(self, column: pa.Array, k: int) -> Reject | None:
        try:
            value = column[k].as_py()
            text = value.decode("utf-8") if isinstance(value, bytes) else value or ""
        except UnicodeDecodeError as error:
            return Reject(k + 1, "undecodable", f"bytes that are not UTF-8 ({error.reason} at byte {error.start})")
        return _oversized(k + 1, text) if self._too_long(text) or len(text) > MAX_ROW else None

    def _of_batch(self, batch: pa.RecordBatch, rejects: list[Reject], read: int, lines: int) -> Chunk:
        def values(name: str | None) -> Any:
            return batch.column(name) if name is not None and name in batch.schema.names else None

        texts: Any = texts_of(batch.column(self._column))
        if self._job.pages:
            texts = texts.to_pylist()
        settings = self._settings
        return Chunk(
            texts,
            batch=batch,
            ids=values(settings.id_column or "id"),
            urls=values(settings.url_column or "url"),
            rejects=rejects,
            read=read,
            lines=lines,
        )

    # ------------------------------------------------------------ pages and archives

    def _pages(self, item: Input, shard: Shard) -> Iterator[Chunk]:
        texts, names, encodings = [], [], []
        for path, name in shard.payload[: self._left]:
            try:
                size = Path(path).stat().st_size
                if size > MAX_ROW:
                    raise InputError(f"{name}: {size:,} bytes; the limit is {MAX_ROW:,}", code="E_INPUT_SIZE")
                data = Path(path).read_bytes()
                text, encoding = decode(data, name) if data else ("", "utf-8")
            except OSError as error:
                yield Chunk(
                    [],
                    rejects=[Reject(0, "unreadable", f"cannot be read ({error.strerror or error})", file=name)],
                    read=1,
                )
                continue
            except InputError as error:
                reason = "oversized" if error.code == "E_INPUT_SIZE" else "undecodable"
                yield Chunk([], rejects=[Reject(0, reason, str(error.args[0]), file=name)], read=1)
                continue
            texts.append(text)
            names.append(name)
            encodings.append(encoding)
        batch = pa.RecordBatch.from_arrays(
            [pa.array(names, pa.string()), pa.array(encodings, pa.string())], PAGE_COLUMNS
        )
        yield Chunk(texts, batch=batch, ids=names, read=len(texts))

    def _warc(self, item: Input, shard: Shard) -> Iterator[Chunk]:
        pages: list[warc.Page] = []
        rejects: list[Reject] = []
        for number, record in enumerate(shard.payload[: self._left], 1):
            found = record if isinstance(record, Reject) else warc.read_page(record)
            if isinstance(found, Reject):
                rejects.append(Reject(number, found.reason, found.message))
            else:
                pages.append(found)
        assert self._schema is not None
        columns = list(zip(*(page[: len(warc.COLUMNS)] for page in pages), strict=True)) or [()] * len(warc.COLUMNS)
        arrays = [pa.array(c, type=f.type) for c, f in zip(columns, self._schema, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        count = len(pages) + len(rejects)
        urls = [page.url for page in pages]
        yield Chunk([p.text for p in pages], batch=batch, ids=urls, urls=urls, rejects=rejects, read=count, lines=count)


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def _oversized(line: int, text: str) -> Reject:
    return Reject(line, "oversized", f"a text of {len(text):,} characters; the limit is {MAX_TEXT:,}")
