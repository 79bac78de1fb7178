"""Attacks: they can be repeated, change the text, keep offsets valid; the normaliser undoes them and leaves ordinary words alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import Classifier
from pipeline.evaluation.attacks import ATTACKS, GOALS, attack, run_attacks
from pipeline.evaluation.bench import BenchRow
from pipeline.text.normalise import normalise

TEXTS = (
    "征信花了也能下款,不看征信,凭身份证秒到账,加微信领口子,额度3000",
    "黑户可以贷款,无视征信,额度3000到50000,秒到账,当天放款",
    "贷款不用审核,逾期也能做,只要身份证,当天到账",
)
# Attacks whose effect the normaliser takes back to the letter on the texts above that hold no character it does not know.
UNDONE = (
    "zero_width", "separators", "full_width", "traditional", "split", "glyphs", "homophones_half", "homophones_all", "pinyin",
    "pinyin_half", "emoji",
)  # fmt: skip
# Ordinary words that hold the sounds or characters of loan terms, each in a text that is no loan advertisement.
COLLISIONS = (
    "请核对身份证信息后提交", "认证信息已更新,重新登录即可", "这是替代款,面料和原来一样", "年代款的风衣又流行了", "车代发工资的流程问财务",
    "现代款式的沙发更好搭", "新到一批吊带款连衣裙", "绑带款凉鞋打折", "等待款项到账后再发货", "供应商的货款已经结清", "房款分三次付清,余款月底前付",
    "夏款上新,冬款清仓", "宽带升级,带宽翻倍", "世界杯决赛今晚开始", "预期和去年差不多", "与其抱怨不如行动", "卡地亚手镯多少钱", "唯信公司年会定在周五",
    "打开 http://t.example/TXdkwx 看直播", "口子窖两瓶立减四十,限时三天", "水库今天放水,下游注意安全", "气象卫星成功入轨",
)  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("text", TEXTS)
def test_an_attack_is_repeatable_and_changes_the_text(name: str, text: str) -> None:
    once = attack(name, text)
    assert once == attack(name, text)
    plain = name == "digits" and not any(c.isdigit() for c in text)
    assert (once == text) is plain
    if not plain and name not in ("full_width", "traditional", "pinyin", "initials"):
        assert len({attack(name, text, seed) for seed in range(8)}) > 1, "the seed has no effect"


@pytest.mark.parametrize("name", ATTACKS)
@settings(max_examples=25, deadline=None)
@given(
    text=st.text(st.sampled_from("贷款征信不看口子秒到账黑户加微信身份证3a,。 \n"), max_size=40), seed=st.integers(0, 5)
)
def test_offsets_of_attacked_text_are_valid(name: str, text: str, seed: int) -> None:
    raw = attack(name, text, seed)
    result = normalise(raw)
    at = 0
    for i in range(len(result.text)):
        start, end = result.raw_span(i, i + 1)
        assert at <= start <= end <= len(raw)
        at = start
    for e in result.evasions:
        assert raw[e.start : e.end] == e.raw


@pytest.mark.parametrize("name", UNDONE)
@pytest.mark.parametrize("text", TEXTS[1:])
def test_the_normaliser_takes_an_attack_back(name: str, text: str) -> None:
    assert normalise(attack(name, text)).text == normalise(text).text


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attacked_advertisement_is_still_flagged(classifier: Classifier, name: str) -> None:
    raw = attack(name, TEXTS[0])
    verdict = classifier.check(raw)
    assert verdict.flagged, (raw, verdict.p_misleading)
    assert verdict.evidence
    for e in verdict.evidence:
        assert raw[e.start : e.end] == e.raw


@pytest.mark.parametrize("text", COLLISIONS)
def test_ordinary_words_are_neither_disguises_nor_flagged(classifier: Classifier, text: str) -> None:
    assert normalise(text).evasions == ()
    assert not classifier.check(text).flagged


@pytest.mark.parametrize("name", ATTACKS)
def test_attacked_ordinary_words_are_not_flagged(classifier: Classifier, name: str) -> None:
    assert [t for t in COLLISIONS if classifier.check(attack(name, t)).flagged] == []


def _row(number: int, text: str, severity: int) -> BenchRow:
    return BenchRow(str(number), text, severity, "promo", (), "sms", str(number))


def test_results_say_what_each_attack_cost(classifier: Classifier) -> None:
    rows = [_row(i, t, 2) for i, t in enumerate(TEXTS)] + [_row(10 + i, t, 0) for i, t in enumerate(COLLISIONS[:5])]
    results = run_attacks(rows, classifier, ["zero_width", "pinyin", "initials"])
    assert [r.name for r in results] == ["clean", "zero_width", "pinyin", "initials"]
    clean = results[0]
    assert (clean.changed, clean.kept, clean.goal, clean.false_positive_rate) == (0.0, 1.0, None, 0.0)
    for result in results[1:]:
        assert result.kept == pytest.approx(result.recall / clean.recall)
        assert result.goal == GOALS.get(result.name)
        assert result.changed == 1.0
    assert results[1].kept == 1.0
    assert GOALS.keys() <= ATTACKS.keys()


def test_without_positives_there_is_no_recall(classifier: Classifier) -> None:
    result = run_attacks([_row(1, COLLISIONS[0], 0)], classifier, ["emoji"])
    assert all(math.isnan(r.recall) for r in result)
