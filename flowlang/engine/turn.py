"""What one turn of a scope decides: the shape that `advance` fills and its driver turns into a commit and a call."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from flowlang.engine.ops import Gate, Group, Take, Timer, Wait
from flowlang.engine.state import ErrorInfo, PayloadError, Record, Result, RunMeta


class Call(msgspec.Struct, frozen=True):
    """A handler to be called now, under the scope's lease."""

    step: int
    instance: str
    handler: str
    arguments: dict[str, Any]
    attempt: int  #: from 1
    effect: str
    timeout_ms: int
    idempotency_key: str


class AttemptEnd(msgspec.Struct, frozen=True):
    """How a call ended: with an output, an error, or a wish to be called again later."""

    instance: str
    attempt: int
    output: Any = msgspec.UNSET
    error: ErrorInfo | None = None
    snooze_ms: int | None = None


class Emission(msgspec.Struct, frozen=True):
    """An event to be sent with the commit."""

    name: str
    ident: str
    data: Any
    instance: str
    delay_ms: int = 0


class Invocation(msgspec.Struct, frozen=True):
    """A pipeline to be called with the commit."""

    pipeline: str
    instance: str
    data: Any
    wait: bool
    origin: str  #: of the child: what its keys derive from
    undone: tuple[str, ...] = ()  #: instances of the child that get new keys


class RunEnd(msgspec.Struct, frozen=True):
    """The run's end, to be written with the commit; `incomplete` are the undos that failed."""

    status: Literal["succeeded", "failed", "cancelled", "skipped"]
    output: Any = msgspec.UNSET
    error: ErrorInfo | None = None
    incomplete: tuple[str, ...] = ()


class Wanted(msgspec.Struct, frozen=True):
    """A gate to be asked for, before its key is hashed: what it is for, whose it is, and the key's text."""

    gate: Gate
    kind: str
    owner: str
    text: str
    refusal: ErrorInfo | None = None  #: why the run is skipped that it refuses


class Turn:
    """Collects what a turn decides."""

    def __init__(self) -> None:
        self.status: Literal["held", "ready", "waiting", "ended"] | None = None
        self.call: Call | None = None
        self.stop_call = False  #: the call in flight is to be told that it is not wanted any more
        self.took_attempt = False  #: the end of a call was taken: it must not be made again
        self.binding = False  #: begun anew after a lost worker, the scope could go another way, or forget a finally
        self.records: dict[str, Record] = {}
        self.journal: list[dict[str, Any]] = []
        self.timers: dict[str, Timer] = {}
        self.cleared: list[str] = []
        self.groups: list[Group] = []
        self.cancels: list[str] = []
        self.waits: list[Wait] = []
        self.unwaits: list[str] = []
        self.takes: list[Take] = []
        self.emissions: list[Emission] = []
        self.invocations: list[Invocation] = []
        self.cancel_children: list[tuple[str, str, str]] = []  #: (pipeline, instance, reason)
        self.undos: list[bytes] = []
        self.lookups: list[tuple[str, str]] = []  #: (instance, key)
        self.cached: list[tuple[str, str, bytes, int]] = []  #: (instance, key, output, ttl)
        self.steps = 0  #: outside loops that have begun
        self.run_end: RunEnd | None = None
        self.wanted: tuple[Wanted, ...] = ()
        self.gate_id: str | None = None  #: what the gates are wanted for: an attempt's instance, or "": the run
        self.frees: list[str] = []
        self.queue: str | None = None
        self.priority_ms: int | None = None
        self.meta: RunMeta | None = None
        self.child_end: Result | None = None
        self.child_weight: Literal[0, 1, 2, 3] = 0

    def set_timer(self, timer: Timer) -> None:
        """Set a timer; an earlier one of the same id gives way."""
        self.timers[timer.id] = timer
        if timer.id in self.cleared:
            self.cleared.remove(timer.id)

    def clear_timer(self, ident: str) -> None:
        """Clear a timer, set before or in this turn."""
        self.timers.pop(ident, None)
        if ident not in self.cleared:
            self.cleared.append(ident)

    @property
    def writes(self) -> bool:
        """Whether there is anything that must be in the store before the turn's call is made."""
        return bool(
            self.took_attempt
            or self.records
            or self.timers
            or self.cleared
            or self.run_end
            or self.child_end
            or self.binding
            or self.invocations
            or self.rare
        )

    @property
    def rare(self) -> bool:
        """Whether there is anything that most turns have not."""
        return bool(
            self.emissions
            or self.groups
            or self.cancels
            or self.waits
            or self.unwaits
            or self.takes
            or self.gate_id is not None
            or self.frees
            or self.queue is not None
            or self.priority_ms is not None
            or self.meta is not None
            or self.cancel_children
            or self.undos
            or self.lookups
            or self.cached
        )


_ends = msgspec.json.Decoder(RunEnd)


def decode_run_end(data: bytes) -> RunEnd:
    """Read how a run ended.

    Raises:
        PayloadError: when it is none.
    """
    try:
        return _ends.decode(data)
    except msgspec.DecodeError as error:
        raise PayloadError(f"stored payload: {error}") from error
