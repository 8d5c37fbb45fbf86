"""Which events may be sent by whom, with which data; and the events that FlowLang itself makes.

One place for the API, webhooks and a step's `emit`, so that they refuse the same things with the same words. The ids of
our own events follow from what they are about: whoever computes one of them again names the same event.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from flowlang.clock import rfc3339
from flowlang.engine.catalog import TICK, Catalog, is_event_name
from flowlang.engine.schedule import Tick, tick_data
from flowlang.engine.schemas import CheckedData, Failure
from flowlang.engine.state import ErrorInfo, Event
from flowlang.errors import FlowError
from flowlang.ids import new_event_id, partition_of
from flowlang.telemetry import Trace


class EventRefusedError(FlowError):
    """An event that its sender may not send, or that has no usable name."""


class EventDataError(FlowError):
    """An event whose data does not fit its schema.

    Args:
        name: The event's name.
        failures: Where and why.
    """

    def __init__(self, name: str, failures: tuple[Failure, ...]) -> None:
        listed = "; ".join(f"{failure.path} {failure.message}" for failure in failures)
        super().__init__(f"the data of {name} does not fit its schema: {listed}")
        self.failures = failures


def check_name(catalog: Catalog, name: str, webhook: str | None = None) -> None:
    """Check that a sender may send an event of this name.

    Args:
        catalog: The active one.
        name: Of the event.
        webhook: The webhook that sends it; None: anybody else.

    Raises:
        EventRefusedError: saying who owns the name, or what a name looks like.
    """
    if not is_event_name(name):
        raise EventRefusedError(
            f"{name[:100]!r} is no event name: write lower-case segments joined by '/', such as shop/order-placed"
        )
    if webhook is not None:
        if name.partition("/")[0] != webhook or "/" not in name:
            raise EventRefusedError(f"the webhook {webhook!r} sends only {webhook}/…, not {name}")
        return
    owner = catalog.owner(name)
    if owner is not None:
        raise EventRefusedError(f"{name} is sent only by {owner}; choose another prefix")


def check_data(catalog: Catalog, name: str, data: Any) -> CheckedData:
    """Check an event's data against its schema and type its numbers; an event without a schema takes any."""
    validator = catalog.validator(name)
    return CheckedData(data) if validator is None else validator.check(data)


def check_emission(catalog: Catalog, name: str, data: Any) -> tuple[Any, ErrorInfo | None]:
    """Check what a step's `emit` sends.

    Returns:
        The data as it will be stored, or why it cannot be sent: an error of class permanent.
    """
    try:
        check_name(catalog, name)
    except EventRefusedError as error:
        return data, ErrorInfo("permanent", "event.refused", str(error))
    checked = check_data(catalog, name, data)
    if checked.ok:
        return checked.data, None
    return data, ErrorInfo("permanent", "event.invalid", str(EventDataError(name, checked.failures)))


def emitted_event(pipeline: str, name: str, ident: str, data: Any, now_ms: int, *, trace: Trace | None = None) -> Event:
    """The event of a step's `emit`.

    Args:
        pipeline: That emits; events of one pipeline with the same id are one event.
        name: Of the event.
        ident: As the step gave or derived it.
        data: Checked.
        now_ms: The store's time.
        trace: That the run belongs to.
    """
    source = f"pipeline/{pipeline}"
    return Event(id=ident, name=name, data=data, time=rfc3339(now_ms), source=source, trace=trace)


def row_of_emission(run: str, instance: str) -> str:
    """The id of the row of an emitted event: follows from run and instance, so that a commit made again names it."""
    return new_event_id(f"emit\n{run}\n{instance}", partition_of(run))


def outcome_event(
    *,
    run: str,
    pipeline: str,
    version: str,
    status: Literal["succeeded", "failed", "cancelled"],
    started_ms: int,
    ended_ms: int,
    output: Any = msgspec.UNSET,
    error: ErrorInfo | None = None,
    trace: Trace | None = None,
) -> Event:
    """The event that ends every run: exactly one, its id follows from the run and its outcome.

    Args:
        run: That ended.
        pipeline: Its pipeline.
        version: Digest of its plan.
        status: Its outcome.
        started_ms: Of its first turn; 0 when it had none.
        ended_ms: Now.
        output: Where it has one.
        error: Of a failed run.
        trace: That the run belongs to.
    """
    data: dict[str, Any] = {
        "run": run,
        "pipeline": pipeline,
        "version": version,
        "status": status,
        "started_at": rfc3339(started_ms or ended_ms),
        "ended_at": rfc3339(ended_ms),
    }
    if output is not msgspec.UNSET:
        data["output"] = output
    if error is not None:
        data["error"] = error.view()
    return Event(
        id=new_event_id(f"outcome\n{run}\n{status}", partition_of(run)),
        name=f"pipeline/{pipeline}.{status}",
        data=data,
        time=rfc3339(ended_ms),
        source=f"pipeline/{pipeline}",
        trace=trace,
    )


def call_event(ident: str, pipeline: str, data: Any, now_ms: int, *, source: str, trace: Trace | None = None) -> Event:
    """The event of a call by name.

    Args:
        ident: Its id.
        pipeline: Called.
        data: Of the call.
        now_ms: The store's time.
        source: Who calls.
        trace: That the call belongs to.
    """
    name = f"pipeline/{pipeline}.called"
    return Event(id=ident, name=name, data=data, time=rfc3339(now_ms), source=source, trace=trace)


def tick_event(key: str, tick: Tick, now_ms: int) -> Event:
    """The event of a schedule's tick: the same one, whoever fires it."""
    ident = new_event_id(f"tick\n{key}\n{tick.scheduled_ms}")
    return Event(id=ident, name=TICK, data=tick_data(tick), time=rfc3339(now_ms), source="schedule")
