"""Rates as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.rates import Rate, RateError, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, 1_000_000)),
        ("1/m", Rate(1, 60_000_000)),
        ("5/10s", Rate(5, 10_000_000)),
        ("3/1.5h", Rate(3, 5_400_000_000)),
        ("1000/ms", Rate(1_000, 1_000)),
    ],
)
def test_a_rate_is_a_number_for_a_period(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "100", "0/s", "-1/s", "1/", "/s", "1/s/s", "1.5/s", "1e3/s", "١/s", "1 /s", "1/0s", "1/x", "1001/ms", "9" * 12 + "/s"],
)  # fmt: skip
def test_what_is_no_rate_says_what_would_be_right(text: str) -> None:
    with pytest.raises(RateError) as caught:
        parse_rate(text)
    assert caught.value.hint is not None or "duration" in caught.value.message


@given(st.integers(1, 10**6), st.integers(10**6, 10**10))
def test_steps_are_rounded_so_that_a_rate_is_never_exceeded(limit: int, period_us: int) -> None:
    rate = Rate(limit, period_us)
    assert rate.step_us * limit >= period_us
    assert (rate.step_us - 1) * limit < period_us
