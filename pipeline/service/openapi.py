"""The OpenAPI document, made from the types that requests are read with."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from .. import __version__
from .appeals import AppealResponse
from .problems import ErrorBody
from .schemas import (
    AppealRequest,
    CheckRequest,
    CheckResponse,
    CheckResult,
    Health,
    ModerationRequest,
    ModerationResponse,
    ScanRequest,
    StreamError,
    TextItem,
)
from .settings import Limits
from .store import item_id

_AD = "不看征信的口子,有身份证就能下款"
_CLEAN = "周末去公园划船,晚上吃火锅"
_REASONS = {
    "400": "not JSON, a wrong type, an unknown field, no text",
    "401": "no key, or one that is not in use",
    "403": "the key has not the scope",
    "404": "no text of yours is kept under this name",
    "408": "the body did not arrive in time",
    "413": "too large: the body, a text, or too many texts",
    "415": "not the content type that is read here",
    "421": "an open service asked under a name that is not this machine's",
    "429": "too many requests with this key",
    "500": "a fault of the service",
    "503": "overloaded, or the store does not answer; try again",
}
_NO_NUL = r"^[^\u0000]*$"
_OPEN = ("421", "500", "503")
_DECISIONS: dict[str, dict[str, Any]] = {
    "operating_point": {"type": "string", "enum": ["high_precision", "balanced", "high_recall"]},
    "fail_on": {"type": "string", "enum": ["borderline", "misleading", "illegal"]},
    "explain": {"type": "boolean"},
}


@cache
def document(limits: Limits) -> dict[str, Any]:
    """The document, as plain values."""
    kinds = (
        AppealRequest, AppealResponse, CheckRequest, CheckResponse, CheckResult, ErrorBody, Health, ModerationRequest, ModerationResponse, ScanRequest,
        StreamError, TextItem,
    )  # fmt: skip
    _, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    components["CheckRequest"]["oneOf"] = [
        {"required": ["text"], "properties": {"text": {"type": "string"}, "texts": {"type": "null"}}},
        {
            "required": ["texts"],
            "properties": {
                "texts": {"type": "array", "minItems": 1},
                "text": {"type": "null"},
                "dataId": {"type": "null"},
            },
        },
    ]
    components["AppealRequest"]["oneOf"] = [
        {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}
        for one, other in (("dataId", "item"), ("item", "dataId"))
    ]
    # What is checked beyond the types: no NUL characters, and the limits this service was started with.
    text = {"type": "string", "maxLength": limits.max_text, "pattern": _NO_NUL}
    many = {"type": "array", "minItems": 1, "maxItems": limits.max_texts}
    components["CheckRequest"]["properties"]["text"] = {"anyOf": [text, {"type": "null"}]}
    components["CheckRequest"]["properties"]["texts"] = {
        "anyOf": [{**many, "items": {"anyOf": [text, _ref("TextItem")]}}, {"type": "null"}]
    }
    components["TextItem"]["properties"]["text"] = text
    components["TextPart"]["properties"]["text"] = text
    components["ScanRequest"]["properties"]["page"] = {
        "type": "string",
        "maxLength": limits.max_page,
        "pattern": _NO_NUL,
    }
    components["ModerationRequest"]["properties"]["input"] = {
        "anyOf": [text, {**many, "items": text}, {**many, "items": _ref("TextPart")}]
    }
    del components["ImagePart"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "loanlint",
            "version": __version__,
            "description": "Flags misleading loan advertising in Chinese text and says why. 误导性贷款广告检查服务。",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made with `loanlint keys add NAME --scope score`. Not needed where the service is open.",
                }
            },
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _paths() -> dict[str, Any]:
    scoring = ("400", "401", "403", "408", "413", "415", *_OPEN, "429")
    return {
        "/v1/moderations": {
            "post": _operation(
                "moderations",
                "Moderate texts; compatible with the OpenAI moderation API",
                answer=_ref("ModerationResponse"),
                errors=scoring,
                secure=True,
                body={
                    "application/json": {
                        "schema": _ref("ModerationRequest"),
                        "examples": {
                            "one": {"value": {"input": _AD}},
                            "many": {"value": {"input": [_AD, _CLEAN], "model": "omni-moderation-latest"}},
                            "parts": {"value": {"input": [{"type": "text", "text": _AD}]}},
                        },
                    }
                },
            )
        },
        "/v1/check": {
            "post": _operation(
                "check",
                "Judge one or many texts; native verdicts",
                answer=_ref("CheckResponse"),
                errors=scoring,
                secure=True,
                body={
                    "application/json": {
                        "schema": _ref("CheckRequest"),
                        "examples": {
                            "one": {"value": {"text": _AD, "dataId": "post-17"}},
                            "many": {
                                "value": {
                                    "texts": [
                                        {"text": _AD, "dataId": "a", "page": {"url": "https://example.com/1"}},
                                        _CLEAN,
                                    ],
                                    "operating_point": "high_precision",
                                }
                            },
                        },
                    }
                },
            )
        },
        "/v1/scan": {
            "post": _operation(
                "scan",
                "Judge a page segment by segment. As JSON, or the page as it came; encodings are detected",
                answer={"type": "object", "required": ["id", "model", "summary", "segments"]},
                errors=scoring,
                secure=True,
                parameters=_queries("url", "dataId", *_DECISIONS),
                body={
                    "application/json": {
                        "schema": _ref("ScanRequest"),
                        "examples": {"page": {"value": {"page": f"<title>新闻</title><li><a>{_AD}</a></li>"}}},
                    },
                    "text/html": {
                        "schema": {"type": "string", "pattern": _NO_NUL},
                        "examples": {"page": {"value": f"<title>新闻</title><li><a>{_AD}</a></li>"}},
                    },
                },
            )
        },
        "/v1/stream": {
            "post": _operation(
                "stream",
                "NDJSON in, NDJSON out: for each line, a JSON string or an object, a line with its result or error, in order. "
                "Read while you write: the service reads no further than you do",
                answer={"type": "string"},
                media="application/x-ndjson",
                errors=scoring,
                secure=True,
                parameters=_queries("channel", *_DECISIONS),
                body={
                    "application/x-ndjson": {
                        "schema": {"type": "string"},
                        "examples": {"lines": {"value": f'"{_AD}"\n{{"text": "{_CLEAN}", "dataId": "b"}}\n'}},
                    }
                },
            )
        },
        "/v1/appeals": {
            "post": _operation(
                "appeal",
                "Put a verdict you got before a reviewer. Sent again, it changes nothing and tells how the appeal stands",
                answer=_ref("AppealResponse"),
                errors=(*scoring[:3], "404", *scoring[3:]),
                secure=True,
                body={
                    "application/json": {
                        "schema": _ref("AppealRequest"),
                        "examples": {
                            "by dataId": {"value": {"dataId": "post-17", "note": "这是反诈提醒,不是广告"}},
                            "by item": {"value": {"item": item_id(_AD)}},
                        },
                    }
                },
            )
        },
        "/v1/taxonomy": {
            "get": _operation(
                "taxonomy", "Everything a verdict can say", answer={"type": "object", "required": ["version", "codes"]}
            )
        },
        "/v1/shadow": {
            "get": _operation(
                "shadow",
                "Where a candidate model differs from the active one",
                answer={"type": "object", "required": ["pairs"]},
                errors=("401", "403", "429", *_OPEN),
                secure=True,
            )
        },
        "/healthz": {"get": _operation("healthz", "Whether the process answers", answer=_ref("Health"))},
        "/readyz": {
            "get": _operation(
                "readyz", "Whether a known text is judged rightly and the store answers", answer=_ref("Health")
            )
        },
        "/metrics": {
            "get": _operation(
                "metrics",
                "For Prometheus",
                answer={"type": "string"},
                media="text/plain",
                errors=("401", "403", "429", *_OPEN),
                secure=True,
            )
        },
    }


def _queries(*names: str) -> list[dict[str, Any]]:
    lengths = {"url": 2_000, "dataId": 128, "channel": 50}
    return [
        {"name": n, "in": "query", "schema": _DECISIONS.get(n) or {"type": "string", "maxLength": lengths[n]}}
        for n in names
    ]


def _operation(
    id: str,
    summary: str,
    *,
    answer: dict[str, Any],
    media: str = "application/json",
    errors: tuple[str, ...] = _OPEN,
    secure: bool = False,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    problem = {"application/json": {"schema": _ref("ErrorBody")}}
    request_id = {"x-request-id": {"schema": {"type": "string"}, "description": "Names the request in the log."}}
    responses: dict[str, Any] = {
        "200": {"description": "the answer", "headers": request_id, "content": {media: {"schema": answer}}}
    }
    for status in sorted(errors):
        responses[status] = {"description": _REASONS[status], "headers": request_id, "content": problem}
    found: dict[str, Any] = {"operationId": id, "summary": summary, "responses": responses}
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    if secure:
        # An open service asks for no key.
        found["security"] = [{"key": []}, {}]
    return found
