"""Faults one by one, with real processes: poison, zombies, and a server that is away when something is due."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from typing import Literal

import pytest

from flowlang import crashpoints
from flowlang.engine.attempts import MAX_RESCUES
from flowlang.plan import EventTrigger, Plan, RetryRule, Step, Uses
from tests.e2e.pipelines import chain
from tests.e2e.waiting import until
from tests.e2e.world import World, checkpoints
from tests.unit.engine.building import plan, sleep, uses

SOON = ((RetryRule(("transient",), attempts=3, initial_ms=1, jitter="none"),),)


def given(handler: str, effect: Literal["idempotent", "once"] = "idempotent", **arguments: object) -> Plan:
    """A call of a handler with arguments, of the step `a`; started by `e2e/one`."""
    step = Step(0, "a", Uses(handler, arguments, effect=effect), retry=SOON)
    return Plan("one", (step,), (0,), triggers=(EventTrigger(("e2e/one",)),), output="${{ steps.a.output }}")


@pytest.mark.parametrize(
    ("poison", "calls", "code"),
    [(given("work.poison"), 4, "crashed"), (given("work.poison_once", "once"), 1, "unknown_outcome")],
    ids=["tried again", "once"],
)
def test_a_handler_that_kills_its_process_is_a_dead_letter_in_the_end(
    tmp_path: Path, poison: Plan, calls: int, code: str
) -> None:
    with World(tmp_path, LEASE="1s") as world:
        world.deploy(poison)
        with world.crew(2) as crew:
            (run,) = world.send("e2e/one")
            (detail,) = world.ended([run])
            assert crew.ends() == [-signal.SIGKILL] * calls
        assert [letter.id for letter in world.service.dead_letters()] == [run]
    assert detail.run.status == "failed"
    assert detail.error is not None
    assert (detail.error["class"], detail.error["code"]) == ("permanent", code)
    assert world.ledger.calls() == {(run, "a"): calls}
    world.ledger.check_attempts()


def test_poison_takes_none_of_its_neighbours_along(tmp_path: Path) -> None:
    # All are in the one process whenever it dies, and none of them can end before the poison is called again.
    with World(tmp_path, LEASE="2s", THREADS="8") as world:
        world.deploy(given("work.poison"), chain(ms=500, keys=("a", "b")))
        with world.crew(1) as crew:
            world.idle()
            neighbours = world.send("e2e/chain", 5)
            (poison,) = world.send("e2e/one")
            details = world.ended([*neighbours, poison])
            assert crew.ends() == [-signal.SIGKILL] * 4
    assert {detail.run.id for detail in details if detail.run.status != "succeeded"} == {poison}
    assert world.ledger.calls()[poison, "a"] == 4


def test_what_has_never_begun_is_not_taken_for_poison_however_often_its_process_is_killed(tmp_path: Path) -> None:
    with World(tmp_path, LEASE="1s") as world:
        world.deploy(chain())
        (run,) = world.send("e2e/chain")
        # Each process dies as soon as it has claimed the run, and has called nothing.
        with world.crew(1, variables={crashpoints.VARIABLE: "claiming.after_reply:1:kill"}) as doomed:
            until(lambda: len(doomed.ends()) > MAX_RESCUES + 1, "processes that are killed")
        with world.crew(1):
            (detail,) = world.ended([run])
    assert doomed.ends()[: MAX_RESCUES + 2] == [-signal.SIGKILL] * (MAX_RESCUES + 2)
    assert detail.run.status == "succeeded"


@pytest.mark.parametrize("listens", [True, False], ids=["told", "too late"])
def test_a_process_that_stood_still_beyond_its_lease_writes_nothing_any_more(tmp_path: Path, listens: bool) -> None:
    with World(tmp_path, LEASE="1s") as world:
        world.deploy(given("work.late_once", listens=listens), chain())
        with world.crew(2) as crew:
            (run,) = world.send("e2e/one")
            (call,) = until(lambda: world.ledger.lines("begin"), "the handler")
            assert crew.freeze(call.pid)
            (detail,) = world.ended([run])  # by the other process, when the lease was over
            crew.thaw(call.pid)
            until(lambda: world.ledger.lines("late"), "the handler of the process that stood still")
            if listens:
                assert [line.pid for line in world.ledger.lines("told")] == [call.pid]
            world.ended(world.send("e2e/chain"))
            late = world.service.run(run)
            assert crew.ends() == [], "it goes on with other work"
    assert detail.output in {line.pid for line in world.ledger.lines("begin") if line.run == run} - {call.pid}
    assert (late.run.status, late.output, late.journal) == ("succeeded", detail.output, detail.journal)
    assert checkpoints([late]) == {(run, "a"): 1}
    assert [line.attempt for line in world.ledger.lines("begin") if line.run == run] == [1, 1]


@pytest.mark.parametrize("alive", [True, False], ids=["workers stay", "workers come later"])
def test_timers_that_were_due_while_the_server_was_away_fire_once_when_it_is_back(tmp_path: Path, alive: bool) -> None:
    napping = plan(sleep("1s"), uses("a", "work.do", {"n": 1}), pipeline="napping", on="e2e/nap")
    with World(tmp_path, appendfsync="always", LEASE="10m") as world:
        world.deploy(napping)
        with world.crew(1) as crew:
            runs = world.send("e2e/nap", 10)
            until(lambda: world.service.stats().timers == len(runs), "all to sleep")
            if not alive:
                crew.stop()
            set_ns = time.monotonic_ns()
            world.server.kill()
            until(lambda: time.monotonic_ns() > set_ns + 1_000_000_000, "the timers to be due")
            world.server.restart()
            with contextlib.nullcontext() if alive else world.crew(1):
                details = world.ended(runs)
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert world.ledger.calls() == {(run, "a"): 1 for run in runs}
    assert set(checkpoints(details).values()) == {1}


def test_a_failure_while_the_server_is_away_is_recorded_and_tried_again(tmp_path: Path) -> None:
    with World(tmp_path, appendfsync="always", LEASE="10m") as world:
        world.deploy(given("work.fails_first", ms=300))
        with world.crew(1) as crew:
            (run,) = world.send("e2e/one")
            until(lambda: world.ledger.lines("begin"), "the handler")
            world.server.kill()
            until(lambda: world.ledger.lines("end"), "the failure")
            world.server.restart()
            (detail,) = world.ended([run])
            assert crew.ends() == []
    assert (detail.run.status, detail.output) == ("succeeded", 2)
    assert [line.attempt for line in world.ledger.lines("begin")] == [1, 2]
    assert [entry["attempt"] for entry in detail.journal if entry["kind"] == "attempt.failed"] == [1]


def test_an_outage_beyond_the_lease_takes_nothing_from_those_who_live(tmp_path: Path) -> None:
    with World(tmp_path, appendfsync="always", LEASE="1s") as world:
        world.deploy(given("work.once", "once", ms=3_000))
        with world.crew(2) as crew:
            runs = world.send("e2e/one", 6)
            world.under_way(len(runs))
            began_ns = time.monotonic_ns()
            world.server.kill()
            until(lambda: time.monotonic_ns() > began_ns + 2_000_000_000, "all leases to be over")
            world.server.restart()
            details = world.ended(runs)
            assert crew.ends() == []
    assert {(detail.run.status, detail.output) for detail in details} == {("succeeded", "done")}
    assert world.ledger.calls() == {(run, "a"): 1 for run in runs}
