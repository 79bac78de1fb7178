"""Faulty, hostile and slow clients get a 4xx in one shape, and hold nobody up."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time

import pytest
from serving import AD, CLEAN, Running, metric, running, wait

LIMITS = ("--idle-limit", "1.5", "--time-limit", "3")


@pytest.fixture(scope="module")
def hurried(tmp_path_factory):
    """A service that loses patience soon."""
    with running(tmp_path_factory.mktemp("hurried"), *LIMITS, "--sample", "0") as found:
        yield found


def shape(body: bytes) -> dict[str, str | None]:
    """The error of a body, which must have exactly the shape every error has."""
    document = json.loads(body)
    assert set(document) == {"error"}
    assert set(document["error"]) == {"message", "message_zh", "type", "param", "code"}
    assert document["error"]["code"].startswith("E_")
    assert re.search("[一-鿿]", document["error"]["message_zh"])
    return document["error"]


def talk(port: int, data: bytes, *, seconds: float = 8.0) -> tuple[int, bytes, float]:
    """Status, body and time of what comes back for raw bytes, until the server closes."""
    start = time.monotonic()
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        while chunk := connection.recv(65_536):
            received += chunk
            head, _, body = received.partition(b"\r\n\r\n")
            if b"content-length:" in head and len(body) >= int(head.split(b"content-length: ")[1].split(b"\r\n")[0]):
                break
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body, time.monotonic() - start


DEEP = 200_000
BODIES = [
    ("empty", b"", 400, "E_JSON"),
    ("not json", b"{", 400, "E_JSON"),
    ("trailing", b'{"text": "x"} x', 400, "E_JSON"),
    ("not utf-8", b'{"text": "\xff\xfe"}', 400, "E_JSON"),
    ("gb18030", f'{{"text": "{AD}"}}'.encode("gb18030"), 400, "E_JSON"),
    ("lone surrogate", b'{"text": "\\ud800"}', 400, "E_JSON"),
    ("nul", b'{"text": "a\\u0000b"}', 400, "E_INPUT_BINARY"),
    ("array", b"[]", 400, "E_REQUEST"),
    ("null", b"null", 400, "E_REQUEST"),
    ("number text", b'{"text": 5}', 400, "E_REQUEST"),
    ("null text", b'{"text": null}', 400, "E_REQUEST"),
    ("number in texts", b'{"texts": ["x", 5]}', 400, "E_REQUEST"),
    ("no text", b"{}", 400, "E_REQUEST"),
    ("both", b'{"text": "x", "texts": ["y"]}', 400, "E_REQUEST"),
    ("no texts", b'{"texts": []}', 400, "E_INPUT_EMPTY"),
    ("unknown field", b'{"text": "x", "colour": 1}', 400, "E_REQUEST"),
    ("unknown field inside", b'{"texts": [{"text": "x", "id": 1}]}', 400, "E_REQUEST"),
    ("unknown point", b'{"text": "x", "operating_point": "best"}', 400, "E_REQUEST"),
    ("no day", b'{"text": "x", "date": "2026-02-30"}', 400, "E_REQUEST"),
    ("long id", b'{"text": "x", "dataId": "%s"}' % (b"i" * 129), 400, "E_REQUEST"),
    ("nul in id", b'{"text": "x", "dataId": "a\\u0000"}', 400, "E_REQUEST"),
    ("nul in address", b'{"text": "x", "page": {"url": "a\\u0000"}}', 400, "E_REQUEST"),
    ("surrogate in title", b'{"text": "x", "page": {"title": "\\udfff"}}', 400, "E_JSON"),
    ("dataId of many", b'{"texts": ["x"], "dataId": "i"}', 400, "E_REQUEST"),
    ("long text", b'{"text": "%s"}' % (b"x" * 20_001), 413, "E_INPUT_SIZE"),
    ("many texts", b'{"texts": [%s]}' % b",".join([b'"x"'] * 1001), 413, "E_INPUT_SIZE"),
    ("deep array", b'{"texts": ' + b"[" * DEEP + b"]" * DEEP + b"}", 400, None),
    ("deep unknown", b'{"x": ' + b"[" * DEEP + b"]" * DEEP + b"}", 400, None),
    ("deep object", b'{"text": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", 400, None),
    ("huge number", b'{"text": 1' + b"0" * 100_000 + b"}", 400, None),
]


@pytest.mark.parametrize(("body", "status", "code"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
@pytest.mark.parametrize("path", ["/v1/check"])
def test_bodies(service: Running, path: str, body: bytes, status: int, code: str | None) -> None:
    answer = service.client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    error = shape(answer.content)
    assert code is None or error["code"] == code
    assert error["message"]
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/v1/moderations", "/v1/scan"])
@pytest.mark.parametrize("body", [b[1] for b in BODIES if b[0] not in ("long text", "many texts")])
def test_other_routes_refuse_them_too(service: Running, path: str, body: bytes) -> None:
    answer = service.client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    shape(answer.content)


def test_the_field_at_fault_is_named(service: Running) -> None:
    answer = service.post("/v1/check", {"texts": ["x", {"text": "y", "page": {"url": 5}}]})
    assert shape(answer.content)["param"] == "texts[1].page.url"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/check", 405), ("POST", "/v1/taxonomy", 405), ("GET", "/nothing", 404), ("POST", "/v1/", 404), ("PUT", "/v1/check", 405)],
)  # fmt: skip
def test_wrong_addresses_and_methods(service: Running, method: str, path: str, status: int) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == status
    shape(answer.content)
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    "content",
    [b"%PDF-1.7 ...", b"\x00" * 100, "<p>页</p>".encode("utf-16"), bytes(range(128, 256)) * 40],
)  # fmt: skip
def test_pages_that_are_none(service: Running, content: bytes) -> None:
    answer = service.client.post("/v1/scan", content=content, headers={"content-type": "text/html"})
    if content.startswith(b"\xff\xfe"):
        assert answer.status_code == 200  # UTF-16 with its mark is text
        return
    assert answer.status_code == 400
    shape(answer.content)


def test_an_empty_page_has_no_segments(service: Running) -> None:
    for content in (b"", b"   ", b"<p></p>"):
        answer = service.client.post("/v1/scan", content=content, headers={"content-type": "text/html"})
        assert answer.status_code == 200
        assert answer.json()["segments"] == []
        assert answer.json()["summary"]["worst"] == 0


def test_a_page_without_breaks_and_a_deep_page(service: Running) -> None:
    endless = service.client.post("/v1/scan", content=("贷款" * 20_000).encode(), headers={"content-type": "text/html"})
    assert endless.status_code == 413
    shape(endless.content)
    deep = "<div>" * 5_000 + AD + "</div>" * 5_000
    answer = service.client.post("/v1/scan", content=deep.encode(), headers={"content-type": "text/html"})
    assert answer.status_code == 200
    assert answer.json()["summary"]["worst"] >= 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_50_mb_is_refused_without_being_kept(hurried: Running, chunked: bool) -> None:
    def memory() -> int:
        with open(f"/proc/{hurried.process.pid}/status", encoding="ascii") as file:
            return int(file.read().split("VmRSS:")[1].split()[0])

    before = memory()
    size = 50 * 2**20
    content = (b"x" * 65_536 for _ in range(size // 65_536)) if chunked else b"x" * size
    answer = hurried.client.post("/v1/check", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert shape(answer.content)["code"] == "E_BODY_SIZE"
    assert memory() - before < 20_000
    # The connection still works, or a new one is made.
    assert hurried.post("/v1/check", {"text": CLEAN}).status_code == 200


HEAD = b"POST /v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00 hello", 400, "E_HTTP"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "E_HTTP"),
        (b"GET /%ff%fe HTTP/1.1\r\nhost: localhost\r\n\r\n", 404, "E_NOT_FOUND"),
        ("GET /页 HTTP/1.1\r\nhost: localhost\r\n\r\n".encode(), 400, "E_HTTP"),
        (HEAD + b"content-length: -5\r\n\r\n", 400, "E_HTTP"),
        (HEAD + b"content-length: x\r\n\r\n", 400, "E_HTTP"),
        (HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "E_HTTP"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400, "E_HTTP"),
        (HEAD + b"content-length: 99999999999\r\n\r\n", 413, "E_BODY_SIZE"),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", 431, "E_HEADER_SIZE"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 431, "E_HEADER_SIZE"),
        # Slow: the head, the body, a body in drops.
        (b"POST /v1/check HTT", 408, "E_HEADER_TIME"),
        (b"GET /healthz HTTP/1.1\r\nhost: local", 408, "E_HEADER_TIME"),
        (HEAD + b"content-length: 100\r\n\r\n{", 408, "E_BODY_TIME"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{", 408, "E_BODY_TIME"),
    ],
)  # fmt: skip
def test_raw_connections(hurried: Running, data: bytes, status: int, code: str) -> None:
    found, body, seconds = talk(hurried.port, data)
    assert (found, shape(body)["code"]) == (status, code)
    assert seconds < 5


def test_silent_connections_are_closed(hurried: Running) -> None:
    for data in (b"", b"\r\n", b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", hurried.port), timeout=8) as connection:
            connection.sendall(data)
            while connection.recv(65_536):
                pass


def test_a_body_in_drops_is_ended(hurried: Running) -> None:
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", hurried.port), timeout=8) as connection:
        connection.sendall(HEAD + b"content-length: 100\r\n\r\n")
        connection.settimeout(0.3)
        received = b""
        while not received and time.monotonic() - start < 8:
            connection.sendall(b" ")
            try:
                received = connection.recv(65_536)
            except TimeoutError:
                continue
    assert received.split()[1] == b"408"
    assert time.monotonic() - start < 5


def test_slow_clients_hold_nobody_up(hurried: Running) -> None:
    slow = [socket.create_connection(("127.0.0.1", hurried.port)) for _ in range(200)]
    for connection in slow:
        connection.sendall(HEAD + b"content-length: 100\r\n\r\n{")
    start = time.monotonic()
    assert hurried.post("/v1/check", {"text": AD}).status_code == 200
    assert time.monotonic() - start < 1
    for connection in slow:
        connection.close()


def test_a_stream_that_stops_is_ended(hurried: Running) -> None:
    with socket.create_connection(("127.0.0.1", hurried.port), timeout=8) as connection:
        connection.sendall(
            b"POST /v1/stream HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
            b'transfer-encoding: chunked\r\n\r\n6\r\n"abc"\n\r\n'
        )
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    assert b'"verdict"' in received
    assert not received.endswith(b"0\r\n\r\n")  # broken off: the reader can tell that it is not all


def test_a_reader_that_stops_reading_is_left(hurried: Running) -> None:
    line = json.dumps(CLEAN * 50, ensure_ascii=False).encode() + b"\n"
    busy = metric(hurried, "loanlint_requests_busy")
    with socket.create_connection(("127.0.0.1", hurried.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(
            b"POST /v1/stream HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n"
            b"content-length: %d\r\n\r\n" % (len(line) * 100_000)
        )
        connection.setblocking(False)
        last = time.monotonic()
        while time.monotonic() - last < 0.5:
            try:
                connection.send(line * 20)
                last = time.monotonic()
            except BlockingIOError:
                time.sleep(0.02)
            except OSError:
                break
        wait(lambda: metric(hurried, "loanlint_requests_busy") == busy, "the stream to be given up", 8)


def test_work_that_takes_too_long_is_ended(hurried: Running) -> None:
    start = time.monotonic()
    answer = hurried.post("/v1/check", {"texts": [AD * 40] * 900})
    assert answer.status_code == 503
    assert shape(answer.content)["code"] == "E_TIME_LIMIT"
    assert answer.headers["retry-after"] == "1"
    assert time.monotonic() - start < 6


def test_large_requests_do_not_hold_up_small_ones(service: Running) -> None:
    done = threading.Event()

    def large() -> None:
        service.client.post("/v1/check", json={"texts": [AD * 3] * 300})
        done.set()

    thread = threading.Thread(target=large)
    thread.start()
    time.sleep(0.2)
    import httpx

    waits = []
    with httpx.Client(base_url=service.local, trust_env=False) as client:
        while not done.is_set():
            start = time.monotonic()
            assert client.post("/v1/check", json={"text": CLEAN}).status_code == 200
            waits.append(time.monotonic() - start)
    thread.join()
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 0.2


def test_a_caller_that_leaves_does_no_harm(service: Running) -> None:
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", service.port))
        body = json.dumps({"texts": [AD] * 50}).encode()
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.close()
    assert service.post("/v1/check", {"text": AD}).status_code == 200


def test_stopping_lets_requests_under_way_finish(tmp_path) -> None:
    with running(tmp_path) as service:
        answers: list[int] = []

        def ask() -> None:
            import httpx

            with httpx.Client(base_url=service.local, timeout=60, trust_env=False) as client:
                answers.append(client.post("/v1/check", json={"texts": [AD * 3] * 60}).status_code)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for t in threads:
            t.start()
        wait(lambda: metric(service, "loanlint_requests_busy") >= 4, "three requests under way, and the one that looks")
        assert answers == []
        service.signal(signal.SIGTERM)
        for t in threads:
            t.join()
        assert answers == [200, 200, 200]
        assert service.process.wait(20) == 0


def test_nothing_of_all_this_was_a_fault_of_the_service(service: Running, hurried: Running) -> None:
    """Runs last in this file: no request above was answered with a 500, and nothing was logged as an error."""
    for one in (service, hurried):
        assert [line for line in one.log if line.get("status") == 500] == []
        assert [line for line in one.log if line["level"] == "error" and line.get("event") != "ASGI callable returned without completing response."] == []  # fmt: skip
        assert one.client.get("/readyz").status_code == 200


# ---------------------------------------------------------------- pages


def spoil(service: Running, text: str) -> None:
    """Make what is stored of a text unreadable, so that pages that show it fail."""
    import sqlite3

    from pipeline.service.store import item_id

    connection = sqlite3.connect(service.database, isolation_level=None)
    assert connection.execute("UPDATE items SET verdict = '{' WHERE id = ?", (item_id(text),)).rowcount == 1
    connection.close()


@pytest.mark.parametrize(("language", "said"), [("zh", "服务出错,原因见服务日志"), ("en", "the service failed")])
def test_a_fault_of_a_page_is_a_page(tmp_path, language: str, said: str) -> None:
    from pipeline.service.store import item_id

    with running(tmp_path) as service:
        service.post("/v1/check", {"text": AD})
        spoil(service, AD)
        for path in ("/review", f"/review/items/{item_id(AD)}"):
            answer = service.client.get(f"{path}?lang={language}")
            assert answer.status_code == 500
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert said in answer.text
            id = answer.headers["x-request-id"]
            assert f"<code>{id}</code>" in answer.text
            assert "E_INTERNAL" in answer.text
            assert AD not in answer.text
            (line,) = wait(lambda: [x for x in service.log if x.get("request_id") == id], "the line in the log")  # noqa: B023
            assert (line["level"], line["status"], line["code"]) == ("error", 500, "E_INTERNAL")
            assert line["error"] == "DecodeError"
        # Nothing but these pages is affected.
        assert service.client.get("/").status_code == 200
        assert service.post("/v1/check", {"text": CLEAN}).status_code == 200
        assert AD not in service.raw_log


def test_people_get_pages_and_programs_get_json(hurried: Running) -> None:
    browser = {"accept": "text/html,application/xhtml+xml;q=0.9"}
    nowhere = hurried.client.get("/nowhere", headers=browser)
    assert (nowhere.status_code, nowhere.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "E_NOT_FOUND" in nowhere.text
    assert hurried.client.get("/nowhere").json()["error"]["code"] == "E_NOT_FOUND"
    wrong = hurried.client.get("/v1/check", headers=browser)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "E_METHOD")
    # Too large a form, and one that does not arrive: pages, too.
    large = hurried.client.post("/", content=b"text=" + b"a" * 9_000_000, headers={"content-type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert (large.status_code, large.headers["content-type"]) == (413, "text/html; charset=utf-8")
    head = b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 10\r\n\r\na"
    status, body, seconds = talk(hurried.port, head)
    assert (status, b"E_BODY_TIME" in body, b"<!doctype html>" in body) == (408, True, True)
    assert seconds < 6
