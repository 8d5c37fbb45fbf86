from __future__ import annotations

import random

import pytest

from flowlang.bench.rates import percentile, rate


def test_a_rate_is_that_of_most_windows_and_not_of_the_one_that_was_disturbed() -> None:
    ends = [n / 100 for n in range(1_000)]
    disturbed = [end if n < 500 else end + 30 for n, end in enumerate(ends)]
    assert rate(ends) == pytest.approx(100)
    assert rate(disturbed) == pytest.approx(100)


def test_the_first_tenth_is_left_out() -> None:
    slow = [float(n) for n in range(100)]
    fast = [100 + n / 50 for n in range(900)]
    assert rate(slow + fast) == pytest.approx(50)


def test_the_order_of_ends_changes_nothing() -> None:
    ends = [n / 100 + n % 3 / 1000 for n in range(600)]
    shuffled = random.Random(1).sample(ends, len(ends))
    assert rate(shuffled) == rate(ends)


def test_ends_of_one_flush_make_no_window_infinitely_fast() -> None:
    ends = [float(n // 100) for n in range(1_000)]  # a hundred at a time, once a second
    assert 80 <= rate(ends) <= 120


@pytest.mark.parametrize("ends", [[], [1.0], [1.0, 2.0], [5.0] * 400])
def test_what_tells_no_rate_is_refused(ends: list[float]) -> None:
    with pytest.raises(ValueError, match="measure more"):
        rate(ends)


def test_percentiles_are_values_that_were_seen() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 3.0, 5.0, 5.0]
