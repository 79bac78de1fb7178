"""Lexicon classes found in a canonical text: the raw matter of the concept features.

A *hit* says that a term (or pattern) of a class stands at a place. Classes are open categories such as NEG, CHECK, CREDIT,
PAYOUT, SPEED; what a sentence claims shows in which classes follow each other, and that is left to the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from ..errors import DataError
from ..resources import read_table


@dataclass(frozen=True, slots=True)
class Hit:
    """A term of class ``name`` (number ``index`` among the classes) at a canonical span."""

    index: int
    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Compiled classes. ``names`` fixes the order of classes."""

    names: tuple[str, ...]
    terms: tuple[str, ...]
    term_classes: tuple[tuple[int, ...], ...]
    automaton: AhoCorasick
    patterns: tuple[tuple[int, re.Pattern[str]], ...]

    def hits(self, text: str) -> list[Hit]:
        """Hits ordered by start, then longest first; a hit inside a longer one of its class is dropped."""
        found: list[tuple[int, int, int]] = []
        classes = self.term_classes
        for term, start, end in self.automaton.find_matches_as_indexes(text, overlapping=True):
            for index in classes[term]:
                found.append((start, -end, index))
        for index, pattern in self.patterns:
            found.extend((m.start(), -m.end(), index) for m in pattern.finditer(text))
        found.sort()
        last_end: dict[int, int] = {}
        hits = []
        for start, negative_end, index in found:
            end = -negative_end
            if end <= last_end.get(index, -1):
                continue
            last_end[index] = end
            hits.append(Hit(index, self.names[index], start, end))
        return hits


@cache
def lexicon() -> Lexicon:
    """The lexicon under ``data/lexicon``."""
    by_term: dict[str, set[str]] = {}
    names: list[str] = []
    for name, line in read_table("lexicon", "classes.tsv"):
        names.append(name)
        for term in line.split():
            by_term.setdefault(term, set()).add(name)
    pattern_rows = read_table("lexicon", "patterns.tsv")
    names.extend(name for name, _ in pattern_rows if name not in names)
    number = {name: i for i, name in enumerate(names)}
    terms = tuple(by_term)
    try:
        patterns = tuple((number[name], re.compile(body)) for name, body in pattern_rows)
    except re.error as error:
        raise DataError(
            f"data/lexicon/patterns.tsv: bad pattern {error.pattern!r}: {error}. Correct the line.",
            code="E_DATA_LEXICON",
        ) from error
    return Lexicon(
        names=tuple(names),
        terms=terms,
        term_classes=tuple(tuple(sorted(number[n] for n in by_term[t])) for t in terms),
        automaton=AhoCorasick(list(terms), matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA),
        patterns=patterns,
    )
