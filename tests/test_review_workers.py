"""The review pages with two worker processes, on both databases."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser
from serving import AD, ILLEGAL, Running, loanlint, running
from test_review_pages import DONE, fill, item_of, new_context, opened

from pipeline.service.store import Store

TEXTS = [f"{AD}{one}{two}" for one in "甲乙丙丁戊" for two in "子丑寅卯辰巳"]


@pytest.fixture
def service(database: str, tmp_path) -> Iterator[Running]:
    with running(tmp_path, "--workers", "2", "--second-review", "0", "--sample", "0", database=database) as found:
        yield found


def client(service: Running) -> httpx.Client:
    """A reviewer whose every request is a new connection, which the system gives to either worker."""
    return httpx.Client(base_url=service.local, trust_env=False, timeout=30, headers={"connection": "close"})


def worker(answer: httpx.Response) -> str:
    """Which worker has answered: request ids begin with a name of the process."""
    return answer.headers["x-request-id"].partition("-")[0]


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert found is not None
    return found[1]


def decide(reviewer: httpx.Client, page: httpx.Response, action: str = "accept") -> httpx.Response:
    version = re.search(r'name="version" value="(\d+)"', page.text)
    assert version is not None
    data = {"csrf": token(page), "version": version[1], "action": action}
    return reviewer.post(str(page.url.path), data=data)


def test_no_two_reviewers_get_one_item(service: Running) -> None:
    fill(service, *TEXTS)
    got: dict[int, list[str]] = {}
    workers: set[str] = set()
    failures: list[str] = []

    def review(number: int) -> None:
        mine = got.setdefault(number, [])
        with client(service) as reviewer:
            csrf = token(reviewer.get("/review"))
            while True:
                page = reviewer.post("/review/next", data={"csrf": csrf}, follow_redirects=True)
                workers.add(worker(page))
                if "/items/" not in page.url.path:
                    return
                answer = decide(reviewer, page)
                workers.add(worker(answer))
                if answer.status_code != 303:
                    failures.append(answer.text)
                    return
                mine.append(page.url.path.rpartition("/")[2])

    threads = [threading.Thread(target=review, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    decided = [id for mine in got.values() for id in mine]
    assert sorted(decided) == sorted(item_of(service, text) for text in TEXTS)
    assert sum(bool(mine) for mine in got.values()) > 1
    assert len(workers) == 2, "both workers took part"
    store = Store(service.database)
    events = store.events()
    store.close()
    assert sorted(event.item_id for event in events) == sorted(decided)
    assert len({event.actor for event in events}) == sum(bool(mine) for mine in got.values())


def test_undo_at_the_other_worker(service: Running) -> None:
    fill(service, ILLEGAL)
    path = f"/review/items/{item_of(service, ILLEGAL)}"
    crossed = 0
    with client(service) as reviewer:
        for _ in range(40):
            page = reviewer.get(path)
            done = decide(reviewer, page, "overturn:news")
            assert done.status_code == 303
            seq = re.search(r"done=(\d+)", done.headers["location"])
            assert seq is not None
            undone = reviewer.post("/review/undo", data={"csrf": token(page), "seq": seq[1]})
            assert (undone.status_code, "undone=1" in undone.headers["location"]) == (303, True)
            assert reviewer.post("/review/undo", data={"csrf": token(page), "seq": seq[1]}).status_code == 409
            crossed += worker(done) != worker(undone)
            if crossed > 2:
                break
        assert crossed > 2
        assert decide(reviewer, reviewer.get(path)).status_code == 303


def test_sessions_and_leases_hold_at_both_workers(database: str, tmp_path) -> None:
    key = loanlint("keys", "add", "李审", "--scope", "review", "--db", database).stdout.decode().strip()
    with running(tmp_path, "--workers", "2", "--second-review", "0", database=database) as service:
        service.post("/v1/check", {"text": AD}, authorization=f"Bearer {key}")
        path = f"/review/items/{item_of(service, AD)}"
        with client(service) as one, client(service) as two:
            for reviewer in (one, two):
                assert reviewer.post("/login", data={"key": key}).status_code == 303
            answers = [one.get("/review") for _ in range(20)]
            assert {answer.status_code for answer in answers} == {200}
            assert len({worker(answer) for answer in answers}) == 2
            # Two browsers of one key are one reviewer; a stranger is none.
            assert "data-decision" in one.get(path).text
            assert "data-decision" in two.get(path).text
        with client(service) as stranger:
            assert stranger.get(path).headers["location"] == "/login"


def test_two_browsers(service: Running, browser: Browser) -> None:
    fill(service, AD, ILLEGAL)
    one, two = new_context(browser), new_context(browser, 400)
    first, second = one.new_page(), two.new_page()
    for page in (first, second):
        page.goto(f"{service.local}/review")
    for page in (first, second):
        page.keyboard.press("n")
    for page in (first, second):
        page.wait_for_url("**/review/items/**")
    texts = {page.locator("p.raw").inner_text() for page in (first, second)}
    assert texts == {AD, ILLEGAL}
    for page in (first, second):
        page.keyboard.press("a")
        page.wait_for_url("**empty=1**")
        assert DONE.search(page.url)
    second.keyboard.press("u")
    second.wait_for_url("**undone=1")
    assert second.locator("[data-decision]").count() == 1
    assert first.goto(f"{service.local}/review").status == 200
    assert first.locator("a[data-row]").count() == 1
    opened(first, service, second.locator("p.raw").inner_text())
    assert first.locator("[data-held]").is_visible(), "what was undone is the other's"
    assert one.complaints == two.complaints == []  # type: ignore[attr-defined]
    one.close()
    two.close()
