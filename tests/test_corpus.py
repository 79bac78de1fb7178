"""The corpus: what the validator rejects, near duplicates, personal data, and the data card."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from conftest import BENCH
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import DataError
from pipeline.training.corpus import (
    Row,
    load_corpus,
    merge_families,
    near_duplicate_share,
    outside_texts,
    parse_row,
    validate,
)
from pipeline.training.datacard import render_card
from pipeline.training.duplicates import clusters, grams, han, near_pairs
from pipeline.training.personal import find_personal, mask_personal

LONG = "这家公司说不看征信也不看负债只要一张身份证当天就能拿到三万块钱"
ROW = Row("a", LONG, 2, "promo", ("no_credit_check",), "sms", "f1")


def _row(id_: str, text: str, family: str) -> Row:
    return replace(ROW, id=id_, text=text, family=family)


@pytest.fixture(scope="module")
def corpus() -> list[Row]:
    return load_corpus()


def test_the_corpus_has_no_problems(corpus: list[Row]) -> None:
    assert validate(corpus) == []


@pytest.mark.skipif(not BENCH.is_dir(), reason="there are no outside texts beside this checkout")
def test_the_corpus_shares_no_passage_with_outside_texts(corpus: list[Row]) -> None:
    assert [p for p in validate(corpus, outside_texts(BENCH)) if p.code == "overlap"] == []


@pytest.mark.parametrize(
    ("others", "code"),
    [
        ([_row("a", "另一条文本", "f2")], "duplicate_id"),
        ([_row("b", LONG, "f2")], "family_leak"),
        ([_row("b", LONG + "!!", "f2")], "family_leak"),
        ([_row("b", LONG.replace("三万", "五万"), "f2")], "near_leak"),
        ([_row("b", "加我 13912345678", "f2")], "personal_data"),
        ([_row("b", "加我 139-1234-5678", "f2")], "personal_data"),
        ([_row("b", "加我 １３９１２３４５６７８", "f2")], "personal_data"),
        ([_row("b", "身份证 11010519491231002X", "f2")], "personal_data"),
        ([_row("b", "卡号 6222 0000 1111 2222 333", "f2")], "personal_data"),
        ([_row("b", "电话 010-88886666", "f2")], "personal_data"),
        ([_row("b", "邮箱 someone@mail.com", "f2")], "personal_data"),
    ],
)
def test_problems_are_found(others: list[Row], code: str) -> None:
    assert [p.code for p in validate([ROW, *others])] == [code]


@pytest.mark.parametrize(
    "text", ["电话13800000000", "尾号5678,借10000元", "订单202409301234", "2013年至2026年", "利率1.3912345678901"]
)
def test_ordinary_numbers_and_the_placeholder_are_no_personal_data(text: str) -> None:
    assert find_personal(text) == []


def test_near_duplicates_in_one_family_are_no_problem() -> None:
    assert validate([ROW, _row("b", LONG.replace("三万", "五万"), "f1")]) == []


def test_fourteen_characters_in_a_row_from_outside_are_found() -> None:
    outside = "前文" + LONG[3:17] + "后文"
    problems = validate([ROW], ["无关的文本", outside])
    assert [(p.code, p.row) for p in problems] == [("overlap", "a")]
    assert LONG[3:17] in problems[0].message
    # Thirteen are allowed; punctuation does not hide a run.
    assert validate([ROW], [LONG[3:16]]) == []
    assert validate([ROW], ["、".join(LONG[3:17])]) != []


def test_outside_texts_come_from_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "一"}\n\n{"text": "二", "x": 1}\n', encoding="utf-8")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"text": "三"}\n')
    (tmp_path / "c.txt").write_text("四\n五\n", encoding="utf-8")
    (tmp_path / "d.bin").write_bytes(b"\xff\x00")
    assert [t.strip() for t in outside_texts(tmp_path)] == ["一", "二", "三", "四", "五"]
    (tmp_path / "a.jsonl").write_text('{"severity": 1}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:1"):
        list(outside_texts(tmp_path))
    (tmp_path / "b.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="E_DATA_FILE"):
        list(outside_texts(tmp_path / "b.jsonl.gz"))


def test_validate_at_the_command_line(run, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    record = {"id": "a", "text": LONG, "severity": 2, "stance": "promo", "codes": [], "channel": "sms", "family": "f"}
    (folder / "a.jsonl").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    assert run("data", "validate", "--data", str(folder)).status == 0
    other = tmp_path / "outside.txt"
    other.write_text(LONG, encoding="utf-8")
    result = run("data", "validate", "--data", str(folder), "--against", str(other))
    assert result.status == 1
    assert "overlap a:" in result.out
    result = run("data", "validate", "--data", str(folder), "--against", str(tmp_path / "nowhere"))
    assert (result.status, "E_USAGE" in result.err) == (2, True)


@pytest.mark.parametrize(
    "change",
    [
        {"codes": ["unheard_of"]},
        {"severity": 4},
        {"severity": True},
        {"channel": "pigeon"},
        {"stance": "shrug"},
        {"text": " "},
        {"severity": 0, "codes": ["cash_out"]},
    ],
)
def test_a_row_with_unknown_values_is_refused(change: dict[str, object]) -> None:
    record = {"id": "a", "text": LONG, "severity": 2, "stance": "promo", "codes": [], "channel": "sms", "family": "f"}
    assert parse_row(record, "here").text == LONG
    with pytest.raises(DataError):
        parse_row({**record, **change}, "here")


def _overlap(a: str, b: str) -> float:
    one, two = (set(grams(han(t), 3)) or {t.strip()} for t in (a, b))
    return len(one & two) / len(one | two)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.text("甲乙丙,", min_size=1, max_size=14), max_size=9),
    similarity=st.sampled_from([0.3, 0.5, 0.6, 0.8, 1.0]),
)
def test_near_pairs_are_those_of_comparing_every_pair(texts: list[str], similarity: float) -> None:
    found = sorted(near_pairs(texts, similarity))
    every = [(i, j) for (i, a), (j, b) in combinations(enumerate(texts), 2) if _overlap(a, b) >= similarity - 1e-9]
    assert found == every


def test_clusters_join_near_texts_and_equal_names() -> None:
    texts = [LONG, "完全不同的一句话在这里", LONG.replace("三万", "五万"), "还有一句别的话也在这里"]
    assert clusters(texts) == [0, 1, 0, 3]
    assert clusters(texts, ["", "n", "", "n"]) == [0, 1, 0, 1]
    rows = [_row(str(i), t, f"f{i}") for i, t in enumerate(texts)]
    assert [r.family for r in merge_families(rows)] == ["f0", "f1", "f0", "f3"]
    assert near_duplicate_share(rows) == 0.5
    assert near_duplicate_share(merge_families(rows)) == 0.0
    assert near_duplicate_share(merge_families(rows), across=False) == 0.5


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("0123456789138xX-. 微信QQ:a@b.com号+"), max_size=40))
def test_masking_leaves_no_personal_data_and_is_stable(text: str) -> None:
    masked, count = mask_personal(text)
    assert find_personal(masked) == []
    assert mask_personal(masked) == (masked, 0)
    assert (count == 0) == (masked == text)


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("致电13912345678办理", "致电13800000000办理"),
        ("致电+86 139 1234 5678", "致电13800000000"),
        ("证件11010519491231002X", "证件xxxxxxxxxxxxxxxxxx"),
        ("加微信3179238领", "加微信xxxxxxx领"),
        ("薇信:abc_12345", "薇信:xxx_xxxxx"),
        ("写信到 a.b@mail.cn", "写信到 x@example.com"),
        ("借30000元,分12期", "借30000元,分12期"),
    ],
)
def test_masks(raw: str, masked: str) -> None:
    assert mask_personal(raw)[0] == masked


def test_the_card_counts_the_corpus(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text("x", encoding="utf-8")
    rows = [ROW, _row("b", LONG.replace("三万", "五万"), "f2"), replace(ROW, id="c", text="天气不错", severity=0, codes=(), stance="warning", family="f3")]  # fmt: skip
    card = render_card({path: rows})
    assert "3 short Chinese texts" in card
    assert "| 2 | 误导 misleading | 2 | 66.7 % | 2 |" in card
    assert "| `warning` | 风险提示 | 1 | 33.3 % | 1 | 1 | – | – | – |" in card
    assert "| `no_credit_check` | 不看征信 | 2 | 66.7 % | 2 | – | – | 2 | – |" in card
    assert "| `one.jsonl` | 3 | 3 | 1 | – | 2 | – | sms | 22 |" in card
    assert "**66.7 %** have one in another family" in card
    assert "$" not in card
    with pytest.raises(DataError, match="E_DATA_CARD"):
        render_card({path: rows}, "$unheard_of")


def test_a_stale_card_is_noticed(run, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    assert run("data", "card", "--check", "--out", str(card)).status == 1
    assert run("data", "card", "--out", str(card)).status == 0
    assert run("data", "card", "--check", "--out", str(card)).status == 0
    card.write_text(card.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    result = run("data", "card", "--check", "--out", str(card))
    assert result.status == 1
    assert "stale" in result.out
