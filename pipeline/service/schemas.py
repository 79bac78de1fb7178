"""Requests and responses of the API. Unknown fields are refused, so that a misspelt option is never silently ignored."""

from __future__ import annotations

from datetime import date as Date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from ..verdict import Verdict
from .problems import Problem

Point = Literal["high_precision", "balanced", "high_recall"]
Level = Literal["borderline", "misleading", "illegal"]
_NO_NUL = r"^[^\x00]*$"  # no database stores it
Short = Annotated[str, Meta(max_length=500, pattern=_NO_NUL)]
Url = Annotated[str, Meta(max_length=2_000, pattern=_NO_NUL)]
DataId = Annotated[
    str,
    Meta(max_length=128, pattern=_NO_NUL, description="The caller's own id of the text; comes back unchanged."),
]
Channel = Annotated[
    str,
    Meta(
        max_length=50,
        pattern=_NO_NUL,
        description="Where the text comes from; `ugc_question` marks a person's question.",
    ),
]


class PageContext(Struct, forbid_unknown_fields=True):
    """Where a text stood; shown to reviewers."""

    url: Url | None = None
    title: Short | None = None
    role: Short | None = None
    path: Short | None = None


class TextItem(Struct, forbid_unknown_fields=True):
    """A text to check, with what the caller knows of it."""

    text: str
    dataId: DataId | None = None
    channel: Channel | None = None
    page: PageContext | None = None


class CheckRequest(Struct, forbid_unknown_fields=True):
    """One ``text`` or many ``texts``, and how to decide. Give one of the two."""

    text: str | None = None
    texts: list[str | TextItem] | None = None
    dataId: DataId | None = None
    channel: Channel | None = None
    page: PageContext | None = None
    operating_point: Point = "balanced"
    fail_on: Level = "misleading"
    date: Annotated[Date, Meta(description="Cite the law in force on this day.")] | None = None
    explain: bool = True


class ScanRequest(Struct, forbid_unknown_fields=True):
    """A page, as HTML or plain text."""

    page: str
    url: Url | None = None
    dataId: DataId | None = None
    operating_point: Point = "balanced"
    fail_on: Level = "misleading"
    explain: bool = True


class TextPart(Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    """A text of a multi-part input."""

    text: str


class ImagePart(Struct, forbid_unknown_fields=True, tag_field="type", tag="image_url"):
    """An image of a multi-part input: known, so that it can be refused with the reason."""

    image_url: Any


class ModerationRequest(Struct, forbid_unknown_fields=True):
    """As OpenAI clients send it. ``model`` is ignored: there is one."""

    input: str | list[str | TextPart | ImagePart]
    model: Short | None = None


class AppealRequest(Struct, forbid_unknown_fields=True):
    """An objection to verdicts that the caller got: on texts sent under a ``dataId``, or on one ``item``. Give one of the two."""

    dataId: Annotated[str, Meta(min_length=1, max_length=128, pattern=_NO_NUL)] | None = None
    item: Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_NUL)] | None = None
    note: Annotated[str, Meta(max_length=1_000, pattern=_NO_NUL, description="Why; shown to reviewers.")] = ""


class Moderation(Struct):
    """What moderation teams in China know: a three-way suggestion, label and sub-label, score, risk words, their id.

    ``item`` names the text in the review queue, where it was put there for being flagged: an appeal may give it.
    """

    suggestion: Literal["Pass", "Review", "Block"]
    label: Literal["Normal", "LoanAd"]
    subLabel: str | None
    score: Annotated[int, Meta(ge=0, le=100)]
    riskWords: list[str]
    dataId: str | None
    item: str | None = None


class CheckResult(Struct):
    """The verdict on one text."""

    verdict: Verdict
    moderation: Moderation


class CheckResponse(Struct):
    """Results in the order of the texts."""

    id: str
    model: str
    results: list[CheckResult]


class ModerationResult(Struct):
    """One result as OpenAI clients read it; ``loanlint`` is an addition they keep in ``model_extra``."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Literal["text"]]]
    loanlint: Moderation


class ModerationResponse(Struct):
    """The response OpenAI clients expect."""

    id: str
    model: str
    results: list[ModerationResult]


class Health(Struct):
    """The state of the process or the model."""

    status: Literal["ok", "unavailable"]
    model: str | None = None


class StreamError(Struct):
    """What stands in the output of a stream for a line that cannot be judged."""

    line: int
    error: Problem


_SUGGESTION: dict[str, Literal["Pass", "Review", "Block"]] = {
    "pass": "Pass",
    "sample": "Review",
    "human_review": "Review",
    "downrank": "Review",
    "reject_ad": "Block",
    "remove": "Block",
    "escalate": "Block",
}


def moderation(verdict: Verdict, data_id: str | None, item: str | None = None) -> Moderation:
    """A verdict in the words of Chinese moderation services; ``item`` where it is in the review queue."""
    words = list(dict.fromkeys(e.raw for e in verdict.evidence))
    return Moderation(
        suggestion=_SUGGESTION[verdict.action],
        label="LoanAd" if verdict.severity else "Normal",
        subLabel=verdict.codes[0].code if verdict.codes else None,
        score=verdict.score,
        riskWords=words,
        dataId=data_id,
        item=item,
    )


def openai_result(verdict: Verdict, scores: dict[str, float], item: str | None = None) -> ModerationResult:
    """A verdict in the shape of the OpenAI moderation API. A category is true only where the text is flagged."""
    found = {c.code for c in verdict.codes} if verdict.flagged else set()
    categories = {"loan": verdict.flagged}
    values = {"loan": verdict.p_misleading}
    for code, p in scores.items():
        name = f"loan/{code}"
        categories[name] = code in found
        values[name] = p
    return ModerationResult(
        flagged=verdict.flagged,
        categories=categories,
        category_scores=values,
        category_applied_input_types={name: ["text"] for name in categories},
        loanlint=moderation(verdict, None, item),
    )


def combine(results: list[ModerationResult]) -> ModerationResult:
    """One result for an input of several parts: the worst of each."""
    worst = max(results, key=lambda r: (r.flagged, r.category_scores["loan"]))
    names = list(worst.categories)
    return ModerationResult(
        flagged=worst.flagged,
        categories={name: any(r.categories[name] for r in results) for name in names},
        category_scores={name: max(r.category_scores[name] for r in results) for name in names},
        category_applied_input_types=worst.category_applied_input_types,
        loanlint=msgspec.structs.replace(
            worst.loanlint, riskWords=list(dict.fromkeys(w for r in results for w in r.loanlint.riskWords))
        ),
    )
