"""Untrusted text cut into pieces that a page can show without being deceived or attacked.

Escaping is left to the templates. Here every character that is not seen, or that changes how others are seen, becomes a piece
of its own that is shown by its number.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Shown as nothing though they count as letters or symbols.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Co", "Cs", "Cn"})
_NAMES = {
    "\u200b": "ZWSP", "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE",
    "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2060": "WJ", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI",
    "\u2069": "PDI", "\ufeff": "BOM", "\u00ad": "SHY", "\u061c": "ALM",
}  # fmt: skip
_LONGEST_NOTE = 40


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text. ``hidden`` names a character that would not be seen; ``text`` is empty then.

    ``evidence`` and ``evasion`` say what stands there, or are ``None``.
    """

    text: str
    hidden: str | None = None
    evidence: str | None = None
    evasion: str | None = None


def is_hidden(character: str) -> bool:
    """Whether a character is not seen, or changes the order or look of others."""
    if character in "\n\t":
        return False
    if character in _BLANK or "\ufe00" <= character <= "\ufe0f" or "\U000e0000" <= character <= "\U000e0fff":
        return True
    return unicodedata.category(character) in _HIDDEN_CATEGORIES


def hidden_name(character: str) -> str:
    """``U+202E RLO``."""
    number = f"U+{ord(character):04X}"
    return f"{number} {_NAMES[character]}" if character in _NAMES else number


def visible(text: str) -> str:
    """``text`` with hidden characters written out, as plain text."""
    return "".join(f"⟨{hidden_name(c)}⟩" if is_hidden(c) else c for c in text)


def pieces(text: str, notes: Iterable[tuple[int, int, str, str]] = ()) -> list[Piece]:
    """``text`` cut wherever something begins or ends; ``notes`` are (start, end, ``evidence`` or ``evasion``, what it says)."""
    found = [n for n in notes if 0 <= n[0] < n[1] <= len(text)]
    cuts = {0, len(text), *(n[0] for n in found), *(n[1] for n in found)}
    for i, character in enumerate(text):
        if is_hidden(character):
            cuts.update((i, i + 1))
    edges = sorted(cuts)
    result = []
    for start, end in itertools.pairwise(edges):
        said: dict[str, str] = {}
        for first, last, kind, what in found:
            if first <= start and end <= last:
                said[kind] = f"{said[kind]}; {what}" if kind in said else what
        part = text[start:end]
        hidden = hidden_name(part) if len(part) == 1 and is_hidden(part) else None
        result.append(Piece("" if hidden else part, hidden, said.get("evidence"), said.get("evasion")))
    return result


def marked(verdict: Mapping[str, Any], names: Mapping[str, str]) -> list[Piece]:
    """The text of a verdict (plain values) with evidence and evasions; ``names`` are those of codes and kinds of evasion."""
    notes: list[tuple[int, int, str, str]] = []
    for span in _rows(verdict, "evidence"):
        notes.append((span["start"], span["end"], "evidence", names.get(span["code"] or "", span["code"] or "·")))
    for span in _rows(verdict, "evasions"):
        meant = visible(str(span["canonical"]))[:_LONGEST_NOTE]
        notes.append(
            (span["start"], span["end"], "evasion", f"{names.get(span['kind'], span['kind'])} → {meant or '∅'}")
        )
    return pieces(str(verdict["text"]), notes)


def _rows(verdict: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = verdict.get(name) or ()
    return found
