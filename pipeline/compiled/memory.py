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

_alloca: Callable[..., Any] = cgutils.alloca_once_value
_declared: Callable[..., Any] = cgutils.get_or_insert_function
LANES = 32  # floats that :func:`add_rows` sums side by side
_VECTOR = 8
CACHE_LINE = 64  # bytes
DIRECT = 0x10000  # code points that the table of characters holds
CHARACTER = 8  # int32 a row of it
_TO_READ = (0, 3, 1)  # flags of a prefetch: to read, to keep, data
_FACTOR = 0x9E3779B97F4A7C1  # odd
_PREFETCH = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3])


def _sum(context: Any, totals: Any, table: Any, width: Any, rows: Any, count: Any) -> Any:
    def generate(inner: Any, builder: Any, _: Any, arguments: Any) -> Any:
        totals_at, table_at, width_of, rows_at, count_of = arguments
        whole = ir.IntType(64)
        doubles = ir.VectorType(ir.DoubleType(), _VECTOR)
        floats = ir.VectorType(ir.FloatType(), _VECTOR)
        zero = ir.Constant(doubles, [0.0] * _VECTOR)
        sums = [_alloca(builder, zero) for _ in range(LANES // _VECTOR)]
        numbers = builder.inttoptr(rows_at, ir.IntType(32).as_pointer())
        size = builder.mul(width_of, ir.Constant(whole, 4))
        with cgutils.for_range(builder, count_of) as loop:
            row = builder.sext(builder.load(builder.gep(numbers, [loop.index])), whole)
            start = builder.inttoptr(builder.add(table_at, builder.mul(row, size)), floats.as_pointer())
            for part, total in enumerate(sums):
                values = builder.load(builder.gep(start, [ir.Constant(whole, part)]), align=4)
                builder.store(builder.fadd(builder.load(total), builder.fpext(values, doubles)), total)
        result = builder.inttoptr(totals_at, doubles.as_pointer())
        for part, total in enumerate(sums):
            builder.store(builder.load(total), builder.gep(result, [ir.Constant(whole, part)]), align=8)
        return inner.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


def _fetch(context: Any, address: Any) -> Any:
    def generate(inner: Any, builder: Any, _: Any, arguments: Any) -> Any:
        fetch = _declared(builder.module, _PREFETCH, "llvm.prefetch.p0")
        place = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        builder.call(fetch, [place, *[ir.Constant(ir.IntType(32), n) for n in _TO_READ]])
        return inner.get_dummy_value()

    return types.void(types.int64), generate


_made_fetch: Any = intrinsic(_fetch)
# fetch(address): begin to bring a line of memory near, which takes as long as some hundred steps of arithmetic.
fetch: Callable[[int], None] = _made_fetch


def _lowest(context: Any, bits: Any) -> Any:
    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


def _spread(context: Any, key: Any) -> Any:
    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ashr(
            builder.mul(arguments[0], ir.Constant(ir.IntType(64), _FACTOR)), ir.Constant(ir.IntType(64), 24)
        )

    return types.int64(types.int64), generate


# spread(key): a hash of a number, any low bits of it. The product overflows on purpose, which numba's own may not: it lets
# LLVM conclude that no overflow happens.
_made_spread: Any = intrinsic(_spread)
spread: Callable[[int], int] = _made_spread
# lowest_bit(bits): number of the lowest bit that is set, 64 for none.
_made_lowest: Any = intrinsic(_lowest)
lowest_bit: Callable[[int], int] = _made_lowest
_made: Any = intrinsic(_sum)
# add_rows(totals, table, width, rows, count): ``LANES`` doubles at ``totals`` become the sum over the first ``LANES`` floats of
# rows of the table, whose rows are ``width`` floats long and whose numbers are the ``count`` int32 at ``rows``.
add_rows: Callable[[int, int, int, int, int], None] = _made

_TYPES = {np.dtype(t) for t in (np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64)}


def room(size: int) -> Array:
    """``size`` bytes, whatever they hold, that begin with a cache line."""
    block = np.empty(size + CACHE_LINE, dtype=np.uint8)
    start = -block.ctypes.data % CACHE_LINE
    return block[start : start + size]


def _aligned(table: Array) -> Array:
    """A copy that begins with a cache line."""
    copy: Array = room(table.nbytes).view(table.dtype).reshape(table.shape)
    copy[...] = table
    return copy


class Book:
    """Fields and the tables they lead to."""

    def __init__(self, size: int) -> None:
        self._fields = np.zeros(size, dtype=np.int64)
        self._tables: dict[int, Array] = {}

    @property
    def address(self) -> int:
        """Address of the fields; valid as long as the book."""
        return int(self._fields.ctypes.data)

    def number(self, field: int, value: int) -> None:
        """Set a field to a number."""
        self._fields[field] = value

    def table(self, field: int, table: Array) -> None:
        """Set a field to a copy of a table."""
        if table.dtype not in _TYPES:
            raise TypeError(f"no such table: {table.dtype}")
        self.keep(field, _aligned(table))

    def keep(self, field: int, table: Array) -> None:
        """Set a field to a table as it lies in memory, in one piece and from a cache line on."""
        self._tables[field] = table
        self._fields[field] = table.ctypes.data

    def column(self, field: int, number: int, values: Array) -> None:
        """Set a column of the table of characters to ``values`` (int32) of the code points below ``DIRECT``.

        One row holds what is looked up of a character, so that it takes one step to distant memory rather than several.
        """
        if field not in self._tables:
            self.keep(field, _aligned(np.full((DIRECT, CHARACTER), -1, dtype=np.int32)))
        self._tables[field][:, number] = values

    def content(self) -> tuple[list[int], dict[int, Array]]:
        """The fields, 0 for those that lead to a table, and the tables by their fields."""
        numbers = self._fields.copy()
        numbers[list(self._tables)] = 0
        return numbers.tolist(), dict(self._tables)

    def size(self) -> int:
        """Bytes of all tables."""
        return sum(table.nbytes for table in self._tables.values())
