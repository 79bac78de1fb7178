"""The ASGI application: the guard around the router of all routes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from .api import api_routes
from .guard import Guard, ProblemPage
from .logs import log
from .service import Service


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)


class App:
    """The application. ``scope["app"]`` is this, ``.service`` the parts behind it.

    ``more`` are routes beside the API; ``problem_page`` shows their errors to people.
    """

    def __init__(
        self, service: Service, more: Sequence[BaseRoute] = (), problem_page: ProblemPage | None = None
    ) -> None:
        self.service = service
        self.router = Router(
            [*api_routes(service), *more], redirect_slashes=False, default=_nothing_here, lifespan=self._lifespan
        )
        self._guard = Guard(self.router, service, problem_page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        scope["app"] = self
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        await self._guard(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: object) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        running: set[asyncio.Task[None]] = set()

        def reload() -> None:
            log("reload asked for")
            task = loop.create_task(self.service.refresh(again=True))
            running.add(task)
            task.add_done_callback(running.discard)

        # Not in a thread that is not the main one, nor on Windows.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGHUP, reload)
        await self.service.start()
        yield
        await asyncio.gather(*running, return_exceptions=True)
        await self.service.stop()
