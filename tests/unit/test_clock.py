"""Moments as text, and virtual time."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.clock import ManualClock, rfc3339, seeded_rng


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_767_225_600_001, "2026-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds(at_ms: int, text: str) -> None:
    assert rfc3339(at_ms) == text


@given(st.integers(-(10**12), 10**14))
def test_a_moment_is_read_back_as_it_was_written(at_ms: int) -> None:
    read = dt.datetime.fromisoformat(rfc3339(at_ms))
    assert (read - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1) == at_ms


def test_virtual_time_only_goes_forward() -> None:
    clock = ManualClock(5)
    clock.advance(10)
    assert clock.now_ms() == 15
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(-1)


def test_a_seeded_source_repeats() -> None:
    first, second = seeded_rng(7), seeded_rng(7)
    assert [first.random() for _ in range(5)] == [second.random() for _ in range(5)]
