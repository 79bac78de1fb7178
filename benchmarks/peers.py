"""What loanlint is compared with, for the other benchmarks: the plain pipeline, fastText, a keyword list, calls to a service."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
SEED = 7
CONNECTIONS = 8
Method = Callable[[list[str]], Any]


def read(path: Path) -> list[dict[str, Any]]:
    """JSON lines, which may be gzipped."""
    body = path.read_bytes()
    text = (gzip.decompress(body) if path.suffix == ".gz" else body).decode("utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def corpus() -> tuple[list[str], list[int]]:
    """Texts of this repository and whether they are misleading."""
    rows = [row for path in sorted((REPOSITORY / "data" / "corpus").glob("*.jsonl")) for row in read(path)]
    return [row["text"] for row in rows], [int(row["severity"] >= 2) for row in rows]


def naive(texts: list[str], labels: list[int]) -> Method:
    """The plain pipeline: jieba.lcut, TfidfVectorizer over words and pairs, LogisticRegression."""
    import jieba
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    jieba.setLogLevel(60)
    jieba.initialize()
    vectorizer = TfidfVectorizer(tokenizer=jieba.lcut, token_pattern=None, ngram_range=(1, 2))
    model = LogisticRegression(max_iter=500).fit(vectorizer.fit_transform(texts), labels)
    print(f"plain pipeline: {len(vectorizer.vocabulary_):,} features, fitted on {len(texts):,} texts")
    return lambda batch: model.predict_proba(vectorizer.transform(batch))


def keyword_list() -> Method:
    """All triggers and key terms of the shipped model as a flat list."""
    from ahocorasick_rs import AhoCorasick

    from pipeline import load
    from pipeline.text.disguise import _tables

    automaton = AhoCorasick(sorted({*load().artefact.gate, *_tables().terms}))
    return lambda batch: [bool(automaton.find_matches_as_indexes(text)) for text in batch]


def fasttext_methods(texts: list[str], labels: list[int]) -> dict[str, Method]:
    """``predict`` text by text on the words of jieba and of rjieba; empty where fastText is not installed (extra ``peers``)."""
    if find_spec("fasttext") is None:
        return {}
    import fasttext
    import jieba
    import rjieba

    fasttext.FastText.eprint = lambda _: None
    jieba.setLogLevel(60)

    def words(text: str) -> str:
        return " ".join(rjieba.cut(text, True)).replace("\n", " ")

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        rows = [f"__label__{label} {words(text)}\n" for text, label in zip(texts, labels, strict=True)]
        random.Random(SEED).shuffle(rows)
        file.writelines(rows)
        file.flush()
        model = fasttext.train_supervised(file.name, dim=50, lr=0.5, epoch=5, wordNgrams=2, thread=1, verbose=0)
    predict = model.f.predict  # the binding itself: the wrapper of some builds does not know numpy 2

    def run(cut: Callable[[str], Any]) -> Method:
        return lambda batch: [predict(" ".join(cut(t)).replace("\n", " ") + "\n", 1, 0.0, "strict") for t in batch]

    return {"fastText on jieba words": run(jieba.lcut), "fastText on rjieba words": run(lambda t: rjieba.cut(t, True))}


class Answered(NamedTuple):
    """Texts a second of the clock, and for each CPU second of the service."""

    clock: float
    busy: float


def service_installed() -> bool:
    """Whether the extra ``service`` is there."""
    return all(find_spec(name) is not None for name in ("uvicorn", "uvloop", "starlette", "psycopg"))


@contextmanager
def own_service(texts: Sequence[str]) -> Iterator[Callable[[float], Answered]]:
    """A service of our own on loopback; yields what measures it for some seconds.

    One text a request of the OpenAI moderation API, over a small pool of connections that are kept open.
    """
    from load import Running, closed

    wanted = []
    for text in texts:
        body = json.dumps({"input": text, "model": "omni-moderation-latest"}, ensure_ascii=False).encode()
        head = (
            "POST /v1/moderations HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        wanted.append(head.encode() + body)
    service = Running(1)

    def measure(seconds: float) -> Answered:
        before, start = service.cpu(), time.perf_counter()
        rate, latencies, failures = asyncio.run(closed(service.port, wanted, CONNECTIONS, seconds))
        if failures or time.perf_counter() - start > 2 * seconds + 5:
            raise SystemExit(f"the service failed {failures} of {len(latencies)} requests")
        return Answered(rate, len(latencies) / (service.cpu() - before))

    try:
        yield measure
    finally:
        service.stop()
