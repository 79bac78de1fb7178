"""The image and the compose file: what they copy and run exists, and the health check tells well from ill."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest
import yaml
from serving import AD, ROOT, Running, wait

from pipeline.cli import root


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        (line.split(" ", 1)[0], line.split(" ", 1)[1].strip())
        for line in text.split("\n")
        if line and not line.startswith("#")
    ]


def copied() -> list[str]:
    found = []
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from="):
            found += rest.split()[:-1]
    return found


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n") if line.startswith("!")
    }
    assert copied()
    for name in copied():
        assert (ROOT / name).exists(), name
        assert name in kept, name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built in the image."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "."],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    (found,) = (folder / "dist").glob("*.whl")
    return found


def test_a_wheel_builds_from_what_is_copied_and_holds_the_service(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    parts = [
        file for file in (ROOT / "pipeline/service").rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    modules = {file.relative_to(ROOT).as_posix() for file in parts}
    assert modules <= names
    assert "pipeline/_resources/models/default/manifest.json" in names
    metadata = zipfile.ZipFile(wheel).read(next(n for n in names if n.endswith("METADATA"))).decode()
    extras = re.search(r"\.\[([\w,]+)\]", next(rest for name, rest in instructions() if "pip install" in rest))
    assert extras is not None
    assert extras[1].split(",") == ["service", "fast"]
    assert all(f"Provides-Extra: {extra}" in metadata for extra in extras[1].split(","))


def test_the_image_is_small_unprivileged_and_of_a_python_that_is_supported() -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    assert all(re.fullmatch(r"python:3\.(1[1-9])-slim", base) for base in bases)
    assert ("USER", "10001") in instructions()
    names = [name for name, _ in instructions()]
    assert names.index("USER") < names.index("ENTRYPOINT")


def parses(args: list[str]) -> dict[str, object]:
    command = root.get_command(None, args[0])  # type: ignore[arg-type]
    assert command is not None
    return command.make_context(args[0], args[1:]).params


def test_what_it_runs_is_a_command_with_these_options() -> None:
    found = dict(instructions())
    assert json.loads(found["ENTRYPOINT"])[-2].endswith('exec loanlint "$@"')
    params = parses(json.loads(found["CMD"]))
    assert (params["host"], params["port"]) == ("0.0.0.0", 8000)
    assert f"EXPOSE {params['port']}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def variables(stage: int) -> dict[str, str]:
    """What ENV sets in a stage."""
    found: list[dict[str, str]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append({})
        elif name == "ENV":
            found[-1].update(part.split("=", 1) for part in rest.split())
    return found[stage]


def test_the_image_starts_compiled_with_what_was_compiled_when_it_was_built(wheel: Path, tmp_path: Path) -> None:
    """The steps of the Dockerfile, with a folder in the place of ``/opt/loanlint``."""
    opt, temporary = tmp_path / "opt", tmp_path / "tmp"
    (opt / "bin").mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(opt / "site")
    (opt / "bin" / "loanlint").write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline.cli "$@"\n')
    (opt / "bin" / "loanlint").chmod(0o755)

    places = {
        "/opt/loanlint/bin/python": sys.executable,
        "/opt/loanlint": str(opt),
        "/tmp/": f"{temporary}/",
        "/data/": f"{tmp_path}/",
    }

    def here(text: str) -> str:
        return re.sub("|".join(places), lambda match: places[match[0]], text)

    def environment(stage: int) -> dict[str, str]:
        given = {name: here(value) for name, value in variables(stage).items()}
        path = given.pop("PATH", "").replace("$PATH", os.environ["PATH"]) or os.environ["PATH"]
        return {**os.environ, "PYTHONPATH": str(opt / "site"), **given, "PATH": path, "NO_PROXY": "*"}

    build = next(rest for name, rest in instructions() if name == "RUN" and "load_compiled" in rest)
    subprocess.run(["/bin/sh", "-c", here(build)], env=environment(0), cwd=tmp_path, check=True, timeout=300)
    baked = kept(opt / "compiled")
    assert len(baked) >= 7

    found = dict(instructions())
    entry = [here(part) for part in json.loads(found["ENTRYPOINT"])]
    temporary.mkdir()
    # A key first, as the compose file says: the address is one that others reach.
    made = subprocess.run(
        [*entry, "keys", "add", "shop"], env=environment(1), cwd=tmp_path, capture_output=True, check=True
    )
    args = ["0" if part == "8000" else part for part in json.loads(found["CMD"])]
    log = tmp_path / "log"

    def serving() -> list[str]:
        rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        return [row["engine"] for row in rows if row["event"] == "serving"]

    with log.open("wb") as target:
        process = subprocess.Popen(
            [*entry, *args], env=environment(1), cwd=tmp_path, stdout=subprocess.PIPE, stderr=target
        )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().decode().rsplit(":", 1)[1])
        wait(lambda: len(serving()) == 2, "both workers", 60)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            wait(lambda: ready(client), "the service of the image", 30)
            key = made.stdout.decode().strip()
            answer = client.post("/v1/check", json={"text": AD}, headers={"authorization": f"Bearer {key}"})
            assert answer.json()["results"][0]["verdict"]["severity"] == 2
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert serving() == ["compiled", "compiled"]
    # Compiling anew, or building tables of something else, would have written other files.
    assert kept(temporary / "loanlint") == baked


def kept(folder: Path) -> dict[str, bytes]:
    """Compiled functions and tables."""
    return {f.name: f.read_bytes() for f in folder.rglob("*") if f.suffix in (".nbi", ".nbc", ".tables")}


def ready(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/readyz").status_code == 200
    return False


def test_the_health_check_tells_well_from_ill(service: Running) -> None:
    check = dict(instructions())["HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    command[0] = sys.executable

    def status(port: int) -> int:
        at = [part.replace(":8000", f":{port}") for part in command]
        return subprocess.run(at, capture_output=True, timeout=20, check=False).returncode

    assert status(service.port) == 0
    assert status(9) != 0


def test_compose_starts_what_exists() -> None:
    document = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    loanlint, postgres = document["services"]["loanlint"], document["services"]["postgres"]
    assert (ROOT / loanlint["build"] / "Dockerfile").exists()
    assert loanlint["read_only"] is True
    assert set(loanlint["depends_on"]) <= set(document["services"])
    assert {volume.split(":")[0] for volume in postgres["volumes"]} == set(document["volumes"])
    url = loanlint["environment"]["LOANLINT_DB"]
    assert url.startswith(f"postgresql://{postgres['environment']['POSTGRES_USER']}:")
    assert url.endswith(f"@postgres/{postgres['environment']['POSTGRES_DB']}")
    assert all(port.startswith("127.0.0.1:") for port in loanlint["ports"])


@pytest.mark.parametrize("value", ["/data/service.db", "postgresql://loanlint:x@postgres/loanlint"])
def test_the_variable_both_set_names_the_database(monkeypatch, value: str) -> None:
    monkeypatch.setenv("LOANLINT_DB", value)
    assert parses(["serve"])["database"] == value
