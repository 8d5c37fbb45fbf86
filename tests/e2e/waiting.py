"""Waiting for something to become true, without a time at which it must."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

#: Patience with a busy machine, in seconds; nothing is asserted about how long something took.
PATIENCE_S = 60.0

T = TypeVar("T")


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
    deadline = time.monotonic() + patience_s
    found = condition()
    while not found:
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {patience_s:g} s in vain for {what}; last seen: {found!r}")
        pause.wait(every_s)
        found = condition()
    return found
