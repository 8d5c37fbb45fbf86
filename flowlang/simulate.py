"""One process, no server, virtual time: the production interpreter on the memory store.

A simulation claims, turns, calls and commits through the same pieces as a worker, on one thread. When nothing is ready
it moves its clock to the next timer, so that a week's wait takes no time. Handlers are plain callables over calls, so a
test scripts them without a registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import msgspec

from flowlang.clock import ManualClock, Rng, seeded_rng
from flowlang.engine import sealed_fields
from flowlang.engine.admission import call_event, check_data, check_name, tick_event
from flowlang.engine.awaiting import awaited_by
from flowlang.engine.catalog import Catalog, starter_of
from flowlang.engine.drive import Held
from flowlang.engine.intake import Delivery, decode_delayed
from flowlang.engine.limits import returned
from flowlang.engine.ops import (
    SUSPECT,
    Accepted,
    Cancel,
    Claimed,
    ClaimRequest,
    Committed,
    Deploy,
    Lost,
    Op,
    Outcome,
    Renew,
    Reply,
    Stale,
    Sweep,
    Swept,
)
from flowlang.engine.ports import FlushId, Sealer, Store
from flowlang.engine.program import Program
from flowlang.engine.recalling import PAST
from flowlang.engine.replay import Wish, opened, prepare
from flowlang.engine.route import Router
from flowlang.engine.schedule import Tick
from flowlang.engine.state import ErrorInfo, Event, Record, decode_record
from flowlang.engine.turn import AttemptEnd, Call, RunEnd, Turn
from flowlang.errors import FlowError
from flowlang.ids import new_event_id
from flowlang.plan import EventSchema, Manifest, Plan, manifest_from_json, plan_from_json, queues_of
from flowlang.redaction import Mask
from flowlang.store.codec import PlainSealer
from flowlang.store.memory import MemoryStore

#: A scripted handler: takes the call, returns JSON data, or raises `SimulatedError` or `SimulatedSnooze`.
Handler = Callable[[Call], Any]

LEASE_MS = 10_000

#: Moments around an attempt at which its worker can be lost.
FaultPoint = Literal["before_call", "before_commit", "after_commit"]


class SimulatedError(FlowError):
    """Raised by a scripted handler: the attempt fails with this error."""

    def __init__(
        self,
        error_class: str = "transient",
        code: str = "scripted",
        message: str = "scripted",
        *,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error = ErrorInfo(error_class, code, message, retry_after_ms=retry_after_ms)


class SimulatedSnooze(FlowError):  # noqa: N818 - no error
    """Raised by a scripted handler: come back later, without using an attempt."""

    def __init__(self, delay_ms: int) -> None:
        super().__init__(f"snooze {delay_ms} ms")
        self.delay_ms = delay_ms


class SimulatedCrash(FlowError):  # noqa: N818 - what it does
    """Raised by a scripted handler: the worker is lost before it can commit."""


class Observer:
    """Looks on while a simulation runs, and decides when a worker is lost. Does nothing by itself."""

    def turned(self, row: Claimed, turn: Turn) -> None:
        """A turn was decided. After a lost worker the same is decided once more."""

    def called(self, row: Claimed, call: Call, end: AttemptEnd) -> None:
        """A handler was called and has answered; nothing of it is in the store yet."""

    def committed(self, row: Claimed, turn: Turn) -> None:
        """A turn was written down: once for each, whatever was lost before."""

    def crashes(self, point: FaultPoint, row: Claimed, call: Call) -> bool:
        """Whether the worker is lost here.

        Args:
            point: Before the handler is called; when it has answered; when its answer was written down.
            row: What is held.
            call: The attempt.
        """
        del point, row, call
        return False


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


def finished(store: Store, sealer: Sealer, run: str) -> Finished:
    """A run as it is now.

    Args:
        store: Where it is.
        sealer: Opens payloads.
        run: Its id.

    Raises:
        LookupError: when there is none.
    """
    rows = store.run(run)
    if rows is None:
        raise LookupError(run)
    output: Any = None
    error = None
    if rows.row.result:
        end = msgspec.json.decode(sealer.open(rows.row.result, sealed_fields.RESULT, run), type=RunEnd)
        output = None if end.output is msgspec.UNSET else end.output
        error = end.error
    shown = ((name, data) for name, data in rows.records.items() if not name.startswith(PAST))
    records = {name: decode_record(sealer.open(data, sealed_fields.record(name), run)) for name, data in shown}
    return Finished(run, rows.row.pipeline, rows.row.status, output, error, records)


class Simulation:
    """Runs pipelines in this process on virtual time.

    Args:
        plans: What is deployed.
        handlers: By name.
        schemas: Of events.
        manifest: What else is deployed: limits, queues, errors and webhooks are taken from it.
        store: Another store than memory, whose time `clock` moves.
        clock: Virtual time.
        rng: For jitter.
        secrets: What `secrets` is to expressions in `with`.
        observer: Looks on, and injects crashes.
        sealer: Closes and opens payloads; they are left as they are when none is given.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        handlers: Mapping[str, Handler],
        *,
        schemas: Sequence[EventSchema] = (),
        manifest: Manifest | None = None,
        store: Store | None = None,
        clock: ManualClock | None = None,
        rng: Rng | None = None,
        secrets: Mapping[str, str] | None = None,
        observer: Observer | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.store: Store = store or MemoryStore(self.clock)
        self.handlers = dict(handlers)
        self.calls: list[Call] = []
        self.at_work: Claimed | None = None  #: the row whose handler is being called
        self._observer = observer or Observer()
        self.sealer: Sealer = sealer or PlainSealer()
        self._secrets = secrets or {}
        self._hidden = partial(Mask, tuple(self._secrets.values()))
        self._rng = rng or seeded_rng(0)
        self._seq = 0
        self._workers = 0
        self._events = 0
        self._worker = "sim-0"
        self._manifest = manifest or Manifest("simulation", {})
        self.catalog = self.deploy(plans, schemas)

    # Deploying and sending ------------------------------------------------------------------------------------------

    def deploy(self, plans: Sequence[Plan], schemas: Sequence[EventSchema] = ()) -> Catalog:
        """Make these plans the active ones."""
        programs = {plan.pipeline: Program(plan) for plan in plans}
        before: dict[str, Program] = getattr(self, "_programs", {})
        manifest = msgspec.structs.replace(
            self._manifest,
            pipelines={name: program.version for name, program in programs.items()},
            events=tuple(schemas),
            awaited=tuple(dict.fromkeys(each for program in before.values() for each in awaited_by(program.plan))),
        )
        self._programs = {program.version: program for program in programs.values()} | before
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

    def send(self, name: str, data: Any = None, *, ident: str | None = None, owned: bool = False) -> list[str]:
        """Send an event.

        Args:
            name: The event.
            data: Its data.
            ident: Its id, by which it is accepted once.
            owned: Whether it comes from the owner of its prefix, such as a webhook, or a run that has ended.

        Returns:
            The ids of the runs that it made or found.

        Raises:
            ValueError: when its data does not fit its schema.
        """
        if not owned:
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

    def replay(self, run: str, wish: Wish | None = None) -> str:
        """Replay a run of this simulation and return the new run's id. Raises: ReplayError, StartError, InputError."""
        rows = self.store.run(run)
        if rows is None:
            raise LookupError(run)
        self._events += 1
        wish, old = wish or Wish(), self._programs.get(rows.row.version)
        starter = self.catalog.starter(rows.row.pipeline)
        if wish.same_version and old is not None:
            starter = starter_of(old)
        if starter is None:
            raise LookupError(rows.row.pipeline)
        prepared = prepare(rows, opened(rows, self.sealer), old, starter.program, wish)
        row = new_event_id(f"simulated replay {self._events}")
        outcome = self.apply(self.router().replay(starter, prepared.before, Delivery(row), prepared.lineage).accept)
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

    def run_until(self, at_ms: int, limit: int = 100_000) -> None:
        """Run everything that is due up to a moment, and stop there.

        Args:
            at_ms: The moment, on the simulation's clock; one that is past changes nothing but what is ready.
            limit: Turns after which it is given up.

        Raises:
            RuntimeError: when there is still work after `limit` turns.
        """
        for _ in range(limit):
            row = self.claim()
            if row is not None:
                self.work(row)
            elif not self._move_on(at_ms):
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
        if not reply.claimed:
            return None
        (row,) = reply.claimed
        if row.rescues >= SUSPECT:
            self.apply(Renew(self._worker, LEASE_MS, ((row.run, row.scope, row.fence),), alone=True))
        return row

    def work(self, row: Claimed) -> None:
        """Run a claimed scope until it lets go, or its worker is lost."""
        held = Held(row, self._programs[row.version], self.sealer, self._secrets, hidden=self._hidden)
        turn = held.turn(row.facts, catalog=self.catalog, now_ms=self.store.now_ms(), rng=self._rng, flight="lost")
        ended: Call | None = None  # whose answer the next commit writes down
        while True:
            self._observer.turned(row, turn)
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
                self._observer.committed(row, turn)
                if ended is not None and self._observer.crashes("after_commit", row, ended):
                    self.lose_worker()
                    return
                ended = None
                if turn.status != "held":
                    return
                facts = outcome.facts
            attempt = None
            if not facts:
                assert turn.call is not None
                ended = turn.call
                attempt = self._attempt(row, ended)
                if attempt is None:
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
        return finished(self.store, self.sealer, run)

    def journal(self, run: str) -> list[dict[str, Any]]:
        """A run's journal."""
        rows = self.store.run(run)
        assert rows is not None
        return [msgspec.json.decode(self.sealer.open(entry, sealed_fields.JOURNAL, run)) for entry in rows.journal]

    def called(self, handler: str) -> int:
        """How often a handler was called."""
        return sum(call.handler == handler for call in self.calls)

    def next_tick_ms(self) -> int | None:
        """The next moment that a schedule of what is deployed names; None when there is none."""
        now_ms = self.store.now_ms()
        return min((entry.schedule.after_ms(now_ms) for entry in self.catalog.crons.values()), default=None)

    def fire(self, at_ms: int) -> list[str]:
        """Fire the ticks of one moment now: without jitter, and whatever was missed before.

        Args:
            at_ms: A moment that schedules name.

        Returns:
            The ids of the runs that they made; none when no schedule names it.
        """
        runs: list[str] = []
        for key, entry in self.catalog.crons.items():
            if entry.schedule.until_ms(at_ms) != at_ms:
                continue
            tick = Tick(at_ms, entry.schedule.until_ms(at_ms - 1) or at_ms)
            outcome = self.apply(self.router().tick(entry, tick_event(key, tick, self.store.now_ms()), tick).accept)
            runs += [run for run, _ in outcome.runs] if isinstance(outcome, Accepted) else []
        return runs

    def _attempt(self, row: Claimed, call: Call) -> AttemptEnd | None:
        """Call a handler; None when the worker was lost on the way."""
        if self._observer.crashes("before_call", row, call):
            return None
        self.at_work = row
        try:
            end = self._call(call)
        except SimulatedCrash:
            return None
        finally:
            self.at_work = None
        self._observer.called(row, call, end)
        return None if self._observer.crashes("before_commit", row, call) else end

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
        return returned(call, output, self.catalog.manifest.limits.get("step_output"))

    def _flush(self, ops: Sequence[Op], *, claim: bool = False) -> Reply:
        self._seq += 1
        queues = tuple(sorted({"default"}.union(*(queues_of(one.plan) for one in self._programs.values()))))
        request = ClaimRequest(self._worker, queues, 1, LEASE_MS, 1, 0) if claim else None
        return self.store.apply(FlushId(self._worker, self._seq), ops, request)

    def _move_on(self, until_ms: int | None = None) -> bool:
        """Move the clock to what is due next; False when nothing is, or not until the given moment, which it now is."""
        swept = self.apply(Sweep())
        assert isinstance(swept, Swept)
        if self._send_delayed() or swept.fired or swept.rescued:
            return True
        if until_ms is not None and (swept.next_ms is None or swept.next_ms > until_ms):
            self.clock.advance(max(0, until_ms - self.store.now_ms()))
            return False
        if swept.next_ms is None:
            return False
        self.clock.advance(max(1, swept.next_ms - self.store.now_ms()))
        return True

    def _send_delayed(self) -> int:
        """Accept the events whose delay is over."""
        due = self.store.delayed()
        for row in due:
            self.apply(
                self.router()
                .delayed(row.id, decode_delayed(self.sealer.open(row.body, sealed_fields.DELAYED, row.id)))
                .accept
            )
        return len(due)

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
