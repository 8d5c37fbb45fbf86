"""Workers that are lost while a handler runs: the same attempt again, `crashed` in the end, `once` never twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.engine.attempts import MAX_RESCUES
from flowlang.engine.turn import Call
from flowlang.plan import Foreach, Step, Tolerate, Uses
from flowlang.simulate import LEASE_MS, SimulatedSnooze
from tests.unit.engine.building import (
    CRASH,
    Part,
    Project,
    arm,
    broken,
    emit,
    parallel,
    plan,
    script,
    sets,
    steps,
    uses,
)

#: Ways to a call: the first of a run, after a commit, after a back-off, in a child, behind a join.
PLACES: list[tuple[str, list[Part], str]] = [
    ("first in its run", [uses("a")], "a"),
    ("after another step", [uses("before"), uses("a")], "a"),
    ("after a step without a handler", [sets("before", v=1), uses("a")], "a"),
    ("in a container with a time-out", [steps("box", uses("a"), timeout_ms=3_600_000)], "a"),
    ("in an item", [uses("a", foreach=Foreach("[1]"))], "a[0]"),
    ("in a branch", [parallel("both", uses("a"))], "a"),
    ("behind a join", [uses("each", foreach=Foreach("[1, 2]")), uses("a")], "a"),
    ("in a catch body", [uses("bad", catch=(arm(uses("a")),))], "a"),
    ("in a finally body", [uses("before", final=(uses("a"),))], "a"),
    ("with the time in its arguments", [uses("a", given={"at": "${{ now() }}", "run": "${{ run.started_at }}"})], "a"),
]
IDS = [case[0] for case in PLACES]


@pytest.mark.parametrize("crashes", range(MAX_RESCUES + 1))
@pytest.mark.parametrize(("parts", "instance"), [case[1:] for case in PLACES], ids=IDS)
def test_a_lost_attempt_is_made_again_with_the_same_number_and_arguments(
    parts: list[Part], instance: str, crashes: int
) -> None:
    handler = script(*[CRASH] * crashes, {"v": 1})
    project = Project(plan(*parts), a=handler, bad=script(broken()))
    done = project.go()
    assert done.status == "succeeded"
    assert [(call.instance, call.attempt) for call in handler.calls] == [(instance, 1)] * (crashes + 1)
    assert len({call.idempotency_key for call in handler.calls}) == 1
    assert all(call.arguments == handler.calls[0].arguments for call in handler.calls)
    assert done.records[instance].attempts == 1
    others = [name for name in project.order() if name != instance]
    assert len(others) == len(set(others))
    assert project.elapsed_ms() == crashes * LEASE_MS


@pytest.mark.parametrize(("parts", "instance"), [case[1:] for case in PLACES], ids=IDS)
def test_a_handler_that_always_kills_its_worker_is_given_up(parts: list[Part], instance: str) -> None:
    handler = script(CRASH)
    project = Project(plan(*parts), a=handler, bad=script(broken()))
    done = project.go()
    assert len(handler.calls) == MAX_RESCUES + 1
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.code) == ("failed", "permanent", "crashed")
    assert done.error.step == instance
    assert [letter.id for letter in project.store.dead_letters()] == [done.id]


def test_a_handler_that_kills_its_worker_in_a_later_attempt_is_given_up_too() -> None:
    handler = script(broken("x", "transient"), CRASH)
    done = Project(plan(uses("a")), a=handler).go()
    assert [call.attempt for call in handler.calls] == [1] + [2] * (MAX_RESCUES + 1)
    assert done.error is not None
    assert (done.error.code, done.error.attempts) == ("crashed", 2)


def test_a_handler_that_kills_its_worker_after_a_snooze_is_given_up_too() -> None:
    handler = script(SimulatedSnooze(1_000), CRASH)
    assert Project(plan(uses("a")), a=handler).go().status == "failed"
    assert len(handler.calls) == MAX_RESCUES + 2


def test_a_crash_can_be_caught_and_tolerated_and_is_not_retried() -> None:
    caught = Project(plan(uses("a", catch=(arm(errors=["crashed"], output="gave up"),))), a=script(CRASH)).go()
    assert caught.outputs()["a"] == "gave up"
    project = Project(plan(uses("a", tolerate=Tolerate()), uses("b")), a=script(CRASH))
    assert project.go().statuses() == {"a": "failed", "b": "succeeded"}


def test_rescues_are_counted_anew_for_each_attempt() -> None:
    bad = broken("x", "transient")
    handler = script(CRASH, CRASH, CRASH, bad, CRASH, CRASH, CRASH, bad, {})
    project = Project(plan(uses("a"), uses("b")), a=handler)
    assert project.go().status == "succeeded"
    assert [call.attempt for call in handler.calls] == [1] * 4 + [2] * 4 + [3]


def test_a_neighbour_that_crashes_does_not_disturb_the_others() -> None:
    def handler(call: Call) -> Any:
        if call.instance == "a[1]" and sum(each.instance == "a[1]" for each in project.calls) < 3:
            raise CRASH
        return call.instance

    project = Project(plan(uses("a", foreach=Foreach("[1, 2, 3]")), output="${{ steps.a.output }}"), a=handler)
    assert project.go().output == ["a[0]", "a[1]", "a[2]"]
    assert sorted(project.order()) == ["a[0]", "a[1]", "a[1]", "a[1]", "a[2]"]


# once ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("parts", "instance"), [case[1:] for case in PLACES], ids=IDS)
def test_a_lost_call_of_an_effect_that_happens_once_is_never_repeated(parts: list[Part], instance: str) -> None:
    made = plan(*parts)
    once = tuple(_made_once(step) for step in made.steps)
    handler = script(CRASH)
    project = Project(msgspec.structs.replace(made, steps=once), a=handler, bad=script(broken()))
    done = project.go()
    assert len(handler.calls) == 1
    assert done.error is not None
    assert (done.status, done.error.code, done.error.step) == ("failed", "unknown_outcome", instance)


def _made_once(step: Step) -> Step:
    if step.key != "a" or not isinstance(step.verb, Uses):
        return step
    return msgspec.structs.replace(step, verb=msgspec.structs.replace(step.verb, effect="once"))


def test_an_unknown_outcome_can_be_caught() -> None:
    made = plan(uses("a", effect="once", catch=(arm(errors=["unknown_outcome"], output="ask somebody"),)))
    assert Project(made, a=script(CRASH)).go().outputs()["a"] == "ask somebody"


def test_each_item_happens_once() -> None:
    def handler(call: Call) -> Any:
        if call.instance == "a[1]":
            raise CRASH
        return call.instance

    made = plan(
        uses("a", effect="once", foreach=Foreach("[1, 2, 3]"), tolerate=Tolerate()), output="${{ steps.a.output }}"
    )
    project = Project(made, a=handler)
    assert project.go().output == ["a[0]", None, "a[2]"]
    assert sorted(project.order()) == ["a[0]", "a[1]", "a[2]"]


def test_what_a_lost_worker_had_not_committed_is_not_sent() -> None:
    made = plan(emit("shop/paid"), uses("a"), emit("shop/paid"))
    listener = plan(uses("heard"), pipeline="listener", on="shop/paid")
    project = Project(made, listener, a=script(CRASH, CRASH, {}))
    project.go()
    assert project.called("heard") == 2
