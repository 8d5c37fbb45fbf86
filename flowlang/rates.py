"""Rates such as `100/s`: so many at once, and as many again over each period."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from flowlang.durations import DurationError, parse_duration

_TEXT: Final = re.compile(r"([1-9][0-9]{0,8})/([0-9.]*)([a-z]+)")


class RateError(DurationError):
    """A text is no rate."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A bound on how often something happens: never more than `limit` and, over a time, `limit` for each period.

    Args:
        limit: So many at once.
        period_us: In which as many may follow, microseconds.
    """

    limit: int
    period_us: int

    @property
    def step_us(self) -> int:
        """Between two that follow one another evenly; rounded up, so that the bound is kept."""
        return -(-self.period_us // self.limit)


@lru_cache(maxsize=1024)  # a key's rate is read at each of its requests
def parse_rate(text: str) -> Rate:
    """Read a rate: `100/s`, `1000/m`, `5/10s`.

    Raises:
        RateError: saying what would be right.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise RateError(f"{text[:60]!r} is no rate", "write such as `100/s` or `1000/m`")
    try:
        period = parse_duration(f"{found[2] or '1'}{found[3]}")
    except DurationError as error:
        raise RateError(f"{text[:60]!r} is no rate: {error.message}", error.hint) from None
    rate = Rate(int(found[1]), round(period.total_seconds() * 1_000_000))
    if rate.period_us < rate.limit:
        raise RateError(f"{text[:60]!r} is more than one a microsecond", "write such as `100/s`")
    return rate
