"""What the inputs look like: their columns, and whether what is asked of them can be done."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from ..errors import InputError, UsageError
from . import delimited, parquet, warc
from .members import raw_chunks
from .reading import PAGE_COLUMNS
from .rows import infer_schema
from .settings import STANDARD_STREAM, BatchSettings, Job
from .sources import Input
from .streams import BLOCK, whole_lines
from .table import verdict_names

_SAMPLE_ROWS = 20_000


def layout(inputs: list[Input], settings: BatchSettings) -> Job:
    """The job of a run. Raises ``UsageError`` where the columns asked for are not there, and ``InputError``."""
    kind = inputs[0].kind
    pages = kind in ("page", "warc") or settings.html_column is not None
    schema = _schema(inputs, kind, settings, verdict_names(pages, settings.prefix))
    if schema is not None:
        _check(schema, kind, settings, pages)
    elif settings.sink != "jsonl":
        raise UsageError("standard input is written as JSONL; name the output .jsonl.")
    return Job(settings, kind, pages, schema.serialize().to_pybytes() if schema is not None else None)


def _schema(inputs: list[Input], kind: str, settings: BatchSettings, added: tuple[str, ...]) -> pa.Schema | None:
    if kind == "jsonl":
        if inputs[0].path == STANDARD_STREAM:
            return None
        rows = _sample(inputs, 1 if settings.sink == "jsonl" else _SAMPLE_ROWS)
        _refuse_taken(set().union(*rows[:1]), added)
        if settings.sink == "jsonl":
            return None
        # Later rows that have such a field are rejected one by one.
        return infer_schema([{name: value for name, value in row.items() if name not in added} for row in rows])
    if kind == "parquet":
        return _first(inputs, parquet.read_schema).remove_metadata()
    if kind == "warc":
        return pa.schema([(name, pa.int32() if name == "http_status" else pa.string()) for name in warc.COLUMNS[:5]])
    if kind == "page":
        return pa.schema([(name, pa.string()) for name in PAGE_COLUMNS])
    return pa.schema([(name, pa.string()) for name in _first(inputs, delimited.read_header)])


def _first(inputs: list[Input], read: Any) -> Any:
    """What ``read`` gives for the first input that can be read."""
    problem: InputError | None = None
    for item in inputs:
        try:
            return read(item)
        except InputError as error:
            problem = problem or error
        except OSError as error:
            problem = problem or InputError(f"{item.name}: cannot be read ({error}).", code="E_INPUT_UNREADABLE")
    assert problem is not None
    raise problem


def _sample(inputs: list[Input], wanted: int) -> list[dict[str, Any]]:
    """The first rows of the inputs that are objects, as many as wanted or as a few blocks hold."""
    rows: list[dict[str, Any]] = []
    size = 0
    for item in inputs:
        with suppress(OSError):
            for block in whole_lines(raw_chunks(Path(item.path), held=0)):
                if not isinstance(block, bytes):
                    continue
                for line in block.split(b"\n"):
                    with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                        row = msgspec.json.decode(line)
                        if isinstance(row, dict):
                            rows.append(row)
                    if len(rows) == wanted:
                        return rows
                size += len(block)
                if size > 2 * BLOCK:
                    return rows
    return rows


def _check(schema: pa.Schema, kind: str, settings: BatchSettings, pages: bool) -> None:
    names = schema.names
    _refuse_taken(set(names), verdict_names(pages, settings.prefix))
    if kind in ("page", "warc", "jsonl"):
        return
    wanted = [settings.judged_column, *(c for c in (settings.id_column, settings.url_column) if c is not None)]
    for name in wanted:
        if name not in names:
            raise UsageError(
                f"no column {name!r} in the input; it has {', '.join(names)}. Name the text with --text-column.",
                code="E_USAGE_COLUMN",
            )
    if len(set(names)) < len(names):
        raise UsageError("the input has two columns of the same name; rename one.", code="E_USAGE_COLUMN")
    found = schema.field(settings.judged_column).type
    plain = found.value_type if pa.types.is_dictionary(found) else found
    textual = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
    )
    if not any(check(plain) for check in textual):
        raise UsageError(
            f"column {settings.judged_column!r} holds {found}, not text; name another with --text-column.",
            code="E_USAGE_COLUMN",
        )


def _refuse_taken(names: set[str], added: tuple[str, ...]) -> None:
    taken = [name for name in added if name in names]
    if taken:
        raise UsageError(
            f"the input has a column {taken[0]!r} already; choose another --prefix, such as --prefix loanlint_.",
            code="E_USAGE_COLUMN",
        )
