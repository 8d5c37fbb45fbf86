"""Outputs that are reused across runs, and events that are sent later."""

from __future__ import annotations

from typing import Any

from flowlang.plan import Cache, Foreach, Undo, Uses
from tests.unit.engine.building import CRASH, Project, broken, emit, fail, invoke, plan, script, sets, sleep, uses

HOUR = 3_600_000
KEPT = Cache("event.data.k", HOUR)


def outputs(project: Project, *keys: Any) -> list[Any]:
    found = []
    for key in keys:
        run_id = project.call("p", {"k": key})
        project.run_ready()
        found.append(project.finished(run_id).outputs().get("a"))
    return found


def test_an_output_is_reused_under_its_key() -> None:
    project = Project(plan(uses("a", cache=KEPT)), a=script(1, 2, 3))
    assert outputs(project, "x", "x", "y", "x") == [1, 1, 2, 1]
    assert project.called("a") == 2


def test_it_is_forgotten_after_its_time() -> None:
    project = Project(plan(uses("a", cache=KEPT)), a=script(1, 2))
    assert outputs(project, "x") == [1]
    project.clock.advance(HOUR)
    assert outputs(project, "x") == [2]


def test_a_failure_is_not_kept() -> None:
    project = Project(plan(uses("a", cache=KEPT)), a=script(broken(), 2, 3))
    assert outputs(project, "x", "x", "x") == [None, 2, 2]


def test_no_output_is_kept_as_none() -> None:
    project = Project(plan(uses("a", cache=KEPT)), a=script(None, 2))
    assert outputs(project, "x", "x") == [None, None]
    assert project.called("a") == 1


def test_a_run_of_another_pipeline_and_another_step_have_their_own() -> None:
    project = Project(plan(uses("a", cache=KEPT), uses("b", "a", cache=KEPT)), a=script(1, 2))
    run_id = project.call("p", {"k": 1})
    project.run_ready()
    assert project.finished(run_id).outputs() == {"a": 1, "b": 2}


def test_a_child_run_is_saved_by_its_output() -> None:
    child = plan(uses("work"), pipeline="child", output="${{ steps.work.output }}")
    project = Project(plan(invoke("a", "child", cache=KEPT)), child, work=script(1, 2))
    assert outputs(project, "x", "x") == [1, 1]


def test_each_item_asks_for_itself() -> None:
    part = uses(
        "a", given={"n": "${{ item }}"}, foreach=Foreach("[1, 2, 1]", max_parallel=1), cache=Cache("item", HOUR)
    )
    project = Project(plan(part))
    project.go()
    assert project.called("a") == 2


def test_a_reused_output_leaves_nothing_to_undo() -> None:
    part = uses("a", cache=KEPT, undo=Undo(Uses("undo", {"of": 1})))
    project = Project(plan(part, fail("late")))
    outputs(project, "x", "x")
    assert project.called("undo") == 1


def test_a_key_without_a_value_fails_the_step() -> None:
    project = Project(plan(uses("a", cache=Cache("event.data.nope", HOUR))))
    done = project.go({"k": 1})
    assert done.error is not None
    assert (done.error.code, done.error.step, project.called("a")) == ("expression", "a", 0)


def test_a_worker_that_is_lost_after_the_question_asks_again() -> None:
    project = Project(plan(uses("a", cache=KEPT)), a=script(CRASH, 5))
    done = project.go({"k": 1})
    assert done.outputs() == {"a": 5}


# Delayed events -----------------------------------------------------------------------------------------------------


def test_an_event_is_sent_when_its_delay_is_over() -> None:
    listener = plan(sets("at", t="${{ event.time }}"), pipeline="listener", on="shop/later")
    project = Project(plan(emit("shop/later", {"n": 1}, key="e", delay="90m")), listener)
    run_id = project.call("p")
    project.run_ready()
    assert project.finished(run_id).status == "succeeded"
    assert project.store.runs(pipeline="listener") == []
    project.run_until_idle()
    (row,) = project.store.runs(pipeline="listener")
    assert project.finished(row.id).outputs()["at"] == {"t": "2026-01-01T01:30:00.000Z"}
    assert project.elapsed_ms() == 5_400_000


def test_a_delay_may_be_computed_or_be_a_moment_that_is_over() -> None:
    for text, ms in [("${{ duration('1h') }}", HOUR), ("2025-01-01T00:00:00Z", 0), ("2026-01-01T00:00:05Z", 5_000)]:
        project = Project(plan(emit("shop/later", delay=text)), plan(uses("h"), pipeline="listener", on="shop/later"))
        project.go()
        assert (project.called("h"), project.elapsed_ms()) == (1, ms)


def test_a_delayed_event_goes_by_the_manifest_of_then() -> None:
    made = plan(emit("shop/later", delay="1h"))
    project = Project(made, plan(uses("old"), pipeline="listener", on="shop/later"), new=lambda _: None)
    project.call("p")
    project.run_ready()
    project.deploy([made, plan(uses("new"), pipeline="listener", on="shop/later")])
    project.run_until_idle()
    assert (project.called("old"), project.called("new")) == (0, 1)


def test_an_event_outlives_the_run_that_sent_it() -> None:
    made = plan(emit("shop/later", delay="1h"), sleep("1s"), fail("late"))
    project = Project(made, plan(uses("h"), pipeline="listener", on="shop/later"))
    assert (project.go().status, project.called("h")) == ("failed", 1)
