"""What shadow scoring found, for people and for the API."""

from __future__ import annotations

from typing import Any

from ..taxonomy import SEVERITY_LABELS
from .registry import Registry


def shadow_report(registry: Registry, *, examples: int) -> list[dict[str, Any]]:
    """One entry a pair of versions: texts, agreement, flags gained and lost, a table, and ``examples`` differing texts."""
    found = []
    for active, candidate in registry.pairs():
        rows = registry.counts(active, candidate)
        texts = sum(row["count"] for row in rows)
        same = sum(row["count"] for row in rows if row["active_severity"] == row["candidate_severity"])
        gained = sum(row["count"] for row in rows if row["active_severity"] < 2 <= row["candidate_severity"])
        lost = sum(row["count"] for row in rows if row["candidate_severity"] < 2 <= row["active_severity"])
        table = [
            {
                "active": SEVERITY_LABELS[row["active_severity"]],
                "candidate": SEVERITY_LABELS[row["candidate_severity"]],
                "texts": row["count"],
            }
            for row in rows
        ]
        found.append(
            {
                "active": active,
                "candidate": candidate,
                "texts": texts,
                "same_severity": round(same / texts, 6),
                "newly_flagged": gained,
                "no_longer_flagged": lost,
                "mean_difference": round(sum(row["difference"] for row in rows) / texts, 6),
                "table": table,
                "examples": registry.examples(active, candidate, examples) if examples else [],
            }
        )
    return found
