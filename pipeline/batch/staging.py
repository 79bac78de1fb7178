"""The output while it is written: beside its final name, with a journal that an interrupted run goes on from.

``OUT.partial/`` holds ``data`` (the output so far), ``rejects``, ``remembered`` (what the format needs at the end) and ``journal.jsonl``:
first what the run was asked, then a line for each shard that is safely in ``data``. Nothing that stands after the sizes in the last
whole line of the journal counts. Only a complete output gets its final name; from then on ``complete`` says that nothing but renaming is left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

import msgspec

from ..errors import LoanlintError, UsageError
from .settings import BatchSettings, Job
from .sinks import joiner
from .summary import Summary
from .work import Done

SYNC_SECONDS = 2.0
_FILES = ("data", "rejects", "remembered")


class OutputError(LoanlintError):
    """The output cannot be written."""

    code = "E_OUTPUT"


class State(msgspec.Struct):
    """How far a run is: shards that are done, lines passed in the file of the last, sizes of the staged files.

    ``opened`` lines stand before the last compressed member of which something was passed on before its checksum was read.
    """

    shards: int = 0
    file: int = -1
    lines: int = 0
    opened: int = 0
    groups: int = 0
    rows: int = 0
    sizes: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0])
    summary: Summary = msgspec.field(default_factory=Summary)


class Output(Protocol):
    """Where parts go, in order."""

    folder: Path
    state: State

    def add(self, done: Done, rejects: bytes) -> None:
        """Take in the part of a shard, and delete it."""

    def finish(self) -> None:
        """Give the output its final name."""

    def close(self) -> None:
        """Let go, whether finished or not."""


class FileOutput:
    """An output file with a journal."""

    def __init__(self, job: Job, asked: dict[str, Any]) -> None:
        settings = job.settings
        self._out = Path(settings.out)
        self.folder = self._named(".partial")
        self.rejects_path = self._named(".rejects.jsonl")
        self._joiner = joiner(job)
        self._pending: list[bytes] = []
        self._synced = time.monotonic()
        self._files: list[IO[bytes]] = []
        self.state = State()
        if self._out.is_dir():
            raise UsageError(f"--out {self._out}: is a folder; name a file")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("wb")
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be made ({error.strerror}). Check --out.") from error
        try:
            self._open(settings, msgspec.json.encode(asked) + b"\n")
        except BaseException:
            self.close()
            raise

    def _open(self, settings: BatchSettings, question: bytes) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                f"{self._out}: another run is writing it. Wait for it to end.", code="E_OUTPUT_BUSY"
            ) from error
        journal = self.folder / "journal.jsonl"
        resumed = settings.resume and journal.exists() and self._restore(journal, question)
        self._complete = resumed and (self.folder / "complete").exists()
        for left in [*self.folder.glob("part-*"), *(() if self._complete else (self.folder / "complete",))]:
            left.unlink(missing_ok=True)
        if self._complete:
            self.state.shards = sys.maxsize
            return
        for name, size in zip(_FILES, self.state.sizes, strict=True):
            file = (self.folder / name).open("r+b" if resumed else "w+b")
            file.truncate(size)
            file.seek(size)
            self._files.append(file)
        self._journal = journal.open("r+b" if resumed else "w+b")
        self._files.append(self._journal)
        if resumed:
            self._journal.truncate(self._journal_size)
            self._journal.seek(0, os.SEEK_END)
        else:
            self._journal.write(question)
            self._files[0].write(self._joiner.begin())
        self._sync()

    def _restore(self, journal: Path, question: bytes) -> bool:
        """Take up the state that the journal tells; ``False`` if it tells none."""
        lines = journal.read_bytes().splitlines(keepends=True)
        if not lines or not lines[0].endswith(b"\n"):
            return False
        if lines[0] != question:
            raise UsageError(
                f"{self.folder}: this run was begun with other inputs, options or another model. "
                "Run it as it was begun, or without --resume to start anew.",
                code="E_USAGE_RESUME",
            )
        summary = Summary()
        self._journal_size = len(lines[0])
        for line in lines[1:]:
            try:
                state = msgspec.json.decode(line, type=State)
            except msgspec.DecodeError:
                break  # the line that was being written
            summary.merge(state.summary)
            self.state = state
            self._journal_size += len(line)
        self.state.summary = summary
        self._joiner.groups, self._joiner.rows = self.state.groups, self.state.rows
        return self.state.shards > 0

    def add(self, done: Done, rejects: bytes) -> None:
        """Take in the part of a shard, and delete it."""
        state = self.state
        data, bad, notes, _ = self._files
        notes.write(self._joiner.add(done.part, data, done.summary.written, done.before))  # type: ignore[arg-type]
        bad.write(rejects)
        done.part.unlink()
        state.summary.merge(done.summary)
        entry = State(
            shards=done.shard.index + 1,
            file=state.file,
            lines=state.lines,
            opened=state.opened,
            groups=self._joiner.groups,
            rows=self._joiner.rows,
            sizes=[file.tell() for file in (data, bad, notes)],
            summary=done.summary,
        )
        state.shards = entry.shards
        self._pending.append(msgspec.json.encode(entry) + b"\n")
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        """What the journal tells must be on the disk before it is told."""
        for file in self._files[:-1]:
            _flush(file)
        self._journal.writelines(self._pending)
        _flush(self._journal)
        self._pending.clear()
        self._synced = time.monotonic()

    def finish(self) -> None:
        """Give output, rejects and summary their final names."""
        if not self._complete:
            data, _, notes, _ = self._files
            self._sync()
            notes.seek(0)
            data.write(self._joiner.end(notes.read()))
            _flush(data)
            summary = msgspec.json.format(msgspec.json.encode(self.state.summary), indent=1) + b"\n"
            for name, content in (("summary", summary), ("complete", b"")):
                with (self.folder / name).open("wb") as file:
                    file.write(content)
                    _flush(file)
            _sync_folder(self.folder)
        for name, final in (
            ("rejects", self.rejects_path),
            ("summary", self._named(".summary.json")),
            ("data", self._out),
        ):
            staged = self.folder / name
            if name == "rejects" and not self.state.summary.rejected:
                final.unlink(missing_ok=True)
            elif staged.exists():
                os.replace(staged, final)
        _sync_folder(self._out.parent)
        self.close()
        shutil.rmtree(self.folder)

    def _named(self, suffix: str) -> Path:
        return self._out.with_name(self._out.name + suffix)

    def close(self) -> None:
        """Write down how far the run came. Where even that fails, for a full disk, the journal tells of what is safe."""
        with suppress(OSError):
            if self._pending:
                self._sync()
        for file in (*self._files, self._lock):
            with suppress(OSError):
                file.close()
        self._files.clear()


class StreamOutput:
    """Standard output: parts as they come; what was rejected goes to standard error."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.folder = folder
        self.state = State()
        self._joiner = joiner(job)
        self._out = sys.stdout.buffer
        self._out.write(self._joiner.begin())

    def add(self, done: Done, rejects: bytes) -> None:
        """Write the part of a shard."""
        self._joiner.add(done.part, self._out, done.summary.written, done.before)
        self._out.flush()
        done.part.unlink()
        sys.stderr.write(rejects.decode("utf-8"))
        self.state.shards = done.shard.index + 1
        self.state.summary.merge(done.summary)

    def finish(self) -> None:
        """Nothing is held back."""
        self._out.flush()

    def close(self) -> None:
        """The stream is not ours to close."""


def _flush(file: IO[bytes] | BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
