"""Budgets of those who send, in slices: most requests are counted here, and the store is asked now and then.

The store keeps one number for each whose rate is bounded, so the bound holds over all processes. Asking it for every
event would double the calls of each. So a process asks for a slice, as much as was used lately, and spends it within
`SLICE_MS`; what is left then is lost. Since what is used in any time was granted in that time or at most `SLICE_MS`
before, and the store grants so much less at once, never more than `limit` and `limit` for each period is let through:
exactly, over all processes. Rates too low for slices are asked for one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from flowlang.clock import monotonic_ms
from flowlang.engine.ports import Spent
from flowlang.ids import keyed_hash
from flowlang.rates import Rate

#: How long a slice may be used, milliseconds.
SLICE_MS: Final = 100
#: So many are remembered; whoever comes after them asks the store once more.
MOST: Final = 10_000
#: A rate is sliced where the burst that this costs is at most this part of it.
_PART: Final = 10


class Spend(Protocol):
    """The store's `spend`."""

    def __call__(self, name: str, *, step_us: int, cap_us: int, least: int, want: int) -> Spent:
        """Grant some of a rate."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Too much was asked for.

    Args:
        wait_us: When as much will be granted, unless others are faster; None: never, it is more than the burst.
        burst: How much is granted at once at most.
    """

    wait_us: int | None
    burst: int


@dataclass(slots=True)
class _Slice:
    left: int
    until_ms: float
    used: int


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a rate is asked for."""

    step_us: int
    cap_us: int
    most: int  #: of a slice


class Budgets:
    """What may still be done of bounded rates. Thread-safe.

    Args:
        spend: Asks the store.
        salt: The store's secret: it does not hold the names, which may be addresses.
        now_ms: A clock that never goes back.
    """

    def __init__(self, spend: Spend, *, salt: bytes = b"", now_ms: Callable[[], float] = monotonic_ms) -> None:
        self._spend = spend
        self._salt = salt
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._slices: dict[tuple[str, str], _Slice] = {}

    def take(self, kind: str, name: str, count: int) -> bool:
        """Use what is left of a slice; False when the store has to be asked by `ask`."""
        with self._lock:
            return self._taken(self._slices.get((kind, name)), count)

    def ask(self, kind: str, name: str, rate: Rate, count: int, counted: int = 0) -> Refusal | None:
        """Ask the store for a slice, and use so many of it.

        Args:
            kind: Of what the rate is: `key`, `source`, `ip`.
            name: Whose.
            rate: The bound.
            count: How many.
            counted: So many of the same request were counted before.

        Returns:
            None, or why not.

        Raises:
            StoreUnavailableError: when the store does not answer.
        """
        terms = _terms(rate)
        burst = terms.cap_us // terms.step_us
        if count + counted > burst:
            return Refusal(None, burst)
        with self._lock:
            known = self._slices.get((kind, name))
            if self._taken(known, count):
                return None
            want = max(count, min(terms.most, self._demand(known)))
        began_ms = self._now_ms()
        hashed = keyed_hash("rate", kind, name, salt=self._salt)
        spent = self._spend(hashed, step_us=terms.step_us, cap_us=terms.cap_us, least=count, want=want)
        if not spent.granted:
            return Refusal(spent.wait_us, burst)
        with self._lock:
            self._keep((kind, name), _Slice(spent.granted - count, began_ms + SLICE_MS, count))
        return None

    def _taken(self, known: _Slice | None, count: int) -> bool:
        if known is None or known.left < count or self._now_ms() >= known.until_ms:
            return False
        known.left -= count
        known.used += count
        return True

    def _demand(self, known: _Slice | None) -> int:
        """How large a slice should be: as much as was used of the last one, or twice that when it was too small."""
        if known is None:
            return 0
        return known.used if self._now_ms() >= known.until_ms else 2 * known.used

    def _keep(self, key: tuple[str, str], new: _Slice) -> None:
        known = self._slices.pop(key, None)
        if known is not None and known.left and self._now_ms() < known.until_ms:  # of another thread
            new = _Slice(new.left + known.left, min(new.until_ms, known.until_ms), new.used + known.used)
        self._slices[key] = new  # the last one asked for stands last
        while len(self._slices) > MOST:
            del self._slices[next(iter(self._slices))]


def _terms(rate: Rate) -> _Terms:
    slice_us = SLICE_MS * 1_000
    whole_us = rate.limit * rate.step_us
    if whole_us < _PART * slice_us or 2 * rate.step_us > slice_us:
        return _Terms(rate.step_us, whole_us, 1)
    cap_us = whole_us - slice_us
    return _Terms(rate.step_us, cap_us, min(slice_us, cap_us // 2) // rate.step_us)
