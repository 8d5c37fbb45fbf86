"""Taking events: from clients, webhooks and calls, each by one atomic accept, each answered by itself.

An accept that was routed by a manifest that is no longer active is refused by the store and routed again. A refusal of
our own is only final when the manifest it was made with is still the active one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from flowlang import jsondata
from flowlang.clock import random_token, rfc3339
from flowlang.crashpoints import crashpoint
from flowlang.engine import sealed_fields
from flowlang.engine.admission import EventDataError, EventRefusedError, call_event, check_data, check_name
from flowlang.engine.catalog import Catalog, Webhook
from flowlang.engine.intake import CALLED, Delivery, decode_event
from flowlang.engine.ops import Accept, Accepted, Duplicate, Stale
from flowlang.engine.ports import Sealer, Store
from flowlang.engine.route import InputError, Router
from flowlang.engine.state import Event
from flowlang.errors import StaleEpochError, StoreError
from flowlang.expr import EvaluationError, to_json, to_text
from flowlang.ids import new_event_id, run_id_for
from flowlang.plan import WebhookSource
from flowlang.service.answers import (
    Answer,
    DataError,
    IncomingEvent,
    NotFoundError,
    StartedRun,
    TooLargeError,
    WebhookChangedError,
)
from flowlang.service.callers import OPERATOR, Caller, NotAllowedError
from flowlang.service.catalogs import Catalogs
from flowlang.service.headroom import Headroom, size_of
from flowlang.service.writer import Writer
from flowlang.telemetry import Trace, read_trace

log = logging.getLogger(__name__)

EVENT_BYTES = 512 * 1024  #: of an event's data, unless the project's `limits.event` says otherwise
MAX_ID = 200  #: characters of a sender's id or idempotency key
DAY_MS = 86_400_000
_ROUTINGS = 5  #: deploys in a row that one event may meet

Prepared = Accept | Answer
Maker = Callable[[Router], Prepared]


class Parcel(msgspec.Struct, frozen=True):
    """What one sender has sent at a time.

    Attributes:
        kind: `events`, or `webhooks`.
        makers: Each makes one accept, or refuses, under the id that it is given for the event's row.
    """

    kind: Literal["events", "webhooks"]
    makers: tuple[Callable[[Router, str], Prepared], ...]


class Intake:
    """The ways in.

    Args:
        store: Tells the time; answers reads.
        writer: Writes.
        headroom: Refuses what comes from outside while the store is nearly full.
        catalogs: The active manifest.
        sealer: Seals what is stored.
    """

    def __init__(self, store: Store, writer: Writer, headroom: Headroom, catalogs: Catalogs, sealer: Sealer) -> None:
        self._store = store
        self._writer = writer
        self._headroom = headroom
        self._catalogs = catalogs
        self._sealer = sealer

    def take(self, parcels: Sequence[Parcel]) -> list[list[Answer] | Exception]:
        """Take what several senders have sent, by one write; each stands or falls by itself.

        Returns:
            For each, the answers to its events, or what has to be said to its sender instead.

        Raises:
            StoreError: what has to be said to all of them.
        """
        failed: dict[int, Exception] = {}
        token = random_token()
        makers = [
            _apart(maker, new_event_id(f"{token}/{at}"), failed, at)
            for at, maker in enumerate(maker for parcel in parcels for maker in parcel.makers)
        ]
        answers = self.secured(self.send(makers))
        taken: list[list[Answer] | Exception] = []
        begin = 0
        for parcel in parcels:
            end = begin + len(parcel.makers)
            error = next((failed[at] for at in range(begin, end) if at in failed), None) if failed else None
            taken.append(answers[begin:end] if error is None else error)
            begin = end
        return taken

    def repeats(self, event: str, sent: IncomingEvent) -> bool:
        """Whether an event that was sent has the name and data of the one that is kept under an id, if it still is."""
        row = self._store.event(event)
        if row is None:
            return True
        kept = decode_event(self._sealer.open(row.body, sealed_fields.EVENT, row.id))
        data = check_data(self._catalogs.current(), sent.name, sent.data).data
        return kept.name == sent.name and jsondata.canonical(kept.data) == jsondata.canonical(data)

    def call(
        self,
        pipeline: str,
        data: Any,
        *,
        key: str | None = None,
        source: str = "api",
        caller: Caller = OPERATOR,
        trace: Trace | None = None,
    ) -> StartedRun:
        """Start a pipeline by name.

        Args:
            pipeline: Its id.
            data: Its input.
            key: The caller's idempotency key: for a day, the same key of the same caller gives the same run.
            source: From where.
            caller: Who calls.
            trace: That the call belongs to.

        Raises:
            NotAllowedError: when they may not.
            NotFoundError: when no such pipeline is active.
            DataError: when the data does not fit.
            TooLargeError: when there is too much of it.
        """
        row = new_event_id(random_token())

        def make(router: Router) -> Prepared:
            starter = router.catalog.starter(pipeline)
            if starter is None:
                raise NotFoundError(f"no pipeline {pipeline!r} is deployed")
            caller.check(starter.program.plan, "call")
            event = call_event(row, pipeline, data, router.now_ms, source=source, trace=trace)
            _check_size(router.catalog, data)
            dedupe = None if key is None else f"call\n{pipeline}\n{_checked_id(key)}"
            delivery = Delivery(row, dedupe=dedupe, dedupe_ms=DAY_MS, keep_ms=DAY_MS)
            try:
                return router.call(starter, event, delivery).accept
            except InputError as error:
                raise DataError(str(error), error.problem.failures) from error

        answer = self.secured(self.send([make], raising=True))[0]
        crashpoint("call.stored")
        if answer.status == "duplicate":
            kept = self._store.event(answer.event)
            run = kept.runs[0] if kept is not None and kept.runs else run_id_for(answer.event, pipeline, CALLED)
            return StartedRun(run, new=False)
        return answer.runs[0]

    def secured(self, answers: list[Answer]) -> list[Answer]:
        """Answers to a sender who is told that we have it: when it is as safe as `durable` says. Raises: StoreError."""
        durability = self._catalogs.current().manifest.durable
        if durability != "none" and any(answer.event for answer in answers):
            try:
                crashpoint("accept.before_secure")
                self._store.secure(durability)
                crashpoint("accept.secured")
            except StoreError as error:
                log.warning("taken, and not known to be safe; the sender is told to send it again: %s", error)
                raise
        return answers

    def send(
        self, makers: Sequence[Callable[[Router], Prepared]], *, raising: bool = False, begun: bool = False
    ) -> list[Answer]:
        """Route and write; route again whatever met another epoch.

        Args:
            makers: Each makes one accept, or refuses.
            raising: Let refusals out as the exceptions that they are.
            begun: It belongs to what the store has taken before, so it may use the room that is kept for that.

        Raises:
            StoreFullError: when there is no room for what comes from outside.
            StaleEpochError: when manifests change faster than events can be routed.
        """
        answers: list[Answer | None] = [None] * len(makers)
        for _ in range(_ROUTINGS):
            left = [at for at, answer in enumerate(answers) if answer is None]
            if not left:
                break
            router = Router(self._catalogs.current(), self._sealer, self._store.now_ms())
            prepared = {at: _prepare(makers[at], router) for at in left}
            refused = [at for at, result in prepared.items() if not isinstance(result, Accept)]
            if refused and self._catalogs.refresh():
                continue
            for at in refused:
                answers[at] = _refusal(prepared[at], raising=raising)
            accepts = {at: result for at, result in prepared.items() if isinstance(result, Accept)}
            if not begun:
                self._headroom.take(size_of(accepts.values()))
            self._write(accepts, answers)
        if any(answer is None for answer in answers):
            raise StaleEpochError("the project is being deployed again and again; send the event once more")
        return [answer for answer in answers if answer is not None]

    def _write(self, accepts: Mapping[int, Accept], answers: list[Answer | None]) -> None:
        if not accepts:
            return
        crashpoint("accept.routed")
        outcomes = self._writer.send(list(accepts.values()))
        crashpoint("accept.written")
        for (at, accept), outcome in zip(accepts.items(), outcomes, strict=True):
            match outcome:
                case Accepted():
                    runs = tuple(StartedRun(run, new) for run, new in outcome.runs)
                    status: Literal["accepted", "dead_letter"] = "accepted" if accept.dead is None else "dead_letter"
                    answers[at] = Answer(status, outcome.event, runs, outcome.offered)
                case Duplicate():
                    answers[at] = Answer("duplicate", outcome.event)
                case Stale():
                    self._catalogs.refresh()
                case _:
                    raise AssertionError(f"{type(outcome).__name__} answers no accept")


def from_client(events: Sequence[IncomingEvent], source: str, caller: Caller = OPERATOR) -> Parcel:
    """What a client sends.

    Args:
        events: In order.
        source: From where.
        caller: Who sends; what they may not send is refused.
    """

    def maker(event: IncomingEvent) -> Callable[[Router, str], Prepared]:
        return lambda router, row: _from_client(router, event, row, source, caller)

    return Parcel("events", tuple(map(maker, events)))


def from_webhook(source: WebhookSource, headers: Mapping[str, str], tree: Any, delivery: str | None) -> Parcel:
    """What a webhook's sender delivers, after its signature was verified.

    Args:
        source: The webhook, as it was verified by; when it is another one by now, `take` gives a `WebhookChangedError`,
            and a `NotFoundError` when there is none any more.
        headers: With lower-case names; they say which trace the event belongs to.
        tree: The body as it was read.
        delivery: The sender's id of the delivery, where its scheme has one.
    """
    return Parcel("webhooks", (lambda router, row: _from_webhook(router, source, headers, tree, delivery, row=row),))


def _apart(maker: Callable[[Router, str], Prepared], row: str, failed: dict[int, Exception], at: int) -> Maker:
    """A maker whose errors are kept, so that they stop nothing else that is taken with it."""

    def make(router: Router) -> Prepared:
        failed.pop(at, None)
        try:
            return maker(router, row)
        except Exception as error:  # noqa: BLE001 - it is said to its sender, who is not the only one
            try:
                return _refusal(error, raising=False)
            except Exception as unsayable:  # noqa: BLE001 - the same
                failed[at] = unsayable
                return Answer("refused", message="")

    return make


def _prepare(maker: Callable[[Router], Prepared], router: Router) -> Prepared | Exception:
    try:
        return maker(router)
    except (EventRefusedError, EventDataError, TooLargeError, DataError, NotFoundError, NotAllowedError) as error:
        return error


def _refusal(result: Prepared | Exception, *, raising: bool) -> Answer:
    if isinstance(result, Answer):
        return result
    if raising and isinstance(result, Exception):
        raise result
    match result:
        case EventRefusedError() | NotAllowedError():
            return Answer("refused", message=str(result))
        case TooLargeError():
            return Answer("too_large", message=str(result))
        case EventDataError(failures=failures) | DataError(failures=failures):
            return Answer("invalid", message=str(result), failures=failures)
        case Exception():
            raise result
        case _:
            raise AssertionError("an accept is no refusal")


def _from_client(router: Router, sent: IncomingEvent, row: str, source: str, caller: Caller) -> Prepared:
    check_name(router.catalog, sent.name)
    caller.require("send", sent.name)
    _check_size(router.catalog, sent.data)
    checked = check_data(router.catalog, sent.name, sent.data)
    if not checked.ok:
        raise EventDataError(sent.name, checked.failures)
    event = Event(
        id=row if sent.id is None else _checked_id(sent.id),
        name=sent.name,
        data=checked.data,
        time=rfc3339(router.now_ms if sent.time_ms is None else sent.time_ms),
        source=sent.source or source,
        user=sent.user,
        trace=sent.trace,
    )
    dedupe = sent.id
    if sent.source and dedupe is not None:
        dedupe = f"{source}\n{dedupe}"  # whoever may name any source uses up nobody else's ids
    return router.route_checked(event, Delivery(row, dedupe=dedupe)).accept


def _from_webhook(
    router: Router, source: WebhookSource, headers: Mapping[str, str], body: Any, delivery: str | None, *, row: str
) -> Prepared:
    name = source.name
    webhook = router.catalog.webhook(name)
    if webhook is None:
        raise NotFoundError(f"no webhook {name!r} is deployed")
    if webhook.source != source:
        raise WebhookChangedError(f"the webhook {name!r} is not the one that was looked at")
    event = Event(
        id=row,
        name=f"{name}/unreadable",
        data=body,
        time=rfc3339(router.now_ms),
        source=f"webhook/{name}",
        trace=read_trace(headers),
    )
    kept = Delivery(row, dedupe=delivery, dedupe_ms=webhook.source.dedupe_ms)
    try:
        event, kept = _mapped(webhook, event, kept, {"body": body, "headers": dict(headers)})
        check_name(router.catalog, event.name, name)
        _check_size(router.catalog, event.data)
    except (EvaluationError, EventRefusedError, TooLargeError, DataError) as error:
        unreadable = msgspec.structs.replace(event, name=f"{name}/unreadable", data=body)
        return router.dead(unreadable, kept, reason=str(error))
    return router.route(event, kept).accept


def _mapped(webhook: Webhook, event: Event, kept: Delivery, names: Mapping[str, Any]) -> tuple[Event, Delivery]:
    """The event that a body stands for, by the webhook's templates."""
    ident = kept.dedupe
    if webhook.ident is not None:
        ident = _checked_id(to_text(webhook.ident.evaluate(names)))
    name = to_text(webhook.event.evaluate(names))
    data = to_json(webhook.data.evaluate(names))
    named = msgspec.structs.replace(event, id=ident or event.id, name=name, data=data)
    return named, Delivery(kept.row, dedupe=ident, dedupe_ms=kept.dedupe_ms)


def _checked_id(text: str) -> str:
    if not 0 < len(text) <= MAX_ID:
        raise DataError(f"an id has 1 to {MAX_ID} characters, this one has {len(text)}")
    return text


def _check_size(catalog: Catalog, data: Any) -> None:
    limit = catalog.limit("event", EVENT_BYTES)
    size = len(jsondata.dumps(data))
    if size > limit:
        raise TooLargeError(f"the event's data has {size} bytes, more than limits.event allows ({limit})")
