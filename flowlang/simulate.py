"""One process, no server, virtual time: the production interpreter on the memory store.

A simulation claims, turns, calls and commits through the same pieces as a worker, on one thread. When nothing is ready
it moves its clock to the next timer, so that a week's wait takes no time. Handlers are plain callables over calls, so a
test scripts them without a registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from flowlang.clock import ManualClock, Rng, seeded_rng
from flowlang.engine.admission import call_event, check_data, check_name, tick_event
from flowlang.engine.catalog import Catalog
from flowlang.engine.drive import Held
from flowlang.engine.intake import Delivery
from flowlang.engine.ops import (
    Accepted,
    Cancel,
    Claimed,
    ClaimRequest,
    Committed,
    Deploy,
    Lost,
    Op,
    Outcome,
    Reply,
    Stale,
    Sweep,
    Swept,
)
from flowlang.engine.ports import FlushId, Sealer, Store
from flowlang.engine.program import Program
from flowlang.engine.route import Router
from flowlang.engine.state import ErrorInfo, Event, Record, decode_record
from flowlang.engine.turn import AttemptEnd, Call, RunEnd
from flowlang.errors import FlowError
from flowlang.ids import new_event_id
from flowlang.plan import EventSchema, Manifest, Plan, manifest_from_json, plan_from_json
from flowlang.store.codec import PlainSealer
from flowlang.store.memory import MemoryStore

#: A scripted handler: takes the call, returns JSON data, or raises `SimulatedError` or `SimulatedSnooze`.
Handler = Callable[[Call], Any]

LEASE_MS = 10_000


class SimulatedError(FlowError):
    """Raised by a scripted handler: the attempt fails with this error."""

    def __init__(self, error_class: str = "transient", code: str = "scripted", message: str = "scripted") -> None:
        super().__init__(message)
        self.error = ErrorInfo(error_class, code, message)


class SimulatedSnooze(FlowError):  # noqa: N818 - no error
    """Raised by a scripted handler: come back later, without using an attempt."""

    def __init__(self, delay_ms: int) -> None:
        super().__init__(f"snooze {delay_ms} ms")
        self.delay_ms = delay_ms


class SimulatedCrash(FlowError):  # noqa: N818 - what it does
    """Raised by a scripted handler: the worker is lost before it can commit."""


class Finished(msgspec.Struct, frozen=True):
    """A run as it ended, for assertions."""

    id: str
    pipeline: str
    status: str
    output: Any
    error: ErrorInfo | None
    records: dict[str, Record]

    def outputs(self) -> dict[str, Any]:
        """Outputs of the step instances that have one."""
        return {name: record.output for name, record in self.records.items() if record.output is not msgspec.UNSET}

    def statuses(self) -> dict[str, str]:
        """Status of every recorded step instance."""
        return {name: record.status for name, record in self.records.items()}


class Simulation:
    """Runs pipelines in this process on virtual time.

    Args:
        plans: What is deployed.
        handlers: By name.
        schemas: Of events.
        store: Another store than memory, whose time `clock` moves.
        clock: Virtual time.
        rng: For jitter.
        secrets: What `secrets` is to expressions in `with`.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        handlers: Mapping[str, Handler],
        *,
        schemas: Sequence[EventSchema] = (),
        store: Store | None = None,
        clock: ManualClock | None = None,
        rng: Rng | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.store: Store = store or MemoryStore(self.clock)
        self.handlers = dict(handlers)
        self.calls: list[Call] = []
        self.sealer: Sealer = PlainSealer()
        self._secrets = secrets or {}
        self._rng = rng or seeded_rng(0)
        self._seq = 0
        self._workers = 0
        self._events = 0
        self._worker = "sim-0"
        self.catalog = self.deploy(plans, schemas)

    # Deploying and sending ------------------------------------------------------------------------------------------

    def deploy(self, plans: Sequence[Plan], schemas: Sequence[EventSchema] = ()) -> Catalog:
        """Make these plans the active ones."""
        programs = {plan.pipeline: Program(plan) for plan in plans}
        manifest = Manifest(
            project="simulation",
            pipelines={name: program.version for name, program in programs.items()},
            events=tuple(schemas),
        )
        self._programs = {program.version: program for program in programs.values()} | getattr(self, "_programs", {})
        crons = tuple(Catalog(manifest, 0, programs).crons)
        stored = {program.version: program.plan.to_json() for program in programs.values()}
        self.apply(Deploy(manifest.digest, manifest.to_json(), stored, crons))
        found = self.store.manifest()
        assert found is not None
        self.catalog = Catalog(manifest, found[0], programs)
        return self.catalog

    def router(self) -> Router:
        """A router for now."""
        return Router(self.catalog, self.sealer, self.store.now_ms())

    def send(self, name: str, data: Any = None, *, ident: str | None = None) -> list[str]:
        """Send an event.

        Returns:
            The ids of the runs that it made or found.

        Raises:
            ValueError: when its data does not fit its schema.
        """
        check_name(self.catalog, name)
        checked = check_data(self.catalog, name, data)
        if not checked.ok:
            raise ValueError(f"{name}: {checked.failures}")
        self._events += 1
        row = new_event_id(f"simulated event {self._events}")
        event = Event(ident or row, name, checked.data, source="api")
        outcome = self.apply(self.router().route(event, Delivery(row, dedupe=ident)).accept)
        return [run for run, _ in outcome.runs] if isinstance(outcome, Accepted) else []

    def call(self, pipeline: str, data: Any = None) -> str:
        """Call a pipeline and return its run's id."""
        self._events += 1
        row = new_event_id(f"simulated call {self._events}")
        starter = self.catalog.starter(pipeline)
        if starter is None:
            raise LookupError(pipeline)
        event = call_event(row, pipeline, data, self.store.now_ms(), source="api")
        outcome = self.apply(self.router().call(starter, event, Delivery(row)).accept)
        assert isinstance(outcome, Accepted)
        return outcome.runs[0][0]

    def cancel(self, run: str, reason: str = "") -> None:
        """Cancel a run."""
        self.apply(Cancel(run, reason))

    # Running --------------------------------------------------------------------------------------------------------

    def apply(self, *ops: Op) -> Outcome:
        """Apply operations; returns the last one's outcome."""
        return self._flush(ops).outcomes[-1]

    def run_until_idle(self, limit: int = 100_000) -> None:
        """Run until nothing is ready and no timer is left, moving the clock as needed.

        Raises:
            RuntimeError: when it is not idle after `limit` turns.
        """
        for _ in range(limit):
            row = self.claim()
            if row is not None:
                self.work(row)
            elif not self._move_on():
                return
        raise RuntimeError(f"not idle after {limit} turns")

    def run_ready(self) -> None:
        """Run what is ready now, without moving the clock."""
        row = self.claim()
        while row is not None:
            self.work(row)
            row = self.claim()

    def claim(self) -> Claimed | None:
        """Claim the best ready row."""
        reply = self._flush((), claim=True)
        return reply.claimed[0] if reply.claimed else None

    def work(self, row: Claimed) -> None:
        """Run a claimed scope until it lets go, or its worker is lost."""
        held = Held(row, self._programs[row.version], self.sealer, self._secrets)
        turn = held.turn(row.facts, catalog=self.catalog, now_ms=self.store.now_ms(), rng=self._rng, flight="lost")
        while True:
            facts: Sequence[Mapping[str, Any]] = ()
            if held.must_commit(turn):
                outcome = self.apply(held.commit(turn, self.router()))
                if isinstance(outcome, Stale):
                    self._refresh()
                    continue
                if isinstance(outcome, Lost):
                    return
                assert isinstance(outcome, Committed)
                held.committed()
                if turn.status != "held":
                    return
                facts = outcome.facts
            attempt = None
            if not facts:
                assert turn.call is not None
                try:
                    attempt = self._call(turn.call)
                except SimulatedCrash:
                    self.lose_worker()
                    return
            turn = held.turn(facts, catalog=self.catalog, now_ms=self.store.now_ms(), rng=self._rng, attempt=attempt)

    def lose_worker(self) -> None:
        """Go on as another process: what was held stays so until its lease ends."""
        self._workers += 1
        self._worker = f"sim-{self._workers}"
        self._seq = 0

    def tick(self) -> None:
        """Fire the cron ticks that are due."""
        last = self.store.crons()
        for key, entry in self.catalog.crons.items():
            for tick in entry.schedule.due(last[key], self.store.now_ms()):
                event = tick_event(key, tick, self.store.now_ms())
                self.apply(self.router().tick(entry, event, tick).accept)

    def finished(self, run: str) -> Finished:
        """A run as it is now."""
        rows = self.store.run(run)
        if rows is None:
            raise LookupError(run)
        output: Any = None
        error = None
        if rows.row.result:
            end = msgspec.json.decode(self.sealer.open(rows.row.result), type=RunEnd)
            output = None if end.output is msgspec.UNSET else end.output
            error = end.error
        records = {name: decode_record(self.sealer.open(data)) for name, data in rows.records.items()}
        return Finished(run, rows.row.pipeline, rows.row.status, output, error, records)

    def journal(self, run: str) -> list[dict[str, Any]]:
        """A run's journal."""
        rows = self.store.run(run)
        assert rows is not None
        return [msgspec.json.decode(self.sealer.open(entry)) for entry in rows.journal]

    def called(self, handler: str) -> int:
        """How often a handler was called."""
        return sum(call.handler == handler for call in self.calls)

    def _call(self, call: Call) -> AttemptEnd:
        self.calls.append(call)
        handler = self.handlers.get(call.handler)
        if handler is None:
            error = ErrorInfo("permanent", "handler.unknown", f"no handler {call.handler}")
            return AttemptEnd(call.instance, call.attempt, error=error)
        try:
            output = handler(call)
        except SimulatedError as failure:
            return AttemptEnd(call.instance, call.attempt, error=failure.error)
        except SimulatedSnooze as snooze:
            return AttemptEnd(call.instance, call.attempt, snooze_ms=snooze.delay_ms)
        return AttemptEnd(call.instance, call.attempt, msgspec.UNSET if output is None else output)

    def _flush(self, ops: Sequence[Op], *, claim: bool = False) -> Reply:
        self._seq += 1
        queues = tuple(sorted({program.plan.queue for program in self._programs.values()} | {"default"}))
        request = ClaimRequest(self._worker, queues, 1, LEASE_MS, 1, 0) if claim else None
        return self.store.apply(FlushId(self._worker, self._seq), ops, request)

    def _move_on(self) -> bool:
        """Move the clock to what is due next; False when nothing is."""
        swept = self.apply(Sweep())
        assert isinstance(swept, Swept)
        if swept.fired or swept.rescued:
            return True
        if swept.next_ms is None:
            return False
        self.clock.advance(max(1, swept.next_ms - self.store.now_ms()))
        return True

    def _refresh(self) -> None:
        """Read the active manifest anew: somebody else has deployed."""
        found = self.store.manifest()
        assert found is not None
        manifest = manifest_from_json(found[1])
        programs = {}
        for pipeline, version in manifest.pipelines.items():
            if version not in self._programs:
                stored = self.store.plan(version)
                assert stored is not None
                self._programs[version] = Program(plan_from_json(stored), version)
            programs[pipeline] = self._programs[version]
        self.catalog = Catalog(manifest, found[0], programs)
