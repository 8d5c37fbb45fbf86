"""What the engine knows of a run: its meta data, a scope's stack of frames, records of steps, facts and errors.

These are the engine's own rows. The store carries them as opaque payloads (`encode`/`decode_*`), except facts, which
it also writes itself and which are plain maps (`ops` names their fields).

**Control is a stack.** A scope runs one thing at a time: containers, catch and finally bodies are frames of one stack
in one row; a scope of its own exists only where something runs *beside* its parent: an item of a foreach, a branch of a
parallel. One commit can therefore cross any number of block borders.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from flowlang.errors import FlowError
from flowlang.plan import Undo
from flowlang.telemetry import Trace

Status = Literal["succeeded", "failed", "timed_out", "skipped", "cancelled"]


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A failure as data: what expressions see as `error`."""

    error_class: str = msgspec.field(name="class")
    code: str = ""
    message: str = ""
    step: str = ""  #: instance that failed first
    attempts: int = 0
    retry_after_ms: int | None = None
    failed: int | None = None  #: of a foreach: how many items failed

    def view(self) -> dict[str, Any]:
        """As expressions see it."""
        seen: dict[str, Any] = {
            "class": self.error_class,
            "code": self.code,
            "message": self.message,
            "step": self.step,
            "attempts": self.attempts,
        }
        if self.failed is not None:
            seen["failed"] = self.failed
        return seen


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fact with a name and data; `time`, RFC 3339 in UTC, is when it was accepted, or when its sender says it was."""

    id: str
    name: str
    data: Any = None
    time: str = ""
    source: str = ""
    user: Any = None
    trace: Trace | None = None  #: that it belongs to, when its sender said so
    hidden: tuple[tuple[str | int, ...], ...] = ()  #: paths in `data` that carry on what was marked elsewhere

    def view(self) -> dict[str, Any]:
        """As expressions see it."""
        seen = {"id": self.id, "name": self.name, "time": self.time, "data": self.data, "source": self.source}
        if self.user is not None:
            seen["user"] = self.user
        return seen


class RunMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stays the same in a run: written when it is created, read with every claim."""

    event: Event
    created_ms: int
    vars: dict[str, Any] = {}
    origin: str = ""  #: run from which idempotency keys are derived; "": itself
    root: str = ""  #: topmost run by `invoke`; "": itself
    root_ms: int = 0  #: when the event of that run was accepted; 0: when this run was created
    root_event: str = ""  #: row id of that event; "": that of its own event
    event_row: str = ""  #: row id of its event
    parent: str | None = None
    awaited: bool = False  #: its parent waits for it: its failure is the parent's, and makes no dead letter
    replay_of: str | None = None
    labels: dict[str, str] = {}
    events: tuple[Event, ...] = ()  #: of a batch, `event` the first of them
    recalls: bool = False  #: it begins with what an earlier run left, which each scope reads before it goes on


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a step instance ended; `output` exists only after success.

    The output of a foreach is a view: `view` counts its items, whose records are those of the group `view_of`.
    """

    status: Status
    output: Any = msgspec.UNSET
    error: ErrorInfo | None = None
    attempts: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    view: int | None = None
    view_of: str = ""


class Past(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a step instance from the run that is replayed: it decides about the idempotency key."""

    given: str = ""  #: digest of its rendered input
    origin: str = ""  #: run that its key derived from; "": the origin of the run
    fresh: bool = False  #: it was undone, or that was tried: it gets a new key
    undone: tuple[str, ...] = ()  #: of an `invoke`: the instances in the child for which the same is true


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a step, block or scope ended, on its way outwards.

    What is `ok` and `dropped` has nothing to win a race with: it was skipped, or it has failed with an `error` that was
    tolerated.
    """

    kind: Literal["ok", "fail", "stop", "cancel"]
    output: Any = msgspec.UNSET
    error: ErrorInfo | None = None
    dropped: bool = False
    view: int | None = None
    view_of: str = ""


class BlockFrame(msgspec.Struct, tag="b"):
    """A block being run in order: the block `slot` of the step `owner` (-1: the pipeline)."""

    owner: int
    slot: str  #: `steps` · `catch<n>` · `finally` · `on_failure`
    at: int = 0


Phase = Literal[
    "enter",
    "body",
    "gating",
    "calling",
    "backoff",
    "sleeping",
    "joining",
    "catch",
    "finally",
    "rounds",
    "pausing",
    "collecting",
    "waiting",
    "invoking",
    "looking",
]


class UndoEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step that has succeeded leaves in its run's undo list: how to take it back, or the child it stands for.

    `undo` has its arguments as far as they were known then; the names `error` and `secrets` are still to be put in.
    """

    instance: str
    origin: str  #: run that its idempotency key derives from
    undo: Undo | None = None
    child: str | None = None  #: run whose own list this entry is
    broken: ErrorInfo | None = None  #: why the arguments could not be computed


class UndoWalk(msgspec.Struct, omit_defaults=True):
    """Where the walk through undo lists has come: the run's own, and inside it those of its children."""

    runs: list[str]
    places: list[int]  #: in the list of each run, the entry that comes next, counted from its end, from 1
    prefixes: list[str]  #: before the instances of each run
    asked: str = ""  #: entry that the last claim was to read
    failed: list[str] = []  #: undos that have failed

    @property
    def read(self) -> str:
        """The next entry, as it is read."""
        return f"{self.runs[-1]}:-{self.places[-1]}"


class StepFrame(msgspec.Struct, tag="s", omit_defaults=True):
    """A step being run, from its `if` to its record."""

    step: int
    phase: Phase = "enter"
    started_ms: int = 0  #: when the instance became ready: `now()` in its expressions
    attempts: int = 0  #: that were recorded
    first_ms: int = 0  #: start of the first attempt
    admitted: bool = False  #: the attempt has passed its gates and has its place
    called: bool = False  #: the call of an effect that happens `once` was recorded as started
    item: bool = False  #: this is one item of the step's foreach, or one round of its repeat
    round: int = 0  #: of a repeat: the round that goes on, or comes next
    arm: int = 0  #: catch arm at work
    error: ErrorInfo | None = None  #: what catch and finally see
    pending: Result | None = None  #: how the body ended, while finally runs
    interrupted: ErrorInfo | None = None  #: its time ran out; what lies above is being cancelled
    total: int = 0  #: items of its foreach, branches, or rounds that have ended
    got: list[Any] = []  #: events that a wait has taken
    offers: dict[str, Any] = {}  #: events that a wait may take, by row id, in the order in which they came
    asked: list[str] = []  #: those of them that it has asked for
    done: bool = False  #: the handler or the child has done its work
    reused: bool = False  #: its output is another run's, found in the cache
    undo: UndoEntry | None = None  #: this takes a step back; there is no step of the plan
    undo_name: str = ""  #: and this is its instance
    chosen: bool = False  #: a switch has already tested its condition
    given: str = ""  #: digest of its rendered input


class ScopeState(msgspec.Struct, omit_defaults=True):
    """A scope's row as the engine sees it.

    All children of a group begin with the same state and tell themselves apart by their index, which the store knows.
    """

    stack: list[BlockFrame | StepFrame] = []
    loops: tuple[int, ...] = ()  #: index in each enclosing loop, outermost first
    inside: tuple[int, ...] = ()  #: the numbers of those loops' steps
    starts: dict[int, Any] = {}  #: by number of a repeat around: what `last` is in its first round
    child: int | None = None  #: step whose item or branch this is; None: a run's main scope
    branch: bool = False  #: a branch, not an item
    owner: int | None = None  #: of a branch that has begun: the step that it is a branch of
    begun: bool = False
    started_ms: int = 0  #: first turn of the run
    cancel: str | None = None  #: why it is being cancelled
    overdue: ErrorInfo | None = None  #: the run's time is up; it ends failed with this
    decided: Literal["", "failed", "cancelled"] = ""  #: how the run will have ended; undos and on_failure are at work
    ending: ErrorInfo | None = None  #: it has failed with this
    walk: UndoWalk | None = None  #: through what is to be undone
    closing: bool = False  #: on_failure has begun
    exhausted: bool = False  #: the time that ending may take is over
    error: ErrorInfo | None = None  #: what the parent was handling when it made this scope


class PayloadError(FlowError):
    """A stored payload is not what this release wrote."""


def encode(value: Any) -> bytes:
    """Write one of this module's rows."""
    return msgspec.json.encode(value)


_states = msgspec.json.Decoder(ScopeState)
_metas = msgspec.json.Decoder(RunMeta)
_records = msgspec.json.Decoder(Record)
_errors = msgspec.json.Decoder(ErrorInfo)
_undos = msgspec.json.Decoder(UndoEntry)
_pasts = msgspec.json.Decoder(Past)


def decode_state(data: bytes) -> ScopeState:
    """Read a scope's state.

    Raises:
        PayloadError: when it is none.
    """
    return _decode(_states, data)


def decode_meta(data: bytes) -> RunMeta:
    """Read a run's meta data. Raises: PayloadError."""
    return _decode(_metas, data)


def decode_record(data: bytes) -> Record:
    """Read a step's record. Raises: PayloadError."""
    return _decode(_records, data)


def decode_error(data: bytes) -> ErrorInfo:
    """Read an error. Raises: PayloadError."""
    return _decode(_errors, data)


def decode_undo(data: bytes) -> UndoEntry:
    """Read an entry of an undo list. Raises: PayloadError."""
    return _decode(_undos, data)


def decode_past(data: bytes) -> Past:
    """Read what is known of an instance from the run that is replayed. Raises: PayloadError."""
    return _decode(_pasts, data)


T = TypeVar("T")


def _decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except msgspec.DecodeError as error:
        raise PayloadError(f"stored payload: {error}") from error
