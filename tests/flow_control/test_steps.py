"""Limits of a step: its attempts wait for the throttle and for a place, and run in their queue."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.plan import Concurrency, Debounce, Foreach, Plan, RateLimit, RetryRule, Throttle, Tolerate, Uses
from tests.unit.engine.building import (
    CRASH,
    T0,
    Project,
    broken,
    invoke,
    plan,
    script,
    uses,
)


class Crew(Project):
    """Several workers: what is ready is claimed together, then worked on."""

    most = 0  #: handlers that were called between two looks at what is ready

    def work_side_by_side(self) -> None:
        while True:
            rows = []
            while (row := self.claim()) is not None:
                rows.append(row)
            if not rows and not self._move_on():
                return
            before = len(self.calls)
            for row in rows:
                self.work(row)
            self.most = max(self.most, len(self.calls) - before)


def limit_step(made: Plan, *, throttle: Throttle | None = None, **of_call: Any) -> Plan:
    """The plan with limits on the attempts of its first step."""
    first = made.steps[0]
    assert isinstance(first.verb, Uses)
    verb = msgspec.structs.replace(first.verb, **of_call)
    limited = msgspec.structs.replace(first, verb=verb, throttle=throttle)
    return msgspec.structs.replace(made, steps=(limited, *made.steps[1:]))


def many(items: int, **limits: Any) -> Plan:
    """A step that calls once for each of so many items."""
    each = uses("call", given={"item": "${{ item }}"}, foreach=Foreach(f"lists.range({items})"))
    return limit_step(plan(each), **limits)


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 4), items=st.integers(0, 8), runs=st.integers(1, 3))
def test_never_more_attempts_at_once_than_the_limit_over_all_runs(limit: int, items: int, runs: int) -> None:
    crew = Crew(many(items, concurrency=Concurrency(limit)))
    made = [crew.call("p") for _ in range(runs)]
    crew.work_side_by_side()

    assert [crew.finished(run).status for run in made] == ["succeeded"] * runs
    assert crew.called("call") == items * runs
    assert crew.most == min(limit, items * runs)


def test_keys_have_places_of_their_own() -> None:
    crew = Crew(many(6, concurrency=Concurrency(1, "item % 2")))
    crew.call("p")
    crew.work_side_by_side()

    assert crew.most == 2


def test_a_throttle_spaces_attempts_retries_included() -> None:
    made = plan(uses("call", retry=((RetryRule(attempts=3, initial_ms=1_000, jitter="none"),),)))
    flaky = script(broken("busy", "transient"), broken("busy", "transient"), "done")
    project = Project(limit_step(made, throttle=Throttle(1, 10_000)), call=flaky)
    run = project.call("p")
    project.run_until_idle()

    assert project.finished(run).status == "succeeded"
    assert project.elapsed_ms() == 20_000


def test_a_place_is_free_while_its_attempt_backs_off() -> None:
    made = plan(uses("call", retry=((RetryRule(attempts=2, initial_ms=60_000, jitter="none"),),)))
    flaky = script(broken("busy", "transient"), "other", "again")
    project = Project(limit_step(made, concurrency=Concurrency(1)), call=flaky)
    first, second = project.call("p"), project.call("p")
    project.run_until(T0 + 1_000)

    assert [project.finished(run).status for run in (first, second)] == ["running", "succeeded"]
    project.run_until_idle()
    assert project.finished(first).status == "succeeded"


@pytest.mark.parametrize("limit", [{"concurrency": Concurrency(1)}, {"throttle": Throttle(1, 60_000)}])
def test_a_cancel_reaches_an_attempt_that_waits_for_its_turn(limit: dict[str, Any]) -> None:
    project = Project(limit_step(plan(uses("call")), **limit))
    runs = [project.call("p") for _ in range(3)]
    rows = [row for _ in runs if (row := project.claim()) is not None]
    for row in rows:
        project.work(row)
    held = project.claim()
    assert held is not None
    project.cancel(runs[1])
    project.run_ready()
    assert project.finished(runs[1]).status == "cancelled"

    project.work(held)
    project.run_until_idle()
    assert [project.finished(run).status for run in runs] == ["succeeded", "cancelled", "succeeded"]


def test_a_lost_worker_keeps_its_place_until_the_attempt_is_made_again() -> None:
    project = Project(limit_step(plan(uses("call")), concurrency=Concurrency(1)), call=script(CRASH, "done"))
    runs = [project.call("p") for _ in range(2)]
    project.run_ready()
    assert [project.finished(run).status for run in runs] == ["running", "running"]
    assert project.called("call") == 1

    project.run_until_idle()
    assert [project.finished(run).status for run in runs] == ["succeeded", "succeeded"]
    assert project.order() == ["call", "call", "call"]


def test_an_attempt_runs_in_its_queue_and_what_follows_in_that_of_the_run() -> None:
    project = Project(limit_step(plan(uses("call"), uses("after", foreach=Foreach("[1]"))), queue="heavy"))
    run = project.call("p")
    queues = []
    while (row := project.claim()) is not None:
        queues.append((row.queue, row.scope))
        project.work(row)

    assert project.finished(run).status == "succeeded"
    assert queues == [("default", ""), ("heavy", ""), ("default", "after[0]"), ("default", "")]


def test_a_key_without_a_value_fails_the_step() -> None:
    project = Project(limit_step(plan(uses("call")), concurrency=Concurrency(1, "event.data.none")))
    failed = project.go({})

    assert (failed.status, failed.error and failed.error.code) == ("failed", "expression")


def test_runs_that_are_active_and_attempts_share_the_places_of_a_project_key() -> None:
    shared = Concurrency(2, "'db'", scope="project")
    crew = Crew(limit_step(plan(uses("call")), concurrency=shared), plan(uses("q"), pipeline="q", concurrency=shared))
    runs = [crew.call(pipeline) for pipeline in ("p", "p", "q", "q")]
    crew.work_side_by_side()

    assert crew.most <= 2
    assert [crew.finished(run).status for run in runs] == ["succeeded"] * 4


def test_a_throttle_spaces_the_starts_of_invoked_runs() -> None:
    parent = plan(invoke("child", "q", foreach=Foreach("lists.range(3)")))
    first = msgspec.structs.replace(parent.steps[0], throttle=Throttle(1, 10_000))
    project = Project(msgspec.structs.replace(parent, steps=(first,)), plan(uses("q"), pipeline="q"))
    run = project.call("p", {})
    project.run_until_idle()

    assert project.finished(run).status == "succeeded"
    children = [row.id for row in project.store.runs(pipeline="q")]
    assert sorted(project.times(child, "run.started") for child in children) == [[0], [10_000], [20_000]]


@pytest.mark.parametrize("limit", ["skipped", "merged"])
def test_whoever_invokes_a_run_that_is_held_back_hears_of_it(limit: str) -> None:
    limits: dict[str, Any] = {"debounce": Debounce(5_000)}
    if limit == "skipped":
        limits = {"rate_limit": RateLimit(1, 60_000)}
    parent = plan(invoke("child", "q", foreach=Foreach("[1, 2]"), tolerate=Tolerate()))
    project = Project(parent, plan(uses("work"), pipeline="q", output="${{ steps.work.status }}", **limits))
    run = project.call("p", {})
    project.run_until_idle()
    seen = {name: record.output for name, record in project.finished(run).records.items() if name != "child"}
    codes = {record.error.code for record in project.finished(run).records.values() if record.error is not None}

    assert (project.finished(run).status, project.called("work")) == ("succeeded", 1)
    if limit == "merged":
        assert (set(seen.values()), codes) == ({"succeeded"}, set())
    else:
        assert codes == {"run.skipped"}
