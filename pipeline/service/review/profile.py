"""The reference profile of a model: what drift is measured against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import ModelError


def read_profile(model: Path) -> dict[str, Any]:
    """``profile.json`` of a model directory."""
    path = model / "profile.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(found["p_misleading_histogram"], list) and sum(found["p_misleading_histogram"]) > 0):
            raise ValueError("no histogram of scores")
        found["class_share"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: no usable profile ({error}). Train the model again, or give another --model.",
            code="E_MODEL_MISSING",
        ) from error
    assert isinstance(found, dict)
    return found
