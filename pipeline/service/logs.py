"""Structured logs: one JSON object a line on standard error. Texts, pages and keys never get in."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from typing import Any

import msgspec

LOGGER = logging.getLogger("loanlint.service")


class JsonLines(logging.Formatter):
    """Formats a record and its ``fields`` as JSON.

    An exception is written as its type and the lines of code it passed, without its message, which may quote the text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z"
        row: dict[str, Any] = {"time": stamp, "level": record.levelname.lower(), "event": record.getMessage()}
        row.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            row["error"] = record.exc_info[0].__name__
            row["at"] = [f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(record.exc_info[2])[-8:]]
        return msgspec.json.encode(row).decode()


def set_up() -> None:
    """Send the logs of the service and of the server under it to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("loanlint.service", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def log(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Write one line."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"fields": fields}, exc_info=error)
