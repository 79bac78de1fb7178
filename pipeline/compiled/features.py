"""Features of a text looked up once, for all its windows; see ``pipeline.model.features``.

Keys are never built: character n-grams and words are walked through tries, keys made of classes and concepts are matrices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..model.artefact import Artefact
from ..model.features import FeatureSettings
from ..text.concepts import concepts
from ..text.lexicon import lexicon
from .disguises import CLAUSE_END
from .folding import BLANK, LINE
from .jit import Array, kernel
from .lexemes import CLASS, CONCEPT, FOUND_END, FOUND_START, HIT_END, HIT_START, SENTENCE
from .regex import Regex
from .trie import Builder, Trie, step


class Vocabulary(NamedTuple):
    """Row of the weights for every key, -1 where the model has none."""

    grams: Trie
    words: Trie
    pairs: Trie
    present: Array  # [class]: U
    beside: Array  # [class, class]: N
    together: Array  # [class, class]: S
    concept: Array  # [concept]: K
    concept_pair: Array  # [concept, concept], either way round: P
    frame: Array  # [class]: D
    concept_rank: Array  # [concept]: place among the names sorted


class Sizes(NamedTuple):
    """Numbers that fix the shape of the features."""

    longest_gram: int
    near: int
    whole: int
    target: int
    stride: int
    classes: int
    concepts: int


def build_vocabulary(builder: Builder, artefact: Artefact) -> Vocabulary:
    """Tries and matrices of the vocabulary of a model."""
    rows = artefact.vocabulary
    longest = artefact.settings.longest_gram
    classes = lexicon().names
    names = concepts().names
    blocks: dict[str, list[str]] = {letter: [] for letter in "cwb"}
    for key in rows:
        if key[:1] in blocks and (key[0] != "c" or 0 < len(key) - 1 <= longest):
            blocks[key[0]].append(key)

    def trie(letter: str) -> Trie:
        keys = blocks[letter]
        return builder.strings([key[1:] for key in keys], [rows[key] for key in keys])

    def table(keys: list[str]) -> Array:
        return np.array([rows.get(key, -1) for key in keys], dtype=np.int32)

    def square(keys: list[list[str]]) -> Array:
        return np.array([[rows.get(key, -1) for key in line] for line in keys], dtype=np.int32).reshape(len(keys), -1)

    frames = frozenset(artefact.settings.frames)
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), dtype=np.int32)
    rank[order] = np.arange(len(names))
    return Vocabulary(
        grams=trie("c"),
        words=trie("w"),
        pairs=trie("b"),
        present=table(["U" + a for a in classes]),
        beside=square([[f"N{a}>{b}" for b in classes] for a in classes]),
        together=square([[f"S{min(a, b)}~{max(a, b)}" for b in classes] for a in classes]),
        concept=table(["K" + a for a in names]),
        concept_pair=square([[f"P{min(a, b)}*{max(a, b)}" for b in names] for a in names]),
        frame=table(["D" + a if a in frames else "" for a in classes]),
        concept_rank=rank,
    )


def build_sizes(settings: FeatureSettings) -> Sizes:
    """The settings as numbers."""
    window = settings.window
    return Sizes(
        settings.longest_gram,
        settings.near,
        window.whole,
        window.target,
        window.stride,
        len(lexicon().names),
        len(concepts().names),
    )


class Analysis(NamedTuple):
    """A text analysed for all its windows.

    ``grams[at, size - 1]`` row of the n-gram at a place; ``words`` rows of (start, end, row of the word, row of the pair with
    the word before that is not white space, start of that word); ``windows`` rows of (start, end).
    """

    length: int
    grams: Array
    words: Array
    hits: Array
    found: Array
    frames: Array
    windows: Array


WORD_START, WORD_END, WORD_ROW, PAIR_ROW, PREVIOUS = range(5)


@kernel
def gram_rows(text: Array, length: int, longest: int, trie: Trie) -> Array:
    """Rows of the n-grams that start at each place; line breaks count as blanks."""
    rows = np.full((length, longest), -1, dtype=np.int32)
    for start in range(length):
        state = 0
        for size in range(min(longest, length - start)):
            char = text[start + size]
            if char == LINE:
                char = BLANK
            state = step(trie, state, char)
            if state < 0:
                break
            rows[start, size] = trie.values[state]
    return rows


@kernel
def word_rows(text: Array, ends: Array, vocabulary: Vocabulary) -> Array:
    """Words with their rows; see :class:`Analysis`."""
    length = len(ends)
    words = np.empty((length, 5), dtype=np.int32)
    count = 0
    start = 0
    behind = -1  # state of the pair trie behind the word before and a blank
    previous = -1
    while start < length:
        end = ends[start]
        words[count, WORD_START] = start
        words[count, WORD_END] = end
        words[count, WORD_ROW] = -1
        words[count, PAIR_ROW] = -1
        words[count, PREVIOUS] = -1
        # Canonical white space is one blank or line break, always a word of its own.
        if text[start] != BLANK and text[start] != LINE:
            state = 0
            for at in range(start, end):
                state = step(vocabulary.words, state, text[at])
                if state < 0:
                    break
            if state >= 0:
                words[count, WORD_ROW] = vocabulary.words.values[state]
            if previous >= 0:
                words[count, PREVIOUS] = previous
                state = behind
                at = start
                while state >= 0 and at < end:
                    state = step(vocabulary.pairs, state, text[at])
                    at += 1
                if state >= 0:
                    words[count, PAIR_ROW] = vocabulary.pairs.values[state]
            behind = 0
            at = start
            while behind >= 0 and at < end:
                behind = step(vocabulary.pairs, behind, text[at])
                at += 1
            if behind >= 0:
                behind = step(vocabulary.pairs, behind, BLANK)
            previous = start
        count += 1
        start = end
    return words[:count]


@kernel
def _behind_clause(kinds: Array, start: int, end: int, regex: Regex) -> int:
    """Place behind the first clause end in a stretch, or -1."""
    wanted = regex.code[regex.entries[CLAUSE_END], 1]
    for at in range(start, end):
        if regex.sets[wanted, kinds[at]]:
            return at + 1
    return -1


@kernel
def cut_windows(kinds: Array, length: int, sizes: Sizes, regex: Regex) -> Array:
    """Windows of a text; see ``pipeline.text.windows``."""
    if length <= sizes.whole:
        spans = np.zeros((1, 2), dtype=np.int32)
        spans[0, 1] = length
        return spans
    spans = np.empty((length // max(1, sizes.stride) + 2, 2), dtype=np.int32)
    count = 0
    start = 0
    while True:
        end = min(length, start + sizes.target)
        if end < length:
            place = _behind_clause(kinds, end, min(length, end + sizes.target // 3), regex)
            if place >= 0:
                end = place
        spans[count, 0] = start
        spans[count, 1] = end
        count += 1
        if end >= length:
            return spans[:count]
        following = start + sizes.stride
        place = _behind_clause(kinds, following, min(end, following + sizes.stride // 2), regex)
        start = place if place >= 0 else following


@kernel
def seen_frames(hits: Array, vocabulary: Vocabulary, classes: int) -> Array:
    """Rows of the frame classes that stand anywhere in the text."""
    seen = np.zeros(classes, dtype=np.uint8)
    rows = np.empty(classes, dtype=np.int32)
    count = 0
    for i in range(len(hits)):
        kind = hits[i, CLASS]
        if seen[kind] == 0:
            seen[kind] = 1
            if vocabulary.frame[kind] >= 0:
                rows[count] = vocabulary.frame[kind]
                count += 1
    return rows[:count]


@kernel
def first_word(words: Array, start: int) -> int:
    """Number of the first word that starts at ``start`` or behind."""
    low = 0
    high = len(words)
    while low < high:
        middle = (low + high) // 2
        if words[middle, WORD_START] < start:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def first_by_start(rows: Array, column: int, start: int) -> int:
    """Number of the first row whose column reaches ``start``; the column is sorted."""
    low = 0
    high = len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle, column] < start:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def hits_inside(hits: Array, start: int, end: int) -> Array:
    """Numbers of the hits within a window."""
    first = first_by_start(hits, HIT_START, start)
    last = first_by_start(hits, HIT_START, end)
    inside = np.empty(last - first, dtype=np.int32)
    count = 0
    for i in range(first, last):
        if hits[i, HIT_END] <= end:
            inside[count] = i
            count += 1
    return inside[:count]


@kernel
def concepts_inside(found: Array, start: int, end: int, concepts: int) -> tuple[Array, Array, int]:
    """First find of each concept within a window, -1 if none; the concepts in the order found, and how many."""
    first = np.full(concepts, -1, dtype=np.int32)
    order = np.empty(concepts, dtype=np.int32)
    count = 0
    for i in range(first_by_start(found, FOUND_START, start), len(found)):
        if found[i, FOUND_START] >= end:
            break
        if found[i, FOUND_END] <= end and first[found[i, CONCEPT]] < 0:
            first[found[i, CONCEPT]] = i
            order[count] = found[i, CONCEPT]
            count += 1
    return first, order, count


@kernel
def window_rows(
    analysis: Analysis, start: int, end: int, vocabulary: Vocabulary, sizes: Sizes, stamps: Array, stamp: int, rows: Array
) -> int:
    """Rows of the weights whose feature is in a window, each once, put into ``rows``; returns how many.

    ``stamps`` holds a number a row of the weights, none of them ``stamp``.
    """
    count = 0
    for at in range(start, end):
        for size in range(min(sizes.longest_gram, end - at)):
            row = analysis.grams[at, size]
            if row >= 0 and stamps[row] != stamp:
                stamps[row] = stamp
                rows[count] = row
                count += 1
    words = analysis.words
    for i in range(first_word(words, start), len(words)):
        if words[i, WORD_END] > end:
            break
        row = words[i, WORD_ROW]
        if row >= 0 and stamps[row] != stamp:
            stamps[row] = stamp
            rows[count] = row
            count += 1
        row = words[i, PAIR_ROW]
        if row >= 0 and words[i, PREVIOUS] >= start and stamps[row] != stamp:
            stamps[row] = stamp
            rows[count] = row
            count += 1
    hits = analysis.hits
    inside = hits_inside(hits, start, end)
    for i in range(len(inside)):
        a = inside[i]
        kind = hits[a, CLASS]
        row = vocabulary.present[kind]
        if row >= 0 and stamps[row] != stamp:
            stamps[row] = stamp
            rows[count] = row
            count += 1
        for j in range(i + 1, len(inside)):
            b = inside[j]
            if hits[b, SENTENCE] != hits[a, SENTENCE]:
                break
            other = hits[b, CLASS]
            if other == kind:
                continue
            if hits[b, HIT_START] - hits[a, HIT_END] <= sizes.near:
                row = vocabulary.beside[kind, other]
                if row >= 0 and stamps[row] != stamp:
                    stamps[row] = stamp
                    rows[count] = row
                    count += 1
            row = vocabulary.together[kind, other]
            if row >= 0 and stamps[row] != stamp:
                stamps[row] = stamp
                rows[count] = row
                count += 1
    _, order, total = concepts_inside(analysis.found, start, end, sizes.concepts)
    for i in range(total):
        row = vocabulary.concept[order[i]]
        if row >= 0 and stamps[row] != stamp:
            stamps[row] = stamp
            rows[count] = row
            count += 1
        for j in range(i):
            row = vocabulary.concept_pair[order[i], order[j]]
            if row >= 0 and stamps[row] != stamp:
                stamps[row] = stamp
                rows[count] = row
                count += 1
    for row in analysis.frames:
        if stamps[row] != stamp:
            stamps[row] = stamp
            rows[count] = row
            count += 1
    return count
