"""Time and chance as arguments: the only module that reads a clock or draws random numbers.

Decisions about runs use the *store's* time (`Reply.now_ms`); a `Clock` here only measures how long something took in
this process, and drives the memory store, whose time a test moves by hand.
"""

from __future__ import annotations

import datetime as dt
import random
import secrets
import time
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Milliseconds since the epoch."""

    def now_ms(self) -> int:
        """The time, in whole milliseconds."""


class Rng(Protocol):
    """A source of random numbers."""

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""


class SystemClock:
    """This machine's clock."""

    def now_ms(self) -> int:
        """The time, in whole milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until it is moved: virtual time for tests and simulations.

    Args:
        now_ms: Where it begins, in milliseconds since the epoch.
    """

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """The time it was last set to."""
        return self._now_ms

    def advance(self, by_ms: int) -> None:
        """Move forward.

        Args:
            by_ms: How far, in milliseconds, not negative.
        """
        if by_ms < 0:
            raise ValueError(f"time only goes forward, not by {by_ms} ms")
        self._now_ms += by_ms


def monotonic_ms() -> float:
    """Milliseconds of a clock that never goes back, for measuring spans inside a process."""
    return time.monotonic_ns() / 1_000_000


def process_ms() -> float:
    """Milliseconds that this process has computed, over all its threads."""
    return time.process_time_ns() / 1_000_000


def system_rng() -> Rng:
    """A well-seeded source for jitter."""
    return random.Random(secrets.randbits(64))  # noqa: S311 - jitter is no secret


def seeded_rng(seed: int) -> Rng:
    """A repeatable source, for tests and simulations."""
    return random.Random(seed)  # noqa: S311 - the point is to repeat


def random_token(size: int = 16) -> str:
    """Random text for ids and incarnations.

    Args:
        size: Bytes of randomness.

    Returns:
        Lower-case hex, two characters a byte.
    """
    return secrets.token_hex(size)


def random_bytes(size: int) -> bytes:
    """So many bytes of chance that nobody can guess: for keys and nonces."""
    return secrets.token_bytes(size)


@lru_cache(maxsize=4096)  # the same few moments are written again with each expression that a run evaluates
def rfc3339(at_ms: int) -> str:
    """Write a moment as people and JSON do: `2026-01-01T00:00:00.000Z`.

    Args:
        at_ms: Milliseconds since the epoch.
    """
    moment = dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)
    return f"{moment.isoformat()[:19]}.{at_ms % 1000:03d}Z"
