"""Pages made from templates, with headers that keep anything in a text from acting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from ... import __version__
from ...taxonomy import SEVERITY_LABELS, taxonomy
from .decisions import REASONS, STATES
from .marking import Piece, marked, pieces, visible

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    # Not no-referrer: browsers then send forms without their origin, which is checked.
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_STATE_NAMES = {
    "open": ("待审", "open"), "second": ("待复审", "second review"), "conflict": ("意见不一", "in dispute"),
    "appeal": ("申诉", "appealed"), "escalated": ("已上报", "escalated"), "decided": ("已审", "decided"), "golden": ("待审", "open"),
}  # fmt: skip
_KIND_NAMES = {
    "accept": ("接受", "accepted"), "overturn": ("推翻", "overturned"), "change": ("更改", "changed"), "skip": ("跳过", "skipped"),
    "escalate": ("上报", "escalated"), "appeal": ("申诉", "appealed"), "undo": ("撤销", "undone"), "golden": ("", ""),
}  # fmt: skip


_DISGUISE_NAMES = {
    "zero_width": ("零宽字符", "zero-width characters"), "separator": ("插入符号", "separators"), "homophone": ("谐音", "homophone"),
    "pinyin": ("拼音", "pinyin"), "pinyin_gloss": ("拼音注音", "pinyin beside it"), "split_character": ("拆字", "split character"),
    "traditional": ("繁体", "traditional script"), "variant_glyph": ("异体字形", "variant glyph"), "emoji": ("表情符号", "emoji"),
    "known_spelling": ("变体写法", "known spelling"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """Text in the language of the reader: ``t("中文", "English")``."""

    lang: str

    def __call__(self, zh: str, en: str) -> str:
        """The one of the two that is wanted."""
        return zh if self.lang == "zh" else en

    def named(self, thing: Any) -> str:
        """The name of a code, stance, action, severity or reason."""
        return str(thing.zh if self.lang == "zh" else thing.en)

    def state(self, name: str) -> str:
        """The name of a state."""
        return self(*_STATE_NAMES.get(name, (name, name)))

    def disguise(self, name: str) -> str:
        """The name of a way to disguise words."""
        return self(*_DISGUISE_NAMES.get(name, (name, name)))

    def kind(self, name: str) -> str:
        """The name of what was done."""
        return self(*_KIND_NAMES.get(name, (name, name)))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(visible=visible, moment=_moment, percent=_percent)
    environment.globals.update(
        taxonomy=taxonomy(), reasons=REASONS, states=STATES, severity_labels=SEVERITY_LABELS, version=__version__, pieces=_inert,
    )  # fmt: skip
    return environment


def _inert(text: str) -> list[Piece]:
    return pieces(text)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def page(template: str, lang: str, values: dict[str, Any], status: int = 200) -> Response:
    """A page. ``values`` may hold any text: templates escape it."""
    t = Words(lang)
    body = _environment().get_template(template).render(t=t, lang=lang, **values)
    return Response(body, status, headers=HEADERS, media_type="text/html")


def marks(verdict: dict[str, Any], lang: str) -> list[Piece]:
    """The text of a verdict in pieces, codes and disguises named in the reader's language."""
    t = Words(lang)
    names = {id: t.named(code) for id, code in taxonomy().codes.items()}
    return marked(verdict, {**names, **{kind: t.disguise(kind) for kind in _DISGUISE_NAMES}})


def legal_titles(lang: str) -> Callable[[Sequence[dict[str, Any]]], list[str]]:
    """Names the legal references of a verdict in the reader's language, a line for each instrument with its articles."""
    known = {(ref.id, ref.article): ref for ref in taxonomy().references.values()}
    t = Words(lang)

    def names(notes: Sequence[dict[str, Any]]) -> list[str]:
        found: dict[str, list[str]] = {}
        for note in notes:
            ref = known.get((note["id"], note["article"]))
            title = str(note["title"]) if ref is None else (ref.title_zh if lang == "zh" else ref.title_en)
            mark = t("(未核实)", " (not confirmed)") if note["verified"] == "unconfirmed" else ""
            if note["article"]:
                found.setdefault(title, []).append(note["article"] + mark)
            else:
                found.setdefault(title + mark, [])
        return [
            title + (t(f" 第 {'、'.join(articles)} 条", f", art. {', '.join(articles)}") if articles else "")
            for title, articles in found.items()
        ]

    return names


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Content and type of the files pages refer to."""
    found = {}
    for file in (files(__package__) / "static").iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = (file.read_bytes(), kind)
    return found
