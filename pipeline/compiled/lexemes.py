"""Lexicon hits and concepts over arrays of code points; see ``pipeline.text.lexicon`` and ``pipeline.text.concepts``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..text.concepts import concepts
from ..text.lexicon import lexicon
from .disguises import FIRST_CLASS_PATTERN
from .jit import Array, kernel
from .matcher import find
from .regex import Regex
from .trie import Builder, Trie, step

CLASS, HIT_START, HIT_END, SENTENCE = range(4)  # columns of a hit
CONCEPT, FOUND_START, FOUND_END = range(3)  # columns of a concept found
_FAR = 1 << 30


class Lexemes(NamedTuple):
    """Classes of each term and pattern, and the ways to say a concept that may start with each class."""

    terms: Trie
    term_classes: Array
    term_class_starts: Array
    pattern_class: Array
    way_starts: Array  # class → ways
    ways: Array  # rows of (concept, first step, number of steps)
    gaps: Array  # gap before each step; 0 before the first
    steps: Array  # [step, class] membership


def build_lexemes(builder: Builder) -> Lexemes:
    """Tables of the lexicon and the concepts."""
    words = lexicon()
    ways: list[tuple[int, int, int]] = []
    way_starts = [0]
    gaps: list[int] = []
    steps: list[Array] = []
    names = concepts().names
    for choices in concepts().by_class:
        for way in choices:
            # A name may have several lines: its first number stands for all.
            ways.append((names.index(names[way.concept]), len(steps), len(way.steps)))
            gaps.extend((0, *way.gaps))
            for wanted in way.steps:
                member = np.zeros(len(words.names), dtype=np.uint8)
                member[list(wanted)] = 1
                steps.append(member)
        way_starts.append(len(ways))
    return Lexemes(
        terms=builder.strings(words.terms),
        term_classes=np.array([c for classes in words.term_classes for c in classes], dtype=np.int32),
        term_class_starts=np.cumsum([0, *map(len, words.term_classes)], dtype=np.int32),
        pattern_class=np.array([index for index, _ in words.patterns], dtype=np.int32),
        way_starts=np.array(way_starts, dtype=np.int32),
        ways=np.array(ways, dtype=np.int32).reshape(-1, 3),
        gaps=np.array(gaps, dtype=np.int32),
        steps=np.array(steps, dtype=np.uint8).reshape(-1, len(words.names)),
    )


@kernel
def _grown(array: Array) -> Array:
    larger = np.empty((2 * array.shape[0], array.shape[1]), dtype=np.int32)
    larger[: array.shape[0]] = array
    return larger


@kernel
def find_hits(
    text: Array, kinds: Array, length: int, breaks: Array, lexemes: Lexemes, regex: Regex, classes: int
) -> Array:
    """Hits by start, then longest first, then class; one inside an earlier one of its class is dropped."""
    by_pattern = find(regex, FIRST_CLASS_PATTERN, len(regex.entries), text, kinds, length)
    hits = np.empty((64, 4), dtype=np.int32)
    count = 0
    last_end = np.full(classes, -1, dtype=np.int32)
    pattern_at = 0
    sentence = 0
    group = np.empty((16, 2), dtype=np.int32)  # (end, class) of what starts here
    trie = lexemes.terms
    for start in range(length):
        size = 0
        state = 0
        at = start
        while at < length:
            state = step(trie, state, text[at])
            if state < 0:
                break
            at += 1
            term = trie.values[state]
            if term >= 0:
                for choice in range(lexemes.term_class_starts[term], lexemes.term_class_starts[term + 1]):
                    if size == len(group):
                        group = _grown(group)
                    group[size, 0] = at
                    group[size, 1] = lexemes.term_classes[choice]
                    size += 1
        while pattern_at < len(by_pattern) and by_pattern[pattern_at, 1] == start:
            if size == len(group):
                group = _grown(group)
            group[size, 0] = by_pattern[pattern_at, 2]
            group[size, 1] = lexemes.pattern_class[by_pattern[pattern_at, 0] - FIRST_CLASS_PATTERN]
            size += 1
            pattern_at += 1
        if size == 0:
            continue
        while sentence < len(breaks) and breaks[sentence] <= start:
            sentence += 1
        for i in range(1, size):
            end = group[i, 0]
            kind = group[i, 1]
            place = i
            while place > 0 and (
                group[place - 1, 0] < end or (group[place - 1, 0] == end and group[place - 1, 1] > kind)
            ):
                group[place] = group[place - 1]
                place -= 1
            group[place, 0] = end
            group[place, 1] = kind
        for i in range(size):
            end = group[i, 0]
            kind = group[i, 1]
            if end <= last_end[kind]:
                continue
            last_end[kind] = end
            if count == len(hits):
                hits = _grown(hits)
            hits[count, CLASS] = kind
            hits[count, HIT_START] = start
            hits[count, HIT_END] = end
            hits[count, SENTENCE] = sentence
            count += 1
    return hits[:count]


@kernel
def find_concepts(hits: Array, breaks: Array, lexemes: Lexemes) -> Array:
    """Concepts in the order of their first hit, then of the ways."""
    found = np.empty((32, 3), dtype=np.int32)
    count = 0
    total = len(hits)
    for position in range(total):
        kind = hits[position, CLASS]
        limit = _FAR
        if hits[position, SENTENCE] < len(breaks):
            limit = breaks[hits[position, SENTENCE]]
        for number in range(lexemes.way_starts[kind], lexemes.way_starts[kind + 1]):
            first = lexemes.ways[number, 1]
            at = position
            end = hits[position, HIT_END]
            for i in range(1, lexemes.ways[number, 2]):
                reach = min(end + lexemes.gaps[first + i], limit)
                here_start = hits[at, HIT_START]
                at += 1
                while at < total:
                    if hits[at, HIT_START] > reach:
                        at = total
                        break
                    if lexemes.steps[first + i, hits[at, CLASS]] and hits[at, HIT_END] > here_start:
                        break
                    at += 1
                if at >= total:
                    break
                end = max(end, hits[at, HIT_END])
            if at < total:
                if count == len(found):
                    found = _grown(found)
                found[count, CONCEPT] = lexemes.ways[number, 0]
                found[count, FOUND_START] = hits[position, HIT_START]
                found[count, FOUND_END] = end
                count += 1
    return found[:count]
