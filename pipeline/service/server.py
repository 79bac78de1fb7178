"""Processes and connections: workers that share a port, and clients that are slow or speak no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..errors import LoanlintError, UsageError
from .app import App
from .board import Board
from .logs import log, set_up
from .problems import ApiError
from .review.routes import problem_page, review_routes
from .service import Service, make_board
from .settings import Limits, ServiceSettings

_RESTART_SECONDS = 1.0
_BACKLOG = 2_048


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """Uvicorn's protocol, with what it lacks: limits on the size and time of a request's head, errors in our shape."""

    class Protocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._timer: asyncio.TimerHandle | None = None
            self._head = 0
            self._in_head = True
            self._in_body = False
            self._arm()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._in_head:
                self._head += len(data)
            super().data_received(data)
            if self.transport.is_closing():
                return
            if self._in_head and self._head > limits.max_header:
                self.send_400_response("")
            elif self._in_head and self._timer is None and self._idle():
                self._arm()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_body = False
            if self._idle() and self._timer is None:
                self._arm()

        def on_headers_complete(self) -> None:
            self._disarm()
            self._head = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if self._head > limits.max_header:
                raise ValueError("the head is too large")  # which the parser turns into a refusal
            self._in_head = False
            self._in_body = True
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._in_body = False
            self._in_head = True
            self._head = 0
            self._disarm()
            super().on_message_complete()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._in_body and self._timer is None:
                # Answered before the body was read: the rest of it is thrown away, but not for ever.
                self._timer = self.loop.call_later(limits.idle_seconds, self.transport.close)

        def send_400_response(self, msg: str) -> None:
            if self._head > limits.max_header:
                self._refuse(ApiError("head_size"))
            else:
                self._refuse(ApiError("http"))

        def _idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _arm(self) -> None:
            self._timer = self.loop.call_later(limits.header_seconds, self._too_slow)

        def _disarm(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _too_slow(self) -> None:
            self._timer = None
            if self._head:
                self._refuse(ApiError("head_time"))
            else:
                self.transport.close()

        def _refuse(self, error: ApiError) -> None:
            self._disarm()
            body = error.body
            head = (
                f"HTTP/1.1 {error.status} Refused\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            self.transport.close()

    return Protocol


def serve(settings: ServiceSettings) -> int:
    """Serve until told to stop; returns the exit status."""
    set_up()
    _ignore_reload()
    board = make_board(settings.workers)
    with _bound(settings.host, settings.port, settings.workers > 1) as place:
        address = f"http://{f'[{settings.host}]' if ':' in settings.host else settings.host}:{place.getsockname()[1]}"
        # This line is for people and for programs that ask for port 0 and must learn the port.
        print(f"loanlint: {address}", flush=True)
        if settings.workers == 1:
            place.listen(_BACKLOG)
            return _work(settings, board, place)
        return _Supervisor(settings, board, place).run()


def _ignore_reload() -> None:
    """Until the service is up, a request to reload must not end the process."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _bound(host: str, port: int, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        place.bind((host, port))
    except (OSError, OverflowError) as error:
        place.close()
        raise UsageError(f"cannot serve at {host} port {port} ({error}). Choose another --port or --host.") from error
    return place


def _work(settings: ServiceSettings, board: Board, place: socket.socket, parent: int | None = None) -> int:
    """Serve in this process; as long as ``parent`` lives, where one is given."""
    # Scoring in threads must not keep the event loop waiting for the interpreter for long.
    sys.setswitchinterval(0.001)
    service = Service(settings, board)

    async def watch() -> None:
        if parent is not None and os.getppid() != parent:
            server.should_exit = True

    config = uvicorn.Config(
        App(service, review_routes(service), problem_page),
        http=_protocol(settings.limits),
        ws="none",
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.limits.idle_seconds),
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        backlog=_BACKLOG,
        timeout_notify=1,
        callback_notify=watch,
    )
    server = _Server(config)
    log(
        "serving",
        pid=os.getpid(),
        model=service.models.engine.version,
        engine=service.models.engine.kind,
        open=service.open,
    )
    server.run(sockets=[place])
    log("stopped", pid=os.getpid())
    return 0


class _Server(uvicorn.Server):
    """A server that ends with status 0 when it is told to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


class _Supervisor:
    """Forks the workers, hands on signals, and replaces a worker that dies."""

    def __init__(self, settings: ServiceSettings, board: Board, place: socket.socket) -> None:
        self._settings = settings
        self._board = board
        self._place = place
        self._workers: dict[int, tuple[int, float]] = {}  # pid → number, start
        self._stopping = False

    def run(self) -> int:
        status = self._tried()
        if status:
            return status
        for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sent, self._pass_on)
        for number in range(self._settings.workers):
            self._start(number)
        while self._workers:
            try:
                pid, result = os.wait()
            except ChildProcessError:
                break
            number, started = self._workers.pop(pid)
            code = os.waitstatus_to_exitcode(result)
            if self._stopping:
                # A worker that was still starting ends by the signal itself.
                status = status or (1 if code not in (0, -signal.SIGTERM, -signal.SIGINT) else 0)
                continue
            log("worker died", pid=pid, status=code)
            # Not faster than this: a worker that cannot start would keep the machine busy.
            time.sleep(max(0.0, _RESTART_SECONDS - (time.monotonic() - started)))
            if not self._stopping:
                self._start(number)
        return status

    def _tried(self) -> int:
        """Status of a process that makes the service and ends: what every worker would fail at is found here, once."""
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        status = 2
        try:
            Service(self._settings, self._board).store.close()
            status = 0
        except LoanlintError as error:
            print(f"loanlint: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)

    def _start(self, number: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._workers[pid] = (number, time.monotonic())
            if self._stopping:
                os.kill(pid, signal.SIGTERM)
            return
        status = 1
        try:
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, signal.SIG_DFL)
            _ignore_reload()
            self._board.worker(number)
            host, port = self._place.getsockname()[:2]
            place = _bound(host, port, True)
            place.listen(_BACKLOG)
            status = _work(self._settings, self._board, place, parent)
        except LoanlintError as error:
            print(f"loanlint: {error}", file=sys.stderr, flush=True)
        finally:
            # Not sys.exit: what the parent has open is the parent's to close.
            os._exit(status)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            self._stopping = True
        for pid in list(self._workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
