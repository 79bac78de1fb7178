"""The HTML report: complete, self-contained, inert, the same for the same input."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from selectolax.lexbor import LexborHTMLParser

from pipeline import Classifier
from pipeline.evaluation.attacks import ATTACKS
from pipeline.evaluation.evaluation import EvaluationSettings, evaluate
from pipeline.evaluation.passages import MOST, Mark, pieces
from pipeline.evaluation.report import ATTACK_NAMES, render_report
from pipeline.training.corpus import load_corpus
from pipeline.visible import is_hidden, visible

EVIL = "<script>alert(1)</script>不\u200b看\u202e征信<img src=http://evil.example/x onerror=alert(1)>的口\u2066子\ud83d,秒到账&amp;"
HEADINGS = [
    "工作点 Operating points",
    "罕见程度与精确率 Precision at base rates",
    "阈值表 Thresholds",
    "与其他方法比较 Beside other methods",
    "级别混淆 Confusion by severity",
    "按立场 By stance",
    "按渠道 By channel",
    "按代码 By claim code",
    "规避写法 Attacks",
    "最严重的误报 Worst false positives",
    "最严重的漏报 Worst false negatives",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled files: real corpus rows of every severity, a hostile row on each wrong side, and one without positives."""
    path = tmp_path_factory.mktemp("report")
    chosen = []
    for severity, count in ((0, 25), (1, 8), (2, 15), (3, 8)):
        chosen += [r for r in load_corpus() if r.severity == severity][:count]
    rows = [
        {"id": r.id, "text": r.text, "severity": r.severity, "stance": r.stance, "codes": r.codes, "channel": r.channel, "group": r.family}
        for r in chosen
    ]  # fmt: skip
    rows.append({"id": "evil<b>", "text": EVIL, "severity": 0, "channel": "</td><script>y</script>"})
    rows.append({"id": "missed", "text": "公园的\u200d花开了", "severity": 3, "stance": "promo", "codes": ["cash_out"]})
    (path / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    plain = [{"text": f"今天的菜有{n}道", "severity": 0, "kind": kind} for n in range(4) for kind in ("plain", "customer_question")]  # fmt: skip
    (path / "plain.jsonl").write_text("".join(json.dumps(r) + "\n" for r in plain), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(run, folder: Path) -> tuple[LexborHTMLParser, str, dict]:
    """The report and the figures of one run at the command line."""
    report = folder / "report.html"
    files = (str(folder / "test.jsonl"), str(folder / "plain.jsonl"))
    result = run(
        "evaluate", *files, "--report", str(report), "--peers", "--attacks", "--rounds", "30", "--format", "json"
    )
    assert result.status == 0, result.err
    assert str(report) in result.err
    html = report.read_text(encoding="utf-8")
    return LexborHTMLParser(html), html, json.loads(result.out)[files[0]]


def _text(node) -> str:
    return " ".join(node.text(separator=" ").split())


def test_every_part_is_there_in_chinese_and_english(made) -> None:
    page, _, _ = made
    first, second = page.css("section")
    assert [_text(h) for h in first.css("h3")] == HEADINGS
    without = ("Precision at base rates", "By claim code")
    assert [_text(h) for h in second.css("h3")] == [h for h in HEADINGS if not h.endswith(without)]
    assert [a.attributes["href"] for a in page.css("nav a")] == ["#file1", "#file2"]
    assert [n.attributes["id"] for n in page.css("section")] == ["file1", "file2"]


def test_nothing_is_loaded_and_nothing_runs(made) -> None:
    page, html, _ = made
    assert page.css("script, link, iframe, object, embed, form, base, video, audio, svg, style ~ style") == []
    for node in page.css("*"):
        for name, value in node.attributes.items():
            assert not name.startswith("on"), (node.tag, name)
            if name in ("src", "href", "srcset", "action", "poster", "background"):
                assert (value or "").startswith(("data:image/svg+xml;base64,", "#")), value
    style = page.css_first("style").text()
    assert "url(" not in style
    assert "@import" not in style
    policy = page.css_first("meta[http-equiv=Content-Security-Policy]").attributes["content"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert html.count("<script") == 0


def test_hostile_text_is_shown_as_written(made) -> None:
    page, html, _ = made
    evil = next(li for li in page.css("li.fp") if "evil<b>" in li.text())
    assert not evil.css("script, img, b:not(.meta b)")
    raw = evil.css_first(".raw")
    assert [n.text() for n in raw.css(".hidden")] == ["U+200B", "U+202E", "U+2066", "U+D83D"]
    assert raw.text().replace("U+200B", "").startswith("<script>alert(1)</script>不看")
    assert raw.css("mark"), "the evidence is marked"
    assert "</td><script>y</script>" in evil.css_first(".meta").text()
    assert not any(is_hidden(c) for c in html)
    missed = next(li for li in page.css("li.fn") if "missed" in li.text())
    assert "U+200D" in missed.text()
    assert "套现 cash_out" in missed.text()


def test_plots_are_drawings_with_a_description(made) -> None:
    page, _, figures = made
    images = page.css("figure img")
    assert [len(s.css("figure img")) for s in page.css("section")] == [5, 1]
    for image in images:
        assert len(image.attributes["alt"]) > 10
        svg = base64.b64decode(image.attributes["src"].split(",", 1)[1]).decode()
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert len(root.findall(".//{*}path")) > 5
        assert "DejaVu Sans'," in svg
        assert "Noto Sans CJK SC" in svg
    curve = base64.b64decode(images[0].attributes["src"].split(",", 1)[1]).decode()
    for word in (
        "召回率 recall",
        "精确率 precision",
        "balanced",
        "high_precision",
        "high_recall",
        "fastText",
        "keyword list",
    ):
        assert word in curve
    assert f"{figures['average_precision']:.3f}" in images[0].attributes["alt"]


def _table(page: LexborHTMLParser, heading: str) -> list[list[str]]:
    node = next(h for h in page.css("section h3") if heading in h.text())
    while node.tag != "div":
        node = node.next
    return [[_text(c) for c in row.css("th, td")] for row in node.css("tbody tr")]


def test_tables_hold_the_figures_of_the_run(made) -> None:
    page, _, figures = made
    cards = {
        _text(li.css_first("span span")): li.css_first("b").text() for li in page.css_first("section").css(".cards li")
    }
    assert cards["AP"] == f"{figures['average_precision']:.3f}"
    low, high = figures["average_precision_interval"]
    assert f"{low:.3f}–{high:.3f}" in page.css_first(".cards").text()
    points = _table(page, "Operating points")
    assert [row[0].split()[1] for row in points] == ["high_precision", "balanced", "high_recall"]
    for row, point in zip(points, figures["operating_points"].values(), strict=True):
        assert row[1] == f"{point['threshold']:.3f}"
        assert row[3].split()[0] == f"{point['recall']:.3f}"
    rates = _table(page, "Precision at base rates")
    assert (
        rates[1][3].split()[0] == f"{figures['operating_points']['balanced']['precision_at_base_rate']['0.0001']:.3f}"
    )
    confusion = [[int(c.split()[0]) for c in row[1:]] for row in _table(page, "Confusion")]
    assert confusion == figures["confusion"]
    assert {row[0] for row in _table(page, "By channel")} == {visible(c) for c in figures["by_channel"]}
    assert [row[0].split()[1] for row in _table(page, "By stance")] == list(figures["by_stance"])
    assert {row[0].split()[1] for row in _table(page, "By claim code")} == set(figures["codes"])
    peers = _table(page, "Beside other methods")
    assert [row[1].split()[0] for row in peers] == [f"{p['average_precision']:.3f}" for p in figures["peers"]]
    attacks = _table(page, "Attacks")
    assert len(attacks) == len(ATTACKS) + 1 == len(figures["attacks"])
    for row, result in zip(attacks[1:], figures["attacks"][1:], strict=True):
        assert ATTACK_NAMES[result["name"]][1] in row[0]
        reached = "–" if result["goal"] is None else "是 yes" if result["kept"] >= result["goal"] else "否 no"
        assert row[5] == reached


def test_errors_are_those_beyond_the_threshold_worst_first(made) -> None:
    page, _, figures = made
    threshold = figures["operating_points"]["balanced"]["threshold"]
    section = page.css_first("section")
    for kind, wrong in (("fp", lambda p: p >= threshold - 5e-4), ("fn", lambda p: p < threshold)):
        shown = [float(re.search(r"p = ([\d.]+)", li.text()).group(1)) for li in section.css(f"li.{kind}")]
        assert shown
        assert all(map(wrong, shown))
        assert shown == sorted(shown, reverse=kind == "fp")


def test_the_same_input_gives_the_same_bytes(classifier: Classifier, folder: Path) -> None:
    settings = EvaluationSettings(rounds=10)
    one, two = (render_report([evaluate(folder / "test.jsonl", classifier, settings)], classifier, 3) for _ in range(2))
    assert one == two
    assert "规避写法" not in one
    assert len(LexborHTMLParser(one).css("li.fp")) <= 3


def test_without_rounds_there_are_no_intervals(classifier: Classifier, folder: Path) -> None:
    page = render_report([evaluate(folder / "test.jsonl", classifier, EvaluationSettings(rounds=0))], classifier)
    assert "bootstrap" not in page


@pytest.mark.parametrize(
    "options",
    [("--report", "{folder}"), ("--report", "{folder}/no/report.html"), ("--peer-keywords", "{folder}/list.txt")],
)
def test_wrong_calls_end_before_the_work(run, folder: Path, options: tuple[str, str]) -> None:
    result = run("evaluate", str(folder / "test.jsonl"), *(o.format(folder=folder) for o in options))
    assert result.status == 2
    assert options[0].removesuffix("-keywords") in result.err


def test_pieces_give_the_text_back_with_its_marks() -> None:
    text = "前\u200b面不看征信后面"
    found = pieces(text, [Mark(3, 7, "t")])
    assert [(p.text, p.kind, p.marked) for p in found] == [
        ("前", "", False),
        ("U+200B", "hidden", False),
        ("面", "", False),
        ("不看征信", "", True),
        ("后面", "", False),
    ]


def test_long_text_is_cut_around_the_evidence() -> None:
    text = "甲" * 1000 + "不看征信" + "乙" * 1000 + "秒到账" + "丙" * 1000
    found = pieces(text, [Mark(1000, 1004, ""), Mark(2004, 2007, "")])
    assert [p.text for p in found if p.marked] == ["不看征信", "秒到账"]
    assert [p.kind for p in found].count("gap") == 3
    assert sum(len(p.text) for p in found) < MOST
    plain = pieces(text, [])
    assert len(plain[0].text) <= MOST + 60
    assert plain[-1].kind == "gap"
