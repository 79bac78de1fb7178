"""Features of a text looked up once, for all its windows; see ``pipeline.model.features``.

Keys are never built: character n-grams and words are walked through tries, keys made of classes and concepts are matrices. What
is found is always a row of the weights, -1 where the model has none.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..model.artefact import Artefact
from ..text.concepts import concepts
from ..text.lexicon import lexicon
from . import fields as f
from .folding import BLANK, LINE
from .jit import Array, kernel
from .lexemes import BEGIN, FINISH, SENTENCE, WHAT
from .matcher import in_set
from .memory import CACHE_LINE, Book, fetch, get4, get8, put4
from .patterns import CLAUSE_END
from .trie import LEAF, Builder, fetch_step, first_step, number_of, pair_bit, pair_bits, step

# A word takes a row of five: start, end, row of the word, row of the pair with the word before that is not white space, and
# where that one starts.
WORD_START, WORD_END, WORD_ROW, PAIR_ROW, PREVIOUS = range(5)
WORD = 5
_PAIR_BITS = 1 << 18


def enter_features(book: Book, builder: Builder, artefact: Artefact) -> None:
    """Put tries and matrices of the vocabulary, and the settings, into their fields."""
    rows = artefact.vocabulary
    settings = artefact.settings
    classes = lexicon().names
    names = concepts().names
    grams = [key for key in rows if key[0] == "c" and 1 < len(key) <= settings.longest_gram + 1]
    trie = builder.strings([key[1:] for key in grams], [rows[key] for key in grams])
    book.column(f.CHARACTERS, f.GRAM_STATE, trie.enter_direct(book, f.GRAMS, len(rows)))
    book.table(f.GRAM_PAIRS, pair_bits(*trie.pairs(), _PAIR_BITS))
    _enter_words(book, builder, rows)

    def table(keys: list[str]) -> Array:
        return np.array([rows.get(key, -1) for key in keys], dtype=np.int32)

    frames = frozenset(settings.frames)
    book.table(f.PRESENT, table(["U" + a for a in classes]))
    book.table(f.BESIDE, table([f"N{a}>{b}" for a in classes for b in classes]))
    book.table(f.TOGETHER, table([f"S{min(a, b)}~{max(a, b)}" for a in classes for b in classes]))
    book.table(f.CONCEPT_ROW, table(["K" + a for a in names]))
    book.table(f.CONCEPT_PAIR, table([f"P{min(a, b)}*{max(a, b)}" for a in names for b in names]))
    framed = [(i, rows["D" + a]) for i, a in enumerate(classes) if a in frames and "D" + a in rows]
    book.table(f.FRAMES, np.array(framed, dtype=np.int32))
    book.number(f.FRAME_COUNT, len(framed))
    book.number(f.LONGEST_GRAM, settings.longest_gram)
    book.number(f.NEAR, settings.near)
    book.number(f.WHOLE, settings.window.whole)
    book.number(f.TARGET, settings.window.target)
    book.number(f.STRIDE, settings.window.stride)


def _enter_words(book: Book, builder: Builder, rows: Mapping[str, int]) -> None:
    """Number the words of single and double features, and enter their rows and those of the pairs by these numbers."""
    singles: dict[str, int] = {}
    doubles: dict[tuple[str, str], int] = {}
    for key, row in rows.items():
        parts = key[1:].split(" ")  # no word holds a blank
        if key[0] == "w" and len(parts) == 1 and parts[0]:
            singles[parts[0]] = row
        elif key[0] == "b" and len(parts) == 2 and all(parts):
            doubles[parts[0], parts[1]] = row
    words = sorted({*singles, *(word for pair in doubles for word in pair)})
    number = {word: i for i, word in enumerate(words)}
    book.column(f.CHARACTERS, f.WORD_STATE, builder.strings(words).enter_direct(book, f.WORDS, len(words)))
    book.table(f.WORD_FEATURES, np.array([singles.get(word, -1) for word in words], dtype=np.int32))
    edges = [(number[a] + 1) << 42 | (number[b] + 1) << 21 | row for (a, b), row in doubles.items()]
    slots = builder.table(np.array(edges, dtype=np.int64))
    book.table(f.WORD_PAIRS, slots)
    book.number(f.WORD_PAIRS + 1, len(slots) - 1)


@kernel
def find_grams(book: int, text: int, length: int, grams: int, starts: int, seconds: int, chosen: int) -> None:
    """The n-grams the model knows, place by place; see ``GRAM_ROWS``. Line breaks count as blanks.

    ``seconds`` and ``chosen`` are scratch for a number a character.
    """
    longest = get8(book, f.LONGEST_GRAM)
    slots = get8(book, f.GRAMS)
    mask = get8(book, f.GRAMS + 1)
    numbers = get8(book, f.GRAMS + 2)
    pairs = get8(book, f.GRAM_PAIRS)
    characters = get8(book, f.CHARACTERS)
    # The first two steps from every place do not wait for each other; their states are kept in ``starts`` and ``seconds``. Which pairs
    # of characters a gram begins with is hard to predict, so they are picked out without branches.
    some = 0
    last = 0
    for start in range(length):
        char = get4(text, start)
        char = BLANK if char == LINE else char
        put4(starts, start, first_step(characters, f.GRAM_STATE, slots, mask, char))
        put4(seconds, start, -1)
        put4(chosen, some, start - 1)
        some += pair_bit(pairs, _PAIR_BITS, last, char) if start > 0 else 0
        last = char
    for i in range(some if longest > 1 else 0):
        start = get4(chosen, i)
        char = get4(text, start + 1)
        fetch_step(slots, mask, max(get4(starts, start), 0), BLANK if char == LINE else char)
    for i in range(some if longest > 1 else 0):
        start = get4(chosen, i)
        state = get4(starts, start)
        if state >= 0 and not state & LEAF:
            char = get4(text, start + 1)
            state = step(slots, mask, state, BLANK if char == LINE else char)
            put4(seconds, start, state)
            # Behind the last character stands whatever was there, which is no harm to fetch.
            fetch_step(slots, mask, max(state, 0), get4(text, start + 2))
    count = 0
    for start in range(length):
        state = get4(starts, start)
        put4(starts, start, count)
        at = start + 1
        while state >= 0:
            row = number_of(state, numbers)
            put4(grams, 2 * count, row)
            put4(grams, 2 * count + 1, at)
            count += 1 if row >= 0 else 0
            if at == start + 1:
                state = get4(seconds, start)
            elif at == length or at == start + longest or state & LEAF:
                break
            else:
                char = get4(text, at)
                state = step(slots, mask, state, BLANK if char == LINE else char)
            at += 1
    put4(starts, length, count)


@kernel
def find_words(book: int, text: int, length: int, ends: int, words: int) -> int:
    """Words with their rows; returns how many."""
    slots = get8(book, f.WORDS)
    mask = get8(book, f.WORDS + 1)
    numbers = get8(book, f.WORDS + 2)
    rows = get8(book, f.WORD_FEATURES)
    pairs = get8(book, f.WORD_PAIRS)
    pair_mask = get8(book, f.WORD_PAIRS + 1)
    characters = get8(book, f.CHARACTERS)
    count = 0
    start = 0
    before = -1  # number of the word before
    previous = -1
    while start < length:
        end = get4(ends, start)
        at = count * WORD
        number = -1
        pair = -1  # what its row is looked up by
        behind = -1
        # Canonical white space is one blank or line break, always a word of its own.
        char = get4(text, start)
        if char != BLANK and char != LINE:
            state = first_step(characters, f.WORD_STATE, slots, mask, char)
            place = start + 1
            while place < end and state >= 0:
                state = -1 if state & LEAF else step(slots, mask, state, get4(text, place))
                place += 1
            number = number_of(state, numbers) if state >= 0 else -1
            if number >= 0:
                fetch(rows + 4 * number)
                if before >= 0:
                    pair = before + 1
                    fetch_step(pairs, pair_mask, pair, number + 1)
            behind = previous
            before = number
            previous = start
        put4(words, at + WORD_START, start)
        put4(words, at + WORD_END, end)
        put4(words, at + WORD_ROW, number)
        put4(words, at + PAIR_ROW, pair)
        put4(words, at + PREVIOUS, behind)
        count += 1
        start = end
    # Rows last: by then they are near.
    for word in range(count):
        at = word * WORD
        number = get4(words, at + WORD_ROW)
        if number >= 0:
            put4(words, at + WORD_ROW, get4(rows, number))
            pair = get4(words, at + PAIR_ROW)
            if pair >= 0:
                put4(words, at + PAIR_ROW, step(pairs, pair_mask, pair, number + 1))
    return count


@kernel
def _behind_clause(book: int, kinds: int, start: int, end: int) -> int:
    """Place behind the first clause end in a stretch, or -1."""
    wanted = get4(get8(book, f.CODE), 4 * get4(get8(book, f.ENTRIES), CLAUSE_END) + 1)
    for at in range(start, end):
        if in_set(book, wanted, get4(kinds, at)):
            return at + 1
    return -1


@kernel
def next_window(book: int, kinds: int, length: int, start: int) -> tuple[int, int]:
    """End of the window at ``start`` and start of the next one, -1 if it is the last; see ``pipeline.text.windows``."""
    if length <= get8(book, f.WHOLE):
        return length, -1
    target = get8(book, f.TARGET)
    stride = get8(book, f.STRIDE)
    end = min(length, start + target)
    if end < length:
        place = _behind_clause(book, kinds, end, min(length, end + target // 3))
        if place >= 0:
            end = place
    if end >= length:
        return end, -1
    following = start + stride
    place = _behind_clause(book, kinds, following, min(end, following + stride // 2))
    return end, place if place >= 0 else following


@kernel
def find_frames(book: int, work: int, rows: int) -> int:
    """Rows of the frame classes that stand anywhere in the text into ``rows``; returns how many. Call behind ``find_hits``."""
    frames = get8(book, f.FRAMES)
    count = 0
    for i in range(get8(book, f.FRAME_COUNT)):
        if get4(get8(work, f.LAST_END), get4(frames, 2 * i)) >= 0:
            put4(rows, count, get4(frames, 2 * i + 1))
            count += 1
    return count


@kernel
def first_from(rows: int, count: int, width: int, column: int, start: int) -> int:
    """Number of the first row whose column reaches ``start``; the column is sorted."""
    low = 0
    high = count
    while low < high:
        middle = (low + high) // 2
        if get4(rows, middle * width + column) < start:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def hits_inside(hits: int, total: int, start: int, end: int, inside: int) -> int:
    """Numbers of the hits within a window into ``inside``; returns how many."""
    count = 0
    for i in range(first_from(hits, total, 4, BEGIN, start), total):
        if get4(hits, 4 * i + BEGIN) >= end:
            break
        if get4(hits, 4 * i + FINISH) <= end:
            put4(inside, count, i)
            count += 1
    return count


@kernel
def classes_of_sentence(work: int, hits: int, total: int, first: int) -> tuple[int, int]:
    """Classes of the sentence in which hit ``first`` of ``INSIDE`` stands, each with its first hit, into ``CLASS_ORDER``.

    Returns how many, and the first hit of ``INSIDE`` behind the sentence.
    """
    inside = get8(work, f.INSIDE)
    seen = get8(work, f.CLASS_SEEN)  # 0 for every class, before and after
    order = get8(work, f.CLASS_ORDER)
    sentence = get4(hits, 4 * get4(inside, first) + SENTENCE)
    count = 0
    at = first
    while at < total:
        hit = get4(inside, at)
        if get4(hits, 4 * hit + SENTENCE) != sentence:
            break
        kind = get4(hits, 4 * hit + WHAT)
        if get4(seen, kind) == 0:
            put4(seen, kind, 1)
            put4(order, 2 * count, kind)
            put4(order, 2 * count + 1, hit)
            count += 1
        at += 1
    for i in range(count):
        put4(seen, get4(order, 2 * i), 0)
    return count, at


@kernel
def concepts_inside(work: int, found: int, total: int, start: int, end: int) -> int:
    """Concepts within a window into ``ORDER``, as found, and the first find of each into ``FIRST_FOUND``; returns how many."""
    first = get8(work, f.FIRST_FOUND)
    order = get8(work, f.ORDER)
    seen = get8(work, f.SEEN)  # 0 for every concept, before and after
    count = 0
    for i in range(first_from(found, total, 4, BEGIN, start), total):
        if get4(found, 4 * i + BEGIN) >= end:
            break
        concept = get4(found, 4 * i + WHAT)
        if get4(found, 4 * i + FINISH) <= end and get4(seen, concept) == 0:
            put4(seen, concept, 1)
            put4(first, concept, i)
            put4(order, count, concept)
            count += 1
    for i in range(count):
        put4(seen, get4(order, i), 0)
    return count


@kernel
def _add(row: int, stamps: int, stamp: int, weights: int, size: int, rows: int, count: int) -> int:
    """Add a row that is not there yet, unless it is -1, and begin to bring its weights near; returns how many rows there are.

    ``stamps``: of row 0; ``weights``: of row 0, each of ``size`` bytes. No branch, for which rows a model has is hard to predict: -1
    has a place for its stamp too.
    """
    put4(rows, count, row)
    fetch(weights + size * row)
    fetch(weights + size * row + CACHE_LINE)
    new = (row >= 0) & (get4(stamps, row) != stamp)  # not "and", which is a branch
    put4(stamps, row, stamp)
    return count + new


@kernel
def window_rows(
    book: int,
    work: int,
    start: int,
    end: int,
    words: int,
    hits: int,
    hit_count: int,
    found: int,
    found_count: int,
    frames: int,
    stamp: int,
) -> int:
    """Rows whose feature is in a window, each once, into ``ROW_LIST``; returns how many.

    ``words``, ``frames``: how many there are; the frames are at the end of ``ROW_LIST``, behind one more than there are rows of weights.
    ``STAMPS`` holds a number for -1 and for every row of the weights, none of them ``stamp``.
    """
    stamps = get8(work, f.STAMPS) + 4
    rows = get8(work, f.ROW_LIST)
    weights = get8(book, f.WEIGHTS)
    size = 4 * get8(book, f.WEIGHT_WIDTH)
    grams = get8(work, f.GRAM_ROWS)
    gram_starts = get8(work, f.GRAM_STARTS)
    count = 0
    for i in range(get4(gram_starts, start), get4(gram_starts, end)):
        if get4(grams, 2 * i + 1) <= end:
            count = _add(get4(grams, 2 * i), stamps, stamp, weights, size, rows, count)
    word_rows = get8(work, f.WORD_ROWS)
    for i in range(first_from(word_rows, words, WORD, WORD_START, start), words):
        if get4(word_rows, i * WORD + WORD_END) > end:
            break
        count = _add(get4(word_rows, i * WORD + WORD_ROW), stamps, stamp, weights, size, rows, count)
        if get4(word_rows, i * WORD + PREVIOUS) >= start:
            count = _add(get4(word_rows, i * WORD + PAIR_ROW), stamps, stamp, weights, size, rows, count)
    classes = get8(book, f.CLASS_COUNT)
    near = get8(book, f.NEAR)
    beside = get8(book, f.BESIDE)
    together = get8(book, f.TOGETHER)
    present = get8(book, f.PRESENT)
    inside = get8(work, f.INSIDE)
    total = hits_inside(hits, hit_count, start, end, inside)
    for i in range(total):
        a = 4 * get4(inside, i)
        kind = get4(hits, a + WHAT)
        a_end = get4(hits, a + FINISH)
        sentence = get4(hits, a + SENTENCE)
        count = _add(get4(present, kind), stamps, stamp, weights, size, rows, count)
        for j in range(i + 1, total):
            b = 4 * get4(inside, j)
            if get4(hits, b + SENTENCE) != sentence or get4(hits, b + BEGIN) - a_end > near:
                break
            other = get4(hits, b + WHAT)
            if other != kind:
                count = _add(get4(beside, kind * classes + other), stamps, stamp, weights, size, rows, count)
    kinds = get8(work, f.CLASS_ORDER)
    first = 0
    while first < total:
        different, first = classes_of_sentence(work, hits, total, first)
        for i in range(different):
            for j in range(i):
                row = get4(together, get4(kinds, 2 * i) * classes + get4(kinds, 2 * j))
                count = _add(row, stamps, stamp, weights, size, rows, count)
    total = concepts_inside(work, found, found_count, start, end)
    order = get8(work, f.ORDER)
    concept_count = get8(book, f.CONCEPT_COUNT)
    for i in range(total):
        concept = get4(order, i)
        count = _add(get4(get8(book, f.CONCEPT_ROW), concept), stamps, stamp, weights, size, rows, count)
        for j in range(i):
            row = get4(get8(book, f.CONCEPT_PAIR), concept * concept_count + get4(order, j))
            count = _add(row, stamps, stamp, weights, size, rows, count)
    behind = get8(book, f.WEIGHT_ROWS) + 1
    for i in range(frames):
        count = _add(get4(rows, behind + i), stamps, stamp, weights, size, rows, count)
    return count
