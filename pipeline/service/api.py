"""The routes of the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..classifier import CheckSettings
from ..pages.encoding import decode as decode_page
from ..pages.scan import PageReport
from ..pages.scan import scan as scan_page
from ..pages.segments import segments
from ..verdict import Verdict
from .appeals import AppealResponse
from .engine import Engine, too_long
from .openapi import document
from .problems import ApiError
from .reading import admit, content_type, convert, json_body, page_of, query, sound
from .schemas import (
    AppealRequest,
    CheckRequest,
    CheckResponse,
    CheckResult,
    Health,
    ImagePart,
    ModerationRequest,
    ModerationResponse,
    ScanRequest,
    TextItem,
    combine,
    moderation,
    openai_result,
)
from .service import Context, Service
from .shadow_report import shadow_report
from .store import NO_PAGE, Page
from .stream import NdjsonResponse
from .taxonomy_view import taxonomy_view

Handler = Callable[[Request, Service], Awaitable[Response]]
_encode = msgspec.json.Encoder().encode
_check = msgspec.json.Decoder(CheckRequest)
_scan = msgspec.json.Decoder(ScanRequest)
_appeal = msgspec.json.Decoder(AppealRequest)
_moderations = msgspec.json.Decoder(ModerationRequest)
_PAGE_TYPES = ("text/html", "text/plain", "application/xhtml+xml", "application/octet-stream")


def api_routes(service: Service) -> list[BaseRoute]:
    """Routes of the API, the busiest first."""
    return [
        route(service, "/v1/moderations", "POST", "score", moderations),
        route(service, "/v1/check", "POST", "score", check),
        route(service, "/v1/scan", "POST", "score", scan),
        route(service, "/v1/stream", "POST", "score", stream),
        route(service, "/v1/appeals", "POST", "score", appeal),
        route(service, "/v1/taxonomy", "GET", None, show_taxonomy),
        route(service, "/v1/shadow", "GET", "admin", show_shadow),
        route(service, "/healthz", "GET", None, healthz),
        route(service, "/readyz", "GET", None, readyz),
        route(service, "/metrics", "GET", "admin", metrics),
        route(service, "/openapi.json", "GET", None, openapi),
    ]


def route(service: Service, path: str, method: str, scope: str | None, handler: Handler) -> Route:
    """A route that asks for a key with ``scope`` (``None``: for nobody's) before anything of the body is read."""

    async def call(request: Request) -> Response:
        state = request.scope["state"]
        state["label"] = path
        if scope is not None:
            principal = await service.principal(request.headers.get("authorization"), scope)
            state["principal"] = principal
            state["key"] = principal.key_id
        return await handler(request, service)

    return Route(path, call, methods=[method])


# ---------------------------------------------------------------- scoring


async def moderations(request: Request, service: Service) -> Response:
    """POST /v1/moderations, as OpenAI clients call it."""
    asked = await json_body(request, _moderations)
    texts, together = _inputs(asked)
    admit(texts, service.limits, "input")
    engine = service.models.engine
    settings = CheckSettings()

    def work(part: Sequence[str]) -> list[tuple[Verdict, dict[str, float]]]:
        return engine.moderate(part, settings)

    judged = await service.scoring.run(work, texts, engine.slice, request.scope["state"]["deadline"])
    await _keep(request, service, [v for v, _ in judged], [(NO_PAGE, None, None)] * len(judged))
    results = [openai_result(verdict, scores, service.item_of(verdict)) for verdict, scores in judged]
    if together:
        results = [combine(results)]
    id = request.scope["state"]["request_id"]
    return _json(ModerationResponse(f"modr-{id}", f"loanlint-{engine.version}", results))


def _inputs(asked: ModerationRequest) -> tuple[list[str], bool]:
    """The texts, and whether they are parts of one input."""
    if isinstance(asked.input, str):
        return [asked.input], False
    if not asked.input:
        raise ApiError("empty", name="input", param="input")
    texts = []
    parts = 0
    for number, part in enumerate(asked.input):
        if isinstance(part, ImagePart):
            raise ApiError("input_image", param=f"input[{number}]")
        parts += not isinstance(part, str)
        texts.append(part if isinstance(part, str) else part.text)
    if parts not in (0, len(texts)):
        raise ApiError("input_mixed", param="input")
    return texts, parts > 0


async def check(request: Request, service: Service) -> Response:
    """POST /v1/check: native verdicts."""
    asked = await json_body(request, _check)
    items = _items(asked)
    texts = [item.text for item in items]
    admit(texts, service.limits, "texts" if asked.texts is not None else "text")
    settings = CheckSettings(asked.operating_point, asked.fail_on, asked.date, asked.explain)
    channels = [item.channel or asked.channel for item in items]
    engine = service.models.engine
    verdicts = await service.scoring.judge(engine, texts, channels, settings, request.scope["state"]["deadline"])
    contexts: list[Context] = [(page_of(i.page), i.dataId, c) for i, c in zip(items, channels, strict=True)]
    await _keep(request, service, verdicts, contexts)
    results = [
        CheckResult(v, moderation(v, i.dataId, service.item_of(v))) for v, i in zip(verdicts, items, strict=True)
    ]
    return _json(CheckResponse(request.scope["state"]["request_id"], engine.version, results))


def _items(asked: CheckRequest) -> list[TextItem]:
    if (asked.text is None) == (asked.texts is None):
        raise ApiError("text_or_texts", param="text")
    if asked.text is not None:
        return [TextItem(asked.text, asked.dataId, asked.channel, asked.page)]
    assert asked.texts is not None
    if not asked.texts:
        raise ApiError("empty", name="texts", param="texts")
    if asked.dataId is not None:
        raise ApiError("own_data_ids", param="dataId")
    return [TextItem(t, None, None, asked.page) if isinstance(t, str) else t for t in asked.texts]


async def scan(request: Request, service: Service) -> Response:
    """POST /v1/scan: a page, as JSON or as it came."""
    kind = content_type(request)
    given = query(request, ("url", "dataId", "operating_point", "fail_on", "explain"))
    asked = convert({**given, "page": ""}, ScanRequest)
    encoding = "utf-8"
    if kind == "application/json":
        # What stands in the address goes before what stands in the body.
        named = {name: getattr(asked, name) for name in given}
        asked = msgspec.structs.replace(await json_body(request, _scan), **named)
    elif kind in _PAGE_TYPES:
        text, encoding = decode_page(await request.body(), "body")
        asked = msgspec.structs.replace(asked, page=text)
    else:
        raise ApiError("content_type", wanted=", ".join(("application/json", *_PAGE_TYPES)))
    sound(asked.page, "page", service.limits.max_page)
    settings = CheckSettings(asked.operating_point, asked.fail_on, explain=asked.explain)
    engine = service.models.engine
    deadline = request.scope["state"]["deadline"]
    report = await service.scoring.thread(
        judge_page, asked.page, engine, settings, encoding, deadline, service.limits.max_text
    )
    title = next((v.text for v in report.segments if v.segment and v.segment.role == "title"), None)
    contexts: list[Context] = []
    for verdict in report.segments:
        place = verdict.segment
        page = Page(
            asked.url, title[:500] if title else None, place.role if place else None, place.path if place else None
        )
        contexts.append((page, asked.dataId, None))
    await _keep(request, service, report.segments, contexts)
    body = report.to_dict()
    body["name"] = asked.url or "-"
    return _json({"id": request.scope["state"]["request_id"], "model": engine.version, "dataId": asked.dataId, **body})


class _Timed:
    """The classifier of an engine, as a page is scanned with it: stops when the time is over, refuses endless segments."""

    def __init__(self, engine: Engine, deadline: float) -> None:
        self._classifier = engine.classifier
        self._deadline = deadline

    def check(self, text: str, settings: CheckSettings, **named: Any) -> Verdict:
        if time.monotonic() > self._deadline:
            raise too_long()
        return self._classifier.check(text, settings, **named)


def judge_page(
    page: str, engine: Engine, settings: CheckSettings, encoding: str, deadline: float, longest: int
) -> PageReport:
    """A page scanned before ``deadline`` (monotonic); no segment may be longer than ``longest``."""
    found = max((len(part.text) for part in segments(page)), default=0)
    if found > longest:
        raise ApiError("segment_long", count=found, limit=longest, param="page")
    return scan_page(page, _Timed(engine, deadline), settings, encoding=encoding)  # type: ignore[arg-type]


async def stream(request: Request, service: Service) -> Response:
    """POST /v1/stream: NDJSON in, NDJSON out."""
    if content_type(request) not in ("application/x-ndjson", "application/jsonl", "application/json"):
        raise ApiError("content_type", wanted="application/x-ndjson")
    values = query(request, ("operating_point", "fail_on", "explain", "channel"))
    asked = convert({**values, "text": ""}, CheckRequest)
    settings = CheckSettings(asked.operating_point, asked.fail_on, explain=asked.explain)
    return NdjsonResponse(service, settings, asked.channel)


async def appeal(request: Request, service: Service) -> Response:
    """POST /v1/appeals: a verdict the caller got is put before a reviewer."""
    asked = await json_body(request, _appeal)
    who = request.scope["state"]["principal"]
    found = await service.aside(service.appeals.file, who, asked.dataId, asked.item, asked.note.strip(), time.time())
    return _json(AppealResponse(request.scope["state"]["request_id"], found))


# ---------------------------------------------------------------- the rest


async def show_taxonomy(request: Request, service: Service) -> Response:
    """GET /v1/taxonomy."""
    return _json(taxonomy_view())


async def show_shadow(request: Request, service: Service) -> Response:
    """GET /v1/shadow: where the candidate differs. Counts only; the texts are for the command line."""
    return await service.aside(lambda: _json({"pairs": shadow_report(service.store.registry, examples=0)}))


async def healthz(request: Request, service: Service) -> Response:
    """GET /healthz: the process answers."""
    return _json(Health("ok"))


async def readyz(request: Request, service: Service) -> Response:
    """GET /readyz: the model in use judges a known text rightly, and the store answers."""
    engine = service.models.engine
    ready = engine.ready()
    if ready:
        # Not among the threads of the pages: a reviewer's long report must not make the service look ill.
        await asyncio.to_thread(service.store.ping)
    return _json(Health("ok" if ready else "unavailable", engine.version), 200 if ready else 503)


async def metrics(request: Request, service: Service) -> Response:
    """GET /metrics."""
    body, kind = service.metrics.exposition()
    return Response(body, media_type=kind)


async def openapi(request: Request, service: Service) -> Response:
    """GET /openapi.json."""
    return _json(document(service.limits))


def _json(value: Any, status: int = 200) -> Response:
    return Response(_encode(value), status, media_type="application/json")


async def _keep(request: Request, service: Service, verdicts: Sequence[Verdict], contexts: Sequence[Context]) -> None:
    state = request.scope["state"]
    state["texts"] = len(verdicts)
    await service.keep(verdicts, contexts, state["request_id"], state.get("key"))
