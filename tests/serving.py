"""A service started as users start it, for tests that talk to it over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

AD = "征信黑了也能下的口子,有身份证就能下款,秒到账"
ILLEGAL = "先交工本费和保证金再放款,包装流水,内部渠道百分百下款"
CLEAN = "周末去公园划船,晚上吃火锅"
ROOT = Path(__file__).resolve().parent.parent


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", *args]


def loanlint(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*args), capture_output=True, input=stdin, cwd=ROOT, timeout=120, check=False)


class Running:
    """A running service. ``log`` are its log lines so far."""

    def __init__(self, database: str, folder: Path, *options: str) -> None:
        self.database = database
        self._log = folder / f"log-{time.monotonic_ns()}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command("serve", "--port", "0", "--engine", "plain", "--db", database, *options),
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        if not line:
            raise AssertionError(f"did not start: {self._log.read_text()}")
        self.url = line.split()[1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.local = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.local, timeout=30, trust_env=False)
        # The compiled engine is compiled by whoever uses it first.
        wait(lambda: self._answers(), "readiness", 20 if "--engine" not in options else 180)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/healthz").status_code == 200
        return False

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").split("\n") if line]

    @property
    def raw_log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=40)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@contextlib.contextmanager
def running(folder: Path, *options: str, database: str | None = None) -> Iterator[Running]:
    service = Running(database or str(folder / "service.db"), folder, *options)
    try:
        yield service
    finally:
        service.stop()


def wait(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def metric(service: Running, name: str, **labels: str) -> float:
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(service.client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and all(sample.labels.get(k) == v for k, v in labels.items()):
                return float(sample.value)
    return 0.0


class Postgres:
    """A PostgreSQL server of our own in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not binaries:
            raise AssertionError("no PostgreSQL server: apt-get install -y postgresql (.ci/run does)")
        self._bin = binaries[-1].parent
        # PostgreSQL refuses to run as root; as root it runs as the user the package has made.
        self._as: list[str] = (
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        )
        if self._as:
            import shutil

            shutil.chown(folder, "postgres", "postgres")
        self._run(
            "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            "loanlint",
            "--auth=trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C",
        )
        self.start()

    def _run(self, name: str, *args: str) -> None:
        done = subprocess.run(
            [*self._as, str(self._bin / name), *args], capture_output=True, cwd=self.folder, timeout=60, check=False
        )
        assert done.returncode == 0, (name, done.stderr.decode()[-500:])

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        subprocess.run(
            [*self._as, str(self._bin / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, timeout=60, check=True,
        )  # fmt: skip

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def new_database(self) -> str:
        import psycopg

        name = f"t{time.monotonic_ns()}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://loanlint@/{name}?host={self.folder}"
