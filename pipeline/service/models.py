"""The model in use and the one in its shadow, changed while requests are answered."""

from __future__ import annotations

import gc
import logging
import queue
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ..classifier import CheckSettings
from ..errors import LoanlintError
from ..verdict import Verdict
from .engine import Engine, load_engine
from .logs import log
from .metrics import Metrics
from .registry import ACTIVE, SHADOW, Activation, Comparison, Registry
from .store import Store, item_id

_SHADOW_QUEUE = 200
_PLAIN = CheckSettings(explain=False)


class Shadow:
    """A candidate that scores a share of the texts in its own thread; it drops texts rather than hold anyone up."""

    def __init__(self, engine: Engine, fraction: float, registry: Registry, metrics: Metrics) -> None:
        self.engine = engine
        self.fraction = fraction
        self._registry = registry
        self._metrics = metrics
        self._queue: queue.Queue[tuple[str, list[Verdict]] | None] = queue.Queue(_SHADOW_QUEUE)
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, active: str, verdicts: Sequence[Verdict]) -> None:
        """Compare a share of ``verdicts`` of the model version ``active``. Returns at once."""
        chosen = [v for v in verdicts if random.random() < self.fraction]
        if not chosen:
            return
        try:
            self._queue.put_nowait((active, chosen))
        except queue.Full:
            self._metrics.board.add("shadow_dropped", len(chosen))

    def close(self) -> None:
        """Finish what is queued and stop."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            jobs = [job]
            last = False
            while len(jobs) < 50:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                    break
                jobs.append(more)
            try:
                self._compare(jobs)
            except LoanlintError as error:
                log("shadow results lost", level=logging.ERROR, code=error.code)
            if last:
                return

    def _compare(self, jobs: Sequence[tuple[str, list[Verdict]]]) -> None:
        found: dict[str, list[Comparison]] = {}
        for active, verdicts in jobs:
            others = self.engine.check_many([v.text for v in verdicts], _PLAIN)
            rows = [
                Comparison(item_id(a.text), a.text, a.severity, b.severity, a.p_misleading, b.p_misleading)
                for a, b in zip(verdicts, others, strict=True)
            ]
            found.setdefault(active, []).extend(rows)
        for active, rows in found.items():
            self._registry.compare(active, self.engine.version, rows, time.time())
            self._metrics.board.add("shadow_texts", len(rows))


def _settle() -> None:
    """Take what is loaded out of the garbage collector's sight: to walk through a model takes it a tenth of a second."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class ModelSlot:
    """Holds the engine in use; takes up activations.

    A model given on the command line is used until something is activated after the start.
    """

    def __init__(self, store: Store, metrics: Metrics, model: Path | None, fraction: float, kind: str = "auto") -> None:
        self._store = store
        self._metrics = metrics
        self._fraction = fraction
        self._kind = kind
        self._lock = threading.Lock()
        self._shadow_seq = 0
        self.shadow: Shadow | None = None
        current = store.registry.current(ACTIVE)
        self._active_seq = current.seq if current else 0
        if model is None and current is not None and current.path is not None:
            model = Path(current.path)
        self._path = model
        self.engine = load_engine(model, kind)
        self._unsettled = False
        _settle()

    def refresh(self, *, again: bool = False) -> None:
        """Take up what was activated since; ``again`` loads the current directory afresh.

        Never raises: a model that cannot be used is reported and the one in use stays.
        """
        with self._lock:
            if self._unsettled:
                # At the poll after a change, when no request has the model before it in hand any more.
                self._unsettled = False
                _settle()
            try:
                self._refresh_active(again)
                self._refresh_shadow()
            except LoanlintError as error:
                log("model refresh failed", level=logging.ERROR, code=error.code)

    def _refresh_active(self, again: bool) -> None:
        current = self._store.registry.current(ACTIVE)
        path = self._path
        if current is not None and current.seq > self._active_seq:
            # Tried once: a model that does not load is not tried again at every poll.
            self._active_seq = current.seq
            path = Path(current.path) if current.path else None
        elif not again:
            return
        engine = self._load(path, "active")
        if engine is not None:
            self._path, self.engine = path, engine

    def _refresh_shadow(self) -> None:
        current = self._store.registry.current(SHADOW)
        if current is None or current.seq == self._shadow_seq:
            return
        self._shadow_seq = current.seq
        previous, self.shadow = self.shadow, self._new_shadow(current)
        if previous is not None:
            previous.close()

    def _new_shadow(self, current: Activation) -> Shadow | None:
        if current.path is None:
            log("shadow scoring ended")
            return None
        engine = self._load(Path(current.path), "shadow")
        if engine is None:
            return None
        fraction = self._fraction if current.fraction is None else current.fraction
        return Shadow(engine, fraction, self._store.registry, self._metrics)

    def _load(self, path: Path | None, role: str) -> Engine | None:
        try:
            engine = load_engine(path, self._kind)
        except LoanlintError as error:
            log("model refused", level=logging.ERROR, role=role, model_path=str(path), code=error.code)
            self._metrics.board.add("models_refused")
            return None
        log("model loaded", role=role, model=engine.version, engine=engine.kind)
        self._metrics.board.add("models_loaded")
        self._unsettled = True
        return engine

    def close(self) -> None:
        """Finish shadow scoring."""
        if self.shadow is not None:
            self.shadow.close()
