"""What each limiter does to runs, from their events to their ends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.engine.flow_control import priority_ms
from flowlang.engine.ops import Commit, Op, Outcome
from flowlang.engine.route import InputError
from flowlang.plan import Batch, CancelOn, Concurrency, Debounce, RateLimit, Throttle
from tests.flow_control.traffic import limited, send
from tests.unit.engine.building import T0, Project, plan, sets, sleep, uses

WAITS: dict[str, dict[str, Any]] = {
    "debounce": {"debounce": Debounce(60_000)},
    "batch": {"batch": Batch(3, 60_000)},
    "throttle": {"throttle": Throttle(1, 60_000)},
    "concurrency": {"concurrency": Concurrency(1, hold="run")},
}


class Counting(Project):
    """Counts commits."""

    commits = 0

    def apply(self, *ops: Op) -> Outcome:
        self.commits += sum(isinstance(op, Commit) for op in ops)
        return super().apply(*ops)


@pytest.mark.parametrize(
    "limits",
    [
        {"rate_limit": RateLimit(1, 1_000)},
        {"debounce": Debounce(1_000)},
        {"throttle": Throttle(1, 1_000), "concurrency": Concurrency(1), "priority": "1"},
    ],
)
def test_limits_cost_no_commit(limits: dict[str, Any]) -> None:
    bare, under_limits = Counting(plan(uses("a"))), Counting(plan(uses("a"), **limits))
    bare.go()
    under_limits.go()

    assert under_limits.commits == bare.commits == 1


@pytest.mark.parametrize("limiter", WAITS)
def test_a_run_that_expires_before_it_starts_is_cancelled_and_gives_back_what_it_had_asked_for(limiter: str) -> None:
    project = Project(limited(expires_ms=5_000, **WAITS[limiter]))
    blocker = project.call("p")
    project.run_ready()
    waiting = project.call("p") if limiter in {"throttle", "concurrency"} else blocker
    project.run_until(T0 + 5_000)

    expired = project.finished(waiting)
    assert (expired.status, expired.error and expired.error.code, expired.records) == ("cancelled", "run.expired", {})
    project.run_until(T0 + 60_000)
    late = project.call("p")
    project.run_until_idle()
    assert project.finished(late).status == ("succeeded" if limiter in {"throttle", "concurrency"} else "cancelled")


@pytest.mark.parametrize("limiter", WAITS)
def test_a_pending_run_is_cancelled_at_once(limiter: str) -> None:
    project = Project(limited(**WAITS[limiter]))
    runs = [project.call("p"), project.call("p")]
    project.run_ready()
    project.cancel(runs[1], "not needed")
    project.run_ready()

    ended = project.finished(runs[1])
    assert (ended.status, ended.error and ended.error.message) == ("cancelled", "not needed")
    assert project.called("work") == (0 if limiter in {"debounce", "batch"} else 1)


@pytest.mark.parametrize("limiter", ["debounce", "throttle", "concurrency"])
def test_an_event_that_cancels_a_pending_run_does_so_at_once_and_another_does_not(limiter: str) -> None:
    rule = CancelOn(("shop/withdrawn",), "incoming.data.id == event.data.id")
    project = Project(limited(cancel_on=(rule,), **WAITS[limiter]))
    runs = [project.send("shop/order", {"id": ident})[0] for ident in ("a", "b")]
    project.run_ready()
    for ident in ("c", "b"):
        project.send("shop/withdrawn", {"id": ident})
        project.run_ready()

    assert [project.finished(run).status for run in runs][1] == "cancelled"
    project.run_until_idle()
    assert project.finished(runs[0]).status == "succeeded"


def test_expires_ends_with_the_start_of_the_run() -> None:
    project = Project(limited(expires_ms=5_000))

    assert project.go().status == "succeeded"


def test_a_skipped_run_says_why_and_sends_no_outcome_event() -> None:
    watcher = plan(uses("seen"), pipeline="watcher", on="pipeline/p.cancelled")
    project = Project(limited(rate_limit=RateLimit(1, 60_000)), watcher)
    runs = [project.call("p"), project.call("p")]
    project.run_until_idle()

    skipped = project.finished(runs[1])
    assert (skipped.status, skipped.error and skipped.error.code) == ("skipped", "skipped.rate_limit")
    assert (skipped.records, project.called("seen"), project.called("work")) == ({}, 0, 1)


def test_on_limit_skip_and_cancel_oldest() -> None:
    skip = send(limited(concurrency=Concurrency(1, on_limit="skip", hold="run")), [(0, {}), (1, {}), (11, {})])
    oldest = send(
        limited(concurrency=Concurrency(1, on_limit="cancel_oldest", hold="run")), [(0, {}), (1, {}), (2, {})]
    )

    assert skip.fates == ["start 0", "skipped", "start 11"]
    assert oldest.fates == ["start 0", "start 1", "start 2"]
    assert [oldest.project.finished(run).status for run in oldest.runs] == ["cancelled", "cancelled", "succeeded"]


@pytest.mark.parametrize(("hold", "starts"), [("active", [0, 0, 0]), ("run", [0, 10, 20])])
def test_a_run_that_sleeps_is_not_active(hold: Any, starts: list[float]) -> None:
    assert send(limited(concurrency=Concurrency(1, hold=hold)), [(0, {})] * 3).started_s() == starts


def test_keys_are_limited_apart_and_a_project_scope_over_pipelines() -> None:
    by_key = limited(concurrency=Concurrency(1, "event.data.user", hold="run"))
    fates = send(by_key, [(0, {"user": "ann"}), (0, {"user": "bob"}), (1, {"user": "ann"})]).fates
    assert fates == ["start 0", "start 0", "start 10"]

    shared = Concurrency(1, "event.data.user", scope="project", hold="run")
    one, other = limited(concurrency=shared), msgspec.structs.replace(limited(concurrency=shared), pipeline="q")
    project = Project(one, other)
    runs = project.send("shop/order", {"user": "ann"})
    project.run_until_idle()
    assert [project.times(run, "run.started") for run in runs] == [[0], [10_000]]


def test_a_batch_computes_vars_labels_and_output_over_its_events() -> None:
    made = plan(
        sets("sum", total="${{ sum(events.map(e, e.data.amount)) }}"),
        on="shop/order",
        batch=Batch(3, 60_000, "event.data.shop"),
        vars=(("ids", "${{ events.map(e, e.data.amount) }}"),),
        labels={"count": "${{ events.size() }}"},
        output={"ids": "${{ vars.ids }}", "total": "${{ steps.sum.output.total }}"},
    )
    project = Project(made)
    runs = [run for amount in (1, 2, 3, 4) for run in project.send("shop/order", {"shop": "s", "amount": amount})]
    project.run_until_idle()

    assert project.finished(runs[0]).output == {"ids": [1, 2, 3], "total": 6}
    assert [project.finished(run).status for run in runs] == ["succeeded", "skipped", "skipped", "succeeded"]
    assert project.finished(runs[3]).output == {"ids": [4], "total": 4}


def test_a_batch_whose_vars_have_no_value_fails_and_is_a_dead_letter() -> None:
    made = plan(uses("work"), on="shop/order", batch=Batch(1, 60_000), vars=(("x", "${{ events[0].data.none }}"),))
    project = Project(made)
    (run,) = project.send("shop/order", {})
    project.run_until_idle()

    failed = project.finished(run)
    assert (failed.status, failed.error and failed.error.code) == ("failed", "expression")
    assert [letter.id for letter in project.store.dead_letters()] == [run]


def test_a_key_without_a_value_makes_no_run_but_a_dead_letter() -> None:
    project = Project(limited(concurrency=Concurrency(1, "event.data.none")))

    assert project.send("shop/order", {}) == []
    assert len(project.store.dead_letters()) == 1
    with pytest.raises(InputError, match=r"concurrency\.key"):
        project.call("p", {})


def test_a_priority_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="the priority is text"):
        Project(limited(priority="'high'")).call("p", {})


@pytest.mark.parametrize(
    ("value", "advance_ms"),
    [(60, 60_000), (1.5, 1_500), (601, 600_000), (1e300, 600_000), (-601, -600_000), (True, None), ("1", None)],
)
def test_a_priority_beyond_the_bounds_counts_as_the_bound(value: Any, advance_ms: int | None) -> None:
    assert priority_ms(value) == advance_ms


def test_a_place_outlives_a_lost_worker() -> None:
    project = Project(plan(uses("work"), sleep("1s"), on="shop/order", concurrency=Concurrency(1, hold="run")))
    first, second = (project.send("shop/order")[0] for _ in range(2))
    assert project.claim() is not None
    project.lose_worker()
    assert project.claim() is None
    project.run_until_idle()

    assert [project.finished(run).status for run in (first, second)] == ["succeeded", "succeeded"]
    assert project.called("work") == 2
