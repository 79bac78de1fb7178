"""Measures on scores and labels. All take ``y`` (bool) and ``score`` (higher means more misleading) of equal length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose probability falls in ``low`` to ``high``: how many, their mean probability, and the share that is positive."""

    low: float
    high: float
    count: int
    mean: float
    share: float


def calibration_bins(y: Bools, p: Floats, bins: int = 10) -> list[Bin]:
    """Equal-width bins with rows in them, from the lowest up."""
    index = np.minimum((p * bins).astype(int), bins - 1)
    found = []
    for b in range(bins):
        inside = index == b
        if inside.any():
            mean, share = float(p[inside].mean()), float(y[inside].mean())
            found.append(Bin(b / bins, (b + 1) / bins, int(inside.sum()), mean, share))
    return found


def calibration_error(y: Bools, p: Floats, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    if not len(p):
        return float("nan")
    return sum(b.count / len(p) * abs(b.mean - b.share) for b in calibration_bins(y, p, bins))


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % score interval of a share (Wilson 1927)."""
    if not of:
        return float("nan"), float("nan")
    z = 1.959964
    centre, spread = hits / of + z * z / (2 * of), z * np.sqrt(hits / of * (1 - hits / of) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return float(max(0.0, (centre - spread) / scale)), float(min(1.0, (centre + spread) / scale))


def precision_at_base_rate(recall: float, false_positive_rate: float, rate: float) -> float:
    """Precision where one text in ``1/rate`` is positive."""
    hit, false = recall * rate, false_positive_rate * (1 - rate)
    return hit / (hit + false) if hit + false else float("nan")


def resamples(groups: Sequence[str], rounds: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each bootstrap round, drawn by whole groups (near-duplicates stay together); seeded."""
    rng = np.random.default_rng(0)
    number = {g: i for i, g in enumerate(sorted(set(groups)))}
    members: list[list[int]] = [[] for _ in number]
    for i, g in enumerate(groups):
        members[number[g]].append(i)
    arrays = [np.array(m, dtype=np.int64) for m in members]
    for _ in range(rounds):
        yield np.concatenate([arrays[i] for i in rng.integers(0, len(arrays), len(arrays))])


def interval(values: Iterable[float]) -> tuple[float, float]:
    """The middle 95 % of the finite values."""
    finite = [v for v in values if np.isfinite(v)]
    low, high = np.percentile(finite, [2.5, 97.5]) if finite else (float("nan"), float("nan"))
    return float(low), float(high)


def bootstrap(
    measure: Callable[[Bools, Floats], float], y: Bools, score: Floats, groups: Sequence[str], rounds: int = 500
) -> tuple[float, float]:
    """95 % interval of a measure, resampling whole groups."""
    return interval(measure(y[index], score[index]) for index in resamples(groups, rounds))


def f1(y: Bools, predicted: Bools) -> float:
    """F1 of a decision."""
    hit = int((y & predicted).sum())
    return 2 * hit / max(1, int(y.sum()) + int(predicted.sum()))
