"""The tables of the store, and their versions.

Times are seconds since 1970. An item is a text (its id is the digest of the text); a sighting is a place where the text
was met, a submission that a caller sent it, under an id of theirs; an event is a decision about an item and is never changed or
removed, a note the words beside it. An item that was ``purged`` has lost its text.
"""

from __future__ import annotations

from .database import Database, StoreError

# One entry a schema version, applied in order. Never edit an entry that was released: add one.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE keys (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, scope TEXT NOT NULL, hash TEXT NOT NULL,
            rate DOUBLE PRECISION, created DOUBLE PRECISION NOT NULL, revoked DOUBLE PRECISION)""",
        """CREATE TABLE items (
            id TEXT PRIMARY KEY, text TEXT NOT NULL, verdict TEXT NOT NULL, severity INTEGER NOT NULL,
            p DOUBLE PRECISION NOT NULL, codes TEXT NOT NULL, stance TEXT NOT NULL, model_version TEXT NOT NULL,
            channel TEXT, reason TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open', seen BIGINT NOT NULL,
            first_seen DOUBLE PRECISION NOT NULL, last_seen DOUBLE PRECISION NOT NULL)""",
        "CREATE INDEX items_open ON items (state, severity, first_seen)",
        """CREATE TABLE sightings (
            item_id TEXT NOT NULL REFERENCES items (id), place TEXT NOT NULL, domain TEXT NOT NULL, url TEXT, title TEXT,
            role TEXT, path TEXT, data_id TEXT, key_id TEXT, count BIGINT NOT NULL,
            first_seen DOUBLE PRECISION NOT NULL, last_seen DOUBLE PRECISION NOT NULL, PRIMARY KEY (item_id, place))""",
        "CREATE INDEX sightings_domain ON sightings (domain)",
        """CREATE TABLE events (
            seq {serial}, item_id TEXT NOT NULL REFERENCES items (id), at DOUBLE PRECISION NOT NULL,
            actor TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL)""",
        "CREATE INDEX events_item ON events (item_id, seq)",
        "{append_only:events}",
        """CREATE TABLE leases (
            item_id TEXT PRIMARY KEY REFERENCES items (id), holder TEXT NOT NULL, expires DOUBLE PRECISION NOT NULL)""",
        """CREATE TABLE webhooks (
            id TEXT PRIMARY KEY, url TEXT NOT NULL, secret TEXT NOT NULL, min_severity INTEGER NOT NULL,
            created DOUBLE PRECISION NOT NULL, removed DOUBLE PRECISION)""",
        """CREATE TABLE outbox (
            id TEXT PRIMARY KEY, webhook_id TEXT NOT NULL REFERENCES webhooks (id), body TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0, created DOUBLE PRECISION NOT NULL,
            due DOUBLE PRECISION NOT NULL)""",
        "CREATE INDEX outbox_due ON outbox (state, due)",
        """CREATE TABLE deliveries (
            seq {serial}, message_id TEXT NOT NULL, webhook_id TEXT NOT NULL, at DOUBLE PRECISION NOT NULL,
            attempt INTEGER NOT NULL, status INTEGER, seconds DOUBLE PRECISION NOT NULL, error TEXT)""",
        """CREATE TABLE activations (
            seq {serial}, at DOUBLE PRECISION NOT NULL, role TEXT NOT NULL, path TEXT, version TEXT,
            fraction DOUBLE PRECISION)""",
        """CREATE TABLE shadow_counts (
            active TEXT NOT NULL, candidate TEXT NOT NULL, active_severity INTEGER NOT NULL,
            candidate_severity INTEGER NOT NULL, count BIGINT NOT NULL, difference DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (active, candidate, active_severity, candidate_severity))""",
        """CREATE TABLE shadow_examples (
            active TEXT NOT NULL, candidate TEXT NOT NULL, item TEXT NOT NULL, text TEXT NOT NULL,
            active_severity INTEGER NOT NULL, candidate_severity INTEGER NOT NULL, active_p DOUBLE PRECISION NOT NULL,
            candidate_p DOUBLE PRECISION NOT NULL, at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (active, candidate, item))""",
    ),
    (
        """CREATE TABLE sessions (
            id TEXT PRIMARY KEY, key_id TEXT NOT NULL REFERENCES keys (id), expires DOUBLE PRECISION NOT NULL)""",
        "CREATE INDEX events_actor ON events (actor, kind)",
    ),
    (
        # What people wrote beside an event. Not in the event, which can never be removed.
        "CREATE TABLE notes (seq BIGINT PRIMARY KEY, item_id TEXT NOT NULL REFERENCES items (id), note TEXT NOT NULL)",
        "CREATE INDEX notes_item ON notes (item_id)",
        """CREATE TABLE submissions (
            item_id TEXT NOT NULL REFERENCES items (id), key_id TEXT NOT NULL, data_id TEXT NOT NULL,
            last_seen DOUBLE PRECISION NOT NULL, PRIMARY KEY (item_id, key_id, data_id))""",
        "CREATE INDEX submissions_data_id ON submissions (data_id)",
        "ALTER TABLE items ADD COLUMN purged DOUBLE PRECISION",
    ),
)


def migrate(database: Database) -> None:
    """Bring the tables up to date. Safe to run from several processes at once."""
    with database.transaction() as tx:
        database.lock_schema(tx)
        tx.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        found = tx.rows("SELECT version FROM schema_version")
        version = found[0]["version"] if found else 0
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the database has schema {version}, this loanlint knows {len(MIGRATIONS)}. Upgrade loanlint.",
                code="E_STORE_SCHEMA",
            )
        if version == len(MIGRATIONS):
            return
        for migration in MIGRATIONS[version:]:
            for statement in migration:
                for part in _statements(statement, database):
                    tx.run(part)
        tx.run("DELETE FROM schema_version")
        tx.run("INSERT INTO schema_version (version) VALUES (?)", len(MIGRATIONS))


def _statements(statement: str, database: Database) -> list[str]:
    if statement.startswith("{append_only:"):
        table = statement.removeprefix("{append_only:").removesuffix("}")
        return [part.format(table=table) for part in database.append_only]
    return [statement.replace("{serial}", database.serial)]
