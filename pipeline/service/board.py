"""Numbers that all workers share: counters and rate-limit buckets in one block of memory.

The block is anonymous shared memory made before the workers are forked. Counters lie in one row a worker, so that no two
processes write the same number; what is shown is their sum. Buckets are shared by all; a lost update between two processes
is at worst one request too many.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Hashable, Sequence

_BUCKETS = 4_096
_WORD = 8


class Board:
    """Counters named by ``names``, for ``workers`` rows, and the buckets. Values are floats."""

    def __init__(self, names: Sequence[Hashable], workers: int = 1) -> None:
        self._index = {name: i for i, name in enumerate(names)}
        self._workers = workers
        self._row = 0
        counters = len(self._index) * workers
        self._memory = memoryview(mmap.mmap(-1, (counters + 2 * _BUCKETS) * _WORD)).cast("d")
        self._buckets = self._memory[counters:]
        self.worker(0)

    def worker(self, number: int) -> None:
        """Count for worker ``number`` from now on."""
        width = len(self._index)
        self._row = number
        self._own = self._memory[number * width : (number + 1) * width]

    def add(self, name: Hashable, amount: float = 1.0) -> None:
        """Raise a counter."""
        self._own[self._index[name]] += amount

    def put(self, name: Hashable, value: float) -> None:
        """Set this worker's share of a counter that may fall as well."""
        self._own[self._index[name]] = value

    def total(self, name: Hashable) -> float:
        """A counter, summed over the workers."""
        width = len(self._index)
        at = self._index[name]
        return sum(self._memory[row * width + at] for row in range(self._workers))

    def take(self, key: str, rate: float, now: float) -> float:
        """Take one token of the bucket of ``key``, filled at ``rate`` a second and holding at most one second's worth.

        Returns 0 if there was one, else the seconds until there is.
        """
        at = 2 * (zlib.crc32(key.encode()) % _BUCKETS)
        size = max(1.0, rate)
        filled, stamp = self._buckets[at], self._buckets[at + 1]
        level = size if stamp == 0 else min(size, filled + (now - stamp) * rate)
        if level < 1:
            self._buckets[at], self._buckets[at + 1] = level, now
            return (1 - level) / rate
        self._buckets[at], self._buckets[at + 1] = level - 1, now
        return 0.0
