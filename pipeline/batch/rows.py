"""Rows of JSON as columns: types found in a sample, and every row fitted to them without losing a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa

OTHER = "_other"
_I64 = range(-(1 << 63), 1 << 63)
_encode = msgspec.json.Encoder().encode


def infer_schema(rows: Iterable[dict[str, Any]]) -> pa.Schema:
    """Columns of some rows: strings, integers, floats and booleans as such, anything else (and mixtures) as JSON text.

    The last column, ``_other``, takes what later rows hold that fits none of them, as a JSON object.
    """
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind(value))
    types = {name: _column_type(found - {"null"}) for name, found in kinds.items() if name != OTHER}
    return pa.schema([*types.items(), (OTHER, pa.string())])


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if value in _I64 else "float"
    return {str: "str", float: "float"}.get(type(value), "json")


def _column_type(kinds: set[str]) -> pa.DataType:
    if kinds <= {"int"} and kinds:
        return pa.int64()
    if kinds <= {"int", "float"} and kinds:
        return pa.float64()
    return pa.bool_() if kinds == {"bool"} else pa.string()


def fit(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Rows as a batch of ``schema``."""
    names = [name for name in schema.names if name != OTHER]
    types = [schema.field(name).type for name in names]
    known = set(names)
    columns: list[list[Any]] = [[] for _ in names]
    others: list[str | None] = []
    for row in rows:
        other = {name: value for name, value in row.items() if name not in known}
        for name, kind, column in zip(names, types, columns, strict=True):
            value = row.get(name)
            if value is not None and not _fits(value, kind):
                if pa.types.is_string(kind):
                    value = _encode(value).decode()
                else:
                    other[name] = value
                    value = None
            column.append(value)
        others.append(_encode(other).decode() if other else None)
    arrays = [pa.array(column, type=kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays([*arrays, pa.array(others, type=pa.string())], schema=schema)


def _fits(value: Any, kind: pa.DataType) -> bool:
    if pa.types.is_string(kind):
        return isinstance(value, str)
    if pa.types.is_boolean(kind):
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if pa.types.is_int64(kind):
        return isinstance(value, int) and value in _I64
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= 1 << 53)
