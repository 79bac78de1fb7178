"""Simple methods measured beside the model: what is left to gain by it.

A keyword list (hits counted), jieba TF-IDF with logistic regression, and fastText, the last two trained on the corpus.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..resources import read_table
from ..text.tokens import words
from .bench import Scored
from .metrics import Floats, average_precision, best_f1, bootstrap, recall_at_fpr

# Text and label (severity ≥ 2) of the rows peers are trained on.
Sample = tuple[str, bool]
Scoring = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True)
class Peer:
    """A method: scores texts, higher means more misleading. ``score`` is ``None`` where it cannot run here; ``note`` says why."""

    name: str
    zh: str
    trained_on: str
    score: Scoring | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class PeerResult:
    """Figures of a method on one file: severity ≥ 2 against 0. NaN where it did not run."""

    name: str
    zh: str
    trained_on: str
    average_precision: float
    interval: tuple[float, float]
    best_f1: float
    recall_at_1pct_fpr: float
    note: str = ""
    score: Floats | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "score"}


def read_keywords(path: Path | None = None) -> list[str]:
    """Terms of a keyword list: first field of each line, without ``#`` comments; the key terms of the normaliser by default."""
    if path is None:
        return sorted({row[0] for row in read_table("text", "keyterms.tsv")})
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Give one UTF-8 keyword a line.", code="E_DATA_FILE"
        ) from error
    found = {line.split("\t")[0].strip() for line in lines if not line.startswith("#")} - {""}
    if not found:
        raise DataError(f"{path}: holds no keyword. Give one a line.", code="E_DATA_FILE")
    return sorted(found)


def peers(corpus: Sequence[Sample], keywords: Sequence[str]) -> list[Peer]:
    """All peers, those that learn trained on ``corpus``."""
    has_fasttext = find_spec("fasttext") is not None
    return [
        Peer("keyword list, hits counted", "关键词命中数", f"{len(keywords)} 词 terms", _keyword_counts(keywords)),
        Peer("jieba(1,2) TF-IDF + logistic regression", "分词 TF-IDF", f"{len(corpus):,} 条 texts", _tfidf(corpus)),
        Peer("fastText on jieba words", "fastText", f"{len(corpus):,} 条 texts", _fasttext(corpus))
        if has_fasttext
        else Peer("fastText on jieba words", "fastText", "–", None, "not installed: pip install 'loanlint[peers]'"),
    ]


def measure_peers(found: Sequence[Peer], scored: Scored, rounds: int = 300) -> list[PeerResult]:
    """The model first, then every peer, on the rows of severity ≥ 2 and 0. Empty where one of the two is not there."""
    use = scored.severity != 1
    y = scored.severity[use] >= 2
    if not y.any() or y.all():
        return []
    # Lone surrogates, which the model's normaliser drops, are no text to the others.
    texts = [r.text.encode("utf-8", "replace").decode() for r, u in zip(scored.rows, use, strict=True) if u]
    groups = [r.group for r, u in zip(scored.rows, use, strict=True) if u]

    def result(name: str, zh: str, trained_on: str, score: Floats | None, note: str) -> PeerResult:
        nan = float("nan")
        if score is None:
            return PeerResult(name, zh, trained_on, nan, (nan, nan), nan, nan, note)
        ap = average_precision(y, score)
        around = bootstrap(average_precision, y, score, groups, rounds) if rounds else (nan, nan)
        return PeerResult(
            name, zh, trained_on, ap, around, best_f1(y, score)[0], recall_at_fpr(y, score, 0.01), note, score
        )

    return [
        result("loanlint", "本模型", "自己的语料 its corpus", scored.p2[use], ""),
        *(result(p.name, p.zh, p.trained_on, p.score(texts) if p.score else None, p.note) for p in found),
    ]


def _keyword_counts(keywords: Sequence[str]) -> Scoring:
    lowered = [k.lower() for k in keywords]

    def score(texts: Sequence[str]) -> Floats:
        return np.array([sum(t.lower().count(k) for k in lowered) for t in texts], dtype=np.float64)

    return score


def _tfidf(corpus: Sequence[Sample]) -> Scoring:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(tokenizer=words, token_pattern=None, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=10.0, solver="liblinear", random_state=0)
    model.fit(vectors.fit_transform([t for t, _ in corpus]), [y for _, y in corpus])

    def score(texts: Sequence[str]) -> Floats:
        found: Floats = model.decision_function(vectors.transform(texts))
        return found

    return score


def _fasttext(corpus: Sequence[Sample]) -> Scoring:
    import fasttext

    with tempfile.TemporaryDirectory(prefix="loanlint-") as folder:
        file = Path(folder, "train.txt")
        lines = [f"__label__{int(y)} {_as_line(text)}\n" for text, y in corpus]
        file.write_text("".join(lines), encoding="utf-8", errors="replace")
        # One thread and a seed, so that a run can be repeated.
        model: Any = fasttext.train_supervised(
            input=str(file), lr=0.5, epoch=25, wordNgrams=2, dim=50, bucket=200_000, thread=1, seed=1, verbose=0
        )

    def score(texts: Sequence[str]) -> Floats:
        labels, shares = model.predict([_as_line(t) for t in texts], k=2)
        return np.array(
            [dict(zip(names, p, strict=True)).get("__label__1", 0.0) for names, p in zip(labels, shares, strict=True)],
            dtype=np.float64,
        )

    return score


def _as_line(text: str) -> str:
    """Words of a text on one line, as fastText reads them."""
    return " ".join(w for w in words(text.lower()) if not w.isspace())
