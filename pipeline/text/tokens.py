"""Words of a canonical text: jieba's dictionary, HMM off.

``rjieba`` (the same dictionary and algorithm, compiled) is used; with HMM off both give the same words, which a test checks.
"""

from __future__ import annotations

TOKENIZER = "jieba-0.42.1-dict/hmm-off"


def words(text: str) -> list[str]:
    """Words of ``text``, in order; joined they give ``text`` back."""
    import rjieba

    return list(rjieba.cut(text, False))


def spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each word."""
    found = []
    at = 0
    for word in words(text):
        found.append((at, at + len(word)))
        at += len(word)
    return found
