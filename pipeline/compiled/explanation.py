"""Evidence over an analysed text; see ``pipeline.model.evidence``, whose steps these are."""

from __future__ import annotations

import math

from ..model.evidence import KEEP, LONGEST, SHARE
from . import fields as f
from .features import PAIR_ROW, PREVIOUS, WORD, WORD_END, WORD_ROW, WORD_START, concepts_inside, first_from, hits_inside
from .jit import kernel
from .lexemes import BEGIN, FINISH, SENTENCE, WHAT
from .memory import get4, get8, get_double, get_float, put4, put_double

_ROW, _START, _END, _NEXT = range(4)  # columns of a place; _NEXT links the places of a row
_ROUND = 1e9
# Columns of a span kept.
SPAN_START, SPAN_END, SPAN_CODE = range(3)


@kernel
def _add(places: int, count: int, room: int, latest: int, row: int, start: int, end: int) -> int:
    """Add a place of a row, once; returns how many there are. ``latest[row]`` is its latest place, -1 for none.

    Beyond ``room`` places are counted but not kept.
    """
    if row < 0:
        return count
    at = get4(latest, row)
    while at >= 0:
        if get4(places, 4 * at + _START) == start and get4(places, 4 * at + _END) == end:
            return count
        at = get4(places, 4 * at + _NEXT)
    if count < room:
        put4(places, 4 * count + _ROW, row)
        put4(places, 4 * count + _START, start)
        put4(places, 4 * count + _END, end)
        put4(places, 4 * count + _NEXT, get4(latest, row))
        put4(latest, row, count)
    return count + 1


@kernel
def find_places(
    book: int,
    work: int,
    start: int,
    end: int,
    words: int,
    hits: int,
    hit_count: int,
    found: int,
    found_count: int,
    places: int,
    room: int,
) -> int:
    """Every place a feature of the window rests on; returns how many. More than ``room``: too many, nothing is left behind.

    ``LATEST`` holds -1 for every row of the weights before, and links the places afterwards.
    """
    latest = get8(work, f.LATEST)
    count = 0
    grams = get8(work, f.GRAM_ROWS)
    starts = get8(work, f.GRAM_STARTS)
    for at in range(start, end):
        for i in range(get4(starts, at), get4(starts, at + 1)):
            if get4(grams, 2 * i + 1) <= end:
                count = _add(places, count, room, latest, get4(grams, 2 * i), at, get4(grams, 2 * i + 1))
    word_rows = get8(work, f.WORD_ROWS)
    for i in range(first_from(word_rows, words, WORD, WORD_START, start), words):
        word = word_rows + 4 * WORD * i
        s = get4(word, WORD_START)
        e = get4(word, WORD_END)
        if e > end:
            break
        count = _add(places, count, room, latest, get4(word, WORD_ROW), s, e)
        if get4(word, PREVIOUS) >= start:
            count = _add(places, count, room, latest, get4(word, PAIR_ROW), get4(word, PREVIOUS), e)
    count = _add_classes(book, work, start, end, hits, hit_count, places, count, room)
    count = _add_concepts(book, work, start, end, found, found_count, places, count, room)
    if count > room:
        for i in range(room):
            put4(latest, get4(places, 4 * i + _ROW), -1)
    return count


@kernel
def _add_classes(
    book: int, work: int, start: int, end: int, hits: int, hit_count: int, places: int, count: int, room: int
) -> int:
    latest = get8(work, f.LATEST)
    inside = get8(work, f.INSIDE)
    total = hits_inside(hits, hit_count, start, end, inside)
    classes = get8(book, f.CLASS_COUNT)
    near = get8(book, f.NEAR)
    for i in range(total):
        a = hits + 16 * get4(inside, i)
        kind = get4(a, WHAT)
        a_start = get4(a, BEGIN)
        a_end = get4(a, FINISH)
        count = _add(places, count, room, latest, get4(get8(book, f.PRESENT), kind), a_start, a_end)
        for j in range(i + 1, total):
            b = hits + 16 * get4(inside, j)
            if get4(b, SENTENCE) != get4(a, SENTENCE):
                break
            other = get4(b, WHAT)
            if other == kind:
                continue
            b_start = get4(b, BEGIN)
            b_end = get4(b, FINISH)
            if b_start - a_end <= near:
                row = get4(get8(book, f.BESIDE), kind * classes + other)
                count = _add(places, count, room, latest, row, a_start, max(a_end, b_end))
            # Only the first two hits of a pair of classes count.
            row = get4(get8(book, f.TOGETHER), kind * classes + other)
            if row >= 0 and get4(latest, row) < 0:
                count = _add(places, count, room, latest, row, a_start, a_end)
                count = _add(places, count, room, latest, row, b_start, b_end)
    return count


@kernel
def _add_concepts(
    book: int, work: int, start: int, end: int, found: int, found_count: int, places: int, count: int, room: int
) -> int:
    latest = get8(work, f.LATEST)
    for i in range(first_from(found, found_count, 4, BEGIN, start), found_count):
        this = found + 16 * i
        if get4(this, BEGIN) >= end:
            break
        if get4(this, FINISH) <= end:
            row = get4(get8(book, f.CONCEPT_ROW), get4(this, WHAT))
            count = _add(places, count, room, latest, row, get4(this, BEGIN), get4(this, FINISH))
    total = concepts_inside(work, found, found_count, start, end)
    order = get8(work, f.ORDER)
    first = get8(work, f.FIRST_FOUND)
    concept_count = get8(book, f.CONCEPT_COUNT)
    for i in range(total):
        a = get4(order, i)
        this = found + 16 * get4(first, a)
        for j in range(i):
            b = get4(order, j)
            other = found + 16 * get4(first, b)
            row = get4(get8(book, f.CONCEPT_PAIR), a * concept_count + b)
            count = _add(places, count, room, latest, row, get4(this, BEGIN), get4(this, FINISH))
            count = _add(places, count, room, latest, row, get4(other, BEGIN), get4(other, FINISH))
    return count


@kernel
def share_out(
    book: int, work: int, start: int, places: int, count: int, codes: int, code_count: int, share: int
) -> None:
    """Share the weights of each row over the characters of its places; sets ``LATEST`` back to -1.

    ``share`` (double) takes 1 + ``code_count`` numbers a character of the window, zero before: severity ≥ 2, then the codes.
    """
    latest = get8(work, f.LATEST)
    weight_width = get8(book, f.WEIGHT_WIDTH)
    width = code_count + 1
    for number in range(count):
        row = get4(places, 4 * number + _ROW)
        if get4(latest, row) < 0:
            continue  # its places are done
        covered = 0
        at = get4(latest, row)
        while at >= 0:
            covered += get4(places, 4 * at + _END) - get4(places, 4 * at + _START)
            at = get4(places, 4 * at + _NEXT)
        weights = get8(book, f.WEIGHTS) + 4 * weight_width * row
        for column in range(width):
            if column == 0:
                head = get4(get8(book, f.SEVERITY_HEADS_AT), 1)
            else:
                head = get4(get8(book, f.CODE_HEADS), get4(codes, column - 1))
            portion = get_float(weights, head) / covered
            at = get4(latest, row)
            while at >= 0:
                for place in range(get4(places, 4 * at + _START) - start, get4(places, 4 * at + _END) - start):
                    cell = place * width + column
                    put_double(share, cell, get_double(share, cell) + portion)
                at = get4(places, 4 * at + _NEXT)
        put4(latest, row, -1)


@kernel
def find_phrases(
    start: int,
    end: int,
    words: int,
    word_rows: int,
    hits: int,
    hit_count: int,
    found: int,
    found_count: int,
    spans: int,
) -> int:
    """Spans that read as phrases: concepts and lexicon terms, or else words; returns how many.

    ``spans`` has room for two numbers a concept, a hit and a word.
    """
    count = 0
    for source, total in ((found, found_count), (hits, hit_count)):
        for i in range(first_from(source, total, 4, BEGIN, start), total):
            s = get4(source, 4 * i + BEGIN)
            e = get4(source, 4 * i + FINISH)
            if s >= end:
                break
            if e <= end and 2 <= e - s <= LONGEST:
                put4(spans, 2 * count, s)
                put4(spans, 2 * count + 1, e)
                count += 1
    if count == 0:
        for i in range(first_from(word_rows, words, WORD, WORD_START, start), words):
            s = get4(word_rows, i * WORD + WORD_START)
            e = get4(word_rows, i * WORD + WORD_END)
            if e > end:
                break
            if e - s >= 2:
                put4(spans, 2 * count, s)
                put4(spans, 2 * count + 1, e)
                count += 1
    return count


@kernel
def _summed(share: int, width: int, column: int, start: int, end: int) -> float:
    total = 0.0
    for at in range(start, end):
        total += get_double(share, at * width + column)
    return total


@kernel
def choose(
    start: int,
    spans: int,
    count: int,
    weights: int,
    codes: int,
    code_count: int,
    share: int,
    kept: int,
    kept_weights: int,
) -> int:
    """The best spans in text order into ``kept`` and their weights into ``kept_weights``; returns how many.

    ``weights`` (double) is scratch for a number a span.
    """
    width = code_count + 1
    for i in range(count):
        weight = _summed(share, width, 0, get4(spans, 2 * i) - start, get4(spans, 2 * i + 1) - start)
        put_double(weights, i, weight)
    kept_count = 0
    highest = 0.0
    while kept_count < KEEP:
        best = -1
        weight = 0.0
        for i in range(count):
            this = get_double(weights, i)
            if this > 0 and (best < 0 or _before(this, spans, i, weight, best)):
                best = i
                weight = this
        if best < 0 or (kept_count and weight < SHARE * highest):
            break
        put_double(weights, best, 0.0)
        s = get4(spans, 2 * best)
        e = get4(spans, 2 * best + 1)
        free = True
        for k in range(kept_count):
            if s < get4(kept, 3 * k + SPAN_END) and get4(kept, 3 * k + SPAN_START) < e:
                free = False
        if not free:
            continue
        if kept_count == 0:
            highest = weight
        place = kept_count
        while place > 0 and get4(kept, 3 * place - 3 + SPAN_START) > s:
            for column in range(3):
                put4(kept, 3 * place + column, get4(kept, 3 * place - 3 + column))
            put_double(kept_weights, place, get_double(kept_weights, place - 1))
            place -= 1
        code = -1
        most = 0.0
        for i in range(code_count):
            said = _summed(share, width, i + 1, s - start, e - start)
            if i == 0 or said > most:
                most = said
                code = get4(codes, i)
        put4(kept, 3 * place + SPAN_START, s)
        put4(kept, 3 * place + SPAN_END, e)
        put4(kept, 3 * place + SPAN_CODE, code)
        put_double(kept_weights, place, weight)
        kept_count += 1
    return kept_count


@kernel
def _before(weight: float, spans: int, number: int, other_weight: float, other: int) -> bool:
    """Whether a candidate comes before another: larger weight, equal to nine places by position."""
    a = math.floor(weight * _ROUND + 0.5)
    b = math.floor(other_weight * _ROUND + 0.5)
    if a != b:
        return a > b
    if get4(spans, 2 * number) != get4(spans, 2 * other):
        return get4(spans, 2 * number) < get4(spans, 2 * other)
    return get4(spans, 2 * number + 1) < get4(spans, 2 * other + 1)
