"""Who may use the service: keys, scopes, rates, open addresses."""

from __future__ import annotations

import re
import sqlite3
import subprocess

import pytest
from serving import AD, ROOT, command, loanlint, running, wait

from pipeline.service.auth import KeyRing, new_key
from pipeline.service.board import Board

SCORING = ("/v1/moderations", "/v1/check", "/v1/scan", "/v1/stream")


def make(database: str, *args: str) -> str:
    done = loanlint("keys", "add", *args, "--db", database)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_key_is_needed_as_soon_as_there_is_one_and_after_it_is_revoked(tmp_path) -> None:
    with running(tmp_path) as service:
        assert service.post("/v1/check", {"text": AD}).status_code == 200
        key = make(service.database, "shop")
        refused = wait(
            lambda: (r := service.post("/v1/check", {"text": AD})).status_code == 401 and r, "the key to be asked for"
        )
        assert refused.json()["error"]["code"] == "E_KEY_MISSING"
        assert refused.headers["www-authenticate"] == "Bearer"
        assert service.post("/v1/check", {"text": AD}, **bearer(key)).status_code == 200
        listed = loanlint("keys", "list", "--db", service.database).stdout.decode()
        assert "shop" in listed
        assert key not in listed
        id = key.split("_")[1]
        assert loanlint("keys", "revoke", id, "--db", service.database).returncode == 0
        wait(lambda: service.post("/v1/check", {"text": AD}, **bearer(key)).status_code == 401, "the key to be refused")
        # The last key is gone: the service must not be open again.
        assert service.post("/v1/check", {"text": AD}).status_code == 401
        assert loanlint("keys", "revoke", id, "--db", service.database).returncode == 2


def test_a_new_key_works_at_once(tmp_path) -> None:
    database = str(tmp_path / "service.db")
    make(database, "first")
    with running(tmp_path, database=database) as service:
        import time

        time.sleep(0.6)
        key = make(database, "second")
        assert service.post("/v1/check", {"text": AD}, **bearer(key)).status_code == 200


def test_scopes(tmp_path) -> None:
    database = str(tmp_path / "service.db")
    keys = {scope: make(database, scope, "--scope", scope) for scope in ("score", "review", "admin")}
    with running(tmp_path, database=database) as service:
        for path in SCORING:
            assert service.client.post(path).status_code == 401
            for scope in keys:
                answer = service.client.post(path, headers=bearer(keys[scope]))
                assert answer.status_code == 415  # past the key, stopped at the missing body
        for path in ("/metrics", "/v1/shadow"):
            statuses = [
                service.client.get(path, headers=bearer(keys[s])).status_code for s in ("score", "review", "admin")
            ]
            assert statuses == [403, 403, 200]
        for path in ("/healthz", "/readyz", "/v1/taxonomy", "/openapi.json"):
            assert service.client.get(path).status_code == 200
        scheme = service.post("/v1/check", {"text": AD}, authorization=f"Basic {keys['score']}")
        assert scheme.status_code == 401


@pytest.mark.parametrize(
    "token", ["x", "ll_000000000000_" + "A" * 43, "ll_" + "\u00e9" * 10, "ll_000000000000_" + "A" * 5000]
)
def test_what_is_no_key_is_refused(tmp_path_factory, token: str, guarded) -> None:
    answer = guarded.client.post(
        "/v1/check", json={"text": AD}, headers=[(b"authorization", b"Bearer " + token.encode())]
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert token not in answer.text


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    make(str(folder / "service.db"), "x")
    with running(folder, database=str(folder / "service.db")) as found:
        yield found


def test_a_key_is_not_in_the_database(tmp_path) -> None:
    database = str(tmp_path / "service.db")
    key = make(database, "shop")
    secret = key.split("_", 2)[2]
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert secret.encode() not in (tmp_path / "service.db").read_bytes()


def test_the_comparison_does_not_stop_at_the_first_difference(monkeypatch) -> None:
    """Known and unknown keys take the same steps: a digest and one constant-time comparison of digests."""
    key, row = new_key("a", "score")
    seen: list[tuple[str, str]] = []

    def compare(a: str, b: str) -> bool:
        seen.append((a, b))
        return a == b

    monkeypatch.setattr("pipeline.service.auth.hmac.compare_digest", compare)
    ring = KeyRing([row])
    assert ring.principal(key) is not None
    assert ring.principal("ll_ffffffffffff_" + "A" * 43) is None
    assert ring.principal("x") is None
    assert [(len(a), len(b)) for a, b in seen] == [(64, 64)] * 3


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_addresses_need_keys_or_open(tmp_path, host: str) -> None:
    database = str(tmp_path / "service.db")
    done = subprocess.run(
        command("serve", "--host", host, "--port", "0", "--db", database),
        capture_output=True,
        cwd=ROOT,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert b"[E_USAGE_OPEN]" in done.stderr
    assert b"loanlint keys add" in done.stderr
    assert b"Traceback" not in done.stderr


def test_open_and_keys_let_it_start_elsewhere(tmp_path) -> None:
    with running(tmp_path, "--host", "0.0.0.0", "--open") as service:
        assert service.post("/v1/check", {"text": AD}).status_code == 200
        assert service.post("/v1/check", {"text": AD}, host="shop.example.com").status_code == 200
    make(service.database, "x")
    with running(tmp_path, "--host", "0.0.0.0") as service:
        assert service.post("/v1/check", {"text": AD}).status_code == 401


def test_an_open_service_answers_under_names_of_this_machine_only(service) -> None:
    for host, status in (
        ("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:1", 200), ("LOCALHOST", 200), ("evil.example.com", 421),
        ("localhost.evil.example.com", 421), ("[::2]", 421),
    ):  # fmt: skip
        assert service.post("/v1/check", {"text": AD}, host=host).status_code == status


def test_a_web_page_of_another_origin_cannot_post(service) -> None:
    """What a browser sends without asking first are these three types."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = service.client.post("/v1/check", content=b'{"text": "x"}', headers={"content-type": kind})
        assert answer.status_code == 415
        assert "access-control-allow-origin" not in answer.headers


def test_rate_of_a_key_over_all_workers(tmp_path) -> None:
    database = str(tmp_path / "service.db")
    slow, fast = make(database, "slow", "--rate", "5"), make(database, "fast")
    with running(tmp_path, "--workers", "2", database=database) as service:
        import httpx

        statuses = []
        for _ in range(40):
            with httpx.Client(base_url=service.local, trust_env=False) as client:
                statuses.append(client.post("/v1/check", json={"text": "x"}, headers=bearer(slow)).status_code)
        assert statuses.count(200) < 20
        assert statuses.count(429) == 40 - statuses.count(200)
        limited = service.post("/v1/check", {"text": "x"}, **bearer(slow))
        assert limited.json()["error"]["code"] == "E_RATE_LIMIT"
        assert re.fullmatch(r"\d+", limited.headers["retry-after"])
        assert {service.post("/v1/check", {"text": "x"}, **bearer(fast)).status_code for _ in range(40)} == {200}


def test_bucket_fills_at_its_rate_and_holds_one_second() -> None:
    board = Board(["a"], 2)
    assert [board.take("k", 2, 100.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert board.take("k", 2, 100.5) == 0.0
    assert board.take("other", 2, 100.5) == 0.0
    assert [board.take("k", 2, 1000.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    # A slow rate still lets one request through.
    assert [board.take("slow", 0.1, 5.0), board.take("slow", 0.1, 6.0)] == [0.0, pytest.approx(9.0)]


@pytest.mark.parametrize(
    "args", [("add", ""), ("add", "x" * 101), ("add", "a\nb"), ("add", "x", "--rate", "0"), ("revoke", "zz")]
)
def test_wrong_use_is_one_line_and_status_2(tmp_path, args) -> None:
    done = loanlint("keys", *args, "--db", str(tmp_path / "x.db"))
    assert done.returncode == 2
    assert done.stderr.startswith(b"loanlint: ")
    assert done.stderr.count(b"\n") == 1
