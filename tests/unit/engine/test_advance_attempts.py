"""Attempts: retries at their times, only for their classes, one counter, and what they leave alone."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.plan import RetryRule
from flowlang.simulate import SimulatedSnooze
from tests.unit.engine.building import (
    T0,
    Project,
    broken,
    plan,
    retry_after,
    run,
    script,
    sets,
    uses,
)

TRANSIENT = broken("net.down", "transient")


def rule(*errors: str, attempts: int | None = None, initial_ms: int = 1_000, **more: Any) -> RetryRule:
    return RetryRule(errors=errors, attempts=attempts, initial_ms=initial_ms, jitter="none", **more)


RETRIES: list[tuple[str, tuple[tuple[RetryRule, ...], ...], list[Any], list[int], str]] = [
    ("permanent is not repeated", (), [broken()], [0], "failed"),
    ("timeout is not repeated", (), [broken("x", "timeout")], [0], "failed"),
    ("transient by the built-in policy", (), [TRANSIENT, TRANSIENT, 1], [0, 750, 2_250], "succeeded"),
    ("resource by the built-in policy", (), [broken("x", "resource"), 1], [0, 3_750], "succeeded"),
    ("bug three times", (), [broken("x", "bug")], [0, 750, 2_250], "failed"),
    ("attempts count the first", ((rule(attempts=2),),), [TRANSIENT], [0, 1_000], "failed"),
    ("one attempt", ((rule(attempts=1),),), [TRANSIENT], [0], "failed"),
    ("factor", ((rule(attempts=4, factor=3.0),),), [TRANSIENT], [0, 1_000, 4_000, 13_000], "failed"),
    ("constant", ((rule(attempts=4, factor=1.0),),), [TRANSIENT], [0, 1_000, 2_000, 3_000], "failed"),
    ("max", ((rule(attempts=4, max_ms=1_500),),), [TRANSIENT], [0, 1_000, 2_500, 4_000], "failed"),
    ("for", ((rule(for_ms=3_000),),), [TRANSIENT], [0, 1_000, 3_000], "failed"),
    ("for ends before attempts", ((rule(for_ms=2_999, attempts=9),),), [TRANSIENT], [0, 1_000], "failed"),
    ("nearest policy wins", ((rule(attempts=2),), (rule(attempts=9),)), [TRANSIENT], [0, 1_000], "failed"),
    (
        "nearest policy wins per class",
        ((rule("resource", attempts=9),), (rule("transient", attempts=2, initial_ms=7_000),)),
        [TRANSIENT],
        [0, 7_000],
        "failed",
    ),
    (
        "the first of a list that covers the error",
        ((rule("net.*", attempts=2, initial_ms=10), rule("transient", attempts=9)),),
        [TRANSIENT],
        [0, 10],
        "failed",
    ),
    (
        "the policy of the latest error decides, over one counter",
        ((rule("transient", attempts=9), rule("resource", attempts=3)),),
        [TRANSIENT, TRANSIENT, broken("x", "resource"), 1],
        [0, 1_000, 3_000],
        "failed",
    ),
    ("a permanent code that is named", ((rule("broken", attempts=2),),), [broken()], [0, 1_000], "failed"),
    ("the class permanent when it is named", ((rule("permanent", attempts=2),),), [broken()], [0, 1_000], "failed"),
    ("all", ((rule("all", attempts=2),),), [broken()], [0, 1_000], "failed"),
    ("no errors covers neither permanent nor timeout", ((rule(attempts=5),),), [broken()], [0], "failed"),
    ("nothing retries a cancellation", ((rule("all", attempts=5),),), [broken("x", "cancelled")], [0], "failed"),
    (
        "Retry-After is kept",
        ((rule(attempts=3),),),
        [retry_after(30_000), TRANSIENT, 1],
        [0, 30_000, 32_000],
        "succeeded",
    ),
    ("Retry-After does not shorten", ((rule(attempts=2),),), [retry_after(10), 1], [0, 1_000], "succeeded"),
    ("Retry-After beyond for", ((rule(attempts=3, for_ms=5_000),),), [retry_after(30_000)], [0], "failed"),
    (
        "snoozes use no attempt",
        ((rule(attempts=1),),),
        [SimulatedSnooze(500), SimulatedSnooze(700), 1],
        [0, 500, 1_200],
        "succeeded",
    ),
]


@pytest.mark.parametrize(
    ("policies", "entries", "times", "status"), [case[1:] for case in RETRIES], ids=[case[0] for case in RETRIES]
)
def test_attempts_are_made_at_their_times(
    policies: tuple[tuple[RetryRule, ...], ...], entries: list[Any], times: list[int], status: str
) -> None:
    at: list[int] = []
    handler = script(*entries)
    project = Project(plan(uses("a", retry=policies)))

    def timed(call: Any) -> Any:
        at.append(project.elapsed_ms())
        return handler(call)

    project.handlers["a"] = timed
    done = project.go()
    assert at == times
    assert done.status == status
    snoozes = sum(isinstance(entry, SimulatedSnooze) for entry in entries)
    assert done.records["a"].attempts == len(times) - snoozes
    assert [call.attempt for call in handler.calls][-1] == len(times) - snoozes
    assert done.records["a"].started_ms == T0


def test_a_step_that_succeeds_late_counts_its_attempts_for_later_steps() -> None:
    made = plan(uses("a"), sets("seen", n="${{ steps.a.attempts }}"))
    assert run(made, a=script(TRANSIENT, TRANSIENT, {})).outputs()["seen"] == {"n": 3}


def test_finished_steps_do_not_run_again_when_a_later_one_is_retried() -> None:
    project = Project(plan(uses("a"), uses("b"), uses("c")), b=script(TRANSIENT, TRANSIENT, TRANSIENT, {}))
    project.go()
    assert project.order() == ["a", "b", "b", "b", "b", "c"]


def test_once_is_never_repeated_after_a_failure_but_may_snooze() -> None:
    made = plan(uses("a", effect="once", retry=((rule("all", attempts=5),),)))
    handler = script(SimulatedSnooze(1_000), TRANSIENT, {})
    done = run(made, a=handler)
    assert (done.status, len(handler.calls), done.records["a"].attempts) == ("failed", 2, 1)


def test_an_unknown_handler_is_a_permanent_failure() -> None:
    project = Project(plan(uses("a")))
    del project.handlers["a"]
    done = project.go()
    assert done.error is not None
    assert (done.status, done.error.code) == ("failed", "handler.unknown")
