"""Cron on paper: both changes of the clock in Vienna, missed ticks, and what is no schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.clock import rfc3339
from flowlang.engine.schedule import (
    MAX_TICKS,
    ScheduleError,
    Tick,
    due_ticks,
    next_tick_ms,
    tick_data,
)

VIENNA = "Europe/Vienna"
HOUR = 3_600_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def ticks_between(schedule: str, timezone: str, start: str, end: str) -> list[str]:
    found = []
    at = next_tick_ms(schedule, timezone, ms(start))
    while at <= ms(end):
        found.append(rfc3339(at))
        at = next_tick_ms(schedule, timezone, at)
    return found


@pytest.mark.parametrize(
    ("why", "schedule", "start", "end", "expected"),
    [
        ("a time that does not exist fires at the next valid one", "30 2 * * *", "2026-03-28T12:00Z", "2026-03-30T12:00Z", ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]),
        ("the rest of the day is as ever", "30 3 * * *", "2026-03-28T12:00Z", "2026-03-30T12:00Z", ["2026-03-29T01:30:00.000Z", "2026-03-30T01:30:00.000Z"]),
        ("two that meet at the gap fire once", "0,30 2 * * *", "2026-03-28T12:00Z", "2026-03-29T12:00Z", ["2026-03-29T01:00:00.000Z"]),
        ("by the half hour it follows elapsed time", "*/30 * * * *", "2026-03-29T00:15Z", "2026-03-29T01:45Z", ["2026-03-29T00:30:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-29T01:30:00.000Z"]),
        ("a doubled time fires once", "30 2 * * *", "2026-10-24T12:00Z", "2026-10-26T12:00Z", ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]),
        ("by the half hour it fires in both hours", "*/30 * * * *", "2026-10-24T23:45Z", "2026-10-25T02:15Z", ["2026-10-25T00:00:00.000Z", "2026-10-25T00:30:00.000Z", "2026-10-25T01:00:00.000Z", "2026-10-25T01:30:00.000Z", "2026-10-25T02:00:00.000Z"]),
        ("looking from inside the second hour finds no third time", "30 2 * * *", "2026-10-25T01:10Z", "2026-10-26T12:00Z", ["2026-10-26T01:30:00.000Z"]),
        ("seconds in front", "15 0 12 * * *", "2026-10-24T00:00Z", "2026-10-25T12:00Z", ["2026-10-24T10:00:15.000Z", "2026-10-25T11:00:15.000Z"]),
    ],
)  # fmt: skip
def test_ticks_around_the_changes_of_the_clock_in_vienna(
    why: str, schedule: str, start: str, end: str, expected: list[str]
) -> None:
    assert ticks_between(schedule, VIENNA, start, end) == expected, why


@pytest.mark.parametrize(
    ("why", "last", "now", "expected"),
    [
        ("not yet", "2026-03-28T01:30Z", "2026-03-29T00:59:59Z", []),
        ("at the moment itself", "2026-03-28T01:30Z", "2026-03-29T01:00Z", ["2026-03-29T01:00:00.000Z"]),
        ("already fired", "2026-03-29T01:00Z", "2026-03-29T05:00Z", []),
        ("the day the hour is doubled, looked at in its second half", "2026-10-24T00:30Z", "2026-10-25T01:10Z", ["2026-10-25T00:30:00.000Z"]),
        ("it fired in the first half", "2026-10-25T00:30Z", "2026-10-25T01:40Z", []),
        ("of many missed ones the last", "2026-10-01T00:00Z", "2026-10-20T12:00Z", ["2026-10-20T00:30:00.000Z"]),
    ],
)  # fmt: skip
def test_a_tick_is_due_once_it_is_past_and_was_not_fired(why: str, last: str, now: str, expected: list[str]) -> None:
    due = due_ticks("30 2 * * *", VIENNA, ms(last), ms(now))
    assert [rfc3339(tick.scheduled_ms) for tick in due] == expected, why


def test_a_tick_knows_the_one_before_it_also_at_the_first() -> None:
    (tick,) = due_ticks("30 2 * * *", VIENNA, ms("2026-03-29T00:45Z"), ms("2026-03-29T01:00Z"))
    assert tick_data(tick) == {"scheduled_at": "2026-03-29T01:00:00.000Z", "previous_at": "2026-03-28T01:30:00.000Z"}


def test_all_missed_ticks_come_oldest_first_and_in_bounded_portions() -> None:
    start = ms("2026-01-01T00:00Z")
    three = due_ticks("0 * * * *", "UTC", start, start + 3 * HOUR, "all")
    assert three == [Tick(start + n * HOUR, start + (n - 1) * HOUR) for n in (1, 2, 3)]
    assert len(due_ticks("* * * * *", "UTC", start, start + 10_000 * HOUR, "all")) == MAX_TICKS


@pytest.mark.parametrize(
    ("schedule", "timezone", "said"),
    [
        ("every day", "UTC", "Wrong number of fields"),
        ("61 * * * *", "UTC", "Bad minute"),
        ("0 0 31 2 *", "UTC", "Bad day-of-month"),
        ("0 0 * 2 MON#6", "UTC", "Bad day-of-week"),
        ("0 0 * * *", "Europe/Wien", "Europe/Vienna"),
        ("0 0 * * *", "../etc/passwd", "is no time zone"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(schedule: str, timezone: str, said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        next_tick_ms(schedule, timezone, 0)


@given(
    st.sampled_from(["30 2 * * *", "0 * * * *", "*/20 * * * *", "0,30 1-3 * * *", "15 2 * * SUN", "59 23 L * *"]),
    st.sampled_from(["UTC", VIENNA, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
    st.integers(1, 72),
)
def test_looking_back_finds_the_same_last_tick_as_walking_forward(
    schedule: str, timezone: str, start: datetime, hours: int
) -> None:
    begin = round(start.timestamp() * 1000)
    end = round((start + timedelta(hours=hours)).timestamp() * 1000)
    walked = []
    at = next_tick_ms(schedule, timezone, begin)
    while at <= end:
        walked.append(at)
        at = next_tick_ms(schedule, timezone, at)
    assert walked == sorted(set(walked))
    assert [tick.scheduled_ms for tick in due_ticks(schedule, timezone, begin, end)] == walked[-1:]
