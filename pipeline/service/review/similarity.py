"""How alike texts are: the overlap (Jaccard) of their character trigrams after undoing disguises."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ...text.normalise import normalise

NEAR = 0.6
_LONGEST = 1_000  # characters looked at
_COMMON = 200  # a trigram of so many texts tells nothing and would make comparing them all slow

Grams = frozenset[str]


def grams(text: str) -> Grams:
    """Character trigrams of the start of a text, without blanks."""
    plain = "".join(normalise(text[:_LONGEST]).text.split())
    if len(plain) < 3:
        return frozenset((plain,)) if plain else frozenset()
    return frozenset(plain[i : i + 3] for i in range(len(plain) - 2))


def similarity(one: Grams, other: Grams) -> float:
    """0 nothing in common, 1 the same."""
    if not one or not other:
        return 0.0
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def may_be_near(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether texts of these characters are worth comparing: undoing disguises costs a hundred times as much as this."""
    return len(one & other) * 2 >= min(len(one), len(other))


def clusters(texts: Sequence[str], near: float = NEAR) -> list[int]:
    """For each text the position of the first text of its cluster: texts linked by near-duplicates are one cluster."""
    parents = list(range(len(texts)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    index: dict[str, list[int]] = defaultdict(list)
    sets = [grams(text) for text in texts]
    for i, own in enumerate(sets):
        shared: Counter[int] = Counter()
        for gram in own:
            shared.update(index[gram])
            if len(index[gram]) < _COMMON:
                index[gram].append(i)
        for j, count in shared.items():
            # Counted over trigrams that are not too common: enough to propose, the full sets decide.
            if count * 2 >= min(len(own), len(sets[j])) * near and similarity(own, sets[j]) >= near:
                first, second = sorted((root(i), root(j)))
                parents[second] = first
    return [root(i) for i in range(len(texts))]
