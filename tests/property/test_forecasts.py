"""What a dry run names is what then happens: for random plans, from any step, with handlers that answer as before."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from flowlang.engine.checkpoints import StartError
from flowlang.engine.ops import Claimed
from flowlang.engine.replay import Effect, Forecast, Question, ReplayError, Wish, opened, prepare
from flowlang.engine.turn import AttemptEnd, Call, Turn
from flowlang.engine.view import instance_key
from flowlang.forecast import forecast
from flowlang.simulate import Observer, Simulation
from tests.property.engine_plans import Drawn, drawn
from tests.property.test_engine import MANY, Trial
from tests.property.test_replays import STARTS, start_in
from tests.unit.engine.crashing import drive


class Effects(Observer):
    """Notes what a run does outside of itself."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.seen: set[Effect] = set()

    def called(self, row: Claimed, call: Call, end: AttemptEnd) -> None:
        if row.run == self.run:
            new = call.idempotency_key == instance_key(self.run, call.instance)
            self.seen.add(Effect("call", call.instance, call.handler, call.effect, new))

    def committed(self, row: Claimed, turn: Turn) -> None:
        for sent in turn.emissions if row.run == self.run else ():
            self.seen.add(
                Effect("emit", sent.instance, sent.name, "", sent.ident == instance_key(self.run, sent.instance))
            )


def foretold(project: Simulation, run: str, wish: Wish) -> Forecast:
    rows = project.store.run(run)
    assert rows is not None
    starter = project.catalog.starter(rows.row.pipeline)
    assert starter is not None
    earlier = opened(rows, project.sealer)
    prepared = prepare(rows, earlier, project._programs[rows.row.version], starter.program, wish)

    def find(other: str) -> None:
        del other

    return forecast(Question(earlier, prepared, starter, project.catalog, project.store.now_ms(), find))


@MANY
@given(drawn(tame=True), STARTS, st.booleans())
def test_a_dry_run_names_exactly_what_then_happens(made: Drawn, number: int, new_keys: bool) -> None:
    trial = Trial(made)
    first = trial.go()
    wish = Wish(start=start_in(first, number), new_keys=new_keys)
    try:
        told = foretold(trial.project, trial.run, wish)
    except (StartError, ReplayError):
        return
    again = trial.project.replay(trial.run, wish)
    trial.project._observer = watch = Effects(again)
    drive(trial.project)
    certain, perhaps = set(told.effects), {each.step for each in told.perhaps}
    assert certain <= watch.seen
    assert {re.sub(r"\[\d+\]", "[*]", each.step) for each in watch.seen - certain} <= perhaps
    if not told.unknown:
        assert perhaps == set()
    assert bool(told.unknown) <= (first.status != "succeeded")
