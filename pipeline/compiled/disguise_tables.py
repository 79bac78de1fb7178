"""Tables of ``pipeline.text.disguise`` for the compiled functions."""

from __future__ import annotations

from collections.abc import Iterable, Sized

import numpy as np

from ..errors import DataError
from ..resources import read_table
from ..text import disguise as plain
from ..text.pinyin import fold_syllable, spellings_of
from . import fields as f
from .folding import (
    ALONE,
    BARE,
    COMMON,
    HIDDEN_PAIR,
    SOUND_MASK,
    SPELLING_START,
    SPLIT_START,
    TERM_START,
    look_for,
)
from .jit import Array
from .memory import Book
from .trie import Builder

KINDS = (
    "separator",
    "emoji",
    "pinyin",
    "homophone",
    "split_character",
    "known_spelling",
    "pinyin_gloss",
    "zero_width",
    "traditional",
    "variant_glyph",
)
(
    SEPARATED,
    EMOJI_BETWEEN,
    PINYIN,
    HOMOPHONE,
    SPLIT_CHARACTER,
    KNOWN_SPELLING,
    GLOSS,
    ZERO_WIDTH,
    TRADITIONAL_GLYPH,
    VARIANT,
) = range(10)

LONGEST_SYLLABLE = 6  # letters
ASCII_FIRST, ASCII_LAST, ONE_TO_ONE, DOUBTFUL = 1, 2, 4, 8  # flags of a listed spelling
IN_CONTEXT, EXACT = 1, 2  # flags of a term


def enter_disguises(book: Book, builder: Builder, marks: Array, screen: Array) -> tuple[str, ...]:
    """Put the tables into their fields, set the marks of characters and the pairs to look for, and return the terms by number.

    Terms are numbered: key terms first, then other meanings of listed spellings.
    """
    tables = plain._tables()
    if len(tables.sounds) >= SOUND_MASK:
        raise DataError("data/text/keyterms.tsv: more syllables than the compiled scorer can number.")
    sound = {code: number for number, code in enumerate(tables.sounds.values(), start=1)}
    for char, code in tables.fold.items():
        marks[char] = (marks[char] & ~SOUND_MASK) | sound[code]
    names = list(tables.terms)
    numbers = {term: number for number, term in reversed(list(enumerate(names)))}
    for term in tables.spellings.values():
        if term not in numbers:
            numbers[term] = len(names)
            names.append(term)
    _enter_sounds(book, builder, marks, screen, sound, numbers)
    spellings = tables.spelling_list
    for keys, bit in ((tables.terms, TERM_START), (spellings, SPELLING_START), (tuple(tables.split), SPLIT_START)):
        marks[[ord(key[0]) for key in keys]] |= bit
    marks[[ord(char) for char in plain._BARE]] |= BARE
    marks[[ord(char) for char in tables.common if len(char) == 1]] |= COMMON
    flags = [
        ASCII_FIRST * raw[0].isascii()
        | ASCII_LAST * raw[-1].isascii()
        | ONE_TO_ONE * (len(raw) == len(tables.spellings[raw]))
        | DOUBTFUL * (raw in tables.doubtful)
        for raw in spellings
    ]
    builder.strings(tables.terms).enter(book, f.TERMS)
    book.table(f.TERM_CHARS, _numbers(ord(c) for term in names for c in term))
    book.table(f.TERM_STARTS, _ends(names))
    term_flags = (IN_CONTEXT * (t in tables.context_terms) | EXACT * (t in tables.exact_terms) for t in names)
    book.table(f.TERM_FLAGS, _numbers(term_flags))
    builder.strings(tuple(tables.split)).enter(book, f.SPLITS)
    builder.strings(tables.sure_split).enter(book, f.SURE_SPLITS)
    book.table(f.SPLIT_MEANING, _numbers(map(ord, tables.split.values())))
    builder.strings(spellings).enter(book, f.SPELLINGS)
    book.table(f.SPELLING_TERM, _numbers(numbers[tables.spellings[raw]] for raw in spellings))
    book.table(f.SPELLING_FLAGS, _numbers(flags))
    builder.strings(tuple(sorted(tables.ordinary))).enter(book, f.ORDINARY)
    book.number(f.GROWTH, max([1, *(-(-len(term) // len(raw)) for raw, term in tables.spellings.items())]))
    book.table(f.LENDING, _numbers(sorted(map(ord, plain._LENDING))))
    book.number(f.LENDING_COUNT, len(plain._LENDING))
    return tuple(names)


def _enter_sounds(
    book: Book, builder: Builder, marks: Array, screen: Array, sound: dict[str, int], numbers: dict[str, int]
) -> None:
    """Tables of what syllables and rows of them mean."""
    tables = plain._tables()
    sequences: dict[str, list[int]] = {}
    letters: set[str] = set()
    for term, pinyin, _ in read_table("text", "keyterms.tsv"):
        syllables = pinyin.split()
        letters.update(syllables)
        sequence = "".join(chr(sound[tables.sounds[fold_syllable(s)]]) for s in syllables)
        sequences.setdefault(sequence, []).append(numbers[term])
    spelt = {
        spelling: sound[code]
        for syllable, code in tables.sounds.items()
        for spelling in spellings_of(syllable)
        if len(spelling) <= LONGEST_SYLLABLE
    }
    count = len(sound) + 1
    pairs = np.zeros((count, count), dtype=np.uint8)
    for sequence in sequences:
        if len(sequence) == 1:
            pairs[ord(sequence)] = 1
        else:
            pairs[ord(sequence[0]), ord(sequence[1])] = 1
    # Where a character of a term has another sound in another term, the term does not sound like its own row. Its pair is
    # entered too: text without any pair then holds no plain term either.
    for term in tables.terms:
        heard = [sound[tables.fold[ord(c)]] for c in term]
        pairs[heard[0], heard[1] if len(heard) > 1 else slice(None)] = 1
    builder.strings(tuple(sequences)).enter(book, f.SOUNDS)
    book.table(f.SOUND_TERMS, _numbers(number for terms in sequences.values() for number in terms))
    book.table(f.SOUND_TERM_STARTS, _ends(sequences.values()))
    book.table(f.SOUND_PAIRS, pairs)
    book.number(f.SOUND_COUNT, count)
    builder.strings(tuple(spelt), tuple(spelt.values())).enter(book, f.SYLLABLES)
    builder.strings(sorted(letters)).enter(book, f.LETTERS)
    hidden = (*letters, *tables.split, *tables.spelling_list)
    marks[[ord(key) for key in hidden if len(key) == 1]] |= ALONE
    look_for(screen, HIDDEN_PAIR, *builder.strings(hidden).pairs())


def _numbers(values: Iterable[int]) -> Array:
    return np.array(list(values), dtype=np.int32)


def _ends(rows: Iterable[Sized]) -> Array:
    """Where each row begins in all rows behind each other, and where the last ends."""
    return np.cumsum([0, *map(len, rows)], dtype=np.int32)
