"""CSV and TSV: encoding, header, and whole records, also where quotes hold line ends."""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import InputError
from .members import Damage, Opened, Piece, is_compressed, raw_chunks
from .settings import MAX_ROW
from .sources import Input, Reject, lines_in, of_member
from .streams import whole_lines

DELIMITERS = {"csv": ",", "tsv": "\t"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def encoding_of(sample: bytes) -> str:
    """``utf-8`` or ``gb18030``, by the first bytes of a file (whole lines)."""
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def read_header(item: Input) -> tuple[str, ...]:
    """Column names of a file. Raises ``InputError``."""
    for lines in whole_lines(raw_chunks(Path(item.path), held=0)):
        text = lines
        if isinstance(lines, Damage):
            text = lines.lost[: lines.lost.rfind(b"\n") + 1]
            if not text:
                raise InputError(f"{item.name}: {lines.message}.", code="E_INPUT_UNREADABLE")
        if isinstance(text, bytes):
            return _header(text, item)[0]
    return ()


def _header(lines: bytes, item: Input) -> tuple[tuple[str, ...], str, int, int]:
    """Column names, encoding, and the bytes and lines that the header takes up, from the first lines of a file."""
    if lines.startswith(_UTF16):
        raise InputError(f"{item.name}: UTF-16. Save it as UTF-8 or GB18030.", code="E_INPUT_ENCODING")
    mark = len(codecs.BOM_UTF8) if lines.startswith(codecs.BOM_UTF8) else 0
    encoding = encoding_of(lines)
    taken: list[bytes] = []

    def feed() -> Iterator[str]:
        for line in lines[mark:].splitlines(keepends=True):
            taken.append(line)
            yield line.decode("latin-1")

    try:
        fields = next(csv.reader(feed(), delimiter=DELIMITERS[item.kind]), [])
    except csv.Error as error:
        raise InputError(f"{item.name}: the header cannot be read ({error}).", code="E_INPUT_HEADER") from error
    # By its own bytes: how much of the file is seen with it differs, and what is wrong further down must not change the names.
    own = encoding_of(b"".join(taken))
    names = [field.encode("latin-1").decode(own, "replace") for field in fields]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"{item.name}: column {twice[0]!r} stands twice in the header.", code="E_INPUT_HEADER")
    return tuple(names), encoding, mark + sum(map(len, taken)), len(taken)


def record_blocks(item: Input, columns: tuple[str, ...], wanted: int) -> Iterator[dict[str, Any]]:
    """Shards of whole records; ``payload`` is ``(encoding, column names, bytes)``."""
    source = whole_lines(raw_chunks(Path(item.path)))
    lost = opened = False
    for first in source:
        if isinstance(first, bytes):
            break
        lost |= isinstance(first, Damage)
        opened |= isinstance(first, Opened)
        yield of_member(first)
    else:
        return
    try:
        names, encoding, size, lead = _header(first, item)
    except InputError as error:
        yield {"rejects": (Reject(0, "header", str(error.args[0])),), "weight": item.size}
        return
    if sorted(names) != sorted(columns):
        message = f"has columns {', '.join(names)}; the first file has {', '.join(columns)}"
        problem = Reject(0, "header", "lost with the damaged member") if lost else Reject(0, "other_columns", message)
        yield {"rejects": (problem,), "weight": item.size}
        return
    if opened:  # anew, behind the header, which is no row
        yield {**of_member(Opened()), "lead": lead}
        lead = 0
    packed = is_compressed(Path(item.path))
    rest: Iterator[Piece] = chain([first[size:]], source)
    damaged: dict[str, Any] | None = None  # waits for what comes behind it
    while True:
        cutter = _Cutter(DELIMITERS[item.kind], wanted, rest)
        for piece in cutter.pieces():
            body = piece.pop("payload", b"")
            if damaged is not None:
                yield {**damaged, "headless": bool(body) or "opens" in piece}
                damaged = None
            if body:
                piece["payload"] = (encoding, names, body)
            yield {**piece, "lead": lead, "weight": 0 if packed else len(body)}
            lead = 0
        if damaged is not None:
            yield damaged
        if cutter.damage is None:
            break
        damaged = {**of_member(cutter.damage, lines_in(cutter.damage.lost) + cutter.unfinished), "lead": lead}
        lead = 0
    yield {"weight": item.size if packed else size, "lead": lead}


class _Cutter:
    """Cuts lines into blocks of whole records, by the rules of Python's ``csv``, up to the end or the next ``damage``.

    A quote that opens and is never closed would swallow the rest of the file: its line is rejected and reading goes on with the
    next. A record that damage cuts short is lost: ``unfinished`` lines.
    """

    def __init__(self, delimiter: str, wanted: int, source: Iterator[Piece]) -> None:
        self._wanted = wanted
        self._delimiter = delimiter
        self._queue: deque[bytes] = deque()
        self._source = source
        self._record: list[bytes] = []
        self._opens = False
        self.damage: Damage | None = None
        self.unfinished = 0

    def _block(self) -> bytes | None:
        """The next lines, ``None`` at the end."""
        while self.damage is None:
            piece = next(self._source, None)
            if piece is None or isinstance(piece, bytes):
                return piece
            if isinstance(piece, Damage):
                self.damage = piece
            else:
                self._opens = True
        return None

    def _feed(self) -> Iterator[str]:
        while self._queue or self._fill():
            line = self._queue.popleft()
            self._record.append(line)
            # One byte one character: quotes, delimiters and line ends are never part of another character in UTF-8 or GB18030.
            yield line.decode("latin-1")

    def _fill(self) -> bool:
        block = self._block()
        if block is None:
            return False
        self._queue.extend(block.splitlines(keepends=True))
        return True

    def pieces(self) -> Iterator[dict[str, Any]]:
        """Keyword arguments of shards: ``payload`` bytes, ``rejects``, or ``opens``."""
        csv.field_size_limit(MAX_ROW)
        reader = csv.reader(self._feed(), delimiter=self._delimiter)
        done: list[bytes] = []
        size = 0
        ended = False
        while not ended:
            if not self._queue:
                block = self._block()
                if block is not None and b'"' not in block and len(block) <= MAX_ROW:
                    taken = [block]  # without a quote every line end is the end of a record
                    problem = None
                else:
                    self._queue.extend(block.splitlines(keepends=True) if block is not None else ())
                    taken, problem = [], None
                    ended = block is None
            else:
                problem = self._next_record(reader)
                taken, self._record = self._record, []
            if self._opens:  # while this record, or this block, was read
                self._opens = False
                if done:
                    yield {"payload": b"".join(done)}
                    done, size = [], 0
                yield of_member(Opened())
            if problem is not None:
                self._queue.extendleft(reversed(taken[1:]))
                if done:
                    yield {"payload": b"".join(done)}
                    done, size = [], 0
                yield {"rejects": (problem,)}
                reader = csv.reader(self._feed(), delimiter=self._delimiter)
                continue
            done += taken
            size += sum(map(len, taken))
            if done and (ended or size >= self._wanted):
                yield {"payload": b"".join(done)}
                done, size = [], 0

    def _next_record(self, reader: Iterator[list[str]]) -> Reject | None:
        """Takes one record off the queue; what is wrong with it."""
        try:
            next(reader, None)
        except csv.Error as error:
            return Reject(1, "bad_csv", f"not CSV ({error})")
        if sum(map(len, self._record)) > MAX_ROW:
            return Reject(1, "oversized", f"a row of more than {MAX_ROW >> 20} MB")
        if not self._queue:
            # The reader gives what it has at the end of the input, also when a quote is still open.
            text = [line.decode("latin-1") for line in self._record]
            try:
                next(csv.reader(iter(text), delimiter=self._delimiter, strict=True), None)
            except csv.Error as error:
                if "end of data" in str(error):
                    if self.damage is not None:
                        self.unfinished, self._record = len(self._record), []
                        return None
                    return Reject(1, "bad_csv", "a quote is opened and never closed")
        return None


def rows_of(payload: bytes, encoding: str, kind: str) -> Iterator[tuple[int, list[str]]]:
    """Line (from 1) and fields of each record of a block; undecodable bytes come as lone surrogates."""
    csv.field_size_limit(MAX_ROW)
    reader = csv.reader(
        io.StringIO(payload.decode(encoding, "surrogateescape"), newline=""), delimiter=DELIMITERS[kind]
    )
    line = 1
    for row in reader:
        if row:
            yield line, row
        line = reader.line_num + 1


def repair(fields: list[str], encoding: str) -> list[str] | None:
    """Fields with undecodable bytes read in the other encoding; ``None`` if that does not help."""
    other = "gb18030" if encoding == "utf-8" else "utf-8"
    try:
        return [f.encode(encoding, "surrogateescape").decode(other) if _escaped(f) else f for f in fields]
    except UnicodeError:
        return None


def _escaped(text: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in text)
