"""Appeals that a platform files over the API, and who decides on them and on what was escalated."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import AD, CLEAN, ILLEGAL, Running, loanlint, running

from pipeline import Classifier
from pipeline.resources import default_model_path
from pipeline.service.appeals import Appeals
from pipeline.service.auth import ANYONE, Principal
from pipeline.service.problems import ApiError
from pipeline.service.review.decisions import Decision, Label, model_label
from pipeline.service.review.profile import read_profile
from pipeline.service.review.queue import ReviewQueue
from pipeline.service.review.report import review_report
from pipeline.service.settings import ReviewSettings
from pipeline.service.store import Entry, Item, ItemFilter, Store, item_id

NOW = 1_700_000_000.0
ALL = ItemFilter()
OVERTURN = Decision("overturn", Label(0, "warning", ()), "warning", "")
SHOP = Principal("k1", "shop", "score", None)
OTHER = Principal("k2", "other", "score", None)
REVIEWER = Principal("k3", "li", "review", None)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    found = Store(database)
    yield found
    found.close()


def sent(store: Store, classifier: Classifier, text: str, data_id: str | None, key: str | None = "k1") -> Item:
    store.ingest([Entry(classifier.check(text), "flagged", NOW, data_id=data_id, key_id=key)])
    found = store.item(item_id(text))
    assert found is not None
    return found


def queue(store: Store, **settings: float) -> ReviewQueue:
    return ReviewQueue(store, ReviewSettings(**{"second_share": 0.0, **settings}))  # type: ignore[arg-type]


def decide(store: Store, item: Item, decision: Decision | None, actor: str, **how: bool) -> int:
    current = store.item(item.id)
    assert current is not None
    events = store.events(item.id)
    chosen = decision or Decision("accept", model_label(current), None, "")
    return queue(store).decide(current, chosen, (), actor, events[-1].seq if events else 0, NOW, **how)[0]


def state(store: Store, item: Item) -> str:
    found = store.item(item.id)
    assert found is not None
    return found.state


# ---------------------------------------------------------------- filing


def test_an_appeal_comes_back_to_the_queue_with_its_history(store: Store, classifier: Classifier) -> None:
    item = sent(store, classifier, AD, "post-17")
    decide(store, item, None, "a")
    (filed,) = Appeals(store).file(SHOP, "post-17", None, "是引用", NOW)
    assert (filed.item, filed.state, filed.outcome) == (item.id, "waiting", None)
    assert state(store, item) == "appeal"
    assert queue(store).take_next(ALL, "a", NOW) is None, "not for who decided"
    taken = queue(store).take_next(ALL, "b", NOW)
    assert taken is not None
    assert taken.id == item.id
    assert [(e.kind, e.actor, e.note) for e in store.events(item.id)] == [
        ("decide", "a", ""),
        ("appeal", "k1", "是引用"),
    ]
    decide(store, item, OVERTURN, "b")
    (again,) = Appeals(store).file(SHOP, "post-17", None, "是引用", NOW)
    assert (again.appeal, again.state, again.outcome, again.severity) == (filed.appeal, "decided", "changed", 0)
    report = review_report(store, read_profile(default_model_path()))
    assert report["appeals"] == {"total": 1, "upheld": 0, "changed": 1}


def test_a_verdict_nobody_has_looked_at_can_be_appealed(store: Store, classifier: Classifier) -> None:
    sent(store, classifier, ILLEGAL, "worse")
    item = sent(store, classifier, AD, "post-17")
    Appeals(store).file(SHOP, None, item.id, "", NOW)
    taken = queue(store).take_next(ALL, "a", NOW)
    assert taken is not None
    assert taken.id == item.id, "appeals first"
    decide(store, item, None, "a")
    (again,) = Appeals(store).file(SHOP, None, item.id, "", NOW)
    assert (again.state, again.outcome, again.severity) == ("decided", "upheld", item.severity)
    assert review_report(store, read_profile(default_model_path()))["appeals"] == {
        "total": 1,
        "upheld": 1,
        "changed": 0,
    }


def test_filing_twice_is_filing_once(store: Store, classifier: Classifier) -> None:
    item = sent(store, classifier, AD, "post-17")
    first = Appeals(store).file(SHOP, "post-17", None, "一", NOW)
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(Appeals(store).file(SHOP, "post-17", None, "二", NOW)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [first] * 6
    assert len(store.events(item.id)) == 1
    # Another post with the same text is another appeal.
    sent(store, classifier, AD, "post-18")
    (second,) = Appeals(store).file(SHOP, "post-18", None, "", NOW)
    assert second.appeal != first[0].appeal
    # No id of a caller in what can never be removed.
    assert not any("post-1" in str(event.body) for event in store.events(item.id))


def test_all_texts_of_a_page_are_appealed_at_once(store: Store, classifier: Classifier) -> None:
    items = [sent(store, classifier, text, "page-1") for text in (AD, ILLEGAL)]
    found = Appeals(store).file(SHOP, "page-1", None, "", NOW)
    assert {appeal.item for appeal in found} == {item.id for item in items}


def test_only_ones_own_texts_can_be_appealed(store: Store, classifier: Classifier) -> None:
    from pipeline.service.auth import new_key

    old, new = new_key("shop", "score")[1], new_key("shop", "score")[1]
    store.add_key(old)
    store.add_key(new)
    item = sent(store, classifier, AD, "post-17", old.id)
    sent(store, classifier, ILLEGAL, "post-18", None)
    for who, data_id, id in ((OTHER, "post-17", None), (OTHER, None, item.id), (SHOP, "post-18", None), (ANYONE, "post-17", None)):  # fmt: skip
        with pytest.raises(ApiError) as refused:
            Appeals(store).file(who, data_id, id, "", NOW)
        assert (refused.value.status, refused.value.code) == (404, "E_NOT_FOUND")
    assert store.events() == []
    # The key was replaced; the caller is the same. Who may review can appeal for anybody.
    assert Appeals(store).file(Principal(new.id, "shop", "score", None), "post-17", None, "", NOW)
    assert Appeals(store).file(REVIEWER, None, item.id, "", NOW)
    assert Appeals(store).file(ANYONE, "post-18", None, "", NOW)


def test_an_appeal_does_not_wait_for_a_reviewer_and_is_not_overlooked(store: Store, classifier: Classifier) -> None:
    item = sent(store, classifier, AD, "post-17")
    at = queue(store)
    held = at.take_next(ALL, "a", NOW)
    assert held is not None
    Appeals(store).file(SHOP, "post-17", None, "请看来信", NOW)
    with pytest.raises(ApiError) as refused:
        at.decide(held, OVERTURN, (), "a", 0, NOW)
    assert refused.value.code == "E_REVIEW_CHANGED"
    decide(store, item, OVERTURN, "a")
    assert state(store, item) == "decided"


@pytest.mark.parametrize("waiting", ["conflict", "escalated", "golden"])
def test_what_waits_for_somebody_already_stays_there(store: Store, classifier: Classifier, waiting: str) -> None:
    item = sent(store, classifier, AD, "post-17")
    with store.database.transaction() as tx:
        tx.run("UPDATE items SET state = ? WHERE id = ?", waiting, item.id)
    (filed,) = Appeals(store).file(SHOP, "post-17", None, "", NOW)
    assert filed.state == "waiting"
    assert state(store, item) == waiting


# ---------------------------------------------------------------- escalation


def test_what_was_escalated_is_for_another_lead(store: Store, classifier: Classifier) -> None:
    item = sent(store, classifier, AD, None)
    at = queue(store)
    at.escalate(item, "拿不准", "a", 0, NOW)
    for actor, lead in (("b", False), ("a", True), ("a", False)):
        assert at.take_next(ALL, actor, NOW, lead=lead) is None
        with pytest.raises(ApiError) as refused:
            decide(store, item, OVERTURN, actor, lead=lead)
        assert (refused.value.status, refused.value.code) == (403, "E_REVIEW_ESCALATED")
    assert store.leases(NOW) == {}
    current = store.item(item.id)
    assert current is not None
    with pytest.raises(ApiError):
        at.escalate(current, "", "b", store.events(item.id)[-1].seq, NOW)
    taken = at.take_next(ALL, "chief", NOW, lead=True)
    assert taken is not None
    decide(store, item, OVERTURN, "chief", lead=True)
    assert state(store, item) == "decided"
    assert [e.kind for e in store.events(item.id)] == ["escalate", "decide"]


def test_an_escalation_can_be_taken_back(store: Store, classifier: Classifier) -> None:
    item = sent(store, classifier, AD, None)
    seq = queue(store).escalate(item, "", "a", 0, NOW)
    queue(store).undo(seq, "a", NOW)
    decide(store, item, None, "a")
    assert state(store, item) == "decided"


# ---------------------------------------------------------------- over HTTP


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("appeals")
    database = str(folder / "service.db")
    keys = {}
    for name, scope in (
        ("shop", "score"),
        ("other", "score"),
        ("li", "review"),
        ("wang", "review"),
        ("chief", "admin"),
    ):
        made = loanlint("keys", "add", name, "--scope", scope, "--db", database)
        keys[name] = made.stdout.decode().strip()
    with running(folder, "--second-review", "0", "--sample", "0", database=database) as found:
        yield found, keys


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@contextlib.contextmanager
def signed_in(service: Running, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.local, trust_env=False, timeout=30) as client:
        assert client.post("/login", data={"key": key}).status_code == 303
        yield client


def act(client: httpx.Client, id: str, action: str) -> httpx.Response:
    page = client.get(f"/review/items/{id}")
    token = re.search(r'name="csrf" value="(\w+)"', page.text)
    version = re.search(r'name="version" value="(\d+)"', page.text)
    data = {
        "csrf": token[1] if token else "",
        "version": version[1] if version else "0",
        "action": action,
        "note": "甲\u202e",
    }
    return client.post(f"/review/items/{id}", data=data)


def test_a_platform_appeals_and_learns_the_outcome(keyed: tuple[Running, dict[str, str]]) -> None:
    service, keys = keyed
    shop = bearer(keys["shop"])
    checked = service.post("/v1/check", {"texts": [{"text": AD, "dataId": "post-1"}, CLEAN]}, **shop).json()["results"]
    item = checked[0]["moderation"]["item"]
    assert item == item_id(AD)
    assert checked[1]["moderation"]["item"] is None
    assert service.post("/v1/moderations", {"input": AD}, **shop).json()["results"][0]["loanlint"]["item"] == item
    body = {"dataId": "post-1", "note": "我们没有放贷<b>"}
    assert service.post("/v1/appeals", body).status_code == 401
    assert service.post("/v1/appeals", body, **bearer(keys["other"])).status_code == 404
    filed = service.post("/v1/appeals", body, **shop)
    assert filed.status_code == 200
    (appeal,) = filed.json()["appeals"]
    assert appeal == {"item": item, "appeal": appeal["appeal"], "state": "waiting", "outcome": None, "severity": None}
    assert service.post("/v1/appeals", body, **shop).json()["appeals"] == [appeal]
    with signed_in(service, keys["li"]) as li:
        page = li.get(f"/review/items/{item}").text
        assert "我们没有放贷&lt;b&gt;" in page
        assert "shop" in page
        assert act(li, item, "overturn:warning").status_code == 303
    done = service.post("/v1/appeals", body, **shop).json()["appeals"]
    assert done == [{**appeal, "state": "decided", "outcome": "changed", "severity": 0}]
    assert "我们没有放贷" not in service.raw_log


def test_an_appeal_that_cannot_be_one(keyed: tuple[Running, dict[str, str]]) -> None:
    service, keys = keyed
    for body, status in (
        ({}, 400), ({"dataId": "x", "item": "y"}, 400), ({"dataId": ""}, 400), ({"dataId": 5}, 400), ({"dataId": "a\0"}, 400),
        ({"dataId": "never"}, 404), ({"item": "0" * 24}, 404), ({"dataId": "x", "note": "长" * 1001}, 400), ({"post": "x"}, 400),
    ):  # fmt: skip
        answer = service.post("/v1/appeals", body, **bearer(keys["shop"]))
        assert answer.status_code == status, body
        assert answer.json()["error"]["message_zh"]
    # Texts that were sent without an id are not those of an empty one.
    service.post("/v1/check", {"text": AD + "无号"}, **bearer(keys["shop"]))
    assert service.post("/v1/appeals", {"dataId": ""}, **bearer(keys["shop"])).status_code == 400


def test_an_appeal_outlives_a_kill(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        service.post("/v1/check", {"text": AD, "dataId": "p"})
        (appeal,) = service.post("/v1/appeals", {"dataId": "p"}).json()["appeals"]
        service.kill()
    with running(tmp_path, database=service.database) as again:
        assert again.post("/v1/appeals", {"dataId": "p"}).json()["appeals"] == [appeal]
        page = again.client.get("/review?state=appeal").text
        assert page.count("data-row") == 1


def test_escalated_items_on_the_pages(keyed: tuple[Running, dict[str, str]]) -> None:
    service, keys = keyed
    text = ILLEGAL + "上报"
    service.post("/v1/check", {"text": text}, **bearer(keys["shop"]))
    id = item_id(text)
    with signed_in(service, keys["li"]) as li, signed_in(service, keys["wang"]) as wang:
        assert act(li, id, "escalate").status_code == 303
        for client in (li, wang):
            page = client.get(f"/review/items/{id}").text
            assert "已上报,须由有 admin 权限" in page
            assert "data-decision" not in page
            refused = act(client, id, "accept")
            assert refused.status_code == 403
            assert "E_REVIEW_ESCALATED" in refused.text
    with signed_in(service, keys["chief"]) as chief:
        token = re.search(r'name="csrf" value="(\w+)"', chief.get("/review").text)
        assert token is not None
        taken = chief.post("/review/next", data={"csrf": token[1]})
        assert id in taken.headers["location"]
        assert act(chief, id, "accept").status_code == 303
        assert "已审结" in chief.get(f"/review/items/{id}").text


def test_a_decision_and_an_appeal_at_once_are_both_kept(store: Store, classifier: Classifier) -> None:
    """Whichever comes first, no appeal is left behind a decision that did not see it."""
    for round in range(10):
        item = sent(store, classifier, f"{AD}{round}", f"post-{round}")
        start = threading.Barrier(2)
        problems: list[str] = []

        def appeal(round: int = round, start: threading.Barrier = start) -> None:
            start.wait()
            Appeals(store).file(SHOP, f"post-{round}", None, "", NOW)

        def review(item: Item = item, start: threading.Barrier = start, problems: list[str] = problems) -> None:
            start.wait()
            try:
                queue(store).decide(item, OVERTURN, (), "a", 0, NOW)
            except ApiError as error:
                problems.append(error.code)

        threads = [threading.Thread(target=appeal), threading.Thread(target=review)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kinds = [event.kind for event in store.events(item.id)]
        if problems:
            assert (kinds, problems) == (["appeal"], ["E_REVIEW_CHANGED"])
        else:
            assert kinds == ["decide", "appeal"], "the appeal is against the decision"
        assert state(store, item) == "appeal"
