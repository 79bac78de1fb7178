"""Verdicts as columns: numpy arrays, one entry a text, and flat arrays for what only some texts have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from .jit import Array


@dataclass(frozen=True)
class Strings:
    """Strings as they come out of the compiled functions; none is made before it is asked for.

    ``chars`` their code points (int32), one string after the other; ``lengths`` how many each has.
    """

    chars: Array
    lengths: Array

    @cached_property
    def values(self) -> list[str]:
        """The strings."""
        text = self._text()
        return [text[start:end] for start, end in pairwise(_bounds(self.lengths).tolist())]

    def utf8(self) -> tuple[Array, bytes]:
        """Where each begins in their bytes, and the end (int32); and the bytes. Raises ``UnicodeEncodeError`` at a surrogate."""
        data = self._text().encode()
        widths = np.ones(len(self.chars), dtype=np.int8)
        for first in (0x80, 0x800, 0x10000):
            widths += self.chars >= first
        return _bounds(widths)[_bounds(self.lengths)].astype(np.int32), data

    def _text(self) -> str:
        return self.chars.tobytes().decode("utf-32-le", "surrogatepass")


def _bounds(lengths: Array) -> Array:
    """Where each of several things begins that stand one after the other, and the end (int64)."""
    bounds = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return bounds


def stretches(chars: Array, starts: Array, lengths: Array) -> Array:
    """Characters ``chars[starts[k]:starts[k] + lengths[k]]``, one stretch after the other."""
    bounds = _bounds(lengths)
    found: Array = chars[np.arange(bounds[-1]) + np.repeat(starts - bounds[:-1], lengths)]
    return found


@dataclass(frozen=True, slots=True)
class CodeScores:
    """Scores of the codes of the texts that passed the gate, from which probabilities are made where somebody asks for them.

    ``scores`` of all heads (float64, a row a text), ``heads`` column of each code, ``calibration`` slope and shift of each code.
    """

    scores: Array
    heads: Array
    calibration: Array

    def probabilities(self, rows: Array, codes: Array) -> Array:
        """Probability of code ``codes[k]`` in row ``rows[k]``; the two may be of any shapes that go together."""
        slope, shift = self.calibration.T
        x = slope[codes] * self.scores[rows, self.heads[codes]] + shift[codes]
        small = np.exp(-np.abs(x))
        found: Array = np.where(x >= 0, 1.0, small) / (1.0 + small)
        return found


@dataclass(frozen=True, slots=True)
class EvidenceSpans:
    """Evidence of flagged texts, by text and place: a row a span.

    ``text`` position of the text (int32); ``start``, ``end`` code points of the raw text; ``code`` number in
    ``Columns.code_names``, -1 for none; ``weight`` contribution (float64); ``raw_strings`` what stands in the text,
    ``canonical_strings`` the words meant.
    """

    text: Array
    start: Array
    end: Array
    code: Array
    weight: Array
    raw_strings: Strings
    canonical_strings: Strings

    @property
    def canonical(self) -> list[str]:
        """The words meant."""
        return self.canonical_strings.values

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True, slots=True)
class Evasions:
    """Undone disguises of texts that passed the gate, by text and place.

    ``kind`` number in ``Columns.evasion_kinds``; ``term`` number in ``Columns.evasion_terms``.
    """

    text: Array
    start: Array
    end: Array
    kind: Array
    term: Array

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True)
class Columns:
    """Verdicts on a batch of n texts; fields as in ``Verdict``.

    ``severity`` int8; ``probabilities`` float64 n × 3, calibrated and non-increasing, column 1 is ``p_misleading``; ``score``
    int8 0–100; ``flagged``, ``abstain``, ``gated`` bool, gated texts hold no trigger of the model; ``stance``, ``action``,
    ``jurisdiction`` int8 numbers in the ``…_names``; ``codes``, ``signals`` int64 with bit k for name k; ``scored`` positions of
    the texts that passed the gate, ascending, with ``code_probabilities`` float64 len(scored) × codes.
    """

    severity: Array
    probabilities: Array
    flagged: Array
    abstain: Array
    gated: Array
    stance: Array
    action: Array
    jurisdiction: Array
    codes: Array
    signals: Array
    scored: Array
    code_scores: CodeScores
    evidence: EvidenceSpans
    evasions: Evasions
    severity_names: tuple[str, ...]
    stance_names: tuple[str, ...]
    action_names: tuple[str, ...]
    jurisdiction_names: tuple[str, ...]
    code_names: tuple[str, ...]
    signal_names: tuple[str, ...]
    evasion_kinds: tuple[str, ...]
    evasion_terms: tuple[str, ...]
    model_version: str
    taxonomy_version: str

    @cached_property
    def score(self) -> Array:
        """100 × ``p_misleading``."""
        found: Array = np.rint(100 * self.probabilities[:, 1]).astype(np.int8)
        return found

    @cached_property
    def code_probabilities(self) -> Array:
        """Probabilities of all codes."""
        return self.code_scores.probabilities(np.arange(len(self.scored))[:, None], np.arange(len(self.code_names)))

    def __len__(self) -> int:
        return len(self.severity)
