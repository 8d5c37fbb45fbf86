"""Sending events to FlowLang and steering its runs from other programs: over HTTP, or directly to the store.

What a client asks for (`requests`), how it is asked for again (`operations`) and what comes back (`results`, `errors`)
is the same for both ways and for both kinds of programs. `http` and `direct` carry one request; `sync` and
`asynchronous` are what programs call.
"""

from flowlang.client.asynchronous import AsyncClient
from flowlang.client.errors import (
    BusyError,
    ClientError,
    ConflictError,
    InvalidError,
    MissingError,
    ProblemError,
    RefusedError,
    RunNotSucceededError,
    UnreachableError,
    WaitTimeoutError,
)
from flowlang.client.operations import Patience
from flowlang.client.requests import Event
from flowlang.client.results import Failure, Replayed, Run, RunSummary, Sent, Started, Step
from flowlang.client.sync import Client

__all__ = [
    "AsyncClient",
    "BusyError",
    "Client",
    "ClientError",
    "ConflictError",
    "Event",
    "Failure",
    "InvalidError",
    "MissingError",
    "Patience",
    "ProblemError",
    "RefusedError",
    "Replayed",
    "Run",
    "RunNotSucceededError",
    "RunSummary",
    "Sent",
    "Started",
    "Step",
    "UnreachableError",
    "WaitTimeoutError",
]
