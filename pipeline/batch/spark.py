"""The same verdicts on Spark: Arrow batches through ``mapInArrow``, the model sent with the job. Needs the extra ``spark``.

loanlint itself has to be installed where the executors run (its dependencies are compiled), for example with ``--archives``; the
model directory travels in a broadcast variable and is unpacked and loaded once in each Python worker.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ..classifier import CheckSettings
from ..errors import InputError, LoanlintError, UsageError
from ..model.artefact import load_artefact
from .pages import score_pages
from .scoring import Scorer, load_scorer
from .settings import MAX_ROW, MAX_TEXT, STANDARD_STREAM, BatchSettings
from .sources import Reject, kind_of
from .staging import OutputError
from .summary import Summary
from .table import scored_of, texts_of, verdict_arrays, verdict_names, verdict_schema, with_verdicts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ROWS = 20_000  # of an Arrow batch: enough to be scored at full speed, few enough for 5 KB pages in memory


class SparkError(LoanlintError):
    """A Spark job could not be completed."""

    code = "E_SPARK"


def score_dataframe(
    df: DataFrame,
    text_column: str = "text",
    *,
    html_column: str | None = None,
    model: str | Path | None = None,
    settings: CheckSettings | None = None,
    prefix: str = "",
    engine: str = "auto",
) -> DataFrame:
    """``df`` with the verdict columns after its own; rows and partitions stay as they are.

    ``text_column`` holds the text, or ``html_column`` a page (then with the columns of pages). ``settings`` as for one text. A text
    that is null counts as empty; one above the limits of a local run, which would reject it, gets null verdict columns. Raises
    ``UsageError`` for a column that is not there or a name that is taken.
    """
    from ..resources import default_model_path

    column = html_column or text_column
    pages = html_column is not None
    names = verdict_names(pages, prefix)
    if column not in df.columns:
        raise UsageError(
            f"no column {column!r} in the data frame; it has {', '.join(df.columns)}.", code="E_USAGE_COLUMN"
        )
    taken = [name for name in names if name in df.columns]
    if taken:
        raise UsageError(
            f"the data frame has a column {taken[0]!r} already; choose another prefix.", code="E_USAGE_COLUMN"
        )
    session = df.sparkSession
    if not hasattr(session, "sparkContext"):
        raise UsageError("Spark Connect is not supported; use a classic Spark session.", code="E_USAGE_SPARK")
    packed = session.sparkContext.broadcast(pack_model(Path(model) if model is not None else default_model_path()))
    step = partial(
        _score, packed=packed, column=column, names=names, pages=pages, check=settings or CheckSettings(), engine=engine
    )
    return df.mapInArrow(step, _with_verdict_types(df.schema, pages, prefix))


def _with_verdict_types(schema: Any, pages: bool, prefix: str) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    added = from_arrow_schema(verdict_schema(pages, prefix))
    return StructType([*schema.fields, *added.fields])


def _score(
    batches: Iterator[pa.RecordBatch],
    *,
    packed: Any,
    column: str,
    names: Sequence[str],
    pages: bool,
    check: CheckSettings,
    engine: str,
) -> Iterator[pa.RecordBatch]:
    """What an executor does with the batches of a partition."""
    scorer = _scorer(packed.value, check, engine)
    longest = MAX_ROW if pages else MAX_TEXT
    for batch in batches:
        texts = texts_of(batch.column(column))
        fits = pc.less_equal(pc.utf8_length(texts), longest)
        whole = pc.all(fits).as_py() is not False
        if not whole:
            texts = pc.if_else(fits, texts, pa.scalar("", texts.type))
        scored = score_pages(texts.to_pylist(), scorer) if pages else scorer.score(texts, columns=True)
        arrays = verdict_arrays(scored, pages)
        if not whole:
            places = pc.if_else(fits, pa.array(range(len(texts))), None)
            arrays = [array.take(places) for array in arrays]
        yield with_verdicts(batch, arrays, names)


# ---------------------------------------------------------------- the model on its way


def pack_model(path: Path) -> bytes:
    """A model directory as bytes. Raises ``ModelError`` if it cannot be used."""
    load_artefact(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in path.iterdir() if p.is_file()):
            archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@cache
def _scorer(packed: bytes, check: CheckSettings, engine: str) -> Scorer:
    """The model unpacked and loaded, once in a Python worker."""
    with tempfile.TemporaryDirectory(prefix="loanlint-") as folder:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(folder)
        return load_scorer(folder, check, engine)


# ---------------------------------------------------------------- the command


def run_on_spark(settings: BatchSettings, partition_by: Sequence[str] = ()) -> Summary:
    """``loanlint batch --engine spark``: Parquet in, a folder of Parquet files out, both anywhere that Spark reads and writes.

    Uses the session that ``spark-submit`` sets up, else one on this machine with as many cores as workers. Raises ``UsageError``,
    ``InputError``, ``ModelError``, ``OutputError`` and ``SparkError``.
    """
    _refuse(settings)
    from pyspark.errors import AnalysisException, PySparkException
    from pyspark.storagelevel import StorageLevel

    session = _session(settings.workers)
    try:
        try:
            source = session.read.parquet(*settings.inputs)
        except AnalysisException as error:
            raise InputError(f"{settings.inputs[0]}: {_said(error)}", code="E_INPUT_MISSING") from error
        if settings.limit is not None:
            source = source.limit(settings.limit)
        scored = score_dataframe(
            source,
            settings.judged_column,
            html_column=settings.html_column,
            model=settings.model,
            settings=settings.check,
            prefix=settings.prefix,
            engine=settings.engine,
        )
        kept = scored
        if settings.only_flagged:
            scored = scored.persist(StorageLevel.DISK_ONLY)
            kept = scored.filter(scored[settings.prefix + "flagged"])
        try:
            writer = kept.write.mode("error")
            (writer.partitionBy(*partition_by) if partition_by else writer).parquet(settings.out)
        except AnalysisException as error:
            raise OutputError(f"{settings.out}: {_said(error)}") from error
        written = session.read.parquet(settings.out)
        summary = summarise(scored if settings.only_flagged else written, settings)
        summary.read, summary.written = source.count(), written.count()
        if summary.read != summary.judged + summary.rejected or (
            not settings.only_flagged and summary.written != summary.read
        ):
            raise SparkError(
                f"rows do not add up: {summary.read} read, {summary.judged} judged, {summary.written} written."
            )
        return summary
    except PySparkException as error:
        raise SparkError(f"the job failed: {_said(error)}") from error


def _refuse(settings: BatchSettings) -> None:
    for name in settings.inputs:
        kind = kind_of(Path(name))
        if name == STANDARD_STREAM or (kind is not None and kind != "parquet"):
            raise UsageError(f"{name}: --engine spark reads Parquet (files or folders).", code="E_USAGE_SPARK")
    if settings.out == STANDARD_STREAM or settings.resume:
        raise UsageError(
            "--engine spark writes a folder of its own and cannot resume; give --out FOLDER.", code="E_USAGE_SPARK"
        )


def _session(cores: int) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("loanlint batch")
    if "PYSPARK_GATEWAY_PORT" not in os.environ and SparkSession.getActiveSession() is None:
        # Not under spark-submit: this machine, this Python, quietly.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = (
            builder.master(f"local[{cores}]")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.log.level", "ERROR")
            .config("spark.sql.execution.arrow.maxRecordsPerBatch", _ROWS)
        )
    return builder.getOrCreate()


def _said(error: Exception) -> str:
    """What is wrong, in one line: of a Python worker's traceback the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"(?:\w+\.)*\w*(?:Error|Exception): ", line)]
    return (raised[-1] if raised else lines[0] if lines else type(error).__name__)[:300]


def summarise(scored: DataFrame, settings: BatchSettings) -> Summary:
    """Counts over a data frame with verdict columns; each partition counts for itself."""
    prefix, pages = settings.prefix, settings.html_column is not None
    ids, urls = settings.id_column or "id", settings.url_column or "url"
    wanted = [*verdict_names(pages, prefix), *(c for c in dict.fromkeys((ids, urls)) if c in scored.columns)]
    step = partial(_count, prefix=prefix, pages=pages, ids=ids, urls=urls)
    total = Summary()
    for row in scored.select(*wanted).mapInArrow(step, "summary binary").toLocalIterator():
        total.merge(msgspec.json.decode(bytes(row.summary), type=Summary))
    return total


def _count(
    batches: Iterator[pa.RecordBatch], *, prefix: str, pages: bool, ids: str, urls: str
) -> Iterator[pa.RecordBatch]:
    summary = Summary()
    for batch in batches:
        lost = batch.column(prefix + "severity").null_count
        if lost:
            summary.reject([Reject(0, "oversized", "", lost)])
            batch = batch.filter(pc.is_valid(batch.column(prefix + "severity")))
        if batch.num_rows == 0:
            continue
        scored = scored_of(batch, pages, prefix)
        summary.model_version = scored.quiet.model_version
        names = batch.schema.names
        summary.add(scored, batch.column(ids) if ids in names else None, batch.column(urls) if urls in names else None)
    summary.shorten()
    yield pa.RecordBatch.from_arrays([pa.array([msgspec.json.encode(summary)], pa.binary())], ["summary"])
