"""Compensation: what had succeeded is undone, newest first, when the run fails or is cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang import jsondata
from flowlang.engine import sealed_fields
from flowlang.plan import Foreach, Invoke, Repeat, RetryRule, Tolerate, Undo, Uses
from tests.unit.engine.building import (
    CRASH,
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
)


def did(name: str, **more: Any) -> Part:
    """A step with an undo that says what it takes back."""
    back = Undo(Uses("undo", {"of": f"${{{{ steps.{name}.output.name }}}}"}))
    return uses(name, "do", {"name": name}, undo=back, **more)


def undone(project: Project) -> list[Any]:
    return [call.arguments["of"] for call in project.calls if call.handler == "undo"]


def test_what_had_succeeded_is_undone_newest_first() -> None:
    project = Project(plan(did("a"), did("b"), did("c"), fail("late")))
    done = project.go()
    assert (done.status, undone(project)) == ("failed", ["c", "b", "a"])
    assert [done.statuses()[f"{name}.undo"] for name in "abc"] == ["succeeded"] * 3


@pytest.mark.parametrize("failing", range(4))
def test_a_failure_at_any_step_undoes_exactly_what_came_before(failing: int) -> None:
    parts = [did("s0"), did("s1"), did("s2"), did("s3")]
    project = Project(plan(*parts), do=script(*[{"name": f"s{n}"} for n in range(failing)], broken()))
    project.go()
    assert undone(project) == [f"s{n}" for n in reversed(range(failing))]


def test_a_cancel_undoes_as_well() -> None:
    project = Project(plan(did("a"), sleep("1h"), did("b")))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    assert (project.finished(run_id).status, undone(project), project.elapsed_ms()) == ("cancelled", ["a"], 0)
    assert project.store.dead_letters() == []


def test_a_run_that_succeeds_or_does_not_compensate_undoes_nothing() -> None:
    for made in (plan(did("a")), plan(did("a"), fail("late"), compensate=False)):
        project = Project(made)
        project.go()
        assert undone(project) == []


def test_undos_come_after_finally_and_before_on_failure() -> None:
    box = steps("box", did("a"), fail("late"), final=(uses("tidy"),))
    project = Project(plan(box, on_failure=[uses("alarm")]))
    project.go()
    assert [call.handler for call in project.calls] == ["do", "tidy", "undo", "alarm"]


NOTHING: list[tuple[str, Part]] = [
    ("failed", did("a", tolerate=Tolerate())),
    ("skipped", did("a", condition="false")),
    ("caught", did("a", catch=(arm(output=1),))),
]


@pytest.mark.parametrize("part", [case[1] for case in NOTHING], ids=[case[0] for case in NOTHING])
def test_a_step_that_did_not_do_its_work_is_not_undone(part: Part) -> None:
    project = Project(plan(part, fail("late")), do=script(broken()))
    project.go()
    assert undone(project) == []


def test_a_step_whose_finally_failed_had_done_its_work() -> None:
    project = Project(plan(did("a", final=(fail("late"),))))
    project.go()
    assert undone(project) == ["a"]


GROUPS: list[tuple[str, Part, set[str]]] = [
    ("items", did("a", foreach=Foreach("[1, 2, 3]")), {"a[0].undo", "a[1].undo", "a[2].undo"}),
    (
        "steps in items",
        steps("e", did("a"), did("b"), foreach=Foreach("[1, 2]")),
        {"e[0].a.undo", "e[0].b.undo", "e[1].a.undo", "e[1].b.undo"},
    ),
    ("rounds", did("a", repeat=Repeat("index == 1")), {"a[0].undo", "a[1].undo"}),
    ("branches", parallel("p", did("a"), did("b")), {"a.undo", "b.undo"}),
    ("losers of a race", race("r", sleep("1s"), steps("s", did("b"), sleep("1h"))), {"b.undo"}),
]


@pytest.mark.parametrize(("part", "names"), [case[1:] for case in GROUPS], ids=[case[0] for case in GROUPS])
def test_undos_go_through_fan_out(part: Part, names: set[str]) -> None:
    done = Project(plan(part, fail("late"))).go()
    assert {name for name in done.statuses() if name.endswith(".undo")} == names


def test_the_undo_of_an_item_sees_its_item_and_its_own_output() -> None:
    back = Undo(Uses("undo", {"of": "${{ [item, index, steps.a.output.n] }}"}))
    part = uses("a", "do", {"n": "${{ item }}"}, foreach=Foreach("[1, 2]"), undo=back)
    project = Project(plan(part, fail("late")))
    project.go()
    assert sorted(undone(project)) == [[1, 0, 1], [2, 1, 2]]


def test_arguments_are_those_of_the_moment_and_the_error_is_the_ends() -> None:
    given = {
        "at": "${{ string(now()) }}",
        "why": "failed with ${{ error.code }} in ${{ steps.a.output.x }}",
        "raw": "${{ steps.a.output.t }}",
    }
    made = plan(uses("a", "do", undo=Undo(Uses("undo", given))), sleep("1h"), fail("late"))
    project = Project(made, do=script({"x": "x ${{ 1 }}", "t": "$${{ 2 }}"}))
    project.go()
    assert project.calls[-1].arguments == {
        "at": "2026-01-01T00:00:00Z",
        "why": "failed with late in x ${{ 1 }}",
        "raw": "$${{ 2 }}",
    }


def test_an_undo_is_retried_by_its_own_policy_with_one_key() -> None:
    rule = ((RetryRule(("transient",), attempts=3, initial_ms=10),),)
    part = uses("a", undo=Undo(Uses("undo", {"of": 1}), rule))
    project = Project(plan(part, fail("late")), undo=script(broken("net", "transient"), broken("net", "transient"), {}))
    done = project.go()
    assert done.records["a.undo"].attempts == 3
    assert len({call.idempotency_key for call in project.calls if call.handler == "undo"}) == 1
    assert project.calls[0].idempotency_key != project.calls[1].idempotency_key


def incomplete(project: Project) -> list[str]:
    (letter,) = project.store.dead_letters()
    found: list[str] = jsondata.loads(project.sealer.open(letter.body, sealed_fields.DEAD)).get("incomplete", [])
    return found


def test_an_undo_that_fails_leaves_the_others_to_be_undone_and_the_dead_letter_says_so() -> None:
    project = Project(plan(did("a"), did("b"), did("c"), fail("late")), undo=script({}, broken("gone"), {}))
    done = project.go()
    assert [done.statuses()[f"{name}.undo"] for name in "cba"] == ["succeeded", "failed", "succeeded"]
    assert incomplete(project) == ["b.undo"]


def test_a_cancelled_run_with_an_undo_that_failed_is_a_dead_letter_too() -> None:
    project = Project(plan(did("a"), sleep("1h")), undo=script(broken("gone")))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    assert incomplete(project) == ["a.undo"]


def test_a_worker_that_is_lost_in_an_undo_costs_nothing() -> None:
    project = Project(plan(did("a"), did("b"), fail("late")), undo=script(CRASH, {}, CRASH, {}))
    done = project.go()
    assert (undone(project), done.statuses()["a.undo"]) == (["b", "b", "a", "a"], "succeeded")


UNKNOWN: list[tuple[str, bool, list[str]]] = [("with unknown", True, ["pay"]), ("without", False, [])]


@pytest.mark.parametrize(("unknown", "wanted"), [case[1:] for case in UNKNOWN], ids=[case[0] for case in UNKNOWN])
def test_an_attempt_of_unknown_outcome_is_undone_if_the_step_says_so(unknown: bool, wanted: list[str]) -> None:
    part = uses("pay", effect="once", undo=Undo(Uses("undo", {"of": "pay"}), unknown=unknown))
    project = Project(plan(part), pay=script(CRASH))
    done = project.go()
    assert done.error is not None
    assert (done.error.code, undone(project)) == ("unknown_outcome", wanted)


def test_arguments_that_cannot_be_computed_fail_the_undo_and_not_the_step() -> None:
    part = uses("a", undo=Undo(Uses("undo", {"of": "${{ steps.a.output.nope }}"})))
    project = Project(plan(part, fail("late")))
    done = project.go()
    assert (done.statuses()["a"], done.statuses()["a.undo"], undone(project)) == ("succeeded", "failed", [])
    assert incomplete(project) == ["a.undo"]


# Children -----------------------------------------------------------------------------------------------------------


def test_a_finished_child_is_undone_as_one_with_its_own_list() -> None:
    child = plan(did("x"), did("y"), pipeline="child")
    project = Project(plan(did("a"), invoke("c", "child"), did("b"), fail("late")), child)
    done = project.go()
    assert undone(project) == ["b", "y", "x", "a"]
    assert {name for name in done.statuses() if name.endswith(".undo")} == {"b.undo", "c/y.undo", "c/x.undo", "a.undo"}
    (child_id,) = [row.id for row in project.store.runs(pipeline="child")]
    assert project.finished(child_id).status == "succeeded"


def test_the_undo_that_an_invoke_writes_replaces_the_childs_list() -> None:
    child = plan(did("x"), pipeline="child")
    project = Project(plan(invoke("c", "child", undo=Undo(Uses("undo", {"of": "whole"}))), fail("late")), child)
    project.go()
    assert undone(project) == ["whole"]


def test_a_child_that_fails_undoes_its_own_before_its_parents() -> None:
    child = plan(did("x"), fail("late"), pipeline="child")
    project = Project(plan(did("a"), invoke("c", "child")), child)
    project.go()
    assert undone(project) == ["x", "a"]


def test_grandchildren_are_undone_in_their_place() -> None:
    grandchild = plan(did("deep"), pipeline="grandchild")
    child = plan(did("x"), invoke("g", "grandchild"), did("y"), pipeline="child")
    project = Project(plan(invoke("c", "child"), fail("late")), child, grandchild)
    done = project.go()
    assert undone(project) == ["y", "deep", "x"]
    assert "c/g/deep.undo" in done.statuses()


def test_an_undo_may_be_a_pipeline() -> None:
    refund = plan(uses("work", given={"of": "${{ event.data.of }}"}), pipeline="refund")
    part = uses("a", "do", {"n": 1}, undo=Undo(Invoke("refund", {"of": "${{ steps.a.output.n }}"})))
    project = Project(plan(part, fail("late")), refund)
    done = project.go()
    assert project.calls[-1].arguments == {"of": 1}
    assert done.statuses()["a.undo"] == "succeeded"


# Bounds -------------------------------------------------------------------------------------------------------------


def test_ending_is_bounded_and_says_what_is_left() -> None:
    rule = ((RetryRule(("transient",), attempts=1_000_000, initial_ms=600_000, factor=1.0),),)
    part = uses("a", undo=Undo(Uses("undo", {"of": 1}), rule))
    made = plan(did("first"), part, fail("late"), on_failure=[uses("alarm")])
    project = Project(made, undo=script(broken("net", "transient")))
    done = project.go()
    assert (done.status, project.elapsed_ms(), project.called("alarm")) == ("failed", 3_600_000, 0)
    assert incomplete(project) != []


def test_sets_and_sleeps_leave_nothing_to_undo() -> None:
    assert Project(plan(sets("s", v=1), sleep("1s"), fail("late"))).go().status == "failed"
