"""numba as this package uses it: no fast-math, no global interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt
from numba import types

Array = npt.NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


_INNER: dict[str, Any] = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_unliteral: Callable[[Any], Any] = types.unliteral


def kernel(function: Function) -> Function:
    """A function compiled into whatever calls it; it has no way in from Python, which saves compilation."""
    dispatcher: Any = numba.njit(**_INNER)(function)
    resolve = dispatcher.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        # numba would compile a version for every constant and every width of number it is called with.
        return resolve([_wide(a) for a in args], {name: _wide(a) for name, a in kws.items()})

    dispatcher.get_call_template = get_call_template
    return cast(Function, dispatcher)


def _wide(kind: Any) -> Any:
    plain: Any = _unliteral(kind)
    return types.int64 if isinstance(plain, types.Integer) else plain


def entry(function: Function, *, cache: bool) -> Function:
    """A function called from Python, kept compiled on disk if ``cache`` and if there is a place for it."""
    try:
        return cast(Function, numba.njit(nogil=True, cache=cache)(function))
    except RuntimeError:  # numba finds no directory it may write to
        return cast(Function, numba.njit(nogil=True)(function))
