"""Pages: encodings, segments, and the page summary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import Classifier, InputError, scan
from pipeline.pages.encoding import decode
from pipeline.pages.segments import ROLES, html_segments, plain_segments, segments

SIMPLIFIED = "有没有不审核直接下款的平台,征信花也能下款"
TRADITIONAL = "免TU貸款,財務公司即批,無需入息證明"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk", "big5hkscs"])
@pytest.mark.parametrize("declared", [None, "utf-8", "gbk", "iso-8859-1"])
def test_encoding_is_detected_whatever_is_declared(encoding: str, declared: str | None) -> None:
    text = TRADITIONAL if encoding == "big5hkscs" else SIMPLIFIED
    meta = f'<meta charset="{declared}">' if declared else ""
    page = f"<html><head>{meta}<title>{text}</title></head><body><p>{text}</p></body></html>"
    assert text in decode(page.encode(encoding), "page")[0]


def test_few_damaged_bytes_do_not_change_the_encoding() -> None:
    data = (SIMPLIFIED * 40).encode()
    text, encoding = decode(data[:-1], "cut")
    assert encoding == "utf-8"
    assert text.startswith(SIMPLIFIED)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(50), b"\x00\x01\x02", b"PK\x03\x04zip"])
def test_binary_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="E_INPUT_BINARY"):
        decode(data, "x")


PAGE = """<html><head><title>标题</title><meta name="description" content="描述"><style>p{}</style></head><body>
<h1>大标题</h1><p>正文<a href="/x">链接</a>后面</p>散落的文字
<ul><li><a href="1"><b>相关一</b></a></li><li><a href="2">相关二</a><span>摘要文字很长很长</span></li></ul>
<img alt="图片说明" src="a.png"><button>立即申请</button><script>var 脚本 = 1</script>
<table><tr><td>甲</td><td>乙</td></tr></table></body></html>"""


def test_html_segments_keep_roles_and_order() -> None:
    assert [(s.role, s.text) for s in html_segments(PAGE)] == [
        ("title", "标题"),
        ("meta", "描述"),
        ("heading", "大标题"),
        ("body", "正文链接后面"),
        ("body", "散落的文字"),
        ("anchor", "相关一"),
        ("list_item", "相关二摘要文字很长很长"),
        ("image_alt", "图片说明"),
        ("control", "立即申请"),
        ("body", "甲"),
        ("body", "乙"),
    ]


def test_plain_text_items_take_in_their_indented_lines() -> None:
    page = "文章标题\n\n正文第一段。\n\n大家都在看\n\n  • 口子一\n\n    摘要一...\n    贷款\n  • 口子二\n\n    摘要二...\n返回顶部\n"
    assert [(s.role, s.text.split()) for s in plain_segments(page)] == [
        ("title", ["文章标题"]),
        ("body", ["正文第一段。"]),
        ("body", ["大家都在看"]),
        ("list_item", ["口子一", "摘要一...", "贷款"]),
        ("list_item", ["口子二", "摘要二..."]),
        ("body", ["返回顶部"]),
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="贷款口子征信 \n\t•-·1.、", max_size=12), max_size=30).map("\n".join))
def test_plain_segments_are_raw_slices_and_lose_no_character(text: str) -> None:
    found = plain_segments(text)
    assert all(s.text in text and s.role in ROLES for s in found)
    kept = "".join(c for s in found for c in s.text if c in "贷款口子征信")
    assert kept == "".join(c for c in text if c in "贷款口子征信")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<div>", "</p>", "<li>", "贷款", "<a href=x>", "</a>", "<b", ">", "&lt;口子", "<table>", "文"]
        ),
        max_size=40,
    ).map("".join)
)
def test_broken_html_loses_no_text(text: str) -> None:
    from selectolax.lexbor import LexborHTMLParser

    body = LexborHTMLParser(text).body
    wanted = "".join((body.text() if body else "").split())
    assert "".join("".join(s.text for s in html_segments(text) if s.path.startswith("html")).split()) == wanted


def test_deep_nesting_is_no_problem() -> None:
    assert [s.text for s in segments("<div>" * 30_000 + "深处" + "</div>" * 30_000)] == ["深处"]


def test_sidebar_promotions_never_raise_the_article(classifier: Classifier, repository: Path) -> None:
    text, encoding = decode((repository / "data/examples/page.html").read_bytes(), "page.html")
    report = scan(text, classifier)
    assert encoding == "utf-8"
    assert report.summary.article.severity == 0
    assert report.summary.promo_exposure == 3
    flagged = {v.text[:6] for v in report.segments if v.flagged}
    assert flagged == {"花户救星!无", "当前逾期也给", "代☆款加V:"}


def test_bait_title_with_moralising_body(classifier: Classifier) -> None:
    page = "<title>不查征信秒下一万的口子</title><p>网上说的这类产品并不存在,都是骗局,请勿相信,急用钱请到银行网点咨询。</p>"
    summary = scan(page, classifier).summary
    assert summary.title_severity >= 2
    assert summary.article.severity == 1
    assert summary.signals == ("bait_title",)


def test_scan_json_has_segments_and_summary(run, repository: Path) -> None:
    result = run("scan", "--format", "json", str(repository / "data/examples/page.html"))
    document = json.loads(result.out)
    assert result.status == 1
    assert document["summary"]["flagged"] == 3
    for segment in document["segments"]:
        assert {"text", "role", "path", "severity", "label", "codes", "evidence"} <= segment.keys()


def test_the_real_page_is_judged_as_expected(run, repository: Path) -> None:
    bench = repository.parent / "shared" / "bench"
    if not bench.exists():
        pytest.skip("the bench is not part of the repository")
    expected = json.loads((bench / "sample_page.expected.json").read_text(encoding="utf-8"))
    document = json.loads(run("scan", "--format", "json", str(bench / "sample_page.txt")).out)
    assert document["summary"]["article"]["severity"] == expected["article"]["severity"]
    assert document["summary"]["article"]["stance"] == expected["article"]["stance"]
    items = [s for s in document["segments"] if s["role"] == "list_item"]
    for wanted in expected["sidebar"]:
        (segment,) = (s for s in items if s["text"].startswith(wanted["title_starts"]))
        assert segment["severity"] in wanted["severity"], wanted
        assert set(wanted.get("codes_include", ())) <= {c["code"] for c in segment["codes"]}, wanted
