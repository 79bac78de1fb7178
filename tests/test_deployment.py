"""The image and the compose file: what they copy and run exists, and the health check tells well from ill."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from serving import ROOT, Running

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


def test_a_wheel_builds_from_what_is_copied_and_holds_the_service(tmp_path: Path) -> None:
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "."],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    parts = [
        file for file in (ROOT / "pipeline/service").rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    modules = {file.relative_to(ROOT).as_posix() for file in parts}
    assert modules <= names
    assert "pipeline/_resources/models/default/manifest.json" in names
    metadata = zipfile.ZipFile(wheel).read(next(n for n in names if n.endswith("METADATA"))).decode()
    extra = re.search(r"\.\[(\w+)\]", next(rest for name, rest in instructions() if "pip install" in rest))
    assert extra is not None
    assert f"Provides-Extra: {extra[1]}" in metadata


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
    assert json.loads(found["ENTRYPOINT"]) == ["loanlint"]
    params = parses(json.loads(found["CMD"]))
    assert (params["host"], params["port"]) == ("0.0.0.0", 8000)
    assert f"EXPOSE {params['port']}" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


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
