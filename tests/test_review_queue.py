"""The review queue behind its pages: who gets what, decisions on record, export and report."""

from __future__ import annotations

import json
import re
import threading

import pytest
from serving import AD, CLEAN, ILLEGAL

from pipeline import Classifier
from pipeline.resources import default_model_path
from pipeline.service.problems import ApiError
from pipeline.service.review.decisions import Decision, Label, decisions, model_label, read_decision
from pipeline.service.review.export import export_rows, mask
from pipeline.service.review.golden import add_golden
from pipeline.service.review.marking import pieces, visible
from pipeline.service.review.profile import read_profile
from pipeline.service.review.queue import ReviewQueue, choose
from pipeline.service.review.report import Share, review_report
from pipeline.service.review.similarity import NEAR, clusters, grams, similarity
from pipeline.service.settings import ReviewSettings
from pipeline.service.store import Entry, Item, ItemFilter, Page, Store, item_id
from pipeline.training.corpus import Row, load_corpus, parse_row, validate

NOW = 1_700_000_000.0
ALL = ItemFilter()


@pytest.fixture
def store(database: str):
    found = Store(database)
    yield found
    found.close()


@pytest.fixture
def local(tmp_path):
    found = Store(str(tmp_path / "store.db"))
    yield found
    found.close()


def put(
    store: Store, classifier: Classifier, *texts: str, reason: str = "flagged", channel: str | None = None
) -> list[Item]:
    entries = [
        Entry(
            classifier.check(text), reason, NOW + i, Page(f"https://a.example.com/{i}", role="title"), channel=channel
        )
        for i, text in enumerate(texts)
    ]
    store.ingest(entries)
    found = [store.item(item_id(text)) for text in texts]
    assert None not in found
    return found  # type: ignore[return-value]


def queue(store: Store, **settings: float) -> ReviewQueue:
    return ReviewQueue(store, ReviewSettings(**{"second_share": 0.0, **settings}))  # type: ignore[arg-type]


def accept(item: Item) -> Decision:
    return Decision("accept", model_label(item), None, "")


def overturn(reason: str = "warning") -> Decision:
    return Decision("overturn", Label(0, "warning", ()), reason, "")


def version(store: Store, item: Item) -> int:
    events = store.events(item.id)
    return events[-1].seq if events else 0


def decide(
    store: Store, at: ReviewQueue, item: Item, decision: Decision, actor: str, also: tuple[str, ...] = ()
) -> int:
    current = store.item(item.id)
    assert current is not None
    return at.decide(current, decision, also, actor, version(store, item), NOW)[0]


# ---------------------------------------------------------------- handing out


def test_two_reviewers_never_get_one_item(store: Store, classifier: Classifier) -> None:
    items = put(store, classifier, *(f"{AD}{word}" for word in "甲乙丙丁戊己庚辛"))
    got: dict[str, list[str]] = {"a": [], "b": [], "c": []}

    def work(actor: str) -> None:
        at = queue(store)
        while (item := at.take_next(ALL, actor, NOW)) is not None:
            got[actor].append(item.id)
            at.decide(item, accept(item), (), actor, 0, NOW)

    threads = [threading.Thread(target=work, args=(actor,)) for actor in got]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    everything = [id for ids in got.values() for id in ids]
    assert sorted(everything) == sorted(item.id for item in items)
    assert len(store.events()) == len(items)


def test_an_item_that_another_holds_cannot_be_decided(local: Store, classifier: Classifier) -> None:
    (item,) = put(local, classifier, AD)
    at = queue(local)
    assert at.take_next(ALL, "a", NOW) == item
    assert at.take_next(ALL, "b", NOW) is None
    with pytest.raises(ApiError) as refused:
        at.decide(item, accept(item), (), "b", 0, NOW)
    assert (refused.value.status, refused.value.code) == (409, "E_REVIEW_HELD")
    assert local.events() == []
    # A lease that has run out may be taken over.
    assert at.take_next(ALL, "b", NOW + 16 * 60) == item


def test_a_decision_on_what_has_changed_is_refused(local: Store, classifier: Classifier) -> None:
    (item,) = put(local, classifier, AD)
    at = queue(local)
    decide(local, at, item, accept(item), "a")
    with pytest.raises(ApiError) as refused:
        at.decide(item, overturn(), (), "b", 0, NOW)
    assert refused.value.code == "E_REVIEW_CHANGED"
    assert len(local.events()) == 1


def test_a_reviewer_holds_one_item_at_a_time(local: Store, classifier: Classifier) -> None:
    first, second = put(local, classifier, AD, ILLEGAL)
    at = queue(local)
    assert at.hold(first, "a", NOW)
    assert not at.hold(first, "b", NOW)
    assert at.hold(second, "a", NOW)
    assert local.leases(NOW) == {second.id: "a"}
    assert at.hold(first, "b", NOW)


def test_skipped_items_go_to_others(local: Store, classifier: Classifier) -> None:
    (item,) = put(local, classifier, AD)
    at = queue(local)
    at.skip(item, "a", NOW)
    local.release([item.id], "a")
    assert at.take_next(ALL, "a", NOW) is None
    assert at.take_next(ALL, "b", NOW) == item


def test_the_worst_come_first_and_filters_hold(local: Store, classifier: Classifier) -> None:
    put(local, classifier, AD, ILLEGAL)
    at = queue(local)
    first = at.take_next(ALL, "a", NOW)
    assert first is not None
    assert first.severity == 3
    only = ItemFilter(code="impaired_credit_targeting")
    second = at.take_next(only, "b", NOW)
    assert second is not None
    assert second.text == AD
    assert at.take_next(ItemFilter(domain="b.example.com"), "c", NOW) is None


def test_choice_mixes_uncertainty_with_diversity_and_has_no_near_duplicates() -> None:
    texts = [f"第{i}号公告:本店周末照常营业,欢迎光临选购新鲜水果" for i in range(10)]
    texts += ["银行年化利率公示如下", "如何查询个人信用报告", "警方提醒网贷骗局", "信用卡账单日说明"]
    candidates = [(str(i), 0.5 if i < 10 else 0.1 * (i - 9), grams(text)) for i, text in enumerate(texts)]
    chosen = choose(candidates, (), 10)
    assert sum(int(id) < 10 for id in chosen) == 1
    assert chosen[0] in {str(i) for i in range(10)}, "the most uncertain first"
    assert set(chosen) >= {"10", "11", "12", "13"}
    sets = {id: own for id, _, own in candidates}
    assert all(similarity(sets[a], sets[b]) < NEAR for a in chosen for b in chosen if a != b)
    # What was seen before keeps its like out, and unlike things go before like ones where both are as uncertain.
    assert not {int(id) for id in choose(candidates, [grams(texts[0])], 10)} & set(range(10))


def test_sampled_items_are_unlike_each_other(local: Store, classifier: Classifier) -> None:
    same = [f"周末去公园划船,晚上大家一起去吃火锅,第{word}次" for word in "一二三四五六"]
    put(local, classifier, *same, "今天的新闻联播讲了高铁建设", reason="sample")
    at = queue(local)
    got = []
    while (item := at.take_next(ALL, "a", NOW)) is not None:
        got.append(item)
        decide(local, at, item, accept(item), "a")
    assert len(got) == 2


def test_flagged_and_sampled_alternate(local: Store, classifier: Classifier) -> None:
    put(local, classifier, *(f"{AD}{word}" for word in "甲乙丙丁戊己"))
    put(local, classifier, CLEAN, "今天的新闻联播讲了高铁建设", reason="sample")
    at = queue(local)
    order = []
    while (item := at.take_next(ALL, "a", NOW)) is not None:
        order.append(item.reason)
        decide(local, at, item, accept(item), "a")
    assert order == ["flagged"] * 3 + ["sample"] + ["flagged"] * 3 + ["sample"]


# ---------------------------------------------------------------- deciding


def test_a_decision_is_one_event_and_undo_another(store: Store, classifier: Classifier) -> None:
    first, second = put(store, classifier, AD, AD + "!")
    at = queue(store)
    seq = decide(store, at, first, overturn(), "a", (second.id,))
    assert {i.state for i in (store.item(first.id), store.item(second.id)) if i} == {"decided"}
    with pytest.raises(ApiError):
        at.undo(seq, "b", NOW)
    assert at.undo(seq, "a", NOW) == [first.id, second.id]
    assert {i.state for i in (store.item(first.id), store.item(second.id)) if i} == {"open"}
    assert [event.kind for event in store.events()] == ["decide", "decide", "undo", "undo"]
    assert decisions(store.events(first.id)) == []
    with pytest.raises(ApiError) as again:
        at.undo(seq, "a", NOW)
    assert again.value.code == "E_REVIEW_UNDO"
    # What was undone may be decided anew by the same reviewer.
    taken = at.take_next(ALL, "a", NOW)
    assert taken is not None


def test_a_bulk_decision_is_all_or_nothing(local: Store, classifier: Classifier) -> None:
    first, second = put(local, classifier, AD, AD + "!")
    at = queue(local)
    assert [other.id for other, alike in at.near(first, "a", NOW) if alike >= NEAR] == [second.id]
    assert local.lease([second.id], "b", 60, NOW) == [second.id]
    with pytest.raises(ApiError):
        decide(local, at, first, accept(first), "a", (second.id,))
    assert local.events() == []
    assert at.near(first, "a", NOW) == []


def test_second_review_agreement_and_conflict(local: Store, classifier: Classifier) -> None:
    one, other = put(local, classifier, AD, ILLEGAL)
    at = queue(local, second_share=1.0)
    decide(local, at, one, accept(one), "a")
    decide(local, at, other, accept(other), "a")
    assert at.take_next(ALL, "a", NOW) is None, "the second review is another's"
    with pytest.raises(ApiError) as refused:
        decide(local, at, one, accept(one), "a")
    assert refused.value.code == "E_REVIEW_SELF"
    decide(local, at, one, accept(one), "b")
    decide(local, at, other, overturn(), "b")
    assert {i.id: i.state for i in local.items(ItemFilter(state=None))} == {one.id: "decided", other.id: "conflict"}
    assert [row["text"] for row in export_rows(local)] == [AD], "what is in dispute is not exported"
    third = at.take_next(ALL, "c", NOW)
    assert third is not None
    assert third.id == other.id
    decide(local, at, third, overturn(), "c")
    report = review_report(local, read_profile(default_model_path()))
    assert report["agreement"]["pairs"] == 2
    assert report["agreement"]["misleading"]["share"] == 0.5
    assert report["flagged_precision"]["right"] == 1


def test_an_appeal_goes_to_another_reviewer(local: Store, classifier: Classifier) -> None:
    (item,) = put(local, classifier, AD)
    at = queue(local)
    decide(local, at, item, accept(item), "a")
    decided = local.item(item.id)
    assert decided is not None
    at.appeal(decided, "是引用", "b", version(local, item), NOW)
    local.release([item.id], "b")
    assert at.take_next(ALL, "a", NOW) is None
    again = at.take_next(ALL, "c", NOW)
    assert again is not None
    decide(local, at, again, overturn("news"), "c")
    report = review_report(local, read_profile(default_model_path()))
    assert report["appeals"] == {"total": 1, "upheld": 0, "changed": 1}
    assert report["agreement"]["pairs"] == 0, "a decision on appeal is not a second review"


def test_an_escalated_item_leaves_the_queue(local: Store, classifier: Classifier) -> None:
    (item,) = put(local, classifier, AD)
    at = queue(local)
    at.escalate(item, "拿不准", "a", 0, NOW)
    assert at.take_next(ALL, "b", NOW) is None
    assert local.count(ItemFilter(state="escalated")) == 1


@pytest.mark.parametrize(
    ("form", "action", "severity", "codes", "reason"),
    [
        ({"action": ["accept"]}, "accept", 2, None, None),
        ({"action": ["accept"], "severity": ["3"], "code": ["upfront_fee"]}, "change", 3, ("upfront_fee",), None),
        ({"action": ["change"], "severity": ["0"], "code": ["upfront_fee"]}, "change", 0, (), None),
        ({"action": ["overturn:news"]}, "overturn", 0, (), "news"),
    ],
)
def test_forms_are_read(local, classifier, form, action, severity, codes, reason) -> None:
    (item,) = put(local, classifier, AD)
    decision = read_decision(item, form)
    assert (decision.action, decision.label.severity, decision.reason) == (action, severity, reason)
    assert decision.label.codes == (item.codes if codes is None else codes)
    if reason == "news":
        assert decision.label.stance == "news_case"


@pytest.mark.parametrize(
    "form",
    [
        {}, {"action": ["delete"]}, {"action": ["overturn"]}, {"action": ["overturn:because"]},
        {"action": ["change"], "severity": ["4"]}, {"action": ["change"], "stance": ["<b>"]},
        {"action": ["change"], "severity": ["2"], "code": ["x"]}, {"action": ["accept"], "note": ["好" * 1001]},
    ],
)  # fmt: skip
def test_forms_that_decide_nothing_are_refused(local, classifier, form) -> None:
    (item,) = put(local, classifier, AD)
    with pytest.raises(ApiError) as refused:
        read_decision(item, form)
    assert refused.value.status == 400


# ---------------------------------------------------------------- golden, export, report


GOLDEN = [
    Row("g1", "看到自称不看征信秒放款的小广告请立即举报", 0, "warning", (), "news", "g1"),
    Row("g2", ILLEGAL, 3, "promo", ("upfront_fee",), "forum", "g2"),
]


def test_golden_items_measure_reviewers_and_stay_out_of_the_rest(local: Store, classifier: Classifier) -> None:
    assert add_golden(local, GOLDEN, classifier) == 2
    items = put(local, classifier, *(f"{AD}{word}" for word in "甲乙丙丁"))
    at = queue(local, golden_every=2)
    golden_ids = {item_id(row.text) for row in GOLDEN}
    got = []
    while (item := at.take_next(ALL, "a", NOW)) is not None:
        got.append(item.id in golden_ids)
        label = Label(3, "promo", ("upfront_fee",)) if item.id in golden_ids else model_label(item)
        decide(local, at, item, Decision("change", label, None, ""), "a")
    assert got[:4] == [False, True, False, True]
    assert sum(got) == 2
    assert local.count(ItemFilter(state="golden")) == 2
    report = review_report(local, read_profile(default_model_path()))
    assert report["reviewers"]["a"]["decisions"] == len(items)
    # One of the two is misleading, and the reviewer called both so.
    assert report["reviewers"]["a"]["golden"]["right"] == 1
    assert report["reviewers"]["a"]["golden"]["total"] == 2
    assert report["items"] == len(items)
    assert golden_ids.isdisjoint(row["id"].removeprefix("review-") for row in export_rows(local))


def test_golden_rows_come_from_a_file(run, tmp_path) -> None:
    database, file = str(tmp_path / "new.db"), tmp_path / "golden.jsonl"
    rows = [{"id": r.id, "text": r.text, "severity": r.severity, "stance": r.stance, "codes": list(r.codes), "channel": r.channel, "family": r.family} for r in GOLDEN]  # fmt: skip
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    done = run("review", "golden", str(file), "--db", database)
    assert (done.status, done.err) == (0, "loanlint: 2 golden items\n")
    store = Store(database)
    assert store.count(ItemFilter(state="golden")) == 2
    assert store.outbox.deliveries(10) == []
    store.close()
    file.write_text('{"id": 1}', encoding="utf-8")
    bad = run("review", "golden", str(file), "--db", database)
    assert bad.status == 2
    assert "E_DATA_ROW" in bad.err


def test_export_gives_rows_that_train_takes(local: Store, classifier: Classifier, run, tmp_path) -> None:
    corpus = load_corpus()
    known = next(row for row in corpus if row.severity == 2)
    texts = (AD, AD + "!", f"加微信 13912345678 {AD}", ILLEGAL, known.text)
    items = put(local, classifier, *texts, channel="forum")
    (odd,) = put(local, classifier, CLEAN, reason="sample", channel="elsewhere")
    at = queue(local)
    for item in (*items, odd):
        decide(local, at, item, accept(item) if item.severity else Decision("accept", model_label(item), None, ""), "a")
    done = run("review", "export", "--db", str(tmp_path / "store.db"))
    assert done.status == 0, done.err
    rows = [parse_row(json.loads(line), f"line {n}") for n, line in enumerate(done.out.splitlines(), 1)]
    assert len(rows) == 6
    by_text = {row.text: row for row in rows}
    assert by_text[AD].family == by_text[AD + "!"].family != by_text[ILLEGAL].family
    assert by_text[known.text].family == known.family
    assert "13912345678" not in done.out
    assert by_text[AD].codes == items[0].codes
    assert by_text[CLEAN].channel == "title", "from the page, where the caller's own name is no channel of the corpus"
    # What `loanlint train --extra` checks before it trains.
    assert validate([*corpus, *rows]) == validate(corpus) == []


def test_report_figures(local: Store, classifier: Classifier, run, tmp_path) -> None:
    items = put(local, classifier, *(f"{AD}{word}" for word in "甲乙丙丁"))
    (clean,) = put(local, classifier, CLEAN, reason="sample")
    at = queue(local)
    for item in items[:3]:
        decide(local, at, item, accept(item), "a")
    decide(local, at, items[3], overturn("question"), "b")
    decide(local, at, clean, Decision("change", Label(2, "promo", ("cost_bait",)), None, ""), "b")
    done = run("review", "report", "--format", "json", "--db", str(tmp_path / "store.db"))
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert (report["flagged_precision"]["right"], report["flagged_precision"]["total"]) == (3, 4)
    assert report["missed"]["share"] == 1.0
    for code in items[0].codes:
        assert (report["codes"][code]["right"], report["codes"][code]["total"]) == (3, 4)
    assert report["false_positive_reasons"] == {"question": 1}
    assert report["reviewers"]["b"]["decisions"] == 2
    drift = report["drift"]
    assert drift["texts"] == 5
    assert drift["psi"] > 0.25, "five texts, four of them sure, are not the corpus"
    profile = read_profile(default_model_path())
    for term in drift["terms"]:
        assert term["reference"] == profile["class_share"][term["term"]]
    text = run("review", "report", "--db", str(tmp_path / "store.db"))
    assert text.status == 0
    assert "75.0% (3/4" in text.out


def test_drift_of_the_corpus_itself_is_none(local: Store, classifier: Classifier) -> None:
    """The shares of terms in corpus texts are those of the profile."""
    rows = load_corpus()[::4]
    store_items = [
        Item(row.id, row.text, {}, 0, 0.0, (), "promo", "", None, "sample", "open", 1, NOW, NOW) for row in rows
    ]
    from pipeline.service.review.report import drift

    found = drift(store_items, read_profile(default_model_path()))
    assert all(abs(term["reference"] - term["stored"]) < 0.06 for term in found["terms"])


def test_reports_and_exports_of_nothing(run, tmp_path) -> None:
    database = str(tmp_path / "new.db")
    assert run("review", "export", "--db", database).out == ""
    report = run("review", "report", "--db", database)
    assert (report.status, report.err) == (0, "")
    bad = run("review", "report", "--db", database, "--model", str(tmp_path))
    assert bad.status == 2
    assert "E_MODEL_MISSING" in bad.err
    assert "Traceback" not in bad.err


def test_share_interval() -> None:
    low, high = Share(8, 10).interval
    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)  # the Wilson interval of the textbooks
    assert Share(0, 0).value is None
    assert Share(5, 5).interval[1] == 1.0


# ---------------------------------------------------------------- text


def test_hidden_characters_are_pieces_of_their_own() -> None:
    text = "黑\u200b户\u202e可下\ufeff款\u3164\U000e0041"
    found = pieces(text, [(0, 3, "evidence", "x"), (1, 2, "evasion", "zero_width → ∅")])
    assert [piece.hidden for piece in found if piece.hidden] == [
        "U+200B ZWSP", "U+202E RLO", "U+FEFF BOM", "U+3164", "U+E0041",
    ]  # fmt: skip
    assert "".join(piece.text for piece in found) == "黑户可下款"
    assert [piece.text for piece in found if piece.evidence] == ["黑", "", "户"]
    assert [piece.hidden for piece in found if piece.evasion] == ["U+200B ZWSP"]
    assert visible("a\u202eb\n") == "a⟨U+202E RLO⟩b\n"


def test_every_disguise_has_a_name_in_both_languages() -> None:
    from pipeline.compiled.disguise_tables import KINDS
    from pipeline.service.review.rendering import Words

    for kind in KINDS:
        assert re.search("[一-鿿]", Words("zh").disguise(kind)), kind
        assert Words("en").disguise(kind) != Words("zh").disguise(kind)


def test_references_are_named_once_with_their_articles(classifier: Classifier) -> None:
    from pipeline.service.review.rendering import legal_titles

    refs = classifier.check(AD).to_dict()["legal_refs"]
    lines = legal_titles("zh")(refs)
    assert len(lines) < len(refs)
    assert len(set(lines)) == len(lines)
    assert any(re.fullmatch(r"中华人民共和国广告法 第 4、8、.* 条", line) for line in lines)
    assert legal_titles("en")([{**refs[0], "verified": "unconfirmed"}])[0].endswith(", art. 4 (not confirmed)")


def test_clusters_hold_what_is_alike() -> None:
    assert clusters([AD, "周末去公园划船", AD + "!", "", AD[1:], ""]) == [0, 1, 0, 3, 0, 5]


def test_numbers_of_people_are_masked() -> None:
    assert mask("打13912345678或13800000000,卡6222021234567890123") == "打13800000000或13800000000,卡" + "x" * 19
