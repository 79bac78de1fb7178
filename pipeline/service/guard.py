"""What stands before every route: request id, limits on body and time, errors in one shape, metrics, log."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import LoanlintError
from .logs import log
from .metrics import ROUTES
from .problems import ApiError, api_error
from .service import Service
from .settings import LOOPBACK

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_NAMES = {404: "address", 405: "method"}


_PROCESS = secrets.token_hex(6)
_COUNT = itertools.count()


def _new_id() -> str:
    """Unlike any other, and cheap: the process is named at random, its requests are numbered."""
    return f"req_{_PROCESS}{os.getpid():x}-{next(_COUNT):x}"


ProblemPage = Callable[[ApiError, Scope], Response]


class Guard:
    """An ASGI application around another.

    ``scope["state"]`` gets ``request_id``, ``deadline`` (monotonic) and, from the route, ``label`` for the metrics and
    ``texts`` for the log. A route that sets ``endless`` has no limit on its length and total time, only on idleness; one
    that sets ``page`` is for people, to whom errors are shown as ``problem_page`` shows them.
    """

    def __init__(self, app: ASGIApp, service: Service, problem_page: ProblemPage | None = None) -> None:
        self.app = app
        self.service = service
        self.problem_page = problem_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await _Exchange(self, scope, receive, send).run()


class _Exchange:
    """One request and its response."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.service, self.app, self.problem_page = guard.service, guard.app, guard.problem_page
        self.scope, self._receive, self._send = scope, receive, send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-request-id", b"").decode("latin-1")
        self.id = given if _ID.fullmatch(given) else _new_id()
        self.state: dict[str, Any] = scope.setdefault("state", {})
        self.state["request_id"] = self.id
        self.status = 0
        self.size = 0
        self.reading = False

    async def run(self) -> None:
        service = self.service
        started = time.perf_counter()
        seconds = service.limits.request_seconds
        self.state["deadline"] = time.monotonic() + seconds
        service.busy += 1
        service.metrics.board.put("requests_busy", service.busy)
        failure: BaseException | None = None
        try:
            async with asyncio.timeout(seconds) as timer:
                self.state["timer"] = timer
                try:
                    self._admit()
                    await self.app(self.scope, self._read, self._write)
                except LoanlintError as error:
                    failure = None if isinstance(error, ApiError) or error.code.startswith("E_INPUT") else error
                    await self._refuse(api_error(error))
                except HTTPException as error:
                    name = _NAMES.get(error.status_code, "refused")
                    await self._refuse(
                        ApiError(name, status=error.status_code, headers=error.headers, detail=error.detail)
                    )
        except TimeoutError:
            await self._refuse(ApiError("body_time" if self.reading else "time"))
        except asyncio.CancelledError:
            raise
        except (ClientDisconnect, ConnectionError):
            self.state["code"] = "E_GONE"  # there is nobody to answer
        except Exception as error:
            failure = error
            await self._refuse(ApiError("internal"))
        finally:
            service.busy -= 1
            service.metrics.board.put("requests_busy", service.busy)
            self._report(time.perf_counter() - started, failure)

    def _admit(self) -> None:
        service = self.service
        if service.busy > service.limits.max_busy:
            raise ApiError("busy")
        if service.open and service.settings.loopback and not service.settings.open_access:
            # A page in a browser of this machine must not reach an open service under a name of its own (DNS rebinding).
            host = self.headers.get(b"host", b"").decode("latin-1")
            if host and _host_name(host) not in LOOPBACK:
                raise ApiError("host")

    async def _read(self) -> Message:
        limits = self.service.limits
        endless = self.state.get("endless", False)
        if not self.size and not endless:
            length = self.headers.get(b"content-length", b"0")
            if length.isdigit() and int(length) > limits.max_body:
                raise ApiError("body_size", limit=limits.max_body)
        self.reading = True
        try:
            async with asyncio.timeout(limits.idle_seconds):
                message = await self._receive()
        except TimeoutError as error:
            raise ApiError("body_time") from error
        if message["type"] == "http.request":
            self.size += len(message.get("body", b""))
            if not endless and self.size > limits.max_body:
                raise ApiError("body_size", limit=limits.max_body)
            self.reading = bool(message.get("more_body", False))
        return message

    async def _write(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", []),
                (b"x-request-id", self.id.encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
        if self.state.get("endless", False):
            # The total time is not limited, so a reader that stopped reading must be noticed here.
            async with asyncio.timeout(self.service.limits.idle_seconds):
                await self._send(message)
            return
        await self._send(message)

    async def _refuse(self, error: ApiError) -> None:
        self.state["code"] = error.code
        if self.status:
            # The response has begun: all that can be done is to leave it incomplete; the server then closes the connection.
            return
        kind, body = "application/json", error.body
        headers = dict(error.headers)
        if self.problem_page is not None and self._for_people():
            try:
                shown = self.problem_page(error, self.scope)
            except Exception as fault:
                # The plain answer is better than none.
                log("problem page failed", level=logging.ERROR, error=fault, request_id=self.id)
            else:
                kind, body = str(shown.headers["content-type"]), bytes(shown.body)
                headers |= {name: value for name, value in shown.headers.items() if name != "content-length"}
        headers["content-type"] = kind
        if error.status == 408:
            headers["connection"] = "close"
        headers["content-length"] = str(len(body))
        await self._write(
            {
                "type": "http.response.start",
                "status": error.status,
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            }
        )
        await self._write({"type": "http.response.body", "body": body})

    def _for_people(self) -> bool:
        if self.state.get("page", False):
            return True
        return b"text/html" in self.headers.get(b"accept", b"") and not self.scope["path"].startswith("/v1/")

    def _report(self, seconds: float, failure: BaseException | None) -> None:
        label = self.state.get("label", "other")
        self.service.metrics.request(label if label in ROUTES else "pages", self.status, seconds)
        log(
            "request",
            level=logging.ERROR if failure else logging.INFO,
            error=failure,
            request_id=self.id,
            method=self.scope["method"],
            route=label,
            status=self.status,
            ms=round(seconds * 1000, 2),
            bytes=self.size,
            texts=self.state.get("texts", 0),
            key=self.state.get("key"),
            code=self.state.get("code"),
        )


def _host_name(host: str) -> str:
    return host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0].lower()
