"""The compiled loop over a batch of texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..resources import read_table
from . import fields as f
from .disguises import (
    SENTENCE_END,
    TRADITIONAL_GLYPH,
    VARIANT,
    ZERO_WIDTH,
    find_disguises,
    find_plain,
    is_term,
    may_hold,
    replace,
    term_char,
    term_size,
)
from .explanation import SPAN_CODE, SPAN_END, SPAN_START, choose, find_phrases, find_places, share_out
from .features import find_frames, find_grams, find_words, next_window, window_rows
from .folding import (
    ALL_MARKS,
    BLANK,
    CHANGED,
    GATE_START,
    TRIGGER,
    HAN,
    HAN_COUNT,
    IS_EMOJI,
    TRADITIONAL,
    TRADITIONAL_COUNT,
    canonicalise,
)
from .jit import Array, kernel
from .lexemes import WHAT, find_concepts, find_hits
from .matcher import classify, find
from .memory import Book, get1, get4, get8, get_double, put4, put8, put_double
from .scores import add_window, average, find_codes, probability_of, signals_of, stance_of
from .segmentation import cut_words
from .trie import Builder, starts_at, step

GATED, IS_TRADITIONAL, TOO_SHORT, OBFUSCATED = 1, 2, 4, 8  # flags of a text
_SHORT_LOOK = 2000
_PAIR_BITS = 1 << 16
_SPARE = 64  # characters of room beyond the longest text
# Columns of an evidence span and of an evasion.
TEXT, RAW_START, RAW_END, CODE, CHARS, CHARS_END = range(6)
EVASION_KIND, EVASION_TERM = 3, 4


class Output(NamedTuple):
    """One entry a text, then one a text that passed the gate (``scored``), an evidence span, an evasion."""

    severity: Array
    probabilities: Array
    stance: Array
    codes: Array
    signals: Array
    flags: Array
    jurisdiction: Array
    scored: Array
    scores: Array
    evidence: Array
    evidence_weights: Array
    evidence_chars: Array
    evasions: Array


def _pair(first: int, second: int) -> int:
    """Bit of two characters; see ``_passes``."""
    return (first * 31 + second) & (_PAIR_BITS - 1)


def enter_gate(book: Book, builder: Builder, gate: tuple[str, ...], marks: Array) -> None:
    """Put the triggers and the local words into their fields, and mark the characters that triggers begin with."""
    marks[[ord(trigger[0]) for trigger in gate]] |= GATE_START
    builder.strings(gate).enter(book, f.GATE)
    pairs = np.zeros(_PAIR_BITS // 8, dtype=np.uint8)
    for trigger in gate:
        if len(trigger) == 1:
            marks[ord(trigger)] |= TRIGGER
        else:
            bit = _pair(ord(trigger[0]), ord(trigger[1]))
            pairs[bit >> 3] |= 1 << (bit & 7)
    book.table(f.GATE_PAIRS, pairs)
    rows = read_table("lexicon", "jurisdiction.tsv")
    words = [(word, place) for place, row in enumerate(rows) for word in row[1].split()]
    builder.strings([w for w, _ in words], [p for _, p in words]).enter(book, f.LOCAL_WORDS)


@kernel
def _take(work: int, field: int, block: int, used: int, size: int) -> int:
    """Give a field ``size`` int32 of a block; returns how many are used then. Kept even, so that doubles lie straight."""
    put8(work, field, block + 4 * used)
    return used + size + (size & 1)


@kernel
def _lay_out(book: int, work: int, block: int, room: int) -> int:
    """Give the fields that grow with the text their part of a block, if it is not 0; returns how many int32 they take."""
    used = 0
    one = room + 4
    for field in (f.TEXT, f.TEXT_MARKS, f.TEXT_STARTS, f.TEXT_ENDS, f.NEW_TEXT, f.NEW_MARKS, f.NEW_STARTS, f.NEW_ENDS):
        used = _take(work, field, block, used, one)
    for field in (f.REPLACED, f.HEARD, f.KINDS, f.WORD_ENDS, f.FOLLOWING, f.BREAKS):
        used = _take(work, field, block, used, one)
    for field in (f.BEST, f.GLOSS_SPANS, f.URL_SPANS, f.CONTEXT_SPANS, f.BREAK_SPANS):
        used = _take(work, field, block, used, 2 * one)
    for field in (f.CANDIDATES, f.ACCEPTED, f.OPEN):
        used = _take(work, field, block, used, 12 * one)
    used = _take(work, f.PLAIN, block, used, 3 * one)
    used = _take(work, f.UNITS, block, used, 5 * one)
    used = _take(work, f.WORD_ROWS, block, used, 5 * one)
    used = _take(work, f.ANCHORS, block, used, 6 * one)
    used = _take(work, f.GRAM_ROWS, block, used, get8(book, f.LONGEST_GRAM) * one)
    put8(work, f.ROOM, room)
    return used


@kernel
def _lay_out_fixed(book: int, work: int, block: int) -> int:
    """The same for fields whose size the tables fix."""
    classes = get8(book, f.CLASS_COUNT)
    concepts = get8(book, f.CONCEPT_COUNT)
    rows = get8(book, f.WEIGHT_ROWS)
    heads = get8(book, f.HEADS)
    used = 0
    used = _take(work, f.STACK, block, used, 8 * get8(book, f.STACK_ROWS) + 4 * get8(book, f.GROUPS) + 16)
    used = _take(work, f.FACTS, block, used, 16)
    used = _take(work, f.SYLLABLE_SCRATCH, block, used, 96)
    used = _take(work, f.LAST_END, block, used, classes + 2 * get8(book, f.PROGRAMS))
    used = _take(work, f.GROUP, block, used, 2 * get8(book, f.MOST_AT_ONE_PLACE) + 2)
    used = _take(work, f.SAID, block, used, max(classes, concepts))
    used = _take(work, f.ORDER, block, used, max(concepts, get8(book, f.CODES)))
    used = _take(work, f.FIRST_FOUND, block, used, concepts)
    used = _take(work, f.TOTALS, block, used, 2 * max(heads, get8(book, f.CODES)))
    used = _take(work, f.STAMPS, block, used, rows)
    used = _take(work, f.ROW_LIST, block, used, rows + classes)
    return _take(work, f.LATEST, block, used, rows)


@kernel
def _passes(book: int, text: int, marks: int, length: int) -> bool:
    """Whether the text holds a trigger."""
    pairs = get8(book, f.GATE_PAIRS)
    for at in range(length):
        mark = get4(marks, at)
        if mark & GATE_START:
            if mark & TRIGGER:
                return True
            if at + 1 < length:
                bit = (get4(text, at) * 31 + get4(text, at + 1)) & (_PAIR_BITS - 1)
                if get1(pairs, bit >> 3) >> (bit & 7) & 1 and starts_at(book, f.GATE, text, at, length):
                    return True
    return False


@kernel
def _place(book: int, text: int, length: int) -> int:
    """1 + number of the first place of which the text holds a word, 0 for none."""
    slots = get8(book, f.LOCAL_WORDS)
    mask = get8(book, f.LOCAL_WORDS + 1)
    values = get8(book, f.LOCAL_WORDS + 2)
    best = -1
    for start in range(length):
        state = 0
        at = start
        while at < length:
            state = step(slots, mask, state, get4(text, at))
            if state < 0:
                break
            at += 1
            place = get4(values, state)
            if place >= 0 and (best < 0 or place < best):
                best = place
    return best + 1


@kernel
def _lower(book: int, char: int) -> int:
    """Lower case of a character, -1 if it is several."""
    source = get8(book, f.LOWER_FROM)
    low = 0
    high = get8(book, f.LOWER_COUNT)
    while low < high:
        middle = (low + high) // 2
        if get4(source, middle) < char:
            low = middle + 1
        else:
            high = middle
    if low < get8(book, f.LOWER_COUNT) and get4(source, low) == char:
        return get4(get8(book, f.LOWER_TO), low)
    return char


@kernel
def _glyph_kind(book: int, raw: int, start: int, end: int, term: int, traditional: bool) -> int:
    """As ``normalise._glyph_kind``: a kind, or -1."""
    if end - start > term_size(book, term):
        return ZERO_WIDTH
    old = 0
    same = True
    marks = get8(book, f.MARKS)
    for i in range(end - start):
        char = get4(raw, start + i)
        meant = term_char(book, term, i)
        if char == meant:
            continue
        mark = get4(marks, char)
        if mark & HAN and mark & TRADITIONAL:
            old += 1
        if _lower(book, char) != meant:
            same = False
    if old:
        return -1 if traditional else TRADITIONAL_GLYPH
    return -1 if same else VARIANT


@kernel
def _find_evasions(
    book: int, work: int, raw: int, text: int, marks: int, length: int, starts: int, ends: int, replaced: bool, traditional: bool
) -> int:
    """Undone disguises as (kind, raw start, raw end, term) into ``CANDIDATES``; returns how many."""
    plain = get8(work, f.PLAIN)
    total = find_plain(book, text, marks, length, plain)
    rows = get8(work, f.CANDIDATES)
    count = 0
    for number in range(total):
        term = get4(plain, 3 * number)
        first = get4(plain, 3 * number + 1)
        last = get4(plain, 3 * number + 2)
        start = get4(starts, first)
        end = get4(ends, last - 1)
        if is_term(book, raw, start, end, term):
            continue
        kind = -1
        if replaced:
            for at in range(first, last):
                if get4(get8(work, f.REPLACED), at):
                    kind = get4(get8(work, f.REPLACED), at) - 1
                    break
        if kind < 0:
            kind = _glyph_kind(book, raw, start, end, term, traditional)
        if kind >= 0:
            put4(rows, 4 * count, kind)
            put4(rows, 4 * count + 1, start)
            put4(rows, 4 * count + 2, end)
            put4(rows, 4 * count + 3, term)
            count += 1
    return count


@kernel
def _larger(array: Array, wanted: int) -> Array:
    """The array with room for ``wanted`` rows."""
    if wanted <= array.shape[0]:
        return array
    larger = np.empty((max(wanted, 2 * array.shape[0]), array.shape[1]), dtype=array.dtype)
    # Loops rather than slices, which would compile the making of error messages.
    for row in range(array.shape[0]):
        for column in range(array.shape[1]):
            larger[row, column] = array[row, column]
    return larger


@kernel
def _normalise(book: int, work: int, raw: int, size: int, outcome: int) -> int:
    """Canonical text of a raw one; returns its length, or -1 if there is not room enough.

    ``outcome`` (int64) gets: whether it stands in the ``NEW_…`` fields, whether it differs from the raw text, whether it is
    mostly traditional.
    """
    text = get8(work, f.TEXT)
    marks = get8(work, f.TEXT_MARKS)
    facts = get8(work, f.FACTS)
    room = get8(work, f.ROOM)
    length = canonicalise(
        book, raw, size, text, marks, get8(work, f.TEXT_STARTS), get8(work, f.TEXT_ENDS), room, facts
    )
    if length < 0 or length * get8(book, f.GROWTH) > room:
        return -1
    replaced = False
    every = get8(facts, ALL_MARKS)
    if may_hold(book, text, marks, length, every, get8(work, f.HEARD)):
        accepted = find_disguises(book, work, text, marks, length, every)
        if accepted:
            replaced = True
            length = replace(book, work, length, accepted)
            text = get8(work, f.NEW_TEXT)
            marks = get8(work, f.NEW_MARKS)
    if every & IS_EMOJI:
        blank = get4(get8(book, f.MARKS), BLANK)
        for at in range(length):
            if get4(marks, at) & IS_EMOJI:
                put4(text, at, BLANK)
                put4(marks, at, blank)
    changed = False
    if replaced or get8(facts, CHANGED):
        changed = length != size
        if not changed:
            for at in range(length):
                if get4(text, at) != get4(raw, at):
                    changed = True
                    break
    han = get8(facts, HAN_COUNT)
    traditional = changed and han > 0
    if traditional:
        share = get8(facts, TRADITIONAL_COUNT) / han
        traditional = share >= get_double(get8(book, f.MOSTLY_TRADITIONAL), 0)
    put8(outcome, 0, replaced)
    put8(outcome, 1, changed)
    put8(outcome, 2, traditional)
    return length


@kernel
def _too_short(marks: int, length: int) -> bool:
    han = 0
    for at in range(min(length, _SHORT_LOOK)):
        if get4(marks, at) & HAN:
            han += 1
            if han == 2:
                return False
    return True


@kernel
def judge(
    raws: Array, offsets: Array, questions: Array, book: int, thresholds: tuple[float, float, float], explain: bool
) -> Output:
    """Decide on the texts ``raws[offsets[i]:offsets[i + 1]]``; ``questions[i]`` 1 where a person asked the text."""
    total = len(offsets) - 1
    severity = np.zeros(total, dtype=np.int8)
    probabilities = np.zeros((total, 3), dtype=np.float64)
    stance = np.full(total, get8(book, f.OUT_OF_SCOPE), dtype=np.int8)
    codes = np.zeros(total, dtype=np.int64)
    signals = np.zeros(total, dtype=np.int64)
    flags = np.zeros(total, dtype=np.uint8)
    jurisdiction = np.zeros(total, dtype=np.int8)
    heads = get8(book, f.HEADS)
    scored = np.empty((8, 1), dtype=np.int64)
    scores = np.empty((8, heads), dtype=np.float64)
    scored_count = 0
    evidence = np.empty((8, 6), dtype=np.int32)
    evidence_weights = np.empty((8, 1), dtype=np.float64)
    evidence_count = 0
    chars = np.empty((64, 1), dtype=np.int32)
    chars_count = 0
    evasions = np.empty((8, 5), dtype=np.int32)
    evasion_count = 0

    # Scratch. All arrays below are used again at the end of this function, which keeps them alive while addresses are used.
    fields = np.zeros(f.SCRATCH_FIELDS, dtype=np.int64)
    work = fields.ctypes.data
    room = _SPARE
    for number in range(total):
        room = max(room, offsets[number + 1] - offsets[number] + _SPARE)
    room *= get8(book, f.GROWTH)
    block = np.empty(_lay_out(book, work, 0, room), dtype=np.int32)
    _lay_out(book, work, block.ctypes.data, room)
    fixed = np.empty(_lay_out_fixed(book, work, 0), dtype=np.int32)
    _lay_out_fixed(book, work, fixed.ctypes.data)
    ready = False  # whether STAMPS and LATEST are filled
    outcome = np.zeros(3, dtype=np.int64)
    result = outcome.ctypes.data
    hit_rows = np.empty(4 * 128, dtype=np.int32)
    found_rows = np.empty(4 * 128, dtype=np.int32)
    inside = np.empty(128, dtype=np.int32)
    places = np.empty(4 * 512, dtype=np.int32)
    spans = np.empty(2 * 512, dtype=np.int32)
    weights = np.empty(512, dtype=np.float64)
    share = np.empty(512, dtype=np.float64)
    kept = np.empty(16, dtype=np.int32)
    kept_weights = np.empty(4, dtype=np.float64)
    stamp = 0
    raws_at = raws.ctypes.data

    for number in range(total):
        raw = raws_at + 4 * offsets[number]
        size = offsets[number + 1] - offsets[number]
        length = _normalise(book, work, raw, size, result)
        while length < 0:
            room *= 2
            block = np.empty(_lay_out(book, work, 0, room), dtype=np.int32)
            _lay_out(book, work, block.ctypes.data, room)
            length = _normalise(book, work, raw, size, result)
        replaced = outcome[0] != 0
        changed = outcome[1] != 0
        traditional = outcome[2] != 0
        text = get8(work, f.NEW_TEXT if replaced else f.TEXT)
        marks = get8(work, f.NEW_MARKS if replaced else f.TEXT_MARKS)
        flag = TOO_SHORT if _too_short(marks, length) else 0
        if traditional:
            flag |= IS_TRADITIONAL
            jurisdiction[number] = _place(book, text, length)
        if not _passes(book, text, marks, length):
            flags[number] = flag | GATED
            continue

        if not ready:
            ready = True
            rows = get8(book, f.WEIGHT_ROWS)
            for i in range(rows):
                put4(get8(work, f.STAMPS), i, 0)
                put4(get8(work, f.LATEST), i, -1)
        # Analysis.
        kinds = get8(work, f.KINDS)
        classify(book, text, length, kinds)
        break_spans = get8(work, f.BREAK_SPANS)
        breaks = find(book, SENTENCE_END, text, kinds, length, get8(work, f.STACK), break_spans)
        for i in range(breaks):
            put4(get8(work, f.BREAKS), i, get4(break_spans, 2 * i))
        hits = find_hits(book, work, text, marks, length, breaks, hit_rows.ctypes.data, len(hit_rows) // 4)
        while hits < 0:
            hit_rows = np.empty(2 * len(hit_rows), dtype=np.int32)
            hits = find_hits(book, work, text, marks, length, breaks, hit_rows.ctypes.data, len(hit_rows) // 4)
        if len(inside) < hits:
            inside = np.empty(2 * hits, dtype=np.int32)
        put8(work, f.INSIDE, inside.ctypes.data)
        hits_at = hit_rows.ctypes.data
        found = find_concepts(book, work, hits_at, hits, breaks, found_rows.ctypes.data, len(found_rows) // 4)
        while found < 0:
            found_rows = np.empty(2 * len(found_rows), dtype=np.int32)
            found = find_concepts(book, work, hits_at, hits, breaks, found_rows.ctypes.data, len(found_rows) // 4)
        found_at = found_rows.ctypes.data
        find_grams(book, text, length, get8(work, f.GRAM_ROWS))
        word_ends = get8(work, f.WORD_ENDS)
        cut_words(book, text, length, word_ends, get8(work, f.BEST), get8(work, f.FOLLOWING))
        words = find_words(book, text, length, word_ends, get8(work, f.WORD_ROWS))
        frames = find_frames(
            book, work, hits_at, hits, get8(work, f.ROW_LIST) + 4 * get8(book, f.WEIGHT_ROWS)
        )

        # Scores.
        scores = _larger(scores, scored_count + 1)
        scored = _larger(scored, scored_count + 1)
        scored[scored_count, 0] = number
        values = scores.ctypes.data + 8 * heads * scored_count
        scored_count += 1
        start = 0
        windows = 0
        deciding_start = 0
        deciding_end = 0
        highest = 0.0
        while start >= 0:
            end, following = next_window(book, kinds, length, start)
            stamp += 1
            row_count = window_rows(
                book, work, start, end, words, hits_at, hits, found_at, found, frames, stamp
            )
            score = add_window(book, get8(work, f.ROW_LIST), row_count, get8(work, f.TOTALS), values, windows)
            if windows == 0 or score > highest:
                highest = score
                deciding_start = start
                deciding_end = end
            windows += 1
            start = following
        average(book, values, windows)

        # Decisions.
        severity_heads = get8(book, f.SEVERITY_HEADS_AT)
        two = probability_of(book, get4(severity_heads, 1), values)
        one = max(two, probability_of(book, get4(severity_heads, 0), values))
        three = min(two, probability_of(book, get4(severity_heads, 2), values))
        probabilities[number, 0] = one
        probabilities[number, 1] = two
        probabilities[number, 2] = three
        level = 1 if one >= thresholds[0] else 0
        if two >= thresholds[1]:
            level = 3 if three >= thresholds[2] else 2
        said = get8(work, f.SAID)
        for i in range(get8(book, f.CONCEPT_COUNT)):
            put4(said, i, 0)
        for i in range(found):
            put4(said, get4(found_at, 4 * i + WHAT), 1)
        contact = get8(book, f.CONTACT)
        if questions[number] and (contact < 0 or get4(said, contact) == 0):
            level = 0
        severity[number] = level
        stance[number] = stance_of(book, values)
        starts = get8(work, f.NEW_STARTS if replaced else f.TEXT_STARTS)
        ends = get8(work, f.NEW_ENDS if replaced else f.TEXT_ENDS)
        obfuscated = False
        if changed:
            undone = _find_evasions(
                book, work, raw, text, marks, length, starts, ends, replaced, traditional
            )
            evasions = _larger(evasions, evasion_count + undone)
            rows_at = get8(work, f.CANDIDATES)
            for i in range(undone):
                kind = get4(rows_at, 4 * i)
                obfuscated = obfuscated or kind != TRADITIONAL_GLYPH
                evasions[evasion_count, TEXT] = number
                evasions[evasion_count, RAW_START] = get4(rows_at, 4 * i + 1)
                evasions[evasion_count, RAW_END] = get4(rows_at, 4 * i + 2)
                evasions[evasion_count, EVASION_KIND] = kind
                evasions[evasion_count, EVASION_TERM] = get4(rows_at, 4 * i + 3)
                evasion_count += 1
        if obfuscated:
            flag |= OBFUSCATED
        flags[number] = flag
        signals[number] = signals_of(book, said, level, length, obfuscated)
        if level == 0:
            continue
        order = get8(work, f.SYLLABLE_SCRATCH)
        code_count = find_codes(book, values, order, get8(work, f.TOTALS))
        for i in range(code_count):
            codes[number] |= 1 << get4(order, i)
        if not explain:
            continue

        # Evidence.
        count = find_places(
            book, work, deciding_start, deciding_end, words, hits_at, hits, found_at, found, places.ctypes.data, len(places) // 4
        )
        while count > len(places) // 4:
            places = np.empty(4 * count, dtype=np.int32)
            count = find_places(
                book, work, deciding_start, deciding_end, words, hits_at, hits, found_at, found, places.ctypes.data, len(places) // 4
            )
        cells = (deciding_end - deciding_start) * (code_count + 1)
        if len(share) < cells:
            share = np.empty(2 * cells, dtype=np.float64)
        for i in range(cells):
            share[i] = 0.0
        share_out(book, work, deciding_start, places.ctypes.data, count, order, code_count, share.ctypes.data)
        most = hits + found + words
        if len(weights) < most:
            weights = np.empty(2 * most, dtype=np.float64)
            spans = np.empty(4 * most, dtype=np.int32)
        phrases = find_phrases(
            deciding_start,
            deciding_end,
            words,
            get8(work, f.WORD_ROWS),
            hits_at,
            hits,
            found_at,
            found,
            spans.ctypes.data,
        )
        count = choose(
            deciding_start,
            spans.ctypes.data,
            phrases,
            weights.ctypes.data,
            order,
            code_count,
            share.ctypes.data,
            kept.ctypes.data,
            kept_weights.ctypes.data,
        )
        evidence = _larger(evidence, evidence_count + count)
        evidence_weights = _larger(evidence_weights, evidence_count + count)
        for i in range(count):
            start = kept[3 * i + SPAN_START]
            end = kept[3 * i + SPAN_END]
            evidence[evidence_count, TEXT] = number
            evidence[evidence_count, RAW_START] = get4(starts, start)
            evidence[evidence_count, RAW_END] = get4(ends, end - 1)
            evidence[evidence_count, CODE] = kept[3 * i + SPAN_CODE]
            evidence[evidence_count, CHARS] = chars_count
            evidence_weights[evidence_count, 0] = kept_weights[i]
            chars = _larger(chars, chars_count + end - start)
            for at in range(start, end):
                chars[chars_count, 0] = get4(text, at)
                chars_count += 1
            evidence[evidence_count, CHARS_END] = chars_count
            evidence_count += 1
    alive = len(fields) + len(block) + len(fixed) + len(outcome) + len(hit_rows) + len(found_rows) + len(inside)
    alive += len(places) + len(spans) + len(weights) + len(share) + len(kept) + len(kept_weights) + len(raws)
    if alive < 0:  # never: the lengths are only here to keep the arrays
        scored_count = 0
    return Output(
        severity,
        probabilities,
        stance,
        codes,
        signals,
        flags,
        jurisdiction,
        scored[:scored_count, 0].copy(),
        scores[:scored_count].copy(),
        evidence[:evidence_count].copy(),
        evidence_weights[:evidence_count, 0].copy(),
        chars[:chars_count, 0].copy(),
        evasions[:evasion_count].copy(),
    )
