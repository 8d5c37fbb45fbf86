"""Bounds of rates: never more than `limit` and `limit` for each period, over all processes, and as much as that."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.clock import ManualClock
from flowlang.engine.ports import Spent
from flowlang.engine.reference.rates import spend
from flowlang.rates import Rate, parse_rate
from flowlang.service.rates import SLICE_MS, Budgets
from flowlang.store.memory import MemoryStore

EXAMPLES = int(os.environ.get("FLOWLANG_EXAMPLES", "150"))
RATES = ("1/s", "5/10s", "20/s", "100/s", "1000/s", "7000/3s", "600/m", "2/ms")


class Town:
    """Some processes on one store. Each has a clock that began at another moment."""

    def __init__(self, rate: Rate, processes: int) -> None:
        self.rate = rate
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.calls = 0
        self.taken: list[tuple[int, int]] = []  #: when, how many
        self.budgets = [Budgets(self._spend, now_ms=self._clock_of(number)) for number in range(processes)]

    def _clock_of(self, process: int) -> Callable[[], float]:
        return lambda: float(self.clock.now_ms() + process * 977)

    def _spend(self, name: str, **asked: int) -> Spent:
        self.calls += 1
        return self.store.spend(name, **asked)

    def send(self, process: int, count: int = 1) -> bool:
        """Whether a process lets so many through."""
        budgets = self.budgets[process]
        if not budgets.take("key", "shop", count) and budgets.ask("key", "shop", self.rate, count) is not None:
            return False
        self.taken.append((self.clock.now_ms(), count))
        return True


def exceeded(taken: Iterable[tuple[int, int]], rate: Rate) -> list[tuple[int, int, int]]:
    """Spans in which more was let through than the rate allows: from, until, how much."""
    at = {
        moment: sum(count for _, count in group) for moment, group in itertools.groupby(taken, key=lambda one: one[0])
    }
    found = []
    for first in at:
        total = 0
        for last, count in at.items():
            if last >= first:
                total += count
                allowed = rate.limit + rate.limit * (last - first) * 1_000 / rate.period_us
                if total > allowed:
                    found.append((first, last, total))
    return found


@settings(max_examples=EXAMPLES)
@given(
    st.sampled_from(RATES),
    st.integers(1, 4),
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 0, 1, 2, 10, 99, 100, 101, 500, 1_000, 7_000]),  # ms since the one before
            st.integers(0, 3),  # by which process
            st.sampled_from([1, 1, 1, 2, 7, 100]),  # how many at once
            st.sampled_from([1, 1, 5, 60]),  # how often
        ),
        max_size=60,
    ),
)
def test_never_more_is_let_through_than_the_limit_and_the_limit_for_each_period(
    text: str, processes: int, sent: list[tuple[int, int, int, int]]
) -> None:
    town = Town(parse_rate(text), processes)
    for pause_ms, process, count, times in sent:
        town.clock.advance(pause_ms)
        for _ in range(times):
            town.send(process % processes, count)
    assert exceeded(town.taken, town.rate) == []


def test_the_law_finds_a_bound_that_does_not_hold() -> None:
    rate = parse_rate("10/s")
    assert exceeded([(0, 10), (500, 5)], rate) == []
    assert exceeded([(0, 10), (500, 6)], rate) == [(0, 500, 16)]
    assert exceeded([(0, 11)], rate) == [(0, 0, 11)]


@pytest.mark.parametrize("text", RATES)
def test_who_sends_all_the_time_gets_nearly_all_of_the_rate(text: str) -> None:
    town = Town(parse_rate(text), 1)
    seconds = 4
    while town.send(0):  # the burst
        pass
    burst = len(town.taken)
    start_ms = town.clock.now_ms()
    for _ in range(seconds * 1_000):
        town.clock.advance(1)
        while town.send(0):
            pass
    allowed = town.rate.limit * seconds * 1_000_000 / town.rate.period_us
    assert burst >= 0.85 * town.rate.limit
    assert len(town.taken) - burst >= 0.9 * allowed - 1
    assert town.clock.now_ms() - start_ms == seconds * 1_000


def test_of_many_events_few_cost_a_call_of_the_store() -> None:
    town = Town(parse_rate("10000/s"), 1)
    for _ in range(2_000):  # 2 s of 1,000 a second
        town.clock.advance(1)
        assert town.send(0)
    assert town.calls <= 2_000 // SLICE_MS * 4 + 10


def test_a_quiet_sender_uses_up_what_it_sends_and_hardly_more() -> None:
    town = Town(parse_rate("100/s"), 4)
    for number in range(400):  # 10 a second, by four processes in turn: a tenth of the rate
        town.clock.advance(SLICE_MS)
        assert town.send(number % 4)


def test_a_low_rate_is_kept_to_the_letter() -> None:
    town = Town(parse_rate("5/10s"), 3)
    assert [town.send(number % 3) for number in range(6)] == [True] * 5 + [False]
    town.clock.advance(1_999)
    assert not town.send(0)
    town.clock.advance(1)
    assert town.send(1)


def test_a_refusal_says_when_as_much_will_be_granted_or_that_it_never_is() -> None:
    town = Town(parse_rate("5/10s"), 1)
    budgets, rate = town.budgets[0], town.rate
    assert budgets.ask("key", "shop", rate, 5) is None
    refusal = budgets.ask("key", "shop", rate, 2)
    assert refusal is not None
    assert refusal.wait_us == 4_000_000
    town.clock.advance(4_000)
    assert budgets.ask("key", "shop", rate, 2) is None
    never = budgets.ask("key", "shop", rate, 6)
    assert never is not None
    assert (never.wait_us, never.burst) == (None, 5)


def test_each_has_a_rate_of_its_own() -> None:
    budgets = Town(parse_rate("1/m"), 1).budgets[0]
    rate = parse_rate("1/m")
    for kind, name in (("key", "a"), ("key", "b"), ("ip", "a")):
        assert budgets.ask(kind, name, rate, 1) is None
        assert budgets.ask(kind, name, rate, 1) is not None


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**4), st.integers(1, 10**6), st.integers(1, 50), st.integers(0, 50)
)  # fmt: skip
def test_the_store_grants_as_many_as_there_is_room_for_or_none(
    used_up_us: int, now_us: int, step_us: int, cap_us: int, least: int, more: int
) -> None:
    want = least + more
    spent, after = spend(used_up_us, now_us, step_us=step_us, cap_us=cap_us, least=least, want=want)
    ahead_us = max(used_up_us - now_us, 0)
    if spent.granted:
        assert least <= spent.granted <= want
        assert after - now_us == ahead_us + spent.granted * step_us <= cap_us
        assert spent.granted == want or after - now_us + step_us > cap_us
    else:
        assert after == used_up_us
        again, _ = spend(used_up_us, now_us + spent.wait_us, step_us=step_us, cap_us=cap_us, least=least, want=want)
        assert again.granted >= least or least * step_us > cap_us
