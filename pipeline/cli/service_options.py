"""Options of the commands that work on the service's store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..service.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def _default(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    from ..service.settings import default_database

    return value or default_database()


def database(function: F) -> F:
    """``--db``: a path or a URL."""
    return click.option(
        "--db",
        "database",
        metavar="PATH|URL",
        callback=_default,
        help="SQLite 文件或 postgresql:// 地址,默认 $LOANLINT_DB 或用户数据目录。"
        "SQLite file or postgresql:// URL; by default $LOANLINT_DB or a file in the user's data directory.",
    )(function)


@contextmanager
def opened(name: str) -> Iterator[Store]:
    """The store of ``--db``, closed afterwards."""
    from . import require

    require("service", "msgspec")
    from ..service.store import Store

    store = Store(name)
    try:
        yield store
    finally:
        store.close()


def moment(seconds: float | None) -> str:
    """A time as people read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if seconds is not None else "-"
