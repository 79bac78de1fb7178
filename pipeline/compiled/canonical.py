"""Raw text to canonical text with gate and evasions; see ``pipeline.text.normalise`` and ``pipeline.model.gate``."""

from __future__ import annotations

from ..resources import read_table
from . import fields as f
from .candidates import find_plain, is_term, may_hold, term_char, term_size
from .disguise_tables import TRADITIONAL_GLYPH, VARIANT, ZERO_WIDTH
from .disguises import find_disguises, replace
from .folding import (
    ALL_MARKS,
    BLANK,
    CHANGED,
    HAN,
    HIDDEN_PAIR,
    IS_EMOJI,
    OLD,
    PAIRS,
    SOUNDS,
    TRADITIONAL,
    TRIGGER,
    TRIGGER_PAIR,
    canonicalise,
    look_for,
    look_for_pairs,
    screened,
)
from .jit import Array, kernel
from .memory import Book, get4, get8, get_double, put4, put8
from .trie import Builder, starts_at, step

_SHORT_LOOK = 2000


def enter_gate(book: Book, builder: Builder, gate: tuple[str, ...], marks: Array, screen: Array) -> None:
    """Put the triggers and the local words into their fields, and mark the characters and pairs that are triggers or begin them."""
    trie = builder.strings(gate)
    trie.enter(book, f.GATE)
    marks[[ord(trigger) for trigger in gate if len(trigger) == 1]] |= TRIGGER
    look_for(screen, TRIGGER_PAIR, *trie.pairs())
    rows = read_table("lexicon", "jurisdiction.tsv")
    words = [(word, place) for place, row in enumerate(rows) for word in row[1].split()]
    builder.strings([w for w, _ in words], [p for _, p in words]).enter(book, f.LOCAL_WORDS)


@kernel
def passes(book: int, text: int, length: int, every: int, triggers: int) -> bool:
    """Whether the text holds a trigger. ``every``: its marks together; ``triggers``: 0 if none of two characters begins in it."""
    if every & TRIGGER:
        return True
    if triggers == 0:
        return False
    screen = get8(book, f.SCREEN)
    for at in range(length - 1):
        some = screened(screen, get4(text, at), get4(text, at + 1)) & TRIGGER_PAIR
        if some and starts_at(book, f.GATE, text, at, length):
            return True
    return False


@kernel
def place_of(book: int, text: int, length: int) -> int:
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
def find_evasions(
    book: int,
    work: int,
    raw: int,
    text: int,
    marks: int,
    length: int,
    starts: int,
    ends: int,
    replaced: bool,
    traditional: bool,
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
def _mostly_traditional(book: int, raw: int, size: int) -> bool:
    mark_of = get8(book, f.MARKS)
    han = 0
    traditional = 0
    for index in range(size):
        mark = get4(mark_of, get4(raw, index))
        if mark & HAN:
            han += 1
            if mark & TRADITIONAL:
                traditional += 1
    return han > 0 and traditional / han >= get_double(get8(book, f.MOSTLY_TRADITIONAL), 0)


@kernel
def normalise(book: int, work: int, raw: int, size: int, outcome: int) -> int:
    """Canonical text of a raw one; returns its length, or -1 if there is not room enough.

    ``outcome`` (int64) gets: whether it stands in the ``NEW_…`` fields, whether it differs from the raw text, whether it is
    mostly traditional, and what :func:`passes` wants to know.
    """
    text = get8(work, f.TEXT)
    marks = get8(work, f.TEXT_MARKS)
    facts = get8(work, f.FACTS)
    room = get8(work, f.ROOM)
    length = canonicalise(book, raw, size, text, marks, get8(work, f.TEXT_STARTS), get8(work, f.TEXT_ENDS), room, facts)
    if length < 0 or length * get8(book, f.GROWTH) > room:
        return -1
    replaced = False
    every = get8(facts, ALL_MARKS)
    hidden = get8(facts, PAIRS) & HIDDEN_PAIR
    if may_hold(book, text, marks, length, every, get8(facts, SOUNDS), hidden, get8(work, f.HEARD)):
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
    traditional = changed and every & OLD != 0 and _mostly_traditional(book, raw, size)
    put8(outcome, 0, replaced)
    put8(outcome, 1, changed)
    put8(outcome, 2, traditional)
    if replaced or every & IS_EMOJI:
        every = 0
        for at in range(length):
            every |= get4(marks, at)
        look_for_pairs(book, text, marks, length, facts)
    put8(outcome, 3, every)
    put8(outcome, 4, get8(facts, PAIRS) & TRIGGER_PAIR)
    return length


@kernel
def too_short(marks: int, length: int) -> bool:
    """As ``classifier._too_short``: fewer than two Han characters."""
    han = 0
    for at in range(min(length, _SHORT_LOOK)):
        if get4(marks, at) & HAN:
            han += 1
            if han == 2:
                return False
    return True
