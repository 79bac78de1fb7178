"""Settings of the service."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Sizes in bytes or characters, times in seconds, rates in requests per second.

    ``max_busy`` requests are worked on at once in a worker; more are told to come back. ``max_pending`` items wait
    for the store at most. ``rate`` is the default of a key that has none of its own; ``None`` is no limit.
    """

    max_body: int = 8 * 2**20
    max_texts: int = 1_000
    max_text: int = 20_000
    max_page: int = 2 * 2**20
    request_seconds: float = 30.0
    header_seconds: float = 10.0
    idle_seconds: float = 20.0
    max_header: int = 32 * 2**10
    max_busy: int = 512
    max_pending: int = 20_000
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """How items are handed out to reviewers.

    ``second_share`` of decided items are decided again by another reviewer; each ``golden_every``-th item is a golden one
    and each ``sample_every``-th a sampled one, as long as there are any.
    """

    second_share: float = 0.1
    golden_every: int = 12
    sample_every: int = 4


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How the service runs.

    ``model`` a directory, or ``None`` for the activated or shipped one; ``engine`` ``plain``, ``compiled`` or ``auto``; ``database`` a path or URL; ``open_access``
    serves without keys whatever the address; ``sample`` is the share of unflagged texts put into the review queue;
    ``queue`` whether texts are put there at all; ``retry_seconds`` the waits between webhook attempts.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    model: Path | None = None
    engine: str = "auto"
    database: str = ""
    open_access: bool = False
    queue: bool = True
    sample: float = 0.002
    shadow_fraction: float = 0.1
    poll_seconds: float = 2.0
    shutdown_seconds: float = 30.0
    retry_seconds: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
    limits: Limits = field(default_factory=Limits)
    review: ReviewSettings = field(default_factory=ReviewSettings)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in LOOPBACK


def default_database() -> str:
    """``$LOANLINT_DB``, else ``loanlint/service.db`` in the user's data directory."""
    named = os.environ.get("LOANLINT_DB")
    if named:
        return named
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return str(home / "loanlint" / "service.db")
