from __future__ import annotations

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.durations import DurationError, format_duration, milliseconds, parse_duration, parse_size
from flowlang.errors import FlowError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", timedelta()),
        ("250ms", timedelta(milliseconds=250)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("1w2d3h4m5s6ms", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5, milliseconds=6)),
        ("168h", timedelta(days=7)),
        ("0.001s", timedelta(milliseconds=1)),
    ],
)
def test_durations_are_numbers_with_units(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "`` is no duration", "a number with a unit `ms s m h d w`, such as `1h30m`"),
        ("30", "`30` has no unit", "write `30s` for seconds"),
        ("1h30", "`1h30` has no unit after `30`", "write `1h30s`"),
        ("5 min", "`5 min` has no unit after `5`", "write `5m`"),
        ("2days", "`days` is no unit of time", "write `2d`"),
        ("1M", "`M` is no unit of time", "write `1m`"),
        ("1y", "`y` is no unit of time", "a number with a unit `ms s m h d w`, such as `1h30m`"),
        ("-5s", "`-5s` is no duration", "write `5s`"),
        ("soon", "`soon` is no duration", "a number with a unit `ms s m h d w`, such as `1h30m`"),
        ("30m1h", "in `30m1h` the units are not in order: each at most once, from large to small", "such as `1h30m`"),
        ("1h1h", "in `1h1h` the units are not in order: each at most once, from large to small", "such as `1h30m`"),
        ("0.5ms", "`0.5ms` is finer than a millisecond", "`1ms` is the smallest step"),
        ("36501d", "`36501d` is longer than 36500 days", "at most `36500d`"),
        ("٣s", "`٣s` is no duration", "a number with a unit `ms s m h d w`, such as `1h30m`"),
    ],
)
def test_anything_else_is_refused_and_says_what_would_be_right(text: str, message: str, hint: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert isinstance(caught.value, FlowError)


@given(st.integers(0, 36_500 * 86_400_000))
def test_what_is_written_is_read_back(count: int) -> None:
    duration = timedelta(milliseconds=count)
    assert parse_duration(format_duration(duration)) == duration
    assert milliseconds(duration) == count


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_our_own_error(text: str) -> None:
    with contextlib.suppress(DurationError):
        assert parse_duration(text) >= timedelta()


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(days=10), "10d"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(seconds=61.5), "1m1s500ms"),
    ],
)
def test_a_duration_is_written_with_the_largest_units_first(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


def test_a_negative_duration_cannot_be_written() -> None:
    with pytest.raises(DurationError, match="negative"):
        format_duration(timedelta(seconds=-1))


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("512KiB", 524_288), ("1MiB", 1_048_576), ("1.5KiB", 1536), ("2GiB", 2_147_483_648)]
)
def test_sizes_have_binary_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("512", "a number with a unit `KiB MiB GiB B`, such as `512KiB`"),
        ("512KB", "write `512KiB`"),
        ("1 mb", "write `1MiB`"),
        ("large", "a number with a unit `KiB MiB GiB B`, such as `512KiB`"),
        ("0.0001KiB", None),
    ],
)
def test_other_sizes_are_refused(text: str, hint: str | None) -> None:
    with pytest.raises(DurationError) as caught:
        parse_size(text)
    assert caught.value.hint == hint
