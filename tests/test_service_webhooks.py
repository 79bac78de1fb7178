"""Webhooks: signed, tried again, at least once, logged. Signatures are checked by the Standard Webhooks library."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from serving import AD, CLEAN, ILLEGAL, loanlint, running, wait
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from pipeline.service.outbox import Outbox, Webhook, new_secret
from pipeline.service.store import Entry, Store
from pipeline.service.webhooks import Sender, sign


class Receiver:
    """A receiver that answers what ``answer`` says for the n-th request."""

    def __init__(self, answer: Callable[[int], int] = lambda n: 200) -> None:
        self.got: list[tuple[dict[str, str], bytes, float]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(({k.lower(): v for k, v in self.headers.items()}, body, time.monotonic()))
                status = answer(len(outer.got))
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"{outer.url}elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # all at once may come

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.close()


def add(database: str, url: str, *args: str) -> str:
    done = loanlint("webhooks", "add", url, "--db", database, *args)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def test_a_flagged_text_is_reported_signed_once(tmp_path, receiver: Receiver, classifier) -> None:
    database = str(tmp_path / "service.db")
    secret = add(database, receiver.url)
    with running(tmp_path, database=database) as service:
        page = {"url": "https://example.com/1"}
        asked = service.post("/v1/check", {"texts": [{"text": AD, "dataId": "帖-1", "page": page}, CLEAN]})
        wait(lambda: receiver.got, "the message")
        time.sleep(1.2)
        logged = wait(lambda: loanlint("webhooks", "deliveries", "--db", database).stdout.decode(), "the delivery log")
    ((headers, body, _),) = receiver.got
    document = Verifier(secret).verify(body, headers)
    assert document == json.loads(body)
    assert document["type"] == "verdict.flagged"
    data = document["data"]
    assert (data["dataId"], data["page"]["url"], data["request_id"]) == (
        "帖-1",
        "https://example.com/1",
        asked.json()["id"],
    )
    assert data["verdict"]["text"] == AD
    assert data["verdict"]["severity"] == classifier.check(AD).severity
    assert headers["webhook-id"] in logged
    assert " 200 " in logged
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(body.replace(b"verdict.flagged", b"verdict.cleared"), headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(new_secret()).verify(body, headers)
    assert AD[:4] not in service.raw_log


def test_severity_decides_and_borderline_can_be_asked_for(tmp_path, receiver: Receiver, classifier) -> None:
    database = str(tmp_path / "service.db")
    add(database, receiver.url + "illegal", "--min-severity", "illegal")
    add(database, receiver.url + "all", "--min-severity", "borderline")
    illegal, misleading = classifier.check(ILLEGAL).severity, classifier.check(AD).severity
    assert (illegal, misleading) == (3, 2)
    with running(tmp_path, "--no-queue", database=database) as service:
        service.post("/v1/check", {"texts": [AD, ILLEGAL, CLEAN]})
        wait(lambda: len(receiver.got) == 3, "three messages")
        listed = loanlint("webhooks", "list", "--db", database).stdout.decode()
    severities = sorted(json.loads(body)["data"]["verdict"]["severity"] for _, body, _ in receiver.got)
    assert severities == [2, 3, 3]
    assert "illegal" in listed
    assert "delivered: 3" in listed


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_attempts_back_off_until_confirmed_or_used_up(database, classifier) -> None:
    """503, 302 and 500 are not confirmations; the fourth attempt succeeds. Another receiver never answers."""
    receiver = Receiver(lambda n: {1: 503, 2: 302, 3: 500}.get(n, 204))
    store = Store(database)
    store.outbox.add(Webhook("good", receiver.url, new_secret(), 2, 1.0))
    store.outbox.add(Webhook("dead", "http://127.0.0.1:9/", new_secret(), 2, 1.0))
    store.ingest([Entry(classifier.check(AD), "flagged", time.time())])
    waits = (0.2, 0.4, 0.8)
    _send(store.outbox, waits, lambda: store.outbox.counts() == {"delivered": 1, "failed": 1})
    receiver.close()
    rows = sorted(store.outbox.deliveries(), key=lambda r: (r["webhook_id"], r["attempt"]))
    assert [(r["webhook_id"], r["attempt"], r["status"], r["error"]) for r in rows] == [
        ("dead", 1, None, "ConnectError"),
        ("dead", 2, None, "ConnectError"),
        ("dead", 3, None, "ConnectError"),
        ("dead", 4, None, "ConnectError"),
        ("good", 1, 503, None),
        ("good", 2, 302, None),
        ("good", 3, 500, None),
        ("good", 4, 204, None),
    ]
    times = [t for _, _, t in receiver.got]
    assert len({h["webhook-id"] for h, _, _ in receiver.got}) == 1
    for wanted, (a, b) in zip(waits, itertools.pairwise(times), strict=True):
        assert b - a >= 0.9 * wanted
    store.close()


def _send(outbox: Outbox, waits: tuple[float, ...], until: Callable[[], bool]) -> None:
    import asyncio

    from pipeline.service.metrics import Metrics
    from pipeline.service.service import make_board

    async def go() -> None:
        task = asyncio.create_task(Sender(outbox, Metrics(make_board(1), lambda: "x"), waits, 0.05).run())
        for _ in range(400):
            if await asyncio.to_thread(until):
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("not delivered")
        task.cancel()

    asyncio.run(go())


def test_a_message_survives_kill_9_between_answer_and_delivery(tmp_path) -> None:
    receiver = Receiver(lambda n: 500)
    database = str(tmp_path / "service.db")
    add(database, receiver.url)
    with running(tmp_path, database=database) as service:
        assert service.post("/v1/check", {"text": AD}).status_code == 200
        service.kill()
    receiver.close()
    store = Store(database)
    with store.database.transaction() as tx:
        # What was being sent when the service died is free again after a minute; do not wait for that here.
        tx.run("UPDATE outbox SET due = 0, webhook_id = webhook_id WHERE state = 'pending'")
    second = Receiver()
    with store.database.transaction() as tx:
        tx.run("UPDATE webhooks SET url = ?", second.url)
    with running(tmp_path, database=database):
        wait(lambda: second.got, "the message")
        wait(lambda: store.outbox.counts() == {"delivered": 1}, "its confirmation")
    second.close()
    store.close()
    assert json.loads(second.got[0][1])["data"]["verdict"]["text"] == AD


def test_two_services_on_one_postgres_deliver_each_message_once(tmp_path, postgres, receiver: Receiver) -> None:
    database = postgres.new_database()
    add(database, receiver.url)
    with running(tmp_path, database=database) as one, running(tmp_path, database=database) as two:
        for i in range(20):
            (one, two)[i % 2].post("/v1/check", {"text": f"{AD}{i}"})
        wait(lambda: len(receiver.got) >= 20, "all messages")
        time.sleep(1)
    assert len(receiver.got) == len({h["webhook-id"] for h, _, _ in receiver.got}) == 20


def test_signature_is_the_published_example() -> None:
    """From the Standard Webhooks specification's reference implementations."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )
    assert len(base64.b64decode(new_secret().removeprefix("whsec_"))) == 24


@pytest.mark.parametrize("url", ["ftp://x/y", "example.com", "http://", "http://x:99999999/"])
def test_addresses_that_are_none(tmp_path, url: str) -> None:
    done = loanlint("webhooks", "add", url, "--db", str(tmp_path / "x.db"))
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert loanlint("webhooks", "remove", "zz", "--db", str(tmp_path / "x.db")).returncode == 2
