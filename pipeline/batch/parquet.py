"""Parquet in: row groups cut into shards, read a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from .sources import Input, Reject

_MOST_PIECES = 4
_BATCH_BYTES = 8 << 20
_MOST_ROWS = 1 << 15
_FEWEST_ROWS = 64
_BUFFER = 1 << 20


def read_schema(item: Input) -> pa.Schema:
    """Columns of a file. Raises ``InputError``."""
    try:
        with pq.ParquetFile(item.path) as file:
            return file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{item.name}: not a Parquet file that can be read ({_first_line(error)}). Copy it again.",
            code="E_INPUT_UNREADABLE",
        ) from error


def row_ranges(item: Input, columns: tuple[str, ...], wanted: int, *, last: bool) -> Iterator[dict[str, Any]]:
    """Shards of row groups.

    A large row group makes several: rows before a shard's first are decoded and passed over, which costs less than a worker that
    waits for another's row group. In the ``last`` file the last row group is cut finer, so that all workers end at about the same
    time, and so that a file of one row group is work for several.
    """
    try:
        with pq.ParquetFile(item.path) as file:
            metadata = file.metadata
            names = tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        yield {"rejects": (Reject(0, "unreadable", f"not Parquet ({_first_line(error)})"),), "weight": item.size}
        return
    if names != columns:
        message = f"has columns {', '.join(names)}; the first file has {', '.join(columns)}"
        yield {"rejects": (Reject(0, "other_columns", message, max(1, metadata.num_rows)),), "weight": item.size}
        return
    left = item.size
    for group in range(metadata.num_row_groups):
        described = metadata.row_group(group)
        rows = described.num_rows
        ends = last and group + 1 == metadata.num_row_groups
        pieces = max(1, min(_MOST_PIECES, described.total_byte_size // (wanted // _MOST_PIECES if ends else wanted)))
        for k in range(pieces):
            weight = item.size * rows // (pieces * max(1, metadata.num_rows))
            left -= weight
            yield {"group": group, "start": rows * k // pieces, "stop": rows * (k + 1) // pieces, "weight": weight}
    yield {"weight": max(0, left)}


def batches_of(path: str, group: int, start: int, stop: int) -> Iterator[pa.RecordBatch]:
    """Rows ``[start, stop)`` of a row group. Raises ``ArrowException`` or ``OSError`` where the file is damaged."""
    with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
        described = file.metadata.row_group(group)
        mean = max(1, described.total_byte_size // max(1, described.num_rows))
        size = max(_FEWEST_ROWS, min(_MOST_ROWS, _BATCH_BYTES // mean))
        at = 0
        for batch in file.iter_batches(batch_size=size, row_groups=[group], use_threads=False):
            first, last = max(start - at, 0), min(stop - at, batch.num_rows)
            if first < last:
                yield batch.slice(first, last - first)
            at += batch.num_rows
            if at >= stop:
                return


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]
