"""Sources: which files there are, what columns they have, and how they are cut into shards.

The cut depends on the files alone, never on the number of workers: it fixes the order, and the bytes, of the output.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, UsageError, reading
from .members import Damage, Opened, is_compressed, raw_chunks
from .settings import STANDARD_STREAM
from .streams import blocks, standard_input, whole_lines

PAGES_PER_SHARD = 128

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".warc": "warc",
    ".wet": "warc",
    ".html": "page",
    ".htm": "page",
    ".txt": "page",
}
KINDS = ("jsonl", "csv", "tsv", "parquet", "warc", "page")
_COMPRESSED = (".gz", ".zst", ".zstd")


@dataclass(frozen=True, slots=True)
class Input:
    """A file to read: its path, the name it is shown by, its kind (one of ``KINDS``) and its size in bytes (0 for a stream)."""

    path: str
    name: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that could not be read.

    ``line`` counts from 1: the line of a text file, the row of a Parquet file, the record of an archive, 0 for the file as a whole;
    in a shard it counts from where the shard begins. ``rows`` it stands for; ``file`` where it is not the shard's.
    """

    line: int
    reason: str
    message: str
    rows: int = 1
    file: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """A piece of work.

    ``file`` numbers the inputs; ``start`` and ``stop`` are bytes of a plain JSONL file or rows of row group ``group``; ``payload``
    holds what was read already; ``lead`` lines of the file stand before it in no shard (a header); ``weight`` bytes of input it
    stands for; ``rejects`` were found while cutting.

    ``opens``: the shards behind this one hold text of a compressed member that is passed on before its checksum is read. ``passed``:
    that member is damaged, its rows are suspect. ``headless``: so is the line behind this shard, which may lack its beginning.
    """

    index: int
    file: int
    start: int = 0
    stop: int = 0
    group: int = 0
    payload: Any = None
    lead: int = 0
    weight: int = 0
    rejects: tuple[Reject, ...] = ()
    opens: bool = False
    passed: bool = False
    headless: bool = False


def find_inputs(names: tuple[str, ...]) -> list[Input]:
    """The files to read, in order; a folder gives its files by name. Raises ``InputError`` and ``UsageError``."""
    if names == (STANDARD_STREAM,):
        return [Input(STANDARD_STREAM, "<stdin>", "jsonl", 0)]
    found: list[Input] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            files = [p for p in sorted(path.rglob("*")) if p.is_file() and not _hidden(p.relative_to(path))]
            kinds = [(p, kind_of(p)) for p in files]
            known = [_input(p, str(p), kind) for p, kind in kinds if kind is not None]
            if not known:
                raise InputError(
                    f"{name}: no file in this folder that can be read ({', '.join(_SUFFIXES)}). Check the path.",
                    code="E_INPUT_MISSING",
                )
            found += known
            continue
        kind = kind_of(path)
        if kind is None:
            raise UsageError(
                f"{name}: what is in it? Known names end in {', '.join(_SUFFIXES)}, also with .gz or .zst."
            )
        found.append(_input(path, name, kind))
    kinds_found = sorted({item.kind for item in found})
    if len(kinds_found) > 1:
        raise UsageError(f"inputs of several kinds ({', '.join(kinds_found)}); run once for each kind.")
    return found


def kind_of(path: Path) -> str | None:
    """Kind of a file by its name, ``None`` if unknown."""
    name = path.name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return _SUFFIXES.get(Path(name).suffix)


def _hidden(path: Path) -> bool:
    """Marker files and folders, such as Spark's ``_SUCCESS``."""
    return any(part.startswith((".", "_")) for part in path.parts)


def _input(path: Path, name: str, kind: str) -> Input:
    with reading(name):
        size = path.stat().st_size
        with path.open("rb"):
            pass
    return Input(os.path.abspath(path), name, kind, size)


def plan(inputs: list[Input], columns: tuple[str, ...], size: int) -> Iterator[Shard]:
    """The shards of all inputs, in order, of about ``size`` bytes.

    ``columns`` are those of the first CSV or Parquet file; the others must have them.
    """
    for index, (number, piece) in enumerate(_pieces(inputs, columns, size)):
        yield Shard(index=index, file=number, **piece)


def _pieces(inputs: list[Input], columns: tuple[str, ...], size: int) -> Iterator[tuple[int, dict[str, Any]]]:
    if inputs[0].kind == "page":
        yield from _page_groups(inputs, size)
        return
    for number, item in enumerate(inputs):
        try:
            for piece in _cut(item, columns, size, last=number + 1 == len(inputs)):
                yield number, piece
        except OSError as error:
            yield number, {"rejects": (Reject(0, "unreadable", f"cannot be read ({error.strerror or error})"),)}


def _cut(item: Input, columns: tuple[str, ...], size: int, *, last: bool) -> Iterator[dict[str, Any]]:
    if item.kind == "jsonl":
        return _jsonl(item, size)
    if item.kind == "parquet":
        from .parquet import row_ranges

        return row_ranges(item, columns, 4 * size, last=last)
    if item.kind == "warc":
        from .warc import record_groups

        return record_groups(item, size // 4)
    from .delimited import record_blocks

    return record_blocks(item, columns, size // 4)


def _jsonl(item: Input, size: int) -> Iterator[dict[str, Any]]:
    if item.path == STANDARD_STREAM:
        for lines in whole_lines(standard_input()):
            yield {"payload": lines, "weight": len(lines)}
        return
    path = Path(item.path)
    if not is_compressed(path):
        for start in range(0, item.size, size):
            stop = min(item.size, start + size)
            yield {"start": start, "stop": stop, "weight": stop - start}
        return
    for block in blocks(raw_chunks(path), size // 2):
        yield {"payload": block} if isinstance(block, bytes) else of_member(block)
    # How far a compressed file is read cannot be told from its text: it counts when it is done.
    yield {"payload": b"", "weight": item.size}


def of_member(event: Opened | Damage, rows: int | None = None) -> dict[str, Any]:
    """Keyword arguments of the shard for what there is to tell of a compressed member; ``rows`` are lost (default: its lines)."""
    if isinstance(event, Opened):
        return {"opens": True}
    lost = lines_in(event.lost) if rows is None else rows
    message = event.message
    if event.passed:
        message += "; what was passed on of it is suspect"
    elif lost:
        message += f"; nothing of it is passed on, {lost:,} rows of it could be counted"
    return {"rejects": (Reject(1, event.reason, message, max(1, lost)),), "passed": event.passed}


def lines_in(data: bytes) -> int:
    """Lines of some text, also the last that lacks its end."""
    return data.count(b"\n") + (not data.endswith(b"\n") if data else 0)


def _page_groups(inputs: list[Input], size: int) -> Iterator[tuple[int, dict[str, Any]]]:
    first, weight = 0, 0
    for number, item in enumerate(inputs):
        weight += item.size
        if number + 1 - first == PAGES_PER_SHARD or weight >= size or number + 1 == len(inputs):
            yield first, {"payload": [(i.path, i.name) for i in inputs[first : number + 1]], "weight": weight}
            first, weight = number + 1, 0
