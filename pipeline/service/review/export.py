"""Decisions as corpus rows, ready for ``loanlint train --extra``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ...training.corpus import CHANNELS, Row
from ...training.duplicates import han
from ..store import Event, Item, ItemFilter, Store
from .decisions import DECIDED, SECOND, decisions, label_of
from .similarity import clusters

_PAGE = 1_000
# Roles of page segments that are channels under another name.
_ROLES = {"title": "title", "heading": "title", "anchor": "anchor", "list_item": "anchor", "banner": "banner", "control": "anchor"}  # fmt: skip
_DIGITS = re.compile(r"(?<!\d)(?!13800000000)(?:(1[3-9]\d{9})|\d{17}[\dXx]|\d{16,19})(?!\d)")


def all_events(store: Store) -> dict[str, list[Event]]:
    """Events of every item, in order."""
    found: dict[str, list[Event]] = {}
    after = 0
    while some := store.events(after=after):
        for event in some:
            found.setdefault(event.item_id, []).append(event)
        after = some[-1].seq
    return found


def all_items(store: Store, wanted: ItemFilter) -> Iterator[Item]:
    """Items of a filter, whatever its limit."""
    offset = 0
    while some := store.items(ItemFilter(**{**_plain(wanted), "limit": _PAGE, "offset": offset})):
        yield from some
        offset += len(some)


def _plain(wanted: ItemFilter) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in ItemFilter.__slots__}


def mask(text: str) -> str:
    """Phone, card and identity numbers replaced: such data of real people has no place in a corpus."""
    return _DIGITS.sub(lambda m: "13800000000" if m[1] else "x" * len(m[0]), text)


def export_rows(store: Store, corpus: Sequence[Row] = ()) -> list[dict[str, Any]]:
    """One corpus row for each decided text; what is in dispute, escalated, appealed or golden is left out.

    Near-duplicates get one family, so that no split cuts them; a text whose characters stand in ``corpus`` gets that row's family.
    """
    events = all_events(store)
    items = []
    for state in (DECIDED, SECOND):
        for item in all_items(store, ItemFilter(state=state)):
            made = decisions(events.get(item.id, ()))
            if made and item.text.strip():
                items.append((item, label_of(made[-1])))
    items.sort(key=lambda pair: pair[0].id)
    texts = [mask(item.text) for item, _ in items]
    groups = clusters(texts)
    families: dict[str, str] = {han(row.text) or row.text: row.family for row in corpus}
    named: dict[int, str] = {}
    for text, group in zip(texts, groups, strict=True):
        known = families.get(han(text) or text)
        if known is not None:
            named.setdefault(group, known)
    rows: dict[str, dict[str, Any]] = {}
    for (item, label), text, group in zip(items, texts, groups, strict=True):
        key = han(text) or text
        # Equal Han characters may lie in two clusters, as trigrams see more than they: the first family holds.
        family = families.setdefault(key, named.get(group, f"review-{items[group][0].id}"))
        if text in rows:
            continue  # two texts that differed in a masked number alone
        rows[text] = {
            "id": f"review-{item.id}", "text": text, "severity": label.severity, "stance": label.stance,
            "codes": list(label.codes), "channel": _channel(store, item), "family": family,
        }  # fmt: skip
    return list(rows.values())


def _channel(store: Store, item: Item) -> str:
    if item.channel in CHANNELS:
        return str(item.channel)
    for place in store.sightings(item.id):
        if place["role"] in _ROLES:
            return _ROLES[place["role"]]
    return "web"
