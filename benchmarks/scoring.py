"""Speed of scoring against the plain pipeline, as ratios measured in one run.

    python benchmarks/scoring.py --ordinary FILE --dense FILE [--rounds 7] [--peers]

``--ordinary``: JSON lines (may be gzipped) with ``text``, scraped text most of which has nothing to do with loans; ``--dense``:
JSON lines with ``text`` and ``severity``, text about loans. The plain pipeline, *naive*, is scikit-learn's TfidfVectorizer over
jieba.lcut with one- and two-word features and LogisticRegression, fitted on these texts. ``mixed`` is ordinary text with one per
cent of the dense texts of severity 2 and more. All methods score the same texts in one process on one core, round after round;
the figures are medians of CPU time. ``--peers`` adds fastText if it is installed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from pathlib import Path

from peers import SEED, Method, fasttext_methods, keyword_list, naive, read

from pipeline import CheckSettings, load
from pipeline.compiled import load_compiled


def measure(methods: dict[str, Method], texts: list[str], rounds: int, slow: dict[str, int]) -> dict[str, float]:
    """Median seconds of CPU a text of each method; slow ones see only a part of the texts."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            part = texts[:: slow.get(name, 1)]
            start = time.process_time()
            method(part)
            times[name].append((time.process_time() - start) / len(part))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ordinary", type=Path, required=True)
    parser.add_argument("--dense", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    ordinary = [row["text"] for row in read(options.ordinary)]
    rows = read(options.dense)
    dense = [row["text"] for row in rows]
    ads = [row["text"] for row in rows if row["severity"] >= 2]
    shuffle = random.Random(SEED)
    mixed = ordinary + shuffle.choices(ads, k=len(ordinary) // 99)
    shuffle.shuffle(mixed)
    mixed = json.loads(json.dumps(mixed))  # in memory one behind the other, as a reader leaves them
    labels = [0] * len(ordinary) + [int(row["severity"] >= 2) for row in rows]

    start = time.perf_counter()
    compiled = load_compiled()
    print(f"load_compiled: {time.perf_counter() - start:.2f} s (the first call on a machine compiles)")
    print(f"memory with it: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")
    plain = load()
    quick = CheckSettings(explain=False)
    methods: dict[str, Method] = {
        "naive: jieba + TF-IDF + logistic regression": naive(ordinary + dense, labels),
        "loanlint, plain": plain.check_many,
        "loanlint, plain, no evidence": lambda batch: plain.check_many(batch, quick),
        "loanlint, compiled, verdict objects": compiled.verdicts,
        "loanlint, compiled, columns": compiled.score,
        "loanlint, compiled, columns, no evidence": lambda batch: compiled.score(batch, quick),
        "keyword list in Aho-Corasick": keyword_list(),
    }
    if options.peers:
        found = fasttext_methods(ordinary + dense, labels)
        methods |= found
        if not found:
            print("fastText is not installed and left out: pip install 'loanlint[peers]'")
    reference = next(iter(methods))
    slow = {"loanlint, plain": 10, "loanlint, plain, no evidence": 10}
    for title, texts in (("ordinary text with 1 % loan advertisements", mixed), ("text about loans", dense)):
        length = statistics.mean(map(len, texts))
        gated = compiled.score(texts).gated.mean()
        print(
            f"\n{title}: {len(texts)} texts, {length:.0f} characters on average, {100 * gated:.1f} % stop at the gate\n"
        )
        figures = measure(methods, texts, options.rounds, slow)
        print("| method | texts/s | × naive |\n|---|---|---|")
        for name, seconds in figures.items():
            print(f"| {name} | {1 / seconds:,.0f} | {figures[reference] / seconds:.1f} |")


if __name__ == "__main__":
    main()
