"""The table of a step's phases: small runs go each of its lines, and the machine refuses all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args
from unittest import mock

import msgspec
import pytest

from flowlang.engine.machine import Machine
from flowlang.engine.program import Program
from flowlang.engine.state import Phase, StepFrame
from flowlang.engine.transitions import RUN, SCOPE, STEP
from flowlang.plan import Cache, Concurrency, Foreach, Pause, Plan, Repeat, RetryRule, Throttle, Tolerate, Uses
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
    script,
    sets,
    sleep,
    steps,
    uses,
    wait,
)

CAUGHT: dict[str, Any] = {"catch": (arm(),)}
TIDY: dict[str, Any] = {"final": (sets("f", v=1),)}
SOON = ((RetryRule(attempts=2, initial_ms=10),),)
CHILD = plan(fail("no"), pipeline="child")
GOOD = plan(sets("x", v=1), pipeline="good")
KEY = Cache("'k'", 60_000)
BAD = sets("bad", v="${{ event.nope }}")


def limited(part: Part) -> Plan:
    """A plan whose step has a limit to pass."""
    made = plan(part)
    step = made.steps[0]
    assert isinstance(step.verb, Uses)
    verb = msgspec.structs.replace(step.verb, concurrency=Concurrency(1))
    return msgspec.structs.replace(made, steps=(msgspec.structs.replace(step, verb=verb), *made.steps[1:]))


def limited_fail(more: dict[str, Any]) -> Plan:
    """A step whose limit's key has no value."""
    made = limited(uses("a", **more))
    verb = msgspec.structs.replace(made.steps[0].verb, concurrency=Concurrency(1, "event.nope"))
    return msgspec.structs.replace(made, steps=(msgspec.structs.replace(made.steps[0], verb=verb), *made.steps[1:]))


def throttled(more: dict[str, Any]) -> Plan:
    """A step that the second run waits for, in a container that does not."""
    made = plan(steps("box", uses("a", **more), timeout_ms=1_000))
    inside = msgspec.structs.replace(made.steps[1], throttle=Throttle(1, 3_600_000))
    return msgspec.structs.replace(made, steps=(made.steps[0], inside, *made.steps[2:]))


def throttled_invoke(pipeline: str, more: dict[str, Any]) -> Plan:
    """A child run that a throttle lets start; of a pipeline that there is, or is not."""
    made = plan(invoke("i", pipeline, **more))
    first = msgspec.structs.replace(made.steps[0], throttle=Throttle(1, 1_000))
    return msgspec.structs.replace(made, steps=(first, *made.steps[1:]))


def each_ending(part: Any) -> list[Plan]:
    """The same step as it is, with a catch, and with a finally."""
    return [plan(part(**more)) for more in ({}, CAUGHT, TIDY)]


#: Plans, each run to its end twice: so that what is cached is found.
PLANS: list[Plan] = [
    plan(uses("a", condition="false")),
    plan(uses("a", foreach=Foreach("[1]"))),
    plan(sets("n", v=1, repeat=Repeat("index == 2", every=Pause(10)))),
    plan(sets("n", v=1, repeat=Repeat("index == 2"))),
    plan(sets("n", v=1, repeat=Repeat("false", limit=1))),
    plan(steps("box", sets("n", v=1, repeat=Repeat("false", limit=9, every=Pause(60_000))), timeout_ms=10)),
    plan(parallel("p", sets("x", v=1))),
    *each_ending(lambda **more: steps("box", BAD, **more)),
    *each_ending(lambda **more: uses("broken", **more)),
    *each_ending(lambda **more: invoke("i", "child", **more)),
    *each_ending(lambda **more: invoke("i", "good", **more)),
    *each_ending(lambda **more: wait("w", "shop/never", timeout="1s", **more)),
    *each_ending(lambda **more: sleep("1s", "s", **more)),
    *each_ending(lambda **more: parallel("p", fail("no"), **more)),
    *each_ending(lambda **more: uses("cached", cache=KEY, **more)),
    *each_ending(lambda **more: invoke("i", "good", cache=KEY, **more)),
    plan(sets("s", v=1), uses("lost")),
    plan(invoke("i", "nobody", cache=KEY, **CAUGHT)),
    *(throttled(more) for more in ({}, TIDY)),
    *(throttled_invoke(pipeline, CAUGHT) for pipeline in ("good", "nobody")),
    plan(uses("flaky", retry=SOON)),
    plan(steps("box", uses("flaky", retry=((RetryRule(attempts=2, initial_ms=60_000),),), **TIDY), timeout_ms=10)),
    plan(steps("box", uses("flaky", retry=((RetryRule(attempts=2, initial_ms=60_000),),)), timeout_ms=10)),
    plan(uses("broken", catch=(arm(fail("again")),), **TIDY)),
    limited(uses("a")),
    limited(uses("flaky", retry=SOON)),
    limited(uses("cached", cache=KEY)),
    *(limited_fail(more) for more in ({}, CAUGHT, TIDY)),
    plan(steps("box", uses("a", given={"n": "${{ event.nope }}"}, cache=KEY), tolerate=Tolerate())),
    *each_ending(lambda **more: uses("a", given={"n": "${{ event.nope }}"}, cache=KEY, **more)),
    *each_ending(lambda **more: uses("again", given={"n": "${{ steps.z.output }}"}, retry=SOON, **more)),
]  # fmt: skip


@contextmanager
def recorded() -> Iterator[set[tuple[str, str]]]:
    """The transitions that machines make meanwhile."""
    seen: set[tuple[str, str]] = set()
    go, settle, skip = Machine.to, Machine.settle, Machine.skip

    def to(machine: Machine, frame: StepFrame, phase: Phase) -> None:
        seen.add((frame.phase, phase))
        go(machine, frame, phase)

    def settled(machine: Machine, frame: StepFrame, *result: Any, **more: Any) -> None:
        seen.add((frame.phase, "ended"))
        settle(machine, frame, *result, **more)

    def skipped(machine: Machine, frame: StepFrame, *step: Any) -> None:
        seen.add((frame.phase, "ended"))
        skip(machine, frame, *step)

    with mock.patch.multiple(Machine, to=to, settle=settled, skip=skipped):
        yield seen


def test_runs_go_each_line_of_the_table_and_no_other() -> None:
    with recorded() as seen:
        for made in PLANS:
            project = Project(
                made,
                CHILD,
                GOOD,
                broken=script(broken()),
                lost=script(CRASH, 1),
                flaky=script(broken("net", "transient"), 1),
                cached=script(1),
            )
            project.go()
            project.go()
    assert seen == {(before, after) for before, following in STEP.items() for after in following}


def test_the_table_has_every_phase() -> None:
    assert set(STEP) == {*get_args(Phase), "ended"}


@pytest.mark.parametrize("table", [STEP, RUN, SCOPE], ids=["steps", "runs", "scopes"])
def test_a_table_leads_to_nothing_that_it_does_not_have(table: Any) -> None:
    assert {after for following in table.values() for after in following} <= set(table)
    assert all(when for following in table.values() for when in following.values())


def test_the_machine_refuses_what_the_table_does_not_have() -> None:
    machine = mock.Mock(spec=Machine)
    machine.program = Program(plan(sets("a", v=1)))
    with pytest.raises(AssertionError, match="cannot go from sleeping to calling"):
        Machine.to(machine, StepFrame(0, "sleeping"), "calling")
