"""Workers are killed in the middle of steps: every run ends, and every checkpoint is written once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.crew import Crew
from tests.e2e.ledger import Ledger, Line
from tests.e2e.pipelines import CALLS, CHECKPOINTS, chain, fan
from tests.e2e.waiting import until
from tests.e2e.world import World, checkpoints

KILLS = 20
RUNS = 300
THREADS = 4


def kill_in_a_step(crew: Crew, ledger: Ledger) -> list[Line]:
    """Kill the first worker that is found in the middle of a step.

    Returns:
        The calls that it was making. It stood still while we looked, so none of them can have ended.
    """
    return until(lambda: _killed(crew, ledger), "a worker in a step")


def _killed(crew: Crew, ledger: Ledger) -> list[Line] | None:
    for pid in crew.pids:
        if not crew.freeze(pid):
            continue
        calls = ledger.open_in(pid)
        if calls:
            crew.kill(pid)
            return calls
        crew.thaw(pid)
    return None


def takeovers(ledger: Ledger, kills: list[tuple[int, list[Line]]]) -> list[float]:
    """Seconds from each kill to the next call of what it had interrupted."""
    begun = ledger.lines("begin")
    return [
        min(line.at_ns - killed_ns for line in begun if line.place == call.place and line.at_ns > killed_ns) / 1e9
        for killed_ns, calls in kills
        for call in calls
    ]


def test_every_run_ends_though_workers_are_killed_in_steps(tmp_path: Path, figure: Callable[[str], None]) -> None:
    kills: list[tuple[int, list[Line]]] = []
    runs: list[str] = []
    with World(tmp_path, LEASE="2s", THREADS=str(THREADS)) as world:
        world.deploy(chain(), fan())
        with world.crew(3) as crew:
            for _ in range(KILLS):
                runs += world.send("e2e/chain", RUNS // KILLS - 5) + world.send("e2e/fan", 5)
                calls = kill_in_a_step(crew, world.ledger)
                kills.append((time.monotonic_ns(), calls))
                # A backlog would hide how soon interrupted calls are taken over.
                until(lambda: sum(world.service.stats().ready.values()) < THREADS, "the rest of the load")
            details = world.ended(runs, patience_s=100)
        replaced = [event for event in crew.events if event.kind == "started"]

    assert len(runs) == RUNS
    assert [detail.run.id for detail in details if detail.run.status != "succeeded"] == []
    assert {detail.output - detail.event.data["n"] for detail in details} == {5}
    assert len(replaced) == 3 + KILLS

    expected = {(detail.run.id, step) for detail in details for step in CHECKPOINTS[detail.run.pipeline]}
    assert checkpoints(details) == dict.fromkeys(expected, 1)

    called = world.ledger.calls()
    assert set(called) == {(detail.run.id, step) for detail in details for step in CALLS[detail.run.pipeline]}
    world.ledger.check_attempts()
    # A killed process leaves at most one call a thread without a checkpoint; nothing else is ever repeated.
    repeated = called.total() - len(called)
    assert sum(len(calls) for _, calls in kills) <= repeated <= KILLS * (THREADS + 1)
    figure(
        f"{KILLS} kills, {repeated} of {len(called)} calls repeated; "
        f"longest from kill to next call {max(takeovers(world.ledger, kills)):.2f} s with a lease of 2 s"
    )
