"""What a client can ask for, as data: each transport carries these and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from flowlang import jsondata

#: Events of one request, and bytes of their JSON.
MOST_EVENTS: Final = 1000
MOST_BYTES: Final = 4_000_000


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event to be sent. Without an `id` the client gives it one."""

    name: str
    data: Any = {}
    id: str | None = None
    user: Any = None


@dataclass(frozen=True, slots=True)
class SendEvents:
    """Send events, answered one by one; `trace`: headers that name their place in a trace."""

    events: tuple[Event, ...]
    trace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallPipeline:
    """Start a pipeline; the same key gives the same run. `trace`: headers that name its place in a trace."""

    pipeline: str
    data: Any
    key: str
    trace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """Run an ended run again; the same key gives the same replay.

    Attributes:
        start: The step where it starts; None: whole.
        data: Of its event; UNSET: as it was.
        same_version: Of the pipeline, in place of the active one.
        new_keys: With new idempotency keys for all steps.
        dry_run: Only tell what it would be and do.
    """

    run: str
    key: str
    start: str | None = None
    data: Any = msgspec.UNSET
    same_version: bool = False
    new_keys: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Cancel a run."""

    run: str


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete an ended run for good."""

    run: str


@dataclass(frozen=True, slots=True)
class GetRun:
    """Look at a run.

    Attributes:
        reveal: With what is marked as sensitive.
        wait: Seconds that the answer may wait for its end; directly it does not.
    """

    run: str
    reveal: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class ListRuns:
    """Look at a page of runs, newest first."""

    pipeline: str | None = None
    status: str | None = None
    before: str | None = None
    limit: int = 50


Request: TypeAlias = SendEvents | CallPipeline | ReplayRun | CancelRun | DeleteRun | GetRun | ListRuns


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: as HTTP has it, whichever way it came."""

    status: int
    body: bytes = b""
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came; `why` without a password."""

    why: str


def in_requests(events: Sequence[Event]) -> Iterator[tuple[Event, ...]]:
    """Share events out to requests: in order, as many in each as it may hold, by count and by bytes."""
    batch: list[Event] = []
    size = 0
    for event in events:
        its = len(jsondata.dumps(event)) + 1
        if batch and (len(batch) == MOST_EVENTS or size + its > MOST_BYTES):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(event)
        size += its
    if batch:
        yield tuple(batch)


def events_of(given: Iterable[Event | Mapping[str, Any]], token: Any) -> list[Event]:
    """Events as they will be sent, each with an id, so that sending them again makes no second one.

    Args:
        given: Events, or maps with their fields.
        token: Draws an id.

    Raises:
        JsonError: when data cannot be carried as JSON; with the path.
        TypeError: when it is neither an event nor a map with an event's fields.
    """
    found = []
    for one in given:
        event = one if isinstance(one, Event) else Event(**one)
        jsondata.check(event.data)
        jsondata.check(event.user)
        found.append(event if event.id is not None else msgspec.structs.replace(event, id=token()))
    return found
