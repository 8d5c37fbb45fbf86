"""Cron on paper: both changes of the clock in several zones, missed and jittered ticks, and what is no schedule."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.clock import rfc3339
from flowlang.engine.schedule import MAX_TICKS, PUNCTUAL_MS, Missed, Schedule, ScheduleError, Tick, tick_data

VIENNA = "Europe/Vienna"
MINUTE = 60_000
HOUR = 60 * MINUTE


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def ticks_between(schedule: str, timezone: str, start: str, end: str) -> list[str]:
    return [rfc3339(at) for at in walked(Schedule((schedule,), timezone), ms(start), ms(end))]


def walked(schedule: Schedule, after: int, until: int) -> list[int]:
    found = []
    at = schedule.after_ms(after)
    while at <= until:
        found.append(at)
        at = schedule.after_ms(at)
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
        ("minutes of an hour that does not exist", "*/20 2 * * *", "2026-03-28T12:00Z", "2026-03-29T12:00Z", ["2026-03-29T01:00:00.000Z"]),
        ("minutes of an hour that is doubled", "*/20 2 * * *", "2026-10-24T12:00Z", "2026-10-25T12:00Z", ["2026-10-25T00:00:00.000Z", "2026-10-25T00:20:00.000Z", "2026-10-25T00:40:00.000Z"]),
        ("every two hours over the gap", "0 */2 * * *", "2026-03-28T22:30Z", "2026-03-29T03:00Z", ["2026-03-28T23:00:00.000Z", "2026-03-29T01:00:00.000Z", "2026-03-29T02:00:00.000Z"]),
        ("every two hours over the doubled one", "0 */2 * * *", "2026-10-24T21:30Z", "2026-10-25T04:00Z", ["2026-10-24T22:00:00.000Z", "2026-10-25T00:00:00.000Z", "2026-10-25T03:00:00.000Z"]),
        ("all hours by another name are all hours", "30 0-23 * * *", "2026-10-24T23:45Z", "2026-10-25T02:15Z", ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"]),
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
    due = Schedule(("30 2 * * *",), VIENNA).due(ms(last), ms(now))
    assert [rfc3339(tick.scheduled_ms) for tick in due] == expected, why


def test_a_tick_knows_the_one_before_it_also_at_the_first() -> None:
    (tick,) = Schedule(("30 2 * * *",), VIENNA).due(ms("2026-03-29T00:45Z"), ms("2026-03-29T01:00Z"))
    assert tick_data(tick) == {"scheduled_at": "2026-03-29T01:00:00.000Z", "previous_at": "2026-03-28T01:30:00.000Z"}


START = ms("2026-01-01T00:00Z")


@pytest.mark.parametrize(
    ("missed", "down_for", "fired"),
    [
        ("last", 0, []),
        ("last", HOUR, [1]),
        ("last", 3 * HOUR + 59 * MINUTE, [3]),
        ("skip", HOUR, [1]),
        ("skip", HOUR + PUNCTUAL_MS, [1]),
        ("skip", HOUR + PUNCTUAL_MS + 1, []),
        ("skip", 3 * HOUR, [3]),
        ("skip", 3 * HOUR + 59 * MINUTE, []),
        ("all", HOUR - 1, []),
        ("all", 3 * HOUR + 59 * MINUTE, [1, 2, 3]),
    ],
)
def test_what_becomes_of_ticks_that_nobody_fired(missed: Missed, down_for: int, fired: list[int]) -> None:
    due = Schedule(("0 * * * *",), missed=missed).due(START, START + down_for)
    assert due == [Tick(START + n * HOUR, START + (n - 1) * HOUR) for n in fired]


def test_all_missed_ticks_come_in_bounded_portions() -> None:
    schedule = Schedule(("* * * * *",), missed="all")
    last, portions = START, []
    while portion := schedule.due(last, START + 250 * MINUTE):
        portions.append(len(portion))
        last = portion[-1].scheduled_ms
    assert portions == [MAX_TICKS, MAX_TICKS, 50]


def test_a_moment_that_two_crons_of_a_trigger_name_is_one_tick_and_the_one_before_is_of_either() -> None:
    schedule = Schedule(("0 9 * * *", "0 */3 * * *"), missed="all")
    due = schedule.due(START + 6 * HOUR, START + 12 * HOUR)
    assert due == [Tick(START + 9 * HOUR, START + 6 * HOUR), Tick(START + 12 * HOUR, START + 9 * HOUR)]
    assert Schedule(("0 9 * * *", "0 8 * * *")).due(START, START + 9 * HOUR) == [
        Tick(START + 9 * HOUR, START + 8 * HOUR)
    ]


def test_jitter_starts_each_tick_later_by_its_own_amount_which_all_schedulers_agree_on() -> None:
    one, same, other = (Schedule(("0 * * * *",), jitter_ms=5 * MINUTE, name=name) for name in ("a", "a", "b"))
    ticks = [START + n * HOUR for n in range(1, 400)]
    late = [one.start_ms(tick) - tick for tick in ticks]
    assert late == [same.start_ms(tick) - tick for tick in ticks]
    assert late != [other.start_ms(tick) - tick for tick in ticks]
    assert 0 <= min(late) < 10_000 < 290_000 < max(late) <= 5 * MINUTE
    (tick,) = one.due(START, one.start_ms(ticks[0]))
    assert one.due(START, one.start_ms(ticks[0]) - 1) == []
    assert tick == Tick(ticks[0], START)
    assert one.wake_ms(ticks[0]) == one.start_ms(ticks[0])
    assert one.wake_ms(one.start_ms(ticks[0])) == one.start_ms(ticks[1])


@pytest.mark.parametrize("missed", ["last", "skip", "all"])
def test_jitter_longer_than_the_pause_between_ticks_loses_none_and_keeps_their_order(missed: Missed) -> None:
    schedule = Schedule(("* * * * *",), jitter_ms=HOUR, missed=missed, name="p")
    fired: list[int] = []
    last = now = START
    while len(fired) < 200:
        now = schedule.wake_ms(now)
        for tick in schedule.due(last, now):
            fired.append(tick.scheduled_ms)
            last = tick.scheduled_ms
            assert now < schedule.after_ms(last)
    assert fired == [START + n * MINUTE for n in range(1, 201)]


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
        Schedule((schedule,), timezone).after_ms(0)


CRONS = ["30 2 * * *", "0 * * * *", "*/20 * * * *", "*/20 2 * * *", "0 */2 * * *", "0,30 1-3 * * *", "15 2 * * SUN", "59 23 L * *", "0 0 * * *"]  # fmt: skip
ZONES = ["UTC", VIENNA, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Havana", "Europe/Dublin"]


@given(
    st.lists(st.sampled_from(CRONS), min_size=1, max_size=2, unique=True).map(tuple),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
    st.integers(1, 72),
)
def test_looking_back_finds_the_same_last_tick_as_walking_forward(
    crons: tuple[str, ...], timezone: str, start: datetime, hours: int
) -> None:
    begin = round(start.timestamp() * 1000)
    end = round((start + timedelta(hours=hours)).timestamp() * 1000)
    schedule = Schedule(crons, timezone)
    forward = walked(schedule, begin, end)
    assert forward == sorted(set(forward))
    assert [tick.scheduled_ms for tick in schedule.due(begin, end)] == forward[-1:]


@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize("schedule", ["30 2 * * *", "0 0 * * *", "15 1 * * *", "*/30 2 * * *", "0 */2 * * *"])
def test_in_each_zone_a_day_has_the_ticks_of_any_other_day_and_none_at_a_time_that_was_doubled(
    timezone: str, schedule: str
) -> None:
    zone = ZoneInfo(timezone)
    found = [
        datetime.fromtimestamp(at / 1000, zone)
        for at in walked(Schedule((schedule,), timezone), ms("2025-12-31T12:00Z"), ms("2027-01-01T12:00Z"))
    ]
    assert len({(at.date(), at.time()) for at in found}) == len(found), "a doubled time fires once"
    a_day = Counter(at.date() for at in found if at.year == 2026)
    usual = max(a_day.values())
    # Times that do not exist meet at the next valid one, so that a day may have fewer ticks, but never none.
    short = [day for day, ticks in a_day.items() if ticks < usual]
    assert len(a_day) == 365
    assert len(short) <= 1
    assert all(a_day[day] >= usual - 1 for day in short)
