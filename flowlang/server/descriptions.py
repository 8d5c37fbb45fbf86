"""The operations of our own routes, as the OpenAPI document has them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from flowlang.engine.ports import Grants
from flowlang.server.operations import Answer, Body, Operation, Parameter
from flowlang.server.protocols.cloudevents import (
    BATCH,
    CLOUD_EVENT,
    CLOUD_EVENTS,
    REQUEST_CALLBACK,
    REQUEST_ORIGIN,
    REQUEST_RATE,
    STRUCTURED,
)
from flowlang.server.protocols.inngest import Sent, Taken
from flowlang.server.waiting import LONGEST_S
from flowlang.service import Answer as EventAnswer
from flowlang.service import Replay, StartedRun
from flowlang.service.views import DeadDetail, DeadPage, EventDetail, RunDetail, RunPage

PAGE = 200  #: runs at most
LIST_ITEMS = 1000  #: events at most

STATUSES: Final = ("pending", "running", "succeeded", "failed", "cancelled", "skipped")

_LOCATION: Final = {"location": "where the run is looked at"}
_KEY: Final = Parameter(
    "idempotency-key",
    {"type": "string", "minLength": 1, "maxLength": 200},
    "For a day, the same key of the same sender gives the same run.",
    "header",
)


_NEXT: Final = {"link": "the next page, as `rel=next`, where there is one"}
_BEFORE: Final = Parameter("before", {"type": "string"}, "`next` of the page before.")
_LIMIT: Final = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": PAGE, "default": 50}, "At most so many."
)
_REVEAL: Final = Parameter(
    "reveal",
    {"type": "boolean", "default": False},
    "Show what is marked as sensitive, too; 403 without a key that grants `reveal`.",
)


class EventBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event as a client writes it. `id` is the sender's own: sent again, it is the same event."""

    name: str
    data: Any = {}
    id: str | None = None
    user: Any = None


class CallBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call."""

    data: Any = {}


class ReplayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a replay."""

    start: str | None = msgspec.field(name="from", default=None)
    data: Any = msgspec.UNSET
    same_version: bool = False
    new_keys: bool = False
    dry_run: bool = False


class EventAnswers(msgspec.Struct, frozen=True):
    """The answers to a list of events, in its order."""

    events: tuple[EventAnswer, ...]


class Cancelled(msgspec.Struct, frozen=True):
    """A run that is being cancelled."""

    id: str


class Delivered(msgspec.Struct, frozen=True):
    """What became of a webhook's delivery."""

    status: str
    event: str


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Ready(msgspec.Struct, frozen=True):
    """The process can work, by this manifest."""

    status: str
    epoch: int


class Holder(msgspec.Struct, frozen=True):
    """Whose a key is, and what it grants."""

    name: str
    groups: tuple[str, ...]
    grants: Grants


EventList = Annotated[list[EventBody], msgspec.Meta(min_length=1, max_length=LIST_ITEMS)]

_FORM: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_SENDER: Final = {"type": "string", "pattern": r"^([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\.){1,3}[a-z]{2,20}$"}
_HEARD: Final = {"text/plain": {"type": "string"}, "text/xml": {"type": "string"}}
_CLOUD_EVENTS: Final = {f"{STRUCTURED}+json": CLOUD_EVENT, f"{BATCH}+json": CLOUD_EVENTS}

POST_EVENTS: Final = Operation(
    "Send one event, or a list that is answered one by one",
    {
        202: Answer("All is stored.", (EventAnswer, EventAnswers)),
        207: Answer("Some of the list is not stored; its answers say which.", EventAnswers),
    },
    refusals=(400, 403, 422),
    parameters=(
        Parameter(
            "idempotency-key",
            {"type": "string", "minLength": 1, "maxLength": 200},
            "Stands for the ids that events do not have; 422 when it was used for another event.",
            "header",
        ),
    ),
    body=Body((EventBody, EventList), others=_CLOUD_EVENTS),
)
POST_BY_PATH: Final = Operation(
    "For senders that show their key in the path: Inngest's event API, and CloudEvents",
    {
        200: Answer("All that an Inngest SDK sent is stored.", Taken),
        202: POST_EVENTS.answers[202],
        207: POST_EVENTS.answers[207],
    },
    refusals=POST_EVENTS.refusals,
    parameters=POST_EVENTS.parameters,
    body=Body((Sent, list[Sent]), others=_CLOUD_EVENTS),
)
ALLOW_EVENTS: Final = Operation(
    "Tell a sender of CloudEvents that it is expected, before it sends",
    {
        200: Answer(
            "It may send.",
            None,
            {
                "webhook-allowed-origin": "the name that it has given",
                "webhook-allowed-rate": "requests in a minute, or `*`",
                "allow": "the method to send with",
            },
        ),
        405: Answer("It has not given its name, so this is no such question.", None),
    },
    refusals=(422,),
    parameters=(
        Parameter(REQUEST_ORIGIN, _SENDER, "DNS name of the system that sends.", "header", required=True),
        Parameter(
            REQUEST_RATE, {"type": "integer", "minimum": 1}, "Requests in a minute that it would send.", "header"
        ),
        Parameter(REQUEST_CALLBACK, {"type": "string"}, "Not used: the answer is here.", "header"),
    ),
)
GET_EVENT: Final = Operation(
    "A kept event: what it started, and why not more",
    {200: Answer("The event.", EventDetail)},
    refusals=(404, 422),
    parameters=(_REVEAL,),
)
POST_RUN: Final = Operation(
    "Start a pipeline",
    {202: Answer("The run is stored.", StartedRun, _LOCATION)},
    refusals=(400, 404),
    parameters=(_KEY,),
    body=Body(CallBody, required=False),
)
GET_RUNS: Final = Operation(
    "Runs, newest first",
    {200: Answer("A page of them.", RunPage, _NEXT)},
    refusals=(422,),
    parameters=(
        Parameter("pipeline", {"type": "string"}, "Only of this one."),
        Parameter("status", {"enum": list(STATUSES)}, "Only in this one."),
        _BEFORE,
        _LIMIT,
    ),
)
GET_RUN: Final = Operation(
    "All that is known of a run",
    {200: Answer("The run.", RunDetail)},
    refusals=(404, 422),
    parameters=(
        _REVEAL,
        Parameter(
            "wait",
            {"type": "number", "minimum": 0, "maximum": LONGEST_S, "default": 0},
            "Answer when the run has ended, or after so many seconds.",
        ),
    ),
)
GET_LETTERS: Final = Operation(
    "Dead letters, newest first: failed runs, and events that could not be taken",
    {200: Answer("A page of them.", DeadPage, _NEXT)},
    refusals=(422,),
    parameters=(
        Parameter("name", {"type": "string"}, "Only of this pipeline or event."),
        _BEFORE,
        _LIMIT,
    ),
)
GET_LETTER: Final = Operation(
    "A dead letter: why, and of an event with what data",
    {200: Answer("The dead letter.", DeadDetail)},
    refusals=(404, 422),
    parameters=(_REVEAL,),
)
REPLAY_RUN: Final = Operation(
    "Run an ended run again: whole, or from a step on",
    {
        200: Answer("What it would be and do; only when asked for with `dry_run`.", Replay),
        202: Answer("The new run is stored.", Replay, _LOCATION),
    },
    refusals=(400, 404, 409),
    parameters=(_KEY,),
    body=Body(ReplayBody, required=False),
)
CANCEL_RUN: Final = Operation(
    "Cancel a run; its clean-up still runs",
    {202: Answer("It is being cancelled.", Cancelled, _LOCATION)},
    refusals=(404, 408, 409, 413),
)
DELETE_RUN: Final = Operation(
    "Delete an ended run for good, with all runs that it invoked",
    {204: Answer("It is gone.", None)},
    refusals=(404, 408, 409, 413),
)
POST_HOOK: Final = Operation(
    "Take a delivery of a webhook, proven by its sender's signature",
    {
        202: Answer("The event is stored, or was before.", Delivered),
        200: Answer("The same, in the way in which some senders want to hear it.", Delivered, others=_HEARD),
    },
    refusals=(400, 401, 404),
    body=Body({}, others=dict.fromkeys(("application/x-www-form-urlencoded", "multipart/form-data"), _FORM)),
)
GET_HOOK: Final = Operation(
    "Take a delivery of a webhook whose sender signs its address, and sends all in the query",
    {200: Answer("The event is stored, or was before; what the sender wants to hear.", Delivered, others=_HEARD)},
    refusals=(400, 401, 404, 405, 413),
)
GET_KEY: Final = Operation("Whose the key is, and what it grants", {200: Answer("The holder of the key.", Holder)})
GET_OPENAPI: Final = Operation("This document", {200: Answer("An OpenAPI 3.1 document.", {"type": "object"})})
LIVEZ: Final = Operation("The process answers", {200: Answer("It does.", Alive)})
READYZ: Final = Operation(
    "The store answers, something is deployed, and the process is not about to stop", {200: Answer("So it is.", Ready)}
)
