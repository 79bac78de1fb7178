"""Values as rows of the tables, and rows as values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .database import Row
from .records import Entry, Event, Item, ItemFilter

ITEM_COLUMNS = (
    "id, text, verdict, severity, p, codes, stance, model_version, channel, reason, state, seen, first_seen, last_seen"
)


def item_values(id: str, entries: Sequence[Entry]) -> tuple[Any, ...]:
    """An item as it is met in ``entries``, all of the same text."""
    last = entries[-1]
    verdict = last.verdict
    reason = "flagged" if any(e.reason == "flagged" for e in entries) else last.reason
    return (
        id, verdict.text, msgspec.json.encode(verdict).decode(), verdict.severity, verdict.p_misleading,
        # Bars around each code, so that one can be looked for with LIKE.
        "".join(f"|{c.code}|" for c in verdict.codes), verdict.stance, verdict.model_version, last.channel, reason,
        len(entries), entries[0].at, last.at,
    )  # fmt: skip


def sightings_of(id: str, entries: Sequence[Entry]) -> list[tuple[Any, ...]]:
    """The places where an item was met."""
    places: dict[str, list[Entry]] = {}
    for entry in entries:
        places.setdefault(entry.page.url or "", []).append(entry)
    found = []
    for place, here in sorted(places.items()):
        first, last = here[0], here[-1]
        page = last.page
        data_id = next((e.data_id for e in reversed(here) if e.data_id is not None), None)
        found.append(
            (id, place, domain(place), page.url, page.title, page.role, page.path, data_id, last.key_id, len(here),
             first.at, last.at)
        )  # fmt: skip
    return found


def submissions_of(id: str, entries: Sequence[Entry]) -> list[tuple[Any, ...]]:
    """Who sent an item, under which ids of theirs."""
    # Only of what was held against a text can a caller complain.
    found = {(e.key_id or "", e.data_id or ""): e.at for e in entries if e.verdict.severity}
    return [(id, key, data_id, at) for (key, data_id), at in sorted(found.items())]


def domain(url: str) -> str:
    """Host name of a URL, or ``""``."""
    try:
        return (urlsplit(url).hostname or "") if url else ""
    except ValueError:
        return ""


def item_of(row: Row) -> Item:
    """An item."""
    codes = tuple(code for code in row["codes"].split("|") if code)
    return Item(**{**row, "codes": codes, "verdict": msgspec.json.decode(row["verdict"])})


def event_of(row: Row) -> Event:
    """An event with its note."""
    body = msgspec.json.decode(row["body"])
    # Events of the first schemas hold their notes themselves.
    note = row["note"] or body.pop("note", None) or ""
    return Event(**{**row, "body": body, "note": note})


def conditions(wanted: ItemFilter) -> tuple[str, list[Any]]:
    """A filter as SQL and its values; items without a text are in none."""
    parts = ["purged IS NULL"]
    values: list[Any] = []
    for column, value in (
        ("state = ?", wanted.state),
        ("state <> ?", wanted.except_state),
        ("reason = ?", wanted.reason),
        ("codes LIKE ?", f"%|{wanted.code}|%" if wanted.code else None),
        ("severity >= ?", wanted.min_severity),
        ("severity <= ?", wanted.max_severity),
        ("first_seen >= ?", wanted.since),
        ("first_seen < ?", wanted.until),
        ("id IN (SELECT item_id FROM sightings WHERE domain = ?)", wanted.domain),
    ):
        if value is not None:
            parts.append(column)
            values.append(value)
    return " AND ".join(parts), values
