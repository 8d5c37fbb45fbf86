"""Failures that no retry cures: catch, tolerate, finally, on_failure and dead letters."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.plan import Foreach, Tolerate
from tests.unit.engine.building import (
    Arm,
    Part,
    Project,
    arm,
    broken,
    echo,
    fail,
    parallel,
    plan,
    rethrow,
    run,
    script,
    sets,
    sleep,
    steps,
    stop,
    switch,
    uses,
)

TRANSIENT = broken("net.down", "transient")


# Catch ---------------------------------------------------------------------------------------------------------------

CATCHES: list[tuple[str, tuple[Arm, ...], str, Any]] = [
    ("any error", (arm(output="caught"),), "succeeded", "caught"),
    ("no output", (arm(sets("x", v=1)),), "succeeded", None),
    ("all", (arm(errors=["all"], output="caught"),), "succeeded", "caught"),
    ("its class", (arm(errors=["permanent"], output="caught"),), "succeeded", "caught"),
    ("its code", (arm(errors=["card.declined"], output="caught"),), "succeeded", "caught"),
    ("its prefix", (arm(errors=["card.*"], output="caught"),), "succeeded", "caught"),
    ("one of several", (arm(errors=["bug", "card.*"], output="caught"),), "succeeded", "caught"),
    ("another class", (arm(errors=["transient"]),), "failed", None),
    ("a longer prefix", (arm(errors=["card.declined.*"]),), "failed", None),
    ("a part of its code", (arm(errors=["card"]),), "failed", None),
    (
        "the first arm that fits",
        (arm(errors=["bug"], output=1), arm(errors=["card.*"], output=2), arm(output=3)),
        "succeeded",
        2,
    ),
    ("the arm behind", (arm(errors=["bug"], output=1), arm(output=3)), "succeeded", 3),
    (
        "sees error",
        (arm(output="${{ error.class + ' ' + error.code + ' ' + error.step }}"),),
        "succeeded",
        "permanent card.declined a",
    ),
    ("sees its body", (arm(sets("x", v="${{ error.attempts }}"), output="${{ steps.x.output.v }}"),), "succeeded", 1),
    ("stop in it", (arm(stop("stopped"), uses("never"), output="not this"),), "succeeded", "stopped"),
    ("stop without a value", (arm(stop(), output="not this"),), "succeeded", None),
    (
        "stop in a block in it",
        (arm(steps("s", switch("t", stop("stopped"))), output="not this"),),
        "succeeded",
        "stopped",
    ),
    ("rethrown", (arm(uses("note"), rethrow()),), "failed", None),
    ("its own failure", (arm(fail("worse")),), "failed", None),
    ("an output that errs", (arm(output="${{ error.nope }}"),), "failed", None),
]


@pytest.mark.parametrize(
    ("arms", "status", "output"), [case[1:] for case in CATCHES], ids=[case[0] for case in CATCHES]
)
def test_catch_takes_the_errors_that_its_arms_name(arms: tuple[Arm, ...], status: str, output: Any) -> None:
    made = plan(
        uses("a", catch=arms),
        sets(
            "seen", has="${{ has(steps.a.output) }}", code="${{ steps.a.error.code }}", status="${{ steps.a.status }}"
        ),
    )
    done = run(made, a=script(broken("card.declined")))
    assert done.statuses()["a"] == status
    assert done.status == status
    assert done.outputs().get("a") == output
    if status == "succeeded":
        assert done.outputs()["seen"] == {"has": output is not None, "code": "card.declined", "status": "succeeded"}


def test_a_rethrown_error_keeps_its_first_step_and_a_new_one_replaces_it() -> None:
    handlers = {"a": script(broken("card.declined"))}
    inner = uses("a")
    same = run(plan(steps("box", inner, catch=(arm(rethrow()),))), **handlers)
    other = run(plan(steps("box", inner, catch=(arm(fail("worse")),))), a=script(broken("card.declined")))
    assert same.error is not None
    assert other.error is not None
    assert (same.error.step, same.error.code) == ("a", "card.declined")
    assert other.error.code == "worse"


def test_catch_comes_after_the_retries_and_once() -> None:
    project = Project(plan(uses("a", catch=(arm(uses("fix"), output=1),))), a=script(broken("x", "bug")))
    assert project.go().outputs()["a"] == 1
    assert project.order() == ["a", "a", "a", "fix"]


def test_an_inner_catch_leaves_nothing_to_the_outer_one() -> None:
    inner = uses("a", catch=(arm(errors=["other"]),))
    made = plan(
        steps("outer", steps("middle", inner, catch=(arm(uses("near")),)), uses("next"), catch=(arm(uses("far")),))
    )
    project = Project(made, a=script(broken()))
    assert project.go().status == "succeeded"
    assert project.order() == ["a", "near", "next"]


def test_nested_catches_see_their_own_errors() -> None:
    made = plan(
        uses(
            "a",
            catch=(
                arm(
                    uses("b", catch=(arm(sets("inner", code="${{ error.code }}")),)),
                    sets("outer", code="${{ error.code }}"),
                ),
            ),
        )
    )
    done = run(made, a=script(broken("first")), b=script(broken("second")))
    assert done.outputs() == {"inner": {"code": "second"}, "outer": {"code": "first"}}


def test_the_error_is_seen_inside_loops_and_branches_of_a_catch_body() -> None:
    made = plan(
        uses(
            "a",
            catch=(
                arm(
                    sets("each", code="${{ error.code }}-${{ item }}", foreach=Foreach("[1, 2]")),
                    parallel("both", sets("b", code="${{ error.code }}"), sets("c", code="${{ error.step }}")),
                ),
            ),
        )
    )
    done = run(made, a=script(broken("bad")))
    assert [done.outputs()[name]["code"] for name in ("each[0]", "each[1]", "b", "c")] == ["bad-1", "bad-2", "bad", "a"]


@pytest.mark.parametrize("where", ["steps", "tolerate", "arm"])
def test_a_cancellation_that_nobody_asked_for_is_a_failure_that_nothing_catches(where: str) -> None:
    cases: dict[str, dict[str, Any]] = {
        "steps": {"catch": (arm(output=1),)},
        "tolerate": {"tolerate": Tolerate()},
        "arm": {"catch": (arm(errors=["all", "cancelled"], output=1),)},
    }
    assert run(plan(uses("a", **cases[where])), a=script(broken("gone", "cancelled"))).status == "failed"


# Tolerate ------------------------------------------------------------------------------------------------------------

TOLERANCES: list[tuple[str, Tolerate, str]] = [
    ("true", Tolerate(), "succeeded"),
    ("its class", Tolerate(errors=("permanent",)), "succeeded"),
    ("its code", Tolerate(errors=("card.declined",)), "succeeded"),
    ("its prefix", Tolerate(errors=("card.*",)), "succeeded"),
    ("a list", Tolerate(errors=("bug", "card.declined")), "succeeded"),
    ("another class", Tolerate(errors=("bug",)), "failed"),
]


@pytest.mark.parametrize(
    ("tolerate", "status"), [case[1:] for case in TOLERANCES], ids=[case[0] for case in TOLERANCES]
)
def test_a_tolerated_failure_stops_nothing_and_stays_readable(tolerate: Tolerate, status: str) -> None:
    seen = sets("seen", s="${{ steps.a.status }}", code="${{ steps.a.error.code }}", has="${{ has(steps.a.output) }}")
    done = run(plan(uses("a", tolerate=tolerate), seen), a=script(broken("card.declined")))
    assert done.status == status
    assert done.statuses()["a"] == "failed"
    if status == "succeeded":
        assert done.outputs() == {"seen": {"s": "failed", "code": "card.declined", "has": False}}


def test_tolerate_covers_what_catch_and_finally_leave_but_not_the_condition() -> None:
    body = uses("a", tolerate=Tolerate(), catch=(arm(fail("worse")),), final=(uses("c"),))
    done = run(plan(body), a=script(broken()))
    assert done.status == "succeeded"
    assert done.records["a"].error is not None
    assert done.records["a"].error.code == "worse"
    assert run(plan(uses("a", condition="event.data.nope", tolerate=Tolerate())), {}).status == "failed"


# Finally -------------------------------------------------------------------------------------------------------------

CLEANUP = uses("cleanup", given={"error": "${{ has(error.code) ? error.code : '' }}"})
FINALLY: list[tuple[str, Part, str, list[str]]] = [
    ("after success", uses("a", final=(uses("cleanup"),)), "succeeded", ["a", "cleanup"]),
    ("after a failure", uses("bad", final=(CLEANUP,)), "failed", ["bad", "cleanup"]),
    (
        "after a caught failure",
        uses("bad", catch=(arm(uses("fix")),), final=(uses("cleanup"),)),
        "succeeded",
        ["bad", "fix", "cleanup"],
    ),
    ("after a failing catch", uses("bad", catch=(arm(fail("worse")),), final=(CLEANUP,)), "failed", ["bad", "cleanup"]),
    ("after a stop", steps("box", stop(), final=(uses("cleanup"),)), "succeeded", ["cleanup"]),
    ("not when it was skipped", uses("a", condition="false", final=(uses("cleanup"),)), "succeeded", []),
    ("not when its condition errs", uses("a", condition="event.data.nope", final=(uses("cleanup"),)), "failed", []),
    (
        "when its arguments cannot be computed",
        uses("a", given={"x": "${{ event.data.nope }}"}, final=(CLEANUP,)),
        "failed",
        ["cleanup"],
    ),
    ("its own failure", uses("a", final=(uses("bad"),)), "failed", ["a", "bad"]),
    (
        "its own failure, tolerated inside",
        uses("a", final=(uses("bad", tolerate=Tolerate()),)),
        "succeeded",
        ["a", "bad"],
    ),
    ("stop in it ends it alone", uses("a", final=(stop(), uses("never"))), "succeeded", ["a", "after"]),
    (
        "from inside out",
        steps("o", steps("i", uses("bad"), final=(uses("near"),)), final=(uses("far"),)),
        "failed",
        ["bad", "near", "far"],
    ),
    (
        "once an item",
        uses("a", foreach=Foreach("[1, 2]"), final=(uses("cleanup"),)),
        "succeeded",
        ["a[0]", "a[0].cleanup", "a[1]", "a[1].cleanup"],
    ),
    ("not of a loop without items", uses("a", foreach=Foreach("[]"), final=(uses("cleanup"),)), "succeeded", []),
]


@pytest.mark.parametrize(("part", "status", "order"), [case[1:] for case in FINALLY], ids=[case[0] for case in FINALLY])
def test_finally_runs_whenever_its_step_has_begun(part: Part, status: str, order: list[str]) -> None:
    parts = (part, uses("after")) if "after" in order else (part,)
    project = Project(plan(*parts), bad=script(broken()))
    done = project.go({})
    assert done.status == status
    assert project.order() == order


def test_the_error_of_finally_gives_way_to_the_one_that_it_follows() -> None:
    first = run(plan(uses("a", final=(uses("b"),))), a=script(broken("first")), b=script(broken("second")))
    alone = run(plan(uses("a", final=(uses("b"),))), b=script(broken("second")))
    assert first.error is not None
    assert alone.error is not None
    assert (first.error.code, alone.error.code) == ("first", "second")
    assert alone.statuses() == {"a": "failed", "b": "failed"}


def test_a_failing_finally_turns_a_stop_into_a_failure() -> None:
    assert run(plan(steps("box", stop("early"), final=(fail("late"),)))).status == "failed"


def test_finally_sees_the_error_where_there_is_one() -> None:
    seen = sets("seen", has="${{ has(error.code) }}", code="${{ error.code }}")
    failed = run(plan(uses("a", tolerate=Tolerate(), final=(seen,))), a=script(broken("bad")))
    assert failed.outputs()["seen"] == {"has": True, "code": "bad"}
    fine = run(plan(uses("a", final=(sets("none", code="${{ error.code }}"),))))
    assert fine.status == "failed"


def test_finally_is_retried_like_any_step() -> None:
    project = Project(plan(uses("a", final=(uses("cleanup"),))), cleanup=script(TRANSIENT, TRANSIENT, {}))
    assert project.go().status == "succeeded"
    assert project.order() == ["a", "cleanup", "cleanup", "cleanup"]


# The run -------------------------------------------------------------------------------------------------------------


def test_on_failure_sees_the_error_and_the_steps_and_the_run_stays_failed() -> None:
    tell = uses(
        "tell",
        given={
            "code": "${{ error.code }}",
            "step": "${{ error.step }}",
            "n": "${{ error.attempts }}",
            "a": "${{ steps.a.output.v }}",
            "c": "${{ steps.c.status }}",
        },
    )
    made = plan(sets("a", v=1), uses("b"), uses("c"), on_failure=[tell], output="none")
    project = Project(made, b=script(broken("bad")))
    done = project.go()
    assert (done.status, done.output) == ("failed", None)
    assert done.error is not None
    assert done.error.code == "bad"
    assert project.calls[-1].arguments == {"code": "bad", "step": "b", "n": 1, "a": 1, "c": "skipped"}


@pytest.mark.parametrize(
    "body",
    [[uses("x"), fail("worse")], [stop("fine"), uses("never")], [sets("x", v="${{ event.data.nope }}")], [rethrow()]],
    ids=["fails", "stops", "errs", "rethrows"],
)
def test_whatever_on_failure_does_the_first_error_stays(body: list[Part]) -> None:
    project = Project(plan(fail("first"), on_failure=body))
    done = project.go({})
    assert done.error is not None
    assert (done.status, done.error.code) == ("failed", "first")
    assert project.called("never") == 0


def test_on_failure_runs_loops_branches_retries_and_sleeps() -> None:
    body = [
        uses("each", given={"c": "${{ error.code }}"}, foreach=Foreach("[1, 2]")),
        parallel("both", uses("x"), uses("y")),
        sleep("1m"),
        uses("z"),
    ]
    project = Project(plan(fail("first"), on_failure=body), x=script(TRANSIENT, {}), each=echo)
    done = project.go()
    assert done.status == "failed"
    assert done.outputs()["each[1]"] == {"c": "first"}
    assert sorted(project.order()) == ["each[0]", "each[1]", "x", "x", "y", "z"]


def test_on_failure_does_not_run_after_success() -> None:
    project = Project(plan(uses("a"), on_failure=[uses("alarm")]))
    project.go()
    assert project.order() == ["a"]


def test_an_output_that_errs_fails_the_run() -> None:
    project = Project(
        plan(
            uses("a"),
            output="${{ steps.a.output.nope }}",
            on_failure=[uses("alarm", given={"c": "${{ error.class }}"})],
        )
    )
    done = project.go()
    assert done.status == "failed"
    assert project.calls[-1].arguments == {"c": "permanent"}


def test_a_failed_run_is_a_dead_letter_and_no_other_is() -> None:
    project = Project(plan(switch("s", fail("bad", condition="event.data"), sets("fine", v=1))))
    bad, good = project.go(data=True), project.go(data=False)
    assert [letter.id for letter in project.store.dead_letters()] == [bad.id]
    assert good.status == "succeeded"
