"""The service with the compiled engine answers what it answers with the plain one, and changes models as well."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import AD, CLEAN, ILLEGAL, ROOT, Running, loanlint, running, wait
from test_service_models import Hammer, variant

from pipeline.service.engine import PROBE

# Probabilities are rounded after sums that are made in another order.
TOLERANCE = 2e-4


def texts() -> list[str]:
    rows = [
        json.loads(line)
        for file in sorted(ROOT.glob("data/corpus/*.jsonl"))
        for line in file.read_text(encoding="utf-8").split("\n")[::61]
        if line
    ]
    return [
        *(row["text"] for row in rows),
        AD,
        ILLEGAL,
        CLEAN,
        PROBE,
        "不\u200b看 征.信 黑戶 也能下款",
        "贷",
        "。" * 300 + AD,
    ]


TEXTS = texts()
PAGE = (
    f"<title>{AD}</title><h1>新闻</h1><p>{CLEAN}。{CLEAN}。</p><ul>"
    + "".join(f"<li><a>{text[:200]}</a></li>" for text in TEXTS[:40])
    + "</ul>"
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("compiled"), "--engine", "compiled", "--sample", "0") as found:
        yield found


def same(one: Any, other: Any) -> bool:
    """Whether two answers say the same; numbers may differ by rounding."""
    if isinstance(one, float) and isinstance(other, float | int):
        return abs(one - other) <= TOLERANCE
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def assert_same(one: list[Any], other: list[Any]) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert same(a, b), (a, b)


def test_it_is_the_compiled_engine_that_runs(compiled: Running, service: Running) -> None:
    assert [line["engine"] for line in compiled.log if line["event"] == "serving"] == ["compiled"]
    assert [line["engine"] for line in service.log if line["event"] == "serving"] == ["plain"]


@pytest.mark.parametrize(
    "how", [{}, {"operating_point": "high_recall", "fail_on": "borderline"}, {"explain": False}, {"channel": "ugc_question"}]
)  # fmt: skip
def test_checks_of_many(compiled: Running, service: Running, how: dict[str, Any]) -> None:
    answers = [s.post("/v1/check", {"texts": TEXTS, **how}).json()["results"] for s in (compiled, service)]
    assert_same(*answers)
    assert sum(r["verdict"]["flagged"] for r in answers[0]) > 10


def test_checks_of_one_at_the_same_time(compiled: Running, service: Running) -> None:
    """Requests that wait together are scored together; each gets its own verdict."""
    few = TEXTS[-60:]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda t: compiled.post("/v1/check", {"text": t}).json()["results"][0], few))
    assert_same(found, [service.post("/v1/check", {"text": t}).json()["results"][0] for t in few])


@pytest.mark.parametrize("value", [AD, TEXTS[:80], [{"type": "text", "text": t} for t in (CLEAN, AD)]])
def test_moderations(compiled: Running, service: Running, value: Any) -> None:
    assert_same(*(s.post("/v1/moderations", {"input": value}).json()["results"] for s in (compiled, service)))


def test_scans(compiled: Running, service: Running) -> None:
    one, other = (s.post("/v1/scan", {"page": PAGE}).json() for s in (compiled, service))
    assert_same(one["segments"], other["segments"])
    assert same(one["summary"], other["summary"])
    assert one["summary"]["flagged"] > 3


def test_streams(compiled: Running, service: Running) -> None:
    lines = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in TEXTS) + "{}\n"
    answers = []
    for s in (compiled, service):
        answer = s.client.post("/v1/stream", content=lines.encode(), headers={"content-type": "application/x-ndjson"})
        answers.append([json.loads(line) for line in answer.text.splitlines()])
    assert_same(*answers)
    assert answers[0][-1]["error"]["code"] == "E_REQUEST"


def test_ready_and_the_pages(compiled: Running) -> None:
    assert compiled.client.get("/readyz").json()["status"] == "ok"
    assert compiled.client.get("/").status_code == 200


def test_a_model_is_changed_under_load(tmp_path: Path) -> None:
    wanted = variant(tmp_path / "candidate", 0.01)
    with running(tmp_path, "--engine", "compiled", "--workers", "2") as service:
        before = service.client.get("/readyz").json()["model"]
        hammer = Hammer(service.local)
        assert loanlint("model", "activate", str(tmp_path / "candidate"), "--db", service.database).returncode == 0
        service.signal(signal.SIGHUP)
        wait(lambda: hammer.versions[-50:] and set(hammer.versions[-50:]) == {wanted}, "the new model everywhere")
        hammer.stop()
        assert (hammer.failures, hammer.statuses) == ([], {200})
        assert set(hammer.versions) == {before, wanted}
        loaded = [line["engine"] for line in service.log if line["event"] == "model loaded"]
        assert loaded == ["compiled", "compiled"]
