"""Parts of timestamps and durations, in any time zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from flowlang.expr.registry import declare
from flowlang.expr.times import SECOND, Duration, Timestamp

#: Name, what it gives, how it is read from a local date and time, and an example.
_PARTS: Final[tuple[tuple[str, str, Callable[[datetime], int], int], ...]] = (
    ("getMonth", "the month, from 0", lambda civil: civil.month - 1, 5),
    ("getDayOfYear", "the day of the year, from 0", lambda civil: civil.timetuple().tm_yday - 1, 160),
    ("getDayOfMonth", "the day of the month, from 0", lambda civil: civil.day - 1, 9),
    ("getDate", "the day of the month, from 1", lambda civil: civil.day, 10),
    ("getDayOfWeek", "the day of the week, from 0 for Sunday", lambda civil: civil.isoweekday() % 7, 3),
    ("getHours", "the hour", lambda civil: civil.hour, 12),
    ("getMinutes", "the minute", lambda civil: civil.minute, 30),
    ("getSeconds", "the second", lambda civil: civil.second, 15),
)


def _declare_part(name: str, what: str, read: Callable[[datetime], int], example: int) -> None:
    @declare(
        f"timestamp.{name}() -> int",
        doc=f"Gives {what}, in UTC or in a zone such as 'Europe/Berlin' or '+02:00'.",
        examples=(f"timestamp('2026-06-10T12:30:15Z').{name}() == {example}",),
    )
    def _part(value: Timestamp) -> int:
        return read(value.civil(""))

    @declare(f"timestamp.{name}(string) -> int", doc="", examples=())
    def _part_in_zone(value: Timestamp, zone: str) -> int:
        return read(value.civil(zone))


for _entry in _PARTS:
    _declare_part(*_entry)


@declare(
    "timestamp.getFullYear() -> int",
    doc="Gives the year, in UTC or in a zone such as 'Europe/Berlin' or '+02:00'.",
    examples=("timestamp('2026-06-10T12:30:15Z').getFullYear() == 2026",),
)
def _year(value: Timestamp) -> int:
    return value.year("")


@declare("timestamp.getFullYear(string) -> int", doc="", examples=())
def _year_in_zone(value: Timestamp, zone: str) -> int:
    return value.year(zone)


@declare(
    "timestamp.getMilliseconds() -> int",
    doc="Gives the milliseconds below the second.",
    examples=(
        "timestamp('2026-06-10T12:30:15.25Z').getMilliseconds() == 250",
        "duration('1.5s').getMilliseconds() == 500",
    ),
)
def _milliseconds(value: Timestamp) -> int:
    return (value.ns % SECOND) // 1_000_000


@declare("timestamp.getMilliseconds(string) -> int", doc="", examples=())
def _milliseconds_in_zone(value: Timestamp, zone: str) -> int:
    value.civil(zone)
    return (value.ns % SECOND) // 1_000_000


@declare("duration.getHours() -> int", doc="", examples=("duration('90m').getHours() == 1",))
def _hours(value: Duration) -> int:
    return value.total(3_600 * SECOND)


@declare("duration.getMinutes() -> int", doc="", examples=("duration('90m').getMinutes() == 90",))
def _minutes(value: Duration) -> int:
    return value.total(60 * SECOND)


@declare("duration.getSeconds() -> int", doc="", examples=("duration('90m').getSeconds() == 5400",))
def _seconds(value: Duration) -> int:
    return value.total(SECOND)


@declare("duration.getMilliseconds() -> int", doc="", examples=())
def _duration_milliseconds(value: Duration) -> int:
    below = value.total(1_000_000)
    return below % 1_000 if below >= 0 else -(-below % 1_000)
