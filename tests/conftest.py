"""What all tests share: the repository, the shipped classifier, and a way to run the command line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import Classifier, load

REPOSITORY = Path(__file__).resolve().parent.parent
BENCH = REPOSITORY.parent / "shared" / "bench"


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return load()


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def run():
    """Runs ``loanlint`` as a process of its own."""

    def call(*args: str | bytes, stdin: bytes = b"", cwd: Path | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *args],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8", "replace"))

    return call
