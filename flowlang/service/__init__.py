"""The use cases: sending events, calling, cancelling, looking at and sending again. HTTP and command line call these.

Knows the store as `engine.ports.Store` only; which one it is, and who receives hints, is passed in.
"""

from flowlang.service.answers import (
    Answer,
    DataError,
    IncomingEvent,
    NotDeployedError,
    NotFoundError,
    RunKeptError,
    StartedRun,
    TooLargeError,
    WebhookChangedError,
)
from flowlang.service.api_keys import ApiKeys, KeyRing
from flowlang.service.callers import ANYBODY, OPERATOR, Caller, NotAllowedError, ScopeError
from flowlang.service.dead_letters import DeadFilter
from flowlang.service.events import Parcel, from_webhook
from flowlang.service.replays import Replay
from flowlang.service.service import Service

__all__ = [
    "ANYBODY",
    "OPERATOR",
    "Answer",
    "ApiKeys",
    "Caller",
    "DataError",
    "DeadFilter",
    "IncomingEvent",
    "KeyRing",
    "NotAllowedError",
    "NotDeployedError",
    "NotFoundError",
    "Parcel",
    "Replay",
    "RunKeptError",
    "ScopeError",
    "Service",
    "StartedRun",
    "TooLargeError",
    "WebhookChangedError",
    "from_webhook",
]
