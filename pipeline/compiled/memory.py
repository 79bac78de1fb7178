"""Tables and scratch memory of the compiled functions, by address.

numba counts references of every array that is handed to a function, atomically and even in inner loops: walking a trie took
twice as long that way. The compiled functions therefore get one address: that of a row of 64-bit *fields*, each a number or
the address of a table. A :class:`Book` owns the tables and outlives every call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import Array


def _load(bits: int, kind: str) -> Any:
    floating = kind == "float"
    result = types.float64 if floating else types.int64

    def load(context: Any, address: Any, index: Any) -> Any:
        def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            cell: Any = ir.IntType(bits)
            if floating:
                cell = ir.FloatType() if bits == 32 else ir.DoubleType()
            place = builder.gep(builder.inttoptr(arguments[0], cell.as_pointer()), [arguments[1]])
            value = builder.load(place)
            if floating:
                return builder.fpext(value, ir.DoubleType()) if bits == 32 else value
            if bits == 64:
                return value
            extend = builder.sext if kind == "signed" else builder.zext
            return extend(value, ir.IntType(64))

        return result(types.int64, types.int64), generate

    return intrinsic(load)


def _store(bits: int, kind: str) -> Any:
    floating = kind == "float"
    given = types.float64 if floating else types.int64

    def store(context: Any, address: Any, index: Any, value: Any) -> Any:
        def generate(inner: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            cell: Any = ir.DoubleType() if floating else ir.IntType(bits)
            place = builder.gep(builder.inttoptr(arguments[0], cell.as_pointer()), [arguments[1]])
            content = arguments[2] if floating or bits == 64 else builder.trunc(arguments[2], cell)
            builder.store(content, place)
            return inner.get_dummy_value()

        return types.void(types.int64, types.int64, given), generate

    return intrinsic(store)


Get = Callable[[int, int], int]
GetDouble = Callable[[int, int], float]
Put = Callable[[int, int, int], None]
PutDouble = Callable[[int, int, float], None]

# Entry ``index`` of a table of bytes, 16-bit numbers, 32-bit numbers, 64-bit numbers, floats and doubles.
get1: Get = _load(8, "unsigned")
get2: Get = _load(16, "unsigned")
get4: Get = _load(32, "signed")
get8: Get = _load(64, "signed")
get_float: GetDouble = _load(32, "float")
get_double: GetDouble = _load(64, "float")
put4: Put = _store(32, "signed")
put8: Put = _store(64, "signed")
put_double: PutDouble = _store(64, "float")

LANES = 8


_declare: Callable[..., Any] = cgutils.get_or_insert_function


def _prefetch(context: Any, address: Any) -> Any:
    def generate(inner: Any, builder: Any, _: Any, arguments: Any) -> Any:
        byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        fetch = _declare(builder.module, kind, "llvm.prefetch.p0i8")
        read_soon = [ir.Constant(whole, number) for number in (0, 3, 1)]
        builder.call(fetch, [builder.inttoptr(arguments[0], byte), *read_soon])
        return inner.get_dummy_value()

    return types.void(types.int64), generate


_fetch: Any = intrinsic(_prefetch)
# Asks for the cache line at an address, to be read soon.
prefetch: Callable[[int], None] = _fetch


def _lanes(context: Any, totals: Any, values: Any) -> Any:
    def generate(inner: Any, builder: Any, _: Any, arguments: Any) -> Any:
        doubles = ir.VectorType(ir.DoubleType(), LANES)
        total_at = builder.inttoptr(arguments[0], doubles.as_pointer())
        value_at = builder.inttoptr(arguments[1], ir.VectorType(ir.FloatType(), LANES).as_pointer())
        value = builder.fpext(builder.load(value_at, align=4), doubles)
        builder.store(builder.fadd(builder.load(total_at, align=8), value), total_at, align=8)
        return inner.get_dummy_value()

    return types.void(types.int64, types.int64), generate


# Adds ``LANES`` floats to as many doubles, both given by address.
_made: Any = intrinsic(_lanes)
add_lanes: Callable[[int, int], None] = _made

_TYPES = {np.dtype(t) for t in (np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64)}


class Book:
    """Fields and the tables they lead to."""

    def __init__(self, size: int) -> None:
        self._fields = np.zeros(size, dtype=np.int64)
        self._tables: list[Array] = []

    @property
    def address(self) -> int:
        """Address of the fields; valid as long as the book."""
        return int(self._fields.ctypes.data)

    def number(self, field: int, value: int) -> None:
        """Set a field to a number."""
        self._fields[field] = value

    def table(self, field: int, table: Array) -> None:
        """Set a field to a table, which the book keeps."""
        if table.dtype not in _TYPES:
            raise TypeError(f"no such table: {table.dtype}")
        kept = np.ascontiguousarray(table)
        self._tables.append(kept)
        self._fields[field] = kept.ctypes.data

    def size(self) -> int:
        """Bytes of all tables."""
        return sum(table.nbytes for table in self._tables)
