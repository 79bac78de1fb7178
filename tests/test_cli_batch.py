"""``loanlint batch``: options, exit status, standard streams, messages, report."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from batch_support import AD, CLEAN, WARNING, read_jsonl, rows_of, write_jsonl
from click.testing import CliRunner

from pipeline.batch.report import render
from pipeline.batch.summary import Domain, Example, Summary, host_of
from pipeline.cli.batch import command


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("cli") / "clean.jsonl", [{"text": CLEAN}, {"text": WARNING}])


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("cli") / "mixed.jsonl", rows_of(30))


def test_exit_status(run, tmp_path: Path, clean: Path, mixed: Path) -> None:
    out = str(tmp_path / "out.jsonl")
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(clean.read_bytes() + b"{\n")
    assert run("batch", str(clean), "--out", out, "--workers", "1").status == 0
    assert run("batch", str(mixed), "--out", out, "--workers", "1").status == 1
    assert run("batch", str(mixed), "--out", out, "--workers", "1", "--fail-on", "illegal").status == 0
    result = run("batch", str(bad), "--out", out, "--workers", "1")
    assert result.status == 2
    assert "rejected 1" in result.err
    assert len(read_jsonl(tmp_path / "out.jsonl")) == 2


def test_a_filter_reads_and_writes_standard_streams(run, mixed: Path) -> None:
    result = run("batch", "-", "--workers", "2", stdin=mixed.read_bytes())
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [r["id"] for r in rows] == [r["id"] for r in rows_of(30)]
    assert result.status == 1
    quiet = run("batch", "-", "--quiet", "--workers", "1", stdin=mixed.read_bytes())
    assert quiet.out == result.out
    assert quiet.err == ""


def test_a_filter_hands_rows_on_as_they_come() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "batch", "-", "--quiet", "--workers", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(3):
        process.stdin.write(json.dumps({"text": AD}).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["severity"] >= 2  # while standard input is still open
    process.stdin.close()
    process.stdout.close()
    assert process.wait(30) == 1


def test_rejects_of_a_filter_go_to_standard_error(run) -> None:
    result = run("batch", "-", "--quiet", "--workers", "1", stdin=b'{"text":"x"}\n{"text":\n')
    assert json.loads(result.err)["line"] == 2
    assert json.loads(result.err)["file"] == "<stdin>"
    assert len(result.out.splitlines()) == 1
    assert result.status == 2


def test_a_reader_that_goes_away_is_no_error(mixed: Path, tmp_path: Path) -> None:
    big = tmp_path / "big.jsonl"
    big.write_bytes(mixed.read_bytes() * 300)
    command = f"{sys.executable} -m pipeline.cli batch {big} --quiet --workers 1 | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["id"] == "r0"
    assert done.stderr == ""


BAD_CALLS = [
    (("{mixed}", "--text-column", "a", "--html-column", "b"), "E_USAGE"),
    (("{tmp}/missing.jsonl",), "E_INPUT_MISSING"),
    (("{tmp}",), "E_INPUT_MISSING"),
    (("{mixed}", "-"), "E_USAGE"),
    (("{mixed}", "--out", "{tmp}/out.xlsx"), "E_USAGE"),
    (("{mixed}", "--out", "{tmp}/no/such/../../folder.jsonl/x.jsonl"), "E_OUTPUT"),
    (("{mixed}", "--resume"), "E_USAGE"),
    (("{mixed}", "--out-format", "parquet"), "E_USAGE"),
    (("{mixed}", "--partition-by", "x"), "E_USAGE"),
    (("{tmp}/what.bin",), "E_USAGE"),
    (("{tmp}/in.csv", "--text-column", "body"), "E_USAGE_COLUMN"),
    (("{tmp}/in.parquet", "--text-column", "n"), "E_USAGE_COLUMN"),
    (("{tmp}/in.parquet", "--url-column", "nowhere"), "E_USAGE_COLUMN"),
    (("{mixed}", "--model", "{tmp}"), "E_MODEL_MISSING"),
    (("{mixed}", "--engine", "spark", "--out", "{tmp}/s"), "E_USAGE_SPARK"),
    (("{mixed}", "--limit", "0"), "--limit"),
]


@pytest.mark.parametrize(("args", "code"), BAD_CALLS)
def test_bad_calls_are_one_line_and_status_2(
    run, tmp_path: Path, mixed: Path, args: tuple[str, ...], code: str
) -> None:
    (tmp_path / "folder.jsonl").touch()
    if "{tmp}" not in args:
        (tmp_path / "in.csv").write_text("id,text\n1,a\n")
        (tmp_path / "what.bin").touch()
        import pyarrow as pa

        pq.write_table(pa.table({"n": [1], "text": ["x"]}), tmp_path / "in.parquet")
    else:
        (tmp_path / "folder.jsonl").unlink()
    result = run("batch", *(a.replace("{tmp}", str(tmp_path)).replace("{mixed}", str(mixed)) for a in args))
    assert result.status == 2
    assert code in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert "Traceback" not in result.err
    assert result.out == ""


def test_summary_beside_the_output(run, tmp_path: Path, mixed: Path) -> None:
    result = run("batch", str(mixed), "--out", str(tmp_path / "out.parquet"), "--workers", "1")
    summary = json.loads((tmp_path / "out.parquet.summary.json").read_text(encoding="utf-8"))
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert summary["read"] == summary["judged"] == summary["written"] == len(rows) == 30
    assert summary["flagged"] == sum(r["flagged"] for r in rows)
    assert summary["by_severity"] == {n: sum(r["label"] == n for r in rows) for n in {r["label"] for r in rows}}
    assert summary["by_code"] == {
        c: sum(c in [x["code"] for x in r["codes"]] for r in rows)
        for c in {x["code"] for r in rows for x in r["codes"]}
    }
    assert sum(d["rows"] for d in summary["domains"].values()) == 30
    assert sum(d["flagged"] for d in summary["domains"].values()) == summary["flagged"]
    assert summary["by_evasion"]
    assert summary["terms"]
    assert {e["id"] for e in summary["examples"]} <= {r["id"] for r in rows}
    assert f"flagged {summary['flagged']}" in result.err
    assert "site" in result.err


def test_a_bar_on_a_terminal_and_lines_elsewhere(tmp_path: Path, mixed: Path) -> None:
    args = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "batch",
        str(mixed),
        "--out",
        str(tmp_path / "out.jsonl"),
        "--workers",
        "1",
    ]
    master, slave = pty.openpty()
    process = subprocess.Popen(args, stderr=slave, stdout=subprocess.DEVNULL)
    os.close(slave)
    seen = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(master)
    assert process.wait(60) == 1
    shown = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen).decode("utf-8", "replace")
    assert "100 %" in shown
    assert "30 行 rows" in shown
    done = subprocess.run(args, capture_output=True, check=False)
    assert b"\x1b" not in done.stderr


def test_every_option_has_help_in_both_languages() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    for option in command.params:
        help_text = getattr(option, "help", None)
        if help_text is not None and option.name != "help":
            assert re.search(r"[\u4e00-\u9fff]", help_text)
            assert re.search(r"[A-Za-z]{3}", help_text)
    assert "--resume" in text


# ---------------------------------------------------------------- report


def test_report_is_one_file_that_loads_nothing(run, tmp_path: Path, mixed: Path) -> None:
    run(
        "batch",
        str(mixed),
        "--out",
        str(tmp_path / "out.jsonl"),
        "--workers",
        "1",
        "--report",
        str(tmp_path / "r.html"),
    )
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert html.count("<svg") >= 5
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", html)
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert "site1.example" in html


def test_report_escapes_what_comes_from_the_crawl() -> None:
    evil = "<script>alert(1)</script>$\\frac{1}{0}$"
    summary = Summary(
        read=3,
        judged=3,
        written=3,
        flagged=1,
        by_severity={"none": 2, "misleading": 1},
        by_code={"no_credit_check": 1},
        by_evasion={evil: 1},
        terms={evil: 5, "a\x00\u202eb": 2},
        domains={evil: Domain(3, 1, 0, 1, 0)},
        examples=[Example(evil, 2, 0.9, ["no_credit_check"], [evil])],
    )
    html = render(summary, [evil])
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 5


def test_report_of_nothing() -> None:
    html = render(Summary(), [])
    assert "批量检查报告" in html


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.A.example:8080/x?y#z", "a.example"),
        ("//b.example", "b.example"),
        ("http://user:pw@c.example/@d", "c.example"),
        ("https://中文.example/路径", "中文.example"),
        ("c.example/x", None),
        ("", None),
    ],
)
def test_domain_of_a_url(url: str, host: str | None) -> None:
    assert host_of(url) == host


def test_columns_of_urls_give_the_same_domains(tmp_path: Path) -> None:
    from batch_support import judge

    urls = ["https://www.A.example:8080/x", "//b.example", "http://u:p@c.example/", "x", None, 7, "https://a.example"]
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": CLEAN, "site": u} for u in urls])
    summary = judge(tmp_path / "out.jsonl", source, url_column="site")
    assert {name: d.rows for name, d in summary.domains.items()} == {"a.example": 2, "b.example": 1, "c.example": 1}
