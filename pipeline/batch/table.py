"""Verdicts as Arrow columns, and the step that every engine over Arrow batches can call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..taxonomy import SEVERITY_LABELS
from .details import Details
from .pages import quiet_page
from .scoring import PageVerdict, RowVerdict, Scalars, Scored, Scorer, quiet_verdict

if TYPE_CHECKING:
    from ..compiled import Strings

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
RANKING = ("severity", "p_misleading", "flagged")


def verdict_names(pages: bool, prefix: str = "") -> tuple[str, ...]:
    """Names of the verdict columns."""
    fields = PageVerdict.__struct_fields__ if pages else RowVerdict.__struct_fields__
    return tuple(prefix + name for name in fields)


def verdict_schema(pages: bool = False, prefix: str = "") -> pa.Schema:
    """Schema of the verdict columns, of texts or of pages."""
    return pa.schema([(name, _TYPES[name.removeprefix(prefix)]) for name in verdict_names(pages, prefix)])


def verdict_arrays(scored: Scored, pages: bool = False, *, dictionaries: bool = False) -> list[pa.Array]:
    """The verdict columns, in the order of :func:`verdict_schema`.

    ``dictionaries``: columns of few names as dictionaries of them (:func:`with_dictionaries` is their schema), which are cheaper to
    make and to write.
    """
    ready: dict[str, pa.Array] = {}
    if scored.scalars is not None:
        ready |= _ready(scored.scalars, scored.quiet)
    if scored.details is not None:
        ready |= _told(scored.count, scored.details)
    rows = np.array(scored.rows, dtype=np.int64)
    arrays: list[pa.Array] = []
    for name in verdict_names(pages):
        kind = _TYPES[name]
        if name in ready:
            array = ready[name]
        else:
            values = list(map(attrgetter(name), scored.verdicts))
            quiet = getattr(scored.quiet, name)
            if pa.types.is_list(kind):
                array = _lists(scored.count, rows, values, kind)
            elif pa.types.is_string(kind):
                array = _strings(scored.count, rows, values, quiet)
            else:
                column = np.full(scored.count, quiet)
                column[rows] = values
                array = pa.array(column, type=kind)
        if pa.types.is_dictionary(array.type) and not dictionaries:
            array = array.dictionary_decode()
        arrays.append(array)
    return arrays


def with_dictionaries(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """A schema with the named columns, where they are strings, as :func:`verdict_arrays` makes them with ``dictionaries``."""
    return pa.schema(
        [
            pa.field(f.name, pa.dictionary(pa.int32(), f.type)) if f.name in names and pa.types.is_string(f.type) else f
            for f in schema
        ]
    )


def _ready(s: Scalars, quiet: RowVerdict) -> dict[str, pa.Array]:
    """The columns that stand ready."""
    arrays = {
        name: pa.array(column, type=_TYPES[name])
        for name, column in (
            ("severity", s.severity),
            ("p_misleading", s.p_misleading),
            ("flagged", s.flagged),
            ("abstain", s.abstain),
        )
    }
    for name, numbers, names in (
        ("label", s.severity, SEVERITY_LABELS),
        ("action", s.action, s.actions),
        ("stance", s.stance, s.stances),
        ("model_version", np.zeros(len(s.severity), dtype=np.int32), (quiet.model_version,)),
    ):
        arrays[name] = _words(numbers, names)
    return arrays


def _told(count: int, d: Details) -> dict[str, pa.Array]:
    """The columns of lists."""
    codes = [
        _taken(d.codes.number, d.code_names),
        pa.array(d.code_p, type=pa.float64()),
        pa.array(d.code_severity, type=pa.int8()),
    ]
    evidence = [
        pa.array(d.start, type=pa.int32()),
        pa.array(d.end, type=pa.int32()),
        _text(d.raw),
        _text(d.canonical),
        _taken(d.spans.number, d.code_names),
        pa.array(d.weight, type=pa.float64()),
    ]
    flat = {
        "codes": (d.codes, pa.StructArray.from_arrays(codes, fields=list(_CODE))),
        "signals": (d.signals, _taken(d.signals.number, d.signal_names)),
        "evidence": (d.spans, pa.StructArray.from_arrays(evidence, fields=list(_EVIDENCE))),
        "evasion_kinds": (d.kinds, _taken(d.kinds.number, d.kind_names)),
    }
    arrays = {}
    # The list of a row begins where the last that has one ended.
    gaps = np.diff(np.concatenate(([-1], d.rows, [count])))
    for name, (held, values) in flat.items():
        ends = np.searchsorted(held.row, np.arange(len(d.rows) + 1)).astype(np.int32)
        arrays[name] = pa.ListArray.from_arrays(pa.array(np.repeat(ends, gaps)), values, type=_TYPES[name])
    return arrays


def _text(strings: Strings) -> pa.Array:
    offsets, data = strings.utf8()
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def _taken(numbers: Any, names: Sequence[str]) -> pa.Array:
    """Names by number, null for -1."""
    return pc.take(pa.array(names, type=pa.string()), pa.array(numbers, mask=numbers < 0))


def _words(numbers: Any, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(np.asarray(numbers, dtype=np.int32)), pa.array(names, type=pa.string()), safe=False
    )


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
    return _words(column, list(numbers))


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
