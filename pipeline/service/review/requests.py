"""What a browser asks of the pages: who, in which language, with which filters and fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request

from ...taxonomy import taxonomy
from ..problems import ApiError
from ..reading import content_type
from ..store import ItemFilter
from .decisions import GOLD, OPEN, STATES

LANGUAGE_COOKIE = "loanlint_lang"
_FIELDS = 500
FILTERS = ("code", "severity", "domain", "since", "until", "state", "reason")
Form = Mapping[str, Sequence[str]]


def language(request: Request) -> str:
    """``zh`` or ``en``: as chosen, else as the browser says, else Chinese."""
    for given in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if given in ("zh", "en"):
            return given
    for part in request.headers.get("accept-language", "").lower().split(","):
        if part.strip()[:2] in ("zh", "en"):
            return part.strip()[:2]
    return "zh"


async def form_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form; raises ``ApiError`` for what no form of ours sends."""
    if content_type(request) != "application/x-www-form-urlencoded":
        raise ApiError("form_kind")
    try:
        pairs = parse_qsl((await request.body()).decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")  # fmt: skip
    except ValueError as error:  # UnicodeError, too
        raise ApiError("form") from error
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in value:
            raise ApiError("nul", param=name[:50])
        # Browsers send line ends of forms as CR LF, whatever was typed.
        form.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return form


def field(form: Form, name: str) -> str:
    """One field, or ``""``."""
    values = form.get(name, ())
    return values[0] if values else ""


def same_origin(request: Request) -> bool:
    """Whether a form was sent from a page of ours, as far as the browser says."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Filters as given in the address; empty strings do not filter."""

    values: Mapping[str, str]
    wanted: ItemFilter

    @property
    def query(self) -> str:
        """For addresses that keep the filters."""
        return urlencode({name: value for name, value in self.values.items() if value})


def filters(given: Mapping[str, str], limit: int = 50, offset: int = 0) -> Chosen:
    """Filters of a query; raises ``ApiError`` where a value cannot be one. Days are whole days, UTC."""
    values = {name: given.get(name, "").strip() for name in FILTERS}
    if values["code"] and values["code"] not in taxonomy().codes:
        raise ApiError("value", name="code", param="code")
    if values["severity"] not in ("", "0", "1", "2", "3"):
        raise ApiError("severity", param="severity")
    if values["state"] not in ("", "all", *STATES):
        raise ApiError("value", name="state", param="state")
    if values["reason"] not in ("", "flagged", "sample"):
        raise ApiError("value", name="reason", param="reason")
    if len(values["domain"]) > 255 or "\x00" in values["domain"]:
        raise ApiError("domain", param="domain")
    severity = int(values["severity"]) if values["severity"] else None
    return Chosen(
        values,
        ItemFilter(
            state=None if values["state"] == "all" else values["state"] or OPEN,
            # Golden items must not be told from others, so they are in no list.
            except_state=GOLD,
            reason=values["reason"] or None,
            code=values["code"] or None,
            min_severity=severity,
            max_severity=severity,
            domain=values["domain"].lower() or None,
            since=_day(values["since"], "since", 0),
            until=_day(values["until"], "until", 1),
            worst_first=True,
            limit=limit,
            offset=offset,
        ),
    )


def _day(text: str, name: str, more: int) -> float | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=more)
        return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise ApiError("day", param=name) from error
