"""Requests read and checked before anything is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from .problems import ApiError, in_chinese
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
        raise ApiError("content_type", wanted="application/json")
    return parse(await request.body(), decoder)


def parse(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The value of JSON; raises ``ApiError`` with what is wrong with it."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ApiError("json", detail=str(error)[:200]) from error
    except RecursionError as error:
        raise ApiError("json_depth") from error


def convert(values: dict[str, Any], kind: type[T]) -> T:
    """Strings, such as query parameters, as a request."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: msgspec.ValidationError) -> ApiError:
    message, _, path = str(error).partition(" - at `$")
    param = path.rstrip("`").lstrip(".") or None
    return ApiError("field", detail=message, detail_zh=in_chinese(message), param=param)


def query(request: Request, known: Sequence[str]) -> dict[str, str]:
    """The query parameters, which must be ``known``."""
    values = dict(request.query_params)
    for name in values:
        if name not in known:
            raise ApiError("query_unknown", known=", ".join(known), param=name[:50])
    return values


def admit(texts: Sequence[str], limits: Limits, param: str) -> None:
    """Refuse too many texts, and what is no text; ``param`` names the field."""
    if len(texts) > limits.max_texts:
        raise ApiError("texts_many", count=len(texts), limit=limits.max_texts, param=param)
    for number, text in enumerate(texts):
        if len(text) > limits.max_text or "\x00" in text:
            sound(text, param if len(texts) == 1 else f"{param}[{number}]", limits.max_text)


def sound(text: str, param: str, limit: int) -> None:
    """Refuse what is no text, or too long."""
    if len(text) > limit:
        raise ApiError("text_long", count=len(text), limit=limit, param=param)
    if "\x00" in text:
        raise ApiError("nul", param=param)


def page_of(page: PageContext | None) -> Page:
    """The page context of a request as it is stored."""
    return Page(page.url, page.title, page.role, page.path) if page else NO_PAGE
