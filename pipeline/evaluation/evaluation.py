"""One labelled file measured: figures, and where asked for peers and attacks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..classifier import Classifier
from .attacks import AttackResult, run_attacks
from .bench import Scored, read_bench, score_rows, thresholds
from .peers import Peer, PeerResult, measure_peers
from .summary import Thresholds, summarise


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What to measure. ``rounds`` of the bootstrap; ``peers`` trained already; ``attacks`` whether to run the attack suite."""

    rounds: int = 300
    peers: Sequence[Peer] = ()
    attacks: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured on one file. ``digest``: sha256 of it. ``peers``, ``attacks``: ``None`` where not asked for."""

    name: str
    digest: str
    scored: Scored
    thresholds: Thresholds
    rounds: int
    summary: dict[str, Any]
    peers: list[PeerResult] | None
    attacks: list[AttackResult] | None

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        found = dict(self.summary)
        if self.peers is not None:
            found["peers"] = [p.to_dict() for p in self.peers]
        if self.attacks is not None:
            found["attacks"] = [asdict(a) for a in self.attacks]
        return found


def evaluate(path: Path, classifier: Classifier, settings: EvaluationSettings) -> Evaluation:
    """Measure a model on a labelled file."""
    rows = read_bench(path)
    scored = score_rows(rows, classifier)
    known = Thresholds(thresholds(classifier), classifier.artefact.code_thresholds)
    attacks: list[AttackResult] | None = None
    if settings.attacks:
        attacks = run_attacks(rows, classifier) if any(r.severity >= 2 for r in rows) else []
    return Evaluation(
        name=path.name,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        scored=scored,
        thresholds=known,
        rounds=settings.rounds,
        summary=summarise(scored, known, settings.rounds),
        peers=measure_peers(settings.peers, scored, settings.rounds) if settings.peers else None,
        attacks=attacks,
    )
