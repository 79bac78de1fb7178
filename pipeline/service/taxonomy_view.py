"""The taxonomy as the API shows it."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

from ..taxonomy import taxonomy


@cache
def taxonomy_view() -> dict[str, Any]:
    """Severities, codes, signals, stances, actions and legal references, as plain values."""
    known = taxonomy()
    return {
        "version": known.version,
        "legal_version": known.legal_version,
        "severities": [asdict(s) for s in known.severities],
        "codes": [{**asdict(c), "category": f"loan/{c.id}"} for c in known.codes.values()],
        "signals": [{"id": s.id, "zh": s.zh, "en": s.en} for s in known.signals.values()],
        "stances": [{"id": s.id, "zh": s.zh, "en": s.en} for s in known.stances.values()],
        "actions": [{"id": s.id, "zh": s.zh, "en": s.en} for s in known.actions.values()],
        "legal_references": [{"key": key, **asdict(ref)} for key, ref in known.references.items()],
    }
