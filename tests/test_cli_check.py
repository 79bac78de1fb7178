"""``loanlint check``: verdicts, formats, exit status, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

AD = "征信黑了也能下的口子,有身份证就能下款,秒到账"
CLEAN = "周末去公园划船,晚上吃火锅"


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ((CLEAN,), 0),
        ((AD,), 1),
        ((CLEAN, AD), 1),
        ((AD, "--fail-on", "illegal"), 0),
        ((CLEAN, "--fail-on", "borderline"), 0),
    ],
)
def test_exit_status_follows_the_verdicts(run, args: tuple[str, ...], status: int) -> None:
    assert run("check", *args).status == status


def test_json_carries_the_verdict_fields(run) -> None:
    rows = json.loads(run("check", "--format", "json", AD).out)
    assert len(rows) == 1
    (row,) = rows
    assert row["severity"] in (2, 3)
    assert row["label"] in ("misleading", "illegal")
    assert row["p_misleading"] > 0.5
    assert {"loophole_channel", "impaired_credit_targeting"} & {c["code"] for c in row["codes"]}
    for e in row["evidence"]:
        assert AD[e["start"] : e["end"]] == e["raw"]
    assert all(r["relation"] == "may_engage" for r in row["legal_refs"])


def test_evidence_points_at_the_disguised_words(run) -> None:
    text = "贷/款找我,不查徵信,黑户也能下歀"
    (row,) = json.loads(run("check", "--format", "json", text).out)
    assert row["severity"] >= 2
    assert "obfuscation" in row["signals"]
    raw = [e["raw"] for e in row["evidence"]]
    assert any("徵信" in r or "歀" in r or "贷/款" in r for r in raw)


def test_lines_of_a_file_and_of_standard_input(run, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text(f"{CLEAN}\n\n{AD}\n", encoding="utf-8")
    by_file = run("check", "-f", str(file), "--format", "jsonl")
    by_stdin = run("check", "-", "--format", "jsonl", stdin=file.read_bytes())
    severities = [json.loads(line)["severity"] for line in by_file.out.splitlines()]
    assert severities[0] == 0
    assert severities[1] >= 2
    assert [json.loads(line)["severity"] for line in by_stdin.out.splitlines()] == severities
    assert json.loads(by_file.out.splitlines()[1])["id"] == f"{file}:3"


def test_gb18030_file_is_read(run, tmp_path: Path) -> None:
    file = tmp_path / "gbk.txt"
    file.write_bytes((AD + "\n").encode("gb18030"))
    assert run("check", "-f", str(file)).status == 1


def test_text_format_names_place_label_and_words(run) -> None:
    line = run("check", "--format", "text", AD).out.strip()
    assert line.startswith("text:1: ")
    assert "口子" in line


def test_github_annotations(run, tmp_path: Path) -> None:
    file = tmp_path / "a,b.txt"
    file.write_text(f"{CLEAN}\n{AD}\n", encoding="utf-8")
    lines = run("check", "-f", str(file), "--format", "github").out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(("::warning file=", "::error file="))
    assert "line=2" in lines[0]
    assert "a%2Cb.txt" in lines[0]


def test_sarif_is_complete(run) -> None:
    document = json.loads(run("check", "--format", "sarif", AD, CLEAN).out)
    (sarif_run,) = document["runs"]
    assert document["version"] == "2.1.0"
    assert len(sarif_run["results"]) == 1
    rules = {r["id"] for r in sarif_run["tool"]["driver"]["rules"]}
    assert sarif_run["results"][0]["ruleId"] in rules


def test_human_output_underlines_and_explains(run) -> None:
    result = run("check", "--format", "human", "--explain", AD)
    assert "误导" in result.out or "涉嫌违法" in result.out
    assert "证据 evidence" in result.out
    assert "可能涉及 may engage" in result.out


def test_hidden_characters_are_written_out(run) -> None:
    out = run("check", "--format", "human", AD + "\u202e\x1b[31m").out
    assert "\u202e" not in out
    assert "<U+202E>" in out
    assert "<U+001B>" in out


def test_short_text_abstains(run) -> None:
    (row,) = json.loads(run("check", "--format", "json", "贷").out)
    assert row["abstain"] is True
    assert row["severity"] == 0


def test_question_channel_is_not_flagged_without_a_contact(run) -> None:
    assert run("check", AD, "--channel", "ugc_question").status == 0
    assert run("check", AD + " 加微信abc00000", "--channel", "ugc_question").status == 1


def test_operating_points_are_ordered(run) -> None:
    text = "资质一般也可以试试,下款快"
    flagged = [run("check", text, "--operating-point", p).status for p in ("high_precision", "balanced", "high_recall")]
    assert flagged == sorted(flagged)


def test_law_is_cited_by_date(run) -> None:
    def references(day: str) -> set[str]:
        (row,) = json.loads(run("check", "--format", "json", "--date", day, AD).out)
        return {r["id"] for r in row["legal_refs"]}

    assert "FPOM" in references("2026-10-01")
    assert "FPOM" not in references("2026-09-29")


BAD_INPUT = [
    (("check", "-f", "{tmp}/missing.txt"), "E_INPUT_MISSING"),
    (("check", "-f", "{tmp}"), "E_INPUT_DIRECTORY"),
    (("check", "-f", "{tmp}/binary"), "E_INPUT_BINARY"),
    (("check", "-f", "{tmp}/empty"), "E_INPUT_EMPTY"),
    (("check", "-f", "{tmp}/huge"), "E_INPUT_SIZE"),
    (("check", "-f", "{tmp}/noise"), "E_INPUT_ENCODING"),
    (("check", ""), "E_INPUT_EMPTY"),
    (("check", "   "), "E_INPUT_EMPTY"),
    (("check", b"\xed\xa0\x80\xff"), "E_INPUT_SURROGATE"),
    (("check",), "E_USAGE"),
    (("check", "x", "--date", "yesterday"), "E_USAGE"),
    (("scan", "{tmp}/missing.html"), "E_INPUT_MISSING"),
    (("scan", "{tmp}"), "E_INPUT_DIRECTORY"),
    (("scan", "{tmp}/binary"), "E_INPUT_BINARY"),
    (("scan", "{tmp}/nul"), "E_INPUT_BINARY"),
    (("scan", "{tmp}/empty"), "E_INPUT_EMPTY"),
    (("scan", "{tmp}/script.html"), "E_INPUT_EMPTY"),
    (("scan", "{tmp}/huge"), "E_INPUT_SIZE"),
    (("check", "x", "--model", "{tmp}/nothing"), "E_MODEL_MISSING"),
    (("check", "x", "--model", "{tmp}"), "E_MODEL_MISSING"),
    (("evaluate", "{tmp}/missing.jsonl"), "E_DATA_FILE"),
    (("evaluate", "{tmp}/noise"), "E_DATA"),
    (("taxonomy", "no_such_code"), "E_USAGE"),
]


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "binary").write_bytes(b"%PDF-1.7\n\x00\x01\x02" * 50)
    (folder / "nul").write_bytes("贷款\x00".encode() * 10)
    (folder / "empty").write_bytes(b" \n\n")
    (folder / "huge").write_bytes("贷".encode() * 3_500_000)
    (folder / "noise").write_bytes(bytes([0xFF, 0x80, 0x81, 0xC0] * 400))
    (folder / "script.html").write_text("<html><body><script>draw()</script></body></html>", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("args", "code"), BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(run, bad: Path, args: tuple[str | bytes, ...], code: str) -> None:
    result = run(*(a.replace("{tmp}", str(bad)) if isinstance(a, str) else a for a in args))
    assert result.status == 2
    assert len(result.err.strip().splitlines()) == 1
    assert code in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_unknown_option_is_status_2(run) -> None:
    result = run("check", "--nonsense")
    assert result.status == 2
    assert len(result.err.strip().splitlines()) == 1


def test_nothing_done_is_lost_when_one_page_is_bad(run, tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    page.write_text(f"<p>{AD}</p>", encoding="utf-8")
    result = run("scan", str(page), str(tmp_path / "missing.html"), "--format", "jsonl")
    assert result.status == 2
    assert json.loads(result.out.splitlines()[0])["severity"] >= 2
