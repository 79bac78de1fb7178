"""NDJSON in, NDJSON out, in step: nothing is read while what was judged has not been taken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..classifier import CheckSettings
from ..errors import LoanlintError
from .problems import ApiError, api_error
from .reading import page_of, parse, sound
from .schemas import CheckResult, StreamError, TextItem, moderation
from .service import Context, Service

_LINES = 100
_line: msgspec.json.Decoder[str | TextItem] = msgspec.json.Decoder(str | TextItem)
_encode = msgspec.json.Encoder().encode
_Numbered = tuple[int, TextItem]


class NdjsonResponse(Response):
    """Judges the lines of the request body while they come; one line out for each line in, in order."""

    def __init__(self, service: Service, settings: CheckSettings, channel: str | None) -> None:
        super().__init__(media_type="application/x-ndjson")
        # The length is not known.
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        self._service = service
        self._settings = settings
        self._channel = channel
        self._number = 0
        self._longest = 6 * service.limits.max_text + 10_000  # a character takes at most 6 bytes, as \\uXXXX

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run until the body ends or the caller leaves."""
        state = scope["state"]
        state["endless"] = True
        state["timer"].reschedule(None)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        rest = b""
        skipping = False  # inside a line that was too long and has been answered
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            more = message.get("more_body", False)
            lines = (rest + message.get("body", b"")).split(b"\n")
            rest = lines.pop() if more else b""
            if skipping and lines:
                lines.pop(0)
                skipping = False
            for start in range(0, len(lines), _LINES):
                await self._answer(lines[start : start + _LINES], state, send)
            if skipping:
                rest = b""
            elif len(rest) > self._longest:
                await self._answer([rest], state, send)
                rest, skipping = b"", True
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, lines: Sequence[bytes], state: dict[str, Any], send: Send) -> None:
        items: list[_Numbered] = []
        out: list[CheckResult | StreamError | None] = []
        for line in lines:
            self._number += 1
            if not line.strip():
                continue
            try:
                items.append((self._number, self._item(line)))
                out.append(None)
            except ApiError as error:
                out.append(_problem(self._number, error))
        if items:
            results = iter(await self._results(items, state))
            out = [next(results) if row is None else row for row in out]
        if out:
            body = b"".join(_encode(row) + b"\n" for row in out)
            await send({"type": "http.response.body", "body": body, "more_body": True})

    async def _results(self, items: Sequence[_Numbered], state: dict[str, Any]) -> list[CheckResult | StreamError]:
        service = self._service
        texts = [item.text for _, item in items]
        channels = [item.channel or self._channel for _, item in items]
        deadline = time.monotonic() + service.limits.request_seconds
        try:
            verdicts = await service.scoring.judge(service.models.engine, texts, channels, self._settings, deadline)
            contexts: list[Context] = [
                (page_of(i.page), i.dataId, c) for (_, i), c in zip(items, channels, strict=True)
            ]
            await service.keep(verdicts, contexts, state["request_id"], state.get("key"))
        except LoanlintError as error:
            # The response has begun: what a plain request would be answered with stands in each line.
            return [_problem(number, api_error(error)) for number, _ in items]
        state["texts"] = state.get("texts", 0) + len(verdicts)
        return [
            CheckResult(v, moderation(v, i.dataId, service.item_of(v)))
            for v, (_, i) in zip(verdicts, items, strict=True)
        ]

    def _item(self, line: bytes) -> TextItem:
        if len(line) > self._longest:
            raise ApiError("line_long", limit=self._longest)
        item: str | TextItem = parse(line, _line)
        if isinstance(item, str):
            item = TextItem(item)
        sound(item.text, "text", self._service.limits.max_text)
        return item


def _problem(line: int, error: ApiError) -> StreamError:
    return StreamError(line, error.problem)
