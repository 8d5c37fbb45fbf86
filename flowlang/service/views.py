"""Runs, events and dead letters as people look at them: payloads opened, times written out, steps in written order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flowlang import jsondata
from flowlang.clock import rfc3339
from flowlang.engine import sealed_fields
from flowlang.engine.intake import DeadEvent, Reason, TriggerProblem, decode_dead_event, decode_event, decode_reasons
from flowlang.engine.ports import DeadRow, EventView, RunRow, RunRows, Sealer, VersionRow
from flowlang.engine.program import Program
from flowlang.engine.recalling import PAST
from flowlang.engine.schemas import Failure
from flowlang.engine.state import Event, Record, RunMeta, decode_meta, decode_record
from flowlang.engine.turn import RunEnd
from flowlang.engine.view import ItemsView, record_view
from flowlang.telemetry import Trace

LIVE = ("pending", "running")

_PART = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")
_ends = msgspec.json.Decoder(RunEnd)


class RunSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run in a list."""

    id: str
    pipeline: str
    version: str
    status: str
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    event: str = ""
    queue: str = "default"
    replay_of: str | None = None
    replaced_by: str | None = None
    merged_into: str | None = None  #: run that has the event of a skipped one


class RunPage(msgspec.Struct, frozen=True):
    """A page of a list of runs."""

    runs: tuple[RunSummary, ...]
    next: str | None  #: the page after it begins after this run; None: there is none


class StepState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step instance; `pending` when the run is alive and it has no record yet."""

    step: str  #: such as `pages[3].notify[17]`
    status: str
    attempts: int = 0
    output: Any = msgspec.UNSET
    error: dict[str, Any] | None = None
    started_at: str | None = None
    ended_at: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Deliveries that a webhook turned away for one reason."""

    webhook: str
    reason: str
    count: int
    first_at: str
    last_at: str


class VersionSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of a pipeline."""

    pipeline: str  #: `?` when its plan is not stored
    version: str
    active: bool
    since: str | None = None  #: when it was first deployed
    pending: int = 0  #: runs that have not started
    at_work: int = 0  #: runs that a worker is working on
    waiting: int = 0  #: other live runs: they wait for a time, an event, another run or a free worker
    kept: int = 0  #: ended runs, dead letters included

    @property
    def needed(self) -> bool:
        """Whether its plan has to be kept."""
        return self.active or bool(self.pending + self.at_work + self.waiting + self.kept)


class ShownEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as people see it: without the places of what was marked elsewhere, by which that is hidden."""

    id: str
    name: str
    data: Any = None
    time: str = ""
    source: str = ""
    user: Any = None
    trace: Trace | None = None  #: that it belongs to, when its sender said so


class RunDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is known of a run."""

    run: RunSummary
    event: ShownEvent
    vars: dict[str, Any] = {}
    labels: dict[str, str] = {}
    output: Any = msgspec.UNSET
    error: dict[str, Any] | None = None
    steps: tuple[StepState, ...] = ()
    journal: tuple[dict[str, Any], ...] = ()
    timers: dict[str, str] = {}  #: what it waits for → when


class EventDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """A kept event: what it started, and for each trigger that it did not start, why."""

    id: str
    name: str
    source: str
    accepted_at: str
    event: ShownEvent
    runs: tuple[str, ...] = ()
    ignored: tuple[Reason, ...] = ()
    note: str = ""  #: why nothing was started when no trigger looked at it


class DeadSummary(msgspec.Struct, frozen=True):
    """A dead letter in a list."""

    id: str
    kind: str
    name: str
    at: str
    code: str = ""  #: of what it failed with

    @property
    def is_run(self) -> bool:
        """Whether it is a failed run, not an event."""
        return self.kind == "run"


class DeadPage(msgspec.Struct, frozen=True):
    """A page of a list of dead letters."""

    dead_letters: tuple[DeadSummary, ...]
    next: str | None  #: the page after it begins after this one; None: there is none


class ShownDead(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that could not be taken, as people see it, with why."""

    event: ShownEvent
    failures: tuple[Failure, ...] = ()  #: of the event's own schema
    problems: tuple[TriggerProblem, ...] = ()
    reason: str = ""  #: when it is neither: such as a webhook's template that gave no event name
    dedupe: str | None = None


class DeadDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter with what a person needs to correct it."""

    letter: DeadSummary
    event: ShownDead | None = None
    error: dict[str, Any] | None = None  #: of a failed run


def run_summary(row: RunRow) -> RunSummary:
    """A run in a list."""
    return RunSummary(
        id=row.id,
        pipeline=row.pipeline,
        version=row.version,
        status=row.status,
        created_at=rfc3339(row.created_ms),
        started_at=None if row.started_ms is None else rfc3339(row.started_ms),
        ended_at=None if row.ended_ms is None else rfc3339(row.ended_ms),
        event=row.event,
        queue=row.queue,
        replay_of=row.replay_of,
        replaced_by=row.replaced_by,
        merged_into=row.merged_into,
    )


class OpenedRun(msgspec.Struct, frozen=True):
    """A run with what its view is made of, for those who must hide some of it."""

    detail: RunDetail
    meta: RunMeta
    records: dict[str, Record]


class OpenedEvent(msgspec.Struct, frozen=True):
    """A kept event, for those who must hide some of it."""

    detail: EventDetail
    event: Event


def shown_event(event: Event) -> ShownEvent:
    """An event with all that is said of it, sensitive data included."""
    return ShownEvent(event.id, event.name, event.data, event.time, event.source, event.user, event.trace)


def opened_run(rows: RunRows, program: Program | None, sealer: Sealer) -> OpenedRun:
    """All that is known of a run, sensitive data included.

    Args:
        rows: As the store keeps them.
        program: Its version, for the order of steps; None when its plan is gone.
        sealer: Opens payloads.
    """
    run, result = rows.row.id, rows.row.result
    meta = decode_meta(sealer.open(rows.row.meta, sealed_fields.META, run))
    end = _ends.decode(sealer.open(result, sealed_fields.RESULT, run)) if result else None
    shown = ((name, payload) for name, payload in rows.records.items() if not name.startswith(PAST))
    records = {name: decode_record(sealer.open(payload, sealed_fields.record(name), run)) for name, payload in shown}
    detail = RunDetail(
        run=run_summary(rows.row),
        event=shown_event(meta.event),
        vars=meta.vars,
        labels=meta.labels,
        output=msgspec.UNSET if end is None else end.output,
        error=None if end is None or end.error is None else end.error.view(),
        steps=_steps(records, program, live=rows.row.status in LIVE),
        journal=tuple(jsondata.loads(sealer.open(entry, sealed_fields.JOURNAL, run)) for entry in rows.journal),
        timers={name: rfc3339(due_ms) for name, due_ms in sorted(rows.timers.items())},
    )
    return OpenedRun(detail, meta, records)


def opened_event(kept: EventView, sealer: Sealer) -> OpenedEvent:
    """A kept event, sensitive data included."""
    event = decode_event(sealer.open(kept.body, sealed_fields.EVENT, kept.id))
    reasons = tuple(decode_reasons(sealer.open(kept.reasons, sealed_fields.REASONS, kept.id))) if kept.reasons else ()
    unheard = not kept.runs and not reasons
    detail = EventDetail(
        id=kept.id,
        name=kept.name,
        source=kept.source,
        accepted_at=rfc3339(kept.accepted_ms),
        event=shown_event(event),
        runs=kept.runs,
        ignored=reasons,
        note=f"no pipeline had a trigger on {kept.name}" if unheard else "",
    )
    return OpenedEvent(detail, event)


class OpenedDead(msgspec.Struct, frozen=True):
    """A dead letter, for those who must hide some of it, or ask who may look at it."""

    detail: DeadDetail
    dead: DeadEvent | None = None  #: of an event

    @property
    def letter(self) -> DeadSummary:
        """As it is in a list."""
        return self.detail.letter

    @property
    def pipelines(self) -> tuple[str, ...]:
        """Whose it is: of a run its pipeline, of an event those whose triggers could not decide about it."""
        if self.letter.is_run:
            return (self.letter.name,)
        return () if self.dead is None else tuple(problem.pipeline for problem in self.dead.problems)


def opened_dead(row: DeadRow, sealer: Sealer) -> OpenedDead:
    """A dead letter with its body, sensitive data included."""
    body = sealer.open(row.body, sealed_fields.DEAD, row.id)
    event, error, code = None, None, ""
    if row.kind == "event":
        event = decode_dead_event(body)
        first = next((problem.code for problem in event.problems if problem.code), "")
        code = first or ("event.invalid" if event.failures else "event.unreadable")
    else:
        error = jsondata.loads(body).get("error")
        code = (error or {}).get("code", "")
    letter = DeadSummary(row.id, row.kind, row.name, rfc3339(row.at_ms), code)
    return OpenedDead(DeadDetail(letter, None if event is None else shown_dead(event), error), event)


def shown_dead(dead: DeadEvent) -> ShownDead:
    """An event that could not be taken, sensitive data included."""
    return ShownDead(shown_event(dead.event), dead.failures, dead.problems, dead.reason, dead.dedupe)


def _steps(records: Mapping[str, Record], program: Program | None, *, live: bool) -> tuple[StepState, ...]:
    found = [_step(name, record, records) for name, record in records.items()]
    if live and program is not None:
        known = (step.key for step in program.plan.steps if not step.loops)
        found.extend(StepState(key, "pending") for key in known if key not in records)
    return tuple(sorted(found, key=_written_order(program)))


def _step(name: str, record: Record, records: Mapping[str, Record]) -> StepState:
    seen = record_view(record, records)
    output = seen.get("output", msgspec.UNSET)
    return StepState(
        step=name,
        status=record.status,
        attempts=record.attempts,
        output=_listed(output) if isinstance(output, ItemsView) else output,
        error=seen.get("error"),
        started_at=seen["started_at"],
        ended_at=seen["ended_at"],
    )


def _listed(items: ItemsView) -> list[Any]:
    return [_listed(item) if isinstance(item, ItemsView) else item for item in items]


def _written_order(program: Program | None) -> Callable[[StepState], Any]:
    places = {} if program is None else {step.key: step.index for step in program.plan.steps}

    def key(state: StepState) -> Any:
        return [
            (places.get(name, len(places)), name, int(index) if index else -1)
            for name, index in _PART.findall(state.step)
        ]

    return key


def version_summary(row: VersionRow, plan: bytes | None, *, active: bool) -> VersionSummary:
    """A version with its counts.

    Args:
        row: As the store has it.
        plan: Its stored plan, of whichever format.
        active: Whether it is of the active manifest.
    """
    running = row.runs.get("running", 0)
    at_work = min(row.at_work, running)  # a run that is being admitted is held while it is pending
    return VersionSummary(
        pipeline="?" if plan is None else jsondata.loads(plan)["pipeline"],
        version=row.version,
        active=active,
        since=None if row.stored_ms is None else rfc3339(row.stored_ms),
        pending=row.runs.get("pending", 0),
        at_work=at_work,
        waiting=running - at_work,
        kept=sum(count for status, count in row.runs.items() if status not in LIVE),
    )
