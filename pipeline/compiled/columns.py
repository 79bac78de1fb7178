"""Verdicts as columns: numpy arrays, one entry a text, and flat arrays for what only some texts have."""

from __future__ import annotations

from dataclasses import dataclass

from .jit import Array


@dataclass(frozen=True, slots=True)
class EvidenceSpans:
    """Evidence of flagged texts, by text and place: a row a span.

    ``text`` position of the text (int32); ``start``, ``end`` code points of the raw text; ``code`` number in
    ``Columns.code_names``, -1 for none; ``weight`` contribution (float64); ``canonical`` the words meant.
    """

    text: Array
    start: Array
    end: Array
    code: Array
    weight: Array
    canonical: list[str]

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


@dataclass(frozen=True, slots=True)
class Columns:
    """Verdicts on a batch of n texts; fields as in ``Verdict``.

    ``severity`` int8; ``probabilities`` float64 n × 3, calibrated and non-increasing, column 1 is ``p_misleading``; ``score``
    int8 0–100; ``flagged``, ``abstain``, ``gated`` bool, gated texts hold no trigger of the model; ``stance``, ``action``,
    ``jurisdiction`` int8 numbers in the ``…_names``; ``codes``, ``signals`` int64 with bit k for name k; ``scored`` positions of
    the texts that passed the gate, with ``code_probabilities`` float64 len(scored) × codes.
    """

    severity: Array
    probabilities: Array
    score: Array
    flagged: Array
    abstain: Array
    gated: Array
    stance: Array
    action: Array
    jurisdiction: Array
    codes: Array
    signals: Array
    scored: Array
    code_probabilities: Array
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

    def __len__(self) -> int:
        return len(self.severity)
