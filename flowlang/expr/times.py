"""Instants and spans of time with nanoseconds, which Python's `datetime` does not have.

Owns their text forms (RFC 3339, Go's durations plus `d` and `w`), their ranges and the calendar in time zones.
Nothing here reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final, Self

from flowlang.expr.errors import BAD_ARGUMENT, OUT_OF_RANGE, EvaluationError

SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: From the beginning of Python's calendar to the epoch.
_EPOCH_SECONDS: Final = _EPOCH.toordinal() * 86_400
#: 0001-01-01T00:00:00Z and the last nanosecond of 9999, in nanoseconds since the epoch.
MIN_TIMESTAMP: Final = -62_135_596_800 * SECOND
MAX_TIMESTAMP: Final = 253_402_300_800 * SECOND - 1
#: About 10,000 years, the bound that the specification gives durations.
MAX_DURATION: Final = 315_576_000_000 * SECOND
MAX_DIFFERENCE: Final = 2**63 - 1

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DURATION_PART: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w)")
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": 86_400 * SECOND,
    "w": 604_800 * SECOND,
}
#: Characters of a duration; reading takes as long as there are parts.
_LONGEST_DURATION: Final = 200
_OFFSET: Final = re.compile(r"([+-]?)([0-9]{1,2}):([0-9]{2})")


class Time:
    """What instants and spans have in common: nanoseconds, compared within one class.

    Not a frozen dataclass, since making one of those takes several times as long.
    """

    __slots__ = ("ns",)

    ns: int

    def __eq__(self, other: object) -> bool:
        return self.ns == other.ns if isinstance(other, Time) and other.__class__ is self.__class__ else NotImplemented

    def __lt__(self, other: Self) -> bool:
        return self.ns < other.ns if other.__class__ is self.__class__ else NotImplemented

    def __le__(self, other: Self) -> bool:
        return self.ns <= other.ns if other.__class__ is self.__class__ else NotImplemented

    def __gt__(self, other: Self) -> bool:
        return self.ns > other.ns if other.__class__ is self.__class__ else NotImplemented

    def __ge__(self, other: Self) -> bool:
        return self.ns >= other.ns if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self) -> int:
        return hash(self.ns)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(ns={self.ns})"


class Duration(Time):
    """A span of time, exact to the nanosecond; immutable.

    Args:
        ns: Nanoseconds; negative for a span backwards.

    Raises:
        EvaluationError: More than about 10,000 years.
    """

    __slots__ = ()

    def __init__(self, ns: int) -> None:
        if not -MAX_DURATION <= ns <= MAX_DURATION:
            raise EvaluationError("the duration is longer than 315576000000 s (10,000 years)", OUT_OF_RANGE)
        self.ns = ns

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read a duration such as `1h30m`, `-1.5h`, `90s` or `2d`.

        Args:
            text: Numbers with units: `w d h m s ms us ns`, biggest first or not; `0` needs none.

        Returns:
            The duration.

        Raises:
            EvaluationError: The text is no duration, or too long.
        """
        if len(text) > _LONGEST_DURATION:
            raise EvaluationError(f"`{text[:40]}` is too long for a duration", OUT_OF_RANGE)
        body = text[1:] if text[:1] in {"-", "+"} else text
        total, position = 0, 0
        while position < len(body):
            part = _DURATION_PART.match(body, position)
            if part is None:
                break
            whole, _, fraction = part.group(1).partition(".")
            unit = _UNITS[part.group(2)]
            if len(whole) > 24:
                raise EvaluationError(f"`{text[:40]}` is too long for a duration", OUT_OF_RANGE)
            fraction = fraction[:24]
            total += int(whole or "0") * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
            position = part.end()
        if not body or (position < len(body) and body != "0"):
            raise EvaluationError(f"`{text[:40]}` is no duration; write one like 1h30m, 90s or 2d", BAD_ARGUMENT)
        return cls(-total if text.startswith("-") else total)

    def __str__(self) -> str:
        sign = "-" if self.ns < 0 else ""
        seconds, nanos = divmod(abs(self.ns), SECOND)
        return f"{sign}{seconds}{_fraction(nanos)}s"

    def total(self, unit_ns: int) -> int:
        """Count whole units, towards zero.

        Args:
            unit_ns: Length of the unit in nanoseconds.

        Returns:
            How many of them fit.
        """
        return self.ns // unit_ns if self.ns >= 0 else -(-self.ns // unit_ns)


class Timestamp(Time):
    """An instant, exact to the nanosecond; immutable.

    Args:
        ns: Nanoseconds since 1970-01-01T00:00:00Z.

    Raises:
        EvaluationError: Outside the years 0001 to 9999.
    """

    __slots__ = ()

    def __init__(self, ns: int) -> None:
        if not MIN_TIMESTAMP <= ns <= MAX_TIMESTAMP:
            raise EvaluationError("the timestamp is outside the years 0001 to 9999", OUT_OF_RANGE)
        self.ns = ns

    @classmethod
    def from_ms(cls, ms: int) -> Timestamp:
        """Make a timestamp from milliseconds since the epoch.

        Args:
            ms: Milliseconds since 1970-01-01T00:00:00Z.

        Returns:
            The timestamp.
        """
        return cls(ms * 1_000_000)

    @classmethod
    def parse(cls, text: str) -> Timestamp:
        """Read RFC 3339 text; digits beyond nanoseconds are cut.

        Args:
            text: Such as `2026-06-10T12:00:00.5+02:00`; an offset is needed.

        Returns:
            The timestamp.

        Raises:
            EvaluationError: The text is no timestamp.
        """
        found = _RFC3339.fullmatch(text)
        if found is None:
            hint = "write one like 2026-06-10T12:00:00Z"
            raise EvaluationError(f"`{text[:60]}` is no timestamp; {hint}", BAD_ARGUMENT)
        fraction, offset = found.groups()
        try:
            civil = datetime.fromisoformat(text[:19])
        except ValueError as error:
            raise EvaluationError(f"`{text[:60]}` is no timestamp: {error}", BAD_ARGUMENT) from None
        seconds = civil.toordinal() * 86_400 + civil.hour * 3_600 + civil.minute * 60 + civil.second - _EPOCH_SECONDS
        if offset not in {"Z", "z"}:
            seconds -= _offset_seconds(offset, text)
        return cls(seconds * SECOND + (int(fraction[:9].ljust(9, "0")) if fraction else 0))

    def __str__(self) -> str:
        civil, _ = self._civil("")
        nanos = _fraction(self.ns % SECOND)
        return f"{civil.year:04}-{civil.month:02}-{civil.day:02}T{civil:%H:%M:%S}{nanos}Z"

    def civil(self, zone: str) -> datetime:
        """Tell date and time of day in a zone, without the part below a second.

        Args:
            zone: IANA name or offset such as `+05:30`; empty for UTC.

        Returns:
            The local date and time; `year` tells its year, which may be one that `datetime` does not have.

        Raises:
            EvaluationError: There is no such zone.
        """
        return self._civil(zone)[0]

    def year(self, zone: str) -> int:
        """Tell the year in a zone.

        Args:
            zone: As for `civil`.

        Returns:
            The year, 0 to 10000: a zone moves the first and the last day of time out of the years that there are.

        Raises:
            EvaluationError: There is no such zone.
        """
        local, moved = self._civil(zone)
        return local.year + moved

    def _civil(self, zone: str) -> tuple[datetime, int]:
        """Give the local time, and by how many years it is to be moved."""
        instant = _EPOCH + timedelta(seconds=self.ns // SECOND)
        if zone in {"", "UTC"}:
            return instant, 0
        zone_info = _zone(zone)
        try:
            return instant.astimezone(zone_info), 0
        except OverflowError:
            # Every 400 years the calendar is the same, days of the week included.
            moved = -400 if instant.year == 1 else 400
            return instant.replace(year=instant.year - moved).astimezone(zone_info), moved


def difference(later: Timestamp, earlier: Timestamp) -> Duration:
    """Subtract two timestamps.

    Args:
        later: Minuend.
        earlier: Subtrahend.

    Returns:
        The span between them.

    Raises:
        EvaluationError: More than 292 years, which do not fit 64 bits of nanoseconds.
    """
    ns = later.ns - earlier.ns
    if not -MAX_DIFFERENCE - 1 <= ns <= MAX_DIFFERENCE:
        raise EvaluationError("the timestamps are more than 292 years apart", OUT_OF_RANGE)
    return Duration(ns)


def _fraction(nanos: int) -> str:
    """Write the part below a second with three, six or nine digits."""
    if nanos == 0:
        return ""
    digits = f"{nanos:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return "." + digits


def _offset_seconds(offset: str, text: str) -> int:
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        raise EvaluationError(f"`{text[:60]}` is no timestamp: its offset is too large", BAD_ARGUMENT)
    seconds = hours * 3_600 + minutes * 60
    return -seconds if offset[0] == "-" else seconds


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        minutes = int(offset.group(2)) * 60 + int(offset.group(3))
        if minutes < 24 * 60 and int(offset.group(3)) < 60:
            return timezone(timedelta(minutes=-minutes if offset.group(1) == "-" else minutes))
    elif (name.isascii() and "/" in name) or name.isalnum():
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - most expressions name no zone

        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    raise EvaluationError(f"`{name[:40]}` is no time zone; write one like Europe/Berlin or +01:00", BAD_ARGUMENT)
