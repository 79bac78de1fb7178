"""WARC and WET archives: cut into records, which FastWARC then reads.

The archive is cut here by the length each record states, so that a damaged record costs itself and not the rest of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..pages.encoding import decode
from .members import Damage, Opened, Piece, is_compressed, raw_chunks
from .settings import MAX_ROW
from .sources import Input, Reject, of_member

COLUMNS = ("url", "record_id", "date", "http_status", "encoding")
_RECORDS = 512
_MARK = b"\nWARC/1."
_HEAD = 64 << 10
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.I)
_TEXT_RECORD = re.compile(rb"\r\nwarc-type:[ \t]*(?:response|conversion|resource)[ \t]*\r\n", re.I)
_OTHER_RECORD = re.compile(rb"\r\nwarc-type:[ \t]*[a-z]+[ \t]*\r\n", re.I)
_TEXTUAL = ("text/", "application/xhtml", "application/xml", "application/json")


class Page(NamedTuple):
    """A page of an archive."""

    url: str
    record_id: str
    date: str
    http_status: int | None
    encoding: str
    text: str


class _Buffer:
    """A stream of chunks with a look-ahead, which ends where it is damaged.

    ``opened`` says that a member was opened, at the latest here.
    """

    def __init__(self, chunks: Iterator[Piece]) -> None:
        self._chunks = chunks
        self.data = bytearray()
        self.damage: Damage | None = None
        self.opened = False
        self.ended = False

    def want(self, size: int) -> bool:
        """Whether ``size`` bytes are there."""
        while len(self.data) < size and not self.ended:
            chunk = next(self._chunks, None)
            if isinstance(chunk, bytes):
                self.data += chunk
            elif isinstance(chunk, Opened):
                self.opened = True
            else:
                self.damage, self.ended = chunk, True
        return len(self.data) >= size

    def go_on(self) -> None:
        """Begin anew behind the damage."""
        self.data.clear()
        self.damage, self.ended = None, False

    def take(self, size: int) -> bytes:
        self.want(size)
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken

    def skip(self, size: int) -> None:
        while size and self.want(1):
            step = min(size, len(self.data))
            del self.data[:step]
            size -= step


def record_groups(item: Input, wanted: int) -> Iterator[dict[str, Any]]:
    """Shards of records; ``payload`` is a list of the bytes of records, and of ``Reject`` in the place of damaged ones."""
    packed = is_compressed(Path(item.path))
    group: list[bytes | Reject] = []
    size = 0
    for record in _all_records(_Buffer(raw_chunks(Path(item.path)))):
        if isinstance(record, dict):
            yield {"payload": group, "weight": 0 if packed else size}
            group, size = [], 0
            yield record
            continue
        group.append(record)
        size += len(record) if isinstance(record, bytes) else 0
        if size >= wanted or len(group) == _RECORDS:
            yield {"payload": group, "weight": 0 if packed else size}
            group, size = [], 0
    yield {"payload": group, "weight": item.size if packed else size}


def _all_records(buffer: _Buffer) -> Iterator[bytes | Reject | dict[str, Any]]:
    """Records, and what there is to tell of compressed members, as keyword arguments of shards."""
    while True:
        for record in chain(_records(buffer), (None,)):
            if buffer.opened:
                buffer.opened = False
                yield of_member(Opened())
            if record is not None:
                yield record
        damage = buffer.damage
        if damage is None:
            return
        yield of_member(damage, len(_TEXT_RECORD.findall(damage.lost)))
        buffer.go_on()


def _records(buffer: _Buffer) -> Iterator[bytes | Reject]:
    """Records up to the end or the next damage, which costs the one it cuts short."""
    while True:
        while buffer.want(1) and buffer.data[0] in b"\r\n":
            buffer.skip(1)
        if not buffer.want(1):
            break
        buffer.want(_HEAD)
        end = buffer.data.find(b"\r\n\r\n", 0, _HEAD)
        head = bytes(buffer.data[: end + 2]) if end >= 0 and buffer.data.startswith(b"WARC/") else b""
        length = _LENGTH.search(head)
        if length is None:
            if end < 0 and buffer.damage is not None and buffer.data.find(_MARK, 1) < 0:
                break
            yield Reject(1, "bad_warc", "no WARC record where one should begin")
            _resynchronise(buffer)
            continue
        whole = end + 4 + int(length[1])
        wanted = bool(_TEXT_RECORD.search(head))
        if whole > MAX_ROW:
            if wanted:
                yield Reject(1, "oversized", f"a record of {whole:,} bytes; the limit is {MAX_ROW:,}")
            buffer.skip(whole)
            continue
        if not buffer.want(whole):
            if buffer.data.find(_MARK, 1) < 0:
                break
            yield Reject(1, "bad_warc", "a record is longer than it can be")
            _resynchronise(buffer)
            continue
        buffer.want(whole + 4)
        after = bytes(buffer.data[whole : whole + 4])
        if after.strip(b"\r\n"):
            yield Reject(1, "bad_warc", "a record is longer or shorter than it says")
            _resynchronise(buffer)
            continue
        if wanted:
            yield buffer.take(whole)
        elif _OTHER_RECORD.search(head):
            buffer.skip(whole)
        else:
            yield Reject(1, "bad_warc", "a record without a type")
            buffer.skip(whole)
    if buffer.damage is None and buffer.data:
        yield Reject(1, "truncated", "the last record is cut short")


def _resynchronise(buffer: _Buffer) -> None:
    """Go to where the next record may begin."""
    buffer.skip(1)
    while buffer.want(1):
        at = buffer.data.find(_MARK)
        if at >= 0:
            buffer.skip(at + 1)
            return
        held = len(buffer.data)
        if not buffer.want(held + 1):
            buffer.skip(held)
            return
        buffer.skip(max(0, held - 16))


def read_page(record: bytes) -> Page | Reject:
    """The page that a record holds."""
    from fastwarc.warc import WarcRecord

    try:
        parsed = WarcRecord.from_bytes(record)
        if parsed.is_http:
            parsed.parse_http(auto_decode="all")
        body = parsed.reader.read()
        headers = parsed.headers
        kind = parsed.http_content_type if parsed.is_http else headers.get("Content-Type")
        status = parsed.http_headers.status_code if parsed.is_http and parsed.http_headers else None
        url = headers.get("WARC-Target-URI") or ""
        record_id = headers.get("WARC-Record-ID") or ""
        date = headers.get("WARC-Date") or ""
    except (OSError, ValueError) as error:
        return Reject(1, "bad_warc", f"FastWARC cannot read the record ({error})")
    if kind and not kind.lower().startswith(_TEXTUAL):
        return Reject(1, "not_text", f"{kind[:100]}, not text")
    if len(body) > MAX_ROW:
        return Reject(1, "oversized", f"a page of {len(body):,} bytes; the limit is {MAX_ROW:,}")
    try:
        text, encoding = decode(body, url or "page") if body else ("", "utf-8")
    except InputError as error:
        return Reject(1, "undecodable", str(error.args[0]))
    return Page(url.strip("<>"), record_id, date, status, encoding, text)
