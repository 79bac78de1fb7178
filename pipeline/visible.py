"""Characters that do not show, or that move others about, written out: text of strangers must not deceive its reader."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Marks without a shape of their own: joiner and variation selectors. Blank letters that look like nothing.
_SHAPELESS = {0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0, *range(0x180B, 0x180E), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}  # fmt: skip


@lru_cache(maxsize=4096)
def is_hidden(char: str) -> bool:
    """Whether a character is invisible or a control: zero-width, bidi, variation selector, private use, lone surrogate.

    Tab and line feed are not.
    """
    if char in "\t\n":
        return False
    return unicodedata.category(char) in _CATEGORIES or ord(char) in _SHAPELESS


def name(char: str) -> str:
    """A hidden character's code point: ``U+200B``."""
    return f"U+{ord(char):04X}"


def visible(text: str) -> str:
    """``text`` with hidden characters written as ``<U+200B>``."""
    return "".join(f"<{name(c)}>" if is_hidden(c) else c for c in text)
