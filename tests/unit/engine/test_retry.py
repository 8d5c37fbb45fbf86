"""Policies: what they cover, whose they are, when they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.clock import seeded_rng
from flowlang.engine.retry import BUILT_IN, CLASSES, backoff_ms, covers, names, next_delay_ms
from flowlang.engine.state import ErrorInfo
from flowlang.plan import RetryRule


class Fixed:
    """Chance that is always the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


NAMES = [
    (("transient",), "transient", "x", True),
    (("resource",), "transient", "x", False),
    (("x",), "transient", "x", True),
    (("y", "x"), "transient", "x", True),
    (("stripe.*",), "permanent", "stripe.declined", True),
    (("stripe.*",), "permanent", "stripe.card.declined", True),
    (("stripe.*",), "permanent", "stripe", False),
    (("stripe.*",), "permanent", "stripes.x", False),
    (("stripe",), "permanent", "stripe.declined", False),
    (("all",), "bug", "", True),
    (("all",), "timeout", "timeout", True),
    ((), "bug", "x", False),
    (("timeout",), "timeout", "timeout", True),
    (("timeout",), "transient", "timeout", False),
    (("all",), "cancelled", "cancelled", False),
    (("cancelled",), "cancelled", "cancelled", False),
]


@pytest.mark.parametrize(("patterns", "error_class", "code", "wanted"), NAMES)
def test_classes_codes_and_prefixes_name_errors(
    patterns: tuple[str, ...], error_class: str, code: str, wanted: bool
) -> None:
    assert names(patterns, ErrorInfo(error_class, code)) is wanted


@pytest.mark.parametrize("error_class", sorted(CLASSES))
def test_a_policy_without_errors_covers_all_but_permanent_timeout_and_cancelled(error_class: str) -> None:
    assert covers(RetryRule(), ErrorInfo(error_class)) is (error_class in {"transient", "resource", "bug"})


BUILT_INS = [
    ("transient", 10, 1_000),
    ("resource", 12, 5_000),
    ("bug", 3, 1_000),
    ("permanent", 1, 0),
    ("timeout", 1, 0),
]


@pytest.mark.parametrize(("error_class", "attempts", "initial_ms"), BUILT_INS)
def test_the_built_in_policies_are_those_of_the_language(error_class: str, attempts: int, initial_ms: int) -> None:
    def delay(made: int) -> int | None:
        return next_delay_ms((), ErrorInfo(error_class), attempts=made, first_ms=0, now_ms=0, rng=Fixed(0.999999))

    assert [made for made in range(1, 20) if delay(made) is not None] == list(range(1, attempts))
    if attempts > 1:
        assert delay(1) == initial_ms
        assert all(rule.jitter == "equal" and rule.factor == 2 for rule in BUILT_IN)


def test_a_policy_without_attempts_and_for_has_the_built_in_number() -> None:
    for error_class, attempts in (("transient", 10), ("bug", 3), ("permanent", 1)):
        policies = ((RetryRule(errors=(error_class,)),),)
        made = [
            next_delay_ms(policies, ErrorInfo(error_class), attempts=n, first_ms=0, now_ms=0, rng=Fixed(0))
            for n in range(1, 20)
        ]
        assert sum(delay is not None for delay in made) == attempts - 1


def test_for_alone_bounds_no_attempts() -> None:
    policies = ((RetryRule(for_ms=10_000, factor=1.0, jitter="none", max_ms=1_000),),)
    error = ErrorInfo("transient")
    assert next_delay_ms(policies, error, attempts=500, first_ms=0, now_ms=9_000, rng=Fixed(0)) == 1_000
    assert next_delay_ms(policies, error, attempts=500, first_ms=0, now_ms=9_001, rng=Fixed(0)) is None


def test_a_rule_that_covers_but_is_used_up_is_not_followed_by_a_farther_one() -> None:
    policies = ((RetryRule(attempts=1),), (RetryRule(attempts=9),))
    assert next_delay_ms(policies, ErrorInfo("bug"), attempts=1, first_ms=0, now_ms=0, rng=Fixed(0)) is None


def test_once_is_never_repeated() -> None:
    policies = ((RetryRule(errors=("all",), attempts=9),),)
    error = ErrorInfo("transient")
    assert next_delay_ms(policies, error, attempts=1, first_ms=0, now_ms=0, rng=Fixed(0), effect="once") is None


JITTER = [
    ("none", 0.0, 8_000),
    ("none", 0.9, 8_000),
    ("equal", 0.0, 4_000),
    ("equal", 0.5, 6_000),
    ("full", 0.0, 0),
    ("full", 0.5, 4_000),
]


@pytest.mark.parametrize(("jitter", "chance", "wanted"), JITTER)
def test_jitter(jitter: str, chance: float, wanted: int) -> None:
    rule = RetryRule(initial_ms=1_000, factor=2.0, jitter=jitter)  # type: ignore[arg-type] # of a table
    assert backoff_ms(rule, 4, Fixed(chance)) == wanted


@given(
    st.integers(0, 10**9),
    st.floats(1, 1e6),
    st.integers(0, 10**9),
    st.integers(1, 10**5),
    st.sampled_from(["equal", "full", "none"]),
    st.integers(0, 2**32),
)
def test_a_delay_is_never_longer_than_max_and_never_negative(
    initial: int, factor: float, longest: int, attempts: int, jitter: str, seed: int
) -> None:
    rule = RetryRule(initial_ms=initial, factor=factor, max_ms=longest, jitter=jitter)  # type: ignore[arg-type] # drawn
    delay = backoff_ms(rule, attempts, seeded_rng(seed))
    assert 0 <= delay <= longest
    if jitter == "none":
        assert delay <= backoff_ms(rule, attempts + 1, seeded_rng(seed))
