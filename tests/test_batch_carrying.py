"""Row groups of Parquet carried over: the same rows as written anew, and written anew where they have to be."""

from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_support import AD, TEXTS, judge, read_rejects

from pipeline.batch import carrying, sinks, verdict_schema
from pipeline.errors import InputError

ROWS = 700


def table(rows: int = ROWS) -> pa.Table:
    """Columns of all kinds, with nulls."""
    rng = random.Random(3)
    some = [k if k % 5 else None for k in range(rows)]
    return pa.table(
        {
            "id": pa.array([f"r{k}" for k in range(rows)]),
            "text": pa.array([rng.choice(TEXTS) if k is not None else None for k in some], pa.large_string()),
            "when": pa.array([datetime(2026, 1, 1) if k else None for k in some], pa.timestamp("us", tz="Asia/Shanghai")),
            "tags": pa.array([[str(k), None] if k else None for k in some], pa.list_(pa.string())),
            "deep": pa.array([{"a": [k], "b": {"c": 1.5}} if k else None for k in some]),
            "kind": pa.array([f"k{k % 3}" if k else None for k in some]).dictionary_encode(),
            "price": pa.array([Decimal(k) / 8 if k else None for k in some], pa.decimal128(30, 9)),
            "blob": pa.array([bytes([k % 256]) * 3 if k else None for k in some], pa.binary(3)),
            "small": pa.array(some, pa.uint16()),
        }
    )  # fmt: skip


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The classes of the parts that were begun."""
    found: list[str] = []
    for kind in (sinks.CarriedPart, sinks.ParquetPart):
        init = kind.__init__

        def note(self: Any, *values: Any, _init: Any = init, **options: Any) -> None:
            if options.get("dictionaries", True):
                found.append(type(self).__name__)
            _init(self, *values, **options)

        monkeypatch.setattr(kind, "__init__", note)
    return found


def both(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Path, Path]:
    """The output with row groups carried over where that can be, and with all of them written anew."""
    one, other = tmp_path / "carried.parquet", tmp_path / "anew.parquet"
    judge(one, source, **options)
    with monkeypatch.context() as patch:
        patch.setattr(sinks, "carried", lambda *_: None)
        judge(other, source, **options)
    return one, other


@pytest.mark.parametrize(
    "how",
    [
        {"compression": "none", "write_page_index": True},
        {"compression": "snappy"},
        {"compression": "zstd", "data_page_version": "2.0", "write_page_index": True},
        {"compression": "gzip", "use_dictionary": False},
    ],
)
def test_carried_rows_are_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[str], how: dict[str, Any]
) -> None:
    rows = table()
    source = tmp_path / "in.parquet"
    pq.write_table(rows, source, row_group_size=200, write_page_checksum=True, **how)
    one, other = both(tmp_path, source, monkeypatch)
    assert seen == ["CarriedPart"] * 4 + ["ParquetPart"] * 6  # the last shard of each run holds no row
    a, b = (pq.read_table(path, page_checksum_verification=True) for path in (one, other))
    assert a.schema == b.schema == pa.schema([*rows.schema, *verdict_schema()])
    assert a.equals(b)
    assert a.select(rows.column_names).equals(pq.read_table(source))
    assert a.select(rows.column_names).to_pylist() == rows.to_pylist()
    assert (tmp_path / "carried.parquet.summary.json").read_bytes() == (
        tmp_path / "anew.parquet.summary.json"
    ).read_bytes()
    described = pq.read_metadata(one)
    assert [described.row_group(k).num_rows for k in range(4)] == [200, 200, 200, 100]
    for k in range(4):
        group, before = described.row_group(k), pq.read_metadata(source).row_group(k)
        columns = [group.column(c) for c in range(group.num_columns)]
        assert group.total_byte_size == sum(c.total_uncompressed_size for c in columns)
        assert [c.compression for c in columns[: before.num_columns]] == [
            before.column(c).compression for c in range(before.num_columns)
        ]
        assert columns[0].statistics.min == before.column(0).statistics.min
    # Columns on their own, and a filter that passes over row groups.
    assert pq.read_table(one, columns=["price", "codes"]).equals(a.select(["price", "codes"]))
    assert pq.read_table(one, filters=[("severity", ">=", 2)]).equals(a.filter(pa.compute.field("severity") >= 2))
    assert pq.read_table(one, filters=[("id", "==", "r650")])["small"].to_pylist() == [None]


def test_workers_give_the_same_bytes(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "in.parquet", row_group_size=90)
    for workers in (1, 3):
        judge(tmp_path / f"out{workers}.parquet", tmp_path / "in.parquet", workers=workers)
    assert (tmp_path / "out1.parquet").read_bytes() == (tmp_path / "out3.parquet").read_bytes()


def test_files_of_other_types_are_written_anew(tmp_path: Path, seen: list[str]) -> None:
    """Files of one run may differ in what their columns are; the first says what they become."""
    pq.write_table(pa.table({"text": ["a", "b"], "n": pa.array([1, 2], pa.int32())}), tmp_path / "a.parquet")
    required = pa.schema([pa.field("text", pa.string(), nullable=False), pa.field("n", pa.int32())])
    pq.write_table(pa.table({"text": ["c", "d"], "n": [3, 4]}, schema=required), tmp_path / "b.parquet")
    judge(tmp_path / "out.parquet", tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert [name for name in seen if name == "CarriedPart"] == ["CarriedPart"]
    assert pq.read_table(tmp_path / "out.parquet").select(["text", "n"]).to_pydict() == {
        "text": ["a", "b", "c", "d"],
        "n": [1, 2, 3, 4],
    }


def test_a_row_that_is_rejected_makes_its_group_be_written_anew(tmp_path: Path, seen: list[str]) -> None:
    texts = [b"a", b"b", b"\xff", b"d", b"e", b"f"]
    pq.write_table(pa.table({"text": texts, "n": range(6)}), tmp_path / "in.parquet", row_group_size=3)
    summary = judge(tmp_path / "out.parquet", tmp_path / "in.parquet")
    assert seen[:3] == ["CarriedPart", "ParquetPart", "CarriedPart"]
    assert read_rejects(tmp_path / "out.parquet") == [(3, "undecodable")]
    assert (summary.read, summary.written, summary.rejected) == (6, 5, 1)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["text"].to_pylist() == [b"a", b"b", b"d", b"e", b"f"]
    assert found["n"].to_pylist() == [0, 1, 3, 4, 5]


def test_damage_is_found_and_not_carried_over(tmp_path: Path, seen: list[str]) -> None:
    """Also in a column that nobody judges."""
    source = tmp_path / "in.parquet"
    rows = pa.table({"text": ["a"] * 300, "other": [f"{k:08}" for k in range(300)]})
    pq.write_table(rows, source, row_group_size=100, use_dictionary=False, compression="snappy")
    chunk = pq.read_metadata(source).row_group(1).column(1)
    data = bytearray(source.read_bytes())
    at = chunk.data_page_offset + chunk.total_compressed_size // 2
    data[at : at + 200] = b"\xff" * 200
    source.write_bytes(data)
    summary = judge(tmp_path / "out.parquet", source)
    assert "ParquetPart" in seen
    assert summary.by_reason == {"corrupt": 100}
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["other"].to_pylist() == [*rows["other"].to_pylist()[:100], *rows["other"].to_pylist()[200:]]


@pytest.mark.parametrize("options", [{"limit": 500}, {"only_flagged": True}])
def test_parts_of_groups_are_written_anew(tmp_path: Path, seen: list[str], options: dict[str, Any]) -> None:
    pq.write_table(table(), tmp_path / "in.parquet", row_group_size=300)
    judge(tmp_path / "out.parquet", tmp_path / "in.parquet", **options)
    assert "CarriedPart" not in seen
    found = pq.read_table(tmp_path / "out.parquet")
    assert len(found) == 500 if "limit" in options else set(found["flagged"].to_pylist()) == {True}


def test_verdicts_that_would_fill_the_memory_are_written_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[str]
) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": [AD] * 300}), source)
    for most, kinds in ((1 << 20, ["CarriedPart"]), (1 << 10, ["CarriedPart", "ParquetPart"])):
        monkeypatch.setattr(sinks, "MOST_HELD", most)
        seen.clear()
        judge(tmp_path / "out.parquet", source)
        assert seen[: len(kinds)] == kinds
        assert pq.read_table(tmp_path / "out.parquet")["flagged"].to_pylist() == [True] * 300


def test_old_writers_and_large_groups_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(table(), source)
    schema = carrying.schema_of(source.read_bytes())
    assert carrying.carried(str(source), 0, 0, ROWS, schema) is not None
    assert carrying.carried(str(source), 0, 0, ROWS - 1, schema) is None
    assert carrying.carried(str(source), 0, 1, ROWS, schema) is None
    assert carrying.carried(str(source), 0, 0, ROWS, schema[:-1]) is None
    monkeypatch.setattr(carrying, "_MOST_ROWS", ROWS - 1)
    assert carrying.carried(str(source), 0, 0, ROWS, schema) is None
    monkeypatch.undo()
    data = source.read_bytes()
    old = data.replace(b"parquet-cpp-arrow version", b"parquet-mr version 1.2.8  ")
    assert old != data
    source.write_bytes(old)
    assert carrying.carried(str(source), 0, 0, ROWS, schema) is None


@pytest.mark.parametrize(("how", "code"), [("other", "E_INPUT_CHANGED"), ("removed", "E_INPUT_UNREADABLE")])
def test_an_input_that_changes_before_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, code: str
) -> None:
    """The bytes copied are those that were decoded, or the run ends."""
    source = tmp_path / "in.parquet"
    pq.write_table(table(), source, row_group_size=200)
    add = sinks.ParquetJoiner.add

    def changed(self: Any, *values: Any) -> bytes:
        if how == "removed":
            source.unlink(missing_ok=True)
        else:
            pq.write_table(table().slice(1), source, row_group_size=200)
        return add(self, *values)

    monkeypatch.setattr(sinks.ParquetJoiner, "add", changed)
    with pytest.raises(InputError) as error:
        judge(tmp_path / "out.parquet", source)
    assert error.value.code == code
    assert not (tmp_path / "out.parquet").exists()
