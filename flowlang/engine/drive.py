"""Between the store's rows and the interpreter: a claimed row becomes a `Held` scope, a turn becomes a commit.

Pure like `advance`; the worker and the simulator both drive scopes through this module, so there is one way to do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from flowlang import jsondata
from flowlang.clock import Rng
from flowlang.engine import sealed_fields
from flowlang.engine.admission import call_event, emitted_event, outcome_event, row_of_emission
from flowlang.engine.advance import advance
from flowlang.engine.catalog import Catalog
from flowlang.engine.flow_control import sealed
from flowlang.engine.intake import CALLED, DelayedEvent, Delivery, Lineage
from flowlang.engine.machine import REFUSED, Flight
from flowlang.engine.marks import carrying
from flowlang.engine.ops import (
    Accept,
    CacheEntry,
    Claimed,
    Commit,
    DeadLetter,
    Delayed,
    Finish,
    Group,
    Join,
    Lookup,
    Parent,
    Timer,
)
from flowlang.engine.outside import Outside
from flowlang.engine.ports import Sealer
from flowlang.engine.program import ROOT, Part, Program, views
from flowlang.engine.recalling import PAST, recalled
from flowlang.engine.route import InputError, Router
from flowlang.engine.state import (
    BlockFrame,
    ErrorInfo,
    Event,
    Result,
    RunMeta,
    StepFrame,
    decode_meta,
    decode_past,
    decode_record,
    decode_state,
    encode,
)
from flowlang.engine.turn import AttemptEnd, Call, Emission, Invocation, RunEnd, Turn
from flowlang.engine.view import RunView
from flowlang.errors import FlowError
from flowlang.ids import new_event_id, partition_of, run_id_for
from flowlang.plan import Race, Switch
from flowlang.redaction import HIDE_ALL, LazyMask, Mask
from flowlang.telemetry import Trace


def child_of(run: str, pipeline: str, instance: str) -> tuple[str, str]:
    """The row of the event by which a step calls a pipeline, and the child's id: they follow from who calls it."""
    row = new_event_id(f"invoke\n{run}\n{instance}", partition_of(run))
    return row, run_id_for(row, pipeline, CALLED)


class Held:
    """A scope in this process's hands, from its claim to the commit that lets it go.

    Args:
        claimed: The row.
        program: Its pipeline, in the version that the run began with.
        sealer: Opens and closes payloads.
        secrets: What `secrets` is to expressions in `with`.
        meta: The run's meta data, when they are known; else the row has them.
        hidden: What hides the secrets that have been read.
    """

    def __init__(
        self,
        claimed: Claimed,
        program: Program,
        sealer: Sealer,
        secrets: Mapping[str, str] | None = None,
        meta: RunMeta | None = None,
        *,
        hidden: LazyMask = Mask,
    ) -> None:
        self.row = claimed
        self._hidden = hidden
        self.program = program
        self.sealer = sealer
        self.state = decode_state(_opened_state(claimed, sealer))
        self.view = RunView(
            claimed.run,
            claimed.pipeline,
            claimed.version,
            decode_meta(sealer.open(claimed.meta, sealed_fields.META, claimed.run)) if meta is None else meta,
            created_ms=claimed.created_ms,
            index=claimed.index,
            secrets=secrets,
        )
        self.view.stored = claimed.stored
        self.view.steps = claimed.steps
        for name, payload in claimed.reads.items():
            if name.startswith("="):
                content = sealer.open(payload, sealed_fields.item(name[1:]), claimed.run)
                self.view.inputs[name[1:]] = jsondata.loads(content)
            elif name.startswith("^"):
                owner = name[1:].partition(":")[0]
                self.view.undos[name[1:]] = sealer.open(payload, sealed_fields.UNDO, owner)
            elif name.startswith(PAST):
                content = sealer.open(payload, sealed_fields.record(name), claimed.run)
                self.view.pasts[name.removeprefix(PAST)] = decode_past(content)
            else:
                content = sealer.open(payload, sealed_fields.record(name), claimed.run)
                self.view.records[name] = decode_record(content)
        self.taken = 0  #: facts of the inbox that turns have taken since the last commit
        self._journal: list[dict[str, Any]] = []
        self._steps = 0  #: that have begun since then
        self._written = 0  #: bytes that the commit at hand adds to the run

    def turn(
        self,
        facts: Sequence[Mapping[str, Any]],
        *,
        catalog: Catalog,
        now_ms: int,
        rng: Rng,
        attempt: AttemptEnd | None = None,
        flight: Flight = "none",
    ) -> Turn:
        """Run the scope on.

        Args:
            facts: The whole inbox, as the store last answered; those that were taken before are passed over.
            catalog: The active manifest: emitted events are checked against its schemas.
            now_ms: The store's time.
            rng: For jitter.
            attempt: How the call in flight ended.
            flight: See `advance`.
        """
        new = facts[self.taken :]
        self.taken += len(new)
        self.view.mask = lambda: self.mask(catalog)
        try:
            turn = advance(
                self.program,
                self.view,
                self.state,
                [self._opened(fact) for fact in new],
                now_ms=now_ms,
                rng=rng,
                outside=Outside(catalog, self.sealer, now_ms),
                attempt=attempt,
                flight=flight,
                rescues=self.row.rescues if flight == "lost" else 0,
            )
        finally:
            self.view.mask = _hide_all  # the other would keep us until the collector comes
        self._journal.extend(turn.journal)
        self._steps += turn.steps
        return turn

    def give_up(self, error: ErrorInfo) -> Turn:
        """End the scope with an error that is none of the pipeline's, whatever its stack says; nothing else is run."""
        turn = Turn()
        turn.status = "ended"
        if self.state.child is None:
            turn.run_end = RunEnd("failed", error=error)
        else:
            turn.child_end = Result("fail", error=error)
            turn.child_weight = 2
        return turn

    def mask(self, catalog: Catalog, call: Call | None = None) -> Mask:
        """What hides all that must not be shown: of the run's data as far as it was read, of a call, and secrets.

        Args:
            catalog: The active manifest, for the schemas of events.
            call: Of a handler, whose hints may mark arguments.
        """
        marks, view = self.program.marks, self.view
        try:
            mask = marks.mask(view.meta, view.records, catalog.marks) | self._hidden()
            return mask if call is None else mask | Mask(marks.argument_values(call.handler, call.arguments))
        except Exception:  # noqa: BLE001 - whoever tells of an error must not meet another one, nor tell too much
            return HIDE_ALL

    def must_commit(self, turn: Turn) -> bool:
        """Whether a turn has anything that must be in the store before its call is made."""
        return turn.status != "held" or turn.writes or (turn.call is not None and turn.call.effect == "once")

    def commit(self, turn: Turn, router: Router) -> Commit:
        """The commit that writes a turn down. Made again after `Stale`, with the catalog that is active then.

        Args:
            turn: What was decided.
            router: Decides what the events that it sends start.
        """
        assert turn.status is not None
        run, seal = self.row.run, self.sealer.seal
        accepts = self._accepts(turn, router)
        limits = router.catalog.manifest.limits
        if turn.call is not None and turn.call.effect == "once":
            top = self.state.stack[-1]
            assert isinstance(top, StepFrame)
            top.called = True
        made = Commit(
            run=run,
            scope=self.row.scope,
            fence=self.row.fence,
            status=turn.status,
            state=seal(encode(self.state), run, sealed_fields.state(self.row.scope)),
            consumed=self.taken,
            reads=() if turn.status == "ended" else self._reads(),
            records={
                name: seal(encode(record), run, sealed_fields.record(name)) for name, record in turn.records.items()
            },
            journal=tuple(seal(encode(entry), run, sealed_fields.JOURNAL) for entry in self._journal),
            timers=tuple(turn.timers.values()),
            cleared=tuple(turn.cleared),
            join=self._join(turn),
            steps=self._steps,
            max_stored=limits.get("run"),
            max_steps=limits.get("steps"),
            accepts=accepts,
            finish=self._finish(turn.run_end),
            **(self._rare(turn, router) if turn.rare else {}),
        )
        self._written = sum(map(len, (*made.records.values(), *made.journal, *made.undos)))
        return made

    def _rare(self, turn: Turn, router: Router) -> dict[str, Any]:
        """The parts of a commit that most turns have nothing for."""
        run, seal = self.row.run, self.sealer.seal
        return {
            "groups": tuple(self._sealed(group) for group in turn.groups),
            "cancels": tuple(turn.cancels),
            "waits": tuple(turn.waits),
            "unwaits": tuple(turn.unwaits),
            "takes": tuple(turn.takes),
            "gates": tuple(sealed(wanted, router.catalog, self.sealer, run) for wanted in turn.wanted),
            "gate_id": turn.gate_id,
            "frees": tuple(turn.frees),
            "queue": turn.queue,
            "priority_ms": turn.priority_ms,
            "meta": None if turn.meta is None else seal(encode(turn.meta), run, sealed_fields.META),
            "undos": tuple(seal(entry, run, sealed_fields.UNDO) for entry in turn.undos),
            "lookups": tuple(Lookup(instance, key) for instance, key in turn.lookups),
            "cached": tuple(
                CacheEntry(key, seal(body, run, sealed_fields.cached(self.row.pipeline, instance)), ttl_ms)
                for instance, key, body, ttl_ms in turn.cached
            ),
            "delayed": tuple(self._delayed(sent, router) for sent in turn.emissions if sent.delay_ms > 0),
            "cancel_runs": tuple(
                (child_of(self.row.run, pipeline, instance)[1], reason, instance)
                for pipeline, instance, reason in turn.cancel_children
            ),
        }

    def committed(self) -> None:
        """The commit was acknowledged: its facts and journal entries are the store's now."""
        self.taken = 0
        self._journal.clear()
        self._steps = 0
        self.view.stored += self._written

    def _reads(self) -> tuple[str, ...]:
        state = self.state
        root = ROOT if state.child is None else state.child
        item = state.child is not None and not state.branch
        part: Part = "item" if item else "line"
        reads = self.program.reads(root, state.inside, state.loops, part)
        if self.view.meta.recalls:
            reads = (*reads, *recalled(self.program, root, state.inside, state.loops, part))
        top = state.stack[-1] if state.stack else None
        if top is None and state.walk is not None and state.walk.runs:
            return (*reads, f"^{state.walk.read}")
        return (*reads, *self._awaited(top)) if isinstance(top, StepFrame) and top.undo is None else reads

    def _awaited(self, top: StepFrame) -> Iterator[str]:
        """What the end of the top frame's group or loop will be computed from."""
        step = self.program.plan.steps[top.step]
        group = self.program.instance(step, self.state.loops)
        if top.phase in ("rounds", "pausing") and top.round > 0:
            yield f"{group}[{top.round - 1}]"
        if top.phase == "collecting":
            yield f"~{group}:{top.total}"
        if top.phase != "joining":
            return
        if isinstance(step.verb, Race) and (top.item or step.foreach is None):
            for branch in step.verb.branches:
                yield self.program.instance(self.program.plan.steps[branch], self.state.loops)
            if self._is_items_output(top):
                yield from (
                    f"*{self.program.instance(view, self.state.loops)}" for view in views(self.program.plan, step)
                )
        elif step.foreach is not None and not top.item:
            if step.collect is not msgspec.UNSET:
                yield f"*{group}"
                yield f"#{group}"
            elif self._is_items_output(top):
                yield f"*{group}"

    def _is_items_output(self, top: StepFrame) -> bool:
        """Whether the top step's output becomes an item's or a round's: it is one, or chosen by a switch that is."""
        if top.item:
            return True
        for frame in reversed(self.state.stack[:-1]):
            if isinstance(frame, BlockFrame) or not isinstance(self.program.plan.steps[frame.step].verb, Switch):
                return False
            if frame.item:
                return True
        return False

    def _opened(self, fact: Mapping[str, Any]) -> Mapping[str, Any]:
        if fact["kind"] == "batch":
            return {**fact, "metas": [self.sealer.open(meta, sealed_fields.META) for meta in fact["metas"]]}
        name, field, origin = self._sealed_part(fact)
        if not fact.get(name):
            return fact
        return {**fact, name: self.sealer.open(fact[name], field, origin)}

    def _sealed_part(self, fact: Mapping[str, Any]) -> tuple[str, str, str | None]:
        """What of a fact is sealed: its name, the field, and whose it is; a name that no fact has where nothing is."""
        match fact["kind"]:
            case "joined":
                return "error", sealed_fields.ERROR, self.row.run
            case "event":
                return "body", sealed_fields.EVENT, fact["event"]
            case "child":
                return "result", sealed_fields.RESULT, fact["run"]
            case "cached":
                return "body", sealed_fields.cached(self.row.pipeline, fact["id"]), None
            case _:
                return "", "", None

    def _sealed(self, group: Group) -> Group:
        run = self.row.run
        return msgspec.structs.replace(
            group,
            state=self.sealer.seal(group.state, run, sealed_fields.first_state(group.id)),
            inputs=tuple(
                self.sealer.seal(item, run, sealed_fields.item(f"{group.prefix}{index}{group.suffix}"))
                for index, item in enumerate(group.inputs)
            ),
        )

    def _join(self, turn: Turn) -> Join | None:
        result = turn.child_end
        if result is None or self.row.group is None:
            return None
        error = None
        if turn.child_weight and result.error is not None:
            error = self.sealer.seal(encode(result.error), self.row.run, sealed_fields.ERROR)
        return Join(self.row.group, turn.child_weight, error, cancelled=result.kind == "cancel")

    def _accepts(self, turn: Turn, router: Router) -> tuple[Accept, ...]:
        row, trace = self.row, self._trace(router)
        accepts = []
        for call in turn.invocations:
            accepts += self._invoked(call, turn, router)
        for sent in turn.emissions:
            if sent.delay_ms > 0:
                continue
            event = emitted_event(row.pipeline, sent.name, sent.ident, sent.data, router.now_ms, trace=trace)
            delivery = Delivery(row_of_emission(row.run, sent.instance), dedupe=sent.ident)
            accepts.append(router.route(self._carrying(event, router), delivery).accept)
        end = turn.run_end
        if end is not None and end.status != "skipped":
            event = outcome_event(
                run=row.run,
                pipeline=row.pipeline,
                version=row.version,
                status=end.status,
                started_ms=self.state.started_ms,
                ended_ms=router.now_ms,
                output=end.output,
                error=end.error,
                trace=trace,
            )
            accepts.append(router.route(self._carrying(event, router), Delivery(event.id)).accept)
        return tuple(accepts)

    def _trace(self, router: Router) -> Trace | None:
        """The place in a trace of what this run sends: below its own span, where spans are told to anybody."""
        trace = self.view.meta.event.trace
        observe = router.catalog.manifest.observe
        if trace is None or observe is None or observe.otlp is None:
            return trace
        return trace.below(self.row.run)

    def _carrying(self, event: Event, router: Router) -> Event:
        """An event of this run, with the places of what must not be shown of the run's data."""
        marks, meta = self.program.marks, self.view.meta
        carried = any(one.hidden for one in (meta.event, *meta.events))
        if not (marks or router.catalog.marks_anything or carried):
            return event
        return carrying(marks.mask(meta, self.view.records, router.catalog.marks), event)

    def _delayed(self, sent: Emission, router: Router) -> Delayed:
        row = row_of_emission(self.row.run, sent.instance)
        event = emitted_event(
            self.row.pipeline, sent.name, sent.ident, sent.data, router.now_ms, trace=self._trace(router)
        )
        event = self._carrying(event, router)
        body = self.sealer.seal(encode(DelayedEvent(event, sent.ident)), row, sealed_fields.DELAYED)
        return Delayed(row, body, sent.delay_ms)

    def _invoked(self, call: Invocation, turn: Turn, router: Router) -> list[Accept]:
        run, meta = self.row.run, self.view.meta
        row, _ = child_of(self.row.run, call.pipeline, call.instance)
        lineage = Lineage(
            origin=call.origin,
            root=meta.root or run,
            root_ms=self.view.root_ms,
            root_event=self.view.root_event,
            parent=run,
            undone=call.undone,
        )
        source, trace = f"pipeline/{self.row.pipeline}", self._trace(router)
        event = call_event(row, call.pipeline, call.data, router.now_ms, source=source, trace=trace)
        event = self._carrying(event, router)
        starter = router.catalog.starter(call.pipeline)
        parent = Parent(run, self.row.scope, call.instance, call.wait)
        try:
            if starter is not None:
                return [router.call(starter, event, Delivery(row), lineage, parent).accept]
        except InputError:
            pass
        # It was taken when the turn was made, and a deploy came between: the step is told in its next turn.
        turn.set_timer(Timer(f"{REFUSED}{call.instance}"))
        return []

    def _finish(self, end: RunEnd | None) -> Finish | None:
        if end is None:
            return None
        result = self.sealer.seal(encode(end), self.row.run, sealed_fields.RESULT)
        dead = None
        if (end.status == "failed" and not self.view.meta.awaited) or end.incomplete:
            error = end.error or ErrorInfo("bug", "unknown")
            about: dict[str, Any] = {"error": error.view()}
            if end.incomplete:
                about["incomplete"] = list(end.incomplete)
            body = self.sealer.seal(encode(about), self.row.run, sealed_fields.DEAD)
            dead = DeadLetter(self.row.run, "run", self.row.pipeline, body)
        return Finish(end.status, result, dead)


def _opened_state(claimed: Claimed, sealer: Sealer) -> bytes:
    """Open a scope's state: its own, or that with which all children of its group begin."""
    fields = [sealed_fields.state(claimed.scope)]
    if claimed.group is not None:
        fields.insert(0 if claimed.fence == 1 else 1, sealed_fields.first_state(claimed.group))
    *others, last = fields
    for field in others:
        with suppress(FlowError):  # whether it has had a turn is seen by what opens it
            return sealer.open(claimed.state, field, claimed.run)
    return sealer.open(claimed.state, last, claimed.run)


def _hide_all() -> Mask:
    """What a view hides between turns, when nothing of it is told."""
    return HIDE_ALL
