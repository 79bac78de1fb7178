"""What each page shows and does. Called in threads: everything here may wait for the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from ..problems import ApiError
from ..service import Service
from ..store import Event, Item
from .decisions import (
    APPEALED,
    CONFLICT,
    DECIDED,
    ESCALATED,
    GOLD,
    GOLDEN,
    LONGEST_NOTE,
    OPEN,
    SECOND,
    SKIP,
    decisions,
    effective,
    model_label,
    read_decision,
)
from .profile import read_profile
from .queue import ReviewQueue
from .rendering import HEADERS, legal_titles, marks, page
from .report import review_report
from .requests import field, filters
from .trial import EMPTY, Trial

if TYPE_CHECKING:
    from .routes import Asked

_ROWS = 50
_DRIFT_TEXTS = 2_000


class Screens:
    """The pages behind the routes."""

    def __init__(self, service: Service, queue: ReviewQueue) -> None:
        self._service = service
        self._store = service.store
        self._queue = queue

    def trial(self, asked: Asked, tried: Trial = EMPTY) -> Response:
        """The page to try the model."""
        shown = [verdict.to_dict() for verdict in tried.verdicts]
        values = {
            "tried": tried,
            "verdicts": [(verdict, marks(verdict, asked.lang)) for verdict in shown],
            "model": self._service.models.engine.version,
        }
        status = tried.error.status if tried.error else 200
        return self._page("trial.html", asked, values, status)

    def overview(self, asked: Asked) -> Response:
        """The list of items."""
        number = asked.request.query_params.get("page", "1")
        at = int(number) if number.isdecimal() and len(number) < 6 else 1
        chosen = filters(asked.request.query_params, _ROWS, max(0, at - 1) * _ROWS)
        items = self._store.items(chosen.wanted)
        held = self._store.leases(asked.now)
        tally = self._store.tally()
        values = {
            "items": items, "held": held, "at": at, "total": self._store.count(chosen.wanted), "rows": _ROWS,
            "counts": [(s, tally.get(s, 0)) for s in (OPEN, SECOND, CONFLICT, APPEALED, ESCALATED, DECIDED)],
            "domains": {item.id: self._domain(item) for item in items}, "chosen": chosen,
        }  # fmt: skip
        return self._page("overview.html", asked, values)

    def _domain(self, item: Item) -> str:
        places = self._store.sightings(item.id)
        return next((str(place["domain"]) for place in places if place["domain"]), "")

    def report(self, asked: Asked) -> Response:
        """The figures of `loanlint review report`."""
        found = review_report(
            self._store, read_profile(self._service.models.engine.classifier.artefact.path), _DRIFT_TEXTS
        )
        return self._page("report.html", asked, {"report": found, "names": self._names()})

    # ---------------------------------------------------------------- one item

    def item(self, asked: Asked) -> Response:
        """One item, taken for the reviewer if nobody else has it."""
        return self._show(asked, self._named(asked))

    def _named(self, asked: Asked) -> Item:
        found = self._store.item(str(asked.request.path_params["id"]))
        if found is None:
            raise ApiError("item")
        return found

    def _show(self, asked: Asked, item: Item, problem: ApiError | None = None, status: int = 200) -> Response:
        actor = asked.session.actor
        events = self._store.events(item.id)
        own = any(event.actor == actor for event in decisions(events))
        closed = item.state == DECIDED
        # A second reviewer must not be led by the first; nor anyone by others' answers to a golden item.
        second = item.state == SECOND and not own
        waits = self._queue.for_another(item, events, actor)
        for_lead = self._queue.for_lead(item, events, actor, asked.lead)
        mine = not closed and not waits and not for_lead and self._queue.hold(item, actor, asked.now)
        done = asked.request.query_params.get("done", "")
        values: dict[str, Any] = {
            "item": item, "pieces": marks(item.verdict, asked.lang), "verdict": item.verdict, "label": model_label(item),
            "places": self._store.sightings(item.id), "history": self._history(events, actor, second or item.state == GOLD), "blind": second,
            "version": events[-1].seq if events else 0, "mine": mine, "closed": closed,
            "waits": waits, "for_lead": for_lead, "near": self._queue.near(item, actor, asked.now) if mine else [],
            "done": int(done) if done.isdecimal() and len(done) < 19 else None, "problem": problem,
            "names": self._names(), "longest_note": LONGEST_NOTE,
        }  # fmt: skip
        return self._page("item.html", asked, values, status)

    @staticmethod
    def _history(events: list[Event], actor: str, blind: bool) -> list[tuple[Event, bool]]:
        """Events with whether they hold, as far as they may be shown."""
        holding = {event.seq for event in effective(events)}
        shown = [e for e in events if e.kind != GOLDEN and not (e.kind == SKIP and e.actor != actor)]
        if blind:
            shown = [e for e in shown if e.actor == actor]
        return [(event, event.seq in holding) for event in shown]

    def _names(self) -> dict[str, str]:
        return {key.id: key.name for key in self._store.all_keys()}

    def decide(self, asked: Asked) -> Response:
        """Record what the form of an item says, and go to the next."""
        item = self._named(asked)
        form, actor, now = asked.form, asked.session.actor, asked.now
        version = field(form, "version")
        seen = int(version) if version.isdecimal() and len(version) < 19 else -1
        action = field(form, "action")
        note = field(form, "note").strip()
        try:
            if len(note) > LONGEST_NOTE:
                raise ApiError("note_long", limit=LONGEST_NOTE, param="note")
            if action == "skip":
                seq = self._queue.skip(item, actor, now)
            elif action == "escalate":
                seq = self._queue.escalate(item, note, actor, seen, now)
            elif action == "appeal":
                seq = self._queue.appeal(item, note, actor, seen, now)
            else:
                decision = read_decision(item, form)
                seq = self._queue.decide(item, decision, form.get("also", ()), actor, seen, now, lead=asked.lead)[0]
        except ApiError as error:
            return self._show(asked, self._named(asked), error, error.status)
        if action == "appeal":
            # Not to the item: whoever records an appeal need not be who decides on it.
            return self._go("/review", asked, done=seq)
        return self._onward(asked, seq)

    def next(self, asked: Asked) -> Response:
        """Go to the next item."""
        return self._onward(asked, None)

    def _onward(self, asked: Asked, done: int | None) -> Response:
        item = self._queue.take_next(asked.chosen.wanted, asked.session.actor, asked.now, lead=asked.lead)
        return self._go(f"/review/items/{item.id}" if item else "/review", asked, done=done, empty=item is None)

    def undo(self, asked: Asked) -> Response:
        """Take back one's own last decision and return to its item."""
        number = field(asked.form, "seq")
        if not (number.isdecimal() and len(number) < 19):
            raise ApiError("nothing_to_undo", param="seq", status=400)
        ids = self._queue.undo(int(number), asked.session.actor, asked.now)
        return self._go(f"/review/items/{ids[0]}", asked, undone=1)

    @staticmethod
    def _go(path: str, asked: Asked, **more: Any) -> Response:
        values = {name: value for name, value in asked.chosen.values.items() if value}
        values.update({name: str(int(value)) for name, value in more.items() if value})
        query = urlencode(values)
        return RedirectResponse(f"{path}?{query}" if query else path, 303, headers=HEADERS)

    def _page(self, template: str, asked: Asked, values: dict[str, Any], status: int = 200) -> Response:
        common = {
            "session": asked.session,
            "query": asked.chosen.query,
            "params": asked.request.query_params,
            "legal": legal_titles(asked.lang),
        }
        return page(template, asked.lang, {**common, **values}, status)
