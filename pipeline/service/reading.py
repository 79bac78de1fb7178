"""Requests read and checked before anything is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from .problems import ApiError
from .schemas import PageContext
from .settings import Limits
from .store import NO_PAGE, Page

T = TypeVar("T")


def content_type(request: Request) -> str:
    """The media type of the body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """The JSON body of a request."""
    # A form that a web page of another origin sends cannot have this type: it is part of the protection of open services.
    if content_type(request) != "application/json":
        raise ApiError(415, "E_CONTENT_TYPE", "send JSON, with Content-Type: application/json")
    return parse(await request.body(), decoder)


def parse(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The value of JSON; raises ``ApiError`` with what is wrong with it."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ApiError(400, "E_JSON", f"not JSON: {str(error)[:200]}") from error
    except RecursionError as error:
        raise ApiError(400, "E_JSON", "nested too deeply") from error


def convert(values: dict[str, Any], kind: type[T]) -> T:
    """Strings, such as query parameters, as a request."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: msgspec.ValidationError) -> ApiError:
    message, _, path = str(error).partition(" - at `$")
    param = path.rstrip("`").lstrip(".") or None
    return ApiError(400, "E_REQUEST", message, param=param)


def query(request: Request, known: Sequence[str]) -> dict[str, str]:
    """The query parameters, which must be ``known``."""
    values = dict(request.query_params)
    for name in values:
        if name not in known:
            raise ApiError(400, "E_REQUEST", f"unknown query parameter; known are {', '.join(known)}", param=name[:50])
    return values


def admit(texts: Sequence[str], limits: Limits, param: str) -> None:
    """Refuse too many texts, and what is no text; ``param`` names the field."""
    if len(texts) > limits.max_texts:
        raise ApiError(
            413, "E_INPUT_SIZE", f"{len(texts)} texts in one request, the limit is {limits.max_texts}", param=param
        )
    for number, text in enumerate(texts):
        if len(text) > limits.max_text or "\x00" in text:
            sound(text, param if len(texts) == 1 else f"{param}[{number}]", limits.max_text)


def sound(text: str, param: str, limit: int) -> None:
    """Refuse what is no text, or too long."""
    if len(text) > limit:
        raise ApiError(
            413, "E_INPUT_SIZE", f"{len(text):,} characters, the limit is {limit:,}; send paragraphs", param=param
        )
    if "\x00" in text:
        raise ApiError(400, "E_INPUT_BINARY", "holds NUL characters, so this is no text", param=param)


def page_of(page: PageContext | None) -> Page:
    """The page context of a request as it is stored."""
    return Page(page.url, page.title, page.role, page.path) if page else NO_PAGE
