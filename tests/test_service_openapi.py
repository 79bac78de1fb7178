"""The OpenAPI document, and what schemathesis makes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import httpx
import pytest
from serving import ROOT, Running

from pipeline.service.metrics import ROUTES
from pipeline.service.openapi import document
from pipeline.service.settings import Limits
from pipeline.service.store import item_id


def operations() -> list[tuple[str, str, dict]]:
    return [(path, method, op) for path, ops in document(Limits())["paths"].items() for method, op in ops.items()]


def test_it_describes_every_route(service: Running) -> None:
    answer = service.client.get("/openapi.json")
    assert answer.json() == document(Limits())
    described = {path for path, _, _ in operations()}
    assert described == {route for route in ROUTES if route.startswith("/")} - {"/openapi.json"}


@pytest.mark.parametrize(
    ("path", "method", "media", "value"),
    [
        (path, method, media, example["value"])
        for path, method, op in operations()
        for media, content in op.get("requestBody", {}).get("content", {}).items()
        for example in content["examples"].values()
    ],
)  # fmt: skip
def test_its_examples_are_answered(service: Running, path: str, method: str, media: str, value) -> None:
    headers = {"content-type": media}
    if path == "/v1/appeals":
        # What is appealed was sent before; the answer is about the appeal, not the text.
        assert service.post("/v1/check", document(Limits())["paths"]["/v1/check"]["post"]["requestBody"]["content"]["application/json"]["examples"]["one"]["value"]).status_code == 200  # fmt: skip
        answer = service.post(path, value)
        assert answer.status_code == 200
        assert item_id("不看征信的口子,有身份证就能下款") in {appeal["item"] for appeal in answer.json()["appeals"]}
        return
    if media == "application/json":
        answer = service.client.request(method, path, json=value)
    else:
        answer = service.client.request(method, path, content=value.encode(), headers=headers)
    assert answer.status_code == 200
    assert "误导" in answer.text or "misleading" in answer.text or '"flagged":true' in answer.text


def test_every_request_body_has_examples() -> None:
    bodies = [content for _, _, op in operations() for content in op.get("requestBody", {}).get("content", {}).values()]
    assert len(bodies) == 6
    assert all(content["examples"] for content in bodies)


def test_schemathesis_finds_nothing(service: Running, tmp_path) -> None:
    """Examples, coverage of the schema's corners, and made-up requests; all its checks, at a fixed seed."""
    done = subprocess.run(
        [
            os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", str(ROOT / "tests/schemathesis.toml"),
            "run", f"{service.local}/openapi.json",
            "--max-examples", "25", "--seed", "1", "--no-color", "--workers", "1",
        ],
        capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(ROOT / "tests")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"Tested:\s+10\b", done.stdout), done.stdout
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 200
    assert [line for line in service.log if line.get("status") == 500] == []


def test_scan_reads_its_address_before_its_body(service: Running) -> None:
    answer = httpx.post(
        f"{service.local}/v1/scan?dataId=a&fail_on=illegal", json={"page": "x", "dataId": "b"}, trust_env=False
    )
    assert answer.json()["dataId"] == "a"
