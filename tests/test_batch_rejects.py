"""Batch rejects: what cannot be read is listed with file, line and reason; everything else comes through, and the counts add up."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from batch_support import AD, CLEAN, judge, read_jsonl, read_rejects, read_rows, rows_of, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from test_batch_sources import RECORDS

from pipeline.batch.settings import MAX_ROW, MAX_TEXT

GOOD = b'{"text":"x"}'

BAD_LINES = [
    (b"{broken", "bad_json"),
    (b'{"text":"x"', "bad_json"),
    (b'{"text":"x"} {"text":"y"}', "bad_json"),
    (b'{"text":"x"}{"text":"y"}', "bad_json"),
    (b'{"text":"x","a":01}', "bad_json"),
    (b'{"text":"x","a":"\\q"}', "bad_json"),
    (b'{"text":"a\x01b"}', "bad_json"),
    (b'{"text":"\\ud800"}', "bad_json"),
    (b'{"text":"x","a":' + b"[" * 100_000 + b"}", "bad_json"),
    (b"\x00\x00", "bad_json"),
    (b'{"text":3}', "wrong_type"),
    (b'{"text":["x"]}', "wrong_type"),
    (b"[1]", "wrong_type"),
    (b'"x"', "wrong_type"),
    (b'{"txet":"x"}', "missing_field"),
    (b"{}", "missing_field"),
    (b'{"text":"\xff\xfe"}', "undecodable"),
    (b'{"text":"x","a":"\xb4\xfb"}', "undecodable"),
    (b'{"text":"x","severity":2}', "field_exists"),
    (b'{"text":"x","sever\\u0069ty":2}', "field_exists"),
    (b'{"text":"' + b"a" * (MAX_TEXT + 1) + b'"}', "oversized"),
    (b'{"text":"x","a":"' + b"a" * MAX_ROW + b'"}', "oversized"),
]


@pytest.mark.parametrize("shard_bytes", [400, 1 << 24])
def test_bad_lines(tmp_path: Path, shard_bytes: int) -> None:
    lines = [GOOD]
    for bad, _ in BAD_LINES:
        lines += [bad, b"", GOOD]
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\n".join(lines))
    summary = judge(tmp_path / "out.jsonl", source, shard_bytes=shard_bytes if shard_bytes > 400 else 1 << 20)
    assert read_rejects(tmp_path / "out.jsonl") == [(2 + 3 * k, reason) for k, (_, reason) in enumerate(BAD_LINES)]
    assert len(read_jsonl(tmp_path / "out.jsonl")) == len(BAD_LINES) + 1
    assert (summary.read, summary.judged, summary.rejected) == (
        2 * len(BAD_LINES) + 1,
        len(BAD_LINES) + 1,
        len(BAD_LINES),
    )
    assert summary.by_reason["bad_json"] == sum(reason == "bad_json" for _, reason in BAD_LINES)


def test_an_object_over_several_lines_is_no_row(tmp_path: Path) -> None:
    """Three lines that hold three objects, but not one each."""
    source = tmp_path / "in.jsonl"
    source.write_bytes(b'{"text":"a"}{"text":"b"}\n{"text":\n"c"}\n')
    judge(tmp_path / "out.jsonl", source)
    assert read_rejects(tmp_path / "out.jsonl") == [(1, "bad_json"), (2, "bad_json"), (3, "bad_json")]


def test_null_is_no_text_and_no_fault(tmp_path: Path) -> None:
    summary = judge(tmp_path / "out.jsonl", write_jsonl(tmp_path / "in.jsonl", [{"text": None}, {"text": ""}]))
    assert [r["abstain"] for r in read_jsonl(tmp_path / "out.jsonl")] == [True, True]
    assert (summary.rejected, summary.abstained) == (0, 2)


@pytest.mark.parametrize("packing", ["gz", "zst"])
@pytest.mark.parametrize("keep", [0.3, 0.7, 0.999])
def test_a_compressed_file_that_is_cut_short(tmp_path: Path, packing: str, keep: float) -> None:
    rows = [{"id": i, "text": f"{CLEAN}{i * 7919 % 10007}"} for i in range(3000)]
    data = "".join(json.dumps(r) + "\n" for r in rows).encode()
    packed = (
        gzip.compress(data) if packing == "gz" else zstandard.ZstdCompressor(write_content_size=False).compress(data)
    )
    source = tmp_path / f"in.jsonl.{packing}"
    source.write_bytes(packed[: int(len(packed) * keep)])
    summary = judge(tmp_path / "out.jsonl", source, limit=None)
    found = read_jsonl(tmp_path / "out.jsonl")
    assert [r["id"] for r in found] == list(range(len(found)))
    assert read_rejects(tmp_path / "out.jsonl") == [(len(found) + 1, "truncated")]
    assert summary.read == len(found) + 1
    if packing == "gz":
        assert len(found) > 3000 * keep * 0.8


def test_a_member_that_is_cut_short_does_not_cost_the_next(tmp_path: Path) -> None:
    def member(first: int) -> bytes:
        return gzip.compress(
            "".join(
                json.dumps({"id": i, "text": f"{CLEAN}{i * 7919 % 10007}"}) + "\n" for i in range(first, first + 500)
            ).encode(),
            mtime=0,  # else the bytes that stand behind the cut depend on the clock
        )

    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(member(0) + member(500)[:3000] + member(1000))
    judge(tmp_path / "out.jsonl", source)
    ids = [r["id"] for r in read_jsonl(tmp_path / "out.jsonl")]
    assert ids == [*range(500), *range(1000, 1500)]
    assert [line for line, _ in read_rejects(tmp_path / "out.jsonl")] == [501]


def test_damaged_bytes_inside_a_compressed_file(tmp_path: Path) -> None:
    packed = bytearray(
        gzip.compress("".join(json.dumps({"text": f"{CLEAN}{i * 7919 % 10007}"}) + "\n" for i in range(3000)).encode())
    )
    packed[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(bytes(packed))
    summary = judge(tmp_path / "out.jsonl", source)
    assert read_rejects(tmp_path / "out.jsonl") == [(1, "corrupt")]
    assert summary.judged == 0
    assert summary.rejected > 500


CSV_FAULTS = [
    (b"id,text\n1,a\n2,b,c\n3\n4,d\n", [(3, "wrong_columns"), (4, "wrong_columns")], ["1", "4"]),
    (b'id,text\n1,"a\n2,b\n3,c\n', [(2, "bad_csv")], ["2", "3"]),
    (b'id,text\n1,a\n2,"b', [(3, "bad_csv")], ["1"]),
    (b"id,text\n1,a\n2,\xff\xff\xff\n3,c\n", [(3, "undecodable")], ["1", "3"]),
    (b"id,text\n1,a\n2," + "贷款".encode("gb18030") + b"\n3,c\n", [], ["1", "2", "3"]),
    (b"id,text\n1,a\n2," + b"x" * (MAX_ROW + 9) + b"\n3,c\n", [(3, "bad_csv")], ["1", "3"]),
    (b"id,text\n1,a\n2," + b"x" * (MAX_TEXT + 1) + b"\n3,c\n", [(3, "oversized")], ["1", "3"]),
    (b'id,text\n\n1,"two\nlines"\n2,x,y\n', [(5, "wrong_columns")], ["1"]),
    (b'id,text\n1,5" screen\n2,b\n', [], ["1", "2"]),
]


@pytest.mark.parametrize("shard_bytes", [4, 1 << 24])
@pytest.mark.parametrize(("data", "rejects", "ids"), CSV_FAULTS)
def test_bad_csv(tmp_path: Path, data: bytes, rejects: list, ids: list[str], shard_bytes: int) -> None:
    source = tmp_path / "in.csv"
    # An odd first line fixes the encoding by which the rest is read.
    source.write_bytes(data)
    summary = judge(tmp_path / "out.jsonl", source, shard_bytes=shard_bytes)
    assert [r["id"] for r in read_jsonl(tmp_path / "out.jsonl")] == ids
    assert read_rejects(tmp_path / "out.jsonl") == rejects
    assert summary.read == len(ids) + len(rejects)


def test_a_file_with_other_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "b.csv").write_text("id,body\n1,a\n")
    (tmp_path / "c.csv").write_text("text,text\n1,a\n")
    judge(tmp_path / "out.csv", tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv")
    assert read_rejects(tmp_path / "out.csv") == [(0, "other_columns"), (0, "header")]
    assert len(read_rows(tmp_path / "out.csv")) == 1


def parquet_file(path: Path, rows: int = 3000, group: int = 500) -> bytes:
    texts = [f"{CLEAN}{i * 7919 % 10007}" for i in range(rows)]
    table = pa.table({"id": list(range(rows)), "text": texts})
    pq.write_table(table, path, row_group_size=group, compression="zstd", use_dictionary=False, data_page_size=2000)
    return path.read_bytes()


def test_a_damaged_row_group_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    data = bytearray(parquet_file(path))
    column = pq.ParquetFile(path).metadata.row_group(2).column(1)
    start = column.data_page_offset + column.total_compressed_size // 2
    data[start : start + 200] = bytes(200)
    path.write_bytes(bytes(data))
    summary = judge(tmp_path / "out.parquet", path)
    ids = [r["id"] for r in read_rows(tmp_path / "out.parquet")]
    (reject,) = read_jsonl(tmp_path / "out.parquet.rejects.jsonl")
    assert reject["reason"] == "corrupt"
    lost = set(range(3000)) - set(ids)
    assert lost
    assert lost <= set(range(1000, 1500))
    assert reject["rows"] == len(lost)
    assert reject["line"] == min(lost) + 1
    assert summary.read == 3000


def test_a_parquet_file_without_its_end(tmp_path: Path) -> None:
    data = parquet_file(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(data[:-100])
    (tmp_path / "c.parquet").write_bytes(b"")
    pq.write_table(pa.table({"other": [1, 2]}), tmp_path / "d.parquet")
    judge(tmp_path / "out.jsonl", *(tmp_path / f"{n}.parquet" for n in "abcd"))
    assert read_rejects(tmp_path / "out.jsonl") == [(0, "unreadable"), (0, "unreadable"), (0, "other_columns")]
    assert len(read_jsonl(tmp_path / "out.jsonl")) == 3000


def test_texts_of_parquet_that_are_no_texts(tmp_path: Path) -> None:
    raw = [AD.encode(), b"\xff\xfe", CLEAN.encode(), b"x" * (MAX_TEXT + 1), None]
    buffers = pa.array(raw, pa.binary()).buffers()
    fake = pa.Array.from_buffers(pa.string(), len(raw), buffers)  # what careless writers produce
    for name, column in (("binary", pa.array(raw, pa.binary())), ("string", fake)):
        pq.write_table(pa.table({"id": list(range(5)), "text": column}), tmp_path / f"{name}.parquet")
        summary = judge(tmp_path / "out.parquet", tmp_path / f"{name}.parquet")
        assert read_rejects(tmp_path / "out.parquet") == [(2, "undecodable"), (4, "oversized")]
        assert [r["id"] for r in read_rows(tmp_path / "out.parquet")] == [0, 2, 4]
        assert summary.read == 5


WARC_FAULTS = [
    (lambda r: r[1] + r[2][:-20], [(2, "truncated")], 1),
    (lambda r: r[1] + b"noise\r\n" * 9 + r[2], [(2, "bad_warc")], 2),
    (lambda r: r[1].replace(b"Content-Length: ", b"Content-Length: 1", 1) + r[2], [(1, "bad_warc")], 1),
    (lambda r: r[1].replace(b"Content-Length: ", b"Content-Size: ", 1) + r[2], [(1, "bad_warc")], 1),
    (lambda r: r[1] + r[5] + r[2], [(2, "not_text")], 2),
    (lambda r: b"not an archive", [(1, "bad_warc")], 0),
]  # fmt: skip


@pytest.mark.parametrize(("build", "rejects", "good"), WARC_FAULTS)
def test_bad_archives(tmp_path: Path, build, rejects: list, good: int) -> None:
    path = tmp_path / "in.warc"
    path.write_bytes(build(RECORDS))
    judge(tmp_path / "out.jsonl", path)
    assert read_rejects(tmp_path / "out.jsonl") == rejects
    assert len(read_jsonl(tmp_path / "out.jsonl")) == good


def test_a_file_of_rejects_goes_with_the_run_that_had_none(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(GOOD + b"\n{\n")
    judge(tmp_path / "out.jsonl", source)
    assert read_rejects(tmp_path / "out.jsonl") == [(2, "bad_json")]
    write_jsonl(source, rows_of(3))
    judge(tmp_path / "out.jsonl", source)
    assert not (tmp_path / "out.jsonl.rejects.jsonl").exists()


lines_of_bytes = st.one_of(
    st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")),
    st.text(max_size=10).map(lambda t: json.dumps({"text": t}).encode()),
    st.sampled_from([GOOD, b"", b"{}", b'{"text":"x"} ', b'{"text":', b'"y"}', b"\xef\xbb\xbf" + GOOD]),
)


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(lines_of_bytes, max_size=12))
def test_every_line_is_a_row_or_a_reject(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    """Whatever the lines are, what is accepted is what Python's own parser accepts."""
    from pipeline.batch.lines import LineDecoder
    from pipeline.batch.settings import BatchSettings

    decoder = LineDecoder(BatchSettings(inputs=("x",)), ("severity",))
    expected = []
    for line in lines:
        try:
            row = json.loads(line.strip().decode("utf-8-sig"), parse_constant=lambda c: 1 / 0)
            ok = (
                isinstance(row, dict)
                and isinstance(row.get("text"), str)
                and not any("\ud800" <= c <= "\udfff" for c in row["text"])
            )
        except (ValueError, ZeroDivisionError):
            ok = False
        if line.removeprefix(b"\xef\xbb\xbf").strip():
            expected.append(row["text"] if ok else None)
    found = decoder.lines(b"\n".join(lines), None)
    assert found.read == len(expected)
    assert found.texts == [text for text in expected if text is not None]
    assert len(found.rejects) == expected.count(None)
    assert [json.loads(head + b"}")["text"] for head in found.heads] == found.texts
