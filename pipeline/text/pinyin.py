"""Toneless, folded pinyin: what two spellings must share to count as sounding alike."""

from __future__ import annotations

_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"))
_FINALS = (("ang", "an"), ("eng", "en"), ("ing", "in"))


def fold_syllable(syllable: str) -> str:
    """Fold the pairs that speakers of southern dialects merge: zh/z, ch/c, sh/s, -ng/-n.

    >>> fold_syllable("zheng"), fold_syllable("xing")
    ('zen', 'xin')
    """
    for long, short in _INITIALS:
        if syllable.startswith(long):
            syllable = short + syllable[len(long) :]
            break
    for long, short in _FINALS:
        if syllable.endswith(long):
            return syllable[: -len(long)] + short
    return syllable


def spellings_of(folded: str) -> set[str]:
    """Every syllable that folds to ``folded``.

    >>> sorted(spellings_of("zan"))
    ['zan', 'zang', 'zhan', 'zhang']
    """
    found = {folded}
    found |= {s[: -len(short)] + long for s in found for long, short in _FINALS if s.endswith(short)}
    found |= {long + s[len(short) :] for s in found for long, short in _INITIALS if s.startswith(short)}
    return {s for s in found if fold_syllable(s) == folded}
