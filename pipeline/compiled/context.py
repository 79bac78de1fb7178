"""Whether candidates stand near enough words of lending; see ``pipeline.text.disguise``, repeated step by step."""

from __future__ import annotations

from ..text.disguise import _PINYIN_ALONE as PINYIN_ALONE
from ..text.disguise import CONTEXT_WINDOW, WIDE_ANCHORS, WIDE_WINDOW
from . import fields as f
from .candidates import ACCEPTED, END, KIND, ROW_WIDTH, SPELLING, START, TERM, cell, term_char, term_size
from .disguise_tables import DOUBTFUL, HOMOPHONE, IN_CONTEXT, KNOWN_SPELLING
from .folding import COMMON, LETTER
from .jit import kernel
from .matcher import find
from .memory import get4, get8, put4
from .patterns import CONTEXT


@kernel
def copy_row(source: int, number: int, target: int, at: int) -> None:
    """Copy row ``number`` of some candidates to row ``at`` of others."""
    for column in range(ROW_WIDTH):
        put4(target, at * ROW_WIDTH + column, get4(source, number * ROW_WIDTH + column))


@kernel
def _is_doubtful(book: int, text: int, marks: int, rows: int, number: int) -> bool:
    kind = cell(rows, number, KIND)
    if kind == KNOWN_SPELLING:
        return get4(get8(book, f.SPELLING_FLAGS), cell(rows, number, SPELLING)) & DOUBTFUL != 0
    start = cell(rows, number, START)
    size = cell(rows, number, END) - start
    term = cell(rows, number, TERM)
    if kind != HOMOPHONE or size != term_size(book, term):
        return False
    for i in range(size):
        if get4(marks, start + i) & COMMON and get4(text, start + i) != term_char(book, term, i):
            return True
    return False


@kernel
def _near(start: int, end: int, row_start: int, row_end: int, reach: int) -> bool:
    if start < row_end and row_start < end:
        return False
    return start - row_end <= reach and row_start - end <= reach


@kernel
def _has_anchor(anchors: int, count: int, start: int, end: int) -> bool:
    for i in range(count):
        if get4(anchors, 2 * i) == start and get4(anchors, 2 * i + 1) == end:
            return True
    return False


@kernel
def supported(
    book: int, text: int, marks: int, rows: int, count: int, number: int, anchors: int, anchor_count: int
) -> bool:
    """Whether enough signs of lending stand near: different anchors, and different other terms among the candidates."""
    start = cell(rows, number, START)
    end = cell(rows, number, END)
    letters = 0
    for at in range(start, end):
        if get4(marks, at) & LETTER:
            letters += 1
    if letters >= PINYIN_ALONE:
        return True
    doubtful = _is_doubtful(book, text, marks, rows, number)
    needed = 2 if doubtful else 1
    weight = 0
    wide = 0
    for i in range(anchor_count):
        s = get4(anchors, 2 * i)
        e = get4(anchors, 2 * i + 1)
        if _near(s, e, start, end, WIDE_WINDOW) and not _has_anchor(anchors, i, s, e):
            wide += 1
            if _near(s, e, start, end, CONTEXT_WINDOW):
                weight += 1
            if weight >= needed or (wide >= WIDE_ANCHORS and not doubtful):
                return True
    for i in range(count):
        if _is_peer(rows, i, number):
            new = True
            for j in range(i):
                if cell(rows, j, TERM) == cell(rows, i, TERM) and _is_peer(rows, j, number):
                    new = False
                    break
            if new:
                weight += 1
                if weight >= needed:
                    return True
    return False


@kernel
def _is_peer(rows: int, other: int, number: int) -> bool:
    return (
        cell(rows, other, TERM) != cell(rows, number, TERM)
        and cell(rows, other, KIND) != KNOWN_SPELLING
        and _near(
            cell(rows, other, START),
            cell(rows, other, END),
            cell(rows, number, START),
            cell(rows, number, END),
            CONTEXT_WINDOW,
        )
    )


@kernel
def find_anchors(book: int, work: int, text: int, length: int, plain_count: int, accepted: int, sure: int) -> int:
    """Spans that speak of lending into ``ANCHORS``: plain terms, words of context, accepted disguises. Returns how many."""
    context_spans = get8(work, f.CONTEXT_SPANS)
    context = find(book, CONTEXT, text, get8(work, f.KINDS), length, get8(work, f.STACK), context_spans)
    plain_rows = get8(work, f.PLAIN)
    anchors = get8(work, f.ANCHORS)
    term_flags = get8(book, f.TERM_FLAGS)
    count = 0
    for i in range(plain_count):
        if get4(term_flags, get4(plain_rows, 3 * i)) & IN_CONTEXT:
            put4(anchors, 2 * count, get4(plain_rows, 3 * i + 1))
            put4(anchors, 2 * count + 1, get4(plain_rows, 3 * i + 2))
            count += 1
    for i in range(context):
        put4(anchors, 2 * count, get4(context_spans, 2 * i))
        put4(anchors, 2 * count + 1, get4(context_spans, 2 * i + 1))
        count += 1
    for i in range(sure):
        if get4(term_flags, cell(accepted, i, TERM)) & IN_CONTEXT:
            put4(anchors, 2 * count, cell(accepted, i, START))
            put4(anchors, 2 * count + 1, cell(accepted, i, END))
            count += 1
    return count


@kernel
def accept_in_context(
    book: int,
    text: int,
    marks: int,
    rows: int,
    count: int,
    anchors: int,
    anchor_count: int,
    accepted: int,
    total: int,
) -> int:
    """Accept the candidates near enough lending words; each accepted one may speak for its neighbours. Returns as above."""
    term_flags = get8(book, f.TERM_FLAGS)
    more = True
    while more:
        more = False
        first = total
        for i in range(count):
            if cell(rows, i, ACCEPTED) == 0 and supported(book, text, marks, rows, count, i, anchors, anchor_count):
                put4(rows, i * ROW_WIDTH + ACCEPTED, 1)
                copy_row(rows, i, accepted, total)
                total += 1
        for i in range(first, total):
            start = cell(accepted, i, START)
            end = cell(accepted, i, END)
            if get4(term_flags, cell(accepted, i, TERM)) & IN_CONTEXT and not _has_anchor(
                anchors, anchor_count, start, end
            ):
                put4(anchors, 2 * anchor_count, start)
                put4(anchors, 2 * anchor_count + 1, end)
                anchor_count += 1
                more = True
    return total
