"""The compiled loop over a batch of texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import fields as f
from .canonical import find_evasions, normalise
from .disguise_tables import TRADITIONAL_GLYPH
from .explanation import SPAN_CODE, SPAN_END, SPAN_START, choose, find_phrases, find_places, name_codes, share_out
from .features import find_frames, find_grams, find_words, next_window, window_rows
from .jit import Array, kernel
from .lexemes import WHAT, find_concepts, find_hits
from .matcher import classify, find
from .memory import get4, get8, put4, put8
from .patterns import SENTENCE_END
from .scores import add_window, average, find_codes, probability_of, signals_of, stance_of
from .scratch import lay_out, lay_out_fixed
from .screening import (
    CHANGED,
    ENDS,
    HELD,
    IS_TRADITIONAL,
    LENGTH,
    MARKS,
    MOST_HELD,
    NUMBER,
    OBFUSCATED,
    STARTS,
    TEXT,
    hold_texts,
)
from .segmentation import cut_words

_SPARE = 64  # characters of room beyond the longest text
# Columns of an evidence span and of an evasion.
OF_TEXT, RAW_START, RAW_END, CODE, CHARS, CHARS_END = range(6)
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
    block = np.empty(lay_out(book, work, 0, room), dtype=np.int32)
    lay_out(book, work, block.ctypes.data, room)
    fixed = np.empty(lay_out_fixed(book, work, 0), dtype=np.int32)
    lay_out_fixed(book, work, fixed.ctypes.data)
    ready = False  # whether STAMPS, COVERED and the like are filled
    outcome = np.zeros(5, dtype=np.int64)
    result = outcome.ctypes.data
    hit_rows = np.empty(4 * 128, dtype=np.int32)
    found_rows = np.empty(4 * 128, dtype=np.int32)
    inside = np.empty(128, dtype=np.int32)
    places = np.empty(3 * 1024, dtype=np.int32)
    spans = np.empty(2 * 512, dtype=np.int32)
    weights = np.empty(2 * 512, dtype=np.float64)
    share = np.empty(512, dtype=np.float64)
    kept = np.empty(16, dtype=np.int32)
    kept_weights = np.empty(4, dtype=np.float64)
    held = np.empty(HELD * MOST_HELD, dtype=np.int64)
    stamp = 0
    raws_at = raws.ctypes.data

    next_text = used = 0
    place = waiting = 0  # of the texts held
    while place < waiting or next_text < total:
        if place == waiting:
            before = next_text
            next_text, waiting, used = hold_texts(
                book, work, raws_at, offsets, before, used, held.ctypes.data, result, flags, jurisdiction
            )
            place = 0
            if next_text == before:
                room *= 2
                block = np.empty(lay_out(book, work, 0, room), dtype=np.int32)
                lay_out(book, work, block.ctypes.data, room)
            continue
        row = held.ctypes.data + 8 * HELD * place
        place += 1
        number = get8(row, NUMBER)
        raw = raws_at + 4 * offsets[number]
        length = get8(row, LENGTH)
        text = get8(row, TEXT)
        marks = get8(row, MARKS)
        starts = get8(row, STARTS)
        ends = get8(row, ENDS)
        changed = get8(row, CHANGED) != 0
        traditional = flags[number] & IS_TRADITIONAL != 0
        replaced = length < 0
        if replaced:
            length = normalise(book, work, raw, offsets[number + 1] - offsets[number], result)
            text = get8(work, f.NEW_TEXT)
            marks = get8(work, f.NEW_MARKS)
            starts = get8(work, f.NEW_STARTS)
            ends = get8(work, f.NEW_ENDS)

        if not ready:
            ready = True
            rows = get8(book, f.WEIGHT_ROWS)
            put4(get8(work, f.STAMPS), rows, 0)
            for i in range(rows):
                put4(get8(work, f.STAMPS), i, 0)
                put4(get8(work, f.COVERED), i, 0)
            for i in range(get8(book, f.CONCEPT_COUNT)):
                put4(get8(work, f.SEEN), i, 0)
            for i in range(get8(book, f.CLASS_COUNT)):
                put4(get8(work, f.CLASS_SEEN), i, 0)
        # Analysis.
        kinds = get8(work, f.KINDS)
        classify(book, text, length, kinds)
        break_spans = get8(work, f.BREAK_SPANS)
        breaks = find(book, SENTENCE_END, text, kinds, length, get8(work, f.STACK), break_spans)
        for i in range(breaks):
            put4(get8(work, f.BREAKS), i, get4(break_spans, 2 * i))
        while True:
            hits = find_hits(book, work, text, marks, length, breaks, hit_rows.ctypes.data, len(hit_rows) // 4)
            if hits >= 0:
                break
            hit_rows = np.empty(2 * len(hit_rows), dtype=np.int32)
        if len(inside) < hits:
            inside = np.empty(2 * hits, dtype=np.int32)
        put8(work, f.INSIDE, inside.ctypes.data)
        hits_at = hit_rows.ctypes.data
        while True:
            found = find_concepts(book, work, hits_at, hits, breaks, found_rows.ctypes.data, len(found_rows) // 4)
            if found >= 0:
                break
            found_rows = np.empty(2 * len(found_rows), dtype=np.int32)
        found_at = found_rows.ctypes.data
        find_grams(
            book,
            text,
            length,
            get8(work, f.GRAM_ROWS),
            get8(work, f.GRAM_STARTS),
            get8(work, f.HEARD),
            get8(work, f.CHOSEN),
        )
        word_ends = get8(work, f.WORD_ENDS)
        cut_words(book, text, length, word_ends, get8(work, f.BEST), get8(work, f.FOLLOWING), get8(work, f.CHOSEN))
        words = find_words(book, text, length, word_ends, get8(work, f.WORD_ROWS))
        frames = find_frames(book, work, get8(work, f.ROW_LIST) + 4 * (get8(book, f.WEIGHT_ROWS) + 1))

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
            end, behind = next_window(book, kinds, length, start)
            stamp += 1
            row_count = window_rows(book, work, start, end, words, hits_at, hits, found_at, found, frames, stamp)
            score = add_window(book, get8(work, f.ROW_LIST), row_count, get8(work, f.TOTALS), values, windows)
            if windows == 0 or score > highest:
                highest = score
                deciding_start = start
                deciding_end = end
            windows += 1
            start = behind
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
        if questions[number]:
            contact = get8(book, f.CONTACT)
            said = False
            for i in range(found):
                said = said or get4(found_at, 4 * i + WHAT) == contact
            if not said:
                level = 0
        severity[number] = level
        stance[number] = stance_of(book, values)
        obfuscated = False
        if changed:
            undone = find_evasions(book, work, raw, text, marks, length, starts, ends, replaced, traditional)
            evasions = _larger(evasions, evasion_count + undone)
            rows_at = get8(work, f.CANDIDATES)
            for i in range(undone):
                kind = get4(rows_at, 4 * i)
                obfuscated = obfuscated or kind != TRADITIONAL_GLYPH
                evasions[evasion_count, OF_TEXT] = number
                evasions[evasion_count, RAW_START] = get4(rows_at, 4 * i + 1)
                evasions[evasion_count, RAW_END] = get4(rows_at, 4 * i + 2)
                evasions[evasion_count, EVASION_KIND] = kind
                evasions[evasion_count, EVASION_TERM] = get4(rows_at, 4 * i + 3)
                evasion_count += 1
        if obfuscated:
            flags[number] |= OBFUSCATED
        signals[number] = signals_of(book, found_at, found, level, length, obfuscated)
        if level == 0:
            continue
        order = get8(work, f.SYLLABLE_SCRATCH)
        code_count = find_codes(book, values, order, get8(work, f.TOTALS))
        for i in range(code_count):
            codes[number] |= 1 << get4(order, i)
        if not explain:
            continue

        # Evidence.
        while True:
            count = find_places(
                book,
                work,
                deciding_start,
                deciding_end,
                words,
                hits_at,
                hits,
                found_at,
                found,
                places.ctypes.data,
                len(places) // 3,
            )
            if count <= len(places) // 3:
                break
            places = np.empty(3 * count, dtype=np.int32)
        cells = deciding_end - deciding_start + 1
        if len(share) < cells:
            share = np.empty(2 * cells, dtype=np.float64)
        share_out(book, work, deciding_start, deciding_end, places.ctypes.data, count, share.ctypes.data)
        most = hits + found + words
        if len(weights) < 2 * most:
            weights = np.empty(4 * most, dtype=np.float64)
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
        kept_count = choose(
            deciding_start,
            spans.ctypes.data,
            phrases,
            weights.ctypes.data,
            share.ctypes.data,
            kept.ctypes.data,
            kept_weights.ctypes.data,
        )
        name_codes(book, work, places.ctypes.data, count, order, code_count, kept.ctypes.data, kept_count)
        count = kept_count
        evidence = _larger(evidence, evidence_count + count)
        evidence_weights = _larger(evidence_weights, evidence_count + count)
        for i in range(count):
            start = kept[3 * i + SPAN_START]
            end = kept[3 * i + SPAN_END]
            evidence[evidence_count, OF_TEXT] = number
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
    alive += (
        len(places) + len(spans) + len(weights) + len(share) + len(kept) + len(kept_weights) + len(raws) + len(held)
    )
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
