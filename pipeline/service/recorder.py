"""Judged texts on their way into the store: many requests share one transaction.

A request that has something to be kept waits for the commit, so that what the caller was told is on disk. Samples are not
waited for and are dropped when the store is behind.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Sequence

from .database import StoreError
from .logs import log
from .metrics import Metrics
from .problems import ApiError
from .store import Entry, Store

_BATCH = 500
_Job = tuple[list[Entry], "asyncio.Future[None] | None"]


class Recorder:
    """A thread that writes batches. ``limit`` is the number of texts that may wait."""

    def __init__(self, store: Store, metrics: Metrics, limit: int) -> None:
        self._store = store
        self._metrics = metrics
        self._limit = limit
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._pending = 0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="recorder")
        self._thread.start()

    async def keep(self, entries: list[Entry], *, wait: bool) -> None:
        """Have ``entries`` written; with ``wait``, returns when they are committed. Raises ``ApiError`` if they cannot be."""
        if not entries:
            return
        if self._pending + len(entries) > self._limit:
            if not wait:
                self._metrics.board.add("items_dropped", len(entries))
                return
            raise ApiError("store_behind")
        self._change(len(entries))
        done = self._loop.create_future() if wait else None
        self._queue.put((entries, done))
        if done is not None:
            await done

    async def close(self) -> None:
        """Write what is left and stop."""
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _change(self, count: int) -> None:
        self._pending += count
        self._metrics.board.put("items_pending", self._pending)

    def _run(self) -> None:
        running = True
        while running:
            job = self._queue.get()
            jobs: list[_Job] = []
            size = 0
            while True:
                if job is None:
                    running = False
                    break
                jobs.append(job)
                size += len(job[0])
                if size >= _BATCH:
                    break
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
            if jobs:
                failure = self._write([entry for entries, _ in jobs for entry in entries])
                self._loop.call_soon_threadsafe(self._settle, jobs, failure)

    def _write(self, entries: Sequence[Entry]) -> StoreError | None:
        for attempt in (1, 2):
            try:
                self._store.ingest(entries)
            except StoreError as error:
                # Once more: a lost connection is replaced by a new one.
                if attempt == 2:
                    self._metrics.board.add("store_failures")
                    log("store failed", level=logging.ERROR, code=error.code, texts=len(entries))
                    return error
            except Exception as error:
                # Whatever it is, those who wait must be told; the thread must live.
                log("store failed", level=logging.ERROR, error=error, texts=len(entries))
                return StoreError("the store failed")
            else:
                self._metrics.board.add("items_written", len(entries))
                return None
        return None

    def _settle(self, jobs: Sequence[_Job], failure: StoreError | None) -> None:
        for entries, done in jobs:
            self._change(-len(entries))
            if done is not None and not done.done():
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
