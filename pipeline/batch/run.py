"""A batch run: shards to workers, parts in order into the output, counts checked at the end."""

from __future__ import annotations

import errno
import multiprocessing
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from .. import __version__
from ..errors import LoanlintError
from ..model.artefact import load_artefact
from ..resources import default_model_path
from . import work
from .layout import layout
from .settings import STANDARD_STREAM, BatchSettings, Job
from .sources import Input, Reject, Shard, find_inputs, plan
from .staging import FileOutput, Output, OutputError, StreamOutput
from .summary import Summary
from .work import Done, Worker


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: bytes of input done and in all (0 if unknown), rows read, flagged and rejected so far."""

    bytes_done: int
    bytes_total: int
    rows: int
    flagged: int
    rejected: int


class BatchError(LoanlintError):
    """A run could not be completed."""

    code = "E_BATCH"


class _Pool(Protocol):
    def submit(self, item: Input, shard: Shard, limit: int | None) -> Callable[[], Done]: ...


class _Here:
    """Works on shards in this process."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._worker = Worker(job, folder)

    def submit(self, item: Input, shard: Shard, limit: int | None) -> Callable[[], Done]:
        return lambda: self._worker.run(item, shard, limit)


class _Processes:
    """Works on shards in other processes, which read and write files themselves."""

    def __init__(self, job: Job, folder: Path, prepare: Callable[[], None] | None) -> None:
        # A fresh interpreter each: a fork of a process with threads may hang.
        self._pool = ProcessPoolExecutor(
            job.settings.workers,
            multiprocessing.get_context("spawn"),
            initializer=work.start,
            initargs=(job, folder, prepare),
        )

    def submit(self, item: Input, shard: Shard, limit: int | None) -> Callable[[], Done]:
        future: Future[Done] = self._pool.submit(work.run, item, shard, limit)
        return future.result

    def stop(self) -> None:
        """End the workers at once; what they were doing is done again by the next run."""
        for process in multiprocessing.active_children():
            process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def run_batch(
    settings: BatchSettings,
    progress: Callable[[Progress], None] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Summary:
    """Score the inputs into the output and return what was found.

    ``progress`` is called after each shard; ``prepare``, a function of a module, first in each worker process. On an interruption (``KeyboardInterrupt``, a full disk, a killed worker) the part that is
    done stays beside the output, to go on from with ``resume``. Raises ``UsageError``, ``InputError``, ``ModelError``,
    ``OutputError`` and ``BatchError``.
    """
    inputs = find_inputs(settings.inputs)
    job = layout(inputs, settings)
    model = load_artefact(settings.model or default_model_path()).version
    with ExitStack() as stack:
        if settings.out == STANDARD_STREAM:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loanlint-")))
            output: Output = StreamOutput(job, folder)
        else:
            output = FileOutput(job, _asked(inputs, settings, model))
            stack.callback(output.close)
        summary = _run(inputs, job, output, progress, prepare)
        _check(summary, settings)
        try:
            output.finish()
        except OSError as error:
            raise _disk(error, settings) from error
    if settings.report is not None:
        from .report import write_report

        write_report(summary, Path(settings.report), [item.name for item in inputs])
    return summary


def _asked(inputs: list[Input], settings: BatchSettings, model: str) -> dict[str, Any]:
    """What decides over the bytes of the output: a run may only be taken up by one that asks the same."""
    check = settings.check
    return {
        "loanlint": __version__,
        "model": model,
        "inputs": [(item.path, item.size, Path(item.path).stat().st_mtime_ns) for item in inputs if item.size],
        "columns": (
            settings.text_column,
            settings.html_column,
            settings.id_column,
            settings.url_column,
            settings.prefix,
        ),
        "format": settings.sink,
        "check": (check.operating_point, check.fail_on),
        "only_flagged": settings.only_flagged,
        "limit": settings.limit,
        "shard_bytes": settings.shard_bytes,
    }


def _run(
    inputs: list[Input],
    job: Job,
    output: Output,
    progress: Callable[[Progress], None] | None,
    prepare: Callable[[], None] | None,
) -> Summary:
    settings = job.settings
    state = output.state
    total = sum(item.size for item in inputs)
    weight = 0
    pool = _Here(job, output.folder) if settings.workers == 1 else _Processes(job, output.folder, prepare)
    try:
        for shard, result in _in_order(_shards(inputs, job), inputs, pool, output, settings):
            weight += shard.weight
            if result is None:
                continue
            try:
                _take(result(), inputs, output)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise _disk(error, settings) from error
            if progress is not None:
                s = state.summary
                progress(Progress(weight, total, s.read, s.flagged, s.rejected))
            if settings.limit is not None and state.summary.read >= settings.limit:
                break
    except BrokenProcessPool as error:
        raise BatchError(
            "a worker process was killed, perhaps for lack of memory. Free some, give fewer --workers, and run again "
            "with --resume.",
            code="E_BATCH_WORKER",
        ) from error
    finally:
        if isinstance(pool, _Processes):
            pool.stop()
    return state.summary


def _shards(inputs: list[Input], job: Job) -> Iterator[Shard]:
    import pyarrow as pa

    columns = tuple(pa.ipc.read_schema(pa.py_buffer(job.schema)).names) if job.schema is not None else ()
    return plan(inputs, columns, job.settings.shard_bytes)


def _in_order(
    shards: Iterator[Shard],
    inputs: list[Input],
    pool: _Here | _Processes,
    output: Output,
    settings: BatchSettings,
) -> Iterator[tuple[Shard, Callable[[], Done] | None]]:
    """Shards with what will give their results, a few ahead of the one that is taken. ``None`` for those done by an earlier run."""
    ahead = 1 if settings.workers == 1 else 2 * settings.workers + 2
    waiting: deque[tuple[Shard, Callable[[], Done]]] = deque()
    first = output.state.shards
    for shard in shards:
        if shard.index < first:
            yield shard, None
            continue
        left = None if settings.limit is None else settings.limit - output.state.summary.read
        waiting.append((shard, pool.submit(inputs[shard.file], shard, left)))
        if len(waiting) >= ahead:
            yield _next(waiting, inputs, pool, output, settings)
    while waiting:
        yield _next(waiting, inputs, pool, output, settings)


def _next(
    waiting: deque[tuple[Shard, Callable[[], Done]]],
    inputs: list[Input],
    pool: _Here | _Processes,
    output: Output,
    settings: BatchSettings,
) -> tuple[Shard, Callable[[], Done]]:
    shard, result = waiting.popleft()
    if settings.limit is None:
        return shard, result
    left = settings.limit - output.state.summary.read

    def limited() -> Done:
        done = result()
        if done.summary.read <= left:
            return done
        # Rows of earlier shards were not counted yet when this one was handed out.
        done.part.unlink()
        return pool.submit(inputs[shard.file], shard, left)()

    return shard, limited


def _take(done: Done, inputs: list[Input], output: Output) -> None:
    """Put the part of a shard into the output, and its rejects with the lines they have in their file.

    Where the shard stands for a damaged member, they also say which lines are suspect.
    """
    state = output.state
    shard = done.shard
    if state.file != shard.file:
        state.file, state.lines = shard.file, 0
    state.lines += shard.lead
    if shard.opens:
        state.opened = state.lines
    name = inputs[shard.file].name
    before, state.lines = state.lines, state.lines + done.lines
    first = state.opened if shard.passed else state.lines
    last = state.lines + 1 if shard.headless else before
    suspect = (first + 1, last) if first < last else None
    if suspect is not None:
        done.summary.suspect += last - first
    output.add(done, b"".join(_line(reject, name, before, suspect) for reject in done.rejects))


def _line(reject: Reject, name: str, before: int, suspect: tuple[int, int] | None) -> bytes:
    row: dict[str, Any] = {
        "file": reject.file or name,
        "line": reject.line + before if reject.line else 0,
        "reason": reject.reason,
        "message": reject.message,
    }
    if reject.rows != 1:
        row["rows"] = reject.rows
    if suspect is not None:
        row["suspect"] = suspect
    return msgspec.json.encode(row) + b"\n"


def _check(summary: Summary, settings: BatchSettings) -> None:
    """Every row that came in went out or was rejected."""
    kept = settings.only_flagged or summary.written == summary.judged
    if summary.read != summary.judged + summary.rejected or not kept:
        raise BatchError(
            f"rows do not add up: {summary.read} read, {summary.judged} judged, {summary.written} written, "
            f"{summary.rejected} rejected. The output keeps its temporary name; please report this.",
            code="E_BATCH_COUNT",
        )


def _disk(error: OSError, settings: BatchSettings) -> LoanlintError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    what = "no space left for the output" if full else f"the output cannot be written ({error.strerror or error})"
    todo = "Free some space and run again with --resume" if full else "Check --out, and run again with --resume"
    return OutputError(f"{settings.out}: {what}. {todo}.", code="E_OUTPUT_FULL" if full else "E_OUTPUT")
