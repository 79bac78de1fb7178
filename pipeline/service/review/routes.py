"""The routes of the pages."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from ...errors import LoanlintError
from ..api import route
from ..auth import ANYONE
from ..problems import ApiError, api_error
from ..service import Service
from . import sessions
from .queue import ReviewQueue
from .rendering import HEADERS, page, static_files
from .requests import LANGUAGE_COOKIE, Chosen, field, filters, form_of, language, same_origin
from .screens import Screens
from .sessions import Session
from .trial import try_text

_LANGUAGE_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a known reviewer; ``form`` is empty for pages that are only looked at."""

    request: Request
    session: Session
    lang: str
    form: dict[str, list[str]]
    chosen: Chosen
    now: float

    @property
    def lead(self) -> bool:
        """Whether this reviewer decides on what others escalated."""
        return self.session.principal.may("admin")


Screen = Callable[[Asked], Awaitable[Response]]


def review_routes(service: Service) -> list[BaseRoute]:
    """Routes of the review queue, of the page to try the model, and of their files."""
    queue = ReviewQueue(service.store, service.settings.review)
    screens = Screens(service, queue)

    def add(
        path: str, method: str, scope: str, work: Callable[[Asked], Response] | Screen, threaded: bool = True
    ) -> BaseRoute:
        async def handle(request: Request, service: Service) -> Response:
            return await _guarded(request, service, scope, work, threaded)

        return route(service, path, method, None, handle)

    return [
        add("/", "GET", "score", screens.trial),
        add("/", "POST", "score", _try_it(service, screens), threaded=False),
        add("/review", "GET", "review", screens.overview),
        add("/review/report", "GET", "review", screens.report),
        add("/review/next", "POST", "review", screens.next),
        add("/review/undo", "POST", "review", screens.undo),
        add("/review/items/{id}", "GET", "review", screens.item),
        add("/review/items/{id}", "POST", "review", screens.decide),
        route(service, "/login", "GET", None, _login_page),
        route(service, "/login", "POST", None, _login),
        add("/logout", "POST", "score", _logout(service)),
        route(service, "/static/{name}", "GET", None, _static),
    ]


def _try_it(service: Service, screens: Screens) -> Screen:
    async def work(asked: Asked) -> Response:
        deadline = asked.request.scope["state"]["deadline"]
        return screens.trial(asked, await try_text(service, asked.form, deadline))

    return work


async def _guarded(
    request: Request, service: Service, scope: str, work: Callable[[Asked], Any], threaded: bool
) -> Response:
    """Find out who asks, see that a form is theirs, and show errors as pages."""
    lang = language(request)
    request.scope["state"]["page"] = True
    now = time.time()
    session: Session | None = None
    try:
        token = request.cookies.get(sessions.COOKIE)
        session = await service.aside(sessions.find, service, token, now)
        if session is None and token is not None:
            # Another worker may have let in a key that was made a moment ago.
            await service.read_keys()
            session = await service.aside(sessions.find, service, token, now)
        if session is None:
            return RedirectResponse("/login", 303, headers=HEADERS)
        request.scope["state"]["session"] = session
        request.scope["state"]["key"] = session.principal.key_id
        if not session.principal.may(scope):
            raise ApiError("key_scope", scope=session.principal.scope, needed=scope)
        form: dict[str, list[str]] = {}
        if request.method == "POST":
            if not same_origin(request):
                raise ApiError("origin")
            form = await form_of(request)
            if not session.sent(field(form, "csrf")):
                raise ApiError("csrf")
        asked = Asked(request, session, lang, form, filters(request.query_params), now)
        response: Response = await service.aside(work, asked) if threaded else await work(asked)
    except LoanlintError as error:
        response = problem_page(api_error(error), request.scope)
    if session is not None and session.fresh:
        response.headers.append("set-cookie", sessions.cookie(session.token, request.headers.get("host", "")))
    return _remember(request, response)


def _remember(request: Request, response: Response) -> Response:
    """Keep the language that was chosen in the address."""
    if request.query_params.get("lang") in ("zh", "en"):
        response.headers.append(
            "set-cookie",
            f"{LANGUAGE_COOKIE}={request.query_params['lang']}; Path=/; Max-Age={_LANGUAGE_SECONDS}; SameSite=Strict; HttpOnly",
        )
    return response


def problem_page(error: ApiError, scope: Scope) -> Response:
    """An error as a page, in the reader's language; names the request, so that its line in the log is found."""
    state = scope["state"]
    state["code"] = error.code
    lang = language(Request(scope))
    values = {
        "error": error, "session": state.get("session"), "message": error.said(lang), "query": "", "request_id": state["request_id"],
    }  # fmt: skip
    response = page("problem.html", lang, values, error.status)
    response.headers.update(error.headers)
    return response


async def _login_page(request: Request, service: Service) -> Response:
    request.scope["state"]["page"] = True
    values = {"session": None, "wrong": False, "query": ""}
    return _remember(request, page("login.html", language(request), values))


async def _login(request: Request, service: Service) -> Response:
    lang = language(request)
    request.scope["state"]["page"] = True
    try:
        if not same_origin(request):
            raise ApiError("origin")
        key = field(await form_of(request), "key").strip()
        principal = await service.principal(f"Bearer {key}" if key else None, "score")
    except LoanlintError as error:
        refused = api_error(error)
        if refused.status != 401:
            return problem_page(refused, request.scope)
        principal = ANYONE
    if principal.key_id is None:
        # An open service lets anyone in, but not under a key that is none.
        return page("login.html", lang, {"session": None, "wrong": True, "query": ""}, 401)
    token = await service.aside(sessions.begin, service, principal, time.time())
    response = RedirectResponse("/review" if principal.may("review") else "/", 303, headers=HEADERS)
    response.headers.append("set-cookie", sessions.cookie(token, request.headers.get("host", "")))
    return response


def _logout(service: Service) -> Callable[[Asked], Response]:
    def work(asked: Asked) -> Response:
        sessions.end(service, asked.session.token)
        response = RedirectResponse("/login", 303, headers=HEADERS)
        response.headers.append("set-cookie", sessions.cookie("", asked.request.headers.get("host", ""), 0))
        return response

    return work


async def _static(request: Request, service: Service) -> Response:
    found = static_files().get(request.path_params["name"])
    if found is None:
        raise ApiError("address")
    headers = {**HEADERS, "cache-control": "public, max-age=3600"}
    return Response(found[0], headers=headers, media_type=found[1])
