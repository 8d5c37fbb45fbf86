"""What goes into the use cases and what comes out: events from outside, answers to them, and refusals."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from flowlang.engine.schemas import Failure
from flowlang.errors import FlowError, StaleEpochError
from flowlang.telemetry import Trace


class IncomingEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as it comes in. `id` is the sender's own: sent again, it is the same event.

    What follows `user` is said by the protocol that the event came by, never by the text of an event of ours.
    """

    name: str
    data: Any = {}
    id: str | None = None
    user: Any = None
    source: str = ""  #: of the event; "": that of its sender
    time_ms: int | None = None  #: when it happened; None: now
    trace: Trace | None = None  #: that it belongs to


class StartedRun(msgspec.Struct, frozen=True):
    """A run that an event or call led to; `new` is false when an earlier one holds its idempotency key."""

    id: str
    new: bool


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one event.

    `accepted` and `duplicate`: it is stored. `dead_letter`: it is stored for a person, because it or a trigger failed.
    `invalid`, `refused`, `too_large`: nothing was stored.
    """

    status: Literal["accepted", "duplicate", "dead_letter", "invalid", "refused", "too_large"]
    event: str = ""  #: id under which it is kept
    runs: tuple[StartedRun, ...] = ()
    offered: int = 0  #: waits of runs that it was found by; whether they take it, they decide
    message: str = ""
    failures: tuple[Failure, ...] = ()

    @property
    def stored(self) -> bool:
        """Whether the sender may forget it."""
        return self.status in {"accepted", "duplicate", "dead_letter"}


class NotFoundError(FlowError):
    """There is no such run, event, pipeline, webhook or dead letter."""


class RunKeptError(FlowError):
    """A run that cannot be deleted: it, or one that it invoked, lives, or it goes with the one that invoked it."""


class NotDeployedError(FlowError):
    """Nothing has been deployed yet, so events have nowhere to go."""


class WebhookChangedError(StaleEpochError):
    """A webhook was deployed anew while a delivery was looked at, so it is to be looked at again."""


class TooLargeError(FlowError):
    """More bytes than the project's limits allow."""


class DataError(FlowError):
    """Data that does not fit where it is going.

    Args:
        message: What is wrong.
        failures: The paths that fail.
    """

    def __init__(self, message: str, failures: tuple[Failure, ...] = ()) -> None:
        super().__init__(message)
        self.failures = failures
