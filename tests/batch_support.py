"""What the tests of batch runs share: texts, ways to run, ways to read the output."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.batch import BatchSettings, Summary, run_batch

AD = "征信黑了也能下的口子,有身份证就能下款,秒到账"
DISGUISED = "贷/款找我,不查徵信,黑户也能下歀"
CLEAN = "周末去公园划船,晚上吃火锅"
WARNING = "警方提醒:凡是声称不看征信、秒到账的贷款都是诈骗"
TEXTS = (CLEAN, AD, WARNING, DISGUISED, "", '今天的股市行情如何,"利率"会降吗?', "第一行\n第二行,有逗号")


def judge(out: Path, *inputs: Path, **options: Any) -> Summary:
    """A run in this process with the plain engine."""
    return run_batch(BatchSettings(inputs=tuple(map(str, inputs)), out=str(out), **{"engine": "plain", **options}))


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows with texts of all kinds."""
    return [
        {"id": f"r{i}", "text": TEXTS[i % len(TEXTS)], "n": i, "url": f"https://www.site{i % 3}.example/p?x={i}"}
        for i in range(count)
    ]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_rejects(out: Path) -> list[tuple[int, str]]:
    """Line and reason of what was rejected."""
    path = out.with_name(out.name + ".rejects.jsonl")
    return [(r["line"], r["reason"]) for r in read_jsonl(path)] if path.exists() else []


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of an output file of any format; of CSV all values are strings."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return read_jsonl(path)


PROGRAM = """
import sys
from pipeline.batch import BatchSettings, run_batch, staging
from pipeline.errors import LoanlintError
if __name__ == "__main__":
    options = eval(sys.argv[1])
    staging.SYNC_SECONDS = 0
    try:
        run_batch(BatchSettings(engine="plain", **options), lambda p: print(p.rows, flush=True))
    except LoanlintError as error:
        sys.exit(str(error))
"""


def start(**options: Any) -> subprocess.Popen[str]:
    """A run in a process of its own, which prints the rows it has read after each shard."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, repr(options)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
