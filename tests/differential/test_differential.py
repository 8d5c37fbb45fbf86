"""A small part of `python -m tests.differential`, with every run of the tests."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.differential.compare import COMPARED, EQUAL, ERRORS, evaluate, evaluate_generated, same_in_both_tiers
from tests.differential.generator import generate
from tests.differential.reference import installed
from tests.differential.workers import run

#: Some seconds of one core.
COUNT = 3_000


@pytest.mark.skipif(not installed(), reason="cel_expr_python is not installed: there is no wheel for this platform")
def test_generated_expressions_mean_what_they_mean_to_googles_implementation() -> None:
    tally = run(1, COUNT)
    assert tally.counts[COMPARED] == COUNT
    assert not tally.findings, "\n".join(map(str, tally.findings[:5]))
    assert tally.counts[EQUAL] > COUNT // 3
    assert tally.counts[ERRORS] < COUNT * 2 // 3


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**63))
def test_both_tiers_say_the_same_and_nothing_but_our_errors_escapes(seed: int) -> None:
    case = generate(seed)
    first, second = evaluate(case), evaluate_generated(case)
    assert first.escaped is None, str(first)
    assert same_in_both_tiers(first, second), f"{case}: {first} / {second}"


def test_a_seed_gives_the_same_case_each_time() -> None:
    assert [generate(seed) for seed in range(20)] == [generate(seed) for seed in range(20)]
