"""Fits the heads on the corpus and writes the artefact.

One regularised logistic regression a head on shared binary features. Long texts are cut into windows, and a positive text
teaches through its most telling windows only (multiple-instance learning); calibration, code thresholds and operating points
come from out-of-fold scores in which no family is on both sides.
"""

from __future__ import annotations

import io
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..model.artefact import SEVERITY_HEADS, save, settings_dict
from ..model.features import FeatureSettings, analyse, feature_keys
from ..taxonomy import taxonomy
from ..text.lexicon import lexicon
from ..text.normalise import normalise
from .augmentation import AugmentSettings, augment
from .corpus import Row
from .splits import folds

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Anchor classes: a text without any of their terms does not speak of lending at all.
GATE_CLASSES = ("LOAN", "PRODUCT", "CARD", "PAYOUT", "CREDIT", "IMPAIRED", "HOLE", "AGENT", "FORGE", "CASHOUT", "USURY", "UPFRONT")  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How the heads are fitted.

    ``scale`` multiplies a block's features: a larger one is punished less by the regularisation. ``c`` is scikit-learn's
    inverse strength for the severity heads, ``c_codes`` for codes and stances. ``vocabulary`` caps the number of word
    and character features kept (by chi-squared). ``prevalence`` is the share of texts of severity ≥ 1 that probabilities are
    calibrated for: loan-related text of the web, of which the corpus holds more. The goals choose the operating points.
    """

    features: FeatureSettings = field(default_factory=FeatureSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    scale: Mapping[str, float] = field(
        default_factory=lambda: {
            "c": 0.1,
            "w": 0.1,
            "b": 0.07,
            "U": 0.5,
            "N": 1.0,
            "S": 0.3,
            "K": 1.0,
            "P": 0.6,
            "D": 1.0,
        }
    )
    c: float = 0.025
    c_codes: float = 0.1
    min_rows: int = 5
    vocabulary: int = 25_000
    rounds: int = 3
    rounds_codes: int = 1
    folds: int = 5
    precision_goal: float = 0.975
    recall_goal: float = 0.965
    balanced_fpr: float = 0.0125
    prevalence: float = 0.2


@dataclass(slots=True)
class Matrix:
    """Windows as rows. ``owner`` gives the row number of each window's text."""

    x: Any
    owner: NDArray[np.int64]
    count: int

    def best(self, scores: Floats) -> Floats:
        """Largest window score of each text."""
        out = np.full(self.count, -np.inf)
        np.maximum.at(out, self.owner, scores)
        return out

    def mean(self, scores: Floats) -> Floats:
        """Mean window score of each text."""
        sizes = np.bincount(self.owner, minlength=self.count)
        total: Floats = np.bincount(self.owner, weights=scores, minlength=self.count) / sizes
        return total


@dataclass(slots=True)
class Fitted:
    """One head: weights on the scaled features, and the intercept."""

    weights: Floats
    bias: float


def head_names() -> list[str]:
    """Heads in the order of the artefact's columns."""
    known = taxonomy()
    return [*SEVERITY_HEADS, *(f"code:{c}" for c in known.codes), *(f"stance:{s}" for s in known.stances)]


def targets(rows: Sequence[Row], head: str) -> Bools:
    """Which rows are positive for a head."""
    if head in SEVERITY_HEADS:
        least = SEVERITY_HEADS.index(head) + 1
        return np.array([r.severity >= least for r in rows])
    kind, name = head.split(":", 1)
    if kind == "code":
        return np.array([name in r.codes for r in rows])
    return np.array([r.stance == name for r in rows])


def window_keys(rows: Sequence[Row], settings: FeatureSettings) -> list[list[list[str]]]:
    """Feature keys of every window of every row, sorted."""
    found = []
    for row in rows:
        document = analyse(row.text, settings)
        found.append([sorted(feature_keys(document, w, settings)) for w in document.windows])
    return found


def choose_vocabulary(
    keys: Sequence[Sequence[Sequence[str]]], rows: Sequence[Row], settings: TrainSettings
) -> list[str]:
    """Keys kept, sorted: those of enough families; of words and characters the most telling ones."""
    positive = targets(rows, SEVERITY_HEADS[1])
    some = targets(rows, SEVERITY_HEADS[0])
    rows_with: Counter[str] = Counter()
    families: dict[str, set[str]] = defaultdict(set)
    hits: Counter[str] = Counter()
    weak: Counter[str] = Counter()
    for row, windows, bad, any_ in zip(rows, keys, positive, some, strict=True):
        seen = {key for window in windows for key in window}
        rows_with.update(seen)
        if bad:
            hits.update(seen)
        if any_:
            weak.update(seen)
        for key in seen:
            if len(families[key]) < settings.min_rows:
                families[key].add(row.family)
    kept = [k for k in rows_with if len(families[k]) >= settings.min_rows]
    lexical = [k for k in kept if k[0] in "cwb"]
    total, bad_total, weak_total = len(rows), int(positive.sum()), int(some.sum())

    def telling(key: str) -> float:
        n = rows_with[key]
        return max(
            _chi2(hits[key], n, bad_total, total),
            _chi2(weak[key], n, weak_total, total),
        )

    lexical.sort(key=lambda k: (-telling(k), k))
    return sorted([k for k in kept if k[0] not in "cwb"] + lexical[: settings.vocabulary])


def _chi2(hits: int, n: int, positives: int, total: int) -> float:
    expected = n * positives / total
    other = n - expected
    return (hits - expected) ** 2 / max(expected, 1e-9) + (hits - expected) ** 2 / max(other, 1e-9)


def scales(vocabulary: Sequence[str], keys: Sequence[Sequence[Sequence[str]]], settings: TrainSettings) -> Floats:
    """Value of each feature when it is there: block scale, times inverse document frequency for words and characters."""
    index = {k: i for i, k in enumerate(vocabulary)}
    counts = np.zeros(len(vocabulary))
    for windows in keys:
        for key in {key for window in windows for key in window}:
            if key in index:
                counts[index[key]] += 1
    idf = np.log((1 + len(keys)) / (1 + counts)) + 1
    return np.array([settings.scale[k[0]] * (idf[i] if k[0] in "cwb" else 1.0) for i, k in enumerate(vocabulary)])


def build_matrix(keys: Sequence[Sequence[Sequence[str]]], vocabulary: Sequence[str], value: Floats) -> Matrix:
    """Scaled feature matrix of all windows."""
    from scipy.sparse import csr_matrix, diags

    index = {k: i for i, k in enumerate(vocabulary)}
    columns: list[int] = []
    pointer = [0]
    owner: list[int] = []
    for number, windows in enumerate(keys):
        for window in windows:
            columns.extend(sorted(index[k] for k in window if k in index))
            pointer.append(len(columns))
            owner.append(number)
    x = csr_matrix(
        (np.ones(len(columns)), np.array(columns, dtype=np.int64), np.array(pointer, dtype=np.int64)),
        shape=(len(owner), len(vocabulary)),
    )
    return Matrix(x @ diags(value), np.array(owner, dtype=np.int64), len(keys))


def fit_head(matrix: Matrix, y: Bools, head: str, settings: TrainSettings, keep: Bools | None = None) -> Fitted:
    """Fit one head on the rows in ``keep``. Positive texts teach through their best windows."""
    from sklearn.linear_model import LogisticRegression

    rows = np.ones(matrix.count, dtype=bool) if keep is None else keep
    labels = y[matrix.owner]
    usable = rows[matrix.owner]
    if not (labels & usable).any():
        return Fitted(np.zeros(matrix.x.shape[1]), -10.0)
    sizes = np.bincount(matrix.owner, minlength=matrix.count)
    weight = np.where(labels, 1.0, 1.0 / np.sqrt(sizes[matrix.owner]))
    chosen = usable
    whole = head.startswith("stance:")
    rounds = 0 if whole or sizes.max() == 1 else settings.rounds if head in SEVERITY_HEADS else settings.rounds_codes
    strength = settings.c if head in SEVERITY_HEADS else settings.c_codes
    model: Any = None
    for step in range(rounds + 1):
        # The dual solver is ten times faster here than the primal one, at the same weights to three digits.
        model = LogisticRegression(C=strength, solver="liblinear", dual=True, tol=1e-2, max_iter=2000, random_state=0)
        model.fit(matrix.x[chosen], labels[chosen], sample_weight=weight[chosen])
        if step < rounds:
            scores = model.decision_function(matrix.x)
            best = matrix.best(scores)
            chosen = usable & (~labels | (scores >= best[matrix.owner] - 1e-9) | (scores > 1.0))
    return Fitted(model.coef_[0].copy(), float(model.intercept_[0]))


def apply_head(matrix: Matrix, fitted: Fitted, head: str) -> Floats:
    """Score of each text."""
    scores: Floats = matrix.x @ fitted.weights + fitted.bias
    return matrix.mean(scores) if head.startswith("stance:") else matrix.best(scores)


def fit_all(
    matrix: Matrix, rows: Sequence[Row], heads: Sequence[str], settings: TrainSettings, keep: Bools | None, jobs: int
) -> list[Fitted]:
    """All heads, in order. The result does not depend on ``jobs``."""
    from joblib import Parallel, delayed

    # Processes, not threads, since liblinear's random generator is global to a process; one task each, since handing over
    # the matrix costs more than a fit.
    parts = [list(heads[i::jobs]) for i in range(jobs)]
    labels = {head: targets(rows, head) for head in heads}
    done = Parallel(n_jobs=jobs, backend="loky")(
        delayed(_fit_part)(matrix, {h: labels[h] for h in part}, settings, keep) for part in parts
    )
    fitted = {head: one for part, ones in zip(parts, done, strict=True) for head, one in zip(part, ones, strict=True)}
    return [fitted[head] for head in heads]


def _fit_part(matrix: Matrix, labels: Mapping[str, Bools], settings: TrainSettings, keep: Bools | None) -> list[Fitted]:
    return [fit_head(matrix, y, head, settings, keep) for head, y in labels.items()]


def calibrate(scores: Floats, y: Bools, weight: Floats) -> tuple[float, float]:
    """Slope and intercept of Platt scaling on out-of-fold scores."""
    from sklearn.linear_model import LogisticRegression

    if y.sum() < 5:
        return 1.0, 0.0
    finite = np.isfinite(scores)
    model = LogisticRegression(C=1e3, solver="lbfgs").fit(scores[finite, None], y[finite], weight[finite])
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def prevalence_weights(rows: Sequence[Row], prevalence: float) -> Floats:
    """Weights of rows under which ``prevalence`` of the texts have severity ≥ 1."""
    some = targets(rows, SEVERITY_HEADS[0])
    share = float(some.mean())
    return np.where(some, prevalence / share, (1 - prevalence) / (1 - share))


def best_f1_threshold(p: Floats, y: Bools, lowest: float = 0.1) -> float:
    """Probability threshold of the best F1."""
    if not y.any():
        return 0.5
    order = np.argsort(-p, kind="stable")
    hit = np.cumsum(y[order])
    f1 = 2 * hit / (np.arange(1, len(p) + 1) + y.sum())
    at = int(np.argmax(f1))
    nearest = p[order[at + 1]] if at + 1 < len(p) else 0.0
    return float(min(0.9, max(lowest, (p[order[at]] + nearest) / 2)))


def choose_gate(rows: Sequence[Row]) -> list[str]:
    """Trigger terms: used anchor-class terms, none holding another, and n-grams for the positive texts without one.

    Every positive row passes. The n-grams are chosen greedily, many missed texts for few others.
    """
    book = lexicon()
    anchor = {book.names.index(c) for c in GATE_CLASSES}
    terms = [t for t, classes in zip(book.terms, book.term_classes, strict=True) if anchor.intersection(classes)]
    texts = [normalise(r.text).text for r in rows]
    positive = [t for t, r in zip(texts, rows, strict=True) if r.severity >= 1]
    negative = [t for t, r in zip(texts, rows, strict=True) if r.severity == 0]
    kept: list[str] = []
    for term in sorted((t for t in terms if any(t in text for text in positive)), key=lambda t: (len(t), t)):
        if not any(k in term for k in kept):
            kept.append(term)
    missed = [(t, _gate_grams(t)) for t in positive if not any(k in t for k in kept)]
    wanted = {gram for _, grams in missed for gram in grams}
    cost = Counter(gram for text in negative for gram in _grams(text) & wanted)
    while missed:
        covers = Counter(gram for _, grams in missed for gram in grams)
        gram = min(covers, key=lambda g: (cost[g] * 0.2 - covers[g], g))
        kept.append(gram)
        missed = [(text, grams) for text, grams in missed if gram not in text]
    return sorted(kept)


def _grams(text: str) -> set[str]:
    return {text[i : i + n] for n in (2, 3) for i in range(len(text) - n + 1)}


def _gate_grams(text: str) -> set[str]:
    grams = _grams(text)
    han = {g for g in grams if all("\u4e00" <= c <= "\u9fff" for c in g)}
    return han or grams or {text}


def operating_points(p: Mapping[str, Floats], rows: Sequence[Row], settings: TrainSettings) -> dict[str, Any]:
    """Thresholds from out-of-fold probabilities and what they reach there (severity ≥ 2 against 0)."""
    severity = np.array([r.severity for r in rows])
    yes, no = severity >= 2, severity == 0
    two = p[SEVERITY_HEADS[1]]
    one_threshold = best_f1_threshold(p[SEVERITY_HEADS[0]][severity <= 1], severity[severity <= 1] == 1)
    three_threshold = best_f1_threshold(p[SEVERITY_HEADS[2]][severity >= 2], severity[severity >= 2] == 3)
    candidates = np.unique(np.round(two, 4))[::-1]

    def reached(threshold: float) -> tuple[float, float, float]:
        hit = int((two[yes] >= threshold).sum())
        false = int((two[no] >= threshold).sum())
        return hit / max(1, hit + false), hit / max(1, int(yes.sum())), false / max(1, int(no.sum()))

    high = next((t for t in candidates[::-1] if reached(t)[0] >= settings.precision_goal), candidates[0])
    low = next((t for t in candidates if reached(t)[1] >= settings.recall_goal), candidates[-1])
    middle = min((t for t in candidates if reached(t)[2] <= settings.balanced_fpr), default=candidates[0])
    points = {}
    for name, two_threshold in (
        ("high_precision", max(high, middle)),
        ("balanced", middle),
        ("high_recall", min(low, middle)),
    ):
        precision, recall, _ = reached(float(two_threshold))
        points[name] = {
            "thresholds": [round(one_threshold, 4), round(float(two_threshold), 4), round(three_threshold, 4)],
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "measured_on": "grouped cross-validation over the training corpus",
        }
    return points


@dataclass(slots=True)
class Trained:
    """What a training run gives besides the artefact: out-of-fold probabilities of the corpus rows."""

    version: str
    p: dict[str, Floats]
    operating_points: dict[str, Any]
    features: int


def train(rows: Sequence[Row], out: Path, corpus_digest: str, settings: TrainSettings, jobs: int = 2) -> Trained:
    """Fit everything and write the artefact to ``out``. The same rows and settings give the same bytes."""
    from threadpoolctl import threadpool_limits

    if len({r.severity >= 2 for r in rows}) < 2:
        raise DataError("the corpus needs rows below and at severity 2 or more", code="E_DATA_CORPUS")
    with threadpool_limits(1):
        return _train(rows, out, corpus_digest, settings, jobs)


def _train(rows: Sequence[Row], out: Path, corpus_digest: str, settings: TrainSettings, jobs: int) -> Trained:
    heads = head_names()
    every = augment(rows, settings.augment)
    keys = window_keys(every, settings.features)
    vocabulary = choose_vocabulary(keys, every, settings)
    value = scales(vocabulary, keys, settings)
    matrix = build_matrix(keys, vocabulary, value)
    own = len(rows)  # copies come behind
    fold = np.array(folds(every, settings.folds))
    out_of_fold = {head: np.full(own, -np.inf) for head in heads}
    for number in range(settings.folds):
        fitted = fit_all(matrix, every, heads, settings, fold != number, jobs)
        held = np.flatnonzero(fold[:own] == number)
        for head, one in zip(heads, fitted, strict=True):
            out_of_fold[head][held] = apply_head(matrix, one, head)[held]
    weight = prevalence_weights(rows, settings.prevalence)
    calibration = {head: calibrate(out_of_fold[head], targets(rows, head), weight) for head in heads}
    p = {head: 1 / (1 + np.exp(-(calibration[head][0] * out_of_fold[head] + calibration[head][1]))) for head in heads}
    code_thresholds = {
        head.split(":", 1)[1]: round(best_f1_threshold(p[head], targets(rows, head)), 4)
        for head in heads
        if head.startswith("code:")
    }
    points = operating_points(p, rows, settings)
    final = fit_all(matrix, every, heads, settings, None, jobs)
    weights = np.stack([f.weights * value for f in final], axis=1)
    useful = np.abs(weights).max(axis=1) > 1e-4
    weights = np.ascontiguousarray(weights[useful], dtype="<f4")
    vocabulary = [k for k, u in zip(vocabulary, useful, strict=True) if u]
    manifest = {
        "taxonomy_version": taxonomy().version,
        "heads": heads,
        "bias": [round(f.bias, 8) for f in final],
        "calibration": [[round(v, 8) for v in calibration[head]] for head in heads],
        "code_thresholds": code_thresholds,
        "operating_points": points,
        "features": settings_dict(settings.features),
        "training": {
            "rows": own,
            "with_copies": len(every),
            "families": len({r.family for r in rows}),
            "corpus_digest": corpus_digest,
            "settings": _plain(asdict(settings)),
        },
        "metrics": {"cross_validation": _metrics(p, rows)},
    }
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, weights, version=(1, 0), allow_pickle=False)
    gate = choose_gate(rows)
    golden = _golden(rows)
    profile = _profile(p, rows)
    version = save(
        out,
        manifest=manifest,
        vocabulary=vocabulary,
        weights_npy=buffer.getvalue(),
        gate=gate,
        golden=[],
        profile=profile,
    )
    golden_rows = _score_golden(out, golden)
    save(
        out,
        manifest=manifest,
        vocabulary=vocabulary,
        weights_npy=buffer.getvalue(),
        gate=gate,
        golden=golden_rows,
        profile=profile,
    )
    return Trained(version, p, points, len(vocabulary))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _metrics(p: Mapping[str, Floats], rows: Sequence[Row]) -> dict[str, float]:
    from ..evaluation.metrics import average_precision, best_f1, recall_at_fpr

    severity = np.array([r.severity for r in rows])
    use = severity != 1
    y, score = severity[use] >= 2, p[SEVERITY_HEADS[1]][use]
    return {
        "average_precision": round(average_precision(y, score), 4),
        "best_f1": round(best_f1(y, score)[0], 4),
        "recall_at_1pct_fpr": round(recall_at_fpr(y, score, 0.01), 4),
    }


def _golden(rows: Sequence[Row]) -> list[str]:
    """A few corpus texts across severities and stances, whose scores the artefact promises."""
    chosen: dict[tuple[int, str], str] = {}
    for row in sorted(rows, key=lambda r: r.id):
        chosen.setdefault((row.severity, row.stance), row.text)
    return list(chosen.values())


def _score_golden(path: Path, texts: Sequence[str]) -> list[dict[str, Any]]:
    from ..model.artefact import load_artefact
    from ..model.scorer import PlainScorer

    artefact = load_artefact(path)
    scorer = PlainScorer(artefact)
    found = []
    for text in texts:
        scores = scorer.score(text)[2]
        values = dict(zip(artefact.heads, scores.values, strict=False))
        found.append({"text": text, "scores": {h: round(values[h], 6) for h in SEVERITY_HEADS if h in values}})
    return found


def _profile(p: Mapping[str, Floats], rows: Sequence[Row]) -> dict[str, Any]:
    """Score histogram and share of each lexicon class in the corpus: what drift is measured against."""
    counts, _ = np.histogram(p[SEVERITY_HEADS[1]], bins=20, range=(0, 1))
    names = lexicon().names
    seen: Counter[str] = Counter()
    for row in rows:
        seen.update({h.name for h in lexicon().hits(normalise(row.text).text)})
    return {
        "rows": len(rows),
        "p_misleading_histogram": [int(c) for c in counts],
        "class_share": {n: round(seen[n] / len(rows), 4) for n in names},
        "mean_length": round(math.fsum(len(r.text) for r in rows) / len(rows), 2),
    }
