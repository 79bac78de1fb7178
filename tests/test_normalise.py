"""The normaliser: what is undone, what is left alone, and that offsets hold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text.disguise import _tables
from pipeline.text.normalise import normalise

UNDONE = [
    ("贷/款找我", "贷款", "separator"),
    ("不查征*信", "不查征信", "separator"),
    ("无抵 押贷款", "无抵押", "separator"),
    ("征\u200b信花了", "征信花", "zero_width"),
    ("银行代歀,利息低", "贷款", "known_spelling"),
    ("消费代款,无抵押,利息低", "贷款", "known_spelling"),
    ("放歀快,贷款", "放款", "variant_glyph"),
    ("贷🌟款找我", "贷款", "emoji"),
    ("亻昔款,贷款", "借款", "split_character"),
    ("daikuan额度高", "贷款", "known_spelling"),
    ("zhengxin不好也能贷款", "征信", "pinyin"),
    ("zheng信不好也能贷款", "征信", "pinyin"),
    ("借款找我,口zi多", "口子", "known_spelling"),
    ("贷款加薇信", "微信", "known_spelling"),
    ("代宽找我,布看正信", "不看征信", "homophone"),
    ("ｄk不看zx,贷款", "不看征信", "known_spelling"),
]


@pytest.mark.parametrize(("raw", "term", "kind"), UNDONE)
def test_disguise_is_undone_and_reported(raw: str, term: str, kind: str) -> None:
    result = normalise(raw)
    assert term in result.text
    assert (kind, term) in {(e.kind, e.canonical) for e in result.evasions}
    for e in result.evasions:
        assert raw[e.start : e.end] == e.raw


# Ordinary words that hold the characters or sounds of loan terms (seen in real data).
COLLISIONS = [
    "身份证信息认证信息已提交,贷款资料也在里面",
    "替代款式年代款现代款都有,贷款买的",
    "车代发工资,信用卡还了",
    "吊带款绑带款显瘦,额度五万",
    "等待款项到账,贷款下周放",
    "供应商的货款三十天结清",
    "房款余款一次付清",
    "夏款上新",
    "带宽不够,借款先不说",
    "世界杯开赛",
    "预期与其等不如做",
    "卡地亚手表,利息很低",
    "唯信易贷是个品牌",
    "口子窖两瓶立减四十",
    "放水养鱼的政策",
    "卫星发射成功",
]


@pytest.mark.parametrize("raw", COLLISIONS)
def test_ordinary_words_stay(raw: str) -> None:
    result = normalise(raw)
    assert [e for e in result.evasions if e.kind != "traditional"] == []
    assert result.text == raw


def test_traditional_script_becomes_simplified() -> None:
    assert normalise("免TU財務公司貸款").text == "免tu财务公司贷款"
    assert normalise("免TU財務公司貸款").traditional


def test_pinyin_glosses_are_dropped() -> None:
    assert normalise("征(zheng)信(xìn)差也能借").text == "征信差也能借"


def test_white_space_runs_become_one_and_line_breaks_stay() -> None:
    assert normalise("贷款  找我\r\n\r\n  電話").text == "贷款 找我\n电话"


def test_line_break_is_no_separator() -> None:
    assert "放款" not in normalise("游泳池放\n款式新").text


@pytest.mark.parametrize("raw", ["今天天气不错,我们去公园。", "", "abc 123", "银行贷款年化利率3.6%,以审批为准"])
def test_clean_text_passes_unchanged(raw: str) -> None:
    result = normalise(raw)
    assert result.text == raw
    assert result.offsets.starts is None
    assert result.evasions == ()


TERMS = _tables().terms
NOISE = "/|*_~·\u200b\u200d\ufe0f\u202e ☆🔥"
MIXED = st.lists(
    st.one_of(
        st.sampled_from(TERMS),
        st.text(max_size=6),
        st.sampled_from(["代歀", "daikuan", "貸", "ＱＱ", "①②", "征(zheng)信", "ﷺ", "é", "\r\n", "\ud83d\ude00"]),
        st.text(alphabet=NOISE, max_size=3),
    ),
    max_size=14,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(MIXED)
def test_offsets_are_monotone_and_in_range(raw: str) -> None:
    result = normalise(raw)
    previous = (0, 0)
    for at in range(len(result.text)):
        start, end = result.raw_span(at, at + 1)
        assert 0 <= start < end <= len(raw)
        assert start >= previous[0]
        assert end >= previous[1]
        previous = (start, end)
    for e in result.evasions:
        assert raw[e.start : e.end] == e.raw
        assert e.canonical in TERMS


@settings(max_examples=200, deadline=None)
@given(MIXED)
def test_normalising_is_stable(raw: str) -> None:
    once = normalise(raw).text
    again = normalise(once)
    assert again.text == once or again.evasions


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TERMS), st.sampled_from(sorted("/|*_~\u200b\u200d")), st.data())
def test_noise_inside_a_term_is_found_in_the_raw_text(term: str, noise: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(term) - 1))
    raw = "我说" + term[:at] + noise + term[at:] + "吧"
    result = normalise(raw)
    assert term in result.text
    found = result.text.index(term)
    start, end = result.raw_span(found, found + len(term))
    assert raw[start:end] == term[:at] + noise + term[at:]
