"""Cron without a clock: which ticks of a schedule are due, when each starts its run, and when the next one will be.

Owns the rules of daylight saving: a time that does not exist fires at the next valid one, a doubled time fires once;
schedules of every hour (`*/30 * * * *`) follow the elapsed time through both. The last tick that was fired is a row in
the store, and firing is an `Accept` with `tick`: this module never decides twice by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from flowlang.clock import rfc3339
from flowlang.errors import FlowError
from flowlang.ids import spread

#: Ticks of one schedule that are given at a time when every missed one counts; the rest follow at the next look.
MAX_TICKS: Final = 100
#: A tick that is later than this was missed. Short enough that nobody is surprised, long enough for a restart.
PUNCTUAL_MS: Final = 60_000

#: How far beyond a doubled hour the walk backwards begins: no zone has ever shifted by more.
_FOLD: Final = timedelta(hours=3)

Missed = Literal["last", "skip", "all"]


class ScheduleError(FlowError):
    """A schedule or time zone that cannot be used."""


class Tick(msgspec.Struct, frozen=True):
    """One moment of a schedule."""

    scheduled_ms: int
    previous_ms: int  #: the tick before by the schedule, also at the first one


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a trigger fires; all times are milliseconds since the epoch.

    Each method raises `ScheduleError` when a cron text or the zone cannot be used.

    Attributes:
        crons: Five fields each, or six with seconds in front; a moment that several of them name is one tick.
        timezone: IANA name.
        jitter_ms: A tick's run starts up to so much later, and always before the next tick.
        missed: What becomes of ticks that were due while nobody looked: the last of them is fired, none, or all.
        name: With the tick, what the jitter follows from: the same for every scheduler.
    """

    crons: tuple[str, ...]
    timezone: str = "UTC"
    jitter_ms: int = 0
    missed: Missed = "last"
    name: str = ""

    def after_ms(self, moment_ms: int) -> int:
        """The first tick later than a moment."""
        return min(_next_ms(cron, self.timezone, moment_ms) for cron in self.crons)

    def until_ms(self, moment_ms: int) -> int | None:
        """The latest tick that is not later than a moment; None when there was none."""
        found = (_latest_ms(cron, self.timezone, moment_ms) for cron in self.crons)
        return max((at for at in found if at is not None), default=None)

    def start_ms(self, tick_ms: int) -> int:
        """When a tick starts its run: the same moment for whoever asks, and in the order of the ticks."""
        if not self.jitter_ms:
            return tick_ms
        most = min(self.jitter_ms, self.after_ms(tick_ms) - tick_ms - 1)
        return tick_ms + spread(f"{self.name}\n{tick_ms}", most)

    def wake_ms(self, now_ms: int) -> int:
        """When the next run starts, later than now."""
        latest = self.until_ms(now_ms)
        if latest is not None and (start := self.start_ms(latest)) > now_ms:
            return start
        return self.start_ms(self.after_ms(now_ms))

    def due(self, last_ms: int, now_ms: int) -> list[Tick]:
        """The ticks to fire now, oldest first.

        Args:
            last_ms: The last tick that was fired, or when the schedule was first deployed.
            now_ms: The store's time.

        Returns:
            Ticks later than `last_ms` whose start is not later than `now_ms`: of `missed: last` one at most, of `skip`
            those whose start is at most `PUNCTUAL_MS` ago, of `all` every one, at most `MAX_TICKS` at a time.
        """
        walk = self._from if self.missed == "all" else self._back_to
        ticks = list(walk(last_ms, now_ms))
        return [Tick(at, previous if (previous := self.until_ms(at - 1)) is not None else at) for at in ticks]

    def _from(self, last_ms: int, now_ms: int) -> Iterator[int]:
        at = last_ms
        for _ in range(MAX_TICKS):
            at = self.after_ms(at)
            if self.start_ms(at) > now_ms:
                return
            yield at

    def _back_to(self, last_ms: int, now_ms: int) -> Iterator[int]:
        found: list[int] = []
        at = self.until_ms(now_ms)
        while at is not None and at > last_ms:
            start = self.start_ms(at)
            if self.missed == "skip" and start < now_ms - PUNCTUAL_MS:
                break
            if start <= now_ms:
                found.append(at)
                if self.missed == "last":
                    break
            at = self.until_ms(at - 1)
        return reversed(found)


def tick_data(tick: Tick) -> dict[str, str]:
    """The data of a tick's `schedule/tick` event."""
    return {"scheduled_at": rfc3339(tick.scheduled_ms), "previous_at": rfc3339(tick.previous_ms)}


def _next_ms(cron: str, timezone: str, after_ms: int) -> int:
    for found in _walk(cron, _moment(after_ms, timezone), reverse=False):
        if (tick := _ms(found)) > after_ms:  # after a doubled hour the walk first repeats what has been
            return tick
    raise ScheduleError(f"the schedule {cron!r} never fires")


def _latest_ms(cron: str, timezone: str, until_ms: int) -> int | None:
    start = _moment(until_ms, timezone)
    # The walk goes by local time. In the second of two equal hours it must begin behind both, else it would step over
    # what fired in the first.
    ahead = _FOLD if start.fold else timedelta(seconds=1)
    start = (start.astimezone(UTC).replace(microsecond=0) + ahead).astimezone(start.tzinfo)
    for found in _walk(cron, start, reverse=True):
        if (tick := _ms(found)) <= until_ms:
            return tick
    return None


def _walk(cron: str, start: datetime, *, reverse: bool) -> CronSim:
    try:
        return CronSim(_plain(cron), start, reverse)
    except CronSimError as error:
        raise ScheduleError(
            f"the schedule {cron!r} is no cron expression: {error}; write minute hour day month weekday"
        ) from error


@lru_cache(maxsize=1024)
def _plain(cron: str) -> str:
    """The same schedule, written so that the library tells those of every hour from those that name hours.

    It goes by elapsed time when minute or hour begins with `*`, which would lose `*/20 2 * * *` on the day that has no
    two o'clock, and give it twice on the day that has two.
    """
    fields = cron.split()
    if len(fields) != 5:
        return cron
    minute, hour = fields[:2]
    if len(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)).hours) == 24:
        hour = "*"
    elif hour.startswith("*"):
        hour = f"0-23{hour[1:]}"
    if hour != "*" and minute.startswith("*"):
        minute = f"0-59{minute[1:]}"
    return " ".join([minute, hour, *fields[2:]])


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
