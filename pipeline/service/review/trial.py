"""The page to try the model: a text or a page in, verdicts out. Nothing of it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...classifier import OPERATING_POINTS, CheckSettings
from ...pages.scan import PageReport
from ...verdict import Verdict
from ..api import judge_page
from ..problems import ApiError
from ..reading import sound
from ..service import Service
from .requests import field

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried, and what came of it. Of a page, at most 200 verdicts: flagged ones first, then in order."""

    text: str
    kind: str
    point: str
    verdicts: tuple[Verdict, ...] = ()
    page: PageReport | None = None
    error: ApiError | None = None


EMPTY = Trial("", "text", "balanced")


async def try_text(service: Service, form: Mapping[str, Sequence[str]], deadline: float) -> Trial:
    """The verdict on what a form holds; an error that is the reader's is part of the result, with the text kept."""
    text, kind, point = field(form, "text"), field(form, "kind") or "text", field(form, "point") or "balanced"
    if kind not in ("text", "page") or point not in OPERATING_POINTS:
        raise ApiError("value", name="kind, point")
    limits = service.limits
    engine = service.models.engine
    settings = CheckSettings(point)
    try:
        if not text.strip():
            raise ApiError("no_text")
        sound(text, "text", limits.max_text if kind == "text" else limits.max_page)
        if kind == "text":
            (verdict,) = await service.scoring.judge(engine, [text], [None], settings, deadline)
            return Trial(text, kind, point, (verdict,))
        work: Any = judge_page
        report: PageReport = await service.scoring.thread(
            work, text, engine, settings, "utf-8", deadline, limits.max_text
        )
    except ApiError as error:
        return Trial(text[: limits.max_page], kind, point, error=error)
    ordered = sorted(report.segments, key=lambda verdict: not verdict.flagged)
    return Trial(text, kind, point, tuple(ordered[:_SHOWN]), report)
