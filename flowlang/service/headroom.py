"""Room for work that has begun: events are refused before the server's memory is full, commits are not.

A server that is full refuses every call that may grow, whole: commits, renewals and sweeps too, so that nothing ends
and nothing is freed. So whoever sends events is turned away at a high-water mark below that.

The mark is held here and not by the store's function, which would have to ask the server for its memory at each accept:
0.1 ms, as long as an accept takes. A figure at most a second old, plus what this process has sent since, is exact
enough: what others send within that second is what the headroom is for, next to the commits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from flowlang.clock import monotonic_ms
from flowlang.engine.ops import Accept
from flowlang.engine.ports import Memory
from flowlang.errors import StoreFullError

#: Events are refused when this share of the server's memory is used, percent.
HIGH_WATER_PERCENT: Final = 90
#: A figure of the server's memory is used for so long, milliseconds.
FRESH_MS: Final = 1_000
#: What a row of an event and one of a run take besides their payloads, bytes; measured.
ROW_BYTES: Final = 1_500


class Headroom:
    """Refuses events while the server's memory is nearly full. Thread-safe.

    Args:
        read: Asks the server for its memory.
        now_ms: A clock that never goes back.
    """

    def __init__(self, read: Callable[[], Memory], *, now_ms: Callable[[], float] = monotonic_ms) -> None:
        self._read = read
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._memory = Memory()
        self._read_ms = float("-inf")
        self._sent = 0

    def take(self, size: int) -> None:
        """Count bytes that are about to be stored.

        Args:
            size: About how many.

        Raises:
            StoreFullError: when there is no room for them; nothing is counted.
            StoreUnavailableError: when the store does not answer.
        """
        with self._lock:
            if self._now_ms() - self._read_ms >= FRESH_MS:
                self._memory = self._read()
                self._read_ms = self._now_ms()
                self._sent = 0
            used, limit = self._memory.used + self._sent + size, self._memory.limit
            if limit and used * 100 > limit * HIGH_WATER_PERCENT:
                raise StoreFullError(
                    f"the store's memory is nearly full: events are refused from {HIGH_WATER_PERCENT} % of its "
                    f"{limit // 1_000_000} MB on. Give the server more, or keep less"
                )
            self._sent += size


def size_of(accepts: Iterable[Accept]) -> int:
    """About how many bytes of the server's memory accepts take."""
    size = 0
    for accept in accepts:
        size += ROW_BYTES + len(accept.event.body) + len(accept.event.reasons)
        for run in accept.runs:
            size += ROW_BYTES + len(run.meta) + len(run.state) + sum(map(len, run.records.values()))
    return size
