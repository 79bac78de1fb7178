"""Webhooks and the messages that wait for them.

A message is written in the transaction that keeps the text it speaks of, and leaves the outbox only when the receiver has
confirmed it or all attempts are used up: it arrives at least once. Receivers recognise repeats by ``webhook-id``.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from .database import Database, Row, Transaction

if TYPE_CHECKING:
    from .store import Entry

SECRET_PREFIX = "whsec_"
EVENT_TYPE = "verdict.flagged"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver; told of verdicts at or above ``min_severity``."""

    id: str
    url: str
    secret: str
    min_severity: int
    created: float


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is due. ``attempts`` counts the ones already made."""

    id: str
    webhook: Webhook
    body: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt: ``status`` of the answer, or ``error`` where there was none."""

    message: Message
    at: float
    seconds: float
    status: int | None
    error: str | None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has confirmed."""
        return self.status is not None and 200 <= self.status < 300


def new_secret() -> str:
    """A random signing secret."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


class Outbox:
    """Webhooks, their messages and the log of deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, webhook: Webhook) -> None:
        """Keep a new webhook."""
        with self._database.transaction() as tx:
            tx.run(
                "INSERT INTO webhooks (id, url, secret, min_severity, created) VALUES (?, ?, ?, ?, ?)",
                webhook.id, webhook.url, webhook.secret, webhook.min_severity, webhook.created,
            )  # fmt: skip

    def remove(self, id: str, at: float) -> bool:
        """Tell a webhook nothing more; whether there was one."""
        with self._database.transaction() as tx:
            tx.run("UPDATE outbox SET state = 'cancelled' WHERE webhook_id = ? AND state = 'pending'", id)
            return tx.run("UPDATE webhooks SET removed = ? WHERE id = ? AND removed IS NULL", at, id) == 1

    def webhooks(self) -> list[Webhook]:
        """Webhooks in use."""
        with self._database.transaction(write=False) as tx:
            return self._webhooks(tx)

    @staticmethod
    def _webhooks(tx: Transaction) -> list[Webhook]:
        rows = tx.rows(
            "SELECT id, url, secret, min_severity, created FROM webhooks WHERE removed IS NULL ORDER BY created, id"
        )
        return [Webhook(**row) for row in rows]

    def concerns(self, entries: Sequence[Entry]) -> bool:
        """Whether ``entries`` give rise to messages."""
        worst = max((e.verdict.severity for e in entries), default=0)
        return worst > 0 and any(hook.min_severity <= worst for hook in self.webhooks())

    def post(self, tx: Transaction, entries: Sequence[Entry]) -> None:
        """Write the messages that ``entries`` give rise to."""
        worst = max((e.verdict.severity for e in entries), default=0)
        if worst == 0:
            return
        hooks = [hook for hook in self._webhooks(tx) if hook.min_severity <= worst]
        rows = []
        for hook in hooks:
            for entry in entries:
                if entry.verdict.severity >= hook.min_severity:
                    id = f"msg_{uuid.uuid4().hex}"
                    rows.append((id, hook.id, _body(entry), entry.at, entry.at))
        tx.many("INSERT INTO outbox (id, webhook_id, body, created, due) VALUES (?, ?, ?, ?, ?)", rows)

    def claim(self, now: float, seconds: float, limit: int) -> list[Message]:
        """Messages that are due; nobody else gets them for ``seconds``."""
        with self._database.transaction() as tx:
            hooks = {hook.id: hook for hook in self._webhooks(tx)}
            rows = tx.rows(
                f"""UPDATE outbox SET due = ? WHERE id IN (
                    SELECT id FROM outbox WHERE state = 'pending' AND due <= ? ORDER BY due LIMIT ?
                    {self._database.skip_locked})
                RETURNING id, webhook_id, body, attempts""",
                now + seconds, now, limit,
            )  # fmt: skip
        return [
            Message(row["id"], hooks[row["webhook_id"]], row["body"], row["attempts"])
            for row in rows
            if row["webhook_id"] in hooks
        ]

    def due(self, now: float) -> bool:
        """Whether any message waits to be sent. Cheap, and takes no lock."""
        with self._database.transaction(write=False) as tx:
            return bool(tx.rows("SELECT 1 AS n FROM outbox WHERE state = 'pending' AND due <= ? LIMIT 1", now))

    def settle(self, delivery: Delivery, retry_at: float | None) -> None:
        """Log an attempt; the message is done, tried again at ``retry_at``, or given up where that is ``None``."""
        message = delivery.message
        if delivery.delivered:
            state, due = "delivered", delivery.at
        else:
            state, due = ("pending", retry_at) if retry_at is not None else ("failed", delivery.at)
        with self._database.transaction() as tx:
            tx.run(
                """INSERT INTO deliveries (message_id, webhook_id, at, attempt, status, seconds, error)
                VALUES (?, ?, ?, ?, ?, ?, ?)""",
                message.id, message.webhook.id, delivery.at, message.attempts + 1, delivery.status, delivery.seconds,
                delivery.error,
            )  # fmt: skip
            tx.run(
                "UPDATE outbox SET state = ?, due = ?, attempts = ? WHERE id = ? AND state = 'pending'",
                state, due, message.attempts + 1, message.id,
            )  # fmt: skip

    def deliveries(self, limit: int = 100) -> list[Row]:
        """The latest attempts, newest first."""
        with self._database.transaction(write=False) as tx:
            return tx.rows(
                """SELECT message_id, webhook_id, at, attempt, status, seconds, error FROM deliveries
                ORDER BY seq DESC LIMIT ?""",
                limit,
            )

    def counts(self) -> dict[str, int]:
        """Messages by state."""
        with self._database.transaction(write=False) as tx:
            found = tx.rows("SELECT state, COUNT(*) AS n FROM outbox GROUP BY state")
        return {row["state"]: int(row["n"]) for row in found}


def _body(entry: Entry) -> str:
    page = entry.page
    return msgspec.json.encode(
        {
            "type": EVENT_TYPE,
            "timestamp": entry.at,
            "data": {
                "request_id": entry.request_id,
                "dataId": entry.data_id,
                "page": {"url": page.url, "title": page.title, "role": page.role, "path": page.path},
                "verdict": entry.verdict,
            },
        }
    ).decode()
