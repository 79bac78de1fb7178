"""The review pages in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from selectolax.lexbor import LexborHTMLParser
from serving import AD, CLEAN, ILLEGAL, Running, loanlint, running

DONE = re.compile(r"[?&]done=\d")  # not `undone`
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
HOSTILE = "黑\u200b户\u202e也能下款</p><script>document.title='x'</script><img src=x onerror=\"document.title='x'\">不看征信秒到账{{7*7}}"
HOSTILE_PLACE = {
    "url": "javascript:document.title='x'", "title": "<svg onload=document.title='x'>\u202e", "role": "title",
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Iterator[Running]:
    """An open service with a queue of its own; second reviews off, so that what a decision does is certain."""
    with running(tmp_path_factory.mktemp("review"), "--sample", "1", "--second-review", "0") as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    found = new_context(browser)
    yield found
    assert found.complaints == []  # type: ignore[attr-defined]
    found.close()


def new_context(browser: Browser, width: int = 1280, **options) -> BrowserContext:
    """A browser session of its own. ``complaints``: errors of scripts, and what the content policy had to stop."""
    found = browser.new_context(**{"viewport": {"width": width, "height": 900}, "locale": "zh-CN", **options})
    found.set_default_timeout(10_000)
    found.complaints = []  # type: ignore[attr-defined]
    found.on("console", lambda m: found.complaints.append(m.text) if m.type == "error" else None)  # type: ignore[attr-defined]
    found.on("weberror", lambda e: found.complaints.append(str(e.error)))  # type: ignore[attr-defined]
    return found


def fill(service: Running, *texts: str, place: dict | None = None) -> None:
    body = {"texts": [{"text": text, "page": place or {"url": "https://a.example.com/p"}} for text in texts]}
    assert service.post("/v1/check", body).status_code == 200


def opened(page: Page, service: Running, text: str, query: str = "") -> Page:
    page.goto(f"{service.local}/review?{query}")
    page.locator("a[data-row]", has_text=re.compile(f"^{re.escape(text)}$")).click()
    page.wait_for_url("**/review/items/**")
    return page


def test_paste_shows_the_verdict_with_its_evidence(pages: Running, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(pages.local)
    page.fill("textarea", AD)
    page.get_by_role("button", name="检查").click()
    card = page.locator("section.card")
    assert card.locator("p.raw").inner_text() == AD
    marked = "".join(card.locator("p.raw mark").all_inner_texts())
    assert "口子" in marked
    assert "面向黑户花户" in card.inner_text()
    assert "可能涉及" in card.inner_text()
    assert page.input_value("textarea") == AD
    page.check("input[value=page]")
    page.fill("textarea", f"<title>{AD}</title><p>{CLEAN}</p>")
    page.get_by_role("button", name="检查").click()
    assert page.locator("section.card").count() == 2
    assert "1 / 2" in page.locator("main").inner_text()
    # Nothing of this is kept.
    page.goto(f"{pages.local}/review?state=all")
    assert page.locator("a[data-row]").count() == 0


def test_decide_and_undo_with_keys_alone(pages: Running, context: BrowserContext) -> None:
    fill(pages, AD, ILLEGAL)
    page = context.new_page()
    page.goto(f"{pages.local}/review")
    page.keyboard.press("n")
    page.wait_for_url("**/review/items/**")
    first = page.locator("p.raw").inner_text()
    assert first == ILLEGAL, "the worst first"
    address = page.url
    page.keyboard.press("4")  # overturn: a complaint
    page.wait_for_url(DONE)
    assert page.locator("p.raw").inner_text() == AD
    page.keyboard.press("u")
    page.wait_for_url("**undone=1")
    assert page.locator("p.raw").inner_text() == ILLEGAL
    assert page.locator(".history del").count() == 1
    page.keyboard.press("a")
    page.wait_for_url(DONE)
    page.goto(address)
    assert page.locator(".history li:has-text('接受')").count() == 1
    assert "已审结" in page.locator("main").inner_text()
    # Keys typed into a field are text.
    opened(page, pages, AD)
    page.focus("#note")
    page.keyboard.type("as1")
    assert page.input_value("#note") == "as1"


def test_change_without_javascript(pages: Running, browser: Browser) -> None:
    fill(pages, AD + "甲一")
    context = new_context(browser, java_script_enabled=False)
    page = opened(context.new_page(), pages, AD + "甲一")
    page.select_option("select[name=severity]", "3")
    page.check("input[value=upfront_fee]")
    page.fill("#note", "先收费\u202e<b>")
    address = page.url
    page.get_by_role("button", name="保存更改").click()
    page.goto(address)
    history = page.locator(".history").inner_text()
    assert "更改" in history
    assert "贷前收费" in history
    assert "先收费⟨U+202E RLO⟩<b>" in history
    page.fill("#note", "我们没有收费")
    page.get_by_role("button", name="登记申诉").click()
    page.goto(f"{pages.local}/review?state=appeal")
    assert page.locator("a[data-row]").count() == 1
    context.close()


def test_near_duplicates_are_decided_at_once(pages: Running, context: BrowserContext) -> None:
    texts = [f"本平台口子多多,黑户花户都能下款,秒到账不查征信{i}" for i in range(4)]
    fill(pages, *texts)
    page = opened(context.new_page(), pages, texts[0])
    assert page.locator("input[name=also]").count() == 3
    page.keyboard.press("t")
    assert page.locator("input[name=also]:checked").count() == 3
    page.locator("input[name=also]").first.uncheck()
    page.keyboard.press("a")
    page.wait_for_url(DONE)
    page.goto(f"{pages.local}/review")
    left = [text for text in page.locator("a[data-row]").all_inner_texts() if text in texts]
    assert len(left) == 1
    page.go_back()
    page.locator("button[data-key=u]").click()
    page.wait_for_url("**undone=1")
    page.goto(f"{pages.local}/review")
    assert sum(text in texts for text in page.locator("a[data-row]").all_inner_texts()) == 4


def test_two_sessions_at_once(pages: Running, browser: Browser) -> None:
    texts = [f"{AD}{word}" for word in ("乙一", "丙二二二二二二", "丁三三三三三三三三")]
    fill(pages, *texts)
    one, two = new_context(browser), new_context(browser)
    first = opened(one.new_page(), pages, texts[0])
    second = two.new_page()
    second.goto(first.url)
    assert second.locator("[data-held]").is_visible()
    assert second.locator("[data-decision]").count() == 0
    second.goto(f"{pages.local}/review")
    row = second.locator("li", has=second.locator("a[data-row]", has_text=texts[0]))
    assert "有人在审" in row.inner_text()
    second.keyboard.press("n")
    second.wait_for_url("**/review/items/**")
    assert second.url.split("?")[0] != first.url.split("?")[0]
    # A page that was left open while another decided does not overwrite it.
    stale = first.locator("[data-decision]").evaluate("f => Object.fromEntries(new FormData(f))")
    first.keyboard.press("a")
    first.wait_for_url(DONE)
    answer = one.request.post(
        first.url.split("/items/")[0] + "/items/" + item_of(pages, texts[0]),
        form={**stale, "action": "overturn:news"}, headers={"origin": pages.local},
    )  # fmt: skip
    assert answer.status == 409
    assert "E_REVIEW_CHANGED" in answer.text()
    one.close()
    two.close()


def item_of(service: Running, text: str) -> str:
    from pipeline.service.store import item_id

    return item_id(text)


def test_hostile_text_is_shown_and_does_nothing(pages: Running, context: BrowserContext) -> None:
    fill(pages, HOSTILE, place=HOSTILE_PLACE)
    page = context.new_page()
    page.goto(f"{pages.local}/review/items/{item_of(pages, HOSTILE)}")
    assert page.title().startswith("审核")
    raw = page.locator("p.raw")
    assert raw.locator(".hidden-char").all_inner_texts() == ["U+200B ZWSP", "U+202E RLO"]
    shown = raw.inner_text()
    assert "<script>document.title='x'</script>" in shown
    assert "{{7*7}}" in shown
    assert page.locator("main script, main img, main svg").count() == 0
    text = page.locator("main").inner_text()
    assert "javascript:document.title='x'" in text
    assert page.locator("a[href^=javascript]").count() == 0
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069]", text)
    page.goto(f"{pages.local}/review")
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069]", page.locator("main").inner_text())
    page.goto(pages.local)
    page.fill("textarea", HOSTILE)
    page.get_by_role("button", name="检查").click()
    assert page.locator("section.card .hidden-char").count() >= 2
    assert "试一试" in page.title()


def test_a_narrow_screen_has_the_decision_beside_the_text(pages: Running, browser: Browser) -> None:
    """And an appeal is seen by whoever decides."""
    text = f"{AD}窄屏"
    fill(pages, text)
    answer = pages.post("/v1/appeals", {"item": item_of(pages, text), "note": "我们是正规机构\u202e"})
    assert answer.status_code == 200
    context = new_context(browser, 400)
    page = context.new_page()
    page.goto(f"{pages.local}/review/items/{item_of(pages, text)}")
    assert "有人申诉:我们是正规机构⟨U+202E RLO⟩" in page.locator(".decision .notice").inner_text()
    box = page.locator("button[value=accept]").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 800, "without scrolling"
    assert "第 4、8、28" in page.locator("main").inner_text()
    keys = page.locator("[data-toggle-keys]")
    assert keys.inner_text() == "快捷键:开"
    keys.click()
    assert keys.inner_text() == "快捷键:关"
    page.keyboard.press("a")
    assert page.locator("[data-decision]").count() == 1, "keys are off"
    context.close()


@pytest.mark.parametrize(("width", "lang", "scheme"), [(400, "en", "dark"), (1280, "zh", "light")])
def test_fits_the_screen_and_is_accessible(
    pages: Running, browser: Browser, width: int, lang: str, scheme: str
) -> None:
    fill(
        pages,
        HOSTILE,
        "长" * 300 + "x" * 400 + AD,
        place={**HOSTILE_PLACE, "url": "https://a.example.com/" + "y" * 600},
    )
    context = new_context(browser, width, color_scheme=scheme)
    page = context.new_page()
    script = AXE.read_text(encoding="utf-8")
    long = item_of(pages, "长" * 300 + "x" * 400 + AD)
    for path in (
        "/",
        "/login",
        "/review",
        f"/review/items/{item_of(pages, HOSTILE)}",
        f"/review/items/{long}",
        "/review/report",
    ):
        page.goto(f"{pages.local}{path}?lang={lang}")
        if path == "/":
            page.fill("textarea", HOSTILE)
            page.locator("form.stack button").click()
            page.wait_for_selector("section.card")
        assert page.locator("html").get_attribute("lang") == {"zh": "zh-Hans", "en": "en"}[lang]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.evaluate(script)
        found = page.evaluate("axe.run()")
        assert len(found["passes"]) > 10
        serious = [
            (v["id"], v["nodes"][0]["html"]) for v in found["violations"] if v["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
    context.close()


def test_every_page_forbids_what_is_not_its_own(pages: Running) -> None:
    for path in ("/", "/login", "/review", "/review/report", "/review/items/0"):
        answer = pages.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        tree = LexborHTMLParser(answer.text)
        assert [node.attributes.get("src", "").split("?")[0] for node in tree.css("script")] == ["/static/review.js"]
        assert tree.css("style") == []
        for node in tree.css("*"):
            assert not [name for name in node.attributes if name.startswith("on") or name == "style"], node.html
            assert not [v for name in ("src", "href") if ":" in (v := node.attributes.get(name) or "")], node.html
    assert pages.client.get("/review/items/0").status_code == 404
    assert pages.client.get("/static/../routes.py").status_code == 404
    assert pages.client.get("/static/review.js").headers["content-type"].startswith("text/javascript")
    assert pages.client.get("/review?severity=9").status_code == 400
    assert pages.client.get("/review?since=yesterday").status_code == 400
    assert pages.client.get("/review?domain=%00").status_code == 400


def test_forms_of_other_sites_are_refused(pages: Running) -> None:
    with httpx.Client(base_url=pages.local, trust_env=False) as client:
        page = client.get("/review")
        cookie = page.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        token = re.search(r'name="csrf" value="(\w+)"', page.text)[1]
        assert client.post("/review/next", data={"a": "b"}).status_code == 403
        assert client.post("/review/next", data={"csrf": "x"}).status_code == 403
        for headers in (
            {"origin": "https://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            assert client.post("/review/next", data={"csrf": token}, headers=headers).status_code == 403
        assert client.post("/review/next", json={"csrf": token}).status_code == 415
        assert client.post("/review/next", data={"csrf": token}).status_code == 303
    assert httpx.post(f"{pages.local}/review/next", data={"csrf": token}, trust_env=False).status_code == 403


def test_with_keys_reviewers_sign_in(tmp_path, browser: Browser) -> None:
    database = str(tmp_path / "service.db")

    def key(name: str, scope: str) -> str:
        return loanlint("keys", "add", name, "--scope", scope, "--db", database).stdout.decode().strip()

    reviewer, scorer, other = key("李审", "review"), key("店", "score"), key("王审", "review")
    with running(tmp_path, "--second-review", "1", database=database) as service:
        context = new_context(browser)
        page = context.new_page()
        page.goto(f"{service.local}/review")
        assert page.url.endswith("/login")
        page.fill("#key", reviewer[:-1] + ("A" if reviewer[-1] != "A" else "B"))
        page.keyboard.press("Enter")
        assert "不是有效的密钥" in page.locator("[role=alert]").inner_text()
        page.fill("#key", reviewer)
        page.keyboard.press("Enter")
        page.wait_for_url("**/review")
        assert "李审" in page.locator("header").inner_text()
        (cookie,) = [c for c in context.cookies() if c["name"] == "loanlint_session"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert cookie["value"].encode() not in Path(database).read_bytes(), "only a digest is stored"
        service.post("/v1/check", {"text": AD}, authorization=f"Bearer {scorer}")
        page.reload()
        page.keyboard.press("n")
        page.wait_for_url("**/review/items/**")
        page.keyboard.press("a")
        page.wait_for_url(DONE)
        (event,) = events(database)
        assert event["actor"] == reviewer.split("_")[1]
        # The second reviewer is not led by the first.
        address = f"{service.local}/review/items/{item_of(service, AD)}"
        page.goto(address)
        assert page.locator("[data-decision]").count() == 0
        assert "接受" in page.locator(".history").inner_text()
        second_context = new_context(browser)
        second = second_context.new_page()
        second.goto(f"{service.local}/login")
        second.fill("#key", other)
        second.keyboard.press("Enter")
        second.wait_for_url("**/review")
        second.keyboard.press("n")
        second.wait_for_url("**/review/items/**")
        assert "李审" not in second.locator("main").inner_text()
        second.keyboard.press("1")
        second.wait_for_url(DONE)
        second.goto(address)
        assert "李审" in second.locator(".history").inner_text()
        second.goto(f"{service.local}/review/report")
        assert "0.0% (0/1" in second.locator("main").inner_text()
        second.goto(f"{service.local}/review?state=conflict")
        assert second.locator("a[data-row]").count() == 1
        second_context.close()
        # A key that is taken away ends its sessions.
        assert loanlint("keys", "revoke", reviewer.split("_")[1], "--db", database).returncode == 0
        service.signal(1)
        for _ in range(50):
            page.goto(f"{service.local}/review")
            if page.url.endswith("/login"):
                break
            page.wait_for_timeout(100)
        assert page.url.endswith("/login")
        # A key that may only score may try the model, and not review.
        page.fill("#key", scorer)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{service.local}/")
        assert page.goto(f"{service.local}/review").status == 403
        page.get_by_role("button", name="退出").click()
        page.wait_for_url("**/login")
        page.goto(service.local)
        assert page.url.endswith("/login")
        context.close()
        assert not any(reviewer in line or AD in line for line in service.raw_log.splitlines())


def events(database: str) -> list[dict]:
    from pipeline.service.store import Store

    store = Store(database)
    try:
        return [{"actor": event.actor, **event.body} for event in store.events() if event.kind == "decide"]
    finally:
        store.close()
