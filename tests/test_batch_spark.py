"""Batch scoring on Spark, in a real session of two cores: the verdicts of a local run on the same rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_support import AD, CLEAN, judge, read_rows, rows_of
from test_batch_sources import PAGE

from pipeline import CheckSettings, ModelError, UsageError
from pipeline.batch.settings import MAX_TEXT, BatchSettings
from pipeline.batch.spark import pack_model, run_on_spark, score_dataframe
from pipeline.batch.staging import OutputError
from pipeline.errors import InputError
from pipeline.resources import default_model_path

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning:pyspark", "ignore::ResourceWarning", "ignore::DeprecationWarning:pyspark"
)

ROWS = rows_of(120)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .appName("test")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=30)
    return path


def plain(row: Any) -> Any:
    """Rows of Spark as dicts and lists."""
    if hasattr(row, "asDict"):
        return {name: plain(value) for name, value in row.asDict().items()}
    return [plain(value) for value in row] if isinstance(row, list) else row


def test_same_verdicts_as_a_local_run(spark: Any, tmp_path: Path, source: Path) -> None:
    judge(tmp_path / "local.parquet", source)
    expected = read_rows(tmp_path / "local.parquet")
    frame = spark.read.parquet(str(source)).repartition(4)
    scored = score_dataframe(frame, engine="plain")
    assert scored.columns == list(expected[0])
    assert sorted((plain(r) for r in scored.collect()), key=lambda r: r["n"]) == expected
    assert scored.rdd.getNumPartitions() == 4


def test_compiled_engine_and_settings(spark: Any, source: Path) -> None:
    frame = spark.read.parquet(str(source))
    strict = score_dataframe(frame, settings=CheckSettings(fail_on="illegal"), prefix="x_").collect()
    usual = score_dataframe(frame).collect()
    assert [r.x_severity for r in strict] == [r.severity for r in usual]
    assert sum(r.x_flagged for r in strict) < sum(r.flagged for r in usual)


def test_pages(spark: Any, tmp_path: Path) -> None:
    pages = [{"html": PAGE, "n": 0}, {"html": f"<p>{CLEAN}</p>", "n": 1}, {"html": None, "n": 2}]
    pq.write_table(pa.Table.from_pylist(pages), tmp_path / "in.parquet")
    judge(tmp_path / "local.parquet", tmp_path / "in.parquet", html_column="html")
    scored = score_dataframe(spark.read.parquet(str(tmp_path / "in.parquet")), html_column="html", engine="plain")
    assert [plain(r) for r in scored.collect()] == read_rows(tmp_path / "local.parquet")


def test_a_text_beyond_the_limit_gets_no_verdict(spark: Any, tmp_path: Path) -> None:
    frame = spark.createDataFrame([(1, AD), (2, "贷" * (MAX_TEXT + 1)), (3, CLEAN)], "n int, text string")
    rows = score_dataframe(frame, engine="plain").select("n", "severity", "codes", "flagged").collect()
    assert [r.severity is None for r in rows] == [False, True, False]
    assert rows[1].codes is None
    assert rows[0].flagged is True


def test_columns_that_are_not_there_or_taken(spark: Any) -> None:
    frame = spark.createDataFrame([(1, AD)], "label int, text string")
    with pytest.raises(UsageError, match="no column 'body'"):
        score_dataframe(frame, "body")
    with pytest.raises(UsageError, match="'label' already"):
        score_dataframe(frame)


def test_the_model_that_is_sent(tmp_path: Path) -> None:
    assert pack_model(default_model_path()) == pack_model(default_model_path())
    with pytest.raises(ModelError):
        pack_model(tmp_path)


def asked(source: Path, out: Path, **more: Any) -> BatchSettings:
    return BatchSettings(inputs=(str(source),), out=str(out), out_format="parquet", engine="plain", **more)


def test_the_run_of_the_command(spark: Any, tmp_path: Path, source: Path) -> None:
    local = judge(tmp_path / "local.parquet", source)
    summary = run_on_spark(asked(source, tmp_path / "out"), ("label",))
    assert {p.name for p in (tmp_path / "out").iterdir() if p.is_dir()} == {f"label={n}" for n in local.by_severity}
    for name in local.__struct_fields__:
        if name not in ("examples", "terms", "domains"):
            assert getattr(summary, name) == getattr(local, name), name
    assert dict(summary.terms) == dict(local.terms)
    assert summary.domains == local.domains
    with pytest.raises(OutputError, match="already exists"):
        run_on_spark(asked(source, tmp_path / "out"))


def test_only_flagged_and_limit(spark: Any, tmp_path: Path, source: Path) -> None:
    local = judge(tmp_path / "local.parquet", source, limit=50)
    summary = run_on_spark(asked(source, tmp_path / "out", only_flagged=True, limit=50))
    assert (summary.read, summary.judged, summary.written) == (50, 50, local.flagged)
    assert summary.by_severity == local.by_severity
    assert pq.read_table(tmp_path / "out").num_rows == local.flagged


def test_inputs_that_spark_cannot_take(spark: Any, tmp_path: Path, source: Path) -> None:
    with pytest.raises(InputError):
        run_on_spark(asked(tmp_path / "missing", tmp_path / "out"))
    with pytest.raises(UsageError, match="reads Parquet"):
        run_on_spark(asked(tmp_path / "a.jsonl", tmp_path / "out"))


def test_the_command(run, tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    result = run("batch", str(source), "--out", str(out), "--engine", "spark", "--workers", "2")
    assert result.status == 1, result.err
    assert "read 120" in result.err
    assert pq.read_table(out).num_rows == 120
