"""What the library has to tell while it works, on standard error."""

from __future__ import annotations

import logging
import sys


def show_compilation(formatter: logging.Formatter | None = None) -> None:
    """Say when compiling begins, which takes a while; nothing where it was done before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter or logging.Formatter("loanlint: %(message)s"))
    logger = logging.getLogger("pipeline.compiled")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
