"""Lines of JSON: only the judged field is parsed, everything else of the caller's line stays as it is, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple, overload

import msgspec
import numpy as np
import pyarrow as pa

from .settings import MAX_ROW, MAX_TEXT, BatchSettings
from .sources import Reject

_BOM = b"\xef\xbb\xbf"
# A value that no field may have: a line that already has a verdict column does not decode, at no cost to the others.
_Taken = Literal["\x00 taken"]


class Lines(NamedTuple):
    """Good lines as JSON objects without the closing brace, what is judged in each, and the lines that are bad.

    ``texts`` a list, or an Arrow array of strings, as ``urls``; ``read`` lines held something; ``lines`` were there.
    """

    heads: Sequence[bytes]
    texts: list[str] | Any
    ids: Sequence[Any]
    urls: list[Any] | Any | None
    rejects: list[Reject]
    read: int
    lines: int


def _validate(block: bytes) -> None:
    """Raise ``ArrowInvalid`` if a block is not UTF-8; Arrow sees that three times as fast as ``bytes.decode``."""
    ends = pa.py_buffer(struct.pack("<qq", 0, len(block)))
    pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(block)]).validate(full=True)


class _Field(Sequence[Any]):
    """A field of rows, looked at only where it is asked for."""

    def __init__(self, rows: list[Any], name: str) -> None:
        self._rows = rows
        self._name = name

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: Any) -> Any:
        value = getattr(self._rows[at], self._name)
        return None if value is msgspec.UNSET else value


class Frame(Sequence[bytes]):
    """A block of lines, each an object from its first byte to its last but one; ``ends`` where they end."""

    def __init__(self, block: bytes, ends: Any) -> None:
        self.block = block
        self.ends = ends

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...

    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[k] for k in range(*at.indices(len(self)))]
        return self.block[self.ends[at - 1] if at else 0 : self.ends[at] - 2]


class _Parsed(Sequence[Any]):
    """A field of lines, parsed where it is asked for."""

    def __init__(self, heads: Frame, decoder: Any, name: str) -> None:
        self._heads = heads
        self._decoder = decoder
        self._name = name

    def __len__(self) -> int:
        return len(self._heads)

    def __getitem__(self, at: Any) -> Any:
        value = getattr(self._decoder.decode(self._heads[at] + b"}"), self._name)
        return None if value is msgspec.UNSET else value


class LineDecoder:
    """Takes lines of JSON apart. ``names`` are the verdict columns to be added; ``compiled`` whether by compiled functions."""

    def __init__(self, settings: BatchSettings, names: tuple[str, ...], *, compiled: bool = False) -> None:
        self._column = settings.judged_column
        self._names = names
        self._longest = MAX_ROW if settings.html_column else MAX_TEXT
        self._id = settings.id_column or "id"
        self._url = settings.url_column or "url"
        fields: dict[str, str] = {}
        for name in dict.fromkeys((self._column, self._id, self._url)):
            fields[name] = f"f{len(fields)}"
        taken = {name: f"t{k}" for k, name in enumerate(names) if name not in fields}
        self._text_field, self._id_field, self._url_field = fields[self._column], fields[self._id], fields[self._url]
        unset = msgspec.UNSET
        row = msgspec.defstruct(
            "Row",
            [
                *(
                    (f, (str | None | msgspec.UnsetType) if name == self._column else Any, unset)
                    for name, f in fields.items()
                ),
                *((f, _Taken | msgspec.UnsetType, unset) for f in taken.values()),
            ],
            rename={f: name for name, f in {**fields, **taken}.items()},
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(row)
        self._scan: Callable[..., int] | None = None
        # The order that `scan` expects: text, URL, id, and those that may not occur.
        known = (self._column, self._url, self._id)
        if compiled and len(set(known)) == len(known):
            from .kernels import kernels

            self._scan = kernels().scan
            spelt = [name.encode() for name in (*known, *taken)]
            self._spelt = np.frombuffer(b"".join(spelt), dtype=np.uint8)
            self._spelt_ends = np.cumsum([len(name) for name in spelt], dtype=np.int64)

    def lines(self, block: bytes, limit: int | None) -> Lines:
        """The lines of a block, at most ``limit`` that hold something."""
        if (limit is None or limit > block.count(b"\n")) and (found := self._quick(block)) is not None:
            return found
        return self._one_by_one(block, limit)

    def _quick(self, block: bytes) -> Lines | None:
        """The lines of a block in which all is well, ``None`` otherwise.

        Where each line begins with ``{`` and ends with ``}``, no object reaches over a line end: inside a value these two never
        stand side by side. So as many objects as lines means one in each.
        """
        if not block.endswith(b"\n"):
            block += b"\n"
        if len(block) > MAX_ROW or not block.startswith(b"{") or not block.endswith(b"}\n"):
            return None
        count = block.count(b"\n")
        if self._scan is not None and (found := self._scanned(block, count)) is not None:
            return found
        if block.count(b"}\n{") + 1 != count:
            return None
        try:
            _validate(block)
            rows = self._decoder.decode_lines(block)
        except (pa.ArrowInvalid, msgspec.DecodeError, RecursionError):
            return None
        if len(rows) != count:
            return None
        texts = list(map(attrgetter(self._text_field), rows))
        if set(map(type, texts)) != {str} or max(map(len, texts)) > self._longest:
            return None
        return Lines(
            block[:-2].split(b"}\n"), texts, _Field(rows, self._id_field), self._values(rows, self._url_field), [],
            count, count,
        )  # fmt: skip

    def _scanned(self, block: bytes, count: int) -> Lines | None:
        """The same by the compiled scan, which leaves what is unusual to the rest."""
        assert self._scan is not None
        try:
            _validate(block)
        except pa.ArrowInvalid:
            return None
        texts, urls = np.empty(len(block), dtype=np.uint8), np.empty(len(block), dtype=np.uint8)
        text_ends, url_ends = np.zeros(count + 1, dtype=np.int32), np.zeros(count + 1, dtype=np.int32)
        there = np.zeros(count, dtype=np.uint8)
        ends = np.empty(count, dtype=np.int64)
        found = self._scan(
            np.frombuffer(block, dtype=np.uint8), self._spelt, self._spelt_ends, self._longest,
            texts, text_ends, urls, url_ends, there, ends,
        )  # fmt: skip
        if found != count:
            return None
        heads = Frame(block, ends)
        return Lines(
            heads,
            pa.StringArray.from_buffers(count, pa.py_buffer(text_ends), pa.py_buffer(texts)),
            _Parsed(heads, self._decoder, self._id_field),
            pa.StringArray.from_buffers(
                count,
                pa.py_buffer(url_ends),
                pa.py_buffer(urls),
                pa.py_buffer(np.packbits(there, bitorder="little")),
            )
            if there.any()
            else None,
            [],
            count,
            count,
        )

    @staticmethod
    def _values(rows: list[Any], name: str) -> list[Any] | None:
        values = list(map(attrgetter(name), rows))
        missing = values.count(msgspec.UNSET)
        if missing == len(values):
            return None
        return [None if value is msgspec.UNSET else value for value in values] if missing else values

    def _one_by_one(self, block: bytes, limit: int | None) -> Lines:
        heads: list[bytes] = []
        texts: list[str] = []
        rows: list[Any] = []
        rejects: list[Reject] = []
        read = number = 0
        lines = block.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        for number, raw in enumerate(lines, 1):
            line = raw.removeprefix(_BOM).strip()
            if not line:
                continue
            if limit is not None and read >= limit:
                break
            read += 1
            row = self._decoded(line, number)
            if isinstance(row, Reject):
                rejects.append(row)
                continue
            rows.append(row)
            heads.append(line[:-1])
            texts.append(getattr(row, self._text_field) or "")
        ids, urls = _Field(rows, self._id_field), self._values(rows, self._url_field)
        return Lines(heads, texts, ids, urls, rejects, read, number)

    def _decoded(self, line: bytes, number: int) -> Any:
        if len(line) > MAX_ROW:
            return Reject(number, "oversized", f"a line of more than {MAX_ROW >> 20} MB")
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            return Reject(number, "undecodable", f"bytes that are not UTF-8 ({error.reason} at byte {error.start})")
        try:
            row = self._decoder.decode(line)
        except msgspec.ValidationError as error:
            return self._explain(line, number, str(error))
        except (msgspec.DecodeError, RecursionError) as error:
            return Reject(number, "bad_json", f"not JSON ({error})")
        text = getattr(row, self._text_field)
        if text is msgspec.UNSET:
            return Reject(number, "missing_field", f"no field {self._column!r}")
        if text is not None and len(text) > self._longest:
            return Reject(number, "oversized", f"a text of {len(text):,} characters; the limit is {self._longest:,}")
        return row

    def _explain(self, line: bytes, number: int, message: str) -> Reject:
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            return Reject(number, "bad_json", f"not JSON ({error})")
        if not isinstance(value, dict):
            return Reject(number, "wrong_type", "JSON, but no object")
        taken = [name for name in self._names if name in value and name != self._column]
        if taken and isinstance(value.get(self._column), str | None):
            return Reject(number, "field_exists", f"has a field {taken[0]!r} already; choose another --prefix")
        return Reject(number, "wrong_type", f"field {self._column!r} is no string ({message})")
