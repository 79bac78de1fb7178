"""The figures of an evaluation, as plain data; tables and reports print this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..classifier import Classifier
from ..taxonomy import SEVERITY_LABELS
from .bench import Scored, read_bench, score_rows
from .bench import thresholds as model_thresholds
from .metrics import (
    average_precision,
    best_f1,
    bootstrap,
    calibration_bins,
    calibration_error,
    f1,
    interval,
    precision_at_base_rate,
    recall_at_fpr,
    resamples,
)

BASE_RATES = (0.01, 0.001, 0.0001)
MENTION = ("warning", "news_case", "legal_qa", "complaint", "user_question")
MIN_CODE_ROWS = 20
SWEEP = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of the operating points, and of the codes."""

    points: Mapping[str, tuple[float, float, float]]
    codes: Mapping[str, float]


def measure(path: Path, classifier: Classifier, rounds: int = 0) -> dict[str, Any]:
    """Every figure of a labelled file under a model; ``rounds`` of the bootstrap, 0 for no intervals."""
    known = Thresholds(model_thresholds(classifier), classifier.artefact.code_thresholds)
    return summarise(score_rows(read_bench(path), classifier), known, rounds)


def summarise(scored: Scored, thresholds: Thresholds, rounds: int = 300) -> dict[str, Any]:
    """Every figure of one file. Severity 1 is left out of yes/no figures."""
    severity = scored.severity
    use = severity != 1
    y, p = severity[use] >= 2, scored.p2[use]
    groups = [r.group for r, u in zip(scored.rows, use, strict=True) if u]
    out: dict[str, Any] = {
        "rows": len(scored.rows),
        "by_severity": {label: int((severity == i).sum()) for i, label in enumerate(SEVERITY_LABELS)},
    }
    if y.any() and not y.all():
        out["average_precision"] = average_precision(y, p)
        out["best_f1"], out["best_f1_threshold"] = best_f1(y, p)
        out["recall_at_1pct_fpr"] = recall_at_fpr(y, p, 0.01)
        out["calibration_error"] = calibration_error(y, p)
        out["calibration"] = [asdict(b) for b in calibration_bins(y, p)]
        if rounds:
            out["average_precision_interval"] = bootstrap(average_precision, y, p, groups, rounds)
            out["best_f1_interval"] = bootstrap(lambda a, b: best_f1(a, b)[0], y, p, groups, rounds)
            out["recall_interval"] = bootstrap(lambda a, b: recall_at_fpr(a, b, 0.01), y, p, groups, rounds)
            out["calibration_error_interval"] = bootstrap(calibration_error, y, p, groups, rounds)
    low = severity <= 1
    if (severity == 1).any():
        out["borderline_average_precision"] = average_precision(severity[low] == 1, scored.p1[low])
    out["operating_points"] = {name: _point(scored, t) for name, t in thresholds.points.items()}
    if rounds:
        _add_intervals(out["operating_points"], y, p, groups, rounds)
    out["thresholds"] = [_at(y, p, t) for t in SWEEP]
    out["by_stance"] = _grouped(scored, [r.stance for r in scored.rows], thresholds)
    out["kinds"] = _kinds(scored, thresholds)
    out["by_channel"] = _grouped(scored, [r.channel for r in scored.rows], thresholds)
    out["confusion"] = _confusion(scored)
    out["codes"] = _codes(scored, thresholds.codes)
    large = [c["f1"] for c in out["codes"].values() if c["rows"] >= MIN_CODE_ROWS]
    out["code_macro_f1"] = float(np.mean(large)) if large else float("nan")
    return out


def _point(scored: Scored, thresholds: tuple[float, float, float]) -> dict[str, Any]:
    severity = scored.severity
    flagged = scored.p2 >= thresholds[1]
    hit = int((flagged & (severity >= 2)).sum())
    false = int((flagged & (severity == 0)).sum())
    yes, no = int((severity >= 2).sum()), int((severity == 0).sum())
    mention = np.array([r.severity == 0 and r.stance in MENTION for r in scored.rows])
    lawful = np.array([r.severity == 0 and r.stance == "regulated_ad" for r in scored.rows])
    recall, fpr = (part / of if of else float("nan") for part, of in ((hit, yes), (false, no)))
    return {
        "threshold": thresholds[1],
        "precision": hit / (hit + false) if yes and hit + false else float("nan"),
        "recall": recall,
        "false_positive_rate": fpr,
        "illegal_recall": _share(flagged, severity == 3),
        "mention_fpr": _share(flagged, mention),
        "regulated_ad_fpr": _share(flagged, lawful),
        "precision_at_base_rate": {str(r): precision_at_base_rate(recall, fpr, r) for r in BASE_RATES},
    }


def _at(y: Any, p: Any, threshold: float) -> dict[str, float]:
    """What a threshold gives on the rows of severity ≥ 2 and 0; without any of 2 or more, precision says nothing."""
    flagged = p >= threshold
    hit, false = int((flagged & y).sum()), int((flagged & ~y).sum())
    return {
        "threshold": threshold,
        "flagged": int(flagged.sum()),
        "precision": hit / (hit + false) if y.any() and hit + false else float("nan"),
        "recall": _share(flagged, y),
        "f1": f1(y, flagged) if y.any() else float("nan"),
        "false_positive_rate": _share(flagged, ~y),
    }


def _add_intervals(points: dict[str, Any], y: Any, p: Any, groups: Sequence[str], rounds: int) -> None:
    """95 % intervals of each operating point, over resampled groups.

    Where no false positive was seen, resampling sees none either; the upper bound of the rate is then the rule of three,
    3 / (groups of severity 0), and the lower bound of precision at a base rate follows from it.
    """
    drawn = list(resamples(groups, rounds))
    negative_groups = len({g for g, positive in zip(groups, y, strict=True) if not positive})
    for point in points.values():
        flagged = p >= point["threshold"]
        hit, false = flagged & y, flagged & ~y
        counts = np.array([[hit[i].sum(), false[i].sum(), y[i].sum(), (~y[i]).sum()] for i in drawn], dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            recall, rate = counts[:, 0] / counts[:, 2], counts[:, 1] / counts[:, 3]
            precision = counts[:, 0] / (counts[:, 0] + counts[:, 1])
        recall_interval, rate_interval = interval(recall), interval(rate)
        unseen = not false.any() and negative_groups > 0
        if unseen:
            rate_interval = (0.0, min(1.0, 3 / negative_groups))
        point["intervals"] = {
            "precision": interval(precision),
            "recall": recall_interval,
            "false_positive_rate": rate_interval,
        }
        point["precision_at_base_rate_interval"] = {}
        for base in BASE_RATES:
            low, high = interval(precision_at_base_rate(a, b, base) for a, b in zip(recall, rate, strict=True))
            if unseen:
                low = precision_at_base_rate(recall_interval[0], rate_interval[1], base)
            point["precision_at_base_rate_interval"][str(base)] = (low, high)


def _kinds(scored: Scored, thresholds: Thresholds) -> dict[str, Any]:
    """Share flagged at the balanced operating point among the rows of severity 0, for every kind of text."""
    flagged = scored.p2 >= thresholds.points["balanced"][1]
    none = scored.severity == 0
    kinds = np.array([r.kind for r in scored.rows])
    return {
        str(k): {"rows": int((none & (kinds == k)).sum()), "flagged_share": _share(flagged, none & (kinds == k))}
        for k in sorted(set(kinds))
    }


def _share(flagged: Any, of: Any) -> float:
    return float(flagged[of].mean()) if of.any() else float("nan")


def _grouped(scored: Scored, names: Sequence[str], thresholds: Thresholds) -> dict[str, Any]:
    severity = scored.severity
    flagged = scored.p2 >= thresholds.points["balanced"][1]
    found = {}
    for name in sorted(set(names)):
        inside = np.array([n == name for n in names])
        found[name] = {
            "rows": int(inside.sum()),
            "misleading": int((inside & (severity >= 2)).sum()),
            "recall": _share(flagged, inside & (severity >= 2)),
            "none": int((inside & (severity == 0)).sum()),
            "false_positive_rate": _share(flagged, inside & (severity == 0)),
        }
    return found


def _confusion(scored: Scored) -> list[list[int]]:
    table = [[0] * 4 for _ in range(4)]
    for row, verdict in zip(scored.rows, scored.verdicts, strict=True):
        table[row.severity][verdict.severity] += 1
    return table


def _codes(scored: Scored, thresholds: Mapping[str, float]) -> dict[str, Any]:
    found = {}
    for code, p in scored.code_p.items():
        y = np.array([code in r.codes for r in scored.rows])
        if not y.any():
            continue
        predicted = p >= thresholds[code]
        hit = int((y & predicted).sum())
        found[code] = {
            "rows": int(y.sum()),
            "precision": hit / max(1, int(predicted.sum())),
            "recall": hit / int(y.sum()),
            "f1": f1(y, predicted),
            "average_precision": average_precision(y, p),
        }
    return found
