"""What a worker process does: one shard in, a part file out."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import InputError
from .carrying import Stretches, Uncarried
from .pages import quiet_page, score_pages
from .reading import Chunk, Reader
from .scoring import Scored, Scorer, load_scorer
from .settings import Job
from .sinks import open_part
from .sources import Input, Reject, Shard
from .summary import Summary


@dataclass(frozen=True, slots=True)
class Done:
    """A shard that was worked on.

    ``part`` file, what of the input goes into the output ``before`` it, what they hold, what was rejected, and the lines passed.
    """

    shard: Shard
    part: Path
    before: Stretches | None
    summary: Summary
    rejects: list[Reject]
    lines: int


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage meanwhile: what is loaded stays, and looking through it takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Worker:
    """Scores shards with one loaded model."""

    def __init__(self, job: Job, folder: Path) -> None:
        pa.set_cpu_count(1)
        if "jemalloc" in pa.supported_memory_backends():
            # It keeps what was freed for the next batch. To have the pages made anew costs as much as decoding into them.
            pa.set_memory_pool(pa.jemalloc_memory_pool())
        settings = job.settings
        self._job = job
        self._folder = folder
        with _uncollected():
            self._scorer: Scorer = load_scorer(settings.model, settings.check, settings.engine)
        self._reader = Reader(job)

    @property
    def model_version(self) -> str:
        """Version of the model."""
        return self._scorer.model_version

    def run(self, item: Input, shard: Shard, limit: int | None) -> Done:
        """Score a shard (at most ``limit`` rows of it) into a part file."""
        # Hundreds of thousands of objects live at once and none in a cycle: looking for cycles among them only costs time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self._run(item, shard, limit, carry=True)
        except Uncarried:
            return self._run(item, shard, limit, carry=False)
        finally:
            if collecting:
                gc.enable()

    def _run(self, item: Input, shard: Shard, limit: int | None, *, carry: bool) -> Done:
        path = self._folder / f"part-{shard.index}-{os.getpid()}"
        summary = Summary(model_version=self._scorer.model_version)
        rejects: list[Reject] = []
        lines = 0
        with path.open("wb") as file, closing(open_part(self._job, file, item, shard, carry=carry)) as part:
            for found in self._reader.chunks(item, shard, limit):
                scored, chunk = self._scored(found)
                summary.read += chunk.read
                summary.reject(chunk.rejects)
                if scored.count:
                    summary.add(scored, chunk.ids, chunk.urls)
                    summary.written += part.write(chunk, scored)
                rejects += [
                    Reject(r.line + lines if r.line else 0, r.reason, r.message, r.rows, r.file) for r in chunk.rejects
                ]
                lines += chunk.lines
            before = part.end()
        summary.shorten()
        return Done(shard, path, before, summary, rejects, lines)

    def _scored(self, chunk: Chunk) -> tuple[Scored, Chunk]:
        """Verdicts on a chunk, without the rows that turn out not to be text."""
        try:
            return self._score(chunk.texts), chunk
        except (InputError, UnicodeDecodeError):
            if chunk.batch is None:
                raise
        chunk = self._reader.sifted(chunk.batch)
        return self._score(chunk.texts), chunk

    def _score(self, texts: Sequence[str] | Any) -> Scored:
        if len(texts) == 0:
            quiet = quiet_page(self.model_version) if self._job.pages else self._scorer.quiet
            return Scored(0, [], [], quiet)
        return (
            score_pages(texts, self._scorer)
            if self._job.pages
            else self._scorer.score(texts, columns=self._job.settings.sink != "csv")
        )


class _Without:
    """An import hook under which some packages count as not installed."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse the packages, and leave all others to whoever comes next."""
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is not used here", name=name)


_asked: tuple[Job, Path] | None = None


def start(job: Job, folder: Path, prepare: Callable[[], None] | None = None) -> None:
    """Make this process a worker. It ends with its parent, and leaves Ctrl-C to it."""
    global _asked
    _asked = job, folder
    # pyarrow and numba load these where they are installed, which takes a fifth of the start; nothing of ours uses them here.
    sys.meta_path.insert(0, _Without("pandas", "scipy"))
    if prepare is not None:
        prepare()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def run(item: Input, shard: Shard, limit: int | None) -> Done:
    """Work on a shard in a worker process."""
    return _worker().run(item, shard, limit)


@cache
def _worker() -> Worker:
    """The worker of this process, made when there is work, so that what goes wrong is told as a result."""
    assert _asked is not None
    return Worker(*_asked)
