"""The compiled loop over a batch of texts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..resources import read_table
from .disguises import (
    SENTENCE_END,
    TRADITIONAL_GLYPH,
    VARIANT,
    ZERO_WIDTH,
    Disguises,
    find_disguises,
    may_hold,
    plain_terms,
    replace,
)
from .explanation import explain
from .features import (
    Analysis,
    Sizes,
    Vocabulary,
    cut_windows,
    gram_rows,
    seen_frames,
    word_rows,
)
from .folding import BLANK, EMOJI_CODE, GATE_START, TRADITIONAL, Folding, canonicalise, is_han, survey
from .jit import Array, kernel
from .lexemes import CONCEPT, Lexemes, find_concepts, find_hits
from .matcher import classify, find
from .regex import Regex
from .scores import (
    Model,
    Signals,
    codes_of,
    probability_of,
    score_windows,
    severity_of,
    signals_of,
    stance_of,
)
from .segmentation import Dictionary, word_ends
from .trie import Builder, Trie, starts_at, step

GATED, IS_TRADITIONAL, TOO_SHORT, OBFUSCATED = 1, 2, 4, 8  # flags of a text
_SHORT_LOOK = 2000
# Columns of an evidence span and of an evasion.
TEXT, RAW_START, RAW_END, CODE, CHARS, CHARS_END = range(6)
EVASION_KIND, EVASION_TERM = 3, 4


class Extras(NamedTuple):
    """What else a verdict needs."""

    gate: Trie
    local_words: Trie  # value: number of the place
    lower_from: Array  # sorted code points whose lower case is another one …
    lower_to: Array  # … and that one, -1 if it is several
    contact: int  # number of the concept, -1 if there is none
    out_of_scope: int  # stance of a gated text


class Settings(NamedTuple):
    """How to decide."""

    thresholds: Array
    explain: bool
    mostly_traditional: float


class Tables(NamedTuple):
    """Everything the loop reads; never written to."""

    folding: Folding
    disguises: Disguises
    regex: Regex
    dictionary: Dictionary
    lexemes: Lexemes
    vocabulary: Vocabulary
    sizes: Sizes
    model: Model
    signals: Signals
    extras: Extras


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


def build_extras(builder: Builder, gate: tuple[str, ...], folding: Folding, contact: int, out_of_scope: int) -> Extras:
    """Tables of the gate and of local words. Marks the characters that triggers begin with."""
    folding.marks[[ord(trigger[0]) for trigger in gate]] |= GATE_START
    rows = read_table("lexicon", "jurisdiction.tsv")
    words = [(word, place) for place, row in enumerate(rows) for word in row[1].split()]
    lower = [(c, low) for c in range(0x20000) if (low := chr(c).lower()) != chr(c)]
    return Extras(
        gate=builder.strings(gate),
        local_words=builder.strings([w for w, _ in words], [p for _, p in words]),
        lower_from=np.array([c for c, _ in lower], dtype=np.int32),
        lower_to=np.array([ord(low) if len(low) == 1 else -1 for _, low in lower], dtype=np.int32),
        contact=contact,
        out_of_scope=out_of_scope,
    )


@kernel
def _passes(text: Array, length: int, folding: Folding, gate: Trie) -> bool:
    for at in range(length):
        if folding.marks[text[at]] & GATE_START and starts_at(gate, text, at, length):
            return True
    return False


@kernel
def _place(text: Array, length: int, words: Trie) -> int:
    """1 + number of the first place of which the text holds a word, 0 for none."""
    best = -1
    for start in range(length):
        state = 0
        at = start
        while at < length:
            state = step(words, state, text[at])
            if state < 0:
                break
            at += 1
            place = words.values[state]
            if place >= 0 and (best < 0 or place < best):
                best = place
    return best + 1


@kernel
def _lower(char: int, extras: Extras) -> int:
    at = np.searchsorted(extras.lower_from, char)
    if at < len(extras.lower_from) and extras.lower_from[at] == char:
        return int(extras.lower_to[at])
    return char


@kernel
def _glyph_kind(
    raw: Array, start: int, end: int, first: int, size: int, tables: Disguises, folding: Folding, traditional: bool, extras: Extras
) -> int:
    """As ``normalise._glyph_kind``: a kind, or -1."""
    if end - start > size:
        return ZERO_WIDTH
    old = 0
    same = True
    for i in range(end - start):
        char = raw[start + i]
        if char == tables.term_chars[first + i]:
            continue
        if is_han(char) and folding.marks[char] & TRADITIONAL:
            old += 1
        if _lower(char, extras) != tables.term_chars[first + i]:
            same = False
    if old:
        return -1 if traditional else TRADITIONAL_GLYPH
    return -1 if same else VARIANT


@kernel
def _larger(array: Array, wanted: int) -> Array:
    """The array with room for ``wanted`` rows."""
    if wanted <= array.shape[0]:
        return array
    larger = np.empty((max(wanted, 2 * array.shape[0]), array.shape[1]), dtype=array.dtype)
    larger[: array.shape[0]] = array
    return larger


@kernel
def _evasions(
    raw: Array,
    text: Array,
    length: int,
    starts: Array,
    ends: Array,
    kinds: Array,
    traditional: bool,
    tables: Disguises,
    folding: Folding,
    extras: Extras,
) -> tuple[Array, bool]:
    """Undone disguises as rows of (-, raw start, raw end, kind, term), and whether one of them means to hide."""
    terms = plain_terms(text, length, tables, folding)
    found = np.empty((len(terms), 5), dtype=np.int32)
    count = 0
    hiding = False
    for number in range(len(terms)):
        term = terms[number, 0]
        start = starts[terms[number, 1]]
        end = ends[terms[number, 2] - 1]
        first = tables.term_starts[term]
        size = tables.term_starts[term + 1] - first
        if end - start == size:
            same = True
            for i in range(size):
                if raw[start + i] != tables.term_chars[first + i]:
                    same = False
                    break
            if same:
                continue
        kind = -1
        for at in range(terms[number, 1], terms[number, 2]):
            if len(kinds) and kinds[at]:
                kind = int(kinds[at]) - 1
                break
        if kind < 0:
            kind = _glyph_kind(raw, start, end, first, size, tables, folding, traditional, extras)
        if kind >= 0:
            found[count, RAW_START] = start
            found[count, RAW_END] = end
            found[count, EVASION_KIND] = kind
            found[count, EVASION_TERM] = term
            count += 1
            hiding = hiding or kind != TRADITIONAL_GLYPH
    return found[:count], hiding


@kernel
def _identity(starts: Array, ends: Array, length: int) -> None:
    for at in range(length):
        starts[at] = at
        ends[at] = at + 1


@kernel
def _analyse(text: Array, length: int, tables: Tables) -> Analysis:
    regex = tables.regex
    kinds = classify(text, length, regex)
    breaks = find(regex, SENTENCE_END, SENTENCE_END + 1, text, kinds, length)[:, 1].copy()
    hits = find_hits(text, kinds, length, breaks, tables.lexemes, regex, tables.sizes.classes)
    return Analysis(
        length,
        gram_rows(text, length, tables.sizes.longest_gram, tables.vocabulary.grams),
        word_rows(text, word_ends(text, length, tables.dictionary), tables.vocabulary),
        hits,
        find_concepts(hits, breaks, tables.lexemes),
        seen_frames(hits, tables.vocabulary, tables.sizes.classes),
        cut_windows(kinds, length, tables.sizes, regex),
    )


@kernel
def judge(raws: Array, offsets: Array, questions: Array, tables: Tables, settings: Settings) -> Output:
    """Decide on the texts ``raws[offsets[i]:offsets[i + 1]]``; ``questions[i]`` 1 where a person asked the text."""
    total = len(offsets) - 1
    folding = tables.folding
    extras = tables.extras
    model = tables.model
    heads = len(model.bias)
    severity = np.zeros(total, dtype=np.int8)
    probabilities = np.zeros((total, 3), dtype=np.float64)
    stance = np.full(total, extras.out_of_scope, dtype=np.int8)
    codes = np.zeros(total, dtype=np.int64)
    signals = np.zeros(total, dtype=np.int64)
    flags = np.zeros(total, dtype=np.uint8)
    jurisdiction = np.zeros(total, dtype=np.int8)
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

    facts = survey(raws, offsets, folding)
    room = 1
    for number in range(total):
        room = max(room, facts[number, 0])
    canonical = np.empty(room, dtype=np.int32)
    starts = np.empty(room, dtype=np.int32)
    ends = np.empty(room, dtype=np.int32)
    heard = np.empty(room, dtype=np.int32)
    stamps = np.zeros(1, dtype=np.int32)
    rows = np.empty(1, dtype=np.int32)
    last = np.empty(1, dtype=np.int32)
    stamp = 1
    order = np.empty(len(model.code_heads), dtype=np.int32)
    said = np.empty(tables.sizes.concepts, dtype=np.uint8)
    none = np.empty(0, dtype=np.uint8)

    for number in range(total):
        raw = raws[offsets[number] : offsets[number + 1]]
        text = raw
        length = len(raw)
        changed = facts[number, 1] != 0
        if changed:
            length = canonicalise(raw, folding, canonical, starts, ends)
            text = canonical
        mapped = changed  # whether text_starts and text_ends are filled
        text_starts = starts
        text_ends = ends
        kinds = none
        if may_hold(text, length, tables.disguises, folding, heard):
            found, units = find_disguises(
                text, length, tables.disguises, folding, tables.regex, tables.dictionary
            )
            if len(found):
                if not mapped:
                    _identity(starts, ends, length)
                mapped = True
                changed = True
                text, text_starts, text_ends, kinds = replace(
                    text, length, starts, ends, found, units, tables.disguises
                )
                length = len(text)
        if changed:
            for at in range(length):
                if text[at] == EMOJI_CODE:
                    text[at] = BLANK
            changed = length != len(raw)
            for at in range(min(length, len(raw))):
                changed = changed or text[at] != raw[at]
        traditional = (
            changed and facts[number, 2] > 0 and facts[number, 3] / facts[number, 2] >= settings.mostly_traditional
        )
        han = 0
        for at in range(min(length, _SHORT_LOOK)):
            if is_han(text[at]):
                han += 1
                if han == 2:
                    break
        flag = TOO_SHORT if han < 2 else 0
        if traditional:
            flag |= IS_TRADITIONAL
            jurisdiction[number] = _place(text, length, extras.local_words)
        if not _passes(text, length, folding, extras.gate):
            flags[number] = flag | GATED
            continue

        if len(stamps) < len(model.weights):
            stamps = np.zeros(len(model.weights), dtype=np.int32)
            rows = np.empty(len(model.weights), dtype=np.int32)
            last = np.full(len(model.weights), -1, dtype=np.int32)
        if not mapped:
            _identity(starts, ends, length)
        analysis = _analyse(text, length, tables)
        scores = _larger(scores, scored_count + 1)
        scored = _larger(scored, scored_count + 1)
        values = scores[scored_count]
        scored[scored_count, 0] = number
        scored_count += 1
        deciding = score_windows(analysis, model, tables.vocabulary, tables.sizes, stamps, stamp, rows, values)
        stamp += len(analysis.windows)
        two = probability_of(model.severity_heads[1], values, model)
        one = max(two, probability_of(model.severity_heads[0], values, model))
        three = min(two, probability_of(model.severity_heads[2], values, model))
        probabilities[number, 0] = one
        probabilities[number, 1] = two
        probabilities[number, 2] = three
        level = severity_of(one, two, three, settings.thresholds)
        said[:] = 0
        for i in range(len(analysis.found)):
            said[analysis.found[i, CONCEPT]] = 1
        if questions[number] and (extras.contact < 0 or said[extras.contact] == 0):
            level = 0
        severity[number] = level
        stance[number] = stance_of(values, model)
        obfuscated = False
        if changed:
            rows_found, obfuscated = _evasions(
                raw, text, length, text_starts, text_ends, kinds, traditional, tables.disguises, folding, extras
            )
            evasions = _larger(evasions, evasion_count + len(rows_found))
            for i in range(len(rows_found)):
                evasions[evasion_count] = rows_found[i]
                evasions[evasion_count, TEXT] = number
                evasion_count += 1
        if obfuscated:
            flag |= OBFUSCATED
        flags[number] = flag
        signals[number] = signals_of(said, level, length, obfuscated, tables.signals)
        if level == 0:
            continue
        code_count = codes_of(values, model, order)
        for i in range(code_count):
            codes[number] |= np.int64(1) << np.int64(order[i])
        if settings.explain:
            spans, weights, count = explain(
                analysis, deciding, order, code_count, model, tables.vocabulary, tables.sizes, last
            )
            evidence = _larger(evidence, evidence_count + count)
            evidence_weights = _larger(evidence_weights, evidence_count + count)
            for i in range(count):
                start = spans[i, 0]
                end = spans[i, 1]
                evidence[evidence_count, TEXT] = number
                evidence[evidence_count, RAW_START] = text_starts[start]
                evidence[evidence_count, RAW_END] = text_ends[end - 1]
                evidence[evidence_count, CODE] = spans[i, 2]
                evidence[evidence_count, CHARS] = chars_count
                evidence_weights[evidence_count, 0] = weights[i]
                chars = _larger(chars, chars_count + end - start)
                for at in range(start, end):
                    chars[chars_count, 0] = text[at]
                    chars_count += 1
                evidence[evidence_count, CHARS_END] = chars_count
                evidence_count += 1
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
