"""Laws of the interpreter over random plans, failures, crashes, orders and cancels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from random import Random
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowlang.clock import ManualClock
from flowlang.engine.advance import advance
from flowlang.engine.drive import Held
from flowlang.engine.outside import Outside
from flowlang.engine.state import decode_state, encode
from flowlang.engine.turn import Call, Turn
from flowlang.simulate import Finished, Handler, Simulation
from tests.property.engine_plans import Drawn, Model, Worker, drawn, step_of
from tests.unit.engine.building import T0, Middle, Part, plan, uses
from tests.unit.engine.crashing import CrashingStore, Moment, drive

MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
CRASHES: st.SearchStrategy[dict[int, Moment]] = st.dictionaries(
    st.integers(3, 60), st.sampled_from(("before", "after")), max_size=3
)


class Trial:
    """One run of a drawn plan, with listeners for its outcomes and its emitted events."""

    def __init__(self, made: Drawn, crashes: Mapping[int, Moment] | None = None, *, lossy: bool = False) -> None:
        clock = ManualClock(T0)
        self.store = CrashingStore(clock)
        self.worker = Worker(made.behaviour, crashes=lossy)
        self.made = made
        plans = [
            plan(*made.parts, on_failure=made.on_failure),
            *(
                plan(uses("o", "ended"), pipeline=f"on-{end}", on=f"pipeline/p.{end}")
                for end in ("succeeded", "failed", "cancelled")
            ),
            plan(uses("h", "heard"), pipeline="listener", on="shop/paid"),
        ]
        self.undone: list[str] = []
        handlers: dict[str, Handler] = {
            "work": self.worker,
            "undo": self._undo,
            "ended": lambda _: None,
            "heard": lambda _: None,
        }
        self.project = Simulation(plans, handlers, store=self.store, clock=clock, rng=Middle())
        self.run = self.project.call("p")
        self.store.crashes = dict(crashes or {})

    def _undo(self, call: Call) -> None:
        self.undone.append(call.instance)

    def go(self, *, order: Random | None = None, cancel_after: int | None = None) -> Finished:
        drive(self.project, order=order, cancel=None if cancel_after is None else (self.run, cancel_after))
        return self.project.finished(self.run)


def parts_of(parts: Sequence[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from parts_of((*part.inside, *part.final, *(inner for arm in part.catch for inner in arm.inside)))


def check_laws(trial: Trial, done: Finished) -> None:
    """What holds for every run, whatever happened to it."""
    rows = trial.store.run(trial.run)
    assert rows is not None
    assert done.status in {"succeeded", "failed", "cancelled"}
    assert rows.timers == {}
    assert set(rows.scopes.values()) == {"ended"}
    outcomes = [row.pipeline for row in trial.store.runs(limit=1_000) if row.pipeline.startswith("on-")]
    assert outcomes == [f"on-{done.status}"]
    assert trial.store.rewritten == []
    assert [letter.id for letter in trial.store.dead_letters()] == ([trial.run] if done.status == "failed" else [])
    journal = trial.project.journal(trial.run)
    ended = Counter(
        entry["step"]
        for entry in journal
        if entry["kind"] in {"step.ended", "step.skipped", "step.undone"} and not _unnamed(entry["step"])
    )
    assert set(ended.values()) <= {1}
    assert set(done.records) == set(ended)
    groups = Counter(entry["step"] for entry in journal if entry["kind"] == "group.started")
    assert set(groups.values()) <= {1}
    failed = Counter((entry["step"], entry["attempt"]) for entry in journal if entry["kind"] == "attempt.failed")
    assert set(failed.values()) <= {1}
    for call in trial.worker.calls:
        assert call.instance not in done.records or call.attempt <= done.records[call.instance].attempts + 1
    assert len(trial.store.runs(pipeline="listener", limit=1_000)) == sum(1 for _ in _emitted(trial.made, done))
    check_finally(trial.made, done)
    check_undos(trial, done)


def check_undos(trial: Trial, done: Finished) -> None:
    """A run that has not succeeded has taken back exactly what had; one that has, nothing."""
    undone = {name for name in done.records if name.endswith(".undo")}
    if done.status == "succeeded":
        assert (undone, trial.undone) == (set(), [])
        return
    parts = {part.key: part for part in parts_of((*trial.made.parts, *trial.made.on_failure)) if part.undo is not None}
    worked = {
        f"{name}.undo"
        for name, record in done.records.items()
        if (part := parts.get(step_of(name))) is not None
        and name.endswith("]") == _is_loop(part)
        and record.status == "succeeded"
        and record.error is None
    }
    before_on_failure = {
        name for name in worked if step_of(name.removesuffix(".undo")) not in _keys(trial.made.on_failure)
    }
    assert before_on_failure <= undone <= {f"{call.instance}.undo" for call in trial.worker.calls}
    assert set(trial.undone) == undone
    assert all(done.records[name].status == "succeeded" for name in undone)


def _keys(parts: Sequence[Part]) -> set[str | None]:
    return {part.key for part in parts_of(parts)}


def _unnamed(instance: str) -> bool:
    return "-" in step_of(instance)


def _is_loop(part: Part) -> bool:
    return part.foreach is not None or part.repeat is not None


def _emitted(made: Drawn, done: Finished) -> Iterator[str]:
    """The instances of emits that have begun: an emit that has begun has sent its event."""
    loops = {part.key: _is_loop(part) for part in parts_of((*made.parts, *made.on_failure))}
    for name, record in done.records.items():
        if step_of(name).startswith("e") and record.status != "skipped" and name.endswith("]") == loops[step_of(name)]:
            yield name


def check_finally(made: Drawn, done: Finished) -> None:
    """The first step of a finally has a record in each instance whose step began; the journal has shown it to be one."""
    for part in parts_of((*made.parts, *made.on_failure)):
        if not part.final or part.key is None:
            continue
        first = str(part.final[0].key)
        for name, record in done.records.items():
            if step_of(name) != part.key or record.status == "skipped" or name.endswith("]") != _is_loop(part):
                continue
            inside = f"{name}." if _is_loop(part) else name[: len(name) - len(part.key)]
            assert inside + first in done.records, (name, first)


def shape(done: Finished) -> dict[str, Any]:
    """What must be the same however a run went: all but times."""
    return {
        "status": done.status,
        "output": done.output,
        "error": None if done.error is None else (done.error.error_class, done.error.code, done.error.step),
        "records": {
            name: (
                record.status,
                record.output,
                record.view,
                record.attempts,
            )
            for name, record in done.records.items()
        },
    }


# Laws ---------------------------------------------------------------------------------------------------------------


@MANY
@given(drawn(tame=True))
def test_a_run_ends_as_the_model_says(made: Drawn) -> None:
    trial = Trial(made)
    done = trial.go()
    check_laws(trial, done)
    model = Model(trial.run, made.behaviour)
    status, value = model.run(made)
    assert done.status == status
    if status == "failed":
        assert done.error is not None
        assert done.error.code == value
    else:
        assert done.output == value
    statuses = {name: status for name, status in done.statuses().items() if not name.endswith(".undo")}
    assert statuses == model.statuses
    assert {name: done.records[name].attempts for name in model.attempts} == model.attempts
    views = {name for name, record in done.records.items() if record.view is not None}
    assert done.outputs() == {name: value for name, value in model.outputs.items() if name not in views}


@MANY
@given(drawn(tame=True), CRASHES, st.integers(0, 2**32))
def test_crashes_and_orders_cost_nothing(made: Drawn, crashes: dict[int, Moment], seed: int) -> None:
    calm = shape(Trial(made).go())
    trial = Trial(made, crashes)
    done = trial.go(order=Random(seed))
    check_laws(trial, done)
    assert shape(done) == calm


@MANY
@given(drawn(tame=True))
def test_handlers_that_lose_their_worker_now_and_then_cost_nothing(made: Drawn) -> None:
    calm = shape(Trial(made).go())
    trial = Trial(made, lossy=True)
    done = trial.go()
    check_laws(trial, done)
    assert shape(done) == calm


@MANY
@given(drawn(tame=False), CRASHES, st.integers(0, 2**32), st.none() | st.integers(1, 30))
def test_every_run_ends_once_whatever_happens(
    made: Drawn, crashes: dict[int, Moment], seed: int, cancel_after: int | None
) -> None:
    trial = Trial(made, crashes, lossy=True)
    done = trial.go(order=Random(seed), cancel_after=cancel_after)
    check_laws(trial, done)
    if cancel_after is None:
        assert done.status != "cancelled"
    assert all(record.status != "cancelled" or record.error is not None for record in done.records.values())


@MANY
@given(drawn(tame=False), st.none() | st.integers(1, 30), st.integers(0, 2**32))
def test_a_turn_follows_from_its_arguments_and_its_state_survives_storage(
    made: Drawn, cancel_after: int | None, seed: int
) -> None:
    with _checked_turns():
        trial = Trial(made)
        trial.go(order=Random(seed), cancel_after=cancel_after)


class CheckedHeld(Held):
    """Takes each turn twice: once as always, once from the stored form of the state."""

    def turn(self, facts: Sequence[Mapping[str, Any]], **more: Any) -> Turn:
        stored, view, new = encode(self.state), deepcopy(self.view), facts[self.taken :]
        turn = super().turn(facts, **more)
        after = encode(self.state)
        assert decode_state(after) == self.state
        again = decode_state(stored)
        catalog = more.pop("catalog")
        assert catalog is not None
        view.mask = lambda: self.mask(catalog)
        lost = more.get("flight") == "lost"
        opened = [self._opened(fact) for fact in new]
        second = advance(
            self.program,
            view,
            again,
            opened,
            outside=Outside(catalog, self.sealer, more["now_ms"]),
            rescues=self.row.rescues if lost else 0,
            **more,
        )
        assert encode(again) == after
        assert _decisions(second) == _decisions(turn)
        return turn


def _decisions(turn: Turn) -> list[Any]:
    call = None if turn.call is None else encode(turn.call)
    end = None if turn.run_end is None else encode(turn.run_end)
    child = None if turn.child_end is None else encode(turn.child_end)
    return [
        turn.status,
        call,
        turn.records,
        turn.journal,
        turn.timers,
        turn.cleared,
        turn.groups,
        turn.cancels,
        turn.waits,
        turn.unwaits,
        turn.takes,
        turn.invocations,
        turn.cancel_children,
        turn.undos,
        turn.lookups,
        turn.cached,
        turn.emissions,
        end,
        child,
        turn.child_weight,
    ]


@contextmanager
def _checked_turns() -> Iterator[None]:
    with mock.patch("flowlang.simulate.Held", CheckedHeld):
        yield
