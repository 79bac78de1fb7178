"""Old texts removed, with all that was said with them; decisions and counts stay."""

from __future__ import annotations

from dataclasses import dataclass

from .database import Transaction
from .store import Store

_BATCH = 500
# Texts that were neither met nor decided on since, that nobody is looking at; golden items are no user's.
_OLD = """purged IS NULL AND state <> 'golden' AND last_seen < ?
    AND NOT EXISTS (SELECT 1 FROM events e WHERE e.item_id = items.id AND e.at >= ?)
    AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.item_id = items.id AND l.expires > ?)"""
_THROUGH = "created < ? AND state <> 'pending'"


@dataclass(frozen=True, slots=True)
class Purge:
    """What was removed, or would be: texts, by state; examples of shadow scoring; webhook messages that are through."""

    texts: dict[str, int]
    examples: int
    messages: int


def count_old(store: Store, before: float, now: float) -> Purge:
    """What :func:`purge` would remove."""
    with store.database.transaction(write=False) as tx:
        rows = tx.rows(
            f"SELECT state, COUNT(*) AS n FROM items WHERE {_OLD} GROUP BY state ORDER BY state", before, before, now
        )
        examples = tx.rows("SELECT COUNT(*) AS n FROM shadow_examples WHERE at < ?", before)[0]["n"]
        messages = tx.rows(f"SELECT COUNT(*) AS n FROM outbox WHERE {_THROUGH}", before)[0]["n"]
    return Purge({row["state"]: int(row["n"]) for row in rows}, int(examples), int(messages))


def purge(store: Store, before: float, now: float) -> Purge:
    """Remove texts neither met nor decided on since ``before``, with verdicts, places, callers' ids and reviewers' notes.

    A row without any text stays for each, so that the text is known again by its digest and reports still add up.
    Safe beside running services: what comes in meanwhile is kept.
    """
    texts: dict[str, int] = {}
    while True:
        with store.database.transaction() as tx:
            found = tx.rows(
                f"""UPDATE items SET text = '', verdict = '{{}}', channel = NULL, purged = ?
                WHERE id IN (SELECT id FROM items WHERE {_OLD} ORDER BY id LIMIT ?
                    {store.database.skip_locked}) AND last_seen < ? AND purged IS NULL
                RETURNING id, state""",
                now, before, before, now, _BATCH, before,
            )  # fmt: skip
            for row in found:
                _forget(tx, row["id"])
                texts[row["state"]] = texts.get(row["state"], 0) + 1
        if not found:
            break
    with store.database.transaction() as tx:
        examples = tx.run("DELETE FROM shadow_examples WHERE at < ?", before)
        messages = tx.run(f"DELETE FROM outbox WHERE {_THROUGH}", before)
    store.database.settle()
    return Purge(texts, examples, messages)


def _forget(tx: Transaction, id: str) -> None:
    for table in ("sightings", "submissions", "notes", "leases"):
        tx.run(f"DELETE FROM {table} WHERE item_id = ?", id)
