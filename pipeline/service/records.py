"""What the store holds, as values: texts on their way in, items, decisions, keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ..verdict import Verdict

OPEN = "open"


@dataclass(frozen=True, slots=True)
class Page:
    """Where a text stood, as the caller says."""

    url: str | None = None
    title: str | None = None
    role: str | None = None
    path: str | None = None


NO_PAGE = Page()


@dataclass(frozen=True, slots=True)
class Entry:
    """A judged text on its way into the store.

    ``reason`` is why it is kept: ``flagged``, ``sample`` or, for one that is not to be reviewed but only reported by webhook,
    ``report``.
    """

    verdict: Verdict
    reason: str
    at: float
    page: Page = NO_PAGE
    data_id: str | None = None
    channel: str | None = None
    key_id: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A decision about an item. ``kind`` names it; ``body`` holds whatever belongs to it; ``seq`` is given by the store.

    ``note`` is what a person wrote beside it: it is kept apart, so that it can be removed.
    """

    item_id: str
    actor: str
    kind: str
    body: dict[str, Any]
    at: float
    seq: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A text in the review queue. ``verdict`` is plain values as :meth:`Verdict.to_dict` gives."""

    id: str
    text: str
    verdict: dict[str, Any]
    severity: int
    p: float
    codes: tuple[str, ...]
    stance: str
    model_version: str
    channel: str | None
    reason: str
    state: str
    seen: int
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items to list; ``None`` does not filter. Newest first, or by severity where ``worst_first``."""

    state: str | None = OPEN
    except_state: str | None = None
    reason: str | None = None
    code: str | None = None
    min_severity: int | None = None
    max_severity: int | None = None
    domain: str | None = None
    since: float | None = None
    until: float | None = None
    worst_first: bool = False
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key as stored: never the key, only the digest of its secret."""

    id: str
    name: str
    scope: str
    hash: str
    rate: float | None
    created: float
    revoked: float | None


def item_id(text: str) -> str:
    """Id of the item of a text: the same text is one item, however often it is met."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
