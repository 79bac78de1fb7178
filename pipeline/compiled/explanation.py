"""Evidence over an analysed text; see ``pipeline.model.evidence``, whose steps these are."""

from __future__ import annotations

import math

from ..model.evidence import DIGITS, KEEP, LONGEST, SHARE
from . import fields as f
from .features import (
    PAIR_ROW,
    PREVIOUS,
    WORD,
    WORD_END,
    WORD_ROW,
    WORD_START,
    classes_of_sentence,
    concepts_inside,
    first_from,
    hits_inside,
)
from .jit import kernel
from .lexemes import BEGIN, FINISH, SENTENCE, WHAT
from .memory import get4, get8, get_double, get_float, put4, put_double

_ROW, _START, _END = range(3)  # columns of a place
_ROUND = 10.0**DIGITS
# Columns of a span kept.
SPAN_START, SPAN_END, SPAN_CODE = range(3)


@kernel
def _add(places: int, count: int, room: int, covered: int, row: int, start: int, end: int) -> int:
    """Add a place of a row; returns how many there are. ``covered[row]``: characters of all its places.

    Beyond ``room`` places are counted but not kept.
    """
    if row < 0:
        return count
    put4(covered, row, get4(covered, row) + end - start)
    if count < room:
        put4(places, 3 * count + _ROW, row)
        put4(places, 3 * count + _START, start)
        put4(places, 3 * count + _END, end)
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
    """Every place a feature of the window rests on, each once; returns how many. More than ``room``: call again with more.

    ``COVERED`` holds 0 for every row of the weights before, and afterwards how many characters the places of each take.
    """
    covered = get8(work, f.COVERED)
    count = 0
    grams = get8(work, f.GRAM_ROWS)
    starts = get8(work, f.GRAM_STARTS)
    for at in range(start, end):
        for i in range(get4(starts, at), get4(starts, at + 1)):
            if get4(grams, 2 * i + 1) <= end:
                count = _add(places, count, room, covered, get4(grams, 2 * i), at, get4(grams, 2 * i + 1))
    word_rows = get8(work, f.WORD_ROWS)
    for i in range(first_from(word_rows, words, WORD, WORD_START, start), words):
        word = word_rows + 4 * WORD * i
        s = get4(word, WORD_START)
        e = get4(word, WORD_END)
        if e > end:
            break
        count = _add(places, count, room, covered, get4(word, WORD_ROW), s, e)
        if get4(word, PREVIOUS) >= start:
            count = _add(places, count, room, covered, get4(word, PAIR_ROW), get4(word, PREVIOUS), e)
    count = _add_classes(book, work, start, end, hits, hit_count, places, count, room)
    count = _add_concepts(book, work, start, end, found, found_count, places, count, room)
    if count > room:
        for row in range(get8(book, f.WEIGHT_ROWS)):
            put4(covered, row, 0)
    return count


@kernel
def _add_classes(
    book: int, work: int, start: int, end: int, hits: int, hit_count: int, places: int, count: int, room: int
) -> int:
    covered = get8(work, f.COVERED)
    inside = get8(work, f.INSIDE)
    total = hits_inside(hits, hit_count, start, end, inside)
    classes = get8(book, f.CLASS_COUNT)
    near = get8(book, f.NEAR)
    for i in range(total):
        a = hits + 16 * get4(inside, i)
        kind = get4(a, WHAT)
        a_start = get4(a, BEGIN)
        a_end = get4(a, FINISH)
        count = _add(places, count, room, covered, get4(get8(book, f.PRESENT), kind), a_start, a_end)
        for j in range(i + 1, total):
            b = hits + 16 * get4(inside, j)
            if get4(b, SENTENCE) != get4(a, SENTENCE) or get4(b, BEGIN) - a_end > near:
                break
            other = get4(b, WHAT)
            row = get4(get8(book, f.BESIDE), kind * classes + other)
            # Two hits of a class within this one make the same place.
            if other != kind and row >= 0 and not _same_end(hits, inside, i, j):
                count = _add(places, count, room, covered, row, a_start, max(a_end, get4(b, FINISH)))
    # Of a pair of classes, only the first two hits count.
    order = get8(work, f.CLASS_ORDER)
    first = 0
    while first < total:
        different, first = classes_of_sentence(work, hits, total, first)
        for i in range(different):
            kind = get4(order, 2 * i)
            a = hits + 16 * get4(order, 2 * i + 1)
            for j in range(i + 1, different):
                row = get4(get8(book, f.TOGETHER), kind * classes + get4(order, 2 * j))
                if row >= 0 and get4(covered, row) == 0:
                    b = hits + 16 * get4(order, 2 * j + 1)
                    count = _add_two(places, count, room, covered, row, a, b)
    return count


@kernel
def _same_end(hits: int, inside: int, first: int, second: int) -> bool:
    """Whether an earlier hit of the second one's class ends, like it, no later than the first."""
    end = get4(hits, 4 * get4(inside, first) + FINISH)
    b = hits + 16 * get4(inside, second)
    if get4(b, FINISH) > end:
        return False
    for i in range(first + 1, second):
        other = hits + 16 * get4(inside, i)
        if get4(other, WHAT) == get4(b, WHAT) and get4(other, FINISH) <= end:
            return True
    return False


@kernel
def _add_two(places: int, count: int, room: int, covered: int, row: int, a: int, b: int) -> int:
    """Add the places of two hits or concepts, which may be the same place."""
    count = _add(places, count, room, covered, row, get4(a, BEGIN), get4(a, FINISH))
    if get4(a, BEGIN) == get4(b, BEGIN) and get4(a, FINISH) == get4(b, FINISH):
        return count
    return _add(places, count, room, covered, row, get4(b, BEGIN), get4(b, FINISH))


@kernel
def _add_concepts(
    book: int, work: int, start: int, end: int, found: int, found_count: int, places: int, count: int, room: int
) -> int:
    covered = get8(work, f.COVERED)
    for i in range(first_from(found, found_count, 4, BEGIN, start), found_count):
        this = found + 16 * i
        if get4(this, BEGIN) >= end:
            break
        if get4(this, FINISH) <= end and not _found_before(found, i):
            row = get4(get8(book, f.CONCEPT_ROW), get4(this, WHAT))
            count = _add(places, count, room, covered, row, get4(this, BEGIN), get4(this, FINISH))
    total = concepts_inside(work, found, found_count, start, end)
    order = get8(work, f.ORDER)
    first = get8(work, f.FIRST_FOUND)
    concept_count = get8(book, f.CONCEPT_COUNT)
    for i in range(total):
        a = get4(order, i)
        for j in range(i):
            b = get4(order, j)
            row = get4(get8(book, f.CONCEPT_PAIR), a * concept_count + b)
            if row >= 0:
                here = found + 16 * get4(first, a)
                there = found + 16 * get4(first, b)
                count = _add_two(places, count, room, covered, row, here, there)
    return count


@kernel
def _found_before(found: int, number: int) -> bool:
    """Whether a concept was found in the same place in another way."""
    this = found + 16 * number
    i = number - 1
    while i >= 0 and get4(found, 4 * i + BEGIN) == get4(this, BEGIN):
        if get4(found, 4 * i + WHAT) == get4(this, WHAT) and get4(found, 4 * i + FINISH) == get4(this, FINISH):
            return True
        i -= 1
    return False


@kernel
def share_out(book: int, work: int, start: int, end: int, places: int, count: int, share: int) -> None:
    """Share the weights for severity ≥ 2 of each row over the characters of its places.

    ``share`` (double) takes a number for each character of the window, and has room for one more.
    """
    for at in range(end - start + 1):
        put_double(share, at, 0.0)
    covered = get8(work, f.COVERED)
    width = get8(book, f.WEIGHT_WIDTH)
    weights = get8(book, f.WEIGHTS) + 4 * get4(get8(book, f.SEVERITY_HEADS_AT), 1)
    # First where a portion begins and ends, then the sums of those.
    for number in range(count):
        row = get4(places, 3 * number + _ROW)
        portion = get_float(weights, row * width) / get4(covered, row)
        first = get4(places, 3 * number + _START) - start
        last = get4(places, 3 * number + _END) - start
        put_double(share, first, get_double(share, first) + portion)
        put_double(share, last, get_double(share, last) - portion)
    total = 0.0
    for at in range(end - start):
        total += get_double(share, at)
        put_double(share, at, total)


@kernel
def name_codes(
    book: int, work: int, places: int, count: int, codes: int, code_count: int, kept: int, kept_count: int
) -> None:
    """Give each span kept the code it speaks for most, -1 if there are none; sets ``COVERED`` back to 0."""
    covered = get8(work, f.COVERED)
    width = get8(book, f.WEIGHT_WIDTH)
    weights = get8(book, f.WEIGHTS)
    heads = get8(book, f.CODE_HEADS)
    said = get8(work, f.TOTALS)  # what each span says for each code
    for i in range(kept_count * code_count):
        put_double(said, i, 0.0)
    behind = get4(kept, 3 * kept_count - 3 + SPAN_END) if kept_count else 0
    for number in range(count if code_count > 1 and kept_count else 0):
        start = get4(places, 3 * number + _START)
        end = get4(places, 3 * number + _END)
        if start >= behind or end <= get4(kept, SPAN_START):
            continue
        row = get4(places, 3 * number + _ROW)
        for k in range(kept_count):
            first = max(start, get4(kept, 3 * k + SPAN_START))
            last = min(end, get4(kept, 3 * k + SPAN_END))
            if first < last:
                portion = (last - first) / get4(covered, row)
                for i in range(code_count):
                    weight = get_float(weights, row * width + get4(heads, get4(codes, i)))
                    at = k * code_count + i
                    put_double(said, at, get_double(said, at) + portion * weight)
    for k in range(kept_count):
        best = 0
        for i in range(1, code_count):
            if get_double(said, k * code_count + i) > get_double(said, k * code_count + best):
                best = i
        put4(kept, 3 * k + SPAN_CODE, get4(codes, best) if code_count else -1)
    for number in range(count):
        put4(covered, get4(places, 3 * number + _ROW), 0)


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
def choose(start: int, spans: int, count: int, weights: int, share: int, kept: int, kept_weights: int) -> int:
    """The best spans in text order into ``kept`` and their weights into ``kept_weights``; returns how many.

    ``weights`` (double) is scratch for two numbers a span: its weight, and what it is ranked by, 0 if it is out of question.
    """
    for i in range(count):
        weight = 0.0
        for at in range(get4(spans, 2 * i) - start, get4(spans, 2 * i + 1) - start):
            weight += get_double(share, at)
        put_double(weights, 2 * i, weight)
        put_double(weights, 2 * i + 1, _rounded(weight))
    kept_count = 0
    highest = 0.0
    s = e = 0  # of the span kept last
    while kept_count < KEEP:
        best = -1
        rank = 0.0
        for i in range(count):
            this = get_double(weights, 2 * i + 1)
            if this <= 0:
                continue
            if get4(spans, 2 * i) < e and s < get4(spans, 2 * i + 1):
                put_double(weights, 2 * i + 1, 0.0)  # not free any more
            elif this > rank or (this == rank and _before(spans, i, best)):
                best = i
                rank = this
        if best < 0:
            break
        weight = get_double(weights, 2 * best)
        if kept_count == 0:
            highest = weight
        elif rank < _rounded(SHARE * highest):
            break
        s = get4(spans, 2 * best)
        e = get4(spans, 2 * best + 1)
        place = kept_count
        while place > 0 and get4(kept, 3 * place - 3 + SPAN_START) > s:
            for column in range(3):
                put4(kept, 3 * place + column, get4(kept, 3 * place - 3 + column))
            put_double(kept_weights, place, get_double(kept_weights, place - 1))
            place -= 1
        put4(kept, 3 * place + SPAN_START, s)
        put4(kept, 3 * place + SPAN_END, e)
        put_double(kept_weights, place, weight)
        kept_count += 1
    return kept_count


@kernel
def _rounded(weight: float) -> float:
    return math.floor(weight * _ROUND + 0.5)


@kernel
def _before(spans: int, number: int, other: int) -> bool:
    """Whether a span comes before another of the same weight, to nine places."""
    if get4(spans, 2 * number) != get4(spans, 2 * other):
        return get4(spans, 2 * number) < get4(spans, 2 * other)
    return get4(spans, 2 * number + 1) < get4(spans, 2 * other + 1)
