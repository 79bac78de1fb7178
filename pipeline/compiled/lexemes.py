"""Lexicon hits and concepts over code points; see ``pipeline.text.lexicon`` and ``pipeline.text.concepts``."""

from __future__ import annotations

import numpy as np

from ..text.concepts import concepts
from ..text.lexicon import lexicon
from . import fields as f
from .folding import LEXICON_TERM
from .jit import Array, kernel
from .matcher import match_at, required_ahead
from .memory import Book, get1, get4, get8, lowest_bit, put4, put8
from .patterns import FIRST_CLASS_PATTERN
from .regex import WORD_BITS
from .trie import LEAF, Builder, first_step, number_of, pair_bit, pair_bits, step

# A hit and a concept found take a row of four: class or concept, start, end, and for hits the number of the sentence.
WHAT, BEGIN, FINISH, SENTENCE = range(4)
_FAR = 1 << 40
_PAIR_BITS = 1 << 17
_TERM, _PATTERN, _PLACE = 1, 2, 4


def enter_lexemes(book: Book, builder: Builder, marks: Array) -> None:
    """Put the lexicon and the concepts into their fields, and mark the characters that are terms."""
    words = lexicon()
    names = concepts().names
    ways: list[tuple[int, int, int]] = []  # concept, first step, number of steps
    way_starts = [0]
    gaps: list[int] = []
    steps: list[Array] = []
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
    marks[[ord(term) for term in words.terms if len(term) == 1]] |= LEXICON_TERM
    trie = builder.strings(words.terms)
    book.column(f.CHARACTERS, f.LEXICON_STATE, trie.enter_direct(book, f.LEXICON, len(words.terms)))
    book.table(f.LEXICON_PAIRS, pair_bits(*trie.pairs(), _PAIR_BITS))
    classes = [c for row in words.term_classes for c in row]
    book.table(f.TERM_CLASSES, np.array(classes, dtype=np.int32))
    book.table(f.TERM_CLASS_STARTS, np.cumsum([0, *map(len, words.term_classes)], dtype=np.int32))
    book.table(f.PATTERN_CLASS, np.array([index for index, _ in words.patterns], dtype=np.int32))
    book.table(f.WAY_STARTS, np.array(way_starts, dtype=np.int32))
    book.table(f.WAYS, np.array(ways, dtype=np.int32))
    book.table(f.GAPS, np.array(gaps, dtype=np.int32))
    book.table(f.STEPS, np.array(steps, dtype=np.uint8))
    book.number(f.CLASS_COUNT, len(words.names))
    book.number(f.CONCEPT_COUNT, len(names))
    # Terms that begin at one place are prefixes of each other.
    known = {term: len(row) for term, row in zip(words.terms, words.term_classes, strict=True)}
    longest = (sum(known.get(term[:size], 0) for size in range(1, len(term) + 1)) for term in words.terms)
    book.number(f.MOST_AT_ONE_PLACE, max(longest, default=0) + len(words.patterns))


@kernel
def _starting(book: int, work: int, text: int, start: int, length: int) -> int:
    """Terms that begin at a place as (end, class) into ``GROUP``, shortest first; returns how many."""
    group = get8(work, f.GROUP)
    slots = get8(book, f.LEXICON)
    mask = get8(book, f.LEXICON + 1)
    numbers = get8(book, f.LEXICON + 2)
    class_starts = get8(book, f.TERM_CLASS_STARTS)
    classes = get8(book, f.TERM_CLASSES)
    size = 0
    state = first_step(get8(book, f.CHARACTERS), f.LEXICON_STATE, slots, mask, get4(text, start))
    at = start + 1
    while state >= 0:
        term = number_of(state, numbers)
        if term >= 0:
            for choice in range(get4(class_starts, term), get4(class_starts, term + 1)):
                put4(group, 2 * size, at)
                put4(group, 2 * size + 1, get4(classes, choice))
                size += 1
        if at >= length or state & LEAF:
            break
        state = step(slots, mask, state, get4(text, at))
        at += 1
    return size


@kernel
def _matching(book: int, work: int, text: int, length: int, position: int, free: int, looked: int, size: int) -> int:
    """Patterns that match at a place, put behind the ``size`` entries of ``GROUP``; returns how many there are then.

    ``free`` (int32): where the next match of each pattern may begin; ``looked``: see ``required_ahead``.
    """
    kinds = get8(work, f.KINDS)
    words = get8(book, f.FIRST_WORDS)
    alive = get8(work, f.ALIVE)
    first = get8(book, f.FIRST) + 8 * words * get4(kinds, position)
    group = get8(work, f.GROUP)
    for word in range(words):
        mask = get8(first, word) & get8(alive, word)
        while mask != 0:
            program = word * WORD_BITS + lowest_bit(mask)
            mask &= mask - 1
            if position < get4(free, program):
                continue
            near, place = required_ahead(book, program, kinds, length, position, get4(looked, program))
            put4(looked, program, place)
            if near:
                end = match_at(book, program, kinds, text, length, position, get8(work, f.STACK))
                if end >= 0:
                    put4(free, program, end)
                    put4(group, 2 * size, end)
                    put4(group, 2 * size + 1, get4(get8(book, f.PATTERN_CLASS), program - FIRST_CLASS_PATTERN))
                    size += 1
    return size


@kernel
def _find_alive(book: int, work: int, length: int) -> None:
    """The class patterns for which the text holds the character they require, as bit masks into ``ALIVE``."""
    kinds = get8(work, f.KINDS)
    words = get8(book, f.FIRST_WORDS)
    requiring = get8(book, f.REQUIRING)
    for word in range(words):
        mask = get8(requiring, get8(book, f.KIND_COUNT) * words + word)
        for at in range(length):
            mask |= get8(requiring, get4(kinds, at) * words + word)
        if word == 0:
            mask &= -1 << FIRST_CLASS_PATTERN
        put8(get8(work, f.ALIVE), word, mask)


@kernel
def _find_places(book: int, work: int, text: int, marks: int, length: int) -> int:
    """Places where a term (``_TERM``) or a pattern (``_PATTERN``) may begin into ``CHOSEN``, with what may; returns how many.

    No branches: they are hard to predict.
    """
    kinds = get8(work, f.KINDS)
    chosen = get8(work, f.CHOSEN)
    pairs = get8(book, f.LEXICON_PAIRS)
    words = get8(book, f.FIRST_WORDS)
    first = get8(book, f.FIRST)
    alive = get8(work, f.ALIVE)
    count = 0
    for at in range(length):
        some = get4(marks, at) & LEXICON_TERM
        # Behind the last character stands whatever was there: a step too many at most.
        some |= pair_bit(pairs, _PAIR_BITS, get4(text, at), get4(text, at + 1))
        what = _TERM if some else 0
        kind = get4(kinds, at)
        some = 0
        for word in range(words):
            some |= get8(first, kind * words + word) & get8(alive, word)
        what |= _PATTERN if some else 0
        put4(chosen, count, _PLACE * at + what)
        count += 1 if what else 0
    return count


@kernel
def find_hits(book: int, work: int, text: int, marks: int, length: int, breaks: int, hits: int, room: int) -> int:
    """Hits by start, then longest first, then class; one inside an earlier one of its class is dropped.

    ``breaks``: number of sentence ends in ``BREAKS``; ``hits`` has room for so many rows. Returns how many there are, or -1 if
    there is not room enough.
    """
    classes = get8(book, f.CLASS_COUNT)
    programs = get8(book, f.PROGRAMS)
    last_end = get8(work, f.LAST_END)  # of each class; then what _matching needs, of each program
    free = last_end + 4 * classes
    looked = free + 4 * programs
    for i in range(classes):
        put4(last_end, i, -1)
    for i in range(2 * programs):
        put4(free, i, 0)
    _find_alive(book, work, length)
    group = get8(work, f.GROUP)
    break_at = get8(work, f.BREAKS)
    count = 0
    sentence = 0
    chosen = get8(work, f.CHOSEN)
    for number in range(_find_places(book, work, text, marks, length)):
        place = get4(chosen, number)
        start = place // _PLACE
        size = _starting(book, work, text, start, length) if place & _TERM else 0
        if place & _PATTERN:
            size = _matching(book, work, text, length, start, free, looked, size)
        if size == 0:
            continue
        while sentence < breaks and get4(break_at, sentence) <= start:
            sentence += 1
        for i in range(1, size):
            end = get4(group, 2 * i)
            kind = get4(group, 2 * i + 1)
            slot = i
            while slot > 0:
                other = get4(group, 2 * slot - 2)
                if other > end or (other == end and get4(group, 2 * slot - 1) <= kind):
                    break
                put4(group, 2 * slot, other)
                put4(group, 2 * slot + 1, get4(group, 2 * slot - 1))
                slot -= 1
            put4(group, 2 * slot, end)
            put4(group, 2 * slot + 1, kind)
        if count + size > room:
            return -1
        for i in range(size):
            end = get4(group, 2 * i)
            kind = get4(group, 2 * i + 1)
            if end <= get4(last_end, kind):
                continue
            put4(last_end, kind, end)
            put4(hits, 4 * count + WHAT, kind)
            put4(hits, 4 * count + BEGIN, start)
            put4(hits, 4 * count + FINISH, end)
            put4(hits, 4 * count + SENTENCE, sentence)
            count += 1
    return count


@kernel
def _said_from(book: int, hits: int, total: int, position: int, limit: int, first: int, steps: int) -> int:
    """End of the first match of a way from a hit, steps taken greedily, or -1."""
    classes = get8(book, f.CLASS_COUNT)
    at = position
    end = get4(hits, 4 * position + FINISH)
    for i in range(first + 1, first + steps):
        reach = min(end + get4(get8(book, f.GAPS), i), limit)
        here = get4(hits, 4 * at + BEGIN)
        at += 1
        while True:
            if at >= total or get4(hits, 4 * at + BEGIN) > reach:
                return -1
            kind = get4(hits, 4 * at + WHAT)
            if get1(get8(book, f.STEPS), i * classes + kind) and get4(hits, 4 * at + FINISH) > here:
                break
            at += 1
        end = max(end, get4(hits, 4 * at + FINISH))
    return end


@kernel
def find_concepts(book: int, work: int, hits: int, total: int, breaks: int, found: int, room: int) -> int:
    """Concepts in the order of their first hit, then of the ways. Returns how many, or -1 if there is not room enough."""
    ways = get8(book, f.WAYS)
    way_starts = get8(book, f.WAY_STARTS)
    count = 0
    for position in range(total):
        kind = get4(hits, 4 * position + WHAT)
        sentence = get4(hits, 4 * position + SENTENCE)
        limit = get4(get8(work, f.BREAKS), sentence) if sentence < breaks else _FAR
        for way in range(get4(way_starts, kind), get4(way_starts, kind + 1)):
            end = _said_from(book, hits, total, position, limit, get4(ways, 3 * way + 1), get4(ways, 3 * way + 2))
            if end >= 0:
                if count == room:
                    return -1
                put4(found, 4 * count + WHAT, get4(ways, 3 * way))
                put4(found, 4 * count + BEGIN, get4(hits, 4 * position + BEGIN))
                put4(found, 4 * count + FINISH, end)
                count += 1
    return count
