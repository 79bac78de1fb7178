"""Batch sources: the same rows give the same verdicts whatever file they stand in."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from batch_support import AD, CLEAN, DISGUISED, TEXTS, judge, read_jsonl, read_rejects, read_rows, rows_of, write_jsonl
from fastwarc.warc import WarcRecord, WarcRecordType
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import Classifier, UsageError, scan
from pipeline.batch import delimited, sources, streams

ROWS = rows_of(40)


def delimited_text(rows: list[dict[str, Any]], delimiter: str = ",", quoting: Any = csv.QUOTE_MINIMAL) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def make(folder: Path, kind: str) -> Path:
    """The rows in a file of a kind."""
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in ROWS).encode()
    table = pa.Table.from_pylist(ROWS)
    contents: dict[str, bytes] = {
        "a.jsonl": lines,
        "crlf.jsonl": lines.replace(b"\n", b"\r\n"),
        "bom.jsonl": b"\xef\xbb\xbf" + lines,
        "blank.jsonl": lines.replace(b"\n", b"\n\n"),
        "noend.jsonl": lines.rstrip(b"\n"),
        "escaped.jsonl": "".join(json.dumps(r) + "\n" for r in ROWS).encode(),
        "a.jsonl.gz": gzip.compress(lines),
        "members.jsonl.gz": gzip.compress(lines[:901]) + gzip.compress(lines[901:]) + b"\0" * 100,
        "a.jsonl.zst": zstandard.compress(lines),
        "frames.jsonl.zst": zstandard.compress(lines[:901]) + zstandard.compress(lines[901:]),
        "a.csv": delimited_text(ROWS).encode(),
        "quoted.csv": delimited_text(ROWS, quoting=csv.QUOTE_ALL).encode(),
        "bom.csv": delimited_text(ROWS).encode("utf-8-sig"),
        "gb.csv": delimited_text(ROWS).encode("gb18030"),
        "gb.csv.gz": gzip.compress(delimited_text(ROWS).encode("gb18030")),
        "a.tsv": delimited_text(ROWS, "\t").encode(),
    }
    path = folder / kind
    if kind == "a.parquet":
        pq.write_table(table, path, row_group_size=7)
    elif kind == "dictionary.parquet":
        pq.write_table(table.set_column(1, "text", table["text"].dictionary_encode()), path)
    elif kind == "binary.parquet":
        pq.write_table(table.set_column(1, "text", table["text"].cast(pa.large_binary())), path)
    else:
        path.write_bytes(contents[kind])
    return path


KINDS = (
    "a.jsonl", "crlf.jsonl", "bom.jsonl", "blank.jsonl", "noend.jsonl", "escaped.jsonl", "a.jsonl.gz", "members.jsonl.gz",
    "a.jsonl.zst", "frames.jsonl.zst", "a.csv", "quoted.csv", "bom.csv", "gb.csv", "gb.csv.gz", "a.tsv", "a.parquet",
    "dictionary.parquet", "binary.parquet",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shard_bytes", [300, 1 << 24])
def test_every_kind_of_file_gives_the_verdicts_of_check(
    tmp_path: Path, classifier: Classifier, kind: str, shard_bytes: int
) -> None:
    out = tmp_path / "out.jsonl"
    summary = judge(out, make(tmp_path, kind), shard_bytes=shard_bytes)
    rows = read_jsonl(out)
    assert (summary.read, summary.written, summary.rejected) == (40, 40, 0)
    assert [r["id"] for r in rows] == [r["id"] for r in ROWS]
    expected = [classifier.check(r["text"]) for r in ROWS]
    assert [r["severity"] for r in rows] == [v.severity for v in expected]
    assert [r["p_misleading"] for r in rows] == [v.p_misleading for v in expected]
    assert [[c["code"] for c in r["codes"]] for r in rows] == [[c.code for c in v.codes] for v in expected]
    assert summary.flagged == sum(v.flagged for v in expected) > 0


def test_several_files_and_folders_come_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "crawl"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    for name in ("b", "a", "c"):
        write_jsonl(folder / f"{name}.jsonl", [{"text": name}])
    first = write_jsonl(tmp_path / "z.jsonl", [{"text": "z"}])
    judge(tmp_path / "out.jsonl", first, folder)
    assert [r["text"] for r in read_jsonl(tmp_path / "out.jsonl")] == ["z", "a", "b", "c"]


def test_kinds_cannot_be_mixed(tmp_path: Path) -> None:
    a = write_jsonl(tmp_path / "a.jsonl", [{"text": "x"}])
    b = tmp_path / "b.csv"
    b.write_text("text\nx\n")
    with pytest.raises(UsageError, match="csv, jsonl"):
        judge(tmp_path / "out.jsonl", a, b)


def test_csv_files_may_order_their_columns_differently(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'id,text\n1,"{CLEAN}"\n', encoding="utf-8")
    (tmp_path / "b.csv").write_text(f'text,id\n"{AD}",2\n', encoding="utf-8")
    judge(tmp_path / "out.csv", tmp_path / "a.csv", tmp_path / "b.csv")
    assert [(r["id"], r["text"]) for r in read_rows(tmp_path / "out.csv")] == [("1", CLEAN), ("2", AD)]


# ---------------------------------------------------------------- pages

PAGE = f"<html><head><title>贷款问答</title></head><body><p>{CLEAN}</p><ul><li>{AD}</li></ul></body></html>"


def test_html_column_gives_the_verdict_of_scan(tmp_path: Path, classifier: Classifier) -> None:
    pages = [PAGE, f"<p>{CLEAN}</p>", "", f"<h1>{AD}</h1><p>{CLEAN}{CLEAN}</p>", "没有标记的文本"]
    source = write_jsonl(tmp_path / "in.jsonl", [{"html": p} for p in pages])
    judge(tmp_path / "out.jsonl", source, html_column="html")
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert [r["html"] for r in rows] == pages
    for row, page in zip(rows, pages, strict=True):
        expected = scan(page, classifier)
        assert row["severity"] == expected.summary.worst
        assert row["article_severity"] == expected.summary.article.severity
        assert row["stance"] == expected.summary.article.stance
        assert row["promo_exposure"] == expected.summary.promo_exposure
        told = [v for v in expected.segments if v.severity]
        assert [s["text"] for s in row["segments"]] == [v.text for v in told]
        assert sorted(c["code"] for c in row["codes"]) == sorted({c.code for v in told for c in v.codes})
        for segment in row["segments"]:
            assert all(segment["text"][e["start"] : e["end"]] == e["raw"] for e in segment["evidence"])
    assert rows[0]["promo_exposure"] == 1
    assert rows[0]["article_severity"] == 0
    assert "bait_title" in rows[3]["signals"]


def test_folder_of_pages(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.html").write_bytes(PAGE.encode("gb18030"))
    (folder / "deep" / "b.txt").write_text(CLEAN, encoding="utf-8")
    (folder / "c.htm").write_bytes(b"")
    (folder / "d.html").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    summary = judge(tmp_path / "out.parquet", folder)
    rows = read_rows(tmp_path / "out.parquet")
    assert [Path(r["file"]).name for r in rows] == ["a.html", "c.htm", "b.txt"]
    assert [r["encoding"] for r in rows] == ["gb18030", "utf-8", "utf-8"]
    assert [r["severity"] >= 2 for r in rows] == [True, False, False]
    assert [r["abstain"] for r in rows] == [False, True, False]
    assert (summary.read, summary.rejected) == (4, 1)
    (reject,) = read_jsonl(tmp_path / "out.parquet.rejects.jsonl")
    assert reject["file"].endswith("d.html")
    assert reject["reason"] == "undecodable"


def warc_record(url: str, body: bytes, *, kind: str = "text/html", headers: str = "") -> bytes:
    record = WarcRecord()
    record.init_headers(record_type=WarcRecordType.response)
    record.headers["WARC-Target-URI"] = url
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
    record.set_bytes_content(http + body)
    record.headers["Content-Type"] = "application/http; msgtype=response"
    buffer = io.BytesIO()
    record.write(buffer)
    return buffer.getvalue()


def wet_record(url: str, text: str) -> bytes:
    record = WarcRecord()
    record.init_headers(record_type=WarcRecordType.conversion)
    record.headers["WARC-Target-URI"] = url
    record.headers["Content-Type"] = "text/plain"
    record.set_bytes_content(text.encode())
    buffer = io.BytesIO()
    record.write(buffer)
    return buffer.getvalue()


def info_record() -> bytes:
    record = WarcRecord()
    record.init_headers(record_type=WarcRecordType.warcinfo)
    record.set_bytes_content(b"software: test\r\n")
    buffer = io.BytesIO()
    record.write(buffer)
    return buffer.getvalue()


RECORDS = [
    info_record(),
    warc_record("https://www.a.example/1", PAGE.encode()),
    warc_record("https://a.example/2", f"<p>{CLEAN}</p>".encode("gb18030"), kind="text/html; charset=utf-8"),
    warc_record("https://b.example/", gzip.compress(PAGE.encode()), headers="Content-Encoding: gzip\r\n"),
    warc_record("https://b.example/moved", b""),
    warc_record("https://b.example/logo", b"\x89PNG\r\n\x1a\n\0\0", kind="image/png"),
]


@pytest.mark.parametrize("packing", ["plain", "gzip", "gzip-whole", "zstd"])
def test_warc(tmp_path: Path, packing: str) -> None:
    data = {
        "plain": b"".join(RECORDS),
        "gzip": b"".join(map(gzip.compress, RECORDS)),
        "gzip-whole": gzip.compress(b"".join(RECORDS)),
        "zstd": b"".join(map(zstandard.compress, RECORDS)),
    }[packing]
    path = tmp_path / ("crawl.warc" + {"plain": "", "zstd": ".zst"}.get(packing, ".gz"))
    path.write_bytes(data)
    summary = judge(tmp_path / "out.jsonl", path, shard_bytes=4000)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert [r["url"] for r in rows] == [
        f"https://{u}" for u in ("www.a.example/1", "a.example/2", "b.example/", "b.example/moved")
    ]
    assert [r["severity"] >= 2 for r in rows] == [True, False, True, False]
    assert rows[1]["encoding"] == "gb18030"
    assert all(r["http_status"] == 200 and r["record_id"].startswith("<urn:uuid:") for r in rows)
    assert read_rejects(tmp_path / "out.jsonl") == [(5, "not_text")]
    assert summary.domains["a.example"].rows == 2
    assert summary.domains["a.example"].flagged == 1


def test_wet(tmp_path: Path) -> None:
    path = tmp_path / "crawl.wet.gz"
    records = [wet_record("https://a.example/", f"{CLEAN}\n{AD}\n"), wet_record("https://b.example/", CLEAN)]
    path.write_bytes(b"".join(map(gzip.compress, records)))
    judge(tmp_path / "out.jsonl", path)
    rows = read_jsonl(tmp_path / "out.jsonl")
    assert [r["severity"] >= 2 for r in rows] == [True, False]
    assert rows[0]["segments"][0]["text"] == AD


# ---------------------------------------------------------------- properties

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(words, words), max_size=12),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
    block=st.integers(1, 60),
)
def test_csv_rows_survive_any_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], quoting: Any, encoding: str, block: int
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting).writerows([("标题", "text"), *rows])
    expected = [list(r) for r in csv.reader(io.StringIO(text.getvalue(), newline=""))][1:]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    item = sources.Input(str(path), "a.csv", "csv", path.stat().st_size)
    found = []
    for piece in delimited.record_blocks(item, ("标题", "text"), block):
        assert "rejects" not in piece
        if piece.get("payload"):
            detected, names, payload = piece["payload"]
            assert names == ("标题", "text")
            # A header and rows without a Chinese character say nothing of the encoding.
            found += [fields for _, fields in delimited.rows_of(payload, detected, "csv")]
    assert found == [row for row in expected if row]


@settings(max_examples=100, deadline=None)
@given(
    data=st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\n\n"]), max_size=40).map(b"".join), size=st.integers(1, 20)
)
def test_byte_ranges_hold_every_line_once(tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int) -> None:
    path = tmp_path_factory.mktemp("ranges") / "a.jsonl"
    path.write_bytes(data)
    parts = [b"".join(streams.range_chunks(path, at, min(len(data), at + size))) for at in range(0, len(data), size)]
    assert b"".join(parts) == data
    assert all(part.endswith(b"\n") for part in [part for part in parts if part][:-1])


@settings(max_examples=60, deadline=None)
@given(chunks=st.lists(st.binary(max_size=30), max_size=10))
def test_whole_lines_lose_nothing(chunks: list[bytes]) -> None:
    def source() -> Iterator[bytes]:
        yield from chunks

    blocks = list(streams.whole_lines(source()))
    assert b"".join(blocks) == b"".join(chunks)
    assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_texts_of_the_tests_are_of_all_kinds(classifier: Classifier) -> None:
    severities = {classifier.check(text).severity >= 2 for text in TEXTS}
    assert severities == {True, False}
    assert classifier.check(DISGUISED).evasions
