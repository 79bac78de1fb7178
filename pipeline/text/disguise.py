"""Second step of the normaliser: key terms in disguised spelling.

A text is read as a row of *units*: a Han character, a run of components that make one, or a syllable in Latin letters;
separators between units are passed over. Units become sounds (folded pinyin), and key terms are searched as rows of
sounds. A find that is not spelt plainly is a candidate. Separators alone are undone wherever all characters are right.
Anything that goes by sound needs a lending context and must not be made of ordinary words (替代款, 等待款项, 带宽).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from ..resources import read_table
from .characters import EMOJI
from .pinyin import fold_syllable
from .tokens import spans as word_spans

SEPARATORS = frozenset("/\\|*_~`$+#.-^=·•¥ " + EMOJI)
CONTEXT_WINDOW = 12
WIDE_WINDOW, WIDE_ANCHORS = 60, 2  # this many lending words in the wider window do as well as one in the narrow one
_FIRST_SOUND = 0xF0000
_OTHER = "\x00"
_CONTEXT = re.compile(r"[贷]|借[钱款]|\d\s?万|[一二三五十百几]万|利息|征信|额度|下款|放款|到账|信用卡|月息|厘息|抵押")
_LATIN = re.compile(r"[a-z]+")
_GLOSS = re.compile(r"(?<=[一-鿿])\s?\(\s?([a-z]{1,6})\s?\)")
_URLISH = re.compile(r"[a-z0-9./:@_-]*(?:https?:|www\.|\.(?:com|cn|net|org|edu|gov)|@)[a-z0-9./:@_-]*")
_HAN = re.compile(r"[一-鿿]")


@dataclass(frozen=True, slots=True)
class Disguise:
    """A key term written otherwise: canonical-text span, term, the span of each term character, and the kind."""

    start: int
    end: int
    term: str
    spans: tuple[tuple[int, int], ...]
    kind: str


@dataclass(frozen=True, slots=True)
class _Unit:
    start: int
    end: int
    sound: str
    han: str  # the character meant, "" for a syllable in letters
    split: bool


@dataclass(frozen=True, slots=True)
class _Tables:
    terms: tuple[str, ...]
    term_set: frozenset[str]
    context_terms: frozenset[str]
    exact_terms: frozenset[str]
    sounds: dict[str, str]  # folded syllable → one private character
    fold: dict[int, str]  # Han code point → sound
    quick_fold: dict[int, str | None]  # the same, separators dropped
    by_sound: AhoCorasick
    by_spelling: AhoCorasick
    sound_terms: tuple[tuple[str, ...], ...]
    split: dict[str, str]
    sure_split: tuple[str, ...]
    split_search: re.Pattern[str]
    spellings: dict[str, str]
    doubtful: frozenset[str]
    spelling_search: AhoCorasick
    spelling_list: tuple[str, ...]
    ordinary: frozenset[str]
    common: frozenset[str]
    letters: re.Pattern[str]


@cache
def _tables() -> _Tables:
    rows = read_table("text", "keyterms.tsv")
    terms = tuple(row[0] for row in rows)
    sounds: dict[str, str] = {}
    fold: dict[int, str] = {}

    def sound(syllable: str) -> str:
        return sounds.setdefault(fold_syllable(syllable), chr(_FIRST_SOUND + len(sounds)))

    sequences: dict[str, list[str]] = {}
    for term, syllables, _ in rows:
        sequences.setdefault("".join(sound(s) for s in syllables.split()), []).append(term)
    for syllable, chars in read_table("text", "homophones.tsv"):
        fold.update(dict.fromkeys(map(ord, chars), sound(syllable)))
    for term, syllables, _ in rows:
        for char, syllable in zip(term, syllables.split(), strict=True):
            fold[ord(char)] = sound(syllable)
    split_rows = read_table("text", "split.tsv")
    split = {raw: char for raw, char, *_ in split_rows}
    spelling_rows = read_table("text", "spellings.tsv")
    spellings = {raw: term for raw, term, *_ in spelling_rows}
    spelling_list = tuple(spellings)
    quick: dict[int, str | None] = {ord(c): None for c in SEPARATORS}
    quick.update(fold)
    keys = list(sequences)
    letter_parts = sorted({s for _, syllables, _ in rows for s in syllables.split()}, key=len, reverse=True)
    return _Tables(
        terms=terms,
        term_set=frozenset(terms),
        context_terms=frozenset(row[0] for row in rows if row[2] == "context"),
        exact_terms=frozenset(row[0] for row in rows if row[2] == "exact"),
        sounds=sounds,
        fold=fold,
        quick_fold=quick,
        by_sound=_automaton(keys),
        by_spelling=_automaton(list(terms)),
        sound_terms=tuple(tuple(sequences[k]) for k in keys),
        split=split,
        sure_split=tuple(raw for raw, _, *mark in split_rows if mark == ["sure"]),
        split_search=re.compile("|".join(map(re.escape, sorted(split, key=len, reverse=True)))),
        spellings=spellings,
        doubtful=frozenset(raw for raw, _, *mark in spelling_rows if mark == ["doubtful"]),
        spelling_search=_automaton(list(spelling_list)),
        spelling_list=spelling_list,
        ordinary=frozenset(row[0] for name in ("ordinary.tsv", "names.tsv") for row in read_table("text", name)),
        common=frozenset(row[0] for row in read_table("text", "common.tsv")),
        letters=re.compile("(?:" + "|".join(letter_parts) + ")"),
    )


def _automaton(patterns: list[str]) -> AhoCorasick:
    return AhoCorasick(patterns, matchkind=MatchKind.LeftmostLongest, implementation=Implementation.ContiguousNFA)


def find_terms(text: str) -> list[tuple[int, int, str]]:
    """Key terms in plain spelling: canonical start, end, term; longest first, not overlapping."""
    tables = _tables()
    return [(s, e, tables.terms[i]) for i, s, e in tables.by_spelling.find_matches_as_indexes(text)]


def find_disguises(text: str) -> list[Disguise]:
    """Disguised key terms of a canonical text, in order, not overlapping."""
    tables = _tables()
    if not _may_hold(text, tables):
        return []
    glosses = _glosses(text)
    candidates = [c for c in _by_sound(text, tables) if not any(_overlap(c, g) for g in glosses)]
    candidates += [c for c in _by_list(text, tables) if not any(_overlap(c, d) for d in candidates)]
    plain = find_terms(text)
    accepted = [c for c in candidates if _is_sure(text, c, tables)]
    rest = [c for c in candidates if not _is_sure(text, c, tables)]
    if rest:
        urls = [m.span() for m in _URLISH.finditer(text)]
        words = word_spans(text)
        rest = [
            c
            for c in rest
            if not any(s < c.end and c.start < e for s, e in urls)
            and not _cuts_plain(text, c, plain)
            and not _is_ordinary(text, c, words, tables)
        ]
        accepted += _in_context(text, rest, plain, accepted, tables)
    accepted += glosses
    accepted.sort(key=lambda c: (c.start, -c.end))
    result: list[Disguise] = []
    for c in accepted:
        if not result or c.start >= result[-1].end:
            result.append(c)
    return result


_LENDING = frozenset("贷借款")
_SURE = frozenset({"separator", "emoji"})
# Components that never stand alone in ordinary text.
_BARE = frozenset("亻扌氵讠钅忄衤饣犭刂攵艹⺮礻纟丬夂彳辶宀冖")
_FEWEST_LETTERS, _FREE_LETTERS = 3, 5  # letters a syllable may stand in, at all and with letters beside it
_LONGEST_RUN = 60  # letters
_PINYIN_ALONE = 7  # letters of a key term that need no lending word near them (daikuan)


def _may_hold(text: str, tables: _Tables) -> bool:
    """Cheap and safe: false only if no disguise can be in ``text``."""
    plain = [tables.terms[i] for i, _, _ in tables.by_spelling.find_matches_as_indexes(text)]
    folded = text.translate(tables.quick_fold)
    heard = [tables.sound_terms[i] for i, _, _ in tables.by_sound.find_matches_as_indexes(folded)]
    if len(plain) != len(heard) or any(p not in h for p, h in zip(plain, heard, strict=True)):
        return True
    return bool(
        tables.letters.search(text)
        or tables.split_search.search(text)
        or tables.spelling_search.find_matches_as_indexes(text)
    )


def _units(text: str, tables: _Tables) -> list[_Unit]:
    units: list[_Unit] = []
    index = 0
    while index < len(text):
        char = text[index]
        for width in (3, 2):
            meant = tables.split.get(text[index : index + width])
            if meant and len(text) >= index + width:
                units.append(_Unit(index, index + width, tables.fold.get(ord(meant), _OTHER), meant, True))
                index += width
                break
        else:
            if char in SEPARATORS:
                index += 1
            elif "a" <= char <= "z":
                match = _LATIN.match(text, index)
                assert match is not None
                units.extend(_syllables(match.group(), index, tables))
                index = match.end()
            else:
                units.append(_Unit(index, index + 1, tables.fold.get(ord(char), _OTHER), char, False))
                index += 1
    return units


def _syllables(run: str, offset: int, tables: _Tables) -> list[_Unit]:
    """A run of letters as syllables of key terms, or as one unit that matches nothing."""
    whole = [_Unit(offset, offset + len(run), _OTHER, "", False)]
    if len(run) > _LONGEST_RUN:
        return whole
    best: list[list[_Unit] | None] = [None] * (len(run) + 1)
    best[0] = []
    for end in range(1, len(run) + 1):
        for start in range(max(0, end - 6), end):
            done = best[start]
            if done is None:
                continue
            code = tables.sounds.get(fold_syllable(run[start:end]))
            if code is not None and (best[end] is None or len(done) + 1 < len(best[end] or ())):
                best[end] = [*done, _Unit(offset + start, offset + end, code, "", False)]
    return best[-1] or whole


def _by_sound(text: str, tables: _Tables) -> list[Disguise]:
    units = _units(text, tables)
    heard = "".join(u.sound for u in units)
    found = []
    for pattern, first, last in tables.by_sound.find_matches_as_indexes(heard):
        run = units[first:last]
        terms = tables.sound_terms[pattern]
        term = max(terms, key=lambda t: sum(u.han == c for u, c in zip(run, t, strict=True)))
        start, end = run[0].start, run[-1].end
        if text[start:end] == term or "\n" in text[start:end]:
            continue
        kind = _kind(text[start:end], run, term)
        if term in tables.exact_terms and kind in ("homophone", "pinyin"):
            continue
        if tables.spellings.get(text[start:end]) == term:
            kind = "known_spelling"
        spans = tuple((u.start, run[i + 1].start if i + 1 < len(run) else u.end) for i, u in enumerate(run))
        found.append(Disguise(start, end, term, spans, kind))
    return found


def _kind(surface: str, run: list[_Unit], term: str) -> str:
    if any(not u.han for u in run):
        return "pinyin"
    if any(u.han != c for u, c in zip(run, term, strict=True)):
        return "homophone"
    if any(u.split for u in run):
        return "split_character"
    return "emoji" if EMOJI in surface else "separator"


def _by_list(text: str, tables: _Tables) -> list[Disguise]:
    found = []
    for pattern, start, end in tables.spelling_search.find_matches_as_indexes(text):
        raw = tables.spelling_list[pattern]
        before, after = text[start - 1 : start], text[end : end + 1]
        if raw[0].isascii() and before.isascii() and before.isalnum():
            continue
        if raw[-1].isascii() and after.isascii() and after.isalnum() and not after.isdigit():
            continue
        term = tables.spellings[raw]
        spans = tuple((start + i, start + i + 1) if len(raw) == len(term) else (start, end) for i in range(len(term)))
        found.append(Disguise(start, end, term, spans, "known_spelling"))
    return found


def _glosses(text: str) -> list[Disguise]:
    """Pinyin in brackets behind characters; two or more in one text show a habit, and are dropped."""
    matches = list(_GLOSS.finditer(text))
    if len(matches) < 2:
        return []
    return [Disguise(m.start(), m.end(), "", (), "pinyin_gloss") for m in matches]


def _cuts_plain(text: str, candidate: Disguise, plain: list[tuple[int, int, str]]) -> bool:
    """Whether the candidate would break a plainly spelt term (万|贷款), or reads a lending character as another."""
    if any(
        s < candidate.end and candidate.start < e and not (candidate.start <= s and e <= candidate.end)
        for s, e, _ in plain
    ):
        return True
    return any(
        text[s:e] in _LENDING and text[s:e] != char
        for (s, e), char in zip(candidate.spans, candidate.term, strict=True)
    )


def _is_ordinary(text: str, candidate: Disguise, words: list[tuple[int, int]], tables: _Tables) -> bool:
    """Whether the candidate's characters are taken up by ordinary words."""
    surface = text[candidate.start : candidate.end]
    listed = candidate.kind == "known_spelling"
    if candidate.kind == "pinyin" and not _HAN.search(surface):
        # A run of letters is a row of key-term syllables from end to end, or no unit at all (see ``_syllables``).
        letters = sum("a" <= c <= "z" for c in surface)
        around = text[candidate.start - 1 : candidate.start] + text[candidate.end : candidate.end + 1]
        return letters < _FEWEST_LETTERS or (letters < _FREE_LETTERS and any("a" <= c <= "z" for c in around))
    if surface in tables.ordinary and not listed:
        return True
    by_start = {span[0]: i for i, span in enumerate(candidate.spans)}
    for start, end in words:
        if end - start < 2 or end <= candidate.start or start >= candidate.end:
            continue
        word = text[start:end]
        if word in tables.term_set or not _HAN.search(word):
            continue
        inside = candidate.start <= start and end <= candidate.end
        if inside and listed:
            continue
        if inside:
            at = by_start.get(start)
            if at is not None and candidate.term[at : at + len(word)] == word:
                continue
        return True
    return False


def _is_sure(text: str, candidate: Disguise, tables: _Tables) -> bool:
    """Whether a candidate needs no lending context: all its characters are right, only cut or split."""
    if candidate.kind in _SURE:
        return True
    surface = text[candidate.start : candidate.end]
    if candidate.kind != "split_character" or len(candidate.term) < 2:
        return False
    return not _BARE.isdisjoint(surface) or any(parts in surface for parts in tables.sure_split)


def _is_doubtful(candidate: Disguise, surface: str, tables: _Tables) -> bool:
    """Whether the surface may well be ordinary text, so that one lending word near it is too little."""
    if candidate.kind == "known_spelling":
        return surface in tables.doubtful
    if candidate.kind != "homophone" or len(surface) != len(candidate.term):
        return False
    wrong = [a for a, b in zip(surface, candidate.term, strict=True) if a != b]
    return any(a in tables.common for a in wrong)


def _in_context(
    text: str, candidates: list[Disguise], plain: list[tuple[int, int, str]], sure: list[Disguise], tables: _Tables
) -> list[Disguise]:
    """The candidates that stand near enough lending words; each one accepted may speak for its neighbours."""
    anchors = {(s, e) for s, e, term in plain if term in tables.context_terms}
    anchors.update(m.span() for m in _CONTEXT.finditer(text))
    anchors.update((c.start, c.end) for c in sure if c.term in tables.context_terms)
    accepted: list[Disguise] = []
    waiting = candidates
    while waiting:
        left = []
        for c in waiting:
            peers = {
                d.term
                for d in candidates
                if d.term != c.term and d.kind != "known_spelling" and _near((d.start, d.end), c)
            }
            weight = sum(_near(span, c) for span in anchors) + len(peers)
            surface = text[c.start : c.end]
            doubtful = _is_doubtful(c, surface, tables)
            wide = sum(_near(span, c, WIDE_WINDOW) for span in anchors)
            if (
                weight >= (2 if doubtful else 1)
                or (wide >= WIDE_ANCHORS and not doubtful)
                or sum("a" <= char <= "z" for char in surface) >= _PINYIN_ALONE
            ):
                accepted.append(c)
            else:
                left.append(c)
        new = [c for c in accepted if c.term in tables.context_terms and (c.start, c.end) not in anchors]
        anchors.update((c.start, c.end) for c in new)
        if not new:
            break
        waiting = left
    return accepted


def _near(span: tuple[int, int], candidate: Disguise, window: int = CONTEXT_WINDOW) -> bool:
    start, end = span
    if start < candidate.end and candidate.start < end:
        return False
    return start - candidate.end <= window and candidate.start - end <= window


def _overlap(a: Disguise, b: Disguise) -> bool:
    return a.start < b.end and b.start < a.end
