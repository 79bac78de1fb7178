"""Reviewers' sessions: a cookie, and a token in every form that no other site can know.

With keys, a session begins by giving one and lasts as long as that key is in use; of the cookie only a digest is stored. Without
keys the cookie only tells reviewers apart.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from ..auth import Principal
from ..service import Service
from ..settings import LOOPBACK

COOKIE = "loanlint_session"
SESSION_SECONDS = 12 * 3600.0
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Session:
    """Who is at the page. ``actor`` stands in events; ``fresh`` sessions still have to be sent as a cookie."""

    token: str
    actor: str
    principal: Principal
    fresh: bool = False

    @property
    def csrf(self) -> str:
        """What forms of this session carry."""
        return hmac.new(self.token.encode(), b"loanlint csrf", hashlib.sha256).hexdigest()

    def sent(self, given: str) -> bool:
        """Whether a form comes from a page of this session."""
        return hmac.compare_digest(self.csrf.encode(), given.encode("utf-8", "replace"))


def new_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def begin(service: Service, principal: Principal, now: float) -> str:
    """A session of a key; returns the cookie. Sessions that are over are thrown away."""
    token = new_token()
    with service.store.database.transaction() as tx:
        tx.run("DELETE FROM sessions WHERE expires <= ?", now)
        tx.run(
            "INSERT INTO sessions (id, key_id, expires) VALUES (?, ?, ?)",
            _digest(token), principal.key_id, now + SESSION_SECONDS,
        )  # fmt: skip
    return token


def end(service: Service, token: str) -> None:
    """Forget a session."""
    with service.store.database.transaction() as tx:
        tx.run("DELETE FROM sessions WHERE id = ?", _digest(token))


def find(service: Service, token: str | None, now: float) -> Session | None:
    """The session of a cookie; where the service is open, one of nobody in particular; else ``None``."""
    if token is not None and not _FORM.fullmatch(token):
        token = None
    if token is not None and len(service.ring):
        with service.store.database.transaction(write=False) as tx:
            rows = tx.rows("SELECT key_id FROM sessions WHERE id = ? AND expires > ?", _digest(token), now)
        holder = service.ring.holder(rows[0]["key_id"]) if rows else None
        if holder is not None:
            return Session(token, str(holder.key_id), holder)
    if not service.open:
        return None
    kept = token or new_token()
    actor = f"guest-{_digest(kept)[:8]}"
    return Session(kept, actor, Principal(None, actor, "admin", None), fresh=token is None)


def cookie(token: str, host: str, seconds: float = SESSION_SECONDS) -> str:
    """The ``Set-Cookie`` header. Over the network only with TLS; browsers do not all send such cookies to this machine itself."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0].lower()
    secure = "" if name in LOOPBACK else "; Secure"
    return f"{COOKIE}={token}; Path=/; Max-Age={int(seconds)}; HttpOnly; SameSite=Strict{secure}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
