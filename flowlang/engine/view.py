"""What expressions see: a scope's data as bindings, read lazily from its records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec

from flowlang.clock import rfc3339
from flowlang.engine.program import Program
from flowlang.engine.state import BlockFrame, ErrorInfo, Past, Record, RunMeta, ScopeState, StepFrame
from flowlang.expr import Pins, Timestamp
from flowlang.redaction import LazyMask, Mask

SKIPPED: dict[str, Any] = {"status": "skipped", "attempts": 0}


class RunView:
    """All the data that one scope's turns may read.

    Args:
        run: The run's id.
        pipeline: Its pipeline.
        version: Digest of its plan.
        meta: What stays the same in it.
        created_ms: When it was created, by the store's time.
        index: The scope's number among its group's children.
        records: Records by instance, as far as the scope reads them.
        inputs: Items by their scope's id.
        secrets: What `secrets` is in `with`.
    """

    def __init__(
        self,
        run: str,
        pipeline: str,
        version: str,
        meta: RunMeta,
        *,
        created_ms: int = 0,
        index: int = 0,
        records: dict[str, Record] | None = None,
        inputs: dict[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.run = run
        self.pipeline = pipeline
        self.version = version
        self.meta = meta
        self.created_ms = created_ms
        self.index = index
        self.records = {} if records is None else records
        self.inputs = {} if inputs is None else inputs
        self.undos: dict[str, bytes] = {}  #: entries of undo lists, as they were read
        self.pasts: dict[str, Past] = {}  #: of step instances, from the run that is replayed
        self.secrets: Mapping[str, str] = {} if secrets is None else secrets
        self.event = meta.event.view()
        self.events = [event.view() for event in meta.events]
        self.stored = 0  #: bytes that the run has stored
        self.steps = 0  #: steps outside loops that it has begun
        self.mask: LazyMask = Mask  #: of what must not be shown of the run's data; made when something is told
        self._about: dict[str, Any] | None = None

    @property
    def origin(self) -> str:
        """The run that idempotency keys derive from."""
        return self.meta.origin or self.run

    @property
    def root_ms(self) -> int:
        """When the event of the topmost run was accepted."""
        return self.meta.root_ms or self.created_ms or self.meta.created_ms

    @property
    def root_event(self) -> str:
        """The row of that event."""
        return self.meta.root_event or self.meta.event_row

    def about(self, started_ms: int) -> dict[str, Any]:
        """`run`, as expressions see it; the start of a run does not change."""
        if self._about is None:
            self._about = self._run_view(started_ms)
        return self._about

    def _run_view(self, started_ms: int) -> dict[str, Any]:
        seen: dict[str, Any] = {
            "id": self.run,
            "pipeline": self.pipeline,
            "version": self.version,
            "started_at": rfc3339(started_ms),
            "root": self.meta.root or self.run,
        }
        if self.meta.parent is not None:
            seen["parent"] = self.meta.parent
        if self.meta.replay_of is not None:
            seen["replay_of"] = self.meta.replay_of
        return seen


def record_view(record: Record, records: Mapping[str, Record]) -> dict[str, Any]:
    """A step, as `steps.ID` shows it."""
    seen: dict[str, Any] = {
        "status": record.status,
        "attempts": record.attempts,
        "started_at": rfc3339(record.started_ms),
        "ended_at": rfc3339(record.ended_ms),
    }
    if record.view is not None:
        seen["output"] = ItemsView(record.view_of, record.view, records)
    elif record.output is not msgspec.UNSET:
        seen["output"] = record.output
    if record.error is not None:
        seen["error"] = record.error.view()
    return seen


class ItemsView(Sequence[Any]):
    """The output of a foreach: its items' outputs in order, null where one failed; read from their rows."""

    def __init__(self, group: str, total: int, records: Mapping[str, Record]) -> None:
        self._group = group
        self._total = total
        self._records = records

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self._total))]
        if not 0 <= index < self._total:
            raise IndexError(index)
        record = self._records.get(f"{self._group}[{index}]")
        return None if record is None or record.output is msgspec.UNSET else record.output


class StepsView(Mapping[str, dict[str, Any]]):
    """`steps`: what each visible step did; one that did not run counts as skipped.

    Args:
        program: The pipeline.
        records: Of the step instances.
        indexes: In each enclosing loop.
        shown: A record to show for a step in place of its own, by name: a repeat's round, for its `until`.
    """

    def __init__(
        self,
        program: Program,
        records: Mapping[str, Record],
        indexes: tuple[int, ...],
        shown: Mapping[str, Record] | None = None,
    ) -> None:
        self._program = program
        self._records = records
        self._indexes = indexes
        self._shown = shown or {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        step = self._program.by_name.get(name)
        if step is None:
            raise KeyError(name)
        record = self._shown.get(name) or self._records.get(self._program.instance(step, self._indexes))
        return SKIPPED if record is None else record_view(record, self._records)

    def __iter__(self) -> Iterator[str]:
        return iter(self._program.by_name)

    def __len__(self) -> int:
        return len(self._program.by_name)


def bindings(program: Program, view: RunView, state: ScopeState) -> dict[str, Any]:
    """The root names for an expression in a scope, `secrets` and `results` excepted."""
    names: dict[str, Any] = {
        "steps": StepsView(program, view.records, state.loops),
        "run": view.about(state.started_ms),
        "vars": view.meta.vars,
    }
    if view.events:
        names["events"] = view.events
    else:
        names["event"] = view.event
    loops = state.inside
    for depth, loop in enumerate(loops):
        step = program.plan.steps[loop]
        if step.foreach is not None:
            scope = program.prefix(loops[: depth + 1], state.loops[: depth + 1])[:-1]
            names[step.foreach.name] = view.inputs.get(scope)
        elif step.repeat is not None:
            names["last"] = _last(program, view, state, depth)
    if loops:
        names["index"] = state.loops[-1]
    error = handled_error(state)
    if error is not None:
        names["error"] = error.view()
    return names


def _last(program: Program, view: RunView, state: ScopeState, depth: int) -> Any:
    """The output of the round before the one at hand; in the first one, what the repeat starts with."""
    before = state.loops[depth] - 1
    if before < 0:
        return state.starts.get(state.inside[depth])
    record = view.records.get(program.prefix(state.inside[: depth + 1], (*state.loops[:depth], before))[:-1])
    return None if record is None else record_view(record, view.records).get("output")


def handled_error(state: ScopeState) -> ErrorInfo | None:
    """The error that the innermost catch, finally or on_failure at work is about."""
    for frame in reversed(state.stack):
        if isinstance(frame, BlockFrame):
            continue
        if frame.phase == "catch":
            return frame.error
        if frame.phase == "finally" and frame.pending is not None:
            return frame.pending.error
    return state.ending or state.error


def results(group: str, total: int, view: RunView) -> list[dict[str, Any]]:
    """`results` of a `collect`: one entry an item, in order, each with all five fields."""
    entries = []
    for index in range(total):
        name = f"{group}[{index}]"
        record = view.records.get(name)
        entry: dict[str, Any] = {"item": view.inputs.get(name), "index": index, "output": None, "error": None}
        if record is None:
            entry["status"] = "cancelled"
        else:
            seen = record_view(record, view.records)
            entry |= {key: seen[key] for key in ("status", "output", "error") if key in seen}
        entries.append(entry)
    return entries


def pins(view: RunView, instance: str, slot: str, frame: StepFrame | None, now_ms: int) -> Pins:
    """What `now()` and `uuid()` answer: the same in every attempt of an instance."""
    at_ms = frame.started_ms if frame is not None and frame.started_ms else now_ms
    return Pins(now=Timestamp.from_ms(at_ms), uuid=uuids(view.origin, instance, slot))


def uuids(origin: str, instance: str, slot: str) -> Callable[[], str]:
    """A source of UUIDs that follow from run, instance and order alone.

    Returns:
        A function that gives the next one (RFC 9562, version 8: made by hashing).
    """
    count = 0

    def next_uuid() -> str:
        nonlocal count
        count += 1
        raw = bytearray(hashlib.sha256(f"uuid\n{origin}\n{instance}\n{slot}\n{count}".encode()).digest()[:16])
        raw[6] = (raw[6] & 0x0F) | 0x80
        raw[8] = (raw[8] & 0x3F) | 0x80
        text = raw.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    return next_uuid


def instance_key(origin: str, instance: str) -> str:
    """The idempotency key of a step instance: the same for all attempts, and for a replay.

    Args:
        origin: The run that keys derive from.
        instance: Such as `pages[3].notify[17]`.

    Returns:
        40 hex digits.
    """
    return hashlib.sha256(f"{origin}\n{instance}".encode()).hexdigest()[:40]
