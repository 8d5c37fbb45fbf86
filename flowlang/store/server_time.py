"""The server's time between two of its replies, each of which says it: asking for it costs as much as a small flush."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowlang.clock import monotonic_ms

#: A reply tells the time for so long, milliseconds: clocks of machines do not part by one in that.
FRESH_MS: Final = 1_000


class ServerTime:
    """What the server's clock shows, as far as is known. Thread-safe.

    It is behind by what the last reply took to come, and never ahead.

    Args:
        now_ms: A clock that never goes back.
    """

    def __init__(self, now_ms: Callable[[], float] = monotonic_ms) -> None:
        self._now_ms = now_ms
        self._heard = (0, float("-inf"))  #: the server's time, and ours when it came; replaced as one
        self._flushes: dict[str, int] = {}  #: worker → the last of its flushes that was answered or given up

    def heard(self, at_ms: int, worker: str, seq: int) -> None:
        """Take the time that a reply says.

        Args:
            at_ms: The server's.
            worker: Whose flush is answered.
            seq: The flush's number; one that is sent again may get its first answer, which is old.
        """
        if self._flushes.get(worker) != seq:
            self._heard = (at_ms, self._now_ms())
        self._flushes[worker] = seq

    def unanswered(self, worker: str, seq: int) -> None:
        """Note that a flush got no answer, and may be sent again."""
        self._flushes[worker] = seq

    def now_ms(self) -> int | None:
        """The time; None when the last reply is too long ago."""
        at_ms, came_ms = self._heard
        passed_ms = self._now_ms() - came_ms
        return at_ms + int(passed_ms) if passed_ms <= FRESH_MS else None
