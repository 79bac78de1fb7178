"""A labelled file scored with a model: the rows everything else in this package works on."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classifier import CheckSettings, Classifier
from ..errors import DataError
from ..taxonomy import taxonomy
from ..verdict import Verdict


@dataclass(frozen=True, slots=True)
class BenchRow:
    """A labelled text. ``group`` holds near-duplicates together for resampling; ``kind`` tells kinds of text apart."""

    id: str
    text: str
    severity: int
    stance: str
    codes: tuple[str, ...]
    channel: str
    group: str
    kind: str = "plain"


def read_bench(path: Path) -> list[BenchRow]:
    """Rows of a JSONL or JSONL.gz file; only ``text`` and ``severity`` are required."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            return [_row(line, f"{path}:{n}", n) for n, line in enumerate(lines, 1) if line.strip()]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Give a JSONL file.", code="E_DATA_FILE") from error


def _row(line: str, where: str, number: int) -> BenchRow:
    try:
        record: Any = json.loads(line)
        severity = record.get("severity", 0)
        if severity not in (0, 1, 2, 3):
            raise ValueError(f"severity {severity!r} is not 0 to 3")
        id_ = str(record.get("id", number))
        return BenchRow(
            id=id_,
            text=str(record["text"]),
            severity=severity,
            stance=taxonomy().stance(record.get("stance", "out_of_scope")),
            codes=tuple(record.get("codes", ())),
            channel=str(record.get("channel", "unknown")),
            group=str(record.get("group", record.get("family", id_))),
            kind=str(record.get("kind", "plain")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{where}: not a labelled row ({error}); it needs text and severity.", code="E_DATA_ROW"
        ) from error


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with their verdicts at the balanced operating point, and probabilities."""

    rows: Sequence[BenchRow]
    verdicts: Sequence[Verdict]
    p1: NDArray[np.float64]
    p2: NDArray[np.float64]
    p3: NDArray[np.float64]
    code_p: dict[str, NDArray[np.float64]]

    @property
    def severity(self) -> NDArray[np.int64]:
        """Labelled severities."""
        return np.array([r.severity for r in self.rows], dtype=np.int64)


def score_rows(rows: Sequence[BenchRow], classifier: Classifier, settings: CheckSettings | None = None) -> Scored:
    """Score every row. Probabilities do not depend on ``settings``."""
    settings = settings or CheckSettings(explain=False)
    verdicts = []
    probabilities = []
    codes: dict[str, list[float]] = {c: [] for c in taxonomy().codes}
    for row in rows:
        judged = classifier.judge(row.text)
        probabilities.append(judged.probabilities)
        for code, values in codes.items():
            values.append(judged.code_probability(code))
        verdicts.append(judged.verdict(settings, id=row.id))
    p = np.array(probabilities, dtype=np.float64).reshape(-1, 3)
    return Scored(
        rows, verdicts, p[:, 0], p[:, 1], p[:, 2], {c: np.array(v, dtype=np.float64) for c, v in codes.items()}
    )


def thresholds(classifier: Classifier) -> dict[str, tuple[float, float, float]]:
    """Thresholds of each operating point."""
    return {name: point.thresholds for name, point in classifier.artefact.operating_points.items()}
