"""The store, on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import json
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from serving import AD, CLEAN, ILLEGAL

from pipeline.service.auth import KeyRing, new_key
from pipeline.service.database import StoreError, open_database
from pipeline.service.outbox import Delivery, Webhook, new_secret
from pipeline.service.registry import ACTIVE, SHADOW, Activation, Comparison
from pipeline.service.store import Entry, Event, ItemFilter, Page, Store, item_id


@pytest.fixture
def store(database):
    found = Store(database)
    yield found
    found.close()


def entry(classifier, text: str, at: float = 1000.0, **named) -> Entry:
    return Entry(classifier.check(text), named.pop("reason", "flagged"), at, **named)


def test_items_are_kept_with_verdict_place_and_count(store, classifier) -> None:
    page = Page("https://loans.example.com/a", "新闻", "list_item", "body>li")
    store.ingest([entry(classifier, AD, 1000, page=page, data_id="d1"), entry(classifier, ILLEGAL, 1001)])
    store.ingest([entry(classifier, AD, 1002, page=page, data_id="d2"), entry(classifier, AD, 1003)])
    item = store.item(item_id(AD))
    assert item is not None
    assert (item.text, item.seen, item.first_seen, item.last_seen, item.state) == (AD, 3, 1000, 1003, "open")
    assert item.verdict == classifier.check(AD).to_dict() | {
        name: list(item.verdict[name]) for name in ("codes", "signals", "evidence", "evasions", "legal_refs")
    }
    places = {row["url"]: (row["domain"], row["count"], row["data_id"]) for row in store.sightings(item.id)}
    assert places == {"https://loans.example.com/a": ("loans.example.com", 2, "d2"), None: ("", 1, None)}
    assert store.item("0" * 24) is None


def test_filters(store, classifier) -> None:
    store.ingest(
        [
            entry(classifier, AD, 1000, page=Page("https://a.example.com/1")),
            entry(classifier, ILLEGAL, 2000, page=Page("https://b.example.com/1")),
            entry(classifier, CLEAN, 3000, reason="sample"),
        ]
    )

    def texts(**named) -> list[str]:
        found = store.items(ItemFilter(**named))
        assert store.count(ItemFilter(**named)) == len(found)
        return [item.text for item in found]

    assert texts() == [CLEAN, ILLEGAL, AD]
    assert texts(worst_first=True)[-1] == CLEAN
    assert texts(domain="a.example.com") == [AD]
    assert texts(reason="sample") == [CLEAN]
    assert texts(min_severity=1) == [ILLEGAL, AD]
    assert texts(since=1500, until=2500) == [ILLEGAL]
    code = classifier.check(AD).codes[0].code
    assert AD in texts(code=code)
    assert texts(code=code[:-1]) == []
    assert texts(state="decided") == []


def test_events_are_numbered_and_cannot_be_changed(store, classifier) -> None:
    store.ingest([entry(classifier, AD), entry(classifier, ILLEGAL)])
    a, b = item_id(AD), item_id(ILLEGAL)
    first = store.record(
        [Event(a, "mei", "accept", {"x": 1}, 1.0, note="明显"), Event(b, "mei", "accept", {}, 1.0)], "decided"
    )
    second = store.record([Event(a, "mei", "undo", {"of": first[0]}, 2.0)], "open")
    assert first[0] < first[1] < second[0]
    assert [(e.seq, e.kind, e.body, e.note) for e in store.events(a)] == [
        (first[0], "accept", {"x": 1}, "明显"),
        (second[0], "undo", {"of": first[0]}, ""),
    ]
    assert [e.seq for e in store.events(after=first[0])] == [first[1], second[0]]
    assert (store.item(a).state, store.item(b).state) == ("open", "decided")
    for statement in ("UPDATE events SET actor = 'x'", "DELETE FROM events"):
        with pytest.raises(StoreError, match="append-only"), store.database.transaction() as tx:
            tx.run(statement)
    assert [e.actor for e in store.events()] == ["mei"] * 3


def test_a_decision_on_several_items_is_all_or_none(store, classifier) -> None:
    store.ingest([entry(classifier, AD)])
    with pytest.raises(StoreError):
        store.record(
            [Event(item_id(AD), "mei", "accept", {}, 1.0), Event("nothing", "mei", "accept", {}, 1.0)], "decided"
        )
    assert store.events() == []
    assert store.item(item_id(AD)).state == "open"


def test_two_reviewers_never_hold_one_item(store, classifier) -> None:
    texts = [f"{AD}{i}" for i in range(20)]
    store.ingest([replace(entry(classifier, AD), verdict=replace(classifier.check(AD), text=t)) for t in texts])
    ids = [item_id(t) for t in texts]
    held: dict[str, list[str]] = {}

    def take(name: str) -> None:
        held[name] = store.lease(ids, name, 60)

    threads = [threading.Thread(target=take, args=(f"r{i}",)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    everything = [id for some in held.values() for id in some]
    assert sorted(everything) == sorted(ids)
    holder = next(name for name, some in held.items() if some)
    assert store.lease(held[holder][:1], holder, 60) == held[holder][:1]  # prolonged
    assert store.lease(held[holder][:1], "other", 60) == []
    assert store.lease(held[holder][:1], "other", 60, now=time.time() + 61) == held[holder][:1]  # ran out
    store.release(held[holder][:1], "other")
    assert held[holder][0] not in store.leases(time.time())


def test_keys_are_kept_as_digests(store) -> None:
    key, row = new_key("shop", "score", 5.0)
    store.add_key(row)
    secret = key.rsplit("_", 1)[1]
    assert all(secret not in str(kept) for kept in store.all_keys())
    ring = KeyRing(store.all_keys())
    assert ring.principal(key).name == "shop"
    assert ring.principal(key[:-1] + ("A" if key[-1] != "A" else "B")) is None
    assert ring.principal("nonsense") is None
    assert store.revoke_key(row.id, 5.0)
    assert not store.revoke_key(row.id, 6.0)
    ring = KeyRing(store.all_keys())
    assert ring.principal(key) is None
    assert ring.ever_used


def test_outbox_gives_a_message_to_one_sender_and_again_until_confirmed(store, classifier) -> None:
    hook = Webhook("h1", "http://127.0.0.1/x", new_secret(), 2, 1.0)
    store.outbox.add(hook)
    store.outbox.add(Webhook("h2", "http://127.0.0.1/y", new_secret(), 3, 1.0))
    store.ingest(
        [
            entry(classifier, CLEAN, 10),
            entry(classifier, AD, 10, data_id="d"),
            entry(classifier, AD, 10, reason="report"),
        ]
    )
    assert not store.outbox.due(9)
    (one, two) = store.outbox.claim(10, 60, 10)
    assert {one.webhook.id, two.webhook.id} == {"h1"}
    assert store.outbox.claim(11, 60, 10) == []
    again = store.outbox.claim(71, 60, 10)
    assert {m.id for m in again} == {one.id, two.id}
    store.outbox.settle(Delivery(one, 72, 0.1, 200, None), None)
    store.outbox.settle(Delivery(two, 72, 0.1, None, "ConnectError"), 80)
    (late,) = store.outbox.claim(80, 60, 10)
    assert (late.id, late.attempts) == (two.id, 1)
    store.outbox.settle(Delivery(late, 81, 0.1, 500, None), None)
    assert store.outbox.counts() == {"delivered": 1, "failed": 1}
    assert [(d["attempt"], d["status"], d["error"]) for d in store.outbox.deliveries()] == [
        (2, 500, None), (1, None, "ConnectError"), (1, 200, None),
    ]  # fmt: skip
    assert store.outbox.remove("h1", 90)
    assert [h.id for h in store.outbox.webhooks()] == ["h2"]


def test_activations_and_comparisons(store) -> None:
    assert store.registry.current(ACTIVE) is None
    store.registry.activate(Activation(ACTIVE, "/a", "1", 1.0))
    store.registry.activate(Activation(SHADOW, "/b", "2", 1.0, 0.5))
    store.registry.activate(Activation(ACTIVE, None, "3", 2.0))
    assert store.registry.current(ACTIVE).version == "3"
    assert store.registry.current(SHADOW).fraction == 0.5
    rows = [Comparison("i1", "甲", 2, 2, 0.9, 0.8), Comparison("i2", "乙", 2, 0, 0.9, 0.1)]
    store.registry.compare("3", "2", rows, 1.0)
    store.registry.compare("3", "2", rows, 2.0)
    counts = {(r["active_severity"], r["candidate_severity"]): r["count"] for r in store.registry.counts("3", "2")}
    assert counts == {(2, 0): 2, (2, 2): 2}
    assert [r["text"] for r in store.registry.examples("3", "2", 10)] == ["乙"]


def test_tables_are_made_once_by_many(database) -> None:
    made: list[Store] = []
    errors: list[Exception] = []

    def make() -> None:
        try:
            made.append(Store(database))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    for found in made:
        found.close()


def test_a_newer_schema_is_refused(database) -> None:
    store = Store(database)
    with store.database.transaction() as tx:
        tx.run("UPDATE schema_version SET version = 99")
    with pytest.raises(StoreError, match="Upgrade loanlint") as caught:
        Store(database)
    assert caught.value.code == "E_STORE_SCHEMA"
    store.close()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "deep" / "x.db"))
    assert stat.S_IMODE((tmp_path / "deep" / "x.db").stat().st_mode) == 0o600
    store.close()


@pytest.mark.parametrize("name", ["mysql://x/y", "/proc/nothing/x.db", "postgresql://nobody@/x?host=/nonexistent"])
def test_databases_that_cannot_be_used_say_so(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(name)
    assert caught.value.code == "E_STORE"
    assert "Traceback" not in str(caught.value)


def test_a_lost_connection_is_replaced(postgres, classifier) -> None:
    store = Store(postgres.new_database())
    store.ingest([entry(classifier, AD)])
    postgres.stop()
    with pytest.raises(StoreError):
        store.ping()
    postgres.start()
    store.ping()
    assert store.count(ItemFilter()) == 1
    store.close()


def test_passwords_are_not_in_messages() -> None:
    database = open_database("postgresql://me:geheim@localhost:1/x")
    with pytest.raises(StoreError) as caught, database.transaction():
        pass
    assert "geheim" not in str(caught.value)


def test_a_database_of_an_older_schema_is_taken_over(database: str, classifier, monkeypatch) -> None:
    """Made by the second schema, whose events held their notes."""
    from pipeline.service import tables

    monkeypatch.setattr(tables, "MIGRATIONS", tables.MIGRATIONS[:2])
    old = open_database(database)
    tables.migrate(old)
    verdict = classifier.check(AD)
    id = item_id(AD)
    with old.transaction() as tx:
        tx.run(
            """INSERT INTO items (id, text, verdict, severity, p, codes, stance, model_version, reason, state, seen, first_seen,
            last_seen) VALUES (?, ?, ?, 2, 0.9, '', 'promo', 'm', 'flagged', 'decided', 1, 1.0, 1.0)""",
            id, AD, json.dumps(verdict.to_dict(), ensure_ascii=False),
        )  # fmt: skip
        tx.run(
            "INSERT INTO events (item_id, at, actor, kind, body) VALUES (?, 1.0, 'a', 'decide', ?)",
            id,
            '{"note": "旧"}',
        )
    old.close()
    monkeypatch.undo()
    store = Store(database)
    item = store.item(id)
    assert item is not None
    assert (item.text, item.state) == (AD, "decided")
    (event,) = store.events(id)
    assert (event.note, event.body) == ("旧", {})
    store.record([Event(id, "b", "accept", {}, 2.0, note="新")], None)
    assert [e.note for e in store.events(id)] == ["旧", "新"]
    store.close()
