"""Waiting for something to become true, without a time at which it must."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

#: Patience with a busy machine, in seconds; nothing is asserted about how long something took.
PATIENCE_S = 60.0

#: Longest time between two looks that counts: a machine that stood still in between was not waited for, in seconds.
LONGEST_GAP_S = 2.0

T = TypeVar("T")


class Patience:
    """Time that was spent waiting, without the time in which the whole machine stood still.

    Args:
        seconds: How much there is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.spent_s = 0.0
        self._last = time.monotonic()

    def is_over(self) -> bool:
        """Whether it is used up; to be asked at each look."""
        now = time.monotonic()
        self.spent_s += min(now - self._last, LONGEST_GAP_S)
        self._last = now
        return self.spent_s >= self._seconds


def until(condition: Callable[[], T | None], what: str, *, patience_s: float = PATIENCE_S, every_s: float = 0.02) -> T:
    """Wait until a condition gives something true.

    Args:
        condition: Looked at again and again.
        what: What is waited for, in words; a callable's last answer is added when it does not come.
        patience_s: Seconds after which the test fails.
        every_s: Seconds between two looks.

    Returns:
        What the condition gave.
    """
    pause = threading.Event()
    patience = Patience(patience_s)
    found = condition()
    while not found:
        if patience.is_over():
            raise AssertionError(f"waited {patience_s:g} s in vain for {what}; last seen: {found!r}")
        pause.wait(every_s)
        found = condition()
    return found
