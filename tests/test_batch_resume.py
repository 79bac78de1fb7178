"""Batch runs that are interrupted: by kill -9, Ctrl-C, a full disk, a killed worker. Nothing is lost, repeated or half there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from batch_support import PROGRAM, judge, read_rejects, rows_of, start, write_jsonl

from pipeline import UsageError
from pipeline.batch.run import BatchError
from pipeline.batch.staging import OutputError

SHARD = 2_000
ROWS = 280


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Rows, some of which are broken, in several dozen shards."""
    path = write_jsonl(tmp_path / "in.jsonl", rows_of(ROWS))
    lines = path.read_bytes().splitlines(keepends=True)
    for k in range(0, ROWS, 50):
        lines[k] = b"{broken\n"
    path.write_bytes(b"".join(lines))
    return path


def options(source: Path, out: Path, **more: Any) -> dict[str, Any]:
    return {"inputs": (str(source),), "out": str(out), "shard_bytes": SHARD, **more}


def reference(source: Path, folder: Path, suffix: str) -> tuple[bytes, list, bytes]:
    """Output, rejects and summary of a run that nothing interrupts."""
    out = folder / f"reference.{suffix}"
    judge(out, source, shard_bytes=SHARD)
    return out.read_bytes(), read_rejects(out), (folder / f"reference.{suffix}.summary.json").read_bytes()


def result(out: Path) -> tuple[bytes, list, bytes]:
    assert not out.with_name(out.name + ".partial").exists()
    return out.read_bytes(), read_rejects(out), out.with_name(out.name + ".summary.json").read_bytes()


def wait_for_rows(process: subprocess.Popen[str], rows: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= rows:
            return
    raise AssertionError(f"the run ended early: {process.stderr.read() if process.stderr else ''}")


@pytest.mark.parametrize(("suffix", "workers"), [("jsonl", 1), ("jsonl", 2), ("parquet", 2), ("csv", 1)])
def test_kill_9_and_resume(tmp_path: Path, source: Path, suffix: str, workers: int) -> None:
    out = tmp_path / f"out.{suffix}"
    asked = options(source, out, workers=workers)
    kept = 0
    for k in range(2):  # killed again and again, at other places
        process = start(**asked, resume=k > 0)
        wait_for_rows(process, kept + 60)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()
        journal = (tmp_path / f"out.{suffix}.partial" / "journal.jsonl").read_text().splitlines()[1:]
        read = sum(json.loads(line)["summary"]["read"] for line in journal)
        assert read > kept  # what an earlier run did is not done again
        kept = read
    judge(out, source, shard_bytes=SHARD, resume=True, workers=1)
    assert result(out) == reference(source, tmp_path, suffix)


def test_resume_does_not_begin_anew(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = start(**options(source, out))
    wait_for_rows(process, 140)
    process.send_signal(signal.SIGINT)  # the journal is written on the way out
    process.communicate()
    kept = json.loads((tmp_path / "out.jsonl.partial" / "journal.jsonl").read_text().splitlines()[-1])
    assert kept["shards"] > 0
    seen: list[int] = []
    from pipeline.batch import BatchSettings, run_batch

    run_batch(BatchSettings(**options(source, out), engine="plain", resume=True), lambda p: seen.append(p.rows))
    assert min(seen) > 140
    assert result(out) == reference(source, tmp_path, "jsonl")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_at_the_command_line(tmp_path: Path, source: Path, number: signal.Signals) -> None:
    big = tmp_path / "big.jsonl"
    big.write_bytes(source.read_bytes() * 2000)
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "pipeline.cli", "batch", str(big), "--out", str(out), "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out.jsonl.partial/part-*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in err
    assert "Traceback" not in err
    assert not out.exists()
    assert (tmp_path / "out.jsonl.partial").is_dir()


def test_a_full_disk(tmp_path: Path, source: Path) -> None:
    """The system refuses to let any file grow above a size, as a full disk does."""
    out = tmp_path / "out.jsonl"
    expected = reference(source, tmp_path, "jsonl")
    limit = len(expected[0]) // 2
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n" + PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", limited, repr(options(source, out))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "E_OUTPUT_FULL" in done.stderr
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
    judge(out, source, shard_bytes=SHARD, resume=True)
    assert result(out) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_while_a_worker_writes(tmp_path: Path, source: Path, workers: int) -> None:
    out = tmp_path / "out.jsonl"
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n" + PROGRAM
    done = subprocess.run(
        [sys.executable, "-c", limited, repr(options(source, out, workers=workers))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "E_OUTPUT_FULL" in done.stderr
    assert "Traceback" not in done.stderr
    judge(out, source, shard_bytes=SHARD, resume=True)
    assert result(out) == reference(source, tmp_path, "jsonl")


def test_a_worker_that_is_killed(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = start(**options(source, out, workers=2))
    wait_for_rows(process, 20)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(workers[-1]), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "E_BATCH_WORKER" in err
    judge(out, source, shard_bytes=SHARD, resume=True)
    assert result(out) == reference(source, tmp_path, "jsonl")


def test_workers_end_with_their_parent(tmp_path: Path, source: Path) -> None:
    process = start(**options(source, tmp_path / "out.jsonl", workers=2))
    wait_for_rows(process, 20)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.kill()
    process.communicate()
    assert children
    deadline = time.monotonic() + 20
    while any(_lives(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_journal_that_was_being_written(tmp_path: Path, source: Path) -> None:
    """The last line is half there, and the data hold more than the journal tells."""
    out = tmp_path / "out.parquet"
    process = start(**options(source, out))
    wait_for_rows(process, 140)
    process.send_signal(signal.SIGINT)
    process.communicate()
    partial = tmp_path / "out.parquet.partial"
    journal = partial / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    for name in ("data", "rejects", "remembered"):
        with (partial / name).open("ab") as file:
            file.write(b"half a row")
    (partial / "part-9-1").write_bytes(b"left over")
    judge(out, source, shard_bytes=SHARD, resume=True)
    assert result(out) == reference(source, tmp_path, "parquet")


@pytest.mark.parametrize("renamed", [(), ("rejects",), ("rejects", "summary"), ("rejects", "summary", "data")])
def test_stopped_between_the_last_renames(
    tmp_path: Path, source: Path, renamed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.jsonl"
    calls = iter([*renamed, None])
    replace = os.replace

    def stop(a: Any, b: Any) -> None:
        if next(calls) is None:
            raise KeyboardInterrupt
        replace(a, b)

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.batch.staging.os.replace", stop)
        if len(renamed) == 3:
            patch.setattr("pipeline.batch.staging.shutil.rmtree", lambda p: stop(p, p))
        with pytest.raises(KeyboardInterrupt):
            judge(out, source, shard_bytes=SHARD)
    assert out.exists() == ("data" in renamed)
    judge(out, source, shard_bytes=SHARD, resume=True)
    assert result(out) == reference(source, tmp_path, "jsonl")


def test_another_question_is_not_answered_from_the_journal(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = start(**options(source, out))
    wait_for_rows(process, 100)
    process.kill()
    process.communicate()
    with pytest.raises(UsageError, match="begun with other inputs"):
        judge(out, source, shard_bytes=SHARD, resume=True, only_flagged=True)
    write_jsonl(source, rows_of(ROWS + 1))
    with pytest.raises(UsageError, match="begun with other inputs"):
        judge(out, source, shard_bytes=SHARD, resume=True)
    judge(out, source, shard_bytes=SHARD)  # without --resume: anew
    assert result(out) == reference(source, tmp_path, "jsonl")


def test_one_run_at_a_time(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = start(**options(source, out))
    wait_for_rows(process, 20)
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(OutputError, match="another run"):
            judge(out, source, shard_bytes=SHARD, resume=True)
    finally:
        process.send_signal(signal.SIGCONT)
    process.communicate()
    assert process.returncode == 0
    assert result(out) == reference(source, tmp_path, "jsonl")


def test_an_output_of_old_stays_until_the_new_is_complete(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    process = start(**options(source, out))
    wait_for_rows(process, 20)
    process.kill()
    process.communicate()
    assert out.read_text() == "old"


def test_rows_that_do_not_add_up_are_not_passed_off_as_a_result(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.batch.sinks.JsonlPart.write", lambda self, chunk, scored: scored.count - 1)
    with pytest.raises(BatchError, match="do not add up"):
        judge(tmp_path / "out.jsonl", source)
    assert not (tmp_path / "out.jsonl").exists()
