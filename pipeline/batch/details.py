"""What is said of the texts of which something is to be said, as flat columns: no objects where nobody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..compiled import Columns, Strings
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
    raw: Strings
    canonical: Strings
    weight: Array
    code_names: tuple[str, ...]
    signal_names: tuple[str, ...]
    kind_names: tuple[str, ...]


def details(columns: Columns, told: Array, ceilings: Array) -> Details:
    """Of the texts marked in ``told`` (bool, one a text); ``ceilings`` severity that each code can reach."""
    rows = told.nonzero()[0]
    place = np.zeros(len(told), dtype=np.int64)
    place[rows] = np.arange(len(rows))
    severity = columns.severity[rows]

    codes = Flat(*_bits(columns.codes[rows], len(columns.code_names)))
    p = columns.code_scores.probabilities(np.searchsorted(columns.scored, rows[codes.row]), codes.number)
    order = np.lexsort((-p, codes.row))
    codes = Flat(codes.row[order], codes.number[order])

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
        code_p=p[order],
        code_severity=np.minimum(severity[codes.row], ceilings[codes.number]).astype(np.int8),
        signals=signals,
        kinds=kinds,
        spans=Flat(place[spans.text], spans.code),
        start=spans.start,
        end=spans.end,
        raw=spans.raw_strings,
        canonical=spans.canonical_strings,
        weight=rounded(spans.weight),
        code_names=columns.code_names,
        signal_names=columns.signal_names,
        kind_names=columns.evasion_kinds,
    )


def _bits(masks: Array, count: int) -> tuple[Array, Array]:
    """Row and number of each bit that is set."""
    some = masks.nonzero()[0]
    at, number = ((masks[some, None] >> np.arange(count)) & 1).nonzero()
    return some[at], number


def rounded(values: Array) -> Array:
    """Each as ``round(value, 4)`` gives it; for finite values (below 1e300)."""
    scaled = values * 1e4
    whole = np.rint(scaled)
    found: Array = whole / 1e4
    # A quotient of whole numbers is the double nearest to the decimal, as Python's is. Which whole number, the product does not
    # tell where it is close to the middle of two, or so large that it is not exact.
    sure = (np.abs(scaled - whole) < 0.499999) & (np.abs(scaled) < 1e9)
    for k in (~sure).nonzero()[0].tolist():
        found[k] = round(float(values[k]), 4)
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
