"""Laws of replays over random plans: from whichever step a run is replayed, it ends as it did, and repeats no more."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.engine.checkpoints import StartError, checkpoints
from flowlang.engine.program import Program
from flowlang.engine.replay import ReplayError, Wish, opened
from flowlang.simulate import Finished
from tests.property.engine_plans import Drawn, drawn
from tests.property.test_engine import CRASHES, MANY, Trial
from tests.unit.engine.crashing import Moment, drive


def ending(done: Finished) -> dict[str, Any]:
    """How a run ended, in the same words whether its loops' rows are its own or were kept."""
    records = {}
    for name, record in done.records.items():
        output = record.output
        if record.view is not None:
            items = (done.records.get(f"{record.view_of}[{number}]") for number in range(record.view))
            output = [None if item is None or item.output is msgspec.UNSET else item.output for item in items]
        records[name] = (record.status, output, record.attempts)
    error = None if done.error is None else (done.error.error_class, done.error.code, done.error.step)
    return {"status": done.status, "output": done.output, "error": error, "records": records}


STARTS = st.integers(0, 10_000)


def start_in(done: Finished, number: int) -> str | None:
    """Nothing for a whole replay, or an instance of the run."""
    names = [None, *sorted(done.records)]
    return names[number % len(names)]


def undone(done: Finished) -> set[str]:
    """Instances that were undone, and their undos."""
    undos = {name for name in done.records if name.endswith(".undo")}
    return undos | {name.removesuffix(".undo") for name in undos}


def called(trial: Trial) -> set[str]:
    return {call.instance for call in trial.worker.calls}


def same(replayed: dict[str, Any], first: dict[str, Any]) -> None:
    """Compare; steps without an id have a record only where they were kept."""
    kept = {name: record for name, record in replayed["records"].items() if name in first["records"]}
    assert {**replayed, "records": kept} == first


@MANY
@given(drawn(tame=True), STARTS)
def test_a_replay_from_any_step_ends_as_the_run_did_and_calls_nothing_that_is_kept(made: Drawn, number: int) -> None:
    trial = Trial(made)
    first = trial.go()
    before = called(trial)
    start = start_in(first, number)
    trial.worker.calls.clear()
    try:
        again = trial.project.replay(trial.run, Wish(start=start))
    except StartError:  # of a step of on_failure
        assert made.on_failure
        return
    except ReplayError:
        assert undone(first)
        return
    drive(trial.project)
    same(ending(trial.project.finished(again)), ending(first))
    kept = kept_of(trial, start)
    assert called(trial) & kept == set()
    assert called(trial) | kept >= before


def kept_of(trial: Trial, start: str | None) -> set[str]:
    rows = trial.store.run(trial.run)
    assert rows is not None
    program = Program(trial.project.catalog.starter("p").program.plan)  # type: ignore[union-attr] # it is deployed
    earlier = opened(rows, trial.project.sealer)
    return set() if start is None else set(checkpoints(program, program, earlier.records, start).records)


@settings(MANY, max_examples=100)
@given(drawn(tame=True), CRASHES, st.integers(0, 2**32), STARTS)
def test_crashes_during_a_replay_cost_nothing(made: Drawn, crashes: dict[int, Moment], seed: int, number: int) -> None:
    trial = Trial(made)
    first = trial.go()
    start = start_in(first, number)
    try:
        again = trial.project.replay(trial.run, Wish(start=start))
    except (StartError, ReplayError):
        return
    trial.store.crashes = {trial.store.flushes + at: moment for at, moment in crashes.items()}
    drive(trial.project, order=Random(seed))
    same(ending(trial.project.finished(again)), ending(first))


@MANY
@given(drawn(tame=True), st.tuples(STARTS, STARTS))
def test_a_replay_of_a_replay_has_the_same_keys(made: Drawn, numbers: tuple[int, int]) -> None:
    trial = Trial(made)
    first = trial.go()
    keys = {call.instance: call.idempotency_key for call in trial.worker.calls}
    run = trial.run
    for number in numbers:
        start = start_in(first, number)
        try:
            run = trial.project.replay(run, Wish(start=start))
        except (StartError, ReplayError):
            continue
        trial.worker.calls.clear()
        drive(trial.project)
        same(ending(trial.project.finished(run)), ending(first))
        again = {call.instance: call.idempotency_key for call in trial.worker.calls}
        assert {name: key for name, key in again.items() if name not in undone(first)}.items() <= keys.items()
        assert not {name: key for name, key in again.items() if name in undone(first)}.items() & keys.items()
        keys |= again


@MANY
@given(drawn(tame=False), CRASHES, st.integers(0, 2**32), STARTS, st.none() | st.integers(1, 30))
def test_every_replay_ends_once_whatever_happens(
    made: Drawn, crashes: dict[int, Moment], seed: int, number: int, cancel_after: int | None
) -> None:
    trial = Trial(made)
    first = trial.go(order=Random(seed))
    try:
        again = trial.project.replay(trial.run, Wish(start=start_in(first, number)))
    except (StartError, ReplayError):
        return
    trial.store.crashes = {trial.store.flushes + at: moment for at, moment in crashes.items()}
    cancel = None if cancel_after is None else (again, cancel_after)
    drive(trial.project, order=Random(seed), cancel=cancel)
    rows = trial.store.run(again)
    assert rows is not None
    assert rows.row.status in {"succeeded", "failed", "cancelled"}
    assert (rows.timers, rows.waits, set(rows.scopes.values())) == ({}, {}, {"ended"})
    assert trial.store.rewritten == []
    outcomes = [row.pipeline for row in trial.store.runs(limit=1_000) if row.pipeline.startswith("on-")]
    assert len(outcomes) == 2
