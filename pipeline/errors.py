"""The exceptions loanlint raises.

LoanlintError
├── UsageError      E_USAGE …        the call itself is wrong
├── InputError      E_INPUT_…        a text, page or file cannot be read
├── DataError       E_DATA_…         taxonomy, lexicon or corpus files are wrong
└── ModelError      E_MODEL_…        a model directory cannot be used

Every error has a stable ``code``; its message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class LoanlintError(Exception):
    """Root of all errors raised on purpose by loanlint."""

    code = "E_LOANLINT"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"[{self.code}] {self.args[0]}"


class UsageError(LoanlintError):
    """The call itself is wrong."""

    code = "E_USAGE"


class InputError(LoanlintError):
    """A text, page or file cannot be read."""

    code = "E_INPUT"


class DataError(LoanlintError):
    """Taxonomy, lexicon or corpus files are wrong."""

    code = "E_DATA"


class ModelError(LoanlintError):
    """A model directory cannot be used."""

    code = "E_MODEL"


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Around reading a file: ``OSError`` becomes an ``InputError`` that says which file and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file. Check the path.", code="E_INPUT_MISSING") from error
    except OSError as error:
        raise InputError(
            f"{name}: cannot be read ({error.strerror}). Check its permissions.", code="E_INPUT_UNREADABLE"
        ) from error
