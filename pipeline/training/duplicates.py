"""Near-duplicate texts: pairs whose character trigrams overlap, found without comparing every pair.

Exact, by prefix filtering (Chaudhuri et al. 2006): two sets with Jaccard overlap ≥ t share a member among the rarest
``len − ceil(t · len) + 1`` of each, so only those need an index.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

SIMILARITY = 0.6
_HAN = re.compile(r"[一-鿿]+")


def han(text: str) -> str:
    """The Han characters of a text alone."""
    return "".join(_HAN.findall(text))


def grams(text: str, size: int) -> Iterator[str]:
    """The runs of ``size`` characters of a text, in order."""
    return (text[i : i + size] for i in range(len(text) - size + 1))


def near_pairs(texts: Sequence[str], similarity: float = SIMILARITY) -> Iterator[tuple[int, int]]:
    """Positions ``(i, j)``, ``i < j``, of texts whose Han trigrams overlap (Jaccard) by ``similarity`` or more.

    Texts with fewer than three Han characters pair only with equal texts.
    """
    found = [list(dict.fromkeys(grams(han(text), 3))) or [text.strip()] for text in texts]
    count = Counter(gram for one in found for gram in one)
    # Members by rarity, as numbers; the sort is stable, so equal texts give equal numbers in every run.
    rank = {gram: n for n, gram in enumerate(sorted(count, key=count.__getitem__))}
    single = sum(n == 1 for n in count.values())  # ranks below occur in one text and cannot be shared
    members = [sorted(rank[gram] for gram in one) for one in found]
    sets = [set(one) for one in members]
    index: dict[int, list[int]] = defaultdict(list)
    # From the shortest up, so that every earlier set is no longer than the one at hand.
    for i in sorted(range(len(sets)), key=lambda i: len(sets[i])):
        size = len(sets[i])
        candidates: set[int] = set()
        for member in members[i][: size - math.ceil(similarity * size - 1e-9) + 1]:
            if member >= single:
                candidates.update(index[member])
                index[member].append(i)
        for j in sorted(candidates):
            if len(sets[j]) < similarity * size - 1e-9:
                continue
            shared = len(sets[i] & sets[j])
            if shared >= similarity * (size + len(sets[j]) - shared) - 1e-9:
                yield min(i, j), max(i, j)


def clusters(texts: Sequence[str], also: Sequence[str] = (), similarity: float = SIMILARITY) -> list[int]:
    """For each text the position of the first text of its cluster: near duplicates, and those with an equal name in ``also``.

    ``also``: a name a text (empty: none), or no names at all.
    """
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(i: int, j: int) -> None:
        a, b = root(i), root(j)
        parent[max(a, b)] = min(a, b)

    named: dict[str, int] = {}
    for i, name in enumerate(also):
        if name:
            join(i, named.setdefault(name, i))
    for i, j in near_pairs(texts, similarity):
        join(i, j)
    return [root(i) for i in range(len(texts))]
