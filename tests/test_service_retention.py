"""Old texts are removed on both databases; what reports need stays, and what comes back is known again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from serving import AD, CLEAN, ILLEGAL

from pipeline import Classifier
from pipeline.resources import default_model_path
from pipeline.service.outbox import Webhook
from pipeline.service.registry import Comparison
from pipeline.service.retention import count_old, purge
from pipeline.service.review.decisions import Decision, Label, model_label
from pipeline.service.review.export import export_rows
from pipeline.service.review.golden import add_golden
from pipeline.service.review.profile import read_profile
from pipeline.service.review.queue import ReviewQueue
from pipeline.service.review.report import review_report
from pipeline.service.settings import ReviewSettings
from pipeline.service.store import Entry, ItemFilter, Page, Store, item_id
from pipeline.training.corpus import Row

DAY = 86_400.0
NOW = 1_700_000_000.0
OLD = NOW - 100 * DAY
NOTE = "用户说这是玩笑"
PLACE = Page("https://secret.example.com/p?u=1", "标题甲", "title", "/html/p")
HOOK = Webhook("hook", "https://example.com", "whsec_eA==", 2, OLD)


@pytest.fixture
def store(database: str):
    found = Store(database)
    yield found
    found.close()


def entry(classifier: Classifier, text: str, at: float) -> Entry:
    return Entry(classifier.check(text), "flagged", at, PLACE, "post-secret", "forum", "k1", "r1")


def queue(store: Store) -> ReviewQueue:
    return ReviewQueue(store, ReviewSettings(second_share=0.0))


def filled(store: Store, classifier: Classifier) -> None:
    """One old text that was decided long ago, one old and open, one old but decided on lately, one new; a golden one."""
    store.outbox.add(HOOK)
    texts = [AD, AD + "甲", AD + "乙"]
    store.ingest([*(entry(classifier, text, OLD) for text in texts), entry(classifier, ILLEGAL, NOW)])
    for text, at in ((AD, OLD), (AD + "乙", NOW - DAY)):
        item = store.item(item_id(text))
        assert item is not None
        overturned = Decision("overturn", Label(0, "warning", ()), "warning", NOTE)
        queue(store).decide(item, overturned, (), "a", 0, at)
    new = store.item(item_id(ILLEGAL))
    assert new is not None
    queue(store).decide(new, Decision("accept", model_label(new), None, ""), (), "a", 0, NOW)
    add_golden(store, [Row("g", "看到不看征信秒放款的小广告请举报", 0, "warning", (), "news", "g")], classifier)
    store.registry.compare("m1", "m2", [Comparison("x", AD, 2, 0, 0.9, 0.1)], OLD)


def everything(store: Store) -> str:
    tables = (
        "items",
        "sightings",
        "submissions",
        "notes",
        "events",
        "outbox",
        "deliveries",
        "shadow_examples",
        "leases",
    )
    with store.database.transaction(write=False) as tx:
        return "\n".join(str(row) for table in tables for row in tx.rows(f"SELECT * FROM {table}"))


def test_old_texts_go_and_the_report_stays(store: Store, classifier: Classifier) -> None:
    filled(store, classifier)
    profile = read_profile(default_model_path())
    before = review_report(store, profile)
    assert count_old(store, NOW - 30 * DAY, NOW).texts == {"decided": 1, "open": 1}
    found = purge(store, NOW - 30 * DAY, NOW)
    # The messages of the outbox wait for their receiver, whatever their age.
    assert (found.texts, found.examples, found.messages) == ({"decided": 1, "open": 1}, 1, 0)
    assert count_old(store, NOW - 30 * DAY, NOW).texts == {}
    after = review_report(store, profile)
    assert after["purged"] == 2
    for name in ("decisions", "items", "states", "flagged_precision", "codes", "false_positive_reasons", "reviewers"):
        assert after[name] == before[name], name
    assert before["items"] == 3
    texts = {item.text for item in store.items(ItemFilter(state=None))}
    assert texts == {AD + "乙", ILLEGAL, "看到不看征信秒放款的小广告请举报"}
    assert store.item(item_id(AD)) is None
    assert {row["text"] for row in export_rows(store)} == {AD + "乙", ILLEGAL}
    assert queue(store).take_next(ItemFilter(), "b", NOW) is None, "what has no text is not handed out"


def test_nothing_of_it_is_left(store: Store, classifier: Classifier) -> None:
    filled(store, classifier)
    with store.database.transaction() as tx:
        tx.run("UPDATE outbox SET state = 'delivered'")
    assert NOTE in everything(store)
    found = purge(store, NOW + 1, NOW + 1)
    assert found.texts == {"decided": 3, "open": 1}
    assert found.messages == 3 + 1
    left = everything(store)
    for word in (AD, ILLEGAL, "口子", NOTE, "secret", "标题甲", "post-", "forum"):
        assert word not in left, word
    assert len(store.events()) == 4, "events are as they were"
    path = getattr(store.database, "path", "")
    if not path.startswith("postgresql"):
        files = [Path(path), Path(path + "-wal")]
        raw = b"".join(file.read_bytes() for file in files if file.exists())
        assert AD.encode() not in raw
        assert NOTE.encode() not in raw
        assert b"post-secret" not in raw


def test_a_text_that_comes_back_is_known(store: Store, classifier: Classifier) -> None:
    filled(store, classifier)
    purge(store, NOW - 30 * DAY, NOW)
    store.ingest([entry(classifier, AD, NOW)])
    again = store.item(item_id(AD))
    assert again is not None
    assert (again.text, again.state, again.seen, again.first_seen) == (AD, "decided", 2, OLD)
    assert again.verdict["text"] == AD
    assert len(store.sightings(again.id)) == 1
    assert review_report(store, read_profile(default_model_path()))["purged"] == 1
    assert AD in {row["text"] for row in export_rows(store)}


def test_what_a_reviewer_is_at_is_spared(store: Store, classifier: Classifier) -> None:
    store.ingest([entry(classifier, AD, OLD)])
    item = queue(store).take_next(ItemFilter(), "a", NOW)
    assert item is not None
    assert purge(store, NOW, NOW).texts == {}
    assert purge(store, NOW, NOW + DAY).texts == {"open": 1}


def test_many_are_removed_in_steps(store: Store, classifier: Classifier) -> None:
    verdict = classifier.check(CLEAN)
    from dataclasses import replace

    store.ingest([Entry(replace(verdict, text=f"{CLEAN}{i}"), "sample", OLD) for i in range(1_203)])
    assert purge(store, NOW, NOW).texts == {"open": 1_203}


def test_the_command(run, database: str, classifier: Classifier) -> None:
    store = Store(database)
    store.ingest([entry(classifier, AD, time.time() - 40 * DAY), entry(classifier, ILLEGAL, time.time() - 20 * DAY)])
    dry = run("review", "purge", "--older-than", "30", "--dry-run", "--db", database)
    assert (dry.status, "would remove: 文本 texts 1 (open 1)" in dry.out) == (0, True)
    assert store.count(ItemFilter()) == 2
    done = run("review", "purge", "--older-than", "30", "--db", database)
    assert (done.status, "removed: 文本 texts 1 (open 1)" in done.out) == (0, True), done.err
    assert [item.text for item in store.items(ItemFilter())] == [ILLEGAL]
    assert "text removed 1" in run("review", "report", "--db", database).out
    assert run("review", "purge", "--db", database).status == 2
    assert run("review", "purge", "--older-than", "-1", "--db", database).status == 2
    store.close()


def test_a_purge_beside_a_running_service(database: str, classifier: Classifier) -> None:
    """Texts come in, old ones among them, while others are removed: nothing fails, and what came last is there."""
    import threading

    store, other = Store(database), Store(database)
    texts = [f"{AD}{i}" for i in range(40)]
    store.ingest([entry(classifier, text, OLD) for text in texts])
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for round in range(10):
                other.ingest([entry(classifier, text, NOW + round) for text in texts[::2]])
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    found = [purge(store, NOW - DAY, NOW) for _ in range(5)]
    thread.join()
    purge(store, NOW - DAY, NOW)
    assert problems == []
    assert sum(p.texts.get("open", 0) for p in found) >= 20
    assert {item.text for item in store.items(ItemFilter())} == set(texts[::2])
    assert all(item.verdict["text"] == item.text for item in store.items(ItemFilter()))
    other.close()
    store.close()
