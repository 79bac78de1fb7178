"""What is said of the texts of which something is to be said, as flat columns: no objects where nobody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..compiled import Columns
    from .scoring import RowVerdict

Array = npt.NDArray[Any]


class Flat(NamedTuple):
    """Lists of several rows one after the other: ``row`` position of the row among those told of, ascending; ``number`` of a name."""

    row: Array
    number: Array


class Details(NamedTuple):
    """Codes, signals, disguises and evidence of some texts.

    ``rows`` positions of the texts in their batch (int64, ascending), and for each ``severity`` and ``p_misleading``; ``codes`` by
    probability, with ``code_p`` and ``code_severity``; ``kinds`` each once a text; ``spans.number`` is -1 where no code is meant,
    with ``start`` and ``end`` in code points, ``raw``, ``canonical`` and ``weight``.
    """

    rows: Array
    severity: Array
    p_misleading: Array
    codes: Flat
    code_p: Array
    code_severity: Array
    signals: Flat
    kinds: Flat
    spans: Flat
    start: Array
    end: Array
    raw: list[str]
    canonical: list[str]
    weight: Array
    code_names: tuple[str, ...]
    signal_names: tuple[str, ...]
    kind_names: tuple[str, ...]


def details(columns: Columns, texts: Sequence[str] | Any, told: Array, ceilings: Array) -> Details:
    """Of the texts marked in ``told`` (bool, one a text); ``ceilings`` severity that each code can reach."""
    rows = told.nonzero()[0]
    place = np.zeros(len(told), dtype=np.int64)
    place[rows] = np.arange(len(rows))
    severity = columns.severity[rows]

    masks = columns.codes[rows]
    coded = masks.nonzero()[0]
    chances = columns.code_probabilities[np.searchsorted(columns.scored, rows[coded])]
    order = np.argsort(-chances, axis=1, kind="stable")
    held = (masks[coded, None] >> order) & 1 > 0
    at, _ = held.nonzero()
    codes = Flat(coded[at], order[held])

    signals = Flat(*_bits(columns.signals[rows], len(columns.signal_names)))

    count = max(1, len(columns.evasion_kinds))
    _, first = np.unique(columns.evasions.text.astype(np.int64) * count + columns.evasions.kind, return_index=True)
    first.sort()
    first = first[told[columns.evasions.text[first]]]
    kinds = Flat(place[columns.evasions.text[first]], columns.evasions.kind[first])

    spans = columns.evidence
    return Details(
        rows=rows,
        severity=severity,
        p_misleading=columns.probabilities[rows, 1],
        codes=codes,
        code_p=chances[at, codes.number],
        code_severity=np.minimum(severity[codes.row], ceilings[codes.number]).astype(np.int8),
        signals=signals,
        kinds=kinds,
        spans=Flat(place[spans.text], spans.code),
        start=spans.start,
        end=spans.end,
        raw=_cuttings(texts, spans.text.tolist(), spans.start.tolist(), spans.end.tolist()),
        canonical=spans.canonical,
        weight=np.array([round(w, 4) for w in spans.weight.tolist()], dtype=np.float64),
        code_names=columns.code_names,
        signal_names=columns.signal_names,
        kind_names=columns.evasion_kinds,
    )


def _bits(masks: Array, count: int) -> tuple[Array, Array]:
    """Row and number of each bit that is set."""
    some = masks.nonzero()[0]
    at, number = ((masks[some, None] >> np.arange(count)) & 1).nonzero()
    return some[at], number


def _cuttings(texts: Sequence[str] | Any, rows: list[int], starts: list[int], ends: list[int]) -> list[str]:
    """The evidence as it stands in the texts."""
    found = []
    last, text = -1, ""
    for row, start, end in zip(rows, starts, ends, strict=True):
        if row != last:
            last, value = row, texts[row]
            text = value if isinstance(value, str) else value.as_py()
        found.append(text[start:end])
    return found


class Deferred(Sequence["RowVerdict"]):
    """Verdicts that are made when they are looked at."""

    def __init__(self, count: int, make: Callable[[], list[RowVerdict]]) -> None:
        self._count = count
        self._make = make
        self._made: list[RowVerdict] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> RowVerdict: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[RowVerdict]: ...

    def __getitem__(self, at: int | slice) -> RowVerdict | Sequence[RowVerdict]:
        if self._made is None:
            self._made = self._make()
        return self._made[at]
