"""Runs that run other pipelines: outputs, failures, ends that go down, and calls that nobody waits for."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import Sweep
from flowlang.engine.turn import Call
from flowlang.plan import EventTrigger, Foreach, Idempotency, Repeat, Tolerate
from tests.unit.engine.building import (
    Part,
    Project,
    arm,
    broken,
    fail,
    invoke,
    parallel,
    plan,
    race,
    script,
    sets,
    sleep,
    steps,
    uses,
    wait,
)

CHILD = plan(sets("double", v="${{ event.data.n * 2 }}"), pipeline="child", output="${{ steps.double.output.v }}")


def runs_of(project: Project, pipeline: str) -> list[str]:
    return [row.id for row in reversed(project.store.runs(pipeline=pipeline, limit=100))]


def test_the_output_of_the_child_is_the_steps() -> None:
    project = Project(plan(invoke("c", "child", {"n": 21}), sets("s", v="${{ steps.c.output }}")), CHILD)
    done = project.go()
    assert (done.status, done.outputs()["c"], done.outputs()["s"]) == ("succeeded", 42, {"v": 42})


def test_a_child_without_output_gives_none() -> None:
    made = plan(invoke("c", "child"), sets("s", has="${{ has(steps.c.output) }}"))
    assert Project(made, plan(sets("x", v=1), pipeline="child")).go().outputs()["s"] == {"has": False}


def test_a_child_knows_its_parent_and_its_root() -> None:
    grandchild = plan(sets("about", v="${{ [run.parent, run.root] }}"), pipeline="grandchild")
    child = plan(invoke("g", "grandchild"), pipeline="child")
    project = Project(plan(invoke("c", "child")), child, grandchild)
    done = project.go()
    (child_id,), (grandchild_id,) = runs_of(project, "child"), runs_of(project, "grandchild")
    assert project.finished(grandchild_id).outputs()["about"] == {"v": [child_id, done.id]}


def test_the_failure_of_a_child_is_the_steps_error_and_no_dead_letter_of_its_own() -> None:
    child = plan(fail("no.stock", "nothing left"), pipeline="child")
    project = Project(plan(invoke("c", "child")), child)
    done = project.go()
    error = done.error
    assert error is not None
    assert (done.status, error.code, error.message, error.step) == ("failed", "no.stock", "nothing left", "c")
    assert [letter.id for letter in project.store.dead_letters()] == [done.id]


CURES: list[tuple[str, Part]] = [
    ("tolerated", invoke("c", "child", tolerate=Tolerate())),
    ("caught", invoke("c", "child", catch=(arm(sets("why", c="${{ error.code }}")),))),
]


@pytest.mark.parametrize("part", [case[1] for case in CURES], ids=[case[0] for case in CURES])
def test_the_failure_of_a_child_can_be_cured(part: Part) -> None:
    project = Project(plan(part), plan(fail("no.stock"), pipeline="child"))
    assert project.go().status == "succeeded"
    assert project.store.dead_letters() == []


def test_a_child_that_was_cancelled_fails_the_step_as_a_resource() -> None:
    project = Project(plan(invoke("c", "child")), plan(sleep("1h"), pipeline="child"))
    run_id = project.call("p")
    project.run_ready()
    (child,) = runs_of(project, "child")
    project.cancel(child)
    project.run_until_idle()
    error = project.finished(run_id).error
    assert error is not None
    assert (error.error_class, error.code) == ("resource", "run.cancelled")


def test_data_that_the_child_does_not_take_fail_the_step_at_once() -> None:
    child = plan(sets("x", v=1), pipeline="child", input_schema={"type": "object", "required": ["n"]})
    project = Project(plan(invoke("c", "child", {"m": 1})), child)
    error = project.go().error
    assert error is not None
    assert (error.error_class, error.code) == ("permanent", "input.invalid")
    assert runs_of(project, "child") == []


def test_a_pipeline_that_is_not_there_fails_the_step() -> None:
    error = Project(plan(invoke("c", "nobody"))).go().error
    assert error is not None
    assert error.code == "pipeline.unknown"


WAITING: list[tuple[str, Part]] = [
    ("in line", invoke("c", "child")),
    ("in a branch", parallel("both", invoke("c", "child"), sleep("2h", "other"))),
    ("in items", invoke("c", "child", foreach=Foreach("[1, 2]"))),
    ("in rounds", invoke("c", "child", repeat=Repeat("index == 1"))),
]


@pytest.mark.parametrize("part", [case[1] for case in WAITING], ids=[case[0] for case in WAITING])
def test_a_cancel_goes_down_and_the_child_is_awaited(part: Part) -> None:
    project = Project(plan(part), plan(sleep("1h", final=(uses("tidy"),)), pipeline="child"))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id, "enough")
    project.run_until_idle()
    assert project.finished(run_id).status == "cancelled"
    children = runs_of(project, "child")
    assert [project.finished(child).status for child in children] == ["cancelled"] * len(children)
    assert (project.called("tidy"), project.elapsed_ms()) == (len(children), 0)


def test_a_timeout_of_the_step_cancels_the_child() -> None:
    made = plan(invoke("c", "child", timeout_ms=1_000, tolerate=Tolerate()))
    project = Project(made, plan(sleep("1h"), pipeline="child"))
    done = project.go()
    assert (done.status, done.statuses()["c"], project.elapsed_ms()) == ("succeeded", "timed_out", 1_000)
    assert project.finished(runs_of(project, "child")[0]).status == "cancelled"


def test_a_child_that_loses_a_race_is_cancelled() -> None:
    project = Project(plan(race("r", invoke("c", "child"), sleep("1s", "s"))), plan(sleep("1h"), pipeline="child"))
    assert project.go().status == "succeeded"
    assert project.finished(runs_of(project, "child")[0]).status == "cancelled"


def test_a_call_that_nobody_waits_for_gives_the_id_of_its_run() -> None:
    child = plan(sleep("1h"), fail("late"), pipeline="child")
    project = Project(plan(invoke("c", "child", wait=False), uses("after")), child)
    run_id = project.call("p")
    project.run_ready()
    done = project.finished(run_id)
    (child_id,) = runs_of(project, "child")
    assert (done.status, done.outputs()["c"]) == ("succeeded", {"id": child_id})
    project.run_until_idle()
    assert project.finished(child_id).status == "failed"
    assert [letter.id for letter in project.store.dead_letters()] == [child_id]


def test_the_same_key_gives_the_run_that_has_it() -> None:
    child = plan(uses("work"), pipeline="child", idempotency=Idempotency("event.data.k"), output="${{ run.id }}")
    calls = [invoke("a", "child", {"k": 1}), invoke("b", "child", {"k": 1}), invoke("d", "child", {"k": 1}, wait=False)]
    project = Project(plan(*calls), child)
    outputs = project.go().outputs()
    assert outputs["a"] == outputs["b"] == outputs["d"]["id"]
    assert project.called("work") == 1


def test_a_run_that_follows_anothers_is_not_kept_from_being_cancelled() -> None:
    child = plan(sleep("1h"), pipeline="child", idempotency=Idempotency("event.data.k"))
    project = Project(plan(invoke("c", "child", {"k": 1})), child)
    holder = project.call("child", {"k": 1})
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_ready()
    assert (project.finished(run_id).status, project.finished(holder).status) == ("cancelled", "running")


def test_each_item_and_each_round_has_a_run_of_its_own() -> None:
    items = invoke("c", "child", {"n": "${{ item }}"}, foreach=Foreach("[1, 2, 3]"))
    again = invoke("d", "child", {"n": "${{ index }}"}, repeat=Repeat("index == 1"))
    project = Project(plan(items, again, output="${{ steps.c.output }}"), CHILD)
    done = project.go()
    assert (done.output, done.outputs()["d"]) == ([2, 4, 6], 2)
    assert len(runs_of(project, "child")) == 5


def test_the_waits_of_a_child_look_back_to_the_event_of_its_root() -> None:
    project = Project(plan(sleep("1h"), invoke("c", "child")), plan(wait("paid", "shop/paid"), pipeline="child"))
    run_id = project.call("p")
    project.run_ready()
    project.send("shop/paid", {"n": 1})
    project.run_until_idle()
    assert project.finished(run_id).status == "succeeded"


def test_keys_of_a_childs_steps_derive_from_the_step_that_invoked_it() -> None:
    project = Project(plan(invoke("a", "child"), invoke("b", "child")), plan(uses("work"), pipeline="child"))
    project.go()
    assert len({call.idempotency_key for call in project.calls}) == 2


def test_a_call_starts_those_that_it_triggers() -> None:
    listener = plan(uses("heard"), pipeline="listener", triggers=(EventTrigger(("pipeline/child.called",)),))
    project = Project(plan(invoke("c", "child", {"n": 1})), CHILD, listener)
    project.go()
    assert project.called("heard") == 1


def test_workers_that_are_lost_at_every_turn_cost_nothing() -> None:
    project = Project(plan(invoke("c", "child", {"n": 1}), uses("after")), CHILD)
    run_id = project.call("p")
    while project.claim() is not None:
        project.lose_worker()
        project.clock.advance(11_000)
        project.apply(Sweep())
        row = project.claim()
        assert row is not None
        project.work(row)
    assert project.finished(run_id).status == "succeeded"
    assert (len(runs_of(project, "child")), project.called("after")) == (1, 1)


def test_a_child_is_retried_by_nothing_but_a_repeat() -> None:
    project = Project(plan(invoke("c", "child")), plan(uses("work"), pipeline="child"), work=script(broken()))
    assert (project.go().status, project.called("work")) == ("failed", 1)


def test_a_deploy_without_the_pipeline_between_turn_and_commit_fails_the_step() -> None:
    made = plan(uses("first"), invoke("c", "child", {"n": 1}))
    project: Project

    def first(_: Call) -> None:
        project.deploy([made])

    project = Project(made, CHILD, first=first)
    error = project.go().error
    assert error is not None
    assert error.code in {"run.refused", "pipeline.unknown"}


def test_steps_in_a_box_go_on_after_the_child() -> None:
    box = steps("box", invoke("c", "child", {"n": 2}), output="${{ steps.c.output + 1 }}")
    assert Project(plan(box), CHILD).go().outputs()["box"] == 5
