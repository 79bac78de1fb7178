"""Spark on this machine: python benchmarks/spark.py FILE.parquet [--cores 2] [--copies 4]. Rows a second, first and warm.

Reads the file several times over (``--copies``), scores it with ``score_dataframe`` and writes Parquet. The first run includes the
start of the Python workers and the loading of the model in each.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import reduce
from pathlib import Path


def main() -> None:
    from pyspark.sql import SparkSession

    from pipeline.batch.spark import score_dataframe

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--copies", type=int, default=4)
    options = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    start = time.perf_counter()
    builder = SparkSession.builder.master(f"local[{options.cores}]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 20_000).getOrCreate()
    print(f"session {time.perf_counter() - start:.1f} s")
    part = session.read.parquet(str(options.file))
    frame = reduce(lambda a, b: a.union(b), [part] * options.copies)
    rows = frame.count()
    for name in ("first", "warm", "warm"):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            score_dataframe(frame).write.parquet(f"{folder}/out")
            seconds = time.perf_counter() - start
        print(f"{name}: {rows:,} rows in {seconds:.1f} s, {rows / seconds:,.0f} rows/s on {options.cores} cores")
    session.stop()


if __name__ == "__main__":
    main()
