"""The plain scorer: features of each window looked up and summed. The reference that faster scorers must equal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..text.normalise import Normalised, normalise
from .artefact import SEVERITY_HEADS, Artefact
from .features import Document, analyse_normalised, feature_keys
from .gate import Gate


@dataclass(frozen=True, slots=True)
class Scores:
    """Raw scores of a text, one a head.

    Severity and code heads: the largest over the windows; stance heads: their mean. ``window`` is the one that decides
    severity ≥ 2. ``gated`` texts hold no trigger and are ``none`` by definition.
    """

    values: tuple[float, ...]
    window: tuple[int, int]
    gated: bool


class PlainScorer:
    """Scores one text at a time in plain Python. Thread-safe: nothing is changed after construction."""

    def __init__(self, artefact: Artefact) -> None:
        self.artefact = artefact
        self.gate = Gate(artefact.gate)
        self._deciding = artefact.heads.index(SEVERITY_HEADS[1])
        self._mean = tuple(i for i, head in enumerate(artefact.heads) if head.startswith("stance:"))

    def score(self, raw: str) -> tuple[Normalised, Document | None, Scores]:
        """Normalised text, its analysis (``None`` when gated) and scores."""
        normalised = normalise(raw)
        if not self.gate.passes(normalised.text):
            return normalised, None, Scores((), (0, 0), True)
        document = analyse_normalised(normalised, self.artefact.settings)
        return normalised, document, self.score_document(document)

    def score_document(self, document: Document) -> Scores:
        """Scores of an analysed text that passed the gate."""
        rows = [self.window_scores(document, window) for window in document.windows]
        deciding = max(range(len(rows)), key=lambda i: rows[i][self._deciding])
        values = [max(row[h] for row in rows) for h in range(len(self.artefact.heads))]
        for head in self._mean:
            values[head] = math.fsum(row[head] for row in rows) / len(rows)
        return Scores(tuple(values), document.windows[deciding], False)

    def window_scores(self, document: Document, window: tuple[int, int]) -> list[float]:
        """Raw scores of one window."""
        artefact = self.artefact
        width = len(artefact.heads)
        lookup = artefact.vocabulary
        keys = feature_keys(document, window, artefact.settings)
        totals = list(artefact.bias)
        weights = artefact.weights
        for index in sorted(lookup[key] for key in keys if key in lookup):
            at = index * width
            for head, value in enumerate(weights[at : at + width]):
                totals[head] += value
        return totals


def probability(score: float, calibration: tuple[float, float]) -> float:
    """Calibrated probability of a raw score: the logistic function of ``slope × score + intercept``."""
    x = calibration[0] * score + calibration[1]
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)
