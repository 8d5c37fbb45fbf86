"""Containers that run out of time, and what is left of what they held."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.ops import Sweep
from flowlang.plan import Foreach, Tolerate
from tests.unit.engine.building import (
    Part,
    Project,
    arm,
    broken,
    fail,
    parallel,
    plan,
    run,
    script,
    sets,
    sleep,
    steps,
    switch,
    uses,
)

TRANSIENT = broken("net.down", "transient")


TIMEOUTS: list[tuple[str, Part, int]] = [
    ("a sleep", steps("box", sleep("1h", "inner"), timeout_ms=1_000), 1_000),
    ("a back-off", steps("box", uses("flaky"), timeout_ms=1_000), 1_000),
    ("branches", parallel("box", sleep("1h", "x"), sleep("2h", "y"), timeout_ms=1_000), 1_000),
    ("a choice", switch("box", sleep("1h"), timeout_ms=1_000), 1_000),
    ("a loop inside", steps("box", sleep("1h", "each", foreach=Foreach("[1, 2]")), timeout_ms=1_000), 1_000),
    ("deep inside", steps("box", steps("in", parallel("p", steps("q", sleep("1h")))), timeout_ms=1_000), 1_000),
    (
        "the inner one first",
        steps("box", steps("in", sleep("1h"), timeout_ms=500, tolerate=Tolerate()), sleep("1h"), timeout_ms=1_000),
        1_000,
    ),
    (
        "an inner finally is waited for",
        steps("box", steps("in", sleep("1h"), final=(sleep("5s"),)), timeout_ms=1_000),
        6_000,
    ),
]


@pytest.mark.parametrize(("part", "ms"), [case[1:] for case in TIMEOUTS], ids=[case[0] for case in TIMEOUTS])
def test_a_container_that_runs_out_of_time_is_timed_out(part: Part, ms: int) -> None:
    project = Project(plan(part, uses("after")), flaky=script(TRANSIENT))
    done = project.go()
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.code, done.error.step) == (
        "failed",
        "timeout",
        "timeout",
        "box",
    )
    assert done.statuses()["box"] == "timed_out"
    assert project.called("after") == 0
    assert project.elapsed_ms() == ms


def test_a_timeout_cancels_what_lies_inside_and_says_why() -> None:
    done = run(plan(steps("box", sleep("1h", "inner", final=(sets("why", c="${{ error.class }}"),)), timeout_ms=1_000)))
    assert done.statuses() == {"inner": "cancelled", "why": "succeeded", "box": "timed_out"}
    assert done.outputs()["why"] == {"c": "cancelled"}
    assert done.records["inner"].error is not None
    assert "box" in done.records["inner"].error.message


def test_a_timeout_is_caught_tolerated_and_cleaned_up_after_like_a_failure() -> None:
    caught = run(
        plan(steps("box", sleep("1h"), timeout_ms=9, catch=(arm(errors=["timeout"], output=1),), final=(uses("f"),)))
    )
    assert (caught.status, caught.outputs()["box"], caught.statuses()["f"]) == ("succeeded", 1, "succeeded")
    tolerated = run(
        plan(steps("box", sleep("1h"), timeout_ms=9, tolerate=Tolerate(errors=("timeout",))), uses("after"))
    )
    assert tolerated.statuses() == {"box": "timed_out", "after": "succeeded"}


def test_a_container_that_ends_in_time_is_left_alone_also_when_the_next_one_is_slower() -> None:
    project = Project(plan(steps("box", sleep("1s"), timeout_ms=2_000), sleep("1h"), uses("after")))
    assert project.go().status == "succeeded"
    assert project.elapsed_ms() == 3_601_000


def test_what_a_timeout_interrupts_leaves_no_timer_behind() -> None:
    both = steps("s", parallel("p", sleep("9h"), uses("flaky")), sleep("9h"))
    for part in (sleep("9h"), uses("flaky"), both):
        project = Project(
            plan(steps("box", part, timeout_ms=500, tolerate=Tolerate()), sleep("1h", "nap")), flaky=script(TRANSIENT)
        )
        run_id = project.call("p")
        project.run_ready()
        project.clock.advance(500)
        project.run_ready()
        rows = project.store.run(run_id)
        assert rows is not None
        assert [name for name in rows.timers if name.startswith("|")] == ["|sleep:nap"]


def test_a_catch_body_has_time_of_its_own() -> None:
    made = plan(
        steps("box", fail("bad"), timeout_ms=1_000, catch=(arm(sleep("1h"), output="late"),)),
        output="${{ steps.box.output }}",
    )
    assert run(made).output == "late"


def test_each_item_has_its_own_time() -> None:
    made = plan(
        steps(
            "each",
            sleep("${{ item }}"),
            foreach=Foreach("event.data", max_parallel=1),
            timeout_ms=1_500,
            tolerate=Tolerate(),
        )
    )
    done = run(made, ["1s", "2s", "1s"])
    assert [done.statuses()[f"each[{n}]"] for n in range(3)] == ["succeeded", "timed_out", "succeeded"]


def test_a_handlers_success_after_the_time_is_recorded_before_the_container_ends() -> None:
    project = Project(plan(steps("box", uses("slow"), uses("next"), timeout_ms=1_000)))

    def slow(call: Any) -> Any:
        project.clock.advance(5_000)
        project.apply(Sweep())  # as some worker does while the handler is at work
        return {"v": 1}

    project.handlers["slow"] = slow
    done = project.go()
    assert done.statuses() == {"slow": "succeeded", "next": "cancelled", "box": "timed_out"}
    assert project.called("next") == 0


# The run's own time --------------------------------------------------------------------------------------------------


def test_a_run_that_takes_too_long_fails() -> None:
    project = Project(plan(sleep("1h", "long", final=(uses("tidy"),)), uses("after"), timeout_ms=60_000))
    done = project.go()
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.code) == ("failed", "timeout", "run.timeout")
    assert (project.order(), done.statuses()["long"], project.elapsed_ms()) == (["tidy"], "cancelled", 60_000)


def test_nothing_catches_or_tolerates_that_the_run_has_run_out() -> None:
    inner = sleep("1h", "long", tolerate=Tolerate(), catch=(arm(uses("caught")),))
    project = Project(plan(steps("box", inner, catch=(arm(uses("caught_too")),)), timeout_ms=60_000))
    assert (project.go().status, project.calls) == ("failed", [])


def test_on_failure_runs_after_the_time_is_up() -> None:
    seen = sets("seen", c="${{ error.code }}")
    made = plan(parallel("p", sleep("1h", "a"), sleep("2h", "b")), timeout_ms=1_000, on_failure=[seen, sleep("5s")])
    project = Project(made)
    done = project.go()
    assert (done.status, done.outputs()["seen"], project.elapsed_ms()) == ("failed", {"c": "run.timeout"}, 6_000)


def test_a_run_that_ends_in_time_is_not_touched() -> None:
    project = Project(plan(sleep("59s"), timeout_ms=60_000))
    assert (project.go().status, project.elapsed_ms()) == ("succeeded", 59_000)


def test_a_cancel_before_the_time_is_up_stays_a_cancel() -> None:
    project = Project(plan(sleep("1h", final=(sleep("2m"),)), timeout_ms=60_000))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    assert project.finished(run_id).status == "cancelled"
