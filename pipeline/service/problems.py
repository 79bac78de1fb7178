"""Errors over HTTP: one shape, the one OpenAI clients read, in English and Chinese.

``{"error": {"message", "message_zh", "type", "param", "code"}}``; the request id is in the header ``x-request-id``. Both languages are always there,
so that an answer does not depend on who asks for it: callers are programs, which say nothing of a language, and what they log is
read by others. What there is to say stands in ``problems.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from ..errors import LoanlintError

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
_FIELDS = "fields"


class Problem(msgspec.Struct):
    """What went wrong. ``param`` is the path of the field at fault, ``code`` a stable name."""

    message: str
    message_zh: str
    type: str
    param: str | None
    code: str


class ErrorBody(msgspec.Struct):
    """The body of every response that is not a success."""

    error: Problem


@dataclass(frozen=True, slots=True)
class Message:
    """A kind of refusal: HTTP ``status``, stable ``code``, both texts, and whether trying again may help."""

    status: int
    code: str
    en: str
    zh: str
    retry: bool = False


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("problems.toml").read_text(encoding="utf-8"))


@cache
def messages() -> dict[str, Message]:
    """All that can be said, by name."""
    return {name: Message(**row) for name, row in _table().items() if name != _FIELDS}


def in_chinese(detail: str) -> str:
    """What the JSON reader says of a field, in Chinese; as it is where that is not known."""
    for row in _table()[_FIELDS]:
        match = re.fullmatch(row["en"], detail, re.S)
        if match:
            return match.expand(row["zh"])
    return f"字段不对:{detail}"


class ApiError(LoanlintError):
    """A request that is refused, by the name of a message and the values in it; ``status`` is the HTTP status."""

    def __init__(
        self,
        message: str,
        /,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
        code: str | None = None,
        **values: Any,
    ) -> None:
        kind = messages()[message]
        super().__init__(kind.en.format(**values), code=code or kind.code)
        self.zh = kind.zh.format(**values)
        self.status = status or kind.status
        self.param = param
        self.headers = {**({"retry-after": "1"} if kind.retry else {}), **(headers or {})}

    @property
    def problem(self) -> Problem:
        """What the response says."""
        return Problem(
            self.args[0], self.zh, _TYPES.get(self.status, "invalid_request_error"), self.param, self.code
        )  # fmt: skip

    @property
    def body(self) -> bytes:
        """The response body."""
        return msgspec.json.encode(ErrorBody(self.problem))

    def said(self, lang: str) -> str:
        """The message in ``zh`` or ``en``."""
        return self.zh if lang == "zh" else str(self.args[0])


def api_error(error: LoanlintError) -> ApiError:
    """An error of the library as a response: input errors are the caller's, everything else is ours."""
    if isinstance(error, ApiError):
        return error
    if error.code.startswith("E_STORE"):
        return ApiError("store", code=error.code)
    for code in ("E_INPUT", "E_USAGE"):
        if error.code.startswith(code):
            name = error.code if error.code in messages() else code
            return ApiError(name, code=error.code, detail=error.args[0])
    return ApiError("unable", code=error.code)
