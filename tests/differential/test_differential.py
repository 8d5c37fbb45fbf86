"""A small part of `python -m tests.differential`, with every run of the tests."""

from __future__ import annotations

import pytest

from tests.differential.compare import COMPARED, EQUAL, ERRORS, compare
from tests.differential.generator import generate
from tests.differential.reference import installed
from tests.differential.tiers import TYPED
from tests.differential.workers import run

#: Some seconds of one core.
COUNT = 1_500


@pytest.mark.skipif(not installed(), reason="cel_expr_python is not installed: there is no wheel for this platform")
def test_generated_expressions_mean_what_they_mean_to_googles_implementation() -> None:
    tally = run(1, COUNT)
    assert tally.counts[COMPARED] == COUNT
    assert not tally.findings, "\n".join(map(str, tally.findings[:5]))
    assert tally.counts[EQUAL] > COUNT // 2
    assert tally.counts[ERRORS] < COUNT // 2


def test_all_tiers_say_the_same_and_nothing_but_our_errors_escapes() -> None:
    tally = compare(map(generate, range(1_000_000, 1_000_400)), reference=None)
    assert not tally.findings, "\n".join(map(str, tally.findings[:5]))
    assert tally.counts[TYPED] > 200


def test_a_seed_gives_the_same_case_each_time() -> None:
    # Written out: types from schemas are equal to nothing but themselves, and data may have NaN.
    assert [repr(generate(seed)) for seed in range(50)] == [repr(generate(seed)) for seed in range(50)]
