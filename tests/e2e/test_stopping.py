"""Worker processes are told to stop: attempts end or are handed back, and nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.pipelines import CALLS, chain, fan, one
from tests.e2e.waiting import PATIENCE_S, until
from tests.e2e.world import World, checkpoints

RUNS = 20

#: Of the storm: stops, runs of each kind, and calls between two stops.
STORMS, STORM_RUNS, BETWEEN = 5, 60, 90


def test_running_attempts_end_and_the_next_workers_go_on_from_there(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.deploy(chain(ms=100))
        with world.crew(2) as crew:
            runs = world.send("e2e/chain", RUNS)
            until(lambda: len(world.ledger.lines("begin")) >= RUNS, "load")
            assert crew.stop() == [0, 0]
        begun, ended = world.ledger.lines("begin"), world.ledger.lines("end")
        assert {line.place for line in begun} == {line.place for line in ended}
        assert len(begun) < RUNS * len(CALLS["chain"]), "the stop came in the middle"
        with world.crew(2):
            details = world.ended(runs)
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert {state.attempts for detail in details for state in detail.steps} == {1}
    expected = {(run, step) for run in runs for step in CALLS["chain"]}
    assert world.ledger.calls() == dict.fromkeys(expected, 1)
    assert checkpoints(details) == dict.fromkeys(expected, 1)


def test_a_storm_of_stops_loses_no_attempt_and_leaves_nothing_held(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    # Nobody waits for so long a lease: what a stopping process has claimed and not begun, it must have handed back.
    with World(tmp_path, LEASE="10m", THREADS="8") as world:
        world.deploy(chain(ms=5), fan(ms=5))
        runs = world.send("e2e/chain", STORM_RUNS) + world.send("e2e/fan", STORM_RUNS)
        for storm in range(1, STORMS + 1):
            with world.crew(2) as crew:
                world.under_way(storm * BETWEEN)
                assert crew.stop() == [0, 0]
            assert world.service.stats().held == 0
        begun = len(world.ledger.lines("begin"))
        with world.crew(2):
            details = world.ended(runs)
    expected = {(detail.run.id, step) for detail in details for step in CALLS[detail.run.pipeline]}
    assert begun < len(expected), "the stops came in the middle"
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert {state.attempts for detail in details for state in detail.steps} <= {0, 1}
    assert world.ledger.calls() == dict.fromkeys(expected, 1)
    assert [entry for detail in details for entry in detail.journal if entry["kind"] == "attempt.failed"] == []
    figure(f"{STORMS} stops of 2 processes, {len(expected)} calls, none repeated")


def test_what_does_not_end_in_time_is_handed_back_without_using_an_attempt(tmp_path: Path) -> None:
    # The lease is so long that only a handing-back explains that the next worker gets the step.
    with World(tmp_path, SHUTDOWN="0s", LEASE="10m") as world:
        world.deploy(one("work.deaf_once"))
        with world.crew(1) as crew:
            (run,) = world.send("e2e/one")
            until(lambda: world.ledger.lines("begin"), "the handler")
            assert crew.stop() == [0]
        with world.crew(1):
            (detail,) = world.ended([run])
    assert detail.run.status == "succeeded"
    assert [state.attempts for state in detail.steps] == [1]
    assert [line.attempt for line in world.ledger.lines("begin")] == [1, 1]
    assert [entry for entry in detail.journal if entry["kind"] == "attempt.failed"] == []


def test_a_stop_is_not_held_up_by_a_server_that_is_away(tmp_path: Path) -> None:
    with World(tmp_path, SHUTDOWN="0s") as world:
        world.deploy(one("work.until_told"))
        with world.crew(1) as crew:
            world.send("e2e/one")
            until(lambda: world.ledger.lines("begin"), "the handler")
            world.server.kill()
            assert crew.stop() == [0]
            assert "killed" not in {event.kind for event in crew.events}


def test_the_command_of_dramatiq_runs_a_worker_as_well(tmp_path: Path) -> None:
    with World(tmp_path, LOG_LEVEL="info") as world:
        world.deploy(chain(ms=1))
        argv = [sys.executable, "-m", "dramatiq", "flowlang.app", "--processes", "1", "--threads", "2"]
        with subprocess.Popen(argv, env=world.environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                details = world.ended(world.send("e2e/chain", 3))
                process.send_signal(signal.SIGTERM)
                said, _ = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        assert process.returncode == 0, said.decode()
        assert {detail.run.status for detail in details} == {"succeeded"}
        assert {worker.threads for worker in world.service.stats().workers} <= {2}
        assert world.service.stats().held == 0
