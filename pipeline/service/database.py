"""SQLite and PostgreSQL behind one small interface.

SQL is written once, with ``?`` for values, in what both understand (``ON CONFLICT``, ``RETURNING``). Connections are kept in
a pool and may be used from any thread, one transaction at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..errors import LoanlintError

Row = dict[str, Any]
_BUSY_SECONDS = 10


class StoreError(LoanlintError):
    """The database cannot be used."""

    code = "E_STORE"


class Transaction(Protocol):
    """Statements that are committed together."""

    def run(self, sql: str, *values: Any) -> int:
        """Run a statement; returns the number of rows it touched."""

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each row of values."""

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """Rows that a query, or a statement with ``RETURNING``, gives."""


class Database(Protocol):
    """A database: transactions, and the words in which dialects differ."""

    serial: str  # an integer key that counts up by itself
    skip_locked: str  # ends a query for rows to be changed: those that others are changing are left out
    append_only: tuple[str, ...]  # statements that make {table} refuse UPDATE and DELETE

    def transaction(self, *, write: bool = True, durable: bool = True) -> AbstractContextManager[Transaction]:
        """Gives a :class:`Transaction`; commits on leaving, rolls back on an exception.

        What is committed outlives the process in any case, and the machine's power where ``durable``.
        """

    def lock_schema(self, tx: Transaction) -> None:
        """Keep others from changing the schema until the transaction ends."""

    def settle(self) -> None:
        """Have what was removed vanish from the files as far as the database can be told to."""

    def close(self) -> None:
        """Close all connections."""


class _SqliteTransaction:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, sql: str, *values: Any) -> int:
        return self._connection.execute(sql, values).rowcount

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self._connection.executemany(sql, rows)

    def rows(self, sql: str, *values: Any) -> list[Row]:
        cursor = self._connection.execute(sql, values)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class SqliteDatabase:
    """An SQLite file in WAL mode."""

    serial = "INTEGER PRIMARY KEY AUTOINCREMENT"
    skip_locked = ""  # there is one writer at a time
    append_only: tuple[str, ...] = (
        "CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
        "CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
    )

    def __init__(self, path: str) -> None:
        self.path = path
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        file = Path(path)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Texts of users lie in it: nobody but the owner may read it.
            file.touch(mode=0o600, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: cannot be created ({error.strerror}). Give another --db.") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")
        # What is removed is to be gone from the file.
        connection.execute("PRAGMA secure_delete=ON")
        return connection

    @contextmanager
    def transaction(self, *, write: bool = True, durable: bool = True) -> Iterator[Transaction]:
        """See :class:`Database`."""
        try:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = self._connect()
            try:
                connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                # IMMEDIATE: a transaction that reads first and writes later must not fail half-way.
                connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield _SqliteTransaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._idle.put(connection)
                raise
            self._idle.put(connection)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    def lock_schema(self, tx: Transaction) -> None:
        """Nothing to do: an immediate transaction keeps other writers out."""

    def settle(self) -> None:
        """Empty the write-ahead log, which holds pages as they were."""
        try:
            connection = self._connect()
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """See :class:`Database`."""
        while not self._idle.empty():
            self._idle.get_nowait().close()


class _PostgresTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, sql: str, *values: Any) -> int:
        count: int = self._connection.execute(sql.replace("?", "%s"), values or None).rowcount
        return count

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), rows)

    def rows(self, sql: str, *values: Any) -> list[Row]:
        found: list[Row] = self._connection.execute(sql.replace("?", "%s"), values or None).fetchall()
        return found


class PostgresDatabase:
    """A PostgreSQL database named by a URL."""

    serial = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    skip_locked = "FOR UPDATE SKIP LOCKED"
    append_only: tuple[str, ...] = (
        "CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        "CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
    )
    _SCHEMA_LOCK = 7_102_331

    def __init__(self, url: str) -> None:
        try:
            import psycopg
            from psycopg.rows import dict_row
        except ImportError as error:
            raise StoreError(
                "PostgreSQL needs the extra 'service': pip install 'loanlint[service]'", code="E_USAGE_EXTRA"
            ) from error
        self._url = url
        self._psycopg = psycopg
        self._dict_row = dict_row
        self._idle: LifoQueue[Any] = LifoQueue()
        parts = urlsplit(url)
        # For messages: never the password.
        self.path = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"

    @contextmanager
    def transaction(self, *, write: bool = True, durable: bool = True) -> Iterator[Transaction]:
        """See :class:`Database`; every commit is durable, as a server that is killed would lose others."""
        errors = self._psycopg
        connection = None
        try:
            connection = self._take()
            with connection.transaction():
                yield _PostgresTransaction(connection)
        except errors.Error as error:
            raise StoreError(f"{self.path}: {str(error).strip() or type(error).__name__}") from error
        finally:
            if connection is not None and not connection.closed:
                self._idle.put(connection)

    def _take(self) -> Any:
        while True:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                return self._psycopg.connect(
                    self._url, autocommit=True, row_factory=self._dict_row, connect_timeout=_BUSY_SECONDS
                )
            try:
                # The server may have been restarted since: a dead connection is dropped, not used.
                connection.execute("SELECT 1")
            except self._psycopg.Error:
                connection.close()
                continue
            return connection

    def lock_schema(self, tx: Transaction) -> None:
        """See :class:`Database`."""
        tx.rows("SELECT pg_advisory_xact_lock(?)", self._SCHEMA_LOCK)

    def settle(self) -> None:
        """Nothing to do: the server's vacuum clears removed rows away."""

    def close(self) -> None:
        """See :class:`Database`."""
        while not self._idle.empty():
            self._idle.get_nowait().close()


def open_database(name: str) -> Database:
    """The database of a path or a ``postgresql://`` URL."""
    scheme = urlsplit(name).scheme
    if scheme in ("postgresql", "postgres"):
        return PostgresDatabase(name)
    if scheme == "sqlite":
        return SqliteDatabase(name.removeprefix("sqlite://"))
    if len(scheme) > 1:
        raise StoreError(
            f"--db {scheme}://…: unknown kind of database. Give a file path or postgresql://user@host/name."
        )
    return SqliteDatabase(name)
