"""Limits of `flowlang.yaml`: a run or step that has reached one fails, and says which limit, how much, and where."""

from __future__ import annotations

import pytest

from flowlang.plan import Foreach, Plan, Repeat, RetryRule, Tolerate
from tests.unit.engine.building import (
    Part,
    Project,
    arm,
    broken,
    invoke,
    parallel,
    plan,
    race,
    script,
    sets,
    sleep,
    steps,
    switch,
    uses,
)

BIG = "x" * 2_000
AGAIN = ((RetryRule(attempts=9, initial_ms=1_000, jitter="none"),),)

#: Steps that a run comes to outside loops, and a pipeline that has them.
COUNTED: list[tuple[str, int, list[Part]]] = [
    ("one after the other", 3, [sets("a"), sets("b"), sets("c")]),
    ("without a name", 2, [sleep("1s"), sets("b")]),
    ("skipped", 2, [sets("a", condition="false"), sets("b")]),
    ("in containers", 4, [steps("box", sets("a"), steps("in", sets("b")))]),
    ("in branches", 4, [parallel("both", sleep("1s", "a"), sleep("1s", "b")), sets("c")]),
    ("in a race", 3, [race("first", sleep("1s", "a"), sleep("2s", "b"))]),
    ("chosen", 2, [switch("which", sets("no", condition="false"), sets("yes"))]),
    ("a loop counts once", 2, [sets("each", foreach=Foreach("[1, 2, 3, 4]")), sets("b")]),
    ("what is in a loop counts for the loop", 1, [steps("each", sets("a"), sets("b"), foreach=Foreach("[1, 2, 3]"))]),
    ("rounds are a loop's", 1, [sets("again", repeat=Repeat("false", limit=4), tolerate=Tolerate())]),
    ("in a catch", 3, [uses("bad", catch=(arm(sets("a"), sets("b")),))]),
    ("over a lost time", 4, [sets("a"), sleep("1h", "b"), uses("c"), sets("d")]),
]


@pytest.mark.parametrize(("count", "parts"), [case[1:] for case in COUNTED], ids=[case[0] for case in COUNTED])
def test_steps_are_counted_outside_loops(count: int, parts: list[Part]) -> None:
    made = plan(*parts)

    enough = Project(made, limits={"steps": count}, bad=script(broken())).go()
    short = Project(made, limits={"steps": count - 1}, bad=script(broken())).go()

    assert enough.status == "succeeded"
    assert short.status == "failed"
    assert short.error is not None
    assert (short.error.error_class, short.error.code) == ("permanent", "limit.steps")
    assert short.error.message == (
        f"the run has come to {count} steps outside loops; `limits.steps` in flowlang.yaml is {count - 1}"
    )


def test_branches_that_run_at_the_same_time_are_counted_together() -> None:
    """No branch has too many by itself; the store counts those of all and tells the run, which ends at once."""
    branches = [steps(name, uses(f"{name}1"), uses(f"{name}2"), sleep("30d")) for name in ("a", "b", "c")]
    project = Project(plan(parallel("all", *branches)), limits={"steps": 9})

    done = project.go()

    assert done.status == "failed"
    assert done.error is not None
    assert done.error.code == "limit.steps"
    assert project.elapsed_ms() < 1_000


def test_what_ends_a_run_is_not_kept_from_it() -> None:
    made = plan(
        steps("box", sets("a"), sets("b"), final=(uses("cleanup"),)),
        on_failure=[uses("alarm", given={"code": "${{ error.code }}"})],
    )
    project = Project(made, limits={"steps": 2})

    assert project.go().status == "failed"
    assert project.order() == ["cleanup", "alarm"]
    assert project.calls[-1].arguments == {"code": "limit.steps"}


@pytest.mark.parametrize(
    ("items", "chunk", "fails"), [(3, None, False), (4, None, True), (9, 3, False), (10, 3, True), (0, None, False)]
)
def test_a_loop_has_so_many_items_and_no_more(items: int, chunk: int | None, fails: bool) -> None:
    loop = uses("each", foreach=Foreach(f"lists.range({items})", chunk=chunk), tolerate=Tolerate())
    project = Project(plan(loop), limits={"foreach": 3})

    done = project.go()

    if not fails:
        assert done.status == "succeeded"
        return
    assert done.error is not None
    assert (done.error.error_class, done.error.code, done.error.step) == ("permanent", "limit.foreach", "each")
    assert done.error.message == "the loop has 4 items; `limits.foreach` in flowlang.yaml is 3"
    assert project.called("each") == 0


def test_a_loop_with_too_many_items_can_be_caught_around_it() -> None:
    made = plan(
        steps("box", uses("each", foreach=Foreach("[1, 2]")), catch=(arm(errors=["limit.foreach"], output="few"),))
    )

    assert Project(made, limits={"foreach": 1}).go().outputs()["box"] == "few"


def test_a_step_has_so_many_attempts_whatever_its_policy_says() -> None:
    project = Project(
        plan(uses("flaky", retry=AGAIN)), limits={"attempts": 3}, flaky=script(broken("down", "transient"))
    )

    done = project.go()

    assert project.called("flaky") == 3
    assert done.error is not None
    assert (done.error.error_class, done.error.code, done.error.attempts) == ("permanent", "limit.attempts", 3)
    assert done.error.message == (
        "the step has had 3 attempts; `limits.attempts` in flowlang.yaml is 3; the last failed: it is down"
    )


def test_a_policy_that_gives_up_earlier_keeps_its_own_error() -> None:
    rules = ((RetryRule(attempts=2, initial_ms=1),),)
    project = Project(
        plan(uses("flaky", retry=rules)), limits={"attempts": 2}, flaky=script(broken("down", "transient"))
    )

    done = project.go()

    assert done.error is not None
    assert done.error.code == "down"


#: Pipelines that store more than 10 kB, in different places.
LARGE: list[tuple[str, Plan]] = [
    ("in one turn", plan(*(sets(f"s{n}", text=BIG) for n in range(6)))),
    ("over turns", plan(*(uses(f"s{n}", "large") for n in range(6)))),
    ("in items", plan(uses("large", foreach=Foreach("lists.range(6)")), sleep("30d"))),
    ("as items", plan(sets("each", x="${{ item }}", foreach=Foreach(f"lists.range(6).map(n, '{BIG}')")))),
    ("in a branch", plan(parallel("both", steps("x", *(uses(f"s{n}", "large") for n in range(6))), sleep("30d")))),
    ("in rounds", plan(uses("large", repeat=Repeat("false", limit=50)))),
]


@pytest.mark.parametrize("made", [case[1] for case in LARGE], ids=[case[0] for case in LARGE])
def test_a_run_that_stores_too_much_fails(made: Plan) -> None:
    assert Project(made, limits={"run": 1_000_000}, large=script(BIG)).go().error in (None, _timeout(made))
    project = Project(made, limits={"run": 10_000}, large=script(BIG))

    done = project.go()

    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.error_class, done.error.code) == ("permanent", "limit.run")
    assert done.error.message.startswith("the run stores 1")
    assert done.error.message.endswith("bytes; `limits.run` in flowlang.yaml is 10000")
    assert project.elapsed_ms() < 60_000


def _timeout(made: Plan) -> object:
    """The error that a pipeline has without limits: rounds that never end well."""
    return Project(made, large=script(BIG)).go().error


def test_a_child_run_counts_for_itself() -> None:
    parent = plan(invoke("c1", "child"), invoke("c2", "child"))
    child = plan(sets("a", text=BIG), pipeline="child", output="done")

    assert Project(parent, child, limits={"run": 10_000, "steps": 2}).go().status == "succeeded"


def test_an_output_that_is_too_large_fails_its_step() -> None:
    done = Project(plan(uses("large")), limits={"step_output": 1_000}, large=script(BIG)).go()

    assert done.error is not None
    assert (done.error.error_class, done.error.code) == ("permanent", "output.too_large")
    assert done.error.message == "the output has 2002 bytes; `limits.step_output` in flowlang.yaml is 1000"
