"""Other people's data: read, mapped, masked, grouped; what cannot be used is named; a model trains on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import DataError, UsageError, load
from pipeline.training.corpus import load_corpus, read_rows
from pipeline.training.imports import ImportSettings, as_json, import_rows
from pipeline.training.labels import Label, parse_option, preset, presets, read_label_map

SPAM, HAM = Label(2, "promo", ("no_credit_check",)), Label(0, "out_of_scope")
SETTINGS = ImportSettings(labels={"1": SPAM, "0": HAM}, name="mine")


def _settings(**changes: object) -> ImportSettings:
    fields = {f: getattr(SETTINGS, f) for f in ImportSettings.__slots__}
    return ImportSettings(**{**fields, **changes})


def _write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_formats_give_the_same_rows(tmp_path: Path) -> None:
    texts = ['他说"不看征信"就能借', "周五开会,带材料"]
    jsonl = "".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in zip(texts, (1, 0), strict=True))
    csv = 'label,text\n1,"他说""不看征信""就能借"\n0,"周五开会,带材料"\n'
    tsv = f"\ufefflabel\ttext\r\n1\t{texts[0]}\r\n0\t{texts[1]}\r\n"
    for form, body in (("jsonl", jsonl), ("csv", csv), ("tsv", tsv)):
        found = import_rows(_write(tmp_path / f"a.{form}", body), _settings(format=form))
        assert [r.text for r in found.rows] == texts, form
        assert [(r.severity, r.stance, r.codes) for r in found.rows] == [
            (2, "promo", SPAM.codes),
            (0, "out_of_scope", ()),
        ]
        assert not found.left_out
    gb = _write(tmp_path / "gb.csv", csv, "gb18030")
    assert [r.text for r in import_rows(gb, _settings(format="csv", encoding="gb18030")).rows] == texts


def test_every_bad_row_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    lines = [
        '{"text": "征信花了也能借,当天放款", "label": 1.0}',
        "not json",
        "[1]",
        '{"text": "没有标签的一行"}',
        '{"text": "", "label": 1}',
        '{"text": 7, "label": 1}',
        '{"text": "标签是列表", "label": [1]}',
        '{"text": "标签没有对照", "label": 5}',
        '{"text": "有意不要的标签", "label": 9}',
        '{"text": "征信花了也能借,当天放款", "label": "1"}',
        '{"text": "征信花了也能借,当天放款", "label": "0"}',
        '{"text": "坏\\u0000字节", "label": 0}',
        '{"text": "孤立\\ud83d代理", "label": 0}',
        json.dumps({"text": "长" * 30, "label": 0}),
        "[" * 100_000,
        "",
        '{"text": "好的一行", "label": 0}',
    ]
    path = _write(tmp_path / "a.jsonl", "\n".join(lines))
    found = import_rows(path, _settings(ignore=frozenset({"9"}), longest=20))
    assert [r.id for r in found.rows] == ["mine-000001", "mine-000017"]
    assert found.read == 16
    assert found.left_out == {
        "not JSON": [2, 15],
        "not a JSON object": [3],
        "no field label": [4],
        "text is empty or no text": [5, 6],
        "label is empty or no single value": [7],
        "label '5' is not mapped": [8],
        "label '9' is left out by the map": [9],
        "text seen before": [10],
        "text seen before with another label": [11],
        "text holds NUL": [12],
        "text is not valid utf-8": [13],
        "text is longer than 20 characters": [14],
    }
    assert found.reasons()[0] == "2 × not JSON (line 2, 15)"


def test_broken_tables_and_bytes_do_not_stop_the_rest(tmp_path: Path) -> None:
    body = (
        "text,label\n好的一行,0\n多,出,列\n\n".encode() + b"\xff\xfe,0\n" + "末行好,0\n".encode() + b'"never closed,0\n'
    )
    path = tmp_path / "a.csv"
    path.write_bytes(body)
    found = import_rows(path, _settings(format="csv"))
    assert [r.text for r in found.rows] == ["好的一行", "末行好"]
    assert found.left_out["another number of columns than the header"] == [3]
    assert found.left_out["text is not valid utf-8"] == [5]
    assert any(reason.startswith("not a row of a table") for reason in found.left_out)


@pytest.mark.parametrize(
    ("name", "body", "settings", "word"),
    [
        ("a.csv", "body,label\nx,1\n", {"format": "csv"}, "no column text; there are: body, label"),
        ("a.jsonl", '{"text": "x", "label": "other"}\n', {}, "no row can be used"),
        ("a.jsonl", "", {}, "the file is empty"),
        ("none.jsonl", None, {}, "cannot be read"),
        ("a.jsonl", "中文", {"encoding": "utf-16"}, "E_DATA"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, name: str, body: str | None, settings: dict[str, object], word: str
) -> None:
    if body is not None:
        _write(tmp_path / name, body)
    with pytest.raises(DataError, match=word):
        import_rows(tmp_path / name, _settings(**settings))


@pytest.mark.parametrize("changes", [{"format": "xml"}, {"channel": "pigeon"}, {"labels": {}}])
def test_settings_are_checked(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        _settings(**changes)


def test_an_unknown_encoding_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gb18030"):
        import_rows(_write(tmp_path / "a.jsonl", "{}"), _settings(encoding="klingon"))


def test_near_duplicates_and_equal_names_become_one_family(tmp_path: Path) -> None:
    long = "本公司办理无抵押信用贷款不看征信不看负债当天放款额度三万"
    rows = [(long, "u1"), ("周五下午三点开会请带材料", "u2"), (long.replace("三万", "五万"), "u3"), ("今天的菜单换成了牛肉面", "u2"), ("明天有雨", None)]  # fmt: skip
    body = "".join(json.dumps({"text": t, "label": 0, "user": u}) + "\n" for t, u in rows)
    path = _write(tmp_path / "a.jsonl", body)
    alone = [r.family for r in import_rows(path, SETTINGS).rows]
    assert alone == [f"mine-{n:06d}" for n in (1, 2, 1, 4, 5)]
    named = [r.family for r in import_rows(path, _settings(family_column="user")).rows]
    assert named == [f"mine-{n:06d}" for n in (1, 2, 1, 2, 5)]


def test_personal_data_are_masked_and_counted(tmp_path: Path) -> None:
    body = '{"text": "加微信13912345678,或致电 010-88886666", "label": 1}\n'
    found = import_rows(_write(tmp_path / "a.jsonl", body), SETTINGS)
    assert found.rows[0].text == "加微信13800000000,或致电 xxx-xxxxxxxx"
    assert found.masked == 2


@pytest.mark.parametrize(
    ("text", "name", "label"),
    [
        ("spam=3", "spam", Label(3, "promo")),
        ("ham=0", "ham", Label(0, "out_of_scope")),
        ("a=b=2:seo_bait", "a=b", Label(2, "seo_bait")),
        ("9=2:promo:cash_out,upfront_fee", "9", Label(2, "promo", ("cash_out", "upfront_fee"))),
        ("x=0:other", "x", Label(0, "out_of_scope")),
        ("广告=1::cost_bait", "广告", Label(1, "promo", ("cost_bait",))),
    ],
)
def test_mappings_on_the_command_line(text: str, name: str, label: Label) -> None:
    assert parse_option(text) == (name, label)


@pytest.mark.parametrize("text", ["", "spam", "=2", "spam=", "spam=4", "spam=two", "a=2:promo:cash_out:x"])
def test_a_broken_mapping_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--map"):
        parse_option(text)


@pytest.mark.parametrize("text", ["a=2:shrug", "a=2:promo:unheard_of", "a=0:warning:cash_out"])
def test_a_mapping_to_something_unknown_is_named(text: str) -> None:
    with pytest.raises(DataError, match=r"E_DATA_LABELS.*--map"):
        parse_option(text)


@pytest.mark.parametrize(
    "body",
    [
        "labels = 3",
        'surprise = "x"',
        'ignore = "1"',
        "text_column = 3",
        "[labels.1]\nseverity = 9",
        "[labels.1]\nseverity = 2\ncodes = 'cash_out'",
        "[labels.1]\nseverity = 2\nextra = 1",
        "not toml",
    ],
)
def test_a_broken_label_map_is_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(DataError, match="E_DATA_LABELS"):
        read_label_map(_write(tmp_path / "map.toml", body))


def test_presets_can_be_read() -> None:
    assert "chifraud" in presets()
    for name in presets():
        assert preset(name).labels
    with pytest.raises(UsageError, match="chifraud"):
        preset("unheard_of")


def test_chifraud_by_its_preset(run, tmp_path: Path) -> None:
    rows = [
        "Label_id\tText",
        "0\t 玫瑰花茶味道清香",
        '9\t急用钱找我"私人放款',
        "6\t花呗套现秒到",
        "8\t出售手机卡",
        "3\t办证",
        "12\t没见过",
    ]
    source = _write(tmp_path / "ChiFraud_part.csv", "\n".join(rows) + "\n")
    out = tmp_path / "out.jsonl"
    result = run("data", "import", str(source), "--preset", "chifraud", "--out", str(out))
    assert result.status == 0, result.err
    found = read_rows(out)
    assert [(r.severity, r.stance, r.codes) for r in found] == [
        (0, "out_of_scope", ()),
        (2, "promo", ()),
        (3, "promo", ("cash_out",)),
        (0, "out_of_scope", ()),
    ]
    assert found[1].text == '急用钱找我"私人放款'
    assert "label '3' is left out by the map (line 6)" in result.out
    assert "label '12' is not mapped (line 7)" in result.out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "--map"),
        (("--map", "1=2", "--preset", "unheard_of"), "chifraud"),
        (("--map", "1=2", "--preset", "chifraud", "--map-file", "x.toml"), "not both"),
        (("--map", "1=2", "--channel", "pigeon"), "channel"),
    ],
)
def test_wrong_calls_are_one_line_and_status_two(run, tmp_path: Path, options: tuple[str, ...], word: str) -> None:
    source = _write(tmp_path / "a.jsonl", '{"text": "x", "label": 1}\n')
    result = run("data", "import", str(source), "--out", str(tmp_path / "o.jsonl"), *options)
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert word in result.err
    assert not (tmp_path / "o.jsonl").exists()


def test_the_source_is_never_overwritten(run, tmp_path: Path) -> None:
    source = _write(tmp_path / "a.jsonl", '{"text": "x", "label": 1}\n')
    result = run("data", "import", str(source), "--out", str(source), "--map", "1=2")
    assert (result.status, "--out" in result.err) == (2, True)
    assert source.read_text(encoding="utf-8") == '{"text": "x", "label": 1}\n'


def test_a_model_trains_on_imported_rows(run, tmp_path: Path) -> None:
    """From a table of somebody's own, over the import, to a model that knows their word."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = load_corpus()
    few = [r for severity, count in ((0, 40), (1, 12), (2, 24), (3, 12)) for r in [r for r in rows if r.severity == severity][:count]]  # fmt: skip
    (folder / "few.jsonl").write_text("".join(as_json(r) + "\n" for r in few), encoding="utf-8")
    # A made-up word that the corpus does not hold, in varied company; and one text that stands in the corpus already.
    places = ("城东", "城西", "河边", "车站", "市场", "大学路", "三楼", "拐角", "超市旁", "工业园")
    lines = ["kind,body"] + [f"ad,{p}找琉璃汇借贷款{n}千当天拿钱" for n, p in enumerate(places)]
    lines += [f"ok,{p}的会议改到{n}点请大家准时" for n, p in enumerate(places)] + [f'ok,"{few[0].text}"']
    source = _write(tmp_path / "mine.csv", "\n".join(lines) + "\n")
    extra, model = tmp_path / "mine.jsonl", tmp_path / "model"
    options = (
        "--text-column",
        "body",
        "--label-column",
        "kind",
        "--map",
        "ad=2:promo:loophole_channel",
        "--map",
        "ok=0",
    )
    result = run("data", "import", str(source), "--out", str(extra), *options)
    assert result.status == 0, result.err
    assert len({r.family for r in read_rows(extra)}) < len(read_rows(extra)), "near duplicates share a family"
    result = run("train", "--data", str(folder), "--extra", str(extra), "--out", str(model))
    assert result.status == 0, result.err
    classifier = load(model)
    assert classifier.artefact.manifest["training"]["rows"] == len(few) + 21
    yes, no = (classifier.judge(t).probabilities[1] for t in ("琉璃汇借贷款当天拿钱", "下周的会议请大家准时"))
    assert yes > 0.5 > no
    result = run("evaluate", str(extra), "--model", str(model), "--rounds", "0", "--format", "json")
    assert json.loads(result.out)[str(extra)]["average_precision"] > 0.9
