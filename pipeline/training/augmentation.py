"""Copies of training rows in the states real text comes in: punctuation lost, digits lost or masked, padded.

Which row gets which copy depends on its id alone, so that training is reproducible. A copy keeps the family of its row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .corpus import Row
from .splits import folds

_DIGITS = re.compile(r"\d+(?:\.\d+)?")
_PUNCTUATION = re.compile(r"[,.。!?;:、,!?;:~…\s]+")


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """Share of rows that get each kind of copy."""

    no_punctuation: float = 0.15
    no_digits: float = 0.15
    masked_digits: float = 0.10
    padded: float = 0.20
    joined: float = 0.30
    fold_count: int = 5


def _chance(row: Row, salt: str) -> float:
    return int.from_bytes(hashlib.sha256(f"{salt}:{row.id}".encode()).digest()[:6], "big") / 2**48


def _no_punctuation(text: str) -> str:
    return _PUNCTUATION.sub("", text)


def _no_digits(text: str) -> str:
    return _DIGITS.sub("", text)


def _masked(text: str) -> str:
    return _DIGITS.sub(lambda m: re.sub(r"\d", "x", m.group()), text)


def augment(rows: Sequence[Row], settings: AugmentSettings) -> list[Row]:
    """``rows`` followed by their copies."""
    copies: list[Row] = []

    def simple(name: str, share: float, change: Callable[[str], str]) -> None:
        for row in rows:
            if _chance(row, name) < share:
                text = change(row.text)
                if text != row.text and len(text) >= 4:
                    copies.append(replace(row, id=f"{row.id}+{name}", text=text))

    simple("no_punctuation", settings.no_punctuation, _no_punctuation)
    simple("no_digits", settings.no_digits, _no_digits)
    simple("masked", settings.masked_digits, _masked)
    fold = folds(rows, settings.fold_count)
    plain: dict[int, list[Row]] = {}
    for row, number in zip(rows, fold, strict=True):
        if row.severity == 0:
            plain.setdefault(number, []).append(row)
    for row, number in zip(rows, fold, strict=True):
        pool = plain.get(number)
        share = settings.padded if row.severity else settings.joined
        chance = _chance(row, "padded")
        if pool and chance < share:
            other = pool[int(_chance(row, "partner") * len(pool))]
            parts = [other.text, row.text] if chance < share / 2 else [row.text, other.text]
            copies.append(replace(row, id=f"{row.id}+padded", text="".join(parts)))
    return [*rows, *copies]
