"""Compiling on first use: once, by one process, and not in silence."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from batch_support import write_jsonl
from click.testing import CliRunner

from pipeline.batch.summary import Summary
from pipeline.cli.batch import command
from pipeline.cli.notices import show_compilation

PROGRAM = """
import sys
from pipeline.cli.notices import show_compilation
from pipeline.compiled.entries import cache_folder, first_use
from pipeline.compiled.jit import entry


def double(x):
    return 2 * x


if sys.argv[1] == "loud":
    show_compilation()
function = entry(double, cache=True)
print("ready", flush=True)
sys.stdin.readline()
with first_use(cache_folder(function), "double"):
    print(function(21), sum(function.stats.cache_hits.values()), flush=True)
"""


def doubled(folder: Path, how: str, processes: int) -> tuple[list[str], str]:
    """What processes that begin at the same time print, and what they say meanwhile."""
    script = folder / "double.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")}
    started = [
        subprocess.Popen(
            [sys.executable, str(script), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ends = [process.communicate("go\n") for process in started]
    return sorted(out for out, _ in ends), "".join(err for _, err in ends)


def test_one_process_compiles_and_says_so(tmp_path: Path) -> None:
    out, said = doubled(tmp_path, "loud", 3)
    assert out == ["42 0\n", "42 1\n", "42 1\n"]  # two of three found it in the cache
    assert said.count("Compiling on first use") == said.count("首次使用") == 1
    assert doubled(tmp_path, "loud", 1) == (["42 1\n"], "")


def test_silence_where_nobody_asks(tmp_path: Path) -> None:
    assert doubled(tmp_path, "quiet", 1) == (["42 0\n"], "")


@pytest.mark.parametrize("quiet", [False, True])
def test_batch_says_that_it_compiles_unless_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    """In its workers too, which are told by a function that can be sent to them."""
    asked = []

    def run_batch(settings: object, progress: object, prepare: object) -> Summary:
        asked.append(prepare)
        return Summary()

    monkeypatch.setattr("pipeline.batch.run.run_batch", run_batch)
    logger = logging.getLogger("pipeline.compiled")
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, name, getattr(logger, name))
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "a"}])
    found = CliRunner().invoke(command, [str(source), *(["--quiet"] if quiet else [])], standalone_mode=False)
    assert found.exception is None
    assert asked == [None if quiet else show_compilation]
