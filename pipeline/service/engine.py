"""Scoring: the fastest engine that is installed, kept off the event loop where it would hold others up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from ..classifier import CheckSettings, Classifier, load
from ..errors import ModelError, UsageError
from ..model.gate import Gate
from ..model.golden import verify
from ..taxonomy import taxonomy
from ..text.normalise import normalise
from ..verdict import Verdict
from .problems import ApiError

T = TypeVar("T")
COMPILED = "compiled"
PROBE = "不看征信不审核,黑户也能百分百下款的口子,秒到账"


class Engine:
    """A loaded model. ``slice`` is the number of characters that may be scored in one go on the event loop."""

    def __init__(self, classifier: Classifier, kind: str) -> None:
        self.classifier = classifier
        self.kind = kind
        self.compiled = kind == COMPILED
        self.slice = 4_000 if self.compiled else 300
        self._gate = Gate(classifier.artefact.gate)

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.classifier.version

    def check_many(self, texts: Sequence[str], settings: CheckSettings, *, channel: str | None = None) -> list[Verdict]:
        """Verdicts in the order of ``texts``."""
        return self.classifier.check_many(texts, settings, channel=channel)

    def check_gated(self, text: str, settings: CheckSettings, channel: str | None) -> Verdict | None:
        """The verdict on a text without any trigger of the model; ``None`` for others.

        A call of the compiled engine costs ten times what it takes to see that a text holds no trigger, and most do not.
        """
        if self._gate.passes(normalise(text).text):
            return None
        return Classifier.check(self.classifier, text, settings, id="0", channel=channel)

    def moderate(self, texts: Sequence[str], settings: CheckSettings) -> list[tuple[Verdict, dict[str, float]]]:
        """Verdicts, each with the probability of every code."""
        codes = tuple(taxonomy().codes)
        found: list[tuple[Verdict, dict[str, float]]] = []
        if self.compiled and len(texts) > 1:
            columns = self.classifier.score(texts, replace(settings, explain=False))  # type: ignore[attr-defined]
            scores = dict(zip(columns.scored.tolist(), columns.code_probabilities.tolist(), strict=True))
            nothing = [0.0] * len(codes)
            for i, verdict in enumerate(self.check_many(texts, settings)):
                found.append((verdict, dict(zip(codes, scores.get(i, nothing), strict=True))))
            return found
        for text in texts:
            judged = self.classifier.judge(text)
            found.append((judged.verdict(settings), {code: judged.code_probability(code) for code in codes}))
        return found

    def ready(self) -> bool:
        """Whether the engine still flags a text that any model must flag."""
        return self.classifier.check(PROBE).severity >= 2


def load_engine(path: Path | None, kind: str = "auto") -> Engine:
    """The engine of that kind, ``auto`` is the compiled one where it is installed; checked before use.

    Raises ``ModelError``, and ``UsageError`` where the compiled engine is asked for and not installed.
    """
    installed = find_spec("numba") is not None and find_spec("pipeline.compiled") is not None
    if kind == COMPILED and not installed:
        raise UsageError(
            "the compiled engine needs the extra 'fast': pip install 'loanlint[fast]'", code="E_USAGE_EXTRA"
        )
    if installed and kind != "plain":
        classifier = import_module("pipeline.compiled").load_compiled(path)
        engine = Engine(classifier, COMPILED)
    else:
        classifier = load(path)
        engine = Engine(classifier, "plain")
    verify(classifier.artefact)
    if not engine.ready():
        raise ModelError(
            f"{classifier.artefact.path}: does not flag the text every model must flag, so it is of no use here. "
            "Look at it with `loanlint evaluate`.",
            code="E_MODEL_PROBE",
        )
    return engine


_Kind = tuple[Engine, CheckSettings, str | None]


class Scoring:
    """Runs scoring work so that small requests do not wait behind large ones.

    Work is cut into slices. A slice runs on the event loop, which costs nothing; between slices others get their turn. A
    single text that is larger than a slice goes to a thread.
    """

    def __init__(self, threads: int = 2) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
        self._waiting: dict[_Kind, list[tuple[str, asyncio.Future[Verdict]]]] = {}

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(
        self, work: Callable[[Sequence[str]], list[T]], texts: Sequence[str], slice: int, deadline: float
    ) -> list[T]:
        """``work`` on all texts, in order; raises ``ApiError`` when ``deadline`` (monotonic) passes."""
        found: list[T] = []
        start = size = 0
        for i, text in enumerate(texts):
            # A text costs something even when it is short.
            cost = len(text) + 4
            if i > start and size + cost > slice:
                found += await self._slice(work, texts[start:i], size, slice)
                if time.monotonic() > deadline:
                    raise too_long()
                await asyncio.sleep(0)
                start, size = i, 0
            size += cost
        if start < len(texts):
            found += await self._slice(work, texts[start:], size, slice)
        return found

    async def judge(
        self,
        engine: Engine,
        texts: Sequence[str],
        channels: Sequence[str | None],
        settings: CheckSettings,
        deadline: float,
    ) -> list[Verdict]:
        """Verdicts in order; their ids are positions. Texts of one channel are scored together."""
        if len(texts) == 1 and engine.compiled and len(texts[0]) <= engine.slice:
            known = engine.check_gated(texts[0], settings, channels[0])
            return [known or await self._together((engine, settings, channels[0]), texts[0])]
        found: list[Verdict | None] = [None] * len(texts)
        for channel in dict.fromkeys(channels):
            places = [i for i, c in enumerate(channels) if c == channel]

            def work(part: Sequence[str], channel: str | None = channel) -> list[Verdict]:
                return engine.check_many(part, settings, channel=channel)

            some = await self.run(work, [texts[i] for i in places], engine.slice, deadline)
            for place, verdict in zip(places, some, strict=True):
                # Every slice is numbered from 0.
                found[place] = verdict if verdict.id == str(place) else replace(verdict, id=str(place))
        return [verdict for verdict in found if verdict is not None]

    def _together(self, kind: _Kind, text: str) -> asyncio.Future[Verdict]:
        """The verdict on a text, scored with those of other requests that are at the same point: it costs no waiting."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        waiting = self._waiting.setdefault(kind, [])
        if not waiting:
            loop.call_soon(self._flush, kind)
        waiting.append((text, future))
        return future

    def _flush(self, kind: _Kind) -> None:
        engine, settings, channel = kind
        waiting = self._waiting.pop(kind)
        size = count = 0
        for text, _ in waiting:
            size += len(text)
            if count and size > engine.slice:
                break
            count += 1
        if count < len(waiting):
            self._waiting[kind] = waiting[count:]
            asyncio.get_running_loop().call_soon(self._flush, kind)
        now = [(text, future) for text, future in waiting[:count] if not future.done()]
        try:
            verdicts = engine.check_many([text for text, _ in now], settings, channel=channel)
        except Exception as error:
            # Whatever it is, each request must end with it.
            for _, future in now:
                future.set_exception(error)
            return
        for (_, future), verdict in zip(now, verdicts, strict=True):
            future.set_result(verdict if verdict.id == "0" else replace(verdict, id="0"))

    async def _slice(
        self, work: Callable[[Sequence[str]], list[T]], texts: Sequence[str], size: int, slice: int
    ) -> list[T]:
        if size > 4 * slice:
            return await self.thread(work, texts)
        return work(texts)

    async def thread(self, work: Callable[..., T], *values: object) -> T:
        """``work`` in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *values)


def too_long() -> ApiError:
    """The error of a request that took too much time."""
    return ApiError("time")
