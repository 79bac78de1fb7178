"""A page cut into segments: title, headings, paragraphs, list items, anchors, metadata, image texts.

Nothing is dropped as boilerplate: sidebars and related-article lists are where the advertisements are. Scripts and styles
are no text of the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

ROLES = ("title", "heading", "body", "list_item", "anchor", "meta", "image_alt", "control")


@dataclass(frozen=True, slots=True)
class PageSegment:
    """A stretch of a page: its raw text, role, and path (an element path, or ``line N`` in plain text)."""

    text: str
    role: str
    path: str


_HTML = re.compile(r"<\s*(?:!doctype|html|head|body|div|p|a|li|ul|h[1-6]|span|table|meta|title|br)\b[^<>]*>", re.I)
_BULLET = re.compile(r"[ \t\u3000]*(?:[•·●▪◆■◇□★☆※►▶➤✓✔]|[-*](?= ))[ \t\u3000]*")
_NUMBERED = re.compile(r"[ \t\u3000]*(?:\d{1,3}[.、)）]|[（(]\d{1,2}[)）])[ \t\u3000]*(?=\S)")
_INDENT = re.compile(r"[ \t\u3000]*")


def looks_like_html(text: str) -> bool:
    """Whether ``text`` holds markup rather than plain text."""
    return bool(_HTML.search(text[:200_000]))


def segments(text: str) -> list[PageSegment]:
    """Segments of a page in document order."""
    return html_segments(text) if looks_like_html(text) else plain_segments(text)


# ---------------------------------------------------------------- plain text


def plain_segments(text: str) -> list[PageSegment]:
    """Segments of the plain text of a page.

    Paragraphs are lines. A bulleted line opens a list item that takes in the deeper-indented lines below it, as
    text browsers lay out a teaser.
    """
    found: list[PageSegment] = []
    offset = 0
    item: tuple[int, int, int, int] | None = None  # start, end, indent, line number
    lines = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        lines.append((number, offset, line))
        offset += len(line)

    def close() -> None:
        nonlocal item
        if item is not None:
            start, end, _, number = item
            found.append(PageSegment(text[start:end], "list_item", f"line {number}"))
            item = None

    for number, start, line in lines:
        bare = line.strip()
        if not bare:
            continue
        match = _INDENT.match(line)
        indent = match.end() if match else 0
        end = start + len(line.rstrip())
        bullet = _BULLET.match(line)
        if bullet and bullet.end() < len(line.rstrip()):
            close()
            item = (start + bullet.end(), end, indent, number)
            continue
        if item is not None and indent > item[2]:
            item = (item[0], end, item[2], item[3])
            continue
        close()
        numbered = _NUMBERED.match(line)
        if numbered:
            found.append(PageSegment(text[start + numbered.end() : end], "list_item", f"line {number}"))
            continue
        role = "title" if not found and len(bare) <= 60 else "body"
        found.append(PageSegment(text[start + indent : end], role, f"line {number}"))
    close()
    return found


# ---------------------------------------------------------------- HTML

_SKIP = {"script", "style", "noscript", "template", "svg", "head", "iframe", "object", "math"}
_BLOCK = {
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "html", "li", "main",
    "marquee", "menu", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
    "ul", "br", "hr", "button", "select", "option", "textarea", "label", "caption", "legend",
}  # fmt: skip
_META = {"description", "keywords", "og:title", "og:description", "twitter:title", "twitter:description"}
_CONTROLS = {"button", "option", "textarea", "label", "legend", "summary"}
_SPACE = re.compile(r"\s+")
_MAX_DEPTH = 400


def html_segments(source: str) -> list[PageSegment]:
    """Segments of an HTML page."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(source)
    collector = _Collector()
    for node in tree.css("title"):
        if not _inside(node, "svg"):
            collector.add(node.text(), "title", "head>title")
    for node in tree.css("meta"):
        attributes = node.attributes
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        if name in _META:
            collector.add(attributes.get("content") or "", "meta", f"head>meta[{name}]")
    if tree.body is not None:
        collector.walk(tree.body)
    return collector.found


def _inside(node: LexborNode, tag: str) -> bool:
    parent = node.parent
    while parent is not None:
        if parent.tag == tag:
            return True
        parent = parent.parent
    return False


class _Collector:
    """Walks the tree and gathers runs of inline content between block boundaries."""

    def __init__(self) -> None:
        self.found: list[PageSegment] = []
        self.buffer: list[str] = []
        self.linked = 0  # characters of the buffer that stand in anchors
        self.role = "body"
        self.path = "body"

    def add(self, text: str, role: str, path: str) -> None:
        text = _SPACE.sub(" ", text).strip()
        if text:
            self.found.append(PageSegment(text, role, path))

    def flush(self) -> None:
        text = _SPACE.sub(" ", "".join(self.buffer)).strip()
        if text:
            bare = len(_SPACE.sub("", text))
            role = "anchor" if self.linked * 10 >= bare * 9 else self.role
            self.found.append(PageSegment(text, role, self.path))
        self.buffer.clear()
        self.linked = 0

    def walk(self, root: LexborNode) -> None:
        # An explicit stack: hostile pages nest thousands of elements deep.
        stack: list[tuple[LexborNode | None, str, str, bool, bool]] = [(root, "body", "html", False, False)]
        while stack:
            node, role, path, linked, leaving = stack.pop()
            if leaving:
                self.flush()
                self.role, self.path = role, path
                continue
            assert node is not None
            tag = node.tag
            if tag == "-text":
                text = node.text_content or ""
                self.buffer.append(text)
                if linked:
                    self.linked += len(_SPACE.sub("", text))
                continue
            if tag is None or tag.startswith("-") or tag.startswith("!") or tag in _SKIP:
                continue
            self._attributes(node, tag, path)
            linked = linked or tag == "a"
            block = tag in _BLOCK
            if block:
                self.flush()
                stack.append((None, role, path, linked, True))
                if tag == "li":
                    role = "list_item"
                elif len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
                    role = "heading"
                elif tag in _CONTROLS:
                    role = "control"
                path = path if len(path) > _MAX_DEPTH else f"{path}>{_step(node, tag)}"
                self.role, self.path = role, path
            children = []
            child = node.child
            while child is not None:
                children.append((child, role, path, linked, False))
                child = child.next
            stack.extend(reversed(children))
        self.flush()

    def _attributes(self, node: LexborNode, tag: str, path: str) -> None:
        attributes = node.attributes
        if tag in ("img", "area"):
            self.add(attributes.get("alt") or "", "image_alt", f"{path}>{tag}")
        elif tag == "input":
            self.add(attributes.get("value") or "", "control", f"{path}>input")
            self.add(attributes.get("placeholder") or "", "control", f"{path}>input")
        title = attributes.get("title")
        if title and title.strip() not in (node.text() or ""):
            self.add(title, "anchor" if tag == "a" else "image_alt", f"{path}>{tag}[title]")


def _step(node: LexborNode, tag: str) -> str:
    name = node.attributes.get("id")
    if name and re.fullmatch(r"[\w-]{1,40}", name):
        return f"{tag}#{name}"
    classes = (node.attributes.get("class") or "").split()
    if classes and re.fullmatch(r"[\w-]{1,40}", classes[0]):
        return f"{tag}.{classes[0]}"
    return tag
