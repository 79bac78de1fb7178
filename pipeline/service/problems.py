"""Errors over HTTP: one shape, the one OpenAI clients read.

``{"error": {"message", "type", "param", "code"}}``; the request id is in the header ``x-request-id``.
"""

from __future__ import annotations

from collections.abc import Mapping

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
# Errors of the library that say the caller's input is at fault, and the status each becomes.
_STATUS = {"E_INPUT_SIZE": 413}


class Problem(msgspec.Struct):
    """What went wrong. ``param`` is the path of the field at fault, ``code`` a stable name."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(msgspec.Struct):
    """The body of every response that is not a success."""

    error: Problem


class ApiError(LoanlintError):
    """A request that is refused; ``status`` is the HTTP status."""

    code = "E_REQUEST"

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.param = param
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        """The response body."""
        kind = _TYPES.get(self.status, "invalid_request_error")
        return msgspec.json.encode(ErrorBody(Problem(self.args[0], kind, self.param, self.code)))


def api_error(error: LoanlintError) -> ApiError:
    """An error of the library as a response: input errors are the caller's, everything else is ours."""
    if isinstance(error, ApiError):
        return error
    if error.code.startswith("E_STORE"):
        return ApiError(503, error.code, "the store does not answer; try again", headers={"retry-after": "1"})
    if error.code.startswith(("E_INPUT", "E_USAGE")):
        return ApiError(_STATUS.get(error.code, 400), error.code, error.args[0])
    return ApiError(500, error.code, "the service cannot answer; its log says why")
