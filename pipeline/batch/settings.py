"""What a batch run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..classifier import CheckSettings
from ..errors import UsageError
from .scoring import ENGINES

STANDARD_STREAM = "-"
OUT_FORMATS = ("jsonl", "csv", "parquet")

# A longer row is rejected: it is no text that a person wrote, and memory must stay bounded.
MAX_ROW = 16 * 1024 * 1024
MAX_TEXT = 2_000_000


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """A batch run.

    ``inputs`` files or folders, or ``("-",)`` for standard input; ``out`` a path, or ``-`` for standard output;
    ``out_format`` one of ``OUT_FORMATS``, by default as the name of ``out`` says; ``text_column`` holds the text (default
    ``text``), or ``html_column`` a page; ``id_column`` and ``url_column`` (default ``id``, ``url`` where there is one) name the
    row and its domain in the summary; ``prefix`` goes before the names of the verdict columns; ``limit`` rows to read;
    ``workers`` processes; ``shard_bytes`` of input are worked on, and safely written, at a time; ``resume`` goes on with an interrupted run; ``report`` an HTML file to write.
    """

    inputs: tuple[str, ...]
    out: str = STANDARD_STREAM
    out_format: str | None = None
    text_column: str | None = None
    html_column: str | None = None
    id_column: str | None = None
    url_column: str | None = None
    prefix: str = ""
    only_flagged: bool = False
    limit: int | None = None
    workers: int = 1
    resume: bool = False
    report: str | None = None
    model: Path | None = None
    engine: str = "auto"
    check: CheckSettings = field(default_factory=CheckSettings)
    shard_bytes: int = 16 << 20

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError("no input given. Name files or folders, or - for standard input.")
        if self.text_column is not None and self.html_column is not None:
            raise UsageError("--text-column and --html-column exclude each other; name the column to be judged.")
        if STANDARD_STREAM in self.inputs and len(self.inputs) > 1:
            raise UsageError("standard input (-) cannot be mixed with files.")
        if self.resume and (self.out == STANDARD_STREAM or STANDARD_STREAM in self.inputs):
            raise UsageError("--resume needs a file to read and a file to write; a stream cannot be taken up again.")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit}: give a positive number of rows.")
        if self.workers < 1:
            raise UsageError(f"--workers {self.workers}: give a positive number of processes.")
        if self.engine not in ENGINES:
            raise UsageError(f"unknown engine {self.engine!r}; choose one of {', '.join(ENGINES)}")
        if self.sink not in OUT_FORMATS:
            raise UsageError(f"unknown output format {self.sink!r}; choose one of {', '.join(OUT_FORMATS)}")
        if self.out == STANDARD_STREAM and self.sink == "parquet":
            raise UsageError("Parquet cannot be written to standard output; give --out FILE.")

    @property
    def sink(self) -> str:
        """Format of the output."""
        if self.out_format is not None:
            return self.out_format
        suffix = Path(self.out).suffix.lower().removeprefix(".")
        if self.out == STANDARD_STREAM or suffix in ("jsonl", "ndjson", "json"):
            return "jsonl"
        if suffix in ("csv", "parquet"):
            return suffix
        raise UsageError(f"--out {self.out}: name it .jsonl, .csv or .parquet, or give --out-format.")

    @property
    def judged_column(self) -> str:
        """Name of the column that is judged."""
        return self.html_column or self.text_column or "text"


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to know, beside the shard it works on.

    ``source`` kind of the inputs; ``pages`` whether pages are judged, not texts; ``schema`` the caller's columns as a serialised
    Arrow schema, ``None`` for lines of JSON that pass through as they are.
    """

    settings: BatchSettings
    source: str
    pages: bool
    schema: bytes | None
