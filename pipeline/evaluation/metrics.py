"""Measures on scores and labels. All take ``y`` (bool) and ``score`` (higher means more misleading) of equal length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def curve(y: Bools, score: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and threshold at every distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    sorted_score = score[order]
    hits = np.cumsum(y[order])
    last = np.r_[np.flatnonzero(np.diff(sorted_score)), len(score) - 1]
    precision = hits[last] / (last + 1)
    recall = hits[last] / max(1, int(y.sum()))
    return precision, recall, sorted_score[last]


def average_precision(y: Bools, score: Floats) -> float:
    """Area under the precision–recall steps."""
    if not y.any():
        return float("nan")
    precision, recall, _ = curve(y, score)
    return float(np.sum(np.diff(np.r_[0.0, recall]) * precision))


def best_f1(y: Bools, score: Floats) -> tuple[float, float]:
    """Best F1 over all thresholds, and that threshold."""
    if not y.any():
        return float("nan"), float("nan")
    precision, recall, threshold = curve(y, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    at = int(np.argmax(f1))
    return float(f1[at]), float(threshold[at])


def recall_at_fpr(y: Bools, score: Floats, rate: float) -> float:
    """Recall at the lowest threshold that lets at most ``rate`` of the negatives through."""
    negative = np.sort(score[~y])[::-1]
    if not len(negative) or not y.any():
        return float("nan")
    allowed = int(np.floor(rate * len(negative)))
    threshold = negative[allowed] if allowed < len(negative) else -np.inf
    return float((score[y] > threshold).mean())


def calibration_error(y: Bools, p: Floats, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    if not len(p):
        return float("nan")
    index = np.minimum((p * bins).astype(int), bins - 1)
    total = 0.0
    for b in range(bins):
        inside = index == b
        if inside.any():
            total += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    return float(total)


def precision_at_base_rate(recall: float, false_positive_rate: float, rate: float) -> float:
    """Precision where one text in ``1/rate`` is positive."""
    hit, false = recall * rate, false_positive_rate * (1 - rate)
    return hit / (hit + false) if hit + false else float("nan")


def bootstrap(
    measure: Callable[[Bools, Floats], float], y: Bools, score: Floats, groups: Sequence[str], rounds: int = 500
) -> tuple[float, float]:
    """95 % interval of a measure, resampling whole groups (near-duplicates stay together); seeded."""
    rng = np.random.default_rng(0)
    names = sorted(set(groups))
    number = {g: i for i, g in enumerate(names)}
    members: list[list[int]] = [[] for _ in names]
    for i, g in enumerate(groups):
        members[number[g]].append(i)
    arrays = [np.array(m) for m in members]
    found = []
    for _ in range(rounds):
        index = np.concatenate([arrays[i] for i in rng.integers(0, len(arrays), len(arrays))])
        value = measure(y[index], score[index])
        if np.isfinite(value):
            found.append(value)
    low, high = np.percentile(found, [2.5, 97.5]) if found else (float("nan"), float("nan"))
    return float(low), float(high)


def f1(y: Bools, predicted: Bools) -> float:
    """F1 of a decision."""
    hit = int((y & predicted).sum())
    return 2 * hit / max(1, int(y.sum()) + int(predicted.sum()))
