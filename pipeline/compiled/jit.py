"""numba as this package uses it: no fast-math, no global interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt

Array = npt.NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """A function compiled into whatever calls it."""
    return cast(Function, numba.njit(nogil=True)(function))


def entry(function: Function, *, cache: bool) -> Function:
    """A function called from Python, kept compiled on disk if ``cache`` and if there is a place for it."""
    try:
        return cast(Function, numba.njit(nogil=True, cache=cache)(function))
    except RuntimeError:  # numba finds no directory it may write to
        return cast(Function, numba.njit(nogil=True)(function))
