"""The words of taking events in: how one is kept, what it led to, why a trigger made no run.

Shared by every way in (API, webhooks, schedules, emits, outcomes); what is stored of them is written and read here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowlang import jsondata
from flowlang.engine.ops import Accept
from flowlang.engine.schemas import Failure
from flowlang.engine.state import Event, PayloadError

#: Number that stands for "called" where a trigger's index is asked for.
CALLED = -1

#: The timer of a run's `expires`; it counts until the run starts.
EXPIRES = "run:expires"

#: Begins the ids of the waits that cancel their run.
CANCEL_ON = "cancel_on:"

WEEK_MS = 7 * 86_400_000


class TriggerProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a trigger could not decide or could not start its run: kept in the dead letter."""

    pipeline: str
    trigger: int
    where: str  #: `if` · `data` · `input` · `vars.NAME` · `labels` · `idempotency.key`
    message: str
    code: str = ""
    expression: str = ""
    values: dict[str, Any] = {}  #: what the expression read, by path
    failures: tuple[Failure, ...] = ()


class DeadEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an event's dead letter: all that is needed to see, correct and send it again."""

    event: Event
    failures: tuple[Failure, ...] = ()  #: of the event's own schema
    problems: tuple[TriggerProblem, ...] = ()
    reason: str = ""  #: when it is neither: such as a webhook's template that gave no event name
    dedupe: str | None = None


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a trigger made no run."""

    pipeline: str
    trigger: int
    why: str
    expression: str = ""
    values: dict[str, Any] = {}


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an event is to be kept.

    `row` is the id of its row, new for each event that is accepted; `Event.id` is the sender's where it gave one.
    """

    row: str
    dedupe: str | None = None  #: the sender's id of it, to be remembered
    dedupe_ms: int = WEEK_MS
    keep_ms: int = 86_400_000
    tick: tuple[str, int] | None = None
    delayed: str | None = None  #: row id of the delayed event that it is


class Lineage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a new run inherits from another one."""

    origin: str = ""
    root: str = ""
    root_ms: int = 0
    root_event: str = ""
    parent: str | None = None
    replay_of: str | None = None
    undone: tuple[str, ...] = ()  #: instances of the new run that get new keys; see `state.Past`


class DelayedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an event that is to be accepted later."""

    event: Event
    dedupe: str | None = None


class Routed(msgspec.Struct, frozen=True):
    """What an event leads to: the operation to send, and what people are told."""

    accept: Accept
    reasons: tuple[Reason, ...]
    problems: tuple[TriggerProblem, ...]


_reasons = msgspec.json.Decoder(list[Reason])
_dead = msgspec.json.Decoder(DeadEvent)
_events = msgspec.json.Decoder(Event)
_delayed = msgspec.json.Decoder(DelayedEvent)


def decode_reasons(data: bytes) -> list[Reason]:
    """Read the reasons of an event's row. Raises: PayloadError."""
    try:
        return _reasons.decode(data) if data else []
    except msgspec.DecodeError as error:
        raise PayloadError(f"stored reasons: {error}") from error


def decode_dead_event(data: bytes) -> DeadEvent:
    """Read the body of an event's dead letter. Raises: PayloadError."""
    try:
        return _dead.decode(data)
    except msgspec.DecodeError as error:
        raise PayloadError(f"stored dead letter: {error}") from error


def decode_delayed(data: bytes) -> DelayedEvent:
    """Read an event that is to be accepted later. Raises: PayloadError."""
    try:
        return _delayed.decode(data)
    except msgspec.DecodeError as error:
        raise PayloadError(f"stored event: {error}") from error


def decode_event(data: bytes) -> Event:
    """Read a stored event. Raises: PayloadError."""
    try:
        return _events.decode(data)
    except msgspec.DecodeError as error:
        raise PayloadError(f"stored event: {error}") from error


def key_text(value: Any) -> str:
    """One text for one value of a key: `1` and `"1"` are two keys."""
    return jsondata.canonical(value).decode()
