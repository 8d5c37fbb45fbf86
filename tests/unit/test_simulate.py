"""Whole projects on virtual time: events, outcomes and chains, idempotency, versions, ticks, and crashes at every flush."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.clock import ManualClock
from flowlang.engine.admission import EventRefusedError
from flowlang.engine.ops import Claimed
from flowlang.engine.turn import AttemptEnd, Call, Turn
from flowlang.plan import CronTrigger, EventSchema, EventTrigger, Foreach, Idempotency, Plan, Tolerate
from flowlang.simulate import FaultPoint, Observer, Simulation
from tests.unit.engine.building import (
    CRASH,
    T0,
    UNSET,
    Middle,
    Project,
    arm,
    broken,
    echo,
    emit,
    fail,
    parallel,
    plan,
    script,
    sets,
    sleep,
    steps,
    switch,
    uses,
)
from tests.unit.engine.crashing import CrashingStore, Moment, drive


def listener(event: str, name: str = "listener") -> Plan:
    given = {"id": "${{ event.id }}", "data": "${{ event.data }}"}
    return plan(uses("heard", given=given), pipeline=name, triggers=(EventTrigger((event,)),))


# Events and outcomes ------------------------------------------------------------------------------------------------


def test_an_event_starts_a_run_of_every_pipeline_that_listens() -> None:
    project = Project(listener("shop/paid", "one"), listener("shop/*", "two"), listener("shop/other", "three"))
    runs = project.send("shop/paid", {"n": 1})
    project.run_until_idle()
    assert sorted(project.finished(run).pipeline for run in runs) == ["one", "two"]
    assert [call.arguments["data"] for call in project.calls] == [{"n": 1}, {"n": 1}]


def test_an_event_that_does_not_fit_its_schema_is_refused() -> None:
    schema = EventSchema("shop/paid", {"type": "object", "required": ["n"]})
    project = Simulation([listener("shop/paid")], {}, schemas=[schema])
    with pytest.raises(ValueError, match="shop/paid"):
        project.send("shop/paid", {})


def test_the_same_event_id_makes_runs_once() -> None:
    project = Project(listener("shop/paid"))
    assert len(project.send("shop/paid", ident="e1")) == 1
    assert project.send("shop/paid", ident="e1") == []
    project.run_until_idle()
    assert project.called("heard") == 1


OUTCOMES: list[tuple[str, Any, dict[str, Any]]] = [
    ("succeeded", sets("a", v=1), {"output": 1}),
    (
        "failed",
        fail("bad", "why"),
        {"error": {"class": "permanent", "code": "bad", "message": "why", "step": "fail-0", "attempts": 0}},
    ),
    (
        "cancelled",
        sleep("1h"),
        {"error": {"class": "cancelled", "code": "cancelled", "message": "enough", "step": "", "attempts": 0}},
    ),
]


@pytest.mark.parametrize(("status", "part", "data"), OUTCOMES, ids=[case[0] for case in OUTCOMES])
def test_a_run_sends_exactly_one_outcome_event(status: str, part: Any, data: dict[str, Any]) -> None:
    output = "${{ steps.a.output.v }}" if status == "succeeded" else UNSET
    project = Project(
        plan(part, output=output),
        *(listener(f"pipeline/p.{end}", f"on-{end}") for end in ("succeeded", "failed", "cancelled")),
    )
    run = project.call("p", {})
    project.run_ready()
    project.cancel(run, "enough")
    project.run_until_idle()
    done = project.finished(run)
    assert done.status == status
    assert project.called("heard") == 1
    sent = project.calls[-1].arguments["data"]
    assert {key: sent[key] for key in ("run", "pipeline", "status", "started_at")} == {
        "run": run,
        "pipeline": "p",
        "status": status,
        "started_at": "2026-01-01T00:00:00.000Z",
    }
    assert {key: sent[key] for key in sent if key in ("output", "error")} == data
    assert [row.pipeline for row in project.store.runs()].count(f"on-{status}") == 1


def test_pipelines_chain_by_outcomes_and_emits() -> None:
    first = plan(sets("a", v="${{ event.data.n + 1 }}"), pipeline="first", output="${{ steps.a.output.v }}")
    second = plan(
        emit("shop/step", {"n": "${{ event.data.output + 1 }}"}), pipeline="second", on="pipeline/first.succeeded"
    )
    third = plan(uses("end", given={"n": "${{ event.data.n + 1 }}"}), pipeline="third", on="shop/step")
    project = Project(first, second, third)
    project.go({"n": 1}, pipeline="first")
    assert [call.arguments for call in project.calls] == [{"n": 4}]


def test_idempotency_gives_the_same_run_for_the_same_key() -> None:
    made = plan(uses("a"), idempotency=Idempotency("event.data.order", ttl_ms=60_000))
    project = Project(made)
    first = project.call("p", {"order": "o1"})
    assert project.call("p", {"order": "o1"}) == first
    other = project.call("p", {"order": "o2"})
    project.run_until_idle()
    assert project.call("p", {"order": "o1"}) == first
    project.clock.advance(60_000)
    assert project.call("p", {"order": "o1"}) not in {first, other}
    project.run_until_idle()
    assert project.called("a") == 3


def test_an_unknown_pipeline_and_an_unknown_run_are_said_so() -> None:
    project = Project(plan(uses("a")))
    with pytest.raises(LookupError):
        project.call("nope")
    with pytest.raises(LookupError):
        project.finished("nope")


# Versions and time --------------------------------------------------------------------------------------------------


def test_a_run_finishes_with_the_version_that_it_began_with() -> None:
    old = plan(sleep("1h"), uses("old"), emit("shop/done"))
    project = Project(old)
    project.handlers |= {"new": echo, "heard": echo}
    begun = project.call("p")
    project.run_ready()
    project.deploy([plan(uses("new")), listener("shop/done")])
    later = project.call("p")
    project.run_until_idle()
    assert project.order() == ["new", "old", "heard"]
    assert (project.finished(begun).status, project.finished(later).status) == ("succeeded", "succeeded")


def test_ticks_start_one_run_each_however_often_they_are_looked_for() -> None:
    made = plan(uses("a", given={"at": "${{ event.data.scheduled_at }}"}), triggers=(CronTrigger(("0 * * * *",)),))
    project = Project(made)
    for _ in range(3):
        project.clock.advance(3_600_000)
        for _ in range(3):
            project.tick()
    project.run_until_idle()
    assert [call.arguments["at"][:16] for call in project.calls] == [f"2026-01-01T0{hour}:00" for hour in (1, 2, 3)]


def test_a_week_takes_no_time() -> None:
    project = Project(plan(sleep("7d"), uses("a")))
    assert project.go().status == "succeeded"
    assert project.elapsed_ms() == 7 * 86_400_000


def test_a_project_that_is_never_idle_is_given_up() -> None:
    project = Project(plan(emit("shop/again"), pipeline="loop", on="shop/again"))
    project.send("shop/again")
    with pytest.raises(RuntimeError, match="not idle after 50 turns"):
        project.run_until_idle(limit=50)


def test_the_same_project_gives_the_same_history() -> None:
    def history() -> list[dict[str, Any]]:
        project = Project(
            plan(uses("a"), uses("b", foreach=Foreach("[1, 2, 3]"))), a=script(broken("x", "transient"), {})
        )
        return project.journal(project.go().id)

    assert history() == history()


# Crashes ------------------------------------------------------------------------------------------------------------

EVERYTHING = plan(
    uses("first", given={"at": "${{ now() }}"}),
    uses("flaky"),
    steps(
        "each",
        uses("work", given={"item": "${{ item }}"}),
        parallel("both", sleep("1m"), steps("right", sets("r", v="${{ steps.work.output.item }}"), uses("deep"))),
        foreach=Foreach("[1, 2, 3]", max_parallel=2),
        output="${{ steps.r.output.v }}",
        final=(uses("clean"),),
    ),
    uses("wrong", catch=(arm(uses("fix"), output="fixed"),), final=(uses("wipe"),)),
    switch("choice", emit("shop/paid", condition="steps.each.output == [1, 2, 3]", key="tell"), fail("unreachable")),
    uses("soft", "wrong", tolerate=Tolerate()),
    output="${{ [steps.each.output, steps.wrong.output, steps.soft.status] }}",
)


class Crashing(Simulation):
    def __init__(self, made: Plan, crashes: dict[int, Moment], **handlers: Any) -> None:
        clock = ManualClock(T0)
        self.crashing = CrashingStore(clock)
        names = dict.fromkeys(("first", "work", "deep", "clean", "fix", "wipe", "heard", "a", "b"), echo) | handlers
        plans = [made, listener("shop/paid"), listener("pipeline/p.succeeded", "ended")]
        super().__init__(plans, names, store=self.crashing, clock=clock, rng=Middle())
        self.run = self.call("p", {})
        self.crashing.flushes = 0
        self.crashing.crashes = crashes


def _flushes() -> int:
    project = Crashing(EVERYTHING, {}, flaky=script(broken("x", "transient"), {}), wrong=script(broken()))
    drive(project)
    return project.crashing.flushes


FLUSHES = _flushes()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_at_any_flush_costs_nothing(moment: Moment) -> None:
    assert FLUSHES > 40
    for flush in range(1, FLUSHES + 1):
        project = Crashing(
            EVERYTHING, {flush: moment}, flaky=script(broken("x", "transient"), {}), wrong=script(broken())
        )
        drive(project)
        done = project.finished(project.run)
        assert (done.status, done.output) == ("succeeded", [[1, 2, 3], "fixed", "failed"]), flush
        assert project.crashing.rewritten == []
        assert len(project.store.runs(pipeline="listener")) == 1
        assert len(project.store.runs(pipeline="ended")) == 1
        assert done.records["flaky"].attempts in (1, 2)


def test_two_crashes_in_a_row_cost_nothing_either() -> None:
    for flush in range(1, FLUSHES, 5):
        project = Crashing(
            EVERYTHING,
            {flush: "after", flush + 1: "before", flush + 2: "after"},
            flaky=script({}),
            wrong=script(broken()),
        )
        drive(project)
        assert project.finished(project.run).output == [[1, 2, 3], "fixed", "failed"]


def test_a_call_that_happens_once_and_never_started_is_started() -> None:
    made = plan(sets("s", v=1), uses("a", effect="once"), uses("b"))
    calm = Crashing(made, {})
    drive(calm)
    calls = {}
    for flush in range(1, calm.crashing.flushes + 1):
        for moment in ("before", "after"):
            project = Crashing(made, {flush: moment})
            drive(project)
            done = project.finished(project.run)
            code = done.error.code if done.error is not None else None
            calls[flush, moment] = (project.called("a"), done.status, code)
    started, unknown = (1, "succeeded", None), (0, "failed", "unknown_outcome")
    lost = (1, "failed", "unknown_outcome")
    assert set(calls.values()) == {started, unknown, lost}
    assert [key for key, value in calls.items() if value == unknown] == [(2, "after")]
    assert [key for key, value in calls.items() if value == lost] == [(3, "before")]


def test_a_handler_that_loses_its_worker_is_called_again_by_another() -> None:
    project = Crashing(plan(uses("a")), {}, a=script(CRASH, {}))
    drive(project)
    assert project.finished(project.run).status == "succeeded"
    assert [call.attempt for call in project.calls if call.handler == "a"] == [1, 1]


# Looking on, moments and crashes ------------------------------------------------------------------------------------


class Losing(Observer):
    """Loses the worker once at a point, and writes down what was called and committed."""

    def __init__(self, point: str) -> None:
        self.point: str | None = point
        self.calls: list[int] = []
        self.commits = 0

    def called(self, row: Claimed, call: Call, end: AttemptEnd) -> None:
        self.calls.append(call.attempt)

    def committed(self, row: Claimed, turn: Turn) -> None:
        self.commits += turn.took_attempt

    def crashes(self, point: FaultPoint, row: Claimed, call: Call) -> bool:
        lost, self.point = self.point == point, None if self.point == point else self.point
        return lost


@pytest.mark.parametrize(("point", "calls"), [("before_call", 1), ("before_commit", 2), ("after_commit", 1)])
def test_a_worker_that_is_lost_around_an_attempt_repeats_only_what_was_not_written_down(point: str, calls: int) -> None:
    observer = Losing(point)
    handlers = dict.fromkeys(["a", "b"], lambda _: 1)
    simulation = Simulation([plan(uses("a"), uses("b"), pipeline="p")], handlers, observer=observer)
    run = simulation.call("p", {})
    simulation.run_until_idle()
    assert simulation.finished(run).status == "succeeded"
    assert observer.point is None
    assert (len(observer.calls), observer.commits) == (calls + 1, 2)
    assert {record.attempts for record in simulation.finished(run).records.values()} == {1}


def test_it_can_be_run_up_to_a_moment() -> None:
    simulation = Simulation([plan(sleep("1h"), sets("a", v=1), pipeline="p")], {})
    run = simulation.call("p", {})
    started = simulation.store.now_ms()
    simulation.run_until(started + 3_599_999)
    assert (simulation.finished(run).status, simulation.store.now_ms()) == ("running", started + 3_599_999)
    simulation.run_until(started + 3_600_000)
    assert simulation.finished(run).status == "succeeded"
    simulation.run_until(started)
    assert simulation.store.now_ms() == started + 3_600_000


def test_the_ticks_of_a_moment_can_be_fired() -> None:
    simulation = Simulation(
        [plan(sets("a", v="${{ event.data.scheduled_at }}"), pipeline="p", triggers=(CronTrigger(("0 7 * * *",)),))], {}
    )
    at_ms = simulation.next_tick_ms()
    assert at_ms is not None
    assert simulation.fire(at_ms - 1) == []
    (run,) = simulation.fire(at_ms)
    simulation.run_until_idle()
    assert simulation.finished(run).outputs() == {"a": {"v": "2026-01-01T07:00:00.000Z"}}
    assert Simulation([plan(sets("a", v=1), pipeline="p")], {}).next_tick_ms() is None


def test_an_event_of_a_prefix_with_an_owner_is_sent_by_the_owner_alone() -> None:
    simulation = Simulation([listener("pipeline/other.succeeded")], {"heard": lambda _: None})
    with pytest.raises(EventRefusedError):
        simulation.send("pipeline/other.succeeded", {})
    assert len(simulation.send("pipeline/other.succeeded", {}, owned=True)) == 1
