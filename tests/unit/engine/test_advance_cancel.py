"""Cancelling a run in each of its phases: what runs ends, `finally` runs, nothing catches it, one outcome is sent."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.clock import seeded_rng
from flowlang.engine.advance import advance
from flowlang.engine.catalog import Catalog
from flowlang.engine.machine import Flight
from flowlang.engine.outside import Outside
from flowlang.engine.program import Program
from flowlang.engine.state import ErrorInfo, Event, RunMeta, ScopeState
from flowlang.engine.turn import AttemptEnd, Turn
from flowlang.engine.view import RunView
from flowlang.plan import Foreach, Manifest, Plan, RetryRule, Tolerate
from flowlang.store.codec import PlainSealer
from tests.unit.engine.building import (
    T0,
    Part,
    Project,
    arm,
    broken,
    fail,
    parallel,
    plan,
    script,
    sets,
    sleep,
    steps,
    uses,
)

SEEN = uses("cleanup", given={"class": "${{ error.class }}"})
ANYWHERE = Outside(Catalog(Manifest(project="t", pipelines={}), 0, {}), PlainSealer(), T0)
FLAKY = uses("flaky", retry=((RetryRule(initial_ms=60_000),),))

PHASES: list[tuple[str, Part]] = [
    ("asleep", sleep("1h")),
    ("backing off", FLAKY),
    ("in a block", steps("in", steps("deeper", sleep("1h")))),
    ("joining items", sleep("1h", "each", foreach=Foreach("[1, 2, 3]"))),
    ("joining items that are still to start", sleep("1h", "each", foreach=Foreach("[1, 2, 3]", max_parallel=1))),
    ("joining branches", parallel("both", sleep("1h"), steps("b", sleep("2h")))),
    ("joining nested groups", parallel("both", steps("i", sleep("1h"), foreach=Foreach("[1, 2]")), sleep("1h"))),
    ("in a catch body", steps("c", fail(), catch=(arm(sleep("1h")),))),
    ("in a container with a time-out", steps("t", sleep("1h"), timeout_ms=7_200_000)),
]


@pytest.mark.parametrize("part", [case[1] for case in PHASES], ids=[case[0] for case in PHASES])
def test_a_cancelled_run_ends_at_once_with_its_finally_and_nothing_else(part: Part) -> None:
    everything = steps(
        "box",
        part,
        uses("never"),
        final=(SEEN,),
        catch=(
            arm(uses("caught"), errors=["all", "cancelled"]),
            arm(uses("caught2")),
        ),
        tolerate=Tolerate(),
    )
    made = plan(everything, uses("after"), on_failure=[uses("alarm")], output=1)
    listener = plan(
        uses("heard", given={"reason": "${{ event.data.error.message }}"}),
        pipeline="listener",
        on="pipeline/p.cancelled",
    )
    project = Project(made, listener, flaky=script(broken("x", "transient")))
    run_id = project.call("p")
    project.run_ready()
    begun_ms = project.elapsed_ms()
    project.cancel(run_id, "no longer wanted")
    project.run_until_idle()
    done = project.finished(run_id)
    assert (done.status, done.output) == ("cancelled", None)
    assert done.error is not None
    assert done.error.message == "no longer wanted"
    assert [call.instance for call in project.calls if call.instance != "flaky"] == ["cleanup", "heard"]
    assert project.calls[-2].arguments == {"class": "cancelled"}
    assert project.calls[-1].arguments == {"reason": "no longer wanted"}
    assert done.statuses()["box"] == "cancelled"
    assert project.elapsed_ms() == begun_ms
    assert project.store.dead_letters() == []
    rows = project.store.run(run_id)
    assert rows is not None
    assert rows.timers == {}


def test_a_run_that_has_not_begun_ends_cancelled_with_its_outcome() -> None:
    project = Project(plan(uses("a")), plan(uses("heard"), pipeline="listener", on="pipeline/p.cancelled"))
    run_id = project.call("p")
    project.cancel(run_id)
    project.run_until_idle()
    assert project.finished(run_id).status == "cancelled"
    assert project.order() == ["heard"]


def test_a_run_that_has_ended_stays_as_it_is() -> None:
    project = Project(plan(uses("a")))
    done = project.go()
    project.cancel(done.id)
    project.run_until_idle()
    assert project.finished(done.id).status == "succeeded"


def test_finally_bodies_that_wait_and_fan_out_are_finished_and_cancelling_again_changes_nothing() -> None:
    final = (sleep("1m"), uses("each", foreach=Foreach("[1, 2]")), parallel("both", uses("x"), uses("y")))
    project = Project(plan(steps("box", sleep("1h"), final=final), uses("never")))
    run_id = project.call("p")
    project.run_ready()
    for _ in range(3):
        project.cancel(run_id)
        project.run_ready()
    project.run_until_idle()
    assert project.finished(run_id).status == "cancelled"
    assert sorted(project.order()) == ["each[0]", "each[1]", "x", "y"]
    assert project.elapsed_ms() == 60_000


def test_a_cancel_during_finally_lets_it_end_and_stops_what_follows() -> None:
    project = Project(plan(steps("box", uses("a"), final=(sleep("1h"), uses("b"))), uses("never")))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    done = project.finished(run_id)
    assert (done.status, done.statuses()["box"]) == ("cancelled", "succeeded")
    assert project.order() == ["a", "b"]


def test_a_cancel_during_on_failure_changes_nothing() -> None:
    project = Project(plan(fail("bad"), on_failure=[sleep("30m"), uses("alarm")]))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    assert project.finished(run_id).status == "failed"
    assert project.order() == ["alarm"]


def test_a_failure_that_comes_out_of_a_finally_after_the_cancel_is_not_caught() -> None:
    box = steps("box", uses("a"), final=(sleep("1h"), fail("late")))
    project = Project(plan(steps("outer", box, catch=(arm(uses("caught")),), final=(uses("f"),))))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    assert project.finished(run_id).status == "cancelled"
    assert project.order() == ["a", "f"]
    assert project.times(run_id, "step.caught") == []


def test_a_failing_finally_does_not_hide_the_cancellation() -> None:
    project = Project(plan(steps("box", sleep("1h"), final=(fail("worse"),))))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    assert project.finished(run_id).status == "cancelled"


def test_a_result_that_comes_while_its_run_is_being_cancelled_is_recorded() -> None:
    project = Project(plan(uses("a"), uses("never")))

    def handler(call: Any) -> Any:
        project.cancel(run_id)
        return {"v": 1}

    project.handlers["a"] = handler
    run_id = project.call("p")
    project.run_until_idle()
    done = project.finished(run_id)
    assert (done.status, done.outputs()) == ("cancelled", {"a": {"v": 1}})
    assert project.order() == ["a"]


# While a handler runs -----------------------------------------------------------------------------------------------


class Scope:
    """One scope driven by hand, as a worker does while a handler is at work."""

    def __init__(self, made: Plan) -> None:
        self.program = Program(made)
        self.state = ScopeState()
        self.view = RunView("r1", "p", "v1", RunMeta(Event("e1", "x/y", {}), created_ms=T0))
        self.turn({"kind": "start"}, flight="lost")

    def turn(self, *facts: dict[str, Any], flight: Flight = "none", attempt: AttemptEnd | None = None) -> Turn:
        self.last = advance(
            self.program,
            self.view,
            self.state,
            facts,
            now_ms=T0,
            rng=seeded_rng(1),
            outside=ANYWHERE,
            flight=flight,
            attempt=attempt,
        )
        return self.last


CANCEL = {"kind": "cancel", "reason": "enough"}
TIMEOUT = {"kind": "timer", "id": "timeout:box"}
ENDS = [
    ("succeeds", AttemptEnd("a", 1, {"v": 1}), "succeeded"),
    ("fails for good", AttemptEnd("a", 1, error=ErrorInfo("permanent", "bad")), "cancelled"),
    ("would be retried", AttemptEnd("a", 1, error=ErrorInfo("transient", "bad")), "cancelled"),
    ("says that it was cancelled", AttemptEnd("a", 1, error=ErrorInfo("cancelled", "cancelled")), "cancelled"),
    ("snoozes", AttemptEnd("a", 1, snooze_ms=1_000), "cancelled"),
]
BOX = steps("box", uses("a", catch=(arm(output="caught"),), tolerate=Tolerate()), uses("never"), timeout_ms=1_000)


@pytest.mark.parametrize("fact", [CANCEL, TIMEOUT], ids=["cancel", "time-out"])
@pytest.mark.parametrize(("end", "status"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_a_handler_in_flight_is_told_and_awaited(end: AttemptEnd, status: str, fact: dict[str, Any]) -> None:
    scope = Scope(plan(BOX))
    told = scope.turn(fact, flight="running")
    assert (told.stop_call, told.status, told.call) == (True, "held", None)
    assert scope.turn(flight="running").stop_call
    over = scope.turn(attempt=end)
    assert over.status == "ended"
    assert over.call is None
    assert over.records["a"].status == status
    assert over.records["box"].status == ("cancelled" if fact is CANCEL else "timed_out")
    assert over.run_end is not None
    assert over.run_end.status == ("cancelled" if fact is CANCEL else "failed")
    assert not [timer for timer in over.timers.values() if timer.id not in over.cleared]


def test_a_fact_that_means_nothing_leaves_the_call_alone() -> None:
    scope = Scope(plan(BOX))
    for fact in (
        {"kind": "timer", "id": "retry:a"},
        {"kind": "timer", "id": "timeout:other"},
        {"kind": "joined", "group": "g", "closed": False},
    ):
        turn = scope.turn(fact, flight="running")
        assert (turn.stop_call, turn.status, turn.writes) == (False, "held", False)
    assert scope.turn(attempt=AttemptEnd("a", 1, {})).records["a"].status == "succeeded"


@pytest.mark.parametrize(
    "end",
    [AttemptEnd("a", 2, {}), AttemptEnd("a", 0, {}), AttemptEnd("b", 1, {})],
    ids=["later", "earlier", "other step"],
)
def test_the_end_of_a_call_that_nobody_waits_for_is_dropped(end: AttemptEnd) -> None:
    scope = Scope(plan(uses("a"), uses("b")))
    turn = scope.turn(attempt=end)
    assert turn.records == {}
    assert turn.call is not None
    assert (turn.call.instance, turn.call.attempt) == ("a", 1)


def test_a_retry_that_comes_due_together_with_a_cancel_is_not_made() -> None:
    scope = Scope(plan(uses("a", final=(sets("f", v=1),))))
    scope.turn(attempt=AttemptEnd("a", 1, error=ErrorInfo("transient", "x")))
    turn = scope.turn({"kind": "timer", "id": "retry:a"}, CANCEL, flight="lost")
    assert turn.call is None
    assert turn.run_end is not None
    assert (turn.run_end.status, turn.records["f"].status) == ("cancelled", "succeeded")


def test_a_join_that_comes_together_with_a_cancel_or_after_a_timeout_does_not_go_on() -> None:
    joined = {"kind": "joined", "group": "box", "done": 1, "failed": 0, "closed": False, "error": None}
    for fact, status in ((CANCEL, "cancelled"), (TIMEOUT, "failed")):
        scope = Scope(plan(parallel("box", sleep("1h"), timeout_ms=1_000), uses("never")))
        turn = scope.turn(fact, joined, flight="lost")
        assert turn.run_end is not None
        assert (turn.run_end.status, turn.call) == (status, None)
    scope = Scope(plan(parallel("box", sleep("1h"), timeout_ms=1_000), uses("next")))
    late = scope.turn(joined, TIMEOUT, flight="lost")
    assert late.call is not None
    assert "timeout:box" in late.cleared


def test_the_join_of_another_group_is_passed_over() -> None:
    scope = Scope(plan(parallel("box", sleep("1h")), uses("next")))
    turn = scope.turn({"kind": "joined", "group": "other", "closed": False, "error": None}, flight="lost")
    assert (turn.status, turn.call) == ("waiting", None)


def test_a_group_is_told_again_by_each_turn_until_it_has_joined() -> None:
    scope = Scope(plan(parallel("box", sleep("1h"))))
    for facts in ((CANCEL,), (CANCEL,), ()):
        turn = scope.turn(*facts, flight="lost")
        assert (turn.cancels, turn.status) == (["box"], "waiting")
