"""From an event to the runs that it makes: pure, for every way in, so that each gives the same answer.

For each matching trigger: `if` sees the event as it came; then `data` maps it to the pipeline's input, which is checked
with defaults filled in; then `vars` in written order; then the idempotency key. A trigger whose expressions err makes
no run and a dead letter with the expression's values; the other triggers go on. What is decided here is written by one
`Accept`. Whether the event may be sent is asked before (`admission`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flowlang.clock import rfc3339
from flowlang.engine import sealed_fields
from flowlang.engine.admission import check_data
from flowlang.engine.awaiting import wait_keys
from flowlang.engine.catalog import Catalog, CronEntry, Starter, Subscription, own_outcomes
from flowlang.engine.evaluation import type_name
from flowlang.engine.flow_control import event_gates, priority_ms, run_gates, sealed
from flowlang.engine.intake import (
    CALLED,
    CANCEL_ON,
    EXPIRES,
    WEEK_MS,
    DeadEvent,
    DelayedEvent,
    Delivery,
    Lineage,
    Reason,
    Routed,
    TriggerProblem,
    key_text,
)
from flowlang.engine.marks import carrying, event_values
from flowlang.engine.ops import MAIN, Accept, DeadLetter, EventRow, OnceKey, Parent, RunSeed, Timer, Wait
from flowlang.engine.ports import Sealer
from flowlang.engine.program import ROOT
from flowlang.engine.recalling import PAST, recalled, undone
from flowlang.engine.schedule import Tick
from flowlang.engine.schemas import Failure, fill_defaults
from flowlang.engine.state import Event, Past, Record, RunMeta, encode
from flowlang.engine.turn import Wanted
from flowlang.engine.view import uuids
from flowlang.errors import FlowError
from flowlang.expr import EvaluationError, Expression, Pins, Timestamp, ValueTemplate, compile_expression, to_json
from flowlang.ids import run_id_for
from flowlang.redaction import Mask


class Before(msgspec.Struct, frozen=True):
    """What a replay has from the run before it."""

    event: Event
    events: tuple[Event, ...] = ()  #: of a batch
    vars: dict[str, Any] = {}  #: those that keep their value
    records: dict[str, Record] = {}  #: checkpoints that are kept
    pasts: dict[str, Past] = {}  #: what its instances were given


class InputError(FlowError):
    """A pipeline was called with data that its input does not allow, or that its own expressions cannot use.

    Args:
        problem: Where and why.
    """

    def __init__(self, problem: TriggerProblem) -> None:
        super().__init__(f"{problem.pipeline}: {problem.where}: {problem.message}")
        self.problem = problem


@dataclass(slots=True)
class _Found:
    runs: list[RunSeed] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    problems: list[TriggerProblem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Router:
    """Decides what events start.

    Attributes:
        catalog: Of the epoch that the accepts will carry.
        sealer: Seals what is stored.
        now_ms: The store's time.
    """

    catalog: Catalog
    sealer: Sealer
    now_ms: int

    def route(self, event: Event, delivery: Delivery, only: Iterable[tuple[str, int]] | None = None) -> Routed:
        """Decide what an event starts; one whose data does not fit its schema becomes a dead letter.

        Args:
            event: From a sender that may send it (`admission.check_name`).
            delivery: How it is kept.
            only: Look only at these triggers, (pipeline, index): for an event that is sent again after some had failed.
        """
        checked = check_data(self.catalog, event.name, event.data)
        if not checked.ok:
            return Routed(self.dead(event, delivery, failures=checked.failures), (), ())
        return self.route_checked(_with_data(event, checked.data), delivery, only)

    def route_checked(self, event: Event, delivery: Delivery, only: Iterable[tuple[str, int]] | None = None) -> Routed:
        """Decide what an event starts whose data has passed `check_data` with this catalog; see `route`."""
        found = _Found()
        if only is None:
            looked_at = self.catalog.subscribers(event.name)
        else:
            places = (self.catalog.trigger(*place) for place in dict.fromkeys(only))
            looked_at = tuple(place for place in places if place is not None)
        for subscription in looked_at:
            self._try(subscription, event, delivery, found)
        return self._routed(event, delivery, found)

    def tick(self, entry: CronEntry, event: Event, tick: Tick) -> Routed:
        """Decide what a tick of a schedule starts: its own trigger alone, once over any number of schedulers."""
        delivery = Delivery(row=event.id, tick=(entry.key, tick.scheduled_ms))
        found = _Found()
        self._try(entry.subscription, event, delivery, found)
        return self._routed(event, delivery, found)

    def delayed(self, row: str, waiting: DelayedEvent) -> Routed:
        """Decide what an emitted event starts whose delay is over, by the manifest that is active now.

        Args:
            row: The id under which it is kept, and has been waiting.
            waiting: The event.
        """
        event = msgspec.structs.replace(waiting.event, time=rfc3339(self.now_ms))
        return self.route(event, Delivery(row, dedupe=waiting.dedupe, delayed=row))

    def call(
        self,
        starter: Starter,
        event: Event,
        delivery: Delivery,
        lineage: Lineage | None = None,
        parent: Parent | None = None,
    ) -> Routed:
        """Start a pipeline by name; triggers on the call's event get theirs too.

        Args:
            starter: The pipeline.
            event: `pipeline/<id>.called` with the call's data.
            delivery: How the event is kept.
            lineage: Of a run that another one invokes: what it inherits.
            parent: And who is told of it.

        Raises:
            InputError: when the data or the pipeline's own expressions over it are wrong.
        """
        found = _Found()
        start = _Start(self, starter, CALLED, delivery.row, lineage or _ALONE, parent)
        try:
            found.runs.append(start.seed(start.with_input(event, event.data)))
        except InputError as error:
            raise InputError(self._shown(event, starter, error.problem)) from error
        for subscription in self.catalog.subscribers(event.name):
            self._try(subscription, event, delivery, found)
        return self._routed(event, delivery, found)

    def replay(self, starter: Starter, before: Before, delivery: Delivery, lineage: Lineage) -> Routed:
        """Start a pipeline again with what an earlier run began with, and what is kept of it.

        What holds events back is passed by: idempotency, rate limit, debounce and batch.

        Args:
            starter: The pipeline, in the version that the replay will have.
            before: What is known of the earlier run.
            delivery: How the event is kept, under a new row.
            lineage: Links to the earlier run.

        Raises:
            InputError: when its event's data, or the pipeline's own expressions over it, do not fit this version.
        """
        start = _Start(self, starter, CALLED, delivery.row, lineage)
        event = before.event
        try:
            if not before.events:
                event = start.with_input(event, event.data)
            found = _Found(runs=[start.seed(event, before)])
        except InputError as error:
            raise InputError(self._shown(event, starter, error.problem)) from error
        # It is no new event: whoever waits for such ones has seen it, or had not begun to wait.
        return Routed(self._accept(event, delivery, found, None, keys=()), (), ())

    def dead(self, event: Event, delivery: Delivery, *, failures: tuple[Failure, ...] = (), reason: str = "") -> Accept:
        """Keep an event that cannot be taken, for a person.

        Args:
            event: As it came.
            delivery: How it is kept.
            failures: Of its own schema.
            reason: When it is something else.
        """
        body = DeadEvent(event, failures=failures, reason=reason, dedupe=delivery.dedupe)
        return self._accept(event, delivery, _Found(), body, keys=())

    def _routed(self, event: Event, delivery: Delivery, found: _Found) -> Routed:
        problems = tuple(found.problems)
        body = DeadEvent(event, problems=problems, dedupe=delivery.dedupe) if problems else None
        awaited = self.catalog.awaited
        keys = awaited.keys(event.view(), self.catalog.key_hash) if awaited.any_for(event.name) else ()
        return Routed(self._accept(event, delivery, found, body, keys=keys), tuple(found.reasons), problems)

    def _accept(
        self, event: Event, delivery: Delivery, found: _Found, body: DeadEvent | None, *, keys: tuple[str, ...]
    ) -> Accept:
        row, seal = delivery.row, self.sealer.seal
        dedupe = delivery.dedupe
        return Accept(
            epoch=self.catalog.epoch,
            event=EventRow(
                id=row,
                name=event.name,
                source=event.source,
                body=seal(encode(event), row, sealed_fields.EVENT),
                dedupe=None if dedupe is None else self.catalog.key_hash("dedupe", event.source, dedupe),
                dedupe_ms=delivery.dedupe_ms,
                keep_ms=delivery.keep_ms,
                reasons=seal(encode(found.reasons), row, sealed_fields.REASONS) if found.reasons else b"",
                keys=keys,
                mail_ms=self.catalog.limit("lookback", WEEK_MS) if keys else 0,
            ),
            runs=tuple(found.runs),
            dead=None
            if body is None
            else DeadLetter(row, "event", event.name, seal(encode(body), row, sealed_fields.DEAD)),
            tick=delivery.tick,
            delayed=delivery.delayed,
        )

    def _try(self, subscription: Subscription, event: Event, delivery: Delivery, found: _Found) -> None:
        starter, index = subscription.starter, subscription.index
        if event.name.startswith("pipeline/") and event.name in own_outcomes(starter.pipeline):
            found.reasons.append(Reason(starter.pipeline, index, "a pipeline is not started by its own outcome"))
            return
        start = _Start(self, starter, index, delivery.row)
        try:
            condition, names = subscription.condition, None
            if condition is not None:
                names = {"event": event.view()}
                answer = start.evaluated("if", condition, names)
                if answer is not True:
                    values = _values(condition, names)
                    found.reasons.append(
                        Reason(starter.pipeline, index, "the condition is false", condition.text, values)
                    )
                    return
            if subscription.data is None:
                found.runs.append(start.seed(start.with_input(event, event.data)))
                return
            data = start.evaluated("data", subscription.data, names or {"event": event.view()})
            made = carrying(Mask(event_values(event, self.catalog.marks)), start.with_input(event, data))
            found.runs.append(start.seed(made))
        except InputError as error:
            found.problems.append(self._shown(event, starter, error.problem))

    def _shown(self, event: Event, starter: Starter, problem: TriggerProblem) -> TriggerProblem:
        """A problem as its message may be told to whoever sent the event."""
        mask = starter.program.marks.mask(RunMeta(event, self.now_ms), {}, self.catalog.marks)
        return msgspec.structs.replace(problem, message=mask.text(problem.message)) if mask else problem


_ALONE = Lineage()


class _Start(msgspec.Struct, frozen=True):
    """One pipeline being started by one trigger."""

    router: Router
    starter: Starter
    index: int
    row: str
    lineage: Lineage = _ALONE
    parent: Parent | None = None

    @property
    def run(self) -> str:
        return run_id_for(self.row, self.starter.pipeline, self.index)

    def with_input(self, event: Event, data: Any) -> Event:
        """The event with data as the pipeline takes it."""
        schema = self.starter.program.plan.input_schema
        if schema is None:
            return _with_data(event, data)
        checked = self.starter.check_input.check(fill_defaults(schema, data))
        if not checked.ok:
            listed = "; ".join(f"{failure.path} {failure.message}" for failure in checked.failures)
            message = f"the data does not fit the pipeline's input: {listed}"
            raise self._wrong("input", message, code="input.invalid", failures=checked.failures)
        return _with_data(event, checked.data)

    def seed(self, event: Event, before: Before | None = None) -> RunSeed:
        """The run to create; with what an earlier one left it is a replay.

        What sees the events of a batch is computed when it closes.
        """
        program, plan, seal = self.starter.program, self.starter.program.plan, self.router.sealer.seal
        run = self.run
        gathers = plan.batch is not None and before is None
        names = self._names(event, run, before, gathers=gathers)
        wanted = self._gates(names, gathers=gathers, replayed=before is not None)
        rows = self._recalled(before)
        meta = RunMeta(
            event=event,
            created_ms=self.router.now_ms,
            event_row=self.row,
            vars=names["vars"],
            origin=self.lineage.origin,
            root=self.lineage.root,
            root_ms=self.lineage.root_ms,
            root_event=self.lineage.root_event,
            parent=self.lineage.parent,
            awaited=self.parent is not None and self.parent.wait,
            replay_of=self.lineage.replay_of,
            labels={} if gathers else self._labels(names),
            events=() if before is None else before.events,
            recalls=bool(rows),
        )
        return RunSeed(
            id=run,
            pipeline=plan.pipeline,
            version=program.version,
            meta=seal(encode(meta), run, sealed_fields.META),
            state=seal(program.initial_state(), run, sealed_fields.state(MAIN)),
            reads=tuple(recalled(program, ROOT, (), (), "line")) if rows else program.initial_reads(),
            queue=plan.queue,
            once=self._once(names) if before is None else None,
            priority_ms=0 if gathers else self._priority(names),
            retention_ms=plan.retention_ms,
            replay_of=self.lineage.replay_of,
            parent=self.parent,
            waits=tuple(self._cancelling(names)),
            timers=() if plan.expires_ms is None else (Timer(EXPIRES, plan.expires_ms),),
            gates=tuple(sealed(one, self.router.catalog, self.router.sealer, run) for one in wanted),
            more=gathers,
            records={name: seal(encode(row), run, sealed_fields.record(name)) for name, row in rows.items()},
        )

    def _recalled(self, before: Before | None) -> dict[str, Record | Past]:
        """The rows that the run begins with: checkpoints, and what is known of inputs."""
        if before is None and not self.lineage.undone:
            return {}
        pasts = undone(self.lineage.undone)
        for instance, past in (before.pasts if before is not None else {}).items():
            new = pasts.get(instance, Past())
            pasts[instance] = msgspec.structs.replace(past, fresh=new.fresh, undone=new.undone)
        rows: dict[str, Record | Past] = {f"{PAST}{instance}": past for instance, past in pasts.items()}
        rows.update(before.records if before is not None else {})
        return rows

    def _cancelling(self, names: Mapping[str, Any]) -> Iterator[Wait]:
        """The waits for events that cancel the run, from its creation on."""
        for number, rule in enumerate(self.starter.program.plan.cancel_on):
            try:
                keys = wait_keys(rule.events, rule.match, names, self.router.catalog.key_hash)
            except EvaluationError as error:
                where = f"cancel_on[{number}].match"
                values = _values(compile_expression(rule.match), names)
                raise self._wrong(where, str(error), code=error.code, expression=rule.match, values=values) from error
            yield Wait(f"{CANCEL_ON}{number}", keys)

    def _gates(self, names: Mapping[str, Any], *, gathers: bool, replayed: bool) -> tuple[Wanted, ...]:
        program = self.starter.program

        def value(where: str, text: str) -> Any:
            return self.evaluated(where, program.expression(text), names)

        held = () if replayed else event_gates(program.plan, value)
        return held if gathers else (*held, *run_gates(program.plan, value))

    def _priority(self, names: Mapping[str, Any]) -> int:
        text = self.starter.program.plan.priority
        if text is None:
            return 0
        compiled = self.starter.program.expression(text)
        value = self.evaluated("priority", compiled, names)
        advance_ms = priority_ms(value)
        if advance_ms is None:
            message = f"the priority is {type_name(value)}, not seconds of advance"
            values = _values(compiled, names)
            raise self._wrong("priority", message, code="no_priority", expression=text, values=values)
        return advance_ms

    def evaluated(
        self,
        where: str,
        compiled: Expression | ValueTemplate,
        names: Mapping[str, Any],
        pins: Pins | None = None,
    ) -> Any:
        """The value of an expression, or an InputError with what it read."""
        try:
            return to_json(compiled.evaluate(names) if pins is None else compiled.evaluate(names, pins=pins))
        except EvaluationError as error:
            text = compiled.text if isinstance(compiled, Expression) else ""
            values = _values(compiled, names)
            slot = f"triggers[{self.index}].{where}" if where in {"if", "data"} else where
            message = f"{error}{self.starter.program.place(ROOT, slot, error)}"
            raise self._wrong(where, message, code=error.code, expression=text, values=values) from error

    def _names(self, event: Event, run: str, before: Before | None, *, gathers: bool) -> dict[str, Any]:
        program, plan = self.starter.program, self.starter.program.plan
        about = {"id": run, "pipeline": plan.pipeline, "version": program.version, "root": self.lineage.root or run}
        computed: dict[str, Any] = {}
        names: dict[str, Any] = {"event": event.view(), "env": plan.env, "run": about, "vars": computed}
        if before is not None and before.events:
            names["events"] = [one.view() for one in before.events]
        if not gathers and self.starter.variables:
            kept = {} if before is None else before.vars
            pins = Pins(now=Timestamp.from_ms(self.router.now_ms), uuid=uuids(run, "", "vars"))
            for name, template in self.starter.variables:
                found = name in kept
                computed[name] = kept[name] if found else self.evaluated(f"vars.{name}", template, names, pins)
        return names

    def _labels(self, names: Mapping[str, Any]) -> dict[str, str]:
        if self.starter.labels is None:
            return {}
        labels = self.evaluated("labels", self.starter.labels, names)
        return {name: value if isinstance(value, str) else key_text(value) for name, value in labels.items()}

    def _once(self, names: Mapping[str, Any]) -> OnceKey | None:
        rule = self.starter.program.plan.idempotency
        if rule is None or self.starter.key is None:
            return None
        value = self.evaluated("idempotency.key", self.starter.key, names)
        if value is None:
            message = "the key is null: all events without one would be the same run"
            values = _values(self.starter.key, names)
            raise self._wrong("idempotency.key", message, code="no_key", expression=rule.key, values=values)
        return OnceKey(self.router.catalog.key_hash("once", self.starter.pipeline, key_text(value)), rule.ttl_ms)

    def _wrong(self, where: str, message: str, **about: Any) -> InputError:
        return InputError(TriggerProblem(self.starter.pipeline, self.index, where, message, **about))


def _with_data(event: Event, data: Any) -> Event:
    return event if data is event.data else msgspec.structs.replace(event, data=data)


def _values(compiled: Expression | ValueTemplate, names: Mapping[str, Any]) -> dict[str, Any]:
    """What an expression read, by path, as far as it was there; whole roots are kept beside it."""
    seen: dict[str, Any] = {}
    for path in sorted(compiled.paths):
        at: Any = names
        for part in path:
            if not isinstance(at, Mapping) or part not in at:
                break
            at = at[part]
        else:
            if len(path) > 1:
                seen[".".join(path)] = at
    return seen
