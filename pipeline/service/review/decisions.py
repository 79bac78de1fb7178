"""What reviewers decide, as events, and what the events of an item amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...taxonomy import taxonomy
from ..problems import ApiError
from ..store import Event, Item

DECIDE, SKIP, ESCALATE, APPEAL, UNDO, GOLDEN = "decide", "skip", "escalate", "appeal", "undo", "golden"
# States of an item. ``second``: decided once, to be decided again by another; ``conflict``: the two differ.
OPEN, SECOND, CONFLICT, APPEALED, ESCALATED, DECIDED, GOLD = (
    "open", "second", "conflict", "appeal", "escalated", "decided", "golden",
)  # fmt: skip
STATES = (OPEN, SECOND, CONFLICT, APPEALED, ESCALATED, DECIDED)
LONGEST_NOTE = 1_000


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a flagged text is none of what it was flagged for; ``stance`` is what it is then, where that follows."""

    id: str
    zh: str
    en: str
    stance: str | None = None


REASONS: tuple[Reason, ...] = (
    Reason("warning", "风险提示", "warns against it", "warning"),
    Reason("news", "新闻案件", "news or court case", "news_case"),
    Reason("question", "用户提问", "a person's question", "user_question"),
    Reason("complaint", "投诉", "complaint", "complaint"),
    Reason("legal_qa", "法律解答", "legal answer", "legal_qa"),
    Reason("lawful_ad", "合规广告", "lawful advertisement", "regulated_ad"),
    Reason("unrelated", "与贷款无关", "not about loans", "out_of_scope"),
    Reason("no_claim", "没有违规说法", "makes no such claim", "neutral_info"),
    Reason("other", "其他", "other"),
)
_REASONS = {reason.id: reason for reason in REASONS}


@dataclass(frozen=True, slots=True)
class Label:
    """A judgement: of the model or of a reviewer."""

    severity: int
    stance: str
    codes: tuple[str, ...]

    @property
    def misleading(self) -> bool:
        """Severity 2 or more."""
        return self.severity >= 2


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision read from a form."""

    action: str  # accept, overturn, change
    label: Label
    reason: str | None
    note: str


def model_label(item: Item) -> Label:
    """What the model says of an item."""
    return Label(item.severity, item.stance, item.codes if item.severity else ())


def label_of(event: Event) -> Label:
    """What a ``decide`` or ``golden`` event says."""
    body = event.body
    return Label(int(body["severity"]), str(body["stance"]), tuple(body["codes"]))


def effective(events: Sequence[Event]) -> list[Event]:
    """Events that were not undone, without the undoing ones; in order."""
    undone = {event.body["undoes"] for event in events if event.kind == UNDO}
    return [event for event in events if event.kind != UNDO and event.seq not in undone]


def decisions(events: Sequence[Event]) -> list[Event]:
    """Decisions in force, in order; of each actor and round only the last."""
    found: list[Event] = []
    for event in effective(events):
        if event.kind != DECIDE:
            continue
        if found and found[-1].actor == event.actor:
            found.pop()
        found.append(event)
    return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an appeal: the label decided on, and whether it is the one that was appealed."""

    label: Label
    upheld: bool


def outcome_of(rest: Sequence[Event], at: int) -> Outcome | None:
    """The outcome of the appeal ``rest[at]``, of events in force; ``None`` while nobody has decided."""
    after = next((e for e in rest[at:] if e.kind == DECIDE), None)
    if after is None:
        return None
    before = next((e for e in reversed(rest[:at]) if e.kind == DECIDE), None)
    if before is not None:
        appealed = label_of(before)
    else:
        # Nobody had decided yet: the appeal was against the model.
        model = after.body["model"]
        appealed = Label(int(model["severity"]), str(model["stance"]), tuple(model["codes"]))
    return Outcome(label_of(after), agree(appealed, label_of(after)))


def read_decision(item: Item, form: Mapping[str, Sequence[str]]) -> Decision:
    """The decision of a form; raises ``ApiError`` where it makes none.

    ``action`` is ``accept``, ``change`` or ``overturn:REASON``. Accepting with changed fields is changing.
    """
    action, _, reason = _one(form, "action").partition(":")
    note = _one(form, "note").strip()
    if len(note) > LONGEST_NOTE:
        raise ApiError("note_long", limit=LONGEST_NOTE, param="note")
    given = _label(item, form)
    own = model_label(item)
    if action == "overturn":
        if reason not in _REASONS:
            raise ApiError("reason", param="reason")
        if not item.severity:
            raise ApiError("not_flagged", param="action")
        # A stance that the reviewer has chosen goes before the one that the reason suggests.
        stance = given.stance if given.stance != own.stance else _REASONS[reason].stance or given.stance
        return Decision("overturn", Label(0, stance, ()), reason, note)
    if action not in ("accept", "change"):
        raise ApiError("value", name="action", param="action")
    return Decision("accept" if given == own else "change", given, None, note)


def _label(item: Item, form: Mapping[str, Sequence[str]]) -> Label:
    known = taxonomy()
    own = model_label(item)
    severity_text = _one(form, "severity") or str(own.severity)
    if severity_text not in ("0", "1", "2", "3"):
        raise ApiError("severity", param="severity")
    severity = int(severity_text)
    stance = _one(form, "stance") or own.stance
    if stance not in known.stances:
        raise ApiError("value", name="stance", param="stance")
    # A form without the fields of the label, as the plain accept of a script may send, keeps that of the model.
    codes = tuple(dict.fromkeys(form.get("code", ()))) if "severity" in form else own.codes
    if any(code not in known.codes for code in codes):
        raise ApiError("value", name="code", param="code")
    # Order carries no meaning; the model's is kept, so that an unchanged form is seen to be unchanged.
    ordered = [c for c in own.codes if c in codes] + [c for c in known.codes if c in codes and c not in own.codes]
    return Label(severity, stance, tuple(ordered) if severity else ())


def decide_body(item: Item, decision: Decision, batch: str, with_ids: Sequence[str]) -> dict[str, Any]:
    """The body of the event of a decision; holds all that is needed to measure the model and to undo it."""
    own = model_label(item)
    return {
        "action": decision.action, "severity": decision.label.severity, "stance": decision.label.stance,
        "codes": list(decision.label.codes), "reason": decision.reason,
        "model": {"severity": own.severity, "stance": own.stance, "codes": list(own.codes), "p": item.p, "version": item.model_version},
        "before": item.state, "batch": batch, "with": list(with_ids),
    }  # fmt: skip


def next_state(item: Item, label: Label, events: Sequence[Event], second_share: float) -> str:
    """State of an item after a decision; ``events`` are those before it."""
    if item.state == GOLD:
        return GOLD
    if item.state == SECOND:
        first = decisions(events)[-1:]
        return DECIDED if first and agree(label_of(first[0]), label) else CONFLICT
    # By the id, which is a digest: the same for all workers, and nobody can tell which it will be.
    if item.state == OPEN and int(item.id[:8], 16) < second_share * 2**32:
        return SECOND
    return DECIDED


def agree(one: Label, other: Label) -> bool:
    """Whether two labels come to the same: severity and codes."""
    return one.severity == other.severity and set(one.codes) == set(other.codes)


def _one(form: Mapping[str, Sequence[str]], name: str) -> str:
    values = form.get(name, ())
    return values[0] if values else ""
