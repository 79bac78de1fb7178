"""Attacks: texts written in the disguises that advertisers use, to see how much recall they cost.

Each attack rewrites a text; which words and characters it picks depends on the text alone, so that a run can be repeated. Its
tables (``data/attacks``) come from other sources than the normaliser's (``data/text``): see ``attack_tables``.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..classifier import Classifier
from ..resources import read_table
from .attack_tables import keywords
from .bench import BenchRow

Change = Callable[[str, random.Random], str]

_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"
_SEPARATORS = "/*.-_~|·+ "
_EMOJI = "🌟💰🔥❤✨💵🉑➕"
_GLYPHS = {"款": "歀欵", "贷": "貸代", "征": "徴徵", "钱": "銭錢", "无": "无旡兂", "口": "囗口", "微": "嶶溦", "额": "頟額", "卡": "咔", "抵": "柢牴", "带": "帯", "息": "熄", "信": "信", "银": "艮银", "身": "身", "秒": "杪"}  # fmt: skip
_DIGITS = {"0": "0⓪零", "1": "①1壹", "2": "②2贰", "3": "③3叁", "4": "④4肆", "5": "⑤5伍", "6": "⑥6陆", "7": "⑦7柒", "8": "⑧8捌", "9": "⑨9玖"}  # fmt: skip
# Harmless prose to hide an advertisement in; written for this purpose, without a word of lending.
_PADDING = (
    "周末带孩子去湿地公园看候鸟,风有点大,记得多穿一件外套。",
    "这家面馆的汤底熬了六个小时,牛肉给得实在,中午去要排队。",
    "阳台上的绣球今年开了十七朵,浇水要避开正午,不然叶子会打卷。",
    "昨晚的球赛踢到加时,守门员扑出两个点球,全场都站起来了。",
    "老城区的图书馆重新开放,三楼新设了自习室,需要提前一天预约座位。",
    "学会蒸鱼其实只要记住两点:水开再上锅,出锅才淋油。",
    "山里的早晨很静,雾从谷底慢慢升上来,把半个村子都盖住了。",
    "手机电池用了三年不太行了,换了一块之后又能撑一整天。",
    "今年的梅雨比往年晚了一周,衣服晾在屋里总是不干。",
    "表姐寄来两箱橙子,皮薄汁多,分了一半给楼下的邻居。",
)


@cache
def _map(name: str) -> dict[str, str]:
    return {row[0]: row[1] for row in read_table("attacks", f"{name}.tsv")}


@cache
def _words() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, keywords())))


def _in_words(text: str, change: Callable[[str], str]) -> str:
    """``text`` with every keyword rewritten."""
    return _words().sub(lambda m: change(m.group()), text)


def _joined(marks: str) -> Change:
    def change(text: str, rng: random.Random) -> str:
        return _in_words(text, lambda word: "".join(c + rng.choice(marks) for c in word[:-1]) + word[-1])

    return change


def _swapped(table: Callable[[], Mapping[str, str]], share: float, *, whole: bool = False) -> Change:
    """Characters of keywords replaced; ``whole`` takes one table row as one replacement."""

    def change(text: str, rng: random.Random) -> str:
        known = table()

        def one(char: str) -> str:
            if char not in known or rng.random() >= share:
                return char
            return known[char] if whole else rng.choice(known[char])

        return _in_words(text, lambda word: "".join(map(one, word)))

    return change


def _full_width(text: str, rng: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _traditional(text: str, rng: random.Random) -> str:
    table = _map("traditional")
    return "".join(table.get(c, c) for c in text)


def _split(text: str, rng: random.Random) -> str:
    table = _map("split")
    return _in_words(text, lambda w: "".join(rng.choice(table[c].split()) if c in table else c for c in w))


def _pinyin(text: str, rng: random.Random) -> str:
    table = _map("pinyin")
    return _in_words(text, lambda word: "".join(table.get(c, c) for c in word))


def _pinyin_half(text: str, rng: random.Random) -> str:
    table = _map("pinyin")

    def change(word: str) -> str:
        at = rng.randrange(len(word))
        return word[:at] + table.get(word[at], word[at]) + word[at + 1 :]

    return _in_words(text, change)


def _initials(text: str, rng: random.Random) -> str:
    table = _map("pinyin")
    return _in_words(text, lambda word: "".join(table.get(c, c)[0] for c in word) if len(word) == 2 else word)


def _digits(text: str, rng: random.Random) -> str:
    return "".join(rng.choice(_DIGITS[c]) if c in _DIGITS else c for c in text)


def _padded(times: int) -> Change:
    def change(text: str, rng: random.Random) -> str:
        before: list[str] = []
        after: list[str] = []
        size = 0
        while size < times * len(text):
            sentence = rng.choice(_PADDING)
            (before if rng.random() < 0.5 else after).append(sentence)
            size += len(sentence)
        return "".join(before) + text + "".join(after)

    return change


def _mixed(text: str, rng: random.Random) -> str:
    for name in rng.sample(["zero_width", "separators", "glyphs", "homophones_half", "split", "emoji", "digits"], 3):
        text = ATTACKS[name](text, rng)
    return text


ATTACKS: Mapping[str, Change] = {
    "zero_width": _joined(_ZERO_WIDTH),
    "separators": _joined(_SEPARATORS),
    "full_width": _full_width,
    "traditional": _traditional,
    "split": _split,
    "glyphs": _swapped(lambda: _GLYPHS, 1.0),
    "homophones_half": _swapped(lambda: _map("homophones"), 0.5),
    "homophones_all": _swapped(lambda: _map("homophones"), 1.0),
    "near_homophones": _swapped(lambda: _map("near_homophones"), 1.0),
    "pinyin": _pinyin,
    "pinyin_half": _pinyin_half,
    "initials": _initials,
    "digits": _digits,
    "emoji": _joined(_EMOJI),
    "padding_x2": _padded(2),
    "padding_x5": _padded(5),
    "mixed": _mixed,
}
# Share of the clean recall that is to remain; what the product promises.
GOALS: Mapping[str, float] = {
    "zero_width": 0.98, "separators": 0.98, "full_width": 0.98, "traditional": 0.98, "split": 0.95, "glyphs": 0.95,
    "homophones_half": 0.90, "homophones_all": 0.90, "pinyin": 0.80, "padding_x2": 0.90, "padding_x5": 0.90,
}  # fmt: skip


def attack(name: str, text: str, seed: int = 0) -> str:
    """``text`` under an attack; the same text and seed give the same result."""
    digest = hashlib.sha256(f"{seed}\0{name}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return ATTACKS[name](text, random.Random(digest))


@dataclass(frozen=True, slots=True)
class AttackResult:
    """What an attack cost.

    ``recall`` and ``false_positive_rate`` at the balanced operating point; ``kept`` is recall
    as a share of the clean recall; ``changed`` the share of positive texts that the attack altered.
    """

    name: str
    changed: float
    recall: float
    kept: float
    false_positive_rate: float
    goal: float | None


def run_attacks(
    rows: Sequence[BenchRow], classifier: Classifier, names: Sequence[str] = tuple(ATTACKS)
) -> list[AttackResult]:
    """Every attack on the rows of severity ≥ 2 and 0; the first result is the clean text."""
    threshold = classifier.artefact.operating_points["balanced"].thresholds[1]
    positive = [r.text for r in rows if r.severity >= 2]
    negative = [r.text for r in rows if r.severity == 0]

    def flagged(texts: Sequence[str]) -> float:
        hits = [classifier.judge(t).probabilities[1] >= threshold for t in texts]
        return float(np.mean(hits)) if hits else float("nan")

    clean = flagged(positive)
    results = [AttackResult("clean", 0.0, clean, 1.0, flagged(negative), None)]
    for name in names:
        attacked = [attack(name, t) for t in positive]
        recall = flagged(attacked)
        results.append(
            AttackResult(
                name,
                float(np.mean([a != t for a, t in zip(attacked, positive, strict=True)])) if positive else float("nan"),
                recall,
                recall / clean if clean else float("nan"),
                flagged([attack(name, t) for t in negative]),
                GOALS.get(name),
            )
        )
    return results
