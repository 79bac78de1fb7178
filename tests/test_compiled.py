"""The compiled scorer says what the plain one says: on the corpus, on real text where there is some, and on any text whatever."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import BENCH, REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import CheckSettings, Classifier, DataError, InputError, ModelError, UsageError, Verdict
from pipeline.compiled import CompiledClassifier, load_compiled
from pipeline.compiled import fields as f
from pipeline.compiled.entries import entries
from pipeline.compiled.folding import build_folding
from pipeline.compiled.jit import entry
from pipeline.compiled.matcher import classify, find
from pipeline.compiled.memory import Book
from pipeline.compiled.regex import compile_patterns
from pipeline.compiled.segmentation import cut_words, load_dictionary
from pipeline.compiled.trie import Builder, code_points
from pipeline.evaluation.attacks import ATTACKS, attack
from pipeline.model.artefact import load_artefact
from pipeline.resources import default_model_path, read_table
from pipeline.text.characters import canonical_of
from pipeline.text.pinyin import fold_syllable, spellings_of
from pipeline.text.tokens import words

TOLERANCE = 1e-6
WEIGHT_TOLERANCE = 1.01e-4  # weights are rounded to four places
MANY = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(scope="module")
def compiled() -> CompiledClassifier:
    return load_compiled()


def differences(plain: Verdict, other: Verdict) -> list[str]:
    """Names of the fields in which two verdicts differ by more than rounding."""
    found = []
    for name in Verdict.__slots__:
        a, b = getattr(plain, name), getattr(other, name)
        if name == "p_misleading":
            same = abs(a - b) <= TOLERANCE
        elif name == "codes":
            same = [(c.code, c.severity) for c in a] == [(c.code, c.severity) for c in b]
            same = same and all(abs(c.p - d.p) <= TOLERANCE for c, d in zip(a, b, strict=True))
        elif name == "evidence":
            same = [replace(e, weight=0.0) for e in a] == [replace(e, weight=0.0) for e in b]
            same = same and all(abs(c.weight - d.weight) <= WEIGHT_TOLERANCE for c, d in zip(a, b, strict=True))
        else:
            same = a == b
        if not same:
            found.append(f"{name}: {a} / {b}")
    return found


def assert_same(plain: Classifier, compiled: CompiledClassifier, texts: list[str], **how: object) -> None:
    for text, a, b in zip(texts, plain.check_many(texts, **how), compiled.verdicts(texts, **how), strict=True):
        assert not differences(a, b), text


def rows(path: Path) -> list[str]:
    body = path.read_bytes()
    lines = (gzip.decompress(body) if path.suffix == ".gz" else body).decode("utf-8").split("\n")
    return [json.loads(line)["text"] for line in lines if line]


CORPUS = [text for path in sorted((REPOSITORY / "data" / "corpus").glob("*.jsonl")) for text in rows(path)]


# ---------------------------------------------------------------- equality


def test_corpus(classifier: Classifier, compiled: CompiledClassifier) -> None:
    assert_same(classifier, compiled, CORPUS[::5])


@pytest.mark.parametrize("name", ATTACKS)
def test_attacked_texts(classifier: Classifier, compiled: CompiledClassifier, name: str) -> None:
    assert_same(classifier, compiled, [attack(name, text) for text in CORPUS[::150]])


def test_disguises_one_by_one(classifier: Classifier, compiled: CompiledClassifier) -> None:
    """Each term by sound, split and in letters, with no lending word near it, a far one, a near one, two far ones."""
    texts = []
    for term, syllables in zip(TERMS, SYLLABLES, strict=True):
        heard = "".join(SOUNDS.get(char, char)[0] for char in term)
        ways = (
            heard,
            "".join(SPLITS.get(char, char) for char in term),
            syllables.replace(" ", ""),
            term[0] + heard[1:],
        )
        for way in ways:
            texts += [f"口子{'今天去看看天气。' * n}{a}{way}{b}" for n in (1, 3) for a, b in CONTEXTS]
    for raw in SPELLINGS:
        texts += [f"口子{'今天去看看天气。' * n}{a}{raw}{b}" for n in (1, 3) for a, b in CONTEXTS]
    assert_same(classifier, compiled, texts)


def test_long_texts_with_many_windows(classifier: Classifier, compiled: CompiledClassifier) -> None:
    pages = ["\n".join(CORPUS[i : i + 9]) for i in range(0, len(CORPUS), 170)]
    pages += [CORPUS[3] * 12, "口子" * 300, "贷" * 500, "。".join(CORPUS[:4]) * 4]
    assert_same(classifier, compiled, pages)


@pytest.mark.parametrize("point", ["high_precision", "balanced", "high_recall"])
def test_settings_and_channels(classifier: Classifier, compiled: CompiledClassifier, point: str) -> None:
    how = CheckSettings(operating_point=point, fail_on="borderline", date=date(2020, 6, 1))
    assert_same(classifier, compiled, CORPUS[::60], settings=how)
    assert_same(classifier, compiled, CORPUS[1::60], settings=how, channel="ugc_question")
    assert_same(classifier, compiled, CORPUS[2::60], settings=replace(how, explain=False))


def test_spans_that_hold_just_the_share_asked_for(classifier: Classifier, compiled: CompiledClassifier) -> None:
    """One span of the text weighs four times another, which sums in other orders give only up to their last bits."""
    how = CheckSettings(operating_point="high_recall")
    texts = [
        f"{a}{b * 4}。{b}" for a in ("", "小贷小贷。小贷。", "口子。", "贷款吗。") for b in ("几千", *CLASS_TERMS[::40])
    ]
    assert_same(classifier, compiled, texts, settings=how)
    weights = [e.weight for e in compiled.check("小贷小贷。小贷。几千几千几千几千。几千", how).evidence]
    assert weights == [0.2023, 0.0506]


@pytest.mark.skipif(not BENCH.is_dir(), reason="the bench of real text does not lie beside the repository")
def test_real_text(classifier: Classifier, compiled: CompiledClassifier) -> None:
    assert_same(classifier, compiled, rows(BENCH / "dev.jsonl"))
    assert_same(classifier, compiled, rows(BENCH / "ordinary.jsonl.gz")[::7])


# Text made of what the scorer looks at: terms, their disguises, patterns, separators, other scripts, anything.
TERMS = [row[0] for row in read_table("text", "keyterms.tsv")]
SYLLABLES = [row[1] for row in read_table("text", "keyterms.tsv")]
CLASS_TERMS = [term for row in read_table("lexicon", "classes.tsv") for term in row[1].split()]
SOUNDS = {char: row[1] for row in read_table("text", "homophones.tsv") for char in row[1]}
SPELLINGS = [row[0] for row in read_table("text", "spellings.tsv")]
CONTEXTS = [("", ""), ("额度", ""), ("利息", "信用卡"), ("额度" + "去" * 20, "去" * 20 + "利息"), ("看", "征信")]
COMMON = [row[0] for row in read_table("text", "common.tsv")]
SPLITS = {row[1]: row[0] for row in read_table("text", "split.tsv")}
TRADITIONAL = {simple: raw for raw, simple in read_table("text", "traditional.tsv")}
SEPARATORS = [
    "",
    "/",
    "*",
    ".",
    "-",
    " ",
    "_",
    "·",
    "¥",
    "😀",
    "💰👍🏽",
    "\u200b",
    "\ufe0f",
    "\u200d",
    "\u202e",
    "\n",
    "+",
]
ODD = [
    "\0",
    "\x85",
    "\u2028",
    "\u3000",
    "\ufeff",
    "\ue000",
    "\uffff",
    "\U0010ffff",
    "\U000f0000",
    "𝓓",
    "ﷺ",
    "㌀",
    "Å",
    "ß",
    "İ",
]
ODD += ["①", "２", "٣", "ǆ", "가", "ᄀ", "𠀀", "㐀", "豈", "é", "е", "〇", "❶", "￤", "²", "㎡", "⃣", "Ⅷ", "ŉ"]
SAID = [
    "3-5万",
    "月息0.5%",
    "1000元",
    "5分钟",
    "7天",
    "13800000000",
    "微信abc12345",
    "2026年",
    "芝麻分600",
    "某某银行",
    "【平台】",
]
SAID += [
    "“低息”",
    "年化利率12%",
    "借5000到手3500",
    "扣30%",
    "贷款口子/哪里/贷款口子",
    "http://a.com/kuan",
    "dai@qq.com",
    "港币",
    "当铺",
]


@st.composite
def disguised(draw: st.DrawFn) -> str:
    number = draw(st.integers(0, len(TERMS) - 1))
    term = TERMS[number]
    parts = []
    for char, syllable in zip(term, SYLLABLES[number].split(), strict=True):
        way = draw(st.integers(0, 7))
        if way == 0:
            char = draw(st.sampled_from(SOUNDS.get(char, char)))
        elif way == 1:
            char = syllable
        elif way == 2:
            char = TRADITIONAL.get(char, char)
        elif way == 3:
            char += f"({syllable})"
        elif way == 4:
            char = draw(st.sampled_from(COMMON))
        elif way == 5:
            char = SPLITS.get(char, char)
        parts.append(char + draw(st.sampled_from(SEPARATORS)))
    return "".join(parts)


PIECE = st.one_of(
    st.sampled_from(TERMS),
    disguised(),
    st.sampled_from(SPELLINGS),
    st.sampled_from([row[0] for row in read_table("text", "split.tsv")]),
    st.sampled_from([row[0] for row in read_table("text", "variants.tsv")]),
    st.sampled_from([row[0] for row in read_table("text", "ordinary.tsv")]),
    st.sampled_from(CLASS_TERMS),
    st.sampled_from(SAID),
    st.sampled_from(ODD),
    st.sampled_from(SEPARATORS),
    st.sampled_from(["。", "!", "？", ";", ",", "、", "...", "（", "）", " "]),
    st.text(max_size=3),
    st.text(alphabet="daikuanexyog", max_size=9),
    st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=4),
    st.builds(lambda text, a, n: text[a : a + n], st.sampled_from(CORPUS), st.integers(0, 60), st.integers(1, 40)),
)
TEXT = st.one_of(
    st.text(),
    st.lists(PIECE, max_size=12).map("".join),
    st.lists(PIECE, min_size=20, max_size=70).map("".join),
    st.builds(
        lambda text, at, piece: text[:at] + piece + text[at:], st.sampled_from(CORPUS), st.integers(0, 80), PIECE
    ),
)


@MANY
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_any_text(classifier: Classifier, compiled: CompiledClassifier, texts: list[str]) -> None:
    assert_same(classifier, compiled, texts)


def test_every_code_point_folds_as_in_the_reference() -> None:
    folding = build_folding()
    starts = folding.expansion_starts.tolist()
    expansion = "".join(map(chr, folding.expansion.tolist()))
    for code, folded in enumerate(folding.fold.tolist()):
        if folded >= 0:
            given = chr(folded)
        else:
            given = "" if folded == -1 else expansion[starts[-2 - folded] : starts[-1 - folded]]
        if given != chr(code) or code < 0x40000 or code >= 0xE0000 or code % 97 == 0:
            assert given == canonical_of(chr(code)), hex(code)


def test_canonical_form_does_not_depend_on_what_was_read_before() -> None:
    code = (
        "from pipeline.text.characters import canonicalise as c; a = c('\u212b\uffe4')[0]; c('\xe5\xa6'); "
        "assert a == c('\u212b\uffe4')[0], a"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@given(st.from_regex(r"[a-z]{1,6}", fullmatch=True))
def test_spellings_of_a_syllable_are_those_that_fold_to_it(syllable: str) -> None:
    assert syllable in spellings_of(fold_syllable(syllable))


# ---------------------------------------------------------------- words


@pytest.fixture(scope="module")
def cut():
    made = entries()
    book = Book(f.FIELDS)
    load_dictionary(Builder(made.insert, made.rehash)).enter(book)

    def run(address: int, text: int, length: int, ends: int, best: int, following: int, chosen: int) -> None:
        cut_words(address, text, length, ends, best, following, chosen)

    compiled = entry(run, cache=False)

    def words_of(text: str) -> list[str]:
        chars = code_points(text)
        ends = np.zeros(len(chars) + 1, dtype=np.int32)
        best, (following, chosen) = np.zeros(len(chars) + 1), np.zeros((2, len(chars) + 1), dtype=np.int32)
        scratch = (array.ctypes.data for array in (ends, best, following, chosen))
        compiled(book.address, chars.ctypes.data, len(chars), *scratch)
        found, at = [], 0
        while at < len(text):
            found.append(text[at : ends[at]])
            at = ends[at]
        return found

    return words_of


@MANY
@given(st.one_of(TEXT, st.text(alphabet="赞哈的了我款借不"), st.text(alphabet="a1贷.-+#&_%Bé")))
def test_words_are_those_of_the_reference(cut, text: str) -> None:
    text = text.replace("\r", "")  # the canonical text has none
    assert cut(text) == words(text)


# ---------------------------------------------------------------- patterns


class Finder:
    """``finditer`` of a pattern by the compiled matcher."""

    def __init__(self) -> None:
        def run(book: int, text: int, length: int, kinds: int, stack: int, spans: int) -> int:
            classify(book, text, length, kinds)
            return find(book, 0, text, kinds, length, stack, spans)

        self._run = entry(run, cache=False)

    def __call__(self, pattern: str, text: str) -> list[tuple[int, int]]:
        regex = compile_patterns([("here", pattern)])
        book = Book(f.FIELDS)
        regex.enter(book)
        chars = code_points(text)
        kinds = np.zeros(len(chars) + 1, dtype=np.int32)
        stack = np.zeros(4 * regex.stack_rows + 2 * regex.groups + 4, dtype=np.int64)
        spans = np.zeros(2 * len(chars) + 2, dtype=np.int32)
        count = self._run(
            book.address, chars.ctypes.data, len(chars), kinds.ctypes.data, stack.ctypes.data, spans.ctypes.data
        )
        return [(int(s), int(e)) for s, e in spans[: 2 * count].reshape(-1, 2)]


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder()


PATTERNS = [row[1] for row in read_table("lexicon", "patterns.tsv")] + [
    r"a|ab",
    r"(?:a|ab)(?:c|bcd)",
    r"a{2,3}?b?",
    r"(?:ab){1,3}a",
    r"(?:ab){1,3}?a",
    r"(a|b)\1",
    r"([ab]{1,3})-\1",
    r"a(?!b|cc)",
    r"(?<=ab)c",
    r"(?<!a)b",
    r"a.c",
    r"[^a\n]b",
    r"\d+\s?\w",
    r"\D\S\W",
    r"(?:a?b?){0,2}c",
    r"(?:a?b?){2}c?d",
    r"x*y",
    r"(?:(?:a|b)c?){2}d",
    r"[a-c]+?c",
]


@MANY
@given(
    st.sampled_from(PATTERNS), TEXT | st.text(alphabet="abcdxy-1 \n") | st.text(alphabet="一万元3.-~天日到借下千%月息")
)
def test_patterns_match_as_in_python(finder: Finder, pattern: str, text: str) -> None:
    assert finder(pattern, text) == [m.span() for m in re.finditer(pattern, text)]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(?i)贷", "flags"),
        (r"(?i:贷)款", "flags"),
        (r"^贷", "at"),
        (r"贷\b", "at"),
        (r"贷*", "nothing"),
        (r"(?:贷款)+", "without bound"),
        (r"贷(?=款+)", "fixed rows"),
        (r"(?>贷)款", "atomic"),
        (r"贷++款", "possessive"),
        (r"(借)?贷(?(1)款|钱)", "groupref exists"),
        (r"(?:(?:贷款){99}){99}", "too long"),
    ],
)
def test_pattern_outside_the_subset_is_refused(pattern: str, reason: str) -> None:
    assert re.compile(pattern)
    with pytest.raises(DataError, match=rf"E_DATA_PATTERN.*data/x\.tsv.*{reason}"):
        compile_patterns([("data/x.tsv", pattern)])


# ---------------------------------------------------------------- columns and inputs


def test_columns_agree_with_verdicts(compiled: CompiledClassifier) -> None:
    texts = [*CORPUS[:200], "", "今天天气很好", "口/子大全,征❤信花也能下kuan"]
    columns = compiled.score(texts)
    verdicts = compiled.verdicts(texts)
    assert len(columns) == len(texts)
    assert columns.severity.tolist() == [v.severity for v in verdicts]
    assert columns.probabilities[:, 1].tolist() == [v.p_misleading for v in verdicts]
    assert (np.diff(columns.probabilities, axis=1) <= 0).all()
    assert [columns.stance_names[i] for i in columns.stance] == [v.stance for v in verdicts]
    assert [columns.action_names[i] for i in columns.action] == [v.action for v in verdicts]
    assert columns.flagged.tolist() == [v.flagged for v in verdicts]
    for i, verdict in enumerate(verdicts):
        assert {n for k, n in enumerate(columns.code_names) if columns.codes[i] >> k & 1} == {
            c.code for c in verdict.codes
        }
    spans = zip(
        columns.evidence.text.tolist(), columns.evidence.start.tolist(), columns.evidence.end.tolist(), strict=True
    )
    assert [texts[t][s:e] for t, s, e in spans] == [e.raw for v in verdicts for e in v.evidence]
    assert len(columns.evasions) == sum(len(v.evasions) for v in verdicts) > 0
    assert columns.gated[-2]
    assert set(columns.scored.tolist()) == set(np.flatnonzero(~columns.gated).tolist())


def test_arrow_arrays_give_what_lists_give(compiled: CompiledClassifier) -> None:
    texts = ["不看征信的口子", "", "😀贷款é", "今天", "有身份证就能下款" * 20, "花户也能下"] * 40
    wanted = compiled.score(texts)
    array = pa.array(texts)
    inputs = {
        "string": array,
        "large": array.cast(pa.large_string()),
        "view": array.cast(pa.string_view()),
        "dictionary": array.dictionary_encode(),
        "sliced": pa.array(["前", *texts, "后"]).slice(1, len(texts)),
        "chunked": pa.chunked_array([array[:7], array[7:7], array[7:]]),
        "nulls": pa.array([t or None for t in texts]),
    }
    for name, texts_given in inputs.items():
        columns = compiled.score(texts_given)
        assert columns.severity.tolist() == wanted.severity.tolist(), name
        assert np.array_equal(columns.probabilities, wanted.probabilities), name
        assert columns.evidence.start.tolist() == wanted.evidence.start.tolist(), name
        assert columns.evidence.canonical == wanted.evidence.canonical, name


def test_empty_batches(compiled: CompiledClassifier) -> None:
    for nothing in ([], pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        assert len(compiled.score(nothing)) == 0
    assert compiled.check_many([]) == []


def test_arrow_array_with_broken_utf8_is_refused(compiled: CompiledClassifier) -> None:
    offsets, data = pa.py_buffer(np.array([0, 3], dtype=np.int32)), pa.py_buffer(b"\xe8\xb4\xff")
    with pytest.raises(InputError, match="E_INPUT_ENCODING"):
        compiled.score(pa.Array.from_buffers(pa.string(), 1, [None, offsets, data]))


def test_batches_are_cut_without_a_seam(compiled: CompiledClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [CORPUS[i % len(CORPUS)] for i in range(150)]
    whole = compiled.verdicts(texts)
    monkeypatch.setattr("pipeline.compiled.batches.MOST_TEXTS", 16)
    monkeypatch.setattr("pipeline.compiled.batches.MOST_CHARS", 500)
    assert compiled.verdicts(texts) == whole
    assert compiled.score(pa.array(texts)).severity.tolist() == [v.severity for v in whole]


def test_texts_that_wait_for_each_other(classifier: Classifier, compiled: CompiledClassifier) -> None:
    disguised = "需要资金周转的朋友看过来,不看征-信当天下款,加薇信13800000000了解。"
    plain = "不看征信的口子,当天下款,花呗套现秒到账。今天天气不错,我们去公园散步。"
    assert classifier.check(disguised).evasions
    # Long ones that wait together take all the room there is for them; what is undone again then stands behind them.
    batch = [disguised * 60, plain * 100, plain * 150, "天气很好。", disguised, "\u200b" * 50 + plain]
    assert_same(classifier, compiled, batch)
    # More than wait at a time, and one that grows beyond any room behind some that wait.
    assert_same(classifier, compiled, [plain, disguised, "天气很好。"] * 150)
    assert_same(classifier, compiled, [plain, disguised, "天气很好。", "ﷺ" * 2000 + plain, disguised])


def test_a_channel_for_each_text(classifier: Classifier, compiled: CompiledClassifier) -> None:
    texts = CORPUS[:60]
    channels = [None, "ugc_question", "web"] * 20
    wanted = [classifier.check(t, channel=c).severity for t, c in zip(texts, channels, strict=True)]
    assert compiled.score(texts, channel=channels).severity.tolist() == wanted
    with pytest.raises(UsageError, match="2 channels for 60 texts"):
        compiled.score(texts, channel=["web", "web"])


def test_text_that_grows_beyond_any_room(classifier: Classifier, compiled: CompiledClassifier) -> None:
    assert_same(classifier, compiled, ["ﷺ" * 2000 + "贷款口子", "㌀" * 300 + "不看征信", "\u200b" * 3000 + "贷"])


def test_lone_surrogates_vanish(compiled: CompiledClassifier) -> None:
    assert compiled.check("不看征\ud800信的口子").severity == compiled.check("不看征信的口子").severity


def test_it_is_a_classifier(classifier: Classifier, compiled: CompiledClassifier) -> None:
    assert isinstance(compiled, Classifier)
    assert (compiled.version, compiled.artefact.heads) == (classifier.version, classifier.artefact.heads)
    given = compiled.check("不看征信的口子", id="x", channel="web")
    assert not differences(classifier.check("不看征信的口子", id="x", channel="web"), given)


# ---------------------------------------------------------------- threads, models, the cache


def test_threads_do_not_disturb_each_other(compiled: CompiledClassifier) -> None:
    parts = [CORPUS[i::8][:120] for i in range(8)]
    wanted = [compiled.verdicts(part) for part in parts]
    given: list[list[Verdict]] = [[] for _ in parts]

    def work(number: int) -> None:
        for _ in range(5):
            given[number] = compiled.verdicts(parts[number])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == wanted


def test_model_of_another_shape() -> None:
    """Heads in another order and one more, other windows, shorter n-grams."""
    artefact = load_artefact(default_model_path())
    old = list(range(len(artefact.heads)))
    order = [*old[::-1], old[3]]
    width = len(old)
    weights = [artefact.weights[row * width + h] for row in range(len(artefact.vocabulary)) for h in order]
    names = [artefact.heads[h] for h in old[::-1]] + ["code:of_old"]
    windows = replace(artefact.settings.window, whole=30, target=25, stride=11)
    changed = replace(
        artefact,
        heads=tuple(names),
        bias=tuple(artefact.bias[h] for h in order),
        calibration=tuple(artefact.calibration[h] for h in order),
        weights=type(artefact.weights)("f", weights),
        settings=replace(artefact.settings, longest_gram=2, near=1, window=windows, frames=("WARN", "HOLE")),
        gate=("口", "贷款"),
    )
    assert_same(Classifier(changed), CompiledClassifier(changed), CORPUS[::40])


def test_model_without_a_head_that_verdicts_need() -> None:
    artefact = load_artefact(default_model_path())
    names = tuple("code:other" if head == "code:cash_out" else head for head in artefact.heads)
    with pytest.raises(ModelError, match="no head 'code:cash_out'"):
        CompiledClassifier(replace(artefact, heads=names))


def test_other_scores_than_the_plain_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.compiled import classifier as module

    def lower(book: Book, artefact: object) -> None:
        module_enter(book, artefact)
        book.number(f.NEAR, 0)
        book.number(f.LONGEST_GRAM, 1)

    module_enter = module.enter_model
    monkeypatch.setattr(module, "enter_model", lower)
    with pytest.raises(ModelError, match="E_MODEL_COMPILED"):
        CompiledClassifier(load_artefact(default_model_path()))


TINY = """
import numba
import numpy as np
from pipeline.compiled.jit import entry
from pipeline.compiled.trie import rehash

def outer(old, new):
    return rehash(old, new)

try:
    numba.njit(cache=True)(outer)
except RuntimeError as error:
    print(error)
print("result", entry(outer, cache=True)(np.ones(16, dtype=np.int64), np.zeros(16, dtype=np.int64)))
"""


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "__pycache__"
    blocked.write_text("not a directory")
    script = tmp_path / "tiny.py"
    script.write_text(TINY, encoding="utf-8")
    places = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), str(blocked / "cache"))
    environment = os.environ | places | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no locator available" in done.stdout
    assert "result 0" in done.stdout


def test_entries_are_compiled_anew_where_the_cache_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.compiled import entries as module

    asked = []

    class Broken:
        def insert(self, *_: object) -> int:
            raise OSError("damaged")

        judge = rehash = insert

    def make(digest: str, *, cached: bool) -> object:
        asked.append(cached)
        return Broken() if cached else entries()

    monkeypatch.setattr(module, "_make", make)
    assert module.entries.__wrapped__() is entries()
    assert asked == [True, False]


def test_without_numba_the_reason_is_given() -> None:
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from pipeline import UsageError\n"
        "try:\n    from pipeline.compiled import load_compiled\n"
        "except UsageError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "E_USAGE_EXTRA" in done.stdout, done.stderr
    assert "loanlint[fast]" in done.stdout


def test_the_plain_scorer_imports_nothing_of_it() -> None:
    code = "import sys; from pipeline import load; load().check('口子'); sys.exit('numba' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
