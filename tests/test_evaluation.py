"""Measures, intervals and peers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pipeline import DataError
from pipeline.evaluation import peers as peers_module
from pipeline.evaluation.bench import BenchRow, Scored, read_bench
from pipeline.evaluation.metrics import (
    average_precision,
    bootstrap,
    calibration_bins,
    calibration_error,
    interval,
    precision_at_base_rate,
    recall_at_fpr,
    resamples,
    wilson,
)
from pipeline.evaluation.peers import Sample, measure_peers, peers, read_keywords
from pipeline.evaluation.summary import Thresholds, summarise
from pipeline.evaluation.tables import render, render_peers
from pipeline.training.corpus import load_corpus

POINTS = {"high_precision": (0.5, 0.9, 0.5), "balanced": (0.5, 0.5, 0.5), "high_recall": (0.5, 0.2, 0.5)}


def _scored(
    labels: list[int], p: list[float], texts: list[str] | None = None, groups: list[str] | None = None
) -> Scored:
    """Rows with given probabilities of severity ≥ 2; verdicts as at a threshold of 0.5."""

    class Given:
        def __init__(self, value: float) -> None:
            self.severity = 2 if value >= 0.5 else 0

    texts = texts or ["文本"] * len(labels)
    groups = groups or [str(i) for i in range(len(labels))]
    rows = [
        BenchRow(str(i), t, s, "promo" if s else "warning", (), "sms", g)
        for i, (t, s, g) in enumerate(zip(texts, labels, groups, strict=True))
    ]
    values = np.array(p)
    return Scored(rows, [Given(v) for v in p], values, values, values / 2, {})  # type: ignore[arg-type]


def test_bins_hold_every_row_and_give_the_error() -> None:
    y = np.array([False, False, True, True, True])
    p = np.array([0.0, 0.15, 0.15, 0.95, 1.0])
    bins = calibration_bins(y, p)
    assert [(b.low, b.count, b.share) for b in bins] == [(0.0, 1, 0.0), (0.1, 2, 0.5), (0.9, 2, 1.0)]
    assert calibration_error(y, p) == pytest.approx((0 + 2 * 0.35 + 2 * 0.025) / 5)
    assert math.isnan(calibration_error(y[:0], p[:0]))


def test_wilson_interval() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert all(map(math.isnan, wilson(0, 0)))


def test_resampling_keeps_groups_whole_and_repeats() -> None:
    groups = ["a", "b", "a", "c", "a"]
    drawn = list(resamples(groups, 20))
    for index in drawn:
        counts = np.bincount(index, minlength=5)
        assert counts[0] == counts[2] == counts[4]
    assert all((a == b).all() for a, b in zip(drawn, resamples(groups, 20), strict=True))


def test_one_group_alone_gives_no_width() -> None:
    y, score = np.array([True, False, True]), np.array([0.9, 0.8, 0.1])
    low, high = bootstrap(average_precision, y, score, ["g", "g", "g"], 10)
    assert low == high == average_precision(y, score)
    assert interval([float("nan"), 1.0, 3.0]) == pytest.approx((1.05, 2.95))


def test_ties_at_the_limit_count_as_false_positives() -> None:
    y = np.array([True] * 4 + [False] * 100)
    score = np.array([3.0, 2.0, 2.0, 1.0] + [2.0] * 2 + [0.0] * 98)
    assert recall_at_fpr(y, score, 0.01) == 0.25


def test_unseen_false_positives_are_bounded_by_the_rule_of_three() -> None:
    scored = _scored([2] * 20 + [0] * 60, [0.95] * 19 + [0.1] + [0.05] * 60)
    point = summarise(scored, Thresholds(POINTS, {}), 50)["operating_points"]["balanced"]
    assert point["false_positive_rate"] == 0
    assert point["intervals"]["false_positive_rate"] == (0.0, 3 / 60)
    low, high = point["precision_at_base_rate_interval"]["0.001"]
    assert low == pytest.approx(precision_at_base_rate(point["intervals"]["recall"][0], 3 / 60, 0.001))
    assert (low < 0.02, high) == (True, 1.0)


def test_figures_of_a_small_file() -> None:
    scored = _scored([2, 2, 3, 1, 0, 0, 0, 0], [0.95, 0.6, 0.3, 0.7, 0.55, 0.1, 0.1, 0.1])
    summary = summarise(scored, Thresholds(POINTS, {}), 20)
    balanced = summary["operating_points"]["balanced"]
    assert balanced["precision"] == pytest.approx(2 / 3)
    assert balanced["recall"] == pytest.approx(2 / 3)
    assert balanced["false_positive_rate"] == 0.25
    assert balanced["illegal_recall"] == 0.0
    assert summary["thresholds"][5] == {
        "threshold": 0.5,
        "flagged": 3,
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "false_positive_rate": 0.25,
    }
    assert summary["by_stance"]["warning"]["false_positive_rate"] == 0.25
    assert summary["confusion"][2] == [0, 0, 2, 0]
    text = render("small", summary)
    assert "| high_precision | 0.900 | 1.000 | 0.333 |" in text


def test_a_file_without_positives_has_no_average_precision() -> None:
    summary = summarise(_scored([0, 0, 1], [0.1, 0.6, 0.7]), Thresholds(POINTS, {}), 20)
    assert "average_precision" not in summary
    assert summary["kinds"]["plain"]["flagged_share"] == 0.5
    balanced = summary["operating_points"]["balanced"]
    assert balanced["false_positive_rate"] == 0.5
    assert math.isnan(balanced["precision"])
    assert math.isnan(balanced["recall"])
    assert "small" in render("small", summary)


@pytest.fixture(scope="module")
def corpus() -> list[Sample]:
    return [(r.text, r.severity >= 2) for r in load_corpus() if r.severity != 1][:900]


def test_peers_learn_from_the_corpus_and_are_measured_beside_the_model(corpus: list[Sample]) -> None:
    texts = [
        "不看征信的口子,身份证秒下款",
        "黑户可以贷款,当天到账",
        "警方提醒:网贷先交钱都是诈骗",
        "今天公园的花开了",
        "\ud83d孤立代理",
    ]
    scored = _scored([2, 2, 0, 0, 0], [0.9, 0.8, 0.7, 0.1, 0.1], texts)
    found = peers(corpus, ["口子", "贷款", "口子"])
    results = measure_peers(found, scored, 20)
    assert [r.name.split()[0] for r in results] == ["loanlint", "keyword", "jieba(1,2)", "fastText"]
    assert results[0].average_precision == 1.0
    keyword = results[1]
    assert keyword.score is not None
    assert keyword.score.tolist() == [2, 1, 0, 0, 0]
    for learnt in results[2:]:
        assert learnt.average_precision == 1.0, learnt
        assert learnt.trained_on == f"{len(corpus):,} 条 texts"
    # Training is seeded.
    again = measure_peers(peers(corpus, ["口子"])[1:], scored, 0)
    for a, b in zip(results[2:], again[1:], strict=True):
        np.testing.assert_array_equal(a.score, b.score)
    assert "| loanlint |" in render_peers(results)
    assert "score" not in results[1].to_dict()


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, corpus: list[Sample]) -> None:
    monkeypatch.setattr(peers_module, "find_spec", lambda name: None)
    results = measure_peers(peers(corpus[:100], ["口子"]), _scored([2, 0], [0.9, 0.1]), 0)
    assert math.isnan(results[-1].average_precision)
    assert "pip install" in results[-1].note
    assert results[-1].note in render_peers(results)


def test_peers_need_both_sides(corpus: list[Sample]) -> None:
    assert measure_peers(peers(corpus[:100], ["口子"])[:1], _scored([0, 0, 1], [0.9, 0.1, 0.5])) == []
    assert "severity 0" in render_peers([])


def test_keyword_lists(tmp_path: Path) -> None:
    assert "贷款" in read_keywords()
    path = tmp_path / "list.txt"
    path.write_text("\ufeff# comment\n口子\tx\n\n 秒下 \n口子\n", encoding="utf-8")
    assert read_keywords(path) == ["口子", "秒下"]
    path.write_text("# nothing\n", encoding="utf-8")
    for broken in (path, tmp_path / "none.txt"):
        with pytest.raises(DataError, match="keyword"):
            read_keywords(broken)


def test_a_broken_archive_is_an_error_with_a_code(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    for body in (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03cut", b"no archive"):
        path.write_bytes(body)
        with pytest.raises(DataError, match="E_DATA_FILE"):
            read_bench(path)
