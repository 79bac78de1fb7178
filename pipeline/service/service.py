"""The parts of a running service, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..errors import UsageError
from ..verdict import Verdict
from .appeals import Appeals
from .auth import ANYONE, KeyRing, Principal
from .board import Board
from .engine import Scoring
from .logs import log
from .metrics import Metrics, counter_names
from .models import ModelSlot
from .problems import ApiError
from .recorder import Recorder
from .settings import ServiceSettings
from .store import Entry, Page, Store, item_id
from .webhooks import Sender

Context = tuple[Page, str | None, str | None]  # page, dataId, channel
_UNKNOWN_KEY_SECONDS = 0.5
_STORE_THREADS = 8
T = TypeVar("T")


def make_board(workers: int) -> Board:
    """The shared numbers of all workers."""
    return Board(counter_names(), workers)


class Service:
    """Everything a request needs. Construct it in the process that serves; :meth:`start` it in its event loop."""

    def __init__(self, settings: ServiceSettings, board: Board) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.store = Store(settings.database)
        self.ring = KeyRing(self.store.all_keys())
        if not self.open and not settings.loopback and not len(self.ring):
            self.store.close()
            raise UsageError(
                f"{settings.host} can be reached from other machines and there are no keys. Make one with "
                "`loanlint keys add NAME --scope score`, or say --open to serve anyone.",
                code="E_USAGE_OPEN",
            )
        self.metrics = Metrics(board, lambda: self.models.engine.version)
        self.models = ModelSlot(self.store, self.metrics, settings.model, settings.shadow_fraction, settings.engine)
        self.scoring = Scoring()
        self.appeals = Appeals(self.store)
        self._aside = ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store")
        self.busy = 0
        self._ring_read = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start what runs beside the requests."""
        self.recorder = Recorder(self.store, self.metrics, self.limits.max_pending)
        sender = Sender(
            self.store.outbox, self.metrics, self.settings.retry_seconds, min(0.5, self.settings.poll_seconds)
        )
        self._tasks = [asyncio.create_task(sender.run()), asyncio.create_task(self._poll())]

    async def stop(self) -> None:
        """Stop it, with everything written that was promised."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.recorder.close()
        await asyncio.to_thread(self.models.close)
        self.scoring.close()
        self._aside.shutdown(wait=True)
        self.store.close()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self.settings.poll_seconds)
            await self.refresh()

    async def refresh(self, *, again: bool = False) -> None:
        """Take up activations and keys made since; ``again`` reads the model in use afresh."""
        await asyncio.to_thread(self.models.refresh, again=again)
        await self.read_keys()

    async def read_keys(self) -> None:
        """Take up keys; where the store does not answer, the ones known stay."""
        self._ring_read = time.monotonic()
        try:
            self.ring = KeyRing(await asyncio.to_thread(self.store.all_keys))
        except Exception as error:
            log("keys not read", level=logging.ERROR, error=error)

    # ---------------------------------------------------------------- who may

    @property
    def open(self) -> bool:
        """Whether anyone may ask: told so, or on loopback while no key was ever made."""
        return self.settings.open_access or (self.settings.loopback and not self.ring.ever_used)

    async def principal(self, authorization: str | None, scope: str) -> Principal:
        """Who sent this, if that may do what ``scope`` is for; raises ``ApiError``."""
        kind, _, token = (authorization or "").partition(" ")
        token = token.strip()
        bearer = kind.lower() == "bearer" and token != ""
        if bearer and not self.ring.knows(token) and time.monotonic() - self._ring_read > _UNKNOWN_KEY_SECONDS:
            # It may have been made a moment ago.
            await self.read_keys()
        found = self.ring.principal(token) if bearer else None
        if found is None:
            if self.open:
                return ANYONE
            raise ApiError("key" if authorization else "key_missing", headers={"www-authenticate": "Bearer"})
        if not found.may(scope):
            raise ApiError("key_scope", scope=found.scope, needed=scope)
        rate = found.rate or self.limits.rate
        if rate:
            wait = self.metrics.board.take(found.key_id or "", rate, time.time())
            if wait:
                raise ApiError("rate", rate=rate, headers={"retry-after": str(max(1, round(wait + 0.5)))})
        return found

    # ---------------------------------------------------------------- what is kept

    async def aside(self, work: Callable[..., T], *values: object) -> T:
        """``work`` that waits for the store, in a thread of its own pool: long scans must not keep it waiting."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, work, *values)

    def item_of(self, verdict: Verdict) -> str | None:
        """Name of a flagged text in the review queue, where it is put there."""
        return item_id(verdict.text) if self.settings.queue and self._hit(verdict) else None

    @staticmethod
    def _hit(verdict: Verdict) -> bool:
        return verdict.flagged or verdict.severity >= 2

    async def keep(
        self, verdicts: Sequence[Verdict], context: Sequence[Context], request_id: str, key: str | None
    ) -> None:
        """Count verdicts, put into the store what belongs there, and offer them to the shadow model.

        Returns when everything flagged is committed.
        """
        self.metrics.verdicts(verdicts)
        shadow = self.models.shadow
        if shadow is not None and verdicts:
            shadow.offer(verdicts[0].model_version, verdicts)
        flagged: list[Entry] = []
        sampled: list[Entry] = []
        now = time.time()
        queue, sample = self.settings.queue, self.settings.sample
        for verdict, (page, data_id, channel) in zip(verdicts, context, strict=True):
            if verdict.severity:
                # A borderline text is reported to webhooks that ask for it, and reviewed only as a sample.
                reason = "flagged" if queue and self._hit(verdict) else "report"
                if reason == "report" and queue and random.random() < sample:
                    reason = "sample"
                flagged.append(Entry(verdict, reason, now, page, data_id, channel, key, request_id))
            elif queue and sample and random.random() < sample:
                sampled.append(Entry(verdict, "sample", now, page, data_id, channel, key, request_id))
        await self.recorder.keep(sampled, wait=False)
        await self.recorder.keep(flagged, wait=True)
