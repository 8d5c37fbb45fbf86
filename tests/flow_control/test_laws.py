"""Laws of limiters under any traffic: never more than the limit, never faster than the rate, every batch closed once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.plan import Batch, Concurrency, Debounce, Idempotency, RateLimit, Throttle
from tests.flow_control.traffic import RUN_S, Sent, Traffic, limited, send

KEY = "event.data.key"
keys = st.sampled_from([None, KEY])
traffic = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.fixed_dictionaries(
            {"key": st.sampled_from(["x", "y"]), "id": st.sampled_from("abcdef"), "advance": st.integers(-60, 60)}
        ),
    ),
    max_size=12,
).map(lambda events: sorted(events, key=lambda event: event[0]))

rules = st.fixed_dictionaries(
    {},
    optional={
        "idempotency": st.just(Idempotency("event.data.id")),
        "rate_limit": st.builds(RateLimit, st.integers(1, 4), st.sampled_from([10_000, 30_000]), keys),
        "debounce": st.builds(Debounce, st.sampled_from([3_000, 9_000]), st.sampled_from([None, 12_000]), keys),
        "batch": st.builds(Batch, st.integers(1, 3), st.just(7_000), keys),
        "priority": st.just("run.id.size()"),
        "throttle": st.builds(Throttle, st.integers(1, 3), st.just(20_000), st.integers(1, 2), st.none()),
        "concurrency": st.builds(
            Concurrency,
            st.integers(1, 2),
            st.none(),
            on_limit=st.sampled_from(["wait", "skip", "cancel_oldest"]),
            hold=st.sampled_from(["active", "run"]),
        ),
    },
)


def within(starts: list[float], burst: int, limit: int, period_ms: int) -> bool:
    """Whether never more than burst + rate x time have started, over all spans of time between two starts."""
    starts = sorted(starts)
    rate = limit / (period_ms / 1_000)
    return all(
        upto - since + 1 <= burst + rate * (starts[upto] - starts[since]) + 1e-9
        for since in range(len(starts))
        for upto in range(since, len(starts))
    )


def most_at_once(starts: list[float]) -> int:
    """How many runs there were at a time, each of them taking its ten seconds."""
    return max((sum(other <= start < other + RUN_S for other in starts) for start in starts), default=0)


def was_cancelled(seen: Traffic, run: str) -> bool:
    """Whether a run was cancelled: it may have been so before its first step."""
    return seen.project.finished(run).status == "cancelled"


@settings(max_examples=150, deadline=None)
@given(limits=rules, events=traffic)
def test_any_mix_of_limiters_keeps_all_of_them(limits: dict[str, Any], events: list[Sent]) -> None:
    seen = send(limited(**limits), events)
    statuses = Counter(seen.project.finished(run).status for run in set(seen.runs))

    assert set(statuses) <= {"succeeded", "skipped", "cancelled"}  # every run has ended, by nothing but its limits
    started = {at for at, fate in enumerate(seen.fates) if fate.startswith("start ")}
    assert started - set(seen.order) <= {at for at, run in enumerate(seen.runs) if was_cancelled(seen, run)}
    assert len(seen.order) == len(set(seen.order) & started)
    throttle, concurrency = limits.get("throttle"), limits.get("concurrency")
    if throttle is not None and (concurrency is None or concurrency.on_limit == "wait"):
        assert concurrency or within(seen.started_s(), throttle.burst, throttle.limit, throttle.period_ms)
    if concurrency is not None and concurrency.hold == "run" and concurrency.on_limit != "cancel_oldest":
        assert most_at_once(seen.started_s()) <= concurrency.limit
    for at, fate in enumerate(seen.fates):  # who is merged is so into a run that went on itself
        if fate.startswith("into "):
            assert seen.fates[int(fate.split()[1])] != "pending", at


@settings(max_examples=80, deadline=None)
@given(rule=rules.map(lambda limits: limits.get("throttle") or Throttle(2, 20_000, 2)), events=traffic)
def test_a_throttle_starts_all_in_order_and_never_above_its_rate(rule: Throttle, events: list[Sent]) -> None:
    seen = send(limited(throttle=rule), events)

    starts = seen.started_s()
    assert (len(starts), starts) == (len(events), sorted(starts))  # those of one moment are in no order
    assert within(seen.started_s(), rule.burst, rule.limit, rule.period_ms)


@settings(max_examples=80, deadline=None)
@given(limit=st.integers(1, 4), events=traffic)
def test_a_rate_limit_starts_at_once_or_skips_and_is_never_above_its_rate(limit: int, events: list[Sent]) -> None:
    seen = send(limited(rate_limit=RateLimit(limit, 10_000)), events)

    assert all(fate in {f"start {second}", "skipped"} for fate, (second, _) in zip(seen.fates, events, strict=True))
    assert within(seen.started_s(), limit, limit, 10_000)


@settings(max_examples=80, deadline=None)
@given(limit=st.integers(1, 3), events=traffic)
def test_places_are_never_more_than_the_limit_and_never_empty_while_somebody_waits(
    limit: int, events: list[Sent]
) -> None:
    seen = send(limited(concurrency=Concurrency(limit, hold="run")), events)

    free_s = [0.0] * limit  # when each place is free again
    for start, (second, _) in zip(seen.started_s(), events, strict=True):
        free_s.sort()
        assert start == max(float(second), free_s[0])
        free_s[0] = start + RUN_S


@settings(max_examples=80, deadline=None)
@given(bound=st.sampled_from([None, 12_000]), events=traffic)
def test_debounce_runs_the_last_event_of_each_quiet_time(bound: int | None, events: list[Sent]) -> None:
    seen = send(limited(debounce=Debounce(5_000, bound, KEY)), events)

    expected = [""] * len(events)
    for key in ("x", "y"):
        members: list[int] = []
        mine = [(at, second) for at, (second, data) in enumerate(events) if data["key"] == key]
        for place, (at, second) in enumerate(mine):
            members.append(at)
            due = second + 5
            if bound is not None:
                due = min(due, events[members[0]][0] + bound // 1_000)
            if place + 1 < len(mine) and mine[place + 1][1] < due:
                continue
            for member in members:
                expected[member] = f"start {due}" if member == at else f"into {at}"
            members = []
    assert seen.fates == expected


@settings(max_examples=80, deadline=None)
@given(size=st.integers(1, 3), events=traffic)
def test_a_batch_closes_once_by_size_or_by_time(size: int, events: list[Sent]) -> None:
    seen = send(limited(batch=Batch(size, 5_000, KEY)), events)

    expected = [""] * len(events)
    for key in ("x", "y"):
        mine = [(at, second) for at, (second, data) in enumerate(events) if data["key"] == key]
        while mine:
            opened = mine[0][1]
            members = [(at, second) for at, second in mine if second < opened + 5][:size]
            closes = members[-1][1] if len(members) == size else opened + 5
            for at, _ in members:
                expected[at] = f"start {closes}" if at == members[0][0] else f"into {members[0][0]}"
            mine = mine[len(members) :]
    assert seen.fates == expected
