"""The API over HTTP: verdicts, contexts, pages, streams, health, metrics, logs."""

from __future__ import annotations

import json
import threading
import time

import httpx
import pytest
from serving import AD, CLEAN, ILLEGAL, Running, metric, running

from pipeline import Classifier, scan
from pipeline.service.store import ItemFilter, Store, item_id
from pipeline.taxonomy import taxonomy


def plain(value):
    """A verdict as it looks after JSON."""
    return json.loads(json.dumps(value))


def test_check_gives_the_verdict_of_the_library(service: Running, classifier: Classifier) -> None:
    answer = service.post("/v1/check", {"text": AD, "dataId": "帖子-17"})
    assert answer.status_code == 200
    body = answer.json()
    (result,) = body["results"]
    assert result["verdict"] == plain(classifier.check(AD, id="0").to_dict())
    assert body["model"] == classifier.version
    assert body["id"] == answer.headers["x-request-id"]
    verdict = result["verdict"]
    assert result["moderation"] == {
        "suggestion": "Block",
        "label": "LoanAd",
        "subLabel": verdict["codes"][0]["code"],
        "score": verdict["score"],
        "riskWords": [e["raw"] for e in verdict["evidence"]],
        "dataId": "帖子-17",
        "item": item_id(AD),
    }


def test_many_texts_keep_order_ids_and_channels(service: Running, classifier: Classifier) -> None:
    texts = [AD, CLEAN, ILLEGAL, "", CLEAN + AD] * 20
    question = {"text": AD, "dataId": "q", "channel": "ugc_question"}
    results = service.post("/v1/check", {"texts": [*texts, question]}).json()["results"]
    wanted = classifier.check_many(texts)
    assert [r["verdict"] for r in results[:-1]] == [plain(v.to_dict()) for v in wanted]
    assert results[-1]["verdict"]["severity"] == 0
    assert results[-1]["moderation"] == {
        "suggestion": "Pass", "label": "Normal", "subLabel": None, "score": results[-1]["verdict"]["score"],
        "riskWords": [], "dataId": "q", "item": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("action", "suggestion"),
    [("pass", "Pass"), ("sample", "Review"), ("human_review", "Review"), ("reject_ad", "Block"), ("escalate", "Block")],
)
def test_every_action_has_a_suggestion(classifier: Classifier, action: str, suggestion: str) -> None:
    from dataclasses import replace

    from pipeline.service.schemas import _SUGGESTION, moderation

    assert moderation(replace(classifier.check(AD), action=action), None).suggestion == suggestion
    assert set(_SUGGESTION) == set(taxonomy().actions)


def test_settings_are_those_of_the_command_line(service: Running) -> None:
    def flagged(**named) -> tuple[bool, list[str], int]:
        verdict = service.post("/v1/check", {"text": AD, **named}).json()["results"][0]["verdict"]
        return verdict["flagged"], [r["id"] for r in verdict["legal_refs"]], len(verdict["evidence"])

    assert flagged()[0]
    assert not flagged(fail_on="illegal")[0]
    assert "FPOM" not in flagged(date="2026-09-29")[1]
    assert "FPOM" in flagged(date="2026-09-30")[1]
    assert flagged(explain=False)[2] == 0


def test_scan_equals_the_library_on_json_and_on_bytes(service: Running, classifier: Classifier, repository) -> None:
    html = (repository / "data/examples/page.html").read_bytes()
    page = html.decode()
    wanted = plain(scan(page, classifier).to_dict())
    assert wanted["summary"]["flagged"] > 0
    by_json = service.post("/v1/scan", {"page": page, "url": "https://example.com/p", "dataId": "p1"}).json()
    for encoding in ("utf-8", "gb18030"):
        by_bytes = service.client.post(
            "/v1/scan",
            params={"url": "https://example.com/p"},
            content=page.encode(encoding),
            headers={"content-type": "text/html"},
        ).json()
        assert by_bytes["summary"] == by_json["summary"] == wanted["summary"]
        assert [s["text"] for s in by_bytes["segments"]] == [s["text"] for s in wanted["segments"]]
        assert by_bytes["encoding"] == encoding
    assert by_json["segments"] == wanted["segments"]
    assert (by_json["name"], by_json["dataId"]) == ("https://example.com/p", "p1")


def test_stream_answers_every_line_in_order(service: Running, classifier: Classifier) -> None:
    lines = [
        json.dumps(AD),
        "",
        json.dumps({"text": CLEAN, "dataId": "b"}, ensure_ascii=False),
        "{not json",
        json.dumps({"text": AD, "colour": "red"}),
        json.dumps("长" * 30_000),
        json.dumps({"text": AD, "channel": "ugc_question"}),
    ]
    answer = service.client.post(
        "/v1/stream", content="\n".join(lines).encode(), headers={"content-type": "application/x-ndjson"}
    )
    assert answer.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in answer.text.split("\n") if line]
    assert rows[0]["verdict"]["severity"] == classifier.check(AD).severity
    assert rows[1]["moderation"]["dataId"] == "b"
    assert [(r["line"], r["error"]["code"]) for r in rows[2:5]] == [
        (4, "E_JSON"),
        (5, "E_REQUEST"),
        (6, "E_INPUT_SIZE"),
    ]
    assert rows[5]["verdict"]["severity"] == 0
    assert len(rows) == 6


def test_stream_settings_come_from_the_query(service: Running) -> None:
    answer = service.client.post(
        "/v1/stream?fail_on=illegal&explain=false",
        content=json.dumps(AD),
        headers={"content-type": "application/jsonl"},
    )
    verdict = answer.json()["verdict"]
    assert (verdict["flagged"], verdict["evidence"]) == (False, [])
    for wrong in ("fail_on=never", "colour=red", "explain=maybe"):
        assert (
            service.client.post(f"/v1/stream?{wrong}", headers={"content-type": "application/jsonl"}).status_code == 400
        )


def test_stream_reads_no_further_than_its_reader(service: Running) -> None:
    """A sender that does not read is held up after a bounded amount, and all is answered once it reads."""
    import socket

    line = (json.dumps({"text": CLEAN * 20}, ensure_ascii=False) + "\n").encode()
    total = 60_000
    sent = 0
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        head = f"POST /v1/stream HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\ncontent-length: {len(line) * total}\r\nconnection: close\r\n\r\n"
        connection.sendall(head.encode())
        connection.setblocking(False)
        body = memoryview(line * 100)
        last = time.monotonic()
        while time.monotonic() - last < 1.0 and sent < len(line) * total:
            try:
                sent += connection.send(body[sent % len(body) :])
                last = time.monotonic()
            except BlockingIOError:
                time.sleep(0.02)
        assert 0 < sent < 20_000_000 < len(line) * total

        received = bytearray()
        connection.settimeout(20)

        def rest() -> None:
            at = sent
            # Enough to see that it goes on; then the sender leaves.
            while at < sent + 1_000_000:
                at += connection.send(body[at % len(body) :])

        sender = threading.Thread(target=rest)
        sender.start()
        while sender.is_alive():
            received += connection.recv(1_000_000)
        sender.join()
    assert b'"verdict"' in received
    assert service.client.get("/healthz").status_code == 200


def test_flagged_texts_are_in_the_store_when_the_answer_is(tmp_path) -> None:
    with running(tmp_path, "--sample", "0") as service:
        page = {"url": "https://loans.example.com/x", "title": "标题", "role": "anchor"}
        service.post("/v1/check", {"texts": [{"text": AD, "dataId": "d", "page": page}, CLEAN]})
        service.post("/v1/moderations", {"input": ILLEGAL})
        store = Store(service.database)
        items = {item.text: item for item in store.items(ItemFilter())}
        assert set(items) == {AD, ILLEGAL}
        (place,) = store.sightings(item_id(AD))
        assert (place["domain"], place["title"], place["role"], place["data_id"]) == (
            "loans.example.com",
            "标题",
            "anchor",
            "d",
        )
        store.close()


@pytest.mark.parametrize(("options", "kept"), [(("--sample", "1"), 2), (("--no-queue",), 0)])
def test_sampling_and_no_queue(tmp_path, options, kept: int) -> None:
    with running(tmp_path, *options) as service:
        service.post("/v1/check", {"texts": [AD, CLEAN]})
    store = Store(service.database)
    assert {i.reason for i in store.items(ItemFilter())} == ({"flagged", "sample"} if kept else set())
    store.close()


def test_taxonomy_health_and_readiness(service: Running, classifier: Classifier) -> None:
    body = service.client.get("/v1/taxonomy").json()
    assert [c["id"] for c in body["codes"]] == list(taxonomy().codes)
    assert body["codes"][0]["category"] == f"loan/{body['codes'][0]['id']}"
    assert {r["key"] for r in body["legal_references"]} == set(taxonomy().references)
    assert service.client.get("/healthz").json()["status"] == "ok"
    assert service.client.get("/readyz").json() == {"status": "ok", "model": classifier.version}


def test_readiness_fails_with_a_model_that_flags_nothing(classifier: Classifier, monkeypatch) -> None:
    from pipeline.service.engine import PROBE, Engine

    engine = Engine(classifier, "plain")
    assert engine.ready()
    monkeypatch.setattr("pipeline.service.engine.PROBE", CLEAN)
    assert not engine.ready()
    assert classifier.check(PROBE).severity >= 2


def test_metrics_count_verdicts_codes_scores_and_requests(tmp_path, classifier: Classifier) -> None:
    with running(tmp_path) as service:
        service.post("/v1/check", {"texts": [AD, AD, CLEAN]})
        service.post("/v1/check", {"text": 5})
        assert metric(service, "loanlint_verdicts_total", severity=classifier.check(AD).label) == 2
        assert metric(service, "loanlint_verdicts_total", severity="none") == 1
        assert metric(service, "loanlint_codes_total", code=classifier.check(AD).codes[0].code) == 2
        assert metric(service, "loanlint_score_count") == 3
        assert metric(service, "loanlint_score_sum") == 2 * classifier.check(AD).score + classifier.check(CLEAN).score
        assert metric(service, "loanlint_score_bucket", le="5.0") == 1
        assert metric(service, "loanlint_requests_total", route="/v1/check", status="200") == 1
        assert metric(service, "loanlint_requests_total", route="/v1/check", status="400") == 1
        assert metric(service, "loanlint_request_seconds_count", route="/v1/check") == 2
        assert metric(service, "loanlint_model", model=classifier.version) == 1
        assert metric(service, "loanlint_items_written_total") == 2


def test_logs_are_json_and_hold_no_text(tmp_path) -> None:
    with running(tmp_path) as service:
        service.post("/v1/check", {"text": AD, "dataId": "geheim-1"}, **{"x-request-id": "mine-1"})
        service.post("/v1/check", {"text": AD + "\x00"})
        service.client.post("/v1/scan", content=f"<p>{AD}</p>".encode(), headers={"content-type": "text/html"})
        service.client.get(f"/{AD}")
        service.client.post("/v1/check", content=b"{" + AD.encode(), headers={"content-type": "application/json"})
    lines = [line for line in service.log if line["event"] == "request"]
    (mine,) = [line for line in lines if line["request_id"] == "mine-1"]
    assert (mine["route"], mine["status"], mine["texts"], mine["level"]) == ("/v1/check", 200, 1, "info")
    assert AD[:4] not in service.raw_log
    assert "geheim" not in service.raw_log
    assert {line["status"] for line in lines} >= {200, 400, 404}


def test_request_ids_are_the_callers_or_new(service: Running) -> None:
    assert service.client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    strange = service.client.get("/healthz", headers={"x-request-id": "a b\tc"}).headers["x-request-id"]
    assert strange.startswith("req_")
    ids = {service.client.get("/healthz").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


def test_workers_share_port_counters_and_store(tmp_path) -> None:
    with running(tmp_path, "--workers", "2", "--sample", "0") as service:
        assert len(service.workers()) == 2
        for i in range(30):
            # A connection each, so that both workers get some.
            with httpx.Client(base_url=service.local, trust_env=False) as client:
                assert client.post("/v1/check", json={"text": f"{AD}{i}"}).status_code == 200
        assert metric(service, "loanlint_requests_total", route="/v1/check", status="200") == 30
        import os
        import signal

        from serving import wait

        victim = service.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait(lambda: len(service.workers()) == 2 and victim not in service.workers(), "a new worker")
        assert metric(service, "loanlint_requests_total", route="/v1/check", status="200") == 30
    store = Store(service.database)
    assert store.count(ItemFilter()) == 30
    store.close()
    assert service.process.returncode == 0


def test_while_the_store_is_away_flags_are_refused_and_the_rest_is_answered(tmp_path, postgres) -> None:
    with running(tmp_path, "--sample", "0", database=postgres.new_database()) as service:
        assert service.post("/v1/check", {"text": AD}).status_code == 200
        postgres.stop()
        assert service.post("/v1/check", {"text": CLEAN}).status_code == 200
        refused = service.post("/v1/check", {"text": AD})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "E_STORE")
        assert "postgres" not in refused.text
        assert service.client.get("/readyz").status_code == 503
        assert service.client.get("/healthz").status_code == 200
        postgres.start()
        assert service.post("/v1/check", {"text": ILLEGAL}).status_code == 200
        assert service.client.get("/readyz").status_code == 200
    store = Store(service.database)
    assert {item.text for item in store.items(ItemFilter())} >= {AD, ILLEGAL}
    store.close()
