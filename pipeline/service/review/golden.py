"""Golden items: texts whose right label is known, put among the others to measure reviewers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ...classifier import Classifier
from ...training.corpus import Row
from ..store import Entry, Event, Store
from .decisions import GOLD, GOLDEN

ACTOR = "golden"


def add_golden(store: Store, rows: Sequence[Row], classifier: Classifier) -> int:
    """Put labelled texts among the items, judged as any other; returns how many."""
    now = time.time()
    entries = []
    for row in rows:
        verdict = classifier.check(row.text, channel=row.channel)
        # Nothing but the state tells them from the others.
        entries.append(Entry(verdict, "flagged" if verdict.severity >= 2 else "sample", now, channel=row.channel))
    ids = store.plant(entries)
    events = {
        id: Event(id, ACTOR, GOLDEN, {"severity": row.severity, "stance": row.stance, "codes": list(row.codes)}, now)
        for id, row in zip(ids, rows, strict=True)
    }
    if events:
        store.record(list(events.values()), GOLD)
    return len(events)
