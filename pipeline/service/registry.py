"""Which model is active, which one runs in its shadow, and where the two differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .database import Database, Row

ACTIVE, SHADOW = "active", "shadow"
MAX_EXAMPLES = 200


@dataclass(frozen=True, slots=True)
class Activation:
    """A statement that from now on ``path`` plays ``role``; a shadow of ``None`` ends shadow scoring."""

    role: str
    path: str | None
    version: str | None
    at: float
    fraction: float | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One text as the active model and the candidate judge it."""

    item: str
    text: str
    active_severity: int
    candidate_severity: int
    active_p: float
    candidate_p: float


class Registry:
    """Activations and shadow results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def activate(self, activation: Activation) -> None:
        """Make a statement; running services take it up within their polling time, or at once on SIGHUP."""
        with self._database.transaction() as tx:
            tx.run(
                "INSERT INTO activations (at, role, path, version, fraction) VALUES (?, ?, ?, ?, ?)",
                activation.at, activation.role, activation.path, activation.version, activation.fraction,
            )  # fmt: skip

    def current(self, role: str) -> Activation | None:
        """The latest statement about a role."""
        with self._database.transaction(write=False) as tx:
            found = tx.rows(
                """SELECT role, path, version, at, fraction, seq FROM activations WHERE role = ?
                ORDER BY seq DESC LIMIT 1""",
                role,
            )
        return Activation(**found[0]) if found else None

    def compare(self, active: str, candidate: str, found: Sequence[Comparison], at: float) -> None:
        """Add comparisons of two model versions; examples are kept of the texts where the severities differ."""
        counts: dict[tuple[int, int], tuple[int, float]] = {}
        for c in found:
            n, difference = counts.get((c.active_severity, c.candidate_severity), (0, 0.0))
            counts[(c.active_severity, c.candidate_severity)] = (
                n + 1,
                difference + abs(c.active_p - c.candidate_p),
            )
        differing = sorted((c for c in found if c.active_severity != c.candidate_severity), key=lambda c: c.item)
        with self._database.transaction() as tx:
            tx.many(
                """INSERT INTO shadow_counts (active, candidate, active_severity, candidate_severity, count, difference)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (active, candidate, active_severity, candidate_severity)
                DO UPDATE SET count = shadow_counts.count + excluded.count,
                    difference = shadow_counts.difference + excluded.difference""",
                [(active, candidate, *key, *value) for key, value in sorted(counts.items())],
            )
            if not differing:
                return
            kept = tx.rows(
                "SELECT COUNT(*) AS n FROM shadow_examples WHERE active = ? AND candidate = ?", active, candidate
            )[0]["n"]
            tx.many(
                """INSERT INTO shadow_examples (active, candidate, item, text, active_severity, candidate_severity,
                    active_p, candidate_p, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
                [
                    (active, candidate, c.item, c.text, c.active_severity, c.candidate_severity, c.active_p,
                     c.candidate_p, at)
                    for c in differing[: max(0, MAX_EXAMPLES - kept)]
                ],
            )  # fmt: skip

    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of versions (active, candidate) that were compared."""
        with self._database.transaction(write=False) as tx:
            found = tx.rows("SELECT DISTINCT active, candidate FROM shadow_counts ORDER BY active, candidate")
        return [(row["active"], row["candidate"]) for row in found]

    def counts(self, active: str, candidate: str) -> list[Row]:
        """Texts by the two severities, with the summed difference of probability."""
        with self._database.transaction(write=False) as tx:
            return tx.rows(
                """SELECT active_severity, candidate_severity, count, difference FROM shadow_counts
                WHERE active = ? AND candidate = ? ORDER BY active_severity, candidate_severity""",
                active, candidate,
            )  # fmt: skip

    def examples(self, active: str, candidate: str, limit: int) -> list[Row]:
        """Texts judged differently, the widest apart first."""
        with self._database.transaction(write=False) as tx:
            return tx.rows(
                """SELECT text, active_severity, candidate_severity, active_p, candidate_p FROM shadow_examples
                WHERE active = ? AND candidate = ? ORDER BY ABS(active_p - candidate_p) DESC, item LIMIT ?""",
                active, candidate, limit,
            )  # fmt: skip
