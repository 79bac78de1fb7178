"""What the service remembers: keys, texts to review, decisions, leases.

Everything here may be called from any thread. A call that returns has been committed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from .database import Row, StoreError, Transaction, open_database
from .outbox import Outbox
from .records import NO_PAGE, Entry, Event, Item, ItemFilter, KeyRow, Page, item_id
from .registry import Registry
from .rows import ITEM_COLUMNS, conditions, event_of, item_of, item_values, sightings_of, submissions_of
from .tables import migrate

__all__ = ["NO_PAGE", "Changed", "Entry", "Event", "Item", "ItemFilter", "KeyRow", "Page", "Store", "item_id"]


class Changed(StoreError):
    """An item is no longer in the state that a decision was made for."""

    code = "E_REVIEW_CHANGED"


class Store:
    """The store of a path or URL; makes and upgrades its tables."""

    def __init__(self, name: str) -> None:
        self.database = open_database(name)
        try:
            migrate(self.database)
        except BaseException:
            self.database.close()
            raise
        self.outbox = Outbox(self.database)
        self.registry = Registry(self.database)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def ping(self) -> None:
        """Raise ``StoreError`` if the database does not answer."""
        with self.database.transaction(write=False) as tx:
            tx.rows("SELECT version FROM schema_version")

    # ---------------------------------------------------------------- keys

    def add_key(self, key: KeyRow) -> None:
        """Keep a new key."""
        with self.database.transaction() as tx:
            tx.run(
                "INSERT INTO keys (id, name, scope, hash, rate, created, revoked) VALUES (?, ?, ?, ?, ?, ?, NULL)",
                key.id, key.name, key.scope, key.hash, key.rate, key.created,
            )  # fmt: skip

    def all_keys(self) -> list[KeyRow]:
        """All keys, revoked ones too."""
        with self.database.transaction(write=False) as tx:
            found = tx.rows("SELECT id, name, scope, hash, rate, created, revoked FROM keys ORDER BY created, id")
        return [KeyRow(**row) for row in found]

    def revoke_key(self, id: str, at: float) -> bool:
        """Refuse a key from now on; whether there was such a key in use."""
        with self.database.transaction() as tx:
            return tx.run("UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", at, id) == 1

    # ---------------------------------------------------------------- texts coming in

    def ingest(self, entries: Sequence[Entry]) -> None:
        """Keep judged texts, and one webhook message for each text and webhook it concerns, in one transaction."""
        # Waiting for the disk would double the time of an answer: it is worth it for a promised message.
        with self.database.transaction(durable=self.outbox.concerns(entries)) as tx:
            self._keep(tx, entries)
            self.outbox.post(tx, entries)

    def plant(self, entries: Sequence[Entry]) -> list[str]:
        """Keep texts that nobody sent, such as golden ones: no webhook is told. Returns their ids, in order."""
        with self.database.transaction() as tx:
            self._keep(tx, entries)
        return [item_id(entry.verdict.text) for entry in entries]

    @staticmethod
    def _keep(tx: Transaction, entries: Sequence[Entry]) -> None:
        kept: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.reason != "report":
                kept.setdefault(item_id(entry.verdict.text), []).append(entry)
        # In the order of ids: two processes that write the same items must not wait for each other.
        ids = sorted(kept)
        tx.many(
            """INSERT INTO items (id, text, verdict, severity, p, codes, stance, model_version, channel, reason, seen,
                first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET seen = items.seen + excluded.seen, last_seen = excluded.last_seen,
                verdict = excluded.verdict, severity = excluded.severity, p = excluded.p, codes = excluded.codes,
                stance = excluded.stance, model_version = excluded.model_version, text = excluded.text,
                channel = COALESCE(items.channel, excluded.channel), purged = NULL""",
            [item_values(id, kept[id]) for id in ids],
        )
        tx.many(
            """INSERT INTO sightings (item_id, place, domain, url, title, role, path, data_id, key_id, count, first_seen,
                last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (item_id, place) DO UPDATE SET count = sightings.count + excluded.count,
                last_seen = excluded.last_seen, data_id = COALESCE(excluded.data_id, sightings.data_id)""",
            [values for id in ids for values in sightings_of(id, kept[id])],
        )
        tx.many(
            """INSERT INTO submissions (item_id, key_id, data_id, last_seen) VALUES (?, ?, ?, ?)
            ON CONFLICT (item_id, key_id, data_id) DO UPDATE SET last_seen = excluded.last_seen""",
            [values for id in ids for values in submissions_of(id, kept[id])],
        )

    # ---------------------------------------------------------------- review

    def item(self, id: str) -> Item | None:
        """One item that still has its text."""
        with self.database.transaction(write=False) as tx:
            found = tx.rows(f"SELECT {ITEM_COLUMNS} FROM items WHERE id = ? AND purged IS NULL", id)
        return item_of(found[0]) if found else None

    def items(self, wanted: ItemFilter) -> list[Item]:
        """Items of a filter."""
        where, values = conditions(wanted)
        order = "severity DESC, p DESC, first_seen DESC" if wanted.worst_first else "first_seen DESC, id"
        with self.database.transaction(write=False) as tx:
            found = tx.rows(
                f"SELECT {ITEM_COLUMNS} FROM items WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",
                *values, wanted.limit, wanted.offset,
            )  # fmt: skip
        return [item_of(row) for row in found]

    def count(self, wanted: ItemFilter) -> int:
        """How many items a filter finds, whatever its limit."""
        where, values = conditions(wanted)
        with self.database.transaction(write=False) as tx:
            return int(tx.rows(f"SELECT COUNT(*) AS n FROM items WHERE {where}", *values)[0]["n"])

    def sightings(self, id: str) -> list[Row]:
        """Places where the text of an item was met, latest first."""
        with self.database.transaction(write=False) as tx:
            return tx.rows(
                """SELECT url, domain, title, role, path, data_id, count, first_seen, last_seen FROM sightings
                WHERE item_id = ? ORDER BY last_seen DESC LIMIT 100""",
                id,
            )

    def available(self, wanted: ItemFilter, actor: str, now: float) -> list[Item]:
        """Items of a filter that nobody else holds and that ``actor`` has neither decided nor skipped."""
        where, values = conditions(wanted)
        order = "severity DESC, p DESC, first_seen DESC" if wanted.worst_first else "first_seen DESC, id"
        with self.database.transaction(write=False) as tx:
            found = tx.rows(
                f"""SELECT {ITEM_COLUMNS} FROM items WHERE {where}
                AND NOT EXISTS (SELECT 1 FROM leases l
                    WHERE l.item_id = items.id AND l.holder <> ? AND l.expires > ?)
                AND NOT EXISTS (SELECT 1 FROM events e
                    WHERE e.item_id = items.id AND e.actor = ? AND e.kind IN ('decide', 'skip', 'escalate')
                    AND NOT EXISTS (SELECT 1 FROM events u
                        WHERE u.item_id = e.item_id AND u.actor = e.actor AND u.kind = 'undo' AND u.seq > e.seq))
                ORDER BY {order} LIMIT ?""",
                *values, actor, now, actor, wanted.limit,
            )  # fmt: skip
        return [item_of(row) for row in found]

    def tally(self, *, purged: bool = False) -> dict[str, int]:
        """How many items there are of each state; with ``purged``, also those whose text is gone."""
        where = "" if purged else "WHERE purged IS NULL"
        with self.database.transaction(write=False) as tx:
            found = tx.rows(f"SELECT state AS name, COUNT(*) AS n FROM items {where} GROUP BY state")
        return {row["name"]: int(row["n"]) for row in found}

    def decisions_by(self, actor: str) -> int:
        """How many decisions ``actor`` has made, undone ones too."""
        with self.database.transaction(write=False) as tx:
            return int(tx.rows("SELECT COUNT(*) AS n FROM events WHERE actor = ? AND kind = 'decide'", actor)[0]["n"])

    def record(
        self, events: Sequence[Event], state: str | Mapping[str, str] | None, was: Mapping[str, str] | None = None
    ) -> list[int]:
        """Append decisions and put their items into ``state`` (by item where it is a mapping; ``None`` leaves it).

        ``was`` gives the states that the decisions were made for; raises :class:`Changed` where one is another by now.
        Returns the numbers of the events. All or none. When this returns, the decisions are on disk.
        """
        with self.database.transaction() as tx:
            ids = sorted({event.item_id for event in events})
            for id in ids if was is not None else ():
                assert was is not None
                # Touched, so that no other process changes it until this is over.
                if not tx.run("UPDATE items SET state = state WHERE id = ? AND state = ?", id, was[id]):
                    raise Changed(f"item {id} has changed")
            numbers = [self.append(tx, event) for event in events]
            if state is not None:
                by_item = dict.fromkeys(ids, state) if isinstance(state, str) else state
                tx.many("UPDATE items SET state = ? WHERE id = ?", [(by_item[id], id) for id in ids])
                tx.many("DELETE FROM leases WHERE item_id = ?", [(id,) for id in ids])
        return numbers

    @staticmethod
    def append(tx: Transaction, event: Event) -> int:
        """Append a decision within a transaction; returns its number."""
        body = msgspec.json.encode(event.body).decode()
        found = tx.rows(
            "INSERT INTO events (item_id, at, actor, kind, body) VALUES (?, ?, ?, ?, ?) RETURNING seq",
            event.item_id, event.at, event.actor, event.kind, body,
        )  # fmt: skip
        seq = int(found[0]["seq"])
        if event.note:
            tx.run("INSERT INTO notes (seq, item_id, note) VALUES (?, ?, ?)", seq, event.item_id, event.note)
        return seq

    def events(self, id: str | None = None, *, after: int = 0, limit: int = 10_000) -> list[Event]:
        """Decisions in the order they were made: of one item, or of all."""
        with self.database.transaction(write=False) as tx:
            return self.events_in(tx, id, after=after, limit=limit)

    @staticmethod
    def events_in(tx: Transaction, id: str | None = None, *, after: int = 0, limit: int = 10_000) -> list[Event]:
        """:meth:`events` within a transaction."""
        where, values = ("AND e.item_id = ?", (id,)) if id is not None else ("", ())
        found = tx.rows(
            f"""SELECT e.seq, e.item_id, e.at, e.actor, e.kind, e.body, n.note FROM events e
            LEFT JOIN notes n ON n.seq = e.seq WHERE e.seq > ? {where} ORDER BY e.seq LIMIT ?""",
            after, *values, limit,
        )  # fmt: skip
        return [event_of(row) for row in found]

    def lease(self, ids: Sequence[str], holder: str, seconds: float, now: float | None = None) -> list[str]:
        """Take items for one reviewer; returns those that nobody else holds. Taking again prolongs."""
        now = time.time() if now is None else now
        taken: list[str] = []
        with self.database.transaction() as tx:
            for id in sorted(set(ids)):
                found = tx.rows(
                    """INSERT INTO leases (item_id, holder, expires) VALUES (?, ?, ?)
                    ON CONFLICT (item_id) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
                    WHERE leases.holder = excluded.holder OR leases.expires <= ? RETURNING item_id""",
                    id, holder, now + seconds, now,
                )  # fmt: skip
                taken.extend(row["item_id"] for row in found)
        return [id for id in ids if id in set(taken)]

    def release(self, ids: Sequence[str], holder: str) -> None:
        """Give items back."""
        with self.database.transaction() as tx:
            tx.many("DELETE FROM leases WHERE item_id = ? AND holder = ?", [(id, holder) for id in sorted(ids)])

    def leases(self, now: float) -> dict[str, str]:
        """Items that are taken, and by whom."""
        with self.database.transaction(write=False) as tx:
            found = tx.rows("SELECT item_id, holder FROM leases WHERE expires > ?", now)
        return {row["item_id"]: row["holder"] for row in found}
