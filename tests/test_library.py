"""The library: public names, thread safety, settings, tokenizers."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import pytest

import pipeline
from pipeline import CheckSettings, Classifier, UsageError, Verdict

TEXTS = [
    "征信黑了也能下的口子,有身份证就能下款",
    "凡是宣传不看征信、百分百下款的都是套路,请勿转账",
    "某某农商行消费贷年利率(单利)3.1%起,最高30万,以审批为准,贷款有风险",
    "花呗逾期一天会上征信吗",
    "今天天气真好",
    "",
]


def test_all_is_sorted_and_complete() -> None:
    assert pipeline.__all__ == sorted(pipeline.__all__)
    assert set(pipeline.__all__) == set(pipeline._HOME)
    for name in pipeline.__all__:
        assert getattr(pipeline, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = pipeline.nothing


def test_verdict_has_the_documented_fields() -> None:
    wanted = (
        "id severity label score p_misleading flagged action codes signals stance evidence evasions legal_refs "
        "jurisdiction_hint segment model_version taxonomy_version abstain"
    )
    assert set(wanted.split()) <= {f.name for f in fields(Verdict)}


def test_check_many_equals_check(classifier: Classifier) -> None:
    many = classifier.check_many(TEXTS)
    assert [v.id for v in many] == [str(i) for i in range(len(TEXTS))]
    assert many == [classifier.check(t, id=str(i)) for i, t in enumerate(TEXTS)]


def test_threads_share_a_classifier(classifier: Classifier) -> None:
    expected = classifier.check_many(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: classifier.check_many(TEXTS), range(40)):
            assert result == expected


@pytest.mark.parametrize("text", TEXTS)
def test_verdicts_are_consistent(classifier: Classifier, text: str) -> None:
    verdict = classifier.check(text, CheckSettings(fail_on="borderline"))
    assert verdict.flagged == (verdict.severity >= 1)
    assert 0 <= verdict.p_misleading <= 1
    assert verdict.score == round(100 * verdict.p_misleading)
    assert all(text[e.start : e.end] == e.raw for e in verdict.evidence)
    if verdict.severity == 0:
        assert verdict.codes == ()
        assert verdict.legal_refs == ()


@pytest.mark.parametrize("change", [{"operating_point": "best"}, {"fail_on": "none"}])
def test_wrong_settings_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        CheckSettings(**change)


def test_hong_kong_text_gets_no_mainland_law(classifier: Classifier) -> None:
    verdict = classifier.check("財務公司免TU貸款,黑戶都批,即批即過數,唔使審核")
    assert verdict.jurisdiction_hint == "HK"
    assert verdict.legal_refs == ()


def test_surrogates_and_controls_do_not_break_the_library(classifier: Classifier) -> None:
    for text in ("贷款\ud83d口子", "贷\x00款", "\u202e贷款\u202c", "口" * 5000):
        assert 0 <= classifier.check(text).severity <= 3


def test_rjieba_cuts_as_jieba_does() -> None:
    pytest.importorskip("jieba")
    code = (
        "import warnings; warnings.simplefilter('ignore'); import jieba, logging; jieba.setLogLevel(logging.ERROR); "
        "from pipeline.training.corpus import load_corpus; from pipeline.text.normalise import normalise; "
        "from pipeline.text.tokens import words; "
        "texts = [normalise(r.text).text for r in load_corpus()[::3]]; "
        "bad = [t for t in texts if list(jieba.cut(t, HMM=False)) != words(t)]; print(len(texts), bad[:3]); "
        "raise SystemExit(1 if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
