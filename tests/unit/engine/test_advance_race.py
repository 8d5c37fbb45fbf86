"""Races: the first branch to succeed wins, the others are cancelled; and branches that need one another."""

from __future__ import annotations

import pytest

from flowlang.plan import Foreach, Repeat, Tolerate
from tests.unit.engine.building import (
    Part,
    Project,
    arm,
    broken,
    parallel,
    plan,
    race,
    run,
    script,
    sets,
    sleep,
    steps,
    uses,
)


def test_the_first_to_succeed_wins_and_the_rest_is_cancelled() -> None:
    project = Project(
        plan(race("r", steps("slow", sleep("1h"), uses("late")), steps("fast", sleep("1s"), output="won")))
    )
    done = project.go()
    assert done.outputs()["r"] == "won"
    assert done.statuses() == {"fast": "succeeded", "slow": "cancelled", "r": "succeeded"}
    assert (project.called("late"), project.elapsed_ms()) == (0, 1_000)


def test_a_branch_that_fails_drops_out() -> None:
    done = run(plan(race("r", uses("a"), steps("b", sleep("1s"), output=2))), a=script(broken()))
    assert (done.status, done.outputs()["r"], done.statuses()["a"]) == ("succeeded", 2, "failed")


NOBODY: list[tuple[str, tuple[Part, ...], str, str | None]] = [
    ("all fail: with the first error", (sets("a", v="${{ event.nope }}"), uses("b")), "failed", "expression"),
    ("all are skipped", (uses("a", condition="false"), uses("b", condition="false")), "skipped", None),
    ("one is skipped, one fails", (uses("a", condition="false"), uses("b")), "failed", "broken"),
    (
        "a tolerated failure wins nothing",
        (uses("b", tolerate=Tolerate()), uses("a", condition="false")),
        "failed",
        "broken",
    ),
]


@pytest.mark.parametrize(
    ("branches", "status", "code"), [case[1:] for case in NOBODY], ids=[case[0] for case in NOBODY]
)
def test_a_race_that_nobody_wins(branches: tuple[Part, ...], status: str, code: str | None) -> None:
    done = run(
        plan(race("r", *branches, tolerate=Tolerate()), sets("s", e="${{ steps.r.?error.?code.orValue('') }}")),
        b=script(broken()),
    )
    assert done.statuses()["r"] == status
    assert done.outputs()["s"] == {"e": code or ""}


def test_a_race_against_the_clock() -> None:
    made = plan(
        race("r", uses("work"), steps("late", sleep("10s"), output="late")), sets("s", o="${{ steps.r.output }}")
    )
    assert run(made, work=script("done")).outputs()["s"] == {"o": "done"}
    assert run(made, work=script(broken())).outputs()["s"] == {"o": "late"}


def test_finally_of_a_loser_runs_before_the_race_goes_on() -> None:
    project = Project(plan(race("r", sleep("1h", "slow", final=(uses("tidy"),)), sleep("1s", "fast")), uses("after")))
    assert project.go().status == "succeeded"
    assert project.order() == ["tidy", "after"]


def test_a_race_can_be_caught() -> None:
    done = run(plan(race("r", uses("a"), catch=(arm(output="none"),))), a=script(broken()))
    assert done.outputs()["r"] == "none"


def test_the_output_of_a_loop_may_win() -> None:
    each = sets("each", v="${{ item }}", foreach=Foreach("[1, 2]"))
    done = run(plan(race("r", sleep("1h", "slow"), each), sets("s", o="${{ steps.r.output.map(o, o.v) }}")))
    assert done.outputs()["s"] == {"o": [1, 2]}


def test_a_race_in_each_item_and_in_each_round() -> None:
    def pair(**more: object) -> Part:
        return race("r", steps("a", sleep("1s"), output="${{ index }}"), sleep("1h", "b"), **more)

    assert [run(plan(pair(foreach=Foreach("[1, 2]")))).outputs()[f"r[{n}]"] for n in (0, 1)] == [0, 1]
    assert run(plan(pair(repeat=Repeat("index == 1")))).outputs()["r"] == 1


def test_an_output_of_the_race_replaces_the_winners() -> None:
    done = run(plan(race("r", sets("a", v=1), output="${{ steps.a.status }}")))
    assert done.outputs()["r"] == "succeeded"


def test_a_cancel_ends_all_branches() -> None:
    project = Project(plan(race("r", sleep("1h", "a"), sleep("2h", "b"))))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    assert project.finished(run_id).statuses() == {"a": "cancelled", "b": "cancelled", "r": "cancelled"}


# needs --------------------------------------------------------------------------------------------------------------


def test_a_branch_starts_when_those_it_needs_have_ended() -> None:
    made = plan(
        parallel(
            "dag",
            steps("a", sleep("5s"), uses("ua")),
            steps("b", sleep("1s"), uses("ub")),
            uses("c", needs=(0, 1)),
            uses("d", needs=(1,)),
            uses("e", needs=(2, 3)),
        )
    )
    project = Project(made)
    assert project.go().status == "succeeded"
    assert project.order() == ["ub", "d", "ua", "c", "e"]
    assert project.elapsed_ms() == 5_000


def test_a_branch_sees_what_it_needs() -> None:
    made = plan(parallel("dag", sets("a", v=1), sets("b", v="${{ steps.a.output.v + 1 }}", needs=(0,))))
    assert run(made).outputs()["b"] == {"v": 2}


def test_needs_mean_have_ended_skipped_and_tolerated_failures_included() -> None:
    made = plan(
        parallel(
            "dag",
            uses("a", condition="false"),
            uses("b", tolerate=Tolerate()),
            sets("c", s="${{ [steps.a.status, steps.b.status] }}", needs=(0, 1)),
        )
    )
    assert run(made, b=script(broken())).outputs()["c"] == {"s": ["skipped", "failed"]}


def test_a_failure_starts_no_further_branch() -> None:
    made = plan(parallel("dag", steps("x", sleep("1s"), uses("a")), uses("b", needs=(0,)), sleep("1h", "c")))
    project = Project(made, a=script(broken()))
    done = project.go()
    assert (done.status, project.called("b"), done.statuses()["c"]) == ("failed", 0, "cancelled")
