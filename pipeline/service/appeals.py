"""Appeals that callers file against verdicts they got, and what came of them.

An appeal is an event, as a decision is. The text goes to the front of the review queue, whether or not somebody has decided on
it. Filing the same appeal again changes nothing and tells how it stands.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from .auth import Principal
from .database import Row, Transaction
from .problems import ApiError
from .review.decisions import APPEAL, APPEALED, DECIDED, OPEN, SECOND, effective, outcome_of
from .store import Event, Store

_NOBODY = "api"  # stands in events where the service is open
_MOST = 100


class Appeal(msgspec.Struct):
    """How an appeal stands. ``severity`` is what a reviewer decided, once ``state`` is ``decided``."""

    item: str
    appeal: int
    state: Literal["waiting", "decided"]
    outcome: Literal["upheld", "changed"] | None = None
    severity: int | None = None


class AppealResponse(msgspec.Struct):
    """The appeals that a request stands for."""

    id: str
    appeals: list[Appeal]


class Appeals:
    """Files appeals. Safe to use from any thread and process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def file(self, who: Principal, data_id: str | None, item: str | None, note: str, now: float) -> list[Appeal]:
        """File an appeal for every text that ``who`` sent under ``data_id``, or for one ``item``; give one of the two.

        Keys of one name are one caller, so that a key may be replaced; one that may review can appeal for anybody.
        Raises ``ApiError`` 404 where nothing of theirs is kept. All or none is filed.
        """
        if (data_id is None) == (item is None):
            raise ApiError("appeal_of_what", param="dataId")
        with self._store.database.transaction() as tx:
            column, value = ("data_id", data_id) if data_id is not None else ("item_id", item)
            rows = self._sent(tx, who, column, value or "")
            if not rows:
                raise ApiError(
                    "appeal_unknown", name="dataId" if data_id is not None else "item", param="dataId" if data_id is not None else "item"
                )  # fmt: skip
            # In the order of ids, as all who change several items do.
            return [
                self._file(tx, row["id"], who, data_id, note, now) for row in sorted(rows, key=lambda r: str(r["id"]))
            ]

    @staticmethod
    def _sent(tx: Transaction, who: Principal, column: str, value: str) -> list[Row]:
        anybody = who.key_id is not None and who.may("review")
        return tx.rows(
            f"""SELECT i.id, MAX(s.last_seen) AS latest FROM submissions s JOIN items i ON i.id = s.item_id
            WHERE i.purged IS NULL AND s.{column} = ?
            AND (1 = ? OR s.key_id = ? OR s.key_id IN (SELECT k.id FROM keys k WHERE k.name = ?))
            GROUP BY i.id ORDER BY latest DESC, i.id LIMIT ?""",
            value, int(anybody), who.key_id or "", who.name if who.key_id else "", _MOST,
        )  # fmt: skip

    def _file(self, tx: Transaction, id: str, who: Principal, data_id: str | None, note: str, now: float) -> Appeal:
        # Touched, so that no other process changes it until this is over.
        tx.run("UPDATE items SET state = state WHERE id = ?", id)
        state = str(tx.rows("SELECT state FROM items WHERE id = ?", id)[0]["state"])
        # A digest: ids of callers may name people, and an event is never removed.
        of = hashlib.sha256(data_id.encode()).hexdigest()[:24] if data_id is not None else ""
        rest = effective(self._store.events_in(tx, id))
        for at, event in enumerate(rest):
            if event.kind == APPEAL and (event.body.get("by"), event.body.get("of")) == (who.name, of):
                return _standing(rest, at, state)
        # Whoever decides next decides on the appeal, too, where the text waits for somebody already.
        after = APPEALED if state in (OPEN, SECOND, DECIDED) else state
        event = Event(id, who.key_id or _NOBODY, APPEAL, {"by": who.name, "of": of, "before": state}, now, note=note)
        seq = self._store.append(tx, event)
        tx.run("UPDATE items SET state = ? WHERE id = ?", after, id)
        return Appeal(id, seq, "waiting")


def _standing(rest: list[Event], at: int, state: str) -> Appeal:
    outcome = outcome_of(rest, at) if state == DECIDED else None
    found = Appeal(rest[at].item_id, rest[at].seq, "waiting")
    if outcome is not None:
        found.state, found.severity = "decided", outcome.label.severity
        found.outcome = "upheld" if outcome.upheld else "changed"
    return found
