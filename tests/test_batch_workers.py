"""Batch workers: any number of them gives the same bytes, and none needs more memory for a larger file."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_support import CLEAN, TEXTS, judge, read_jsonl, read_rows, rows_of, write_jsonl
from test_batch_sources import PAGE, RECORDS

from pipeline.batch import load_scorer

SHARD = 3_000


def many(folder: Path, kind: str) -> Path:
    """A file that makes many shards, with bad rows."""
    rows = rows_of(300)
    path = folder / f"in.{kind}"
    if kind.startswith("jsonl"):
        data = write_jsonl(folder / "plain", rows).read_bytes().replace(b'"id": "r7', b'{"id": "r7')
        path.write_bytes(gzip.compress(data) if kind == "jsonl.gz" else data)
    elif kind == "csv":
        with path.open("w", encoding="gb18030", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
            file.write('x,"never closed\n')
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=40)
    elif kind == "warc":
        path.write_bytes(b"".join(RECORDS[1:] * 5))
    else:
        path.mkdir()
        for i in range(150):
            (path / f"{i}.html").write_text(PAGE if i % 9 == 0 else f"<p>{CLEAN}{i}</p>", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("jsonl", "jsonl"), ("jsonl.gz", "jsonl"), ("jsonl", "parquet"), ("csv", "csv"), ("parquet", "parquet"), ("warc", "jsonl"), ("pages", "parquet")],
)  # fmt: skip
def test_same_bytes_with_one_and_with_three(tmp_path: Path, kind: str, suffix: str) -> None:
    source = many(tmp_path, kind)
    results = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}.{suffix}"
        judge(out, source, workers=workers, shard_bytes=SHARD)
        beside = [out.with_name(out.name + s) for s in ("", ".summary.json", ".rejects.jsonl")]
        results.append([p.read_bytes() if p.exists() else None for p in beside])
    assert results[0] == results[1]
    assert results[0][0]


@pytest.mark.parametrize("limit", [37, 170])
def test_limit_with_workers(tmp_path: Path, limit: int) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", rows_of(300))
    summary = judge(tmp_path / "out.jsonl", source, workers=2, limit=limit, shard_bytes=SHARD)
    assert [r["id"] for r in read_jsonl(tmp_path / "out.jsonl")] == [f"r{i}" for i in range(limit)]
    assert summary.read == limit


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_engines_agree(tmp_path: Path, suffix: str) -> None:
    """The compiled engine hands over columns, the plain one objects: the files say the same."""
    rng = random.Random(5)
    rows = [
        {"id": i, "text": "".join(rng.choices([*TEXTS, "贷款", "加微信abc00000"], k=rng.randint(0, 4)))}
        for i in range(300)
    ]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    summaries = [judge(tmp_path / f"{e}.{suffix}", source, engine=e) for e in ("plain", "compiled")]
    for name in summaries[0].__struct_fields__:
        if name not in ("examples", "p_misleading"):
            assert getattr(summaries[0], name) == getattr(summaries[1], name), name
    assert sum(summaries[0].p_misleading) == sum(summaries[1].p_misleading)
    plain, compiled = (list(map(loaded, read_rows(tmp_path / f"{e}.{suffix}"))) for e in ("plain", "compiled"))
    assert len({row["stance"] for row in plain}) > 2
    for a, b in zip(plain, compiled, strict=True):
        assert abs(a.pop("p_misleading") - b.pop("p_misleading")) < 1e-6
        for x, y in zip(a.pop("codes"), b.pop("codes"), strict=True):
            assert abs(x.pop("p") - y.pop("p")) < 1e-6
            assert x == y
        for x, y in zip(a.pop("evidence"), b.pop("evidence"), strict=True):
            assert abs(x.pop("weight") - y.pop("weight")) < 1e-3
            assert x == y
        assert a == b


def loaded(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its numbers and lists, also where it comes from CSV."""
    for name in ("codes", "evidence"):
        row[name] = json.loads(row[name] or "[]") if isinstance(row[name], str) else row[name]
    return {**row, "p_misleading": float(row["p_misleading"])}


def test_engines_take_lists_and_arrow_alike() -> None:
    texts = [*TEXTS, "", "x" * 300]
    for engine in ("plain", "compiled"):
        scorer = load_scorer(engine=engine)
        assert scorer.score(texts) == scorer.score(pa.array(texts)) == scorer.score(pa.array(texts, pa.large_string()))


MEASURED = """
import sys
from pathlib import Path
from pipeline.batch import BatchSettings, run_batch
summary = run_batch(BatchSettings(inputs=(sys.argv[1],), out=sys.argv[2], engine="compiled", only_flagged=True))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(summary.read, int(peak.split()[1]) // 1024)
"""


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv.gz"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, kind: str) -> None:
    """A file of 100 MB in one row group, or one member, is judged in less memory than three times the model's."""
    rows = 120_000
    source = tmp_path / f"in.{kind}"
    text = CLEAN * 20
    if kind == "parquet":
        table = pa.table({"text": [f"{text}{i}" for i in range(rows)]})
        pq.write_table(table, source, row_group_size=rows)
        del table
    elif kind == "jsonl":
        with source.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": f"{text}{i}"}, ensure_ascii=False) + "\n" for i in range(rows))
    else:
        with gzip.open(source, "wt", encoding="utf-8", compresslevel=1) as file:
            file.write("text\n")
            file.writelines(f'"{text}{i}"\n' for i in range(rows))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(source), str(tmp_path / "out.jsonl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read, megabytes = map(int, done.stdout.split())
    assert read == rows
    assert megabytes <= 500
    os.remove(source)


def test_workers_do_without_packages_that_only_delay_their_start() -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.batch import work\n"
        "work.start(None, Path('.'))\n"
        "for name in ('pandas', 'scipy'):\n"
        "    try: __import__(name)\n"
        "    except ModuleNotFoundError: continue\n"
        "    sys.exit(name)\n"
        "import pyarrow as pa; assert pa.array([1, None]).null_count == 1\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
