"""Verdicts as Arrow columns, and the step that every engine over Arrow batches can call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..taxonomy import SEVERITY_LABELS
from .pages import quiet_page
from .scoring import PageVerdict, RowVerdict, Scalars, Scored, Scorer, quiet_verdict

_CODE = pa.struct([("code", pa.string()), ("p", pa.float64()), ("severity", pa.int8())])
_EVIDENCE = pa.struct(
    [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("raw", pa.string()),
        ("canonical", pa.string()),
        ("code", pa.string()),
        ("weight", pa.float64()),
    ]
)
_SEGMENT = pa.struct(
    [
        ("role", pa.string()),
        ("path", pa.string()),
        ("text", pa.string()),
        ("severity", pa.int8()),
        ("p_misleading", pa.float64()),
        ("codes", pa.list_(_CODE)),
        ("evidence", pa.list_(_EVIDENCE)),
    ]
)
_TYPES: dict[str, pa.DataType] = {
    "severity": pa.int8(),
    "label": pa.string(),
    "p_misleading": pa.float64(),
    "flagged": pa.bool_(),
    "action": pa.string(),
    "codes": pa.list_(_CODE),
    "stance": pa.string(),
    "signals": pa.list_(pa.string()),
    "evidence": pa.list_(_EVIDENCE),
    "evasion_kinds": pa.list_(pa.string()),
    "abstain": pa.bool_(),
    "model_version": pa.string(),
    "article_severity": pa.int8(),
    "promo_exposure": pa.int32(),
    "segments": pa.list_(_SEGMENT),
}
REPEATING = ("severity", "label", "action", "stance", "model_version", "signals", "evasion_kinds", "codes")


def verdict_names(pages: bool, prefix: str = "") -> tuple[str, ...]:
    """Names of the verdict columns."""
    fields = PageVerdict.__struct_fields__ if pages else RowVerdict.__struct_fields__
    return tuple(prefix + name for name in fields)


def verdict_schema(pages: bool = False, prefix: str = "") -> pa.Schema:
    """Schema of the verdict columns, of texts or of pages."""
    return pa.schema([(name, _TYPES[name.removeprefix(prefix)]) for name in verdict_names(pages, prefix)])


def verdict_arrays(scored: Scored, pages: bool = False) -> list[pa.Array]:
    """The verdict columns, in the order of :func:`verdict_schema`."""
    rows = np.array(scored.rows, dtype=np.int64)
    ready = _ready(scored.scalars) if scored.scalars is not None else {}
    arrays: list[pa.Array] = []
    for name in verdict_names(pages):
        kind = _TYPES[name]
        if name in ready:
            arrays.append(ready[name])
            continue
        values = list(map(attrgetter(name), scored.verdicts))
        quiet = getattr(scored.quiet, name)
        if pa.types.is_list(kind):
            arrays.append(_lists(scored.count, rows, values, kind))
        elif pa.types.is_string(kind):
            arrays.append(_strings(scored.count, rows, values, quiet))
        else:
            column = np.full(scored.count, quiet)
            column[rows] = values
            arrays.append(pa.array(column, type=kind))
    return arrays


def _ready(s: Scalars) -> dict[str, pa.Array]:
    """The columns that stand ready."""
    arrays = {
        name: pa.array(column, type=_TYPES[name])
        for name, column in (
            ("severity", s.severity),
            ("p_misleading", np.ascontiguousarray(s.p_misleading)),
            ("flagged", s.flagged),
            ("abstain", s.abstain),
        )
    }
    for name, numbers, names in (
        ("label", s.severity, SEVERITY_LABELS),
        ("action", s.action, s.actions),
        ("stance", s.stance, s.stances),
    ):
        arrays[name] = pc.take(pa.array(names, type=pa.string()), pa.array(numbers))
    return arrays


def _lists(count: int, rows: Any, values: list[Sequence[Any]], kind: pa.DataType) -> pa.Array:
    sizes = np.zeros(count + 1, dtype=np.int32)
    sizes[rows + 1] = list(map(len, values))
    flat = _array(list(chain.from_iterable(values)), kind.value_type)
    return pa.ListArray.from_arrays(pa.array(np.cumsum(sizes, dtype=np.int32)), flat, type=kind)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as an array; structures are objects with the fields as attributes, and go column by column."""
    if pa.types.is_struct(kind):
        columns = [_array(list(map(attrgetter(f.name), values)), f.type) for f in kind]
        return pa.StructArray.from_arrays(columns, fields=list(kind))
    if pa.types.is_list(kind):
        return _lists(len(values), np.arange(len(values)), list(values), kind)
    return pa.array(values, type=kind)


def _strings(count: int, rows: Any, values: list[str], quiet: str) -> pa.Array:
    numbers = {quiet: 0}
    column = np.zeros(count, dtype=np.int32)
    column[rows] = [numbers.setdefault(value, len(numbers)) for value in values]
    return pc.take(pa.array(list(numbers), type=pa.string()), pa.array(column))


def score_batch(batch: pa.RecordBatch, scorer: Scorer, text_column: str = "text", prefix: str = "") -> pa.RecordBatch:
    """``batch`` with the verdict columns after its own. A null text counts as empty: nothing to judge."""
    texts = texts_of(batch.column(text_column))
    scored = scorer.score(texts, columns=True)
    return with_verdicts(batch, verdict_arrays(scored), verdict_names(False, prefix))


def with_verdicts(batch: pa.RecordBatch, arrays: list[pa.Array], names: Sequence[str]) -> pa.RecordBatch:
    """``batch`` with more columns."""
    return pa.RecordBatch.from_arrays([*batch.columns, *arrays], [*batch.schema.names, *names])


def texts_of(column: pa.Array) -> pa.Array:
    """A column as an array of strings without nulls."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        column = column.cast(pa.large_string())
    return pc.fill_null(column, "") if column.null_count else column


def scored_of(batch: pa.RecordBatch, pages: bool = False, prefix: str = "") -> Scored:
    """The verdicts that stand in the columns of a batch, which has a row at least."""
    kind = PageVerdict if pages else RowVerdict
    names = verdict_names(pages, prefix)
    version = batch.column(prefix + "model_version")[0].as_py()
    quiet = quiet_page(version) if pages else quiet_verdict(version)
    told = pc.or_(
        pc.or_(pc.greater(batch.column(prefix + "p_misleading"), 0.0), batch.column(prefix + "abstain")),
        pc.not_equal(batch.column(prefix + "stance"), quiet.stance),
    )
    rows = pc.indices_nonzero(told).to_pylist()
    found = batch.select(names).filter(told).to_pylist()
    verdicts = [msgspec.convert({n.removeprefix(prefix): v for n, v in row.items()}, kind) for row in found]
    return Scored(batch.num_rows, rows, verdicts, quiet)
