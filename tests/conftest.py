"""What all tests share: the repository, the shipped classifier, and a way to run the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from pipeline import Classifier, load

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from serving import Postgres, Running

REPOSITORY = Path(__file__).resolve().parent.parent
CHROMIUM = Path("/usr/bin/chromium")
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

    def call(*args: str | bytes, stdin: bytes = b"", cwd: Path | None = None, timeout: float = 120) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *args],
            input=stdin,
            capture_output=True,
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8", "replace"))

    return call


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Iterator[Running]:
    """An open service that tests share; they must not change its keys or models."""
    from serving import running

    with running(tmp_path_factory.mktemp("service"), "--sample", "0") as found:
        yield found


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    from serving import Postgres

    # Not in pytest's own folder, which no other user may enter.
    with TemporaryDirectory(prefix="loanlint-postgres-") as folder:
        server = Postgres(Path(folder))
        yield server
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser; of one file, for an event loop runs in this thread as long as it is open."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        raise AssertionError("no chromium: apt-get install -y chromium (.ci/run does)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path) -> str:
    """Name of a fresh database, of each kind in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return request.getfixturevalue("postgres").new_database()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs software that pip does not bring: a PostgreSQL server, a browser, Java."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        callspec = getattr(item, "callspec", None)
        values = set(callspec.params.values()) if callspec and "database" in names else set()
        if {"postgres", "browser", "spark"} & names or "postgres" in values:
            item.add_marker(pytest.mark.system)
