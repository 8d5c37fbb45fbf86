"""Ten thousand runs that wait: an event finds those that it is for, at a cost that does not grow with the others.

That this is so on a server too, in commands, is a test of the contract.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from flowlang.simulate import Simulation
from tests.unit.engine.building import Project, plan, uses, wait

MANY = 10_000

WAITING = plan(
    wait("paid", "shop/paid", "incoming.data.order == event.data.order"),
    uses("after", given={"cents": "${{ steps.paid.output.data.cents }}"}),
    on="shop/placed",
)


def send_many(sim: Simulation, numbers: range) -> dict[int, str]:
    """Runs that have come to their wait, by order."""
    runs = {number: sim.send("shop/placed", {"order": number})[0] for number in numbers}
    sim.run_ready()
    return runs


@contextlib.contextmanager
def lines_counted() -> Iterator[Callable[[], int]]:
    """Counts the lines of Python that are run: loops over what waits would show.

    The garbage collector rests meanwhile: what others have it call back would be counted where it happens to run.
    """
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before, collecting = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(trace)
    try:
        yield lambda: count
    finally:
        sys.settrace(before)
        if collecting:
            gc.enable()


def lines_of_an_event(sim: Simulation, number: int) -> int:
    with lines_counted() as counted:
        sim.send("shop/paid", {"order": number, "cents": 1})
        return counted()


def test_in_memory_an_event_costs_the_same_however_many_others_wait() -> None:
    project = Project(WAITING)
    runs = send_many(project, range(10))
    lines_of_an_event(project, 0)  # the first one fills caches, and asks for a worker
    few = [lines_of_an_event(project, 1), lines_of_an_event(project, -1)]
    runs |= send_many(project, range(10, MANY))
    lines_of_an_event(project, 3)
    many = [lines_of_an_event(project, 2), lines_of_an_event(project, -2)]
    project.run_ready()

    # Some lines hang on what is ready beside it and on caches of the process; a look at those who wait would be ten
    # thousand.
    grown = [more - less for more, less in zip(many, few, strict=True)]
    assert max(grown) < MANY / 10, f"{grown} lines more than {few}"
    ended = {number for number, run in runs.items() if project.store.run(run).row.status == "succeeded"}  # type: ignore[union-attr]
    assert ended == {0, 1, 2, 3}


def test_each_of_many_gets_its_own_event_once() -> None:
    project = Project(WAITING)
    runs = send_many(project, range(MANY))
    for number in reversed(range(MANY)):
        project.send("shop/paid", {"order": number, "cents": number})
    project.run_ready()

    assert project.called("after") == MANY
    assert sorted(call.arguments["cents"] for call in project.calls) == list(range(MANY))
    assert {project.finished(runs[number]).outputs()["after"]["cents"] for number in (0, 1, MANY - 1)} == {
        0,
        1,
        MANY - 1,
    }
