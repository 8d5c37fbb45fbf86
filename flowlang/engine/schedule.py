"""Cron without a clock: which tick of a schedule is due, and when the next one will be.

Owns the rules of daylight saving: a time that does not exist fires at the next valid one, a doubled time fires once;
schedules that run by the minute or hour (`*/30 * * * *`) follow the elapsed time through both. The last tick that was
fired is a row in the store, and firing is an `Accept` with `tick`: this module never decides twice by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from flowlang.clock import rfc3339
from flowlang.errors import FlowError

#: Ticks of one schedule that are given at a time when every missed one counts; the rest follow at the next look.
MAX_TICKS = 100

#: How far beyond a doubled hour the walk backwards begins: no zone has ever shifted by more.
_FOLD = timedelta(hours=3)

Missed = Literal["last", "all"]


class ScheduleError(FlowError):
    """A schedule or time zone that cannot be used."""


class Tick(msgspec.Struct, frozen=True):
    """One moment of a schedule."""

    scheduled_ms: int
    previous_ms: int  #: the tick before by the schedule, also at the first one


def next_tick_ms(schedule: str, timezone: str, after_ms: int) -> int:
    """When a schedule fires next.

    Args:
        schedule: Five cron fields, or six with seconds in front.
        timezone: IANA name.
        after_ms: Milliseconds since the epoch; the tick is later than this.

    Returns:
        Milliseconds since the epoch.

    Raises:
        ScheduleError: when the schedule or zone cannot be used, or it never fires.
    """
    walk = _walk(schedule, _moment(after_ms, timezone), reverse=False)
    for found in walk:
        if (tick := _ms(found)) > after_ms:  # after a doubled hour the walk first repeats what has been
            return tick
    raise ScheduleError(f"the schedule {schedule!r} never fires")


def due_ticks(schedule: str, timezone: str, last_ms: int, now_ms: int, missed: Missed = "last") -> list[Tick]:
    """The ticks to fire now.

    Args:
        schedule: Five cron fields, or six with seconds in front.
        timezone: IANA name.
        last_ms: The last tick that was fired, or when the schedule was first deployed.
        now_ms: The store's time.
        missed: When several are due: only the last of them, or all, oldest first, at most `MAX_TICKS` at a time.

    Returns:
        Ticks later than `last_ms` and not later than `now_ms`.

    Raises:
        ScheduleError: when the schedule or zone cannot be used.
    """
    if missed == "last":
        latest = _latest_ms(schedule, timezone, now_ms)
        return [_tick(schedule, timezone, latest)] if latest is not None and latest > last_ms else []
    ticks: list[Tick] = []
    at = next_tick_ms(schedule, timezone, last_ms)
    while at <= now_ms and len(ticks) < MAX_TICKS:
        ticks.append(_tick(schedule, timezone, at))
        at = next_tick_ms(schedule, timezone, at)
    return ticks


def tick_data(tick: Tick) -> dict[str, str]:
    """The data of a tick's `schedule/tick` event."""
    return {"scheduled_at": rfc3339(tick.scheduled_ms), "previous_at": rfc3339(tick.previous_ms)}


def _tick(schedule: str, timezone: str, at_ms: int) -> Tick:
    previous = _latest_ms(schedule, timezone, at_ms - 1)
    return Tick(at_ms, at_ms if previous is None else previous)


def _latest_ms(schedule: str, timezone: str, until_ms: int) -> int | None:
    """The latest tick that is not later than a moment."""
    start = _moment(until_ms, timezone)
    # The walk goes by local time. In the second of two equal hours it must begin behind both, else it would step over
    # what fired in the first.
    ahead = _FOLD if start.fold else timedelta(seconds=1)
    start = (start.astimezone(UTC).replace(microsecond=0) + ahead).astimezone(start.tzinfo)
    for found in _walk(schedule, start, reverse=True):
        if (tick := _ms(found)) <= until_ms:
            return tick
    return None


def _walk(schedule: str, start: datetime, *, reverse: bool) -> CronSim:
    try:
        return CronSim(schedule, start, reverse)
    except CronSimError as error:
        raise ScheduleError(
            f"the schedule {schedule!r} is no cron expression: {error}; write minute hour day month weekday"
        ) from error


def _moment(at_ms: int, timezone: str) -> datetime:
    zone = _zone(timezone)
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at if zone is UTC else at.astimezone(zone)


@lru_cache(maxsize=256)
def _zone(timezone: str) -> tzinfo:
    if timezone == "UTC":
        return UTC
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"{timezone!r} is no time zone; write an IANA name such as Europe/Vienna") from error


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
