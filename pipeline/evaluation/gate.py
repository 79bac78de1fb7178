"""The quality gate: figures that may not get worse, pinned together with the data they were measured on.

``data/floors.json`` holds one entry a data set: its digest and, a figure, the least (``min``) or most (``max``) it may be. A
figure beyond its bound is a breach; so is a data set whose content changed, since its bounds then say nothing. Bounds are
tightened with ``loanlint gate --update`` and loosened only with ``--lower`` beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..resources import data_path

CROSS_VALIDATION = "cross-validation"
# Figure → which way is better, and how far a new bound stays behind the figure measured.
FIGURES: Mapping[str, tuple[str, float]] = {
    "average_precision": ("min", 0.005),
    "best_f1": ("min", 0.01),
    "recall_at_1pct_fpr": ("min", 0.02),
    "calibration_error": ("max", 0.005),
    "borderline_average_precision": ("min", 0.01),
    "code_macro_f1": ("min", 0.01),
    "high_precision.precision": ("min", 0.005),
    "high_precision.recall": ("min", 0.02),
    "balanced.mention_fpr": ("max", 0.002),
    "balanced.regulated_ad_fpr": ("max", 0.005),
    "balanced.false_positive_rate": ("max", 0.002),
    "high_recall.illegal_recall": ("min", 0.01),
    "plain.flagged_share": ("max", 0.00005),
    "customer_question.flagged_share": ("max", 0.0005),
}
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Breach:
    """A figure beyond its bound, or data that are not the pinned ones."""

    data: str
    message: str


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_floors(path: Path | None = None) -> dict[str, Entry]:
    """The pinned bounds, by data set."""
    path = path or data_path("floors.json")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        for entry in document.values():
            if not isinstance(entry["digest"], str) or any(set(b) - {"min", "max"} for b in entry["bounds"].values()):
                raise ValueError("an entry needs a digest, and bounds of min or max")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not a floors file ({error}). Restore it, or write it anew with `loanlint gate --update`.",
            code="E_DATA_FLOORS",
        ) from error
    return dict(document)


def figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """The gated figures of a summary (of a file, or of cross-validation), those that there are."""
    found: dict[str, float] = {}
    for name in FIGURES:
        group, _, key = name.rpartition(".")
        place: Any = summary
        if group:
            place = summary.get("operating_points", {}).get(group) or summary.get("kinds", {}).get(group) or {}
        value = place.get(key)
        if isinstance(value, (int, float)) and not math.isnan(value):
            found[name] = float(value)
    return found


def check(floors: Mapping[str, Entry], data: str, digest: str, measured: Mapping[str, float]) -> list[Breach]:
    """What is worse than pinned for one data set. Data without an entry have no bounds."""
    entry = floors.get(data)
    if entry is None:
        return []
    if entry["digest"] != digest:
        return [Breach(data, "its content is not what the floors were measured on; pin them anew with --update")]
    breaches = []
    for name, bound in entry["bounds"].items():
        value = measured.get(name)
        if value is None:
            breaches.append(Breach(data, f"{name} was not measured"))
        elif "min" in bound and value < bound["min"]:
            breaches.append(Breach(data, f"{name} is {value:.4f}, below its floor {bound['min']:.4f}"))
        elif "max" in bound and value > bound["max"]:
            breaches.append(Breach(data, f"{name} is {value:.4f}, above its ceiling {bound['max']:.4f}"))
    return breaches


def update(
    floors: Mapping[str, Entry], data: str, digest: str, measured: Mapping[str, float], *, lower: bool = False
) -> dict[str, Entry]:
    """Floors with the bounds of one data set pinned to what was measured.

    A bound already there is only ever tightened, unless ``lower``. Raises ``DataError`` if a measured figure is beyond a
    bound and ``lower`` is not given.
    """
    before = floors.get(data, {"bounds": {}})["bounds"]
    bounds: dict[str, dict[str, float]] = {}
    for name, value in measured.items():
        side, margin = FIGURES[name]
        new = round(value - margin, 4) if side == "min" else round(value + margin, 4)
        old = before.get(name, {}).get(side)
        if old is not None and not lower:
            if (value < old) if side == "min" else (value > old):
                raise DataError(
                    f"{data}: {name} is {value:.4f}, its {side} bound {old:.4f}. Mend the model, or loosen the bound "
                    "on purpose with --lower.",
                    code="E_DATA_FLOORS",
                )
            new = max(new, old) if side == "min" else min(new, old)
        bounds[name] = {side: new}
    missing = before.keys() - bounds.keys()
    if missing and not lower:
        raise DataError(
            f"{data}: {', '.join(sorted(missing))} not measured. Give --lower to drop.", code="E_DATA_FLOORS"
        )
    return {**floors, data: {"digest": digest, "bounds": bounds}}


def write_floors(floors: Mapping[str, Entry], path: Path | None = None) -> None:
    """Write the floors file."""
    path = path or data_path() / "floors.json"
    path.write_text(json.dumps(floors, indent=1, sort_keys=True) + "\n", encoding="utf-8")
