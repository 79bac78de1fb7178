"""Verdicts as columns: the same as the objects say, whatever the texts are made of and however Arrow holds them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from batch_support import AD, CLEAN, DISGUISED, WARNING
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from pipeline import CheckSettings
from pipeline.batch import Scorer, Summary, load_scorer, verdict_schema
from pipeline.batch.details import rounded
from pipeline.batch.summary import _hosts, host_of
from pipeline.batch.table import scored_of, texts_of, verdict_arrays
from pipeline.compiled import CompiledClassifier, Strings, load_compiled
from pipeline.compiled.trie import code_points

TEXTS = [
    CLEAN,
    AD,
    "",
    "😀" + AD + "🀄𠀀",
    "不看😀征信,黑😀户秒👍🏽下款",
    DISGUISED,
    WARNING,
    "é café ß " + AD,
    "𝟏𝟎𝟎%下款,𝒏o征信,加薇❤️信abc",
    "é",
]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(engine="compiled")


@pytest.fixture(scope="module")
def compiled() -> CompiledClassifier:
    return load_compiled()


def table_of(scorer: Scorer, texts: Any) -> pa.RecordBatch:
    scored = scorer.score(texts, columns=True)
    batch = pa.RecordBatch.from_arrays(verdict_arrays(scored), schema=verdict_schema())
    batch.validate(full=True)
    return batch


def held(array: pa.Array) -> dict[str, pa.Array]:
    """The same texts, as Arrow may hold them."""
    none = pa.array([None, *array.to_pylist(), "后"])
    return {
        "string": array,
        "large": array.cast(pa.large_string()),
        "view": array.cast(pa.string_view()),
        "dictionary": array.dictionary_encode(),
        "sliced": none.slice(1, len(array)),
        "sliced large": none.cast(pa.large_string()).slice(1, len(array)),
        "nulls": pa.array([text or None for text in array.to_pylist()]),
    }


@pytest.mark.parametrize("kind", list(held(pa.array(TEXTS))))
def test_columns_say_what_the_objects_say(scorer: Scorer, kind: str) -> None:
    texts = texts_of(held(pa.array(TEXTS * 3))[kind])
    objects = scorer.score(TEXTS * 3)
    found = scored_of(table_of(scorer, texts))
    assert found == objects
    evidence = [(row, e) for row, v in zip(objects.rows, objects.verdicts, strict=True) for e in v.evidence]
    assert any(ord(max(e.raw)) > 0xFFFF for _, e in evidence)
    assert [e.raw for _, e in evidence] == [(TEXTS * 3)[row][e.start : e.end] for row, e in evidence]


def test_verdicts_are_those_of_the_classifier(scorer: Scorer, compiled: CompiledClassifier) -> None:
    expected = compiled.verdicts(TEXTS)
    scored = scorer.score(TEXTS, columns=True)
    for row, found in zip(scored.rows, scored.verdicts, strict=True):
        assert (found.codes, found.evidence) == (expected[row].codes, expected[row].evidence)
    assert max(len(v.codes) for v in scored.verdicts) > 2


@pytest.mark.parametrize("texts", [[], [""], [CLEAN], ["", CLEAN, ""], [AD], ["", AD]])
def test_columns_of_few_texts(scorer: Scorer, texts: list[str]) -> None:
    table = table_of(scorer, pa.array(texts, type=pa.string()))
    objects = scorer.score(texts)
    expected = [objects.quiet] * len(texts)
    for row, verdict in zip(objects.rows, objects.verdicts, strict=True):
        expected[row] = verdict
    assert table.column("p_misleading").to_pylist() == [v.p_misleading for v in expected]
    for name in ("codes", "evidence"):
        assert table.column(name).to_pylist() == [
            [{f: getattr(part, f) for f in part.__slots__} for part in getattr(v, name)] for v in expected
        ]


def test_columns_without_evidence(compiled: CompiledClassifier) -> None:
    columns = compiled.score([AD, CLEAN], CheckSettings(explain=False))
    assert columns.severity[0] >= 2
    assert columns.evidence.canonical == columns.evidence.raw_strings.values == []


def test_a_batch_cut_in_pieces_has_the_same_evidence(
    compiled: CompiledClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compiled.score(TEXTS).evidence
    monkeypatch.setattr("pipeline.compiled.batches.MOST_TEXTS", 2)
    for texts in (TEXTS, pa.array(TEXTS)):
        pieces = compiled.score(texts).evidence
        assert pieces.text.tolist() == whole.text.tolist()
        assert pieces.canonical == whole.canonical
        assert pieces.raw_strings.values == whole.raw_strings.values


def test_probabilities_of_single_codes_are_those_of_all(compiled: CompiledClassifier) -> None:
    columns = compiled.score(TEXTS)
    every = columns.code_probabilities
    assert every.shape == (len(columns.scored), len(columns.code_names))
    rows, codes = np.array([2, 0, 2]), np.array([1, 5, 0])
    assert columns.code_scores.probabilities(rows, codes).tolist() == every[rows, codes].tolist()
    judged = [compiled.judge(TEXTS[k]) for k in columns.scored.tolist()]
    expected = [[j.code_probability(code) for code in columns.code_names] for j in judged]
    assert np.allclose(every, expected, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- strings


def strings_of(values: list[str]) -> Strings:
    return Strings(code_points("".join(values)), np.array(list(map(len, values)), dtype=np.int32))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("a\0é߿ࠀ￿𐀀😀\U0010ffff"))))
def test_strings_are_given_back(values: list[str]) -> None:
    strings = strings_of(values)
    assert strings.values == values
    bounds, data = strings.utf8()
    assert [data[s:e].decode() for s, e in pairwise(bounds.tolist())] == values


def test_lone_surrogates_are_text_in_python_but_not_in_arrow() -> None:
    strings = strings_of(["a\ud800", ""])
    assert strings.values == ["a\ud800", ""]
    with pytest.raises(UnicodeEncodeError):
        strings.utf8()


# ---------------------------------------------------------------- weights

TIES = [k / 2 / 10_000 for k in range(-4001, 4002, 2)]
NEAR = [float(np.nextafter(tie, way)) for tie in TIES for way in (-np.inf, np.inf)]
ODD = [0.0, -0.0, 1e-300, -4e-5, 123456.00005, 1e15 / 3, 2.0**53 + 2, -1e299]


@pytest.mark.parametrize("values", [TIES, NEAR, ODD, []])
def test_weights_are_rounded_as_python_does(values: list[float]) -> None:
    found = rounded(np.array(values, dtype=np.float64))
    assert list(map(repr, found.tolist())) == [repr(round(v, 4)) for v in values]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(-1e299, 1e299) | st.floats(-20, 20) | st.integers(-(10**6), 10**6).map(lambda k: k / 2e4)))
def test_any_weight_is_rounded_as_python_does(values: list[float]) -> None:
    found = rounded(np.array(values, dtype=np.float64))
    assert list(map(repr, found.tolist())) == [repr(round(v, 4)) for v in values]


# ---------------------------------------------------------------- summaries


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.none()
        | st.text("hw:./?#@A-1", max_size=12)
        | st.builds("{}//{}".format, st.sampled_from(["http:", "", "x", "1:"]), st.text("w.:/?#@Ab\n", max_size=9)),
        max_size=8,
    )
)
def test_hosts_of_a_column_are_those_of_its_urls(urls: list[str | None]) -> None:
    expected = [None if url is None else host_of(url) for url in urls]
    assert _hosts(urls).to_pylist() == expected
    sliced = pa.array(["//first", *urls, "//last"], type=pa.large_string()).slice(1, len(urls))
    assert _hosts(sliced).to_pylist() == expected


def test_summaries_of_columns_are_those_of_objects(scorer: Scorer) -> None:
    """Over several batches, of which the later ones hold no worse texts, worse ones, and equal ones."""
    first = Summary()
    second = Summary()
    batches = [TEXTS * 2, [AD[:9], CLEAN] * 30, TEXTS[::-1] * 4, [WARNING], TEXTS]
    for number, texts in enumerate(batches):
        ids = [None if k % 5 == 4 else f"{number}-{k}" for k in range(len(texts))]
        urls = pa.array([f"https://www.site{k % 7}.example/{k}" for k in range(len(texts))])
        first.add(scorer.score(pa.array(texts), columns=True), ids, urls)
        second.add(scorer.score(texts), ids, urls)
        second.shorten()
    assert len(first.examples) > 10
    for counts in ("by_severity", "by_action", "by_stance"):  # the columns count what is not there as well
        assert {k: n for k, n in getattr(first, counts).items() if n} == getattr(second, counts)
    assert asdict(first) == asdict(second)
