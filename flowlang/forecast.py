"""What a replay will do, found out by running it: on virtual time, in memory, and with no handler called.

Every call and every wait is answered as it was in the run replayed; what had not ended well there, or never ran, is
not answered at all, so that the forecast stops there and goes on beside it. The interpreter is the production one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flowlang.clock import ManualClock
from flowlang.engine.admission import row_of_emission
from flowlang.engine.catalog import Catalog
from flowlang.engine.drive import child_of
from flowlang.engine.intake import Delivery
from flowlang.engine.ops import Accepted, Claimed
from flowlang.engine.replay import Earlier, Effect, Forecast, Question, ReplayError
from flowlang.engine.state import Record
from flowlang.engine.turn import Call, Turn
from flowlang.engine.view import instance_key
from flowlang.plan import Emit, Invoke, Plan, Step, Uses, WaitFor
from flowlang.simulate import Observer, SimulatedError, SimulatedSnooze, Simulation

#: Stands for a wait: answered like a call, and no effect.
_WAIT = "flowlang.wait"

_YEAR_MS = 365 * 86_400_000
#: What is not answered comes back after this; nothing is looked at that happens later than the other.
_NEVER_MS = 100 * _YEAR_MS
_HORIZON_MS = 50 * _YEAR_MS

#: Turns after which a forecast is given up: somebody waits for it.
_TURNS = 50_000

_INDEX = re.compile(r"\[\d+\]")


def forecast(question: Question) -> Forecast:
    """Tell what a replay will do, if what is done again ends as it did."""
    return _Trial(question).told()


@dataclass(slots=True)
class _Run:
    """A run of the trial: which one it stands for, and where its instances lie."""

    plan: Plan
    earlier: Earlier | None
    prefix: str = ""
    parent: _Run | None = None
    new_keys: bool = False  #: it is a child whose `invoke` has a new key, from which all of its own derive
    unknown: bool = False


class _Trial(Observer):
    """A replay on trial."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._effects: dict[tuple[str, str], Effect] = {}
        self._unknown: dict[str, None] = {}
        self._runs: dict[str, _Run] = {}
        plan = question.starter.program.plan
        plans = {plan.pipeline: plan}
        _add_invoked(plan, question.catalog, plans)
        answers: dict[str, Callable[[Call], Any]] = {
            verb.handler: self._answer for each in plans.values() for verb in _calls(each)
        }
        self._plans = plans
        self._sim = Simulation(
            [_prepared(each) for each in plans.values()],
            {**answers, _WAIT: self._answer},
            schemas=question.catalog.manifest.events,
            manifest=question.catalog.manifest,
            clock=ManualClock(question.now_ms),
            secrets=_AnySecret(),
            observer=self,
        )

    def told(self) -> Forecast:
        """Run the trial and tell what was seen."""
        question, plan = self._question, self._question.starter.program.plan
        starter = self._sim.catalog.starter(plan.pipeline)
        assert starter is not None
        delivery = Delivery(row_of_emission(question.earlier.run, "forecast"))
        routed = self._sim.router().replay(starter, question.prepared.before, delivery, question.prepared.lineage)
        self._runs[routed.accept.runs[0].id] = _Run(plan, question.earlier)
        outcome = self._sim.apply(routed.accept)
        assert isinstance(outcome, Accepted)
        try:
            self._sim.run_until(question.now_ms + _HORIZON_MS, limit=_TURNS)
        except RuntimeError as error:
            raise ReplayError(f"the replay takes more than {_TURNS} turns, too many to foretell") from error
        effects = tuple(self._effects.values())
        perhaps = {each.step: each for run in self._runs.values() if run.unknown for each in self._perhaps(run)}
        return Forecast(effects, tuple(self._unknown), tuple(perhaps.values()))

    # Looking on -----------------------------------------------------------------------------------------------------

    def committed(self, row: Claimed, turn: Turn) -> None:
        """Note what a turn sends and invokes."""
        run = self._runs.get(row.run)
        if run is None:
            return
        for sent in turn.emissions:
            new = sent.ident == instance_key(row.run, sent.instance)
            self._note(run, Effect("emit", run.prefix + sent.instance, sent.name, new_key=new))
        for call in turn.invocations:
            new = call.origin == instance_key(row.run, call.instance)
            self._note(run, Effect("invoke", run.prefix + call.instance, call.pipeline, new_key=new))
            if call.wait:
                child = child_of(row.run, call.pipeline, call.instance)[1]
                earlier = self._child(run.earlier, call.pipeline, call.instance)
                below = f"{run.prefix}{call.instance}/"
                self._runs[child] = _Run(self._plans[call.pipeline], earlier, below, run, new or run.new_keys)

    def _note(self, run: _Run, effect: Effect) -> None:
        if run.new_keys:
            effect = msgspec.structs.replace(effect, new_key=True)
        self._effects.setdefault((effect.kind, effect.step), effect)

    def _child(self, earlier: Earlier | None, pipeline: str, instance: str) -> Earlier | None:
        """The run that a step invoked then: in the run replayed, or in the one that it had kept the step from."""
        while earlier is not None:
            found = self._question.find(child_of(earlier.run, pipeline, instance)[1])
            if found is not None:
                return found
            earlier = None if earlier.meta.replay_of is None else self._question.find(earlier.meta.replay_of)
        return None

    # Answering ------------------------------------------------------------------------------------------------------

    def _answer(self, call: Call) -> Any:
        """Answer a call as it was answered then."""
        row = self._sim.at_work
        run = None if row is None else self._runs.get(row.run)
        if run is None or row is None:
            raise SimulatedSnooze(_NEVER_MS)  # of a run that goes on by itself
        if call.handler != _WAIT:
            new = call.idempotency_key == instance_key(row.run, call.instance)
            step = run.prefix + call.instance
            self._note(run, Effect("call", step, call.handler, effect=call.effect, new_key=new))
        if call.step < 0:
            return None  # an undo
        record = None if run.earlier is None else run.earlier.records.get(call.instance)
        if record is None or self._is_open(run, call.instance, record):
            self._unknown[run.prefix + call.instance] = None
            above: _Run | None = run
            while above is not None:
                above.unknown = True
                above = above.parent
            raise SimulatedSnooze(_NEVER_MS)
        if record.error is not None:
            failure = SimulatedError()
            failure.error = record.error
            raise failure
        return None if record.output is msgspec.UNSET else record.output

    def _is_open(self, run: _Run, instance: str, record: Record) -> bool:
        """Whether nobody knows how an instance will end: it is what the run failed with, or did not come to its end."""
        if record.status in {"skipped", "cancelled"}:
            return True
        assert run.earlier is not None
        error = run.earlier.error
        return record.status != "succeeded" and error is not None and _pattern(error.step) == _pattern(instance)

    def _perhaps(self, run: _Run) -> Iterator[Effect]:
        """The effects of a run that may follow what is not known."""
        kept = self._question.prepared.before.records if run.parent is None else {}
        for step in run.plan.steps:
            loops = "".join(f"{run.plan.steps[loop].key}[*]." for loop in step.loops)
            item = "[*]" if step.foreach is not None or step.repeat is not None else ""
            name = f"{run.prefix}{loops}{step.key}{item}"
            certain = not loops and not item and (step.key in kept or self._is_seen(name))
            if not certain:
                yield from _effects(step.verb, name)
            if step.undo is not None:
                yield from _effects(step.undo.verb, f"{name}.undo")

    def _is_seen(self, name: str) -> bool:
        return any((kind, name) in self._effects for kind in ("call", "emit", "invoke"))


class _AnySecret(Mapping[str, str]):
    """Has every secret; none is looked at."""

    def __getitem__(self, name: str) -> str:
        return f"the secret {name}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _effects(verb: Any, name: str) -> Iterator[Effect]:
    match verb:
        case Uses(handler=handler, effect=effect):
            yield Effect("call", name, handler, effect=effect)
        case Emit(event=event):
            yield Effect("emit", name, event)
        case Invoke(pipeline=pipeline):
            yield Effect("invoke", name, pipeline)
        case _:
            pass


def _calls(plan: Plan) -> Iterator[Uses]:
    for step in plan.steps:
        for verb in (step.verb, None if step.undo is None else step.undo.verb):
            if isinstance(verb, Uses):
                yield verb


def _add_invoked(plan: Plan, catalog: Catalog, plans: dict[str, Plan]) -> None:
    """Add the pipelines that a plan's steps invoke, and those that these invoke."""
    for step in plan.steps:
        for verb in (step.verb, None if step.undo is None else step.undo.verb):
            starter = catalog.starter(verb.pipeline) if isinstance(verb, Invoke) else None
            if starter is not None and starter.pipeline not in plans:
                plans[starter.pipeline] = starter.program.plan
                _add_invoked(starter.program.plan, catalog, plans)


def _prepared(plan: Plan) -> Plan:
    """A plan for the trial: nothing starts it by itself, and nothing ends because the forecast stands still."""
    steps = tuple(_answered(step) for step in plan.steps)
    return msgspec.structs.replace(plan, steps=steps, triggers=(), cancel_on=(), timeout_ms=None, expires_ms=None)


def _answered(step: Step) -> Step:
    """A step without a time-out, whose end is known from the run replayed; a wait as a call that is answered."""
    verb = Uses(_WAIT, effect="pure") if isinstance(step.verb, WaitFor) else step.verb
    return msgspec.structs.replace(step, verb=verb, timeout_ms=None, cache=None)


def _pattern(instance: str) -> str:
    return _INDEX.sub("[*]", instance)
