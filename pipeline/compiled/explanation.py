"""Evidence over an analysed text; see ``pipeline.model.evidence``, whose steps these are."""

from __future__ import annotations

import math

import numpy as np

from ..model.evidence import KEEP, LONGEST, SHARE
from .features import (
    PAIR_ROW,
    PREVIOUS,
    WORD_END,
    WORD_ROW,
    WORD_START,
    Analysis,
    Sizes,
    Vocabulary,
    concepts_inside,
    first_by_start,
    first_word,
    hits_inside,
)
from .jit import Array, kernel
from .lexemes import CLASS, CONCEPT, FOUND_END, FOUND_START, HIT_END, HIT_START, SENTENCE
from .scores import Model

_ROW, _START, _END, _NEXT = range(4)  # columns of a place; _NEXT links the places of a row
_ROUND = 1e9


@kernel
def _grown(array: Array) -> Array:
    larger = np.empty((2 * array.shape[0], array.shape[1]), dtype=np.int32)
    larger[: array.shape[0]] = array
    return larger


@kernel
def _add(places: Array, count: int, last: Array, row: int, start: int, end: int) -> tuple[Array, int]:
    """Add a place of a row, once. ``last[row]`` is the number of its latest place, -1 for none."""
    if row < 0:
        return places, count
    at = last[row]
    while at >= 0:
        if places[at, _START] == start and places[at, _END] == end:
            return places, count
        at = places[at, _NEXT]
    if count == len(places):
        places = _grown(places)
    places[count, _ROW] = row
    places[count, _START] = start
    places[count, _END] = end
    places[count, _NEXT] = last[row]
    last[row] = count
    return places, count + 1


@kernel
def _places(
    analysis: Analysis, start: int, end: int, vocabulary: Vocabulary, sizes: Sizes, last: Array
) -> tuple[Array, int]:
    """Every place a feature of the window rests on."""
    places = np.empty((4 * (end - start) + 64, 4), dtype=np.int32)
    count = 0
    for size in range(sizes.longest_gram):
        for at in range(start, end - size):
            places, count = _add(places, count, last, analysis.grams[at, size], at, at + size + 1)
    words = analysis.words
    for i in range(first_word(words, start), len(words)):
        if words[i, WORD_END] > end:
            break
        places, count = _add(places, count, last, words[i, WORD_ROW], words[i, WORD_START], words[i, WORD_END])
        if words[i, PREVIOUS] >= start:
            places, count = _add(places, count, last, words[i, PAIR_ROW], words[i, PREVIOUS], words[i, WORD_END])
    hits = analysis.hits
    inside = hits_inside(hits, start, end)
    classes = sizes.classes
    paired = np.zeros((classes, classes), dtype=np.uint8)
    for i in range(len(inside)):
        a = inside[i]
        kind = hits[a, CLASS]
        places, count = _add(places, count, last, vocabulary.present[kind], hits[a, HIT_START], hits[a, HIT_END])
        for j in range(i + 1, len(inside)):
            b = inside[j]
            if hits[b, SENTENCE] != hits[a, SENTENCE]:
                break
            other = hits[b, CLASS]
            if other == kind:
                continue
            if hits[b, HIT_START] - hits[a, HIT_END] <= sizes.near:
                reach = max(hits[a, HIT_END], hits[b, HIT_END])
                places, count = _add(places, count, last, vocabulary.beside[kind, other], hits[a, HIT_START], reach)
            if paired[kind, other] == 0:
                paired[kind, other] = 1
                paired[other, kind] = 1
                row = vocabulary.together[kind, other]
                places, count = _add(places, count, last, row, hits[a, HIT_START], hits[a, HIT_END])
                places, count = _add(places, count, last, row, hits[b, HIT_START], hits[b, HIT_END])
    found = analysis.found
    for i in range(first_by_start(found, FOUND_START, start), len(found)):
        if found[i, FOUND_START] >= end:
            break
        if found[i, FOUND_END] <= end:
            row = vocabulary.concept[found[i, CONCEPT]]
            places, count = _add(places, count, last, row, found[i, FOUND_START], found[i, FOUND_END])
    first, order, total = concepts_inside(found, start, end, sizes.concepts)
    for i in range(total):
        for j in range(i):
            row = vocabulary.concept_pair[order[i], order[j]]
            for concept in (order[i], order[j]):
                at = first[concept]
                places, count = _add(places, count, last, row, found[at, FOUND_START], found[at, FOUND_END])
    return places, count


@kernel
def _candidates(analysis: Analysis, start: int, end: int) -> tuple[Array, int]:
    """Spans that read as phrases: concepts and lexicon terms, or else words. In order of start and end."""
    found = analysis.found
    hits = analysis.hits
    words = analysis.words
    spans = np.empty((len(found) + len(hits) + 1, 2), dtype=np.int32)
    count = 0
    for i in range(len(found)):
        s = found[i, FOUND_START]
        e = found[i, FOUND_END]
        if s >= start and e <= end and 2 <= e - s <= LONGEST:
            spans[count, 0] = s
            spans[count, 1] = e
            count += 1
    for i in range(len(hits)):
        s = hits[i, HIT_START]
        e = hits[i, HIT_END]
        if s >= start and e <= end and 2 <= e - s <= LONGEST:
            spans[count, 0] = s
            spans[count, 1] = e
            count += 1
    if count == 0:
        spans = np.empty((len(words), 2), dtype=np.int32)
        for i in range(len(words)):
            s = words[i, WORD_START]
            e = words[i, WORD_END]
            if s >= start and e <= end and e - s >= 2:
                spans[count, 0] = s
                spans[count, 1] = e
                count += 1
    return spans, count


@kernel
def explain(
    analysis: Analysis,
    window: int,
    codes: Array,
    code_count: int,
    model: Model,
    vocabulary: Vocabulary,
    sizes: Sizes,
    last: Array,
) -> tuple[Array, Array, int]:
    """The best spans of a window in text order: rows of (start, end, code or -1), their weights, and how many.

    ``last`` holds -1 for every row of the weights, before and after.
    """
    start = analysis.windows[window, 0]
    end = analysis.windows[window, 1]
    places, count = _places(analysis, start, end, vocabulary, sizes, last)
    columns = np.empty(code_count + 1, dtype=np.int32)
    columns[0] = model.severity_heads[1]
    for i in range(code_count):
        columns[i + 1] = model.code_heads[codes[i]]
    share = np.zeros((end - start, code_count + 1), dtype=np.float64)
    for number in range(count):
        row = places[number, _ROW]
        if last[row] < 0:
            continue  # all places of the row are done
        covered = 0
        at = last[row]
        while at >= 0:
            covered += places[at, _END] - places[at, _START]
            at = places[at, _NEXT]
        for column in range(code_count + 1):
            portion = float(model.weights[row, columns[column]]) / covered
            at = last[row]
            while at >= 0:
                for place in range(places[at, _START] - start, places[at, _END] - start):
                    share[place, column] += portion
                at = places[at, _NEXT]
        last[row] = -1
    spans, total = _candidates(analysis, start, end)
    weights = np.empty(total, dtype=np.float64)
    for i in range(total):
        weight = 0.0
        for at in range(spans[i, 0] - start, spans[i, 1] - start):
            weight += share[at, 0]
        weights[i] = weight
    kept = np.empty((KEEP, 3), dtype=np.int32)
    kept_weights = np.empty(KEEP, dtype=np.float64)
    kept_count = 0
    highest = 0.0
    while kept_count < KEEP:
        best = -1
        for i in range(total):
            if weights[i] > 0 and (best < 0 or _before(weights[i], spans[i], weights[best], spans[best])):
                best = i
        if best < 0 or (kept_count and weights[best] < SHARE * highest):
            break
        weight = weights[best]
        weights[best] = 0.0
        s = spans[best, 0]
        e = spans[best, 1]
        free = True
        for k in range(kept_count):
            if s < kept[k, 1] and kept[k, 0] < e:
                free = False
        if not free:
            continue
        if kept_count == 0:
            highest = weight
        place = kept_count
        while place > 0 and kept[place - 1, 0] > s:
            kept[place] = kept[place - 1]
            kept_weights[place] = kept_weights[place - 1]
            place -= 1
        kept[place, 0] = s
        kept[place, 1] = e
        kept[place, 2] = -1
        kept_weights[place] = weight
        most = 0.0
        for i in range(code_count):
            said = 0.0
            for at in range(s - start, e - start):
                said += share[at, i + 1]
            if i == 0 or said > most:
                most = said
                kept[place, 2] = codes[i]
        kept_count += 1
    return kept, kept_weights, kept_count


@kernel
def _before(weight: float, span: Array, other_weight: float, other_span: Array) -> bool:
    """Whether a candidate comes before another: larger weight, equal to nine places by position."""
    a = math.floor(weight * _ROUND + 0.5)
    b = math.floor(other_weight * _ROUND + 0.5)
    if a != b:
        return a > b
    if span[0] != other_span[0]:
        return span[0] < other_span[0]
    return span[1] < other_span[1]
