"""Personal data in texts: found by the validator, masked by the import.

Numbers count in any digits (full-width too) and with blanks or hyphens inside. The reserved placeholder 13800000000 is no
personal datum.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

PLACEHOLDER = "13800000000"
_GAP = r"[ \-·.]?"
# Longest first: an identity number must not be read as a phone number inside it.
_PATTERNS = (
    ("identity or card number", re.compile(r"(?<!\d)(?:\d{17}[\dXx]|\d{16,19}|\d{6}[ -]\d{8}[ -]\d{3}[\dXx]|\d{4}(?:[ -]\d{4}){3}(?:[ -]\d{1,3})?)(?!\d)")),
    ("mobile number", re.compile(rf"(?<!\d)(?:\+?86{_GAP})?1[3-9]\d{_GAP}\d{{4}}{_GAP}\d{{4}}(?!\d)")),
    ("telephone number", re.compile(r"(?<!\d)0\d{2,3}[ \-]?[2-8]\d{6,7}(?!\d)")),
    ("e-mail address", re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]*@(?!example\.)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)),
)  # fmt: skip
# A handle after a word for a messenger. Masked on import; a validator cannot tell an invented one.
_HANDLE = re.compile(
    r"(?:微信|威信|薇信|[vV]信|微\s*[:：]|[qQ]{2}|扣扣|[vV][xX]|[wW][xX])[^\w一-鿿]{0,3}(?:号|群|号码)?[^\w一-鿿]{0,3}(\d[A-Za-z0-9_-]{4,19}|[A-Za-z][A-Za-z0-9_-]{5,19})"
)


@dataclass(frozen=True, slots=True)
class Personal:
    """A personal datum; ``start`` and ``end`` index the text."""

    kind: str
    start: int
    end: int


def _plain_digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def find_personal(text: str) -> list[Personal]:
    """Personal data of a text, in order."""
    plain = _plain_digits(text)
    found: list[Personal] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(plain):
            digits = re.sub(r"\D", "", match.group())
            if digits in (PLACEHOLDER, "86" + PLACEHOLDER):
                continue
            if not any(match.start() < p.end and p.start < match.end() for p in found):
                found.append(Personal(kind, match.start(), match.end()))
    return sorted(found, key=lambda p: p.start)


def mask_personal(text: str) -> tuple[str, int]:
    """``text`` without personal data, and how many were masked.

    A mobile number becomes the placeholder, an address ``x@example.com``, other digits and handles become ``x``.
    """
    total = 0
    # What is left of a masked number may stand next to digits that now read as a number: repeat until nothing is found.
    while found := find_personal(text):
        parts: list[str] = []
        at = 0
        for one in found:
            parts += [text[at : one.start], _mask(one.kind, text[one.start : one.end])]
            at = one.end
        text = "".join([*parts, text[at:]])
        total += len(found)
    handles = 0

    def masked(match: re.Match[str]) -> str:
        nonlocal handles
        handle = match.group(1)
        if handle == PLACEHOLDER or not re.sub("[xX_-]", "", handle):
            return match.group()
        handles += 1
        return match.group()[: match.start(1) - match.start()] + re.sub(r"[A-Za-z0-9]", "x", handle)

    return _HANDLE.sub(masked, text), total + handles


def _mask(kind: str, raw: str) -> str:
    if kind == "mobile number":
        return PLACEHOLDER
    if kind == "e-mail address":
        return "x@example.com"
    return re.sub(r"[\dX]", "x", raw)
