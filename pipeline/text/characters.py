"""First step of the normaliser: each raw character to its canonical characters.

Per code point: compatibility forms (NFKC), lower case, traditional to simplified, look-alike glyphs,
white-space runs to one blank or one line break; zero-width characters, bidi controls, variation selectors, combining marks and
emoji joiners vanish. Emoji become ``EMOJI``, a private mark that the next step may drop between characters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from ..resources import read_table
from .offsets import OffsetMap

EMOJI = "\ue000"
_GAPS = " " + EMOJI + "\n"  # a run of these becomes the last of them in this order
_BLANKS = re.compile(f"[{_GAPS}]{{2}}")
_DROPPED_CATEGORIES = {"Cf", "Mn", "Me", "Cc", "Cs", "Co"}


class _Table(dict[int, str]):
    """Translation table filled on demand; only ever grows, so threads may share it."""

    def __init__(self, pairs: dict[int, str]) -> None:
        super().__init__(pairs)

    def __missing__(self, code: int) -> str:
        self[code] = value = _canonical(chr(code), self)
        return value


def _canonical(char: str, table: dict[int, str]) -> str:
    if char.isspace():
        return "\n" if char in "\n\r\u2028\u2029\x0b\x0c\x85" else " "
    category = unicodedata.category(char)
    if category in _DROPPED_CATEGORIES:
        return ""
    folded = unicodedata.normalize("NFKC", char)
    if folded != char:
        out = []
        for part in folded.lower():
            if unicodedata.category(part) in _DROPPED_CATEGORIES:
                continue
            out.append(" " if part.isspace() else table[ord(part)])
        return "".join(out)
    if category[0] == "L" and (decomposed := unicodedata.normalize("NFD", char)) != char:
        return _canonical(decomposed[0], table) if decomposed[0].isascii() else char.lower()
    if category == "So" and char not in "°©®™":
        return EMOJI
    return char.lower()


@cache
def table() -> dict[int, str]:
    """The merged translation table."""
    pairs = {ord(raw): simple for raw, simple in read_table("text", "traditional.tsv")}
    pairs.update({ord(raw): simple for raw, simple in read_table("text", "variants.tsv")})
    # One quotation style and one dash, so that patterns need to know only one.
    pairs.update({ord(c): '"' for c in "“”„‟〝〞"})
    pairs.update({ord(c): "'" for c in "‘’‚‛"})
    pairs.update({ord(c): "-" for c in "‐‑‒–—―−"})
    pairs.update({ord("。"): "。", ord("、"): "、", 0x20E3: "", 0x3000: " "})
    return _Table(pairs)


def canonical_of(char: str) -> str:
    """Canonical characters of one character."""
    lookup = table()
    known = lookup.get(ord(char))
    return _canonical(char, lookup) if known is None else known


def canonicalise(raw: str) -> tuple[str, OffsetMap]:
    """Canonical characters of ``raw`` and the map back; white-space runs become one character."""
    lookup = table()
    text = raw.translate(lookup)
    if text == raw and not _BLANKS.search(raw):
        return raw, OffsetMap.identity(len(raw))
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for index, char in enumerate(raw):
        out = lookup[ord(char)]
        for piece in out:
            if piece in _GAPS and chars and chars[-1] in _GAPS:
                ends[-1] = index + 1
                chars[-1] = max(chars[-1], piece, key=_GAPS.index)
                continue
            chars.append(piece)
            starts.append(index)
            ends.append(index + 1)
    return "".join(chars), OffsetMap(len(chars), len(raw), tuple(starts), tuple(ends))


@cache
def _traditional() -> frozenset[str]:
    return frozenset(raw for raw, _ in read_table("text", "traditional.tsv"))


def traditional_share(raw: str) -> float:
    """Share of the Han characters of ``raw`` that exist only in traditional script."""
    han = [c for c in raw if "\u4e00" <= c <= "\u9fff"]
    if not han:
        return 0.0
    known = _traditional()
    return sum(c in known for c in han) / len(han)
