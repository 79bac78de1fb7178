"""Who reviews what next, and decisions put on record."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..problems import ApiError
from ..settings import ReviewSettings
from ..store import Changed, Event, Item, ItemFilter, Store
from .decisions import (
    APPEAL,
    APPEALED,
    CONFLICT,
    DECIDE,
    DECIDED,
    ESCALATE,
    ESCALATED,
    GOLD,
    OPEN,
    SECOND,
    SKIP,
    UNDO,
    Decision,
    decide_body,
    decisions,
    effective,
    model_label,
    next_state,
)
from .similarity import NEAR, Grams, grams, may_be_near, similarity

LEASE_SECONDS = 15 * 60.0
_TRIES = 20
_POOL = 300
_SIMILAR_POOL = 1_000
_SIMILAR_SHOWN = 50


def uncertainty(p: float) -> float:
    """1 where the model is of two minds, 0 where it is sure."""
    return 1.0 - abs(2.0 * p - 1.0)


def choose(candidates: Sequence[tuple[str, float, Grams]], seen: Iterable[Grams], count: int) -> list[str]:
    """Up to ``count`` ids of (id, p, trigrams): uncertain ones unlike each other and unlike those ``seen``.

    Each is the one with the largest sum of its uncertainty and its distance to all before. Nothing as near as a
    near-duplicate is ever taken.
    """
    pool = []
    before = list(seen)
    for id, p, own in candidates:
        pool.append((id, uncertainty(p), own, max((similarity(own, other) for other in before), default=0.0)))
    chosen: list[str] = []
    while pool and len(chosen) < count:
        pool = [entry for entry in pool if entry[3] < NEAR]
        if not pool:
            break
        best = max(pool, key=lambda entry: entry[1] + (1.0 - entry[3]))
        chosen.append(best[0])
        pool = [(i, u, own, max(near, similarity(own, best[2]))) for i, u, own, near in pool if i != best[0]]
    return chosen


class ReviewQueue:
    """Hands out items and records what is decided of them. Safe to use from any thread and process."""

    def __init__(self, store: Store, settings: ReviewSettings) -> None:
        self._store = store
        self._settings = settings

    # ---------------------------------------------------------------- handing out

    def take_next(self, wanted: ItemFilter, actor: str, now: float, *, lead: bool = False) -> Item | None:
        """The next item for ``actor``, leased; ``None`` where nothing is left. A ``lead`` gets what others escalated."""
        for candidates in self._offers(wanted, actor, now, lead):
            for item in candidates:
                if not self._store.lease([item.id], actor, LEASE_SECONDS, now):
                    continue
                # Somebody may have decided and let go of it since the list was made.
                current = self._store.item(item.id)
                if current is not None and current.state == item.state:
                    self._let_go(item.id, actor, now)
                    return current
                self._store.release([item.id], actor)
        return None

    def _offers(self, wanted: ItemFilter, actor: str, now: float, lead: bool) -> Iterable[list[Item]]:
        def some(state: str, reason: str | None = wanted.reason) -> list[Item]:
            asked = replace(wanted, state=state, reason=reason, worst_first=True, limit=_TRIES, offset=0)
            return self._store.available(asked, actor, now)

        made = self._store.decisions_by(actor) + 1
        if made % self._settings.golden_every == 0:
            # Golden items have no place and no date of their own: filters do not concern them.
            yield self._store.available(ItemFilter(state=GOLD, limit=_TRIES), actor, now)
        for state in (APPEALED, *((ESCALATED,) if lead else ()), CONFLICT, SECOND):
            yield some(state)
        sampled = wanted.reason in (None, "sample")
        if sampled and made % self._settings.sample_every == 0:
            yield self._sampled(wanted, actor, now)
        if wanted.reason != "sample":
            yield some(OPEN, "flagged")
        if sampled:
            yield self._sampled(wanted, actor, now)

    def _sampled(self, wanted: ItemFilter, actor: str, now: float) -> list[Item]:
        asked = replace(wanted, state=OPEN, reason="sample", worst_first=False, limit=_POOL, offset=0)
        items = {item.id: item for item in self._store.available(asked, actor, now)}
        if not items:
            return []
        done = self._store.items(ItemFilter(state=DECIDED, reason="sample", limit=_POOL))
        held = [found for id in self._store.leases(now) if id not in items and (found := self._store.item(id))]
        seen = [grams(item.text) for item in (*done, *held)]
        chosen = choose([(item.id, item.p, grams(item.text)) for item in items.values()], seen, _TRIES)
        return [items[id] for id in chosen]

    def hold(self, item: Item, actor: str, now: float) -> bool:
        """Take an item that was opened, or keep it; whether nobody else has it."""
        held = bool(self._store.lease([item.id], actor, LEASE_SECONDS, now))
        if held:
            self._let_go(item.id, actor, now)
        return held

    def _let_go(self, kept: str, actor: str, now: float) -> None:
        """One item at a time: what was opened and left must not be kept from others."""
        left = [id for id, holder in self._store.leases(now).items() if holder == actor and id != kept]
        if left:
            self._store.release(left, actor)

    @staticmethod
    def for_another(item: Item, events: Sequence[Event], actor: str) -> bool:
        """Whether ``actor`` has decided on an item that somebody else is to decide on now."""
        again = item.state in (SECOND, CONFLICT, APPEALED)
        return again and any(event.actor == actor for event in decisions(events))

    @staticmethod
    def for_lead(item: Item, events: Sequence[Event], actor: str, lead: bool) -> bool:
        """Whether an item was escalated and is not for ``actor``: it is for a lead other than who escalated it."""
        if item.state != ESCALATED:
            return False
        return not lead or any(event.actor == actor and event.kind == ESCALATE for event in effective(events))

    def near(self, item: Item, actor: str, now: float) -> list[tuple[Item, float]]:
        """Open items nearly the same as this one that nobody else holds, most similar first."""
        if item.state != OPEN:
            return []
        own, characters = grams(item.text), frozenset(item.text)
        others = self._store.available(ItemFilter(limit=_SIMILAR_POOL), actor, now)
        found = [
            (other, similarity(own, grams(other.text)))
            for other in others
            if other.id != item.id and may_be_near(characters, frozenset(other.text))
        ]
        alike = sorted((pair for pair in found if pair[1] >= NEAR), key=lambda pair: -pair[1])
        return alike[:_SIMILAR_SHOWN]

    # ---------------------------------------------------------------- deciding

    def decide(
        self,
        item: Item,
        decision: Decision,
        also: Sequence[str],
        actor: str,
        version: int,
        now: float,
        *,
        lead: bool = False,
    ) -> list[int]:
        """Record a decision on an item and, word for word, on near-duplicates; returns the numbers of the events.

        ``version`` is the number of the last event the reviewer has seen of the item; ``lead`` says whether they may
        decide on what others escalated. Raises ``ApiError`` 409 where another reviewer holds one of the items or has
        decided meanwhile, 403 where the item is for a lead; nothing is recorded then.
        """
        ids = [item.id, *(id for id in dict.fromkeys(also) if id != item.id)]
        if len(ids) > _SIMILAR_SHOWN + 1:
            raise ApiError("too_many_items", param="also")
        items = self._claim(ids, actor, now)
        try:
            events_before = self._store.events(item.id)
            if self.for_lead(items[0], events_before, actor, lead):
                raise ApiError("escalated")
            if self.for_another(items[0], events_before, actor):
                raise ApiError("other_reviewer")
            self._unchanged(item.id, version)
            if any(other.state != OPEN for other in items[1:]):
                raise ApiError("changed")
        except ApiError:
            self._store.release(ids, actor)
            raise
        batch = secrets.token_hex(8)
        events, states = [], {}
        for each in items:
            # Unchanged is relative to what the model said of that very text.
            own = decision if decision.action == "overturn" and each.severity else _reworded(each, decision)
            events.append(Event(each.id, actor, DECIDE, decide_body(each, own, batch, ids), now, note=own.note))
            states[each.id] = next_state(each, decision.label, self._store.events(each.id), self._settings.second_share)
        return self._record(events, states, {each.id: each.state for each in items})

    def skip(self, item: Item, actor: str, now: float) -> int:
        """Leave an item to others."""
        return self._note(item, actor, SKIP, "", item.state, now)

    def escalate(self, item: Item, note: str, actor: str, version: int, now: float) -> int:
        """Hand an item to a lead, who may decide what the reviewer will not."""
        if item.state == ESCALATED:
            raise ApiError("escalated")
        self._unchanged(item.id, version)
        return self._note(item, actor, ESCALATE, note, GOLD if item.state == GOLD else ESCALATED, now)

    def appeal(self, item: Item, note: str, actor: str, version: int, now: float) -> int:
        """Record that somebody objects to a decision; another reviewer decides again."""
        self._unchanged(item.id, version)
        if item.state not in (DECIDED, SECOND):
            raise ApiError("not_decided")
        return self._note(item, actor, APPEAL, note, APPEALED, now)

    def undo(self, seq: int, actor: str, now: float) -> list[str]:
        """Take back an event of one's own, with all of its batch; returns the items. Raises ``ApiError`` 409 where it cannot be."""
        found = self._store.events(after=seq - 1, limit=1)
        event = found[0] if found and found[0].seq == seq else None
        if event is None or event.actor != actor or event.kind == UNDO or "before" not in event.body:
            raise ApiError("nothing_to_undo")
        ids = list(event.body.get("with") or [event.item_id])
        was = {item.id: item.state for item in self._claim(ids, actor, now)}
        events, states = [], {}
        for id in ids:
            rest = effective(self._store.events(id))
            mine = rest[-1] if rest else None
            same = mine is not None and (mine.seq == seq or mine.body.get("batch", 0) == event.body.get("batch"))
            if mine is None or not same:
                self._store.release(ids, actor)
                raise ApiError("undone")
            events.append(Event(id, actor, UNDO, {"undoes": mine.seq}, now))
            states[id] = str(mine.body["before"])
        self._record(events, states, was)
        return ids

    def _note(self, item: Item, actor: str, kind: str, note: str, state: str, now: float) -> int:
        (current,) = self._claim([item.id], actor, now)
        event = Event(item.id, actor, kind, {"before": current.state}, now, note=note)
        return self._record([event], {item.id: state}, {item.id: item.state})[0]

    def _record(self, events: Sequence[Event], states: Mapping[str, str], was: Mapping[str, str]) -> list[int]:
        try:
            return self._store.record(events, states, was)
        except Changed as error:
            raise ApiError("changed") from error

    def _claim(self, ids: Sequence[str], actor: str, now: float) -> list[Item]:
        """The items as they are now, leased: until this request is over nobody else decides on them."""
        held = self._store.lease(ids, actor, LEASE_SECONDS, now)
        if len(held) < len(ids):
            self._store.release(held, actor)
            raise ApiError("held")
        items = [self._store.item(id) for id in ids]
        found = [item for item in items if item is not None]
        if len(found) < len(ids):
            raise ApiError("item")
        return found

    def _unchanged(self, id: str, version: int) -> None:
        events = self._store.events(id)
        if events and events[-1].seq != version and events[-1].kind != SKIP:
            raise ApiError("changed")


def _reworded(item: Item, decision: Decision) -> Decision:
    return replace(decision, action="accept" if decision.label == model_label(item) else "change", reason=None)
