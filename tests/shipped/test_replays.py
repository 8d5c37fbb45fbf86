"""Runs of the shipped pipelines, replayed from each of their steps: they end as they did, and as was foretold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.compiler.pipeline_tests import reached
from flowlang.engine.checkpoints import StartError
from flowlang.engine.replay import ReplayError, Wish
from flowlang.engine.state import Record
from flowlang.engine.turn import Call
from flowlang.model import TestDocument
from flowlang.pipeline_tests.scenario import Scenario
from flowlang.simulate import Finished, SimulatedError, Simulation
from tests.property.test_forecasts import Effects, foretold
from tests.property.test_replays import ending, same
from tests.shipped.test_pipeline_tests import SUITE


def played(test: TestDocument) -> Scenario:
    """A test that has been played, with its simulation."""
    model = test.model
    assert model is not None
    plans = {name: SUITE.project.plans[name] for name in reached(SUITE.project.plans, [model.pipeline, *model.also])}
    scenario = Scenario(test, model, plans, SUITE.project, SUITE._handlers)
    scenario.play()
    return scenario


class Answers:
    """Answers each call as it was answered in a run; of the same error as often as it takes."""

    def __init__(self, simulation: Simulation, records: dict[str, Record]) -> None:
        self.simulation, self.records = simulation, records
        simulation.handlers = dict.fromkeys(simulation.handlers, self)

    def __call__(self, call: Call) -> Any:
        record = self.records[call.instance]
        if record.error is not None:
            failure = SimulatedError()
            failure.error = record.error
            raise failure
        return None if record.output is msgspec.UNSET else record.output


def ended(simulation: Simulation, pipeline: str) -> list[Finished]:
    return [simulation.finished(row.id) for row in simulation.store.runs(pipeline=pipeline, limit=1_000)]


@pytest.mark.parametrize("test", SUITE.tests, ids=lambda test: f"{test.source.path}: {test.name}")
def test_a_replay_from_any_step_ends_as_the_run_did_and_as_was_foretold(test: TestDocument) -> None:
    scenario = played(test)
    simulation = scenario.sim
    assert test.model is not None
    for first in ended(simulation, test.model.pipeline):
        if first.status not in {"succeeded", "failed"}:
            continue
        Answers(simulation, first.records)
        for start in (None, *first.records):
            wish = Wish(start=start)
            try:
                told = foretold(simulation, first.id, wish)
            except (StartError, ReplayError):
                continue
            again = simulation.replay(first.id, wish)
            simulation._observer = watch = Effects(again)
            simulation.run_until_idle()
            same(outcome(simulation.finished(again)), outcome(first))
            if not told.unknown:
                assert set(told.effects) == watch.seen
            assert set(told.effects) <= watch.seen


def outcome(done: Finished) -> dict[str, Any]:
    """How a run ended, without the number of attempts: an error is answered from the first."""
    found = ending(done)
    records = {name: (status, output) for name, (status, output, _) in found["records"].items()}
    return {**found, "records": records}
