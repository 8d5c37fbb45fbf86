"""A process that lacks a key of stored payloads leaves their runs to others, and steps back where it is in their way.

What it claims and cannot open, nobody else can have meanwhile. So after some such rows in a row it claims nothing for a
while, longer each time. A row whose key nobody has any more costs nobody that: others, which can be opened, come
between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flowlang.clock import monotonic_ms
from flowlang.store.codec import MissingKeyError

log = logging.getLogger(__name__)

#: So many rows in a row that cannot be opened make a process step back.
STREAK = 3
#: For how long: at first, and at most, milliseconds.
FIRST_MS, LONGEST_MS = 500.0, 10_000.0
#: A key that is missing is told of once in so long, milliseconds.
TOLD_MS = 60_000.0


class MissingKeys:
    """What a process cannot open. Any thread may call.

    Args:
        now_ms: A clock that never goes back.
    """

    def __init__(self, now_ms: Callable[[], float] = monotonic_ms) -> None:
        self._now_ms = now_ms
        self._streak = 0
        self._back_until_ms = 0.0
        self._pause_ms = FIRST_MS
        self._told_ms: dict[int, float] = {}  #: by key, from when on it may be told of again

    def opened(self) -> None:
        """A row was opened."""
        if self._streak:
            self._streak, self._pause_ms = 0, FIRST_MS

    def missed(self, run: str, error: MissingKeyError) -> None:
        """A row of a run was not, for want of a key."""
        now_ms = self._now_ms()
        self._streak += 1
        if self._streak >= STREAK and now_ms >= self._back_until_ms:
            self._back_until_ms = now_ms + self._pause_ms
            self._pause_ms = min(self._pause_ms * 2, LONGEST_MS)
        if now_ms >= self._told_ms.get(error.key, 0.0):
            self._told_ms[error.key] = now_ms + TOLD_MS
            log.warning("runs such as %s are left to processes that have their key: %s", run, error)

    def steps_back(self) -> bool:
        """Whether nothing should be claimed now."""
        return self._streak >= STREAK and self._now_ms() < self._back_until_ms
