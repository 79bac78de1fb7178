"""A model checked against the scores its training left behind."""

from __future__ import annotations

import json

from ..errors import ModelError
from .artefact import SEVERITY_HEADS, Artefact
from .scorer import PlainScorer

TOLERANCE = 1e-5


def verify(artefact: Artefact) -> int:
    """Score the golden texts again; returns how many, raises ``ModelError`` where a score is another."""
    scorer = PlainScorer(artefact)
    lines = (artefact.path / "golden.jsonl").read_text(encoding="utf-8").split("\n")
    golden = [json.loads(line) for line in lines if line]
    for number, row in enumerate(golden, 1):
        values = dict(zip(artefact.heads, scorer.score(row["text"])[2].values, strict=False))
        for head in SEVERITY_HEADS:
            given, wanted = values.get(head), row["scores"].get(head)
            if (given is None) != (wanted is None) or (given is not None and abs(given - wanted) > TOLERANCE):
                raise ModelError(
                    f"{artefact.path}: golden text {number}: {head} is {given}, should be {wanted}. "
                    "This loanlint does not compute what the model was trained for; install the version it came with.",
                    code="E_MODEL_GOLDEN",
                )
    return len(golden)
