"""Other people's labelled data made into corpus rows.

JSONL, CSV or TSV; columns and labels are mapped. What cannot be used is counted with its reason and line, and never stops the
rest. Texts that are nearly the same become one family, personal data are masked.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from .corpus import CHANNELS, Row
from .duplicates import SIMILARITY, clusters
from .labels import FORMATS, Label
from .personal import mask_personal

MOST_LINES_NAMED = 5


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """How a file is read. ``name`` starts ids and families; ``ignore`` labels are left out on purpose."""

    labels: Mapping[str, Label]
    name: str
    text_column: str = "text"
    label_column: str = "label"
    family_column: str | None = None
    channel: str = "web"
    format: str = "jsonl"
    encoding: str = "utf-8"
    ignore: frozenset[str] = frozenset()
    similarity: float = SIMILARITY
    longest: int = 20_000

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise UsageError(f"unknown format {self.format!r}; choose one of {', '.join(FORMATS)}")
        if self.channel not in CHANNELS:
            raise UsageError(f"unknown channel {self.channel!r}; choose one of {', '.join(CHANNELS)}")
        if not self.labels:
            raise UsageError("no label is mapped; give --map LABEL=severity, --map-file or --preset")


@dataclass(slots=True)
class Imported:
    """Rows, and what happened. ``left_out``: reason → lines; ``masked``: how many personal data."""

    rows: list[Row] = field(default_factory=list)
    read: int = 0
    masked: int = 0
    left_out: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def reasons(self) -> list[str]:
        """Why rows were left out: reason, how many, the first lines."""
        found = []
        for reason, lines in sorted(self.left_out.items(), key=lambda item: (-len(item[1]), item[0])):
            more = " …" if len(lines) > MOST_LINES_NAMED else ""
            found.append(f"{len(lines):,} × {reason} (line {', '.join(map(str, lines[:MOST_LINES_NAMED]))}{more})")
        return found


class _BadRow(Exception):
    """A row that cannot be used; the message is the reason."""


def import_rows(path: Path, settings: ImportSettings) -> Imported:
    """The usable rows of a file. Raises ``DataError`` if it cannot be read, lacks a column, or has no usable row."""
    result = Imported()
    seen: dict[str, Label] = {}
    names: list[str] = []
    for line, record in _records(path, settings):
        result.read += 1
        try:
            if isinstance(record, str):
                raise _BadRow(record)
            label = _label(record.get(settings.label_column), settings)
            text, masked = mask_personal(_text(record.get(settings.text_column), settings))
            if text in seen:
                raise _BadRow("text seen before" if seen[text] == label else "text seen before with another label")
            family = ""
            if settings.family_column is not None:
                family = _scalar(record.get(settings.family_column)) or ""
        except _BadRow as reason:
            result.left_out[str(reason)].append(line)
            continue
        seen[text] = label
        result.masked += masked
        names.append(family)
        id_ = f"{settings.name}-{line:06d}"
        result.rows.append(Row(id_, text, label.severity, label.stance, label.codes, settings.channel, id_))
    if not result.rows:
        why = "; ".join(result.reasons()[:3]) or "the file is empty"
        raise DataError(f"{path}: no row can be used: {why}. Check columns, labels and encoding.", code="E_DATA_IMPORT")
    first = clusters([r.text for r in result.rows], names, settings.similarity)
    result.rows = [
        Row(r.id, r.text, r.severity, r.stance, r.codes, r.channel, result.rows[at].id)
        for r, at in zip(result.rows, first, strict=True)
    ]
    return result


def as_json(row: Row) -> str:
    """A row as a line of a corpus file."""
    record = {
        "id": row.id,
        "text": row.text,
        "severity": row.severity,
        "stance": row.stance,
        "codes": list(row.codes),
        "channel": row.channel,
        "family": row.family,
    }
    return json.dumps(record, ensure_ascii=False)


def summary(imported: Imported) -> str:
    """Rows by severity."""
    counts = Counter(r.severity for r in imported.rows)
    return ", ".join(f"severity {s}: {counts[s]:,}" for s in sorted(counts))


def _records(path: Path, settings: ImportSettings) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line number and record, or the reason why there is none."""
    try:
        # Bytes that do not fit the encoding spoil their row, not the file.
        with path.open(encoding=settings.encoding, errors="surrogateescape", newline="") as lines:
            if settings.format == "jsonl":
                yield from _json_lines(path, lines, settings)
            else:
                yield from _table(path, lines, settings)
    except LookupError as error:
        raise UsageError(f"unknown encoding {settings.encoding!r}; try utf-8 or gb18030") from error
    except (OSError, UnicodeError) as error:
        raise DataError(f"{path}: cannot be read as {settings.encoding} ({error}). Check path and --encoding.", code="E_DATA_FILE") from error  # fmt: skip


def _json_lines(
    path: Path, lines: Iterator[str], settings: ImportSettings
) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(lines, 1):
        if not line.strip("\ufeff \t\r\n"):
            continue
        try:
            record = json.loads(line.lstrip("\ufeff"))
        except (ValueError, RecursionError):
            yield number, "not JSON"
            continue
        if not isinstance(record, dict):
            yield number, "not a JSON object"
        else:
            missing = [c for c in _wanted(settings) if c not in record]
            yield number, f"no field {', '.join(missing)}" if missing else record


def _table(path: Path, lines: Iterator[str], settings: ImportSettings) -> Iterator[tuple[int, dict[str, Any] | str]]:
    # In tab-separated files quotation marks are text; in comma-separated ones they quote.
    reader = (
        csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        if settings.format == "tsv"
        else csv.reader(lines, strict=True)
    )
    head: list[str] | None = None
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"not a row of a table: {error}"
            continue
        if not any(f.strip() for f in fields):
            continue
        if head is None:
            head = [f.strip("\ufeff \r") for f in fields]
            missing = [c for c in _wanted(settings) if c not in head]
            if missing:
                raise DataError(f"{path}: no column {', '.join(missing)}; there are: {', '.join(head)}. Name them with --text-column and --label-column.", code="E_DATA_IMPORT")  # fmt: skip
        elif len(fields) != len(head):
            yield reader.line_num, "another number of columns than the header"
        else:
            yield reader.line_num, dict(zip(head, fields, strict=True))


def _wanted(settings: ImportSettings) -> list[str]:
    columns = [settings.text_column, settings.label_column, settings.family_column]
    return [c for c in columns if c is not None]


def _scalar(value: Any) -> str | None:
    """A label or family as text: 9, 9.0 and "9" are the same."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() if isinstance(value, (str, int, float)) else None


def _label(value: Any, settings: ImportSettings) -> Label:
    name = _scalar(value)
    if not name:
        raise _BadRow("label is empty or no single value")
    if name in settings.ignore:
        raise _BadRow(f"label {name!r} is left out by the map")
    if name not in settings.labels:
        raise _BadRow(f"label {name[:40]!r} is not mapped")
    return settings.labels[name]


def _text(value: Any, settings: ImportSettings) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _BadRow("text is empty or no text")
    text = value.strip()
    if "\x00" in text:
        raise _BadRow("text holds NUL")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise _BadRow(f"text is not valid {settings.encoding}")
    if len(text) > settings.longest:
        raise _BadRow(f"text is longer than {settings.longest:,} characters")
    return text
