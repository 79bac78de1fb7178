"""API keys: made, kept as digests, compared in constant time; and what each may do.

A key is ``ll_<id>_<secret>``. The secret is 32 random bytes, so that a plain SHA-256 of it cannot be searched for.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .store import KeyRow

# Each scope may do what those before it may.
SCOPES = ("score", "review", "admin")
_FORM = re.compile(r"ll_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request: a key, or anyone where the service is open (``key_id`` is then ``None``)."""

    key_id: str | None
    name: str
    scope: str
    rate: float | None

    def may(self, scope: str) -> bool:
        """Whether this is allowed to do what ``scope`` is for."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


ANYONE = Principal(None, "", "admin", None)


def new_key(name: str, scope: str, rate: float | None = None, at: float | None = None) -> tuple[str, KeyRow]:
    """A new key, to be shown once, and the row to keep."""
    id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    created = time.time() if at is None else at
    return f"ll_{id}_{secret}", KeyRow(id, name, scope, _digest(secret), rate, created, None)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyRing:
    """The keys in use, as last read from the store."""

    def __init__(self, rows: Sequence[KeyRow]) -> None:
        self._keys: Mapping[str, KeyRow] = {row.id: row for row in rows if row.revoked is None}
        self.ever_used = bool(rows)

    def __len__(self) -> int:
        return len(self._keys)

    def knows(self, token: str) -> bool:
        """Whether the id of the key is known; says nothing of its secret."""
        match = _FORM.fullmatch(token)
        return match is not None and match[1] in self._keys

    def holder(self, key_id: str) -> Principal | None:
        """Whose key has this id, while it is in use: for sessions, whose key was checked when they began."""
        row = self._keys.get(key_id)
        return Principal(row.id, row.name, row.scope, row.rate) if row else None

    def principal(self, token: str) -> Principal | None:
        """Whose key this is; ``None`` if nobody's."""
        match = _FORM.fullmatch(token)
        row = self._keys.get(match[1]) if match else None
        # The digest is computed and compared whether or not the id is known.
        given = _digest(match[2] if match else token)
        same = hmac.compare_digest(given, row.hash if row else _NOBODY)
        if row is None or not same:
            return None
        return Principal(row.id, row.name, row.scope, row.rate)
