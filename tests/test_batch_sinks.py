"""Batch sinks: the caller's columns and order are kept, the verdict stands beside them, and parts join to one file."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_support import AD, CLEAN, DISGUISED, judge, read_jsonl, read_rejects, read_rows, rows_of, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import Classifier, UsageError
from pipeline.batch import footer, load_scorer, score_batch, verdict_schema
from pipeline.batch.rows import OTHER, fit, infer_schema
from pipeline.batch.table import scored_of, verdict_arrays

FIELDS = (
    "severity", "label", "p_misleading", "flagged", "action", "codes", "stance", "signals", "evidence", "evasion_kinds",
    "abstain", "model_version",
)  # fmt: skip


def test_json_lines_keep_every_byte_of_the_caller(tmp_path: Path) -> None:
    lines = [
        b'{"b": 1.0,  "text" : "%s", "a":[1,{"x":null}],"e":"\\u4e2d\\/", "n":123456789012345678901234567890}'
        % AD.encode(),
        b' {"text":"%s","f":1e400}' % CLEAN.encode(),
        b'{"a":1,"a":2,"text":"x" }',
    ]
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\r\n".join(lines) + b"\n")
    judge(tmp_path / "out.jsonl", source)
    found = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(found) == 3
    for line, result in zip(lines, found, strict=True):
        assert result.startswith(line.strip()[:-1] + b',"severity":')
    assert tuple(json.loads(found[0]))[-len(FIELDS) :] == FIELDS


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize("shard_bytes", [500, 1 << 24])
def test_columns_and_order(tmp_path: Path, classifier: Classifier, kind: str, shard_bytes: int) -> None:
    rows = rows_of(60)
    out = tmp_path / f"out.{kind}"
    judge(out, write_jsonl(tmp_path / "in.jsonl", rows), shard_bytes=shard_bytes)
    found = read_rows(out)
    own = [*rows[0], OTHER] if kind != "jsonl" else list(rows[0])
    assert list(found[0]) == [*own, *FIELDS]
    assert [r["id"] for r in found] == [r["id"] for r in rows]
    assert [r["text"] for r in found] == [r["text"] for r in rows]
    assert [int(r["n"]) for r in found] == [r["n"] for r in rows]
    expected = [classifier.check(r["text"]) for r in rows]
    assert [int(r["severity"]) for r in found] == [v.severity for v in expected]
    codes = [json.loads(r["codes"] or "[]") if kind == "csv" else r["codes"] for r in found]
    assert [[c["code"] for c in row] for row in codes] == [[c.code for c in v.codes] for v in expected]
    evidence = [json.loads(r["evidence"] or "[]") if kind == "csv" else r["evidence"] for r in found]
    for row, verdict in zip(evidence, expected, strict=True):
        assert [(e["start"], e["end"], e["raw"]) for e in row] == [(e.start, e.end, e.raw) for e in verdict.evidence]
    if kind == "parquet":
        assert pq.ParquetFile(out).num_row_groups > (1 if shard_bytes == 500 else 0)


def test_parquet_types_of_the_caller_are_kept(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array([AD, None, CLEAN], pa.large_string()),
            "when": pa.array([datetime(2026, 1, 1), None, None], pa.timestamp("us", tz="Asia/Shanghai")),
            "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
            "blob": pa.array([b"\xff\x00", b"", None], pa.binary()),
            "kind": pa.array(["x", "x", "y"]).dictionary_encode(),
            "small": pa.array([1, None, 3], pa.uint8()),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    judge(tmp_path / "out.parquet", tmp_path / "in.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema.remove_metadata() == pa.schema([*table.schema, *verdict_schema()])
    assert found.select(table.column_names).equals(table)
    assert found["abstain"].to_pylist() == [False, True, False]
    assert found["severity"].null_count == 0
    judge(tmp_path / "out.jsonl", tmp_path / "in.parquet")
    first = read_jsonl(tmp_path / "out.jsonl")[0]
    assert first["blob"] == base64.b64encode(b"\xff\x00").decode()
    assert first["when"].startswith("2026-01-01T")
    judge(tmp_path / "out.csv", tmp_path / "in.parquet")
    assert read_rows(tmp_path / "out.csv")[0]["tags"] == '["a"]'


def test_rows_of_json_that_do_not_fit_lose_nothing(tmp_path: Path) -> None:
    rows = [{"text": CLEAN, "n": 1, "s": "a"}] * 30_000
    late = [{"text": AD, "n": "many", "s": 7, "new": [1]}, {"s": None, "text": CLEAN, "n": 2**70}]
    judge(tmp_path / "out.parquet", write_jsonl(tmp_path / "in.jsonl", [*rows, *late]))
    *_, first, second = read_rows(tmp_path / "out.parquet")
    assert (first["n"], first["s"], json.loads(first[OTHER])) == (None, "7", {"n": "many", "new": [1]})
    assert (second["n"], second["s"], json.loads(second[OTHER])) == (None, None, {"n": 2**70})


def test_names_that_are_taken(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": AD, "label": "spam"}])
    for out in ("out.jsonl", "out.parquet"):
        with pytest.raises(UsageError, match="'label' already"):
            judge(tmp_path / out, source)
    judge(tmp_path / "out.jsonl", source, prefix="ll_")
    (row,) = read_jsonl(tmp_path / "out.jsonl")
    assert (row["label"], row["ll_label"]) == ("spam", "misleading")
    assert {"ll_" + name for name in FIELDS} <= set(row)
    judge(tmp_path / "out.parquet", source, prefix="ll_")
    assert read_rows(tmp_path / "out.parquet")[0]["ll_severity"] == row["ll_severity"]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_only_flagged(tmp_path: Path, kind: str) -> None:
    out = tmp_path / f"out.{kind}"
    summary = judge(out, write_jsonl(tmp_path / "in.jsonl", rows_of(50)), only_flagged=True, shard_bytes=700)
    found = read_rows(out)
    assert len(found) == summary.written == summary.flagged > 0
    assert summary.read == summary.judged == 50
    assert {r["text"] for r in found} == {AD, DISGUISED}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("limit", [1, 13, 50, 500])
def test_limit(tmp_path: Path, suffix: str, limit: int) -> None:
    rows = rows_of(50)
    source = tmp_path / f"in.{suffix}"
    if suffix == "jsonl":
        write_jsonl(source, rows)
    elif suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), source, row_group_size=9)
    else:
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    summary = judge(tmp_path / "out.jsonl", source, limit=limit, shard_bytes=400)
    assert [r["id"] for r in read_jsonl(tmp_path / "out.jsonl")] == [r["id"] for r in rows[:limit]]
    assert summary.read == min(limit, 50)


def test_empty_inputs(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in.parquet")
    (tmp_path / "in.jsonl").touch()
    (tmp_path / "in.csv").write_text("id,text\n")
    for kind in ("parquet", "jsonl", "csv"):
        for out in ("parquet", "csv", "jsonl"):
            summary = judge(tmp_path / f"out.{out}", tmp_path / f"in.{kind}")
            assert summary.read == 0
            assert read_rows(tmp_path / f"out.{out}") == []
            assert read_rejects(tmp_path / f"out.{out}") == []


def test_columns_read_back_are_the_verdicts_that_were_written() -> None:
    scorer = load_scorer(engine="plain")
    scored = scorer.score([CLEAN, AD, "", DISGUISED])
    batch = pa.RecordBatch.from_arrays(verdict_arrays(scored), schema=verdict_schema())
    assert scored_of(batch) == scored


def test_score_batch_is_one_step_for_any_engine() -> None:
    batch = pa.record_batch({"body": [AD, None], "k": [1, 2]})
    found = score_batch(batch, load_scorer(engine="plain"), "body", "x_")
    assert found.schema.names[:3] == ["body", "k", "x_severity"]
    assert found.column("x_flagged").to_pylist() == [True, False]


# ---------------------------------------------------------------- properties

values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
)
objects = st.dictionaries(st.sampled_from(["text", "a", "b", "字段", OTHER]), values, max_size=4)


@settings(max_examples=150, deadline=None)
@given(sample=st.lists(objects, max_size=5), rows=st.lists(objects, max_size=5))
def test_columns_hold_what_the_rows_held(sample: list[dict], rows: list[dict]) -> None:
    schema = infer_schema(sample)
    batch = fit(rows, schema)
    assert batch.schema == schema
    for row, found in zip(rows, batch.to_pylist(), strict=True):
        back = json.loads(found.pop(OTHER) or "{}")
        for name, value in found.items():
            if value is not None and name not in back:
                kept = row[name]
                back[name] = (
                    kept
                    if isinstance(kept, str) and kept == value
                    else json.loads(value)
                    if isinstance(value, str)
                    else value
                )
        assert {k: v for k, v in back.items() if v is not None} == {k: v for k, v in row.items() if v is not None}


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 30), max_size=8), group=st.integers(1, 10), index=st.booleans())
def test_joined_parquet_files_are_one_table(sizes: list[int], group: int, index: bool) -> None:
    def table(first: int, size: int) -> pa.Table:
        rows = range(first, first + size)
        return pa.table(
            {
                "n": pa.array(rows, pa.int64()),
                "t": [f"文{i % 7}" for i in rows],
                "l": pa.array([[i] * (i % 3) for i in rows], pa.list_(pa.int32())),
            },
            schema=pa.schema([("n", pa.int64()), ("t", pa.string()), ("l", pa.list_(pa.int32()))]),
        )

    def file(part: pa.Table) -> bytes:
        buffer = io.BytesIO()
        with pq.ParquetWriter(buffer, part.schema, write_page_index=index) as writer:
            if part.num_rows:
                writer.write_table(part, row_group_size=group)
        return buffer.getvalue()

    out = bytearray(footer.MAGIC)
    groups: list[bytes] = []
    first = 0
    for size in sizes:
        data = file(table(first, size))
        length = footer.footer_size(data[-8:])
        fields = footer.read_footer(data[-8 - length : -8])
        groups += footer.moved_row_groups(fields, len(out) - len(footer.MAGIC), len(groups))
        out += data[len(footer.MAGIC) : -8 - length]
        first += size
    empty = file(table(0, 0))
    fields = footer.read_footer(empty[-8 - footer.footer_size(empty[-8:]) : -8])
    out += footer.joined_footer(fields, b"".join(groups), len(groups), first)
    joined = pq.ParquetFile(io.BytesIO(bytes(out)))
    assert joined.metadata.num_rows == first
    assert joined.read().equals(table(0, first))
