"""The use cases in one place: what HTTP, the command line and tests call."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from flowlang.clock import random_token, rfc3339
from flowlang.crashpoints import crashpoint
from flowlang.engine.catalog import Catalog
from flowlang.engine.ops import Cancel, Delete, Deploy, Deployed, Done, Prune, Pruned, Reply
from flowlang.engine.ports import RunHead, Sealer, Stats, Store
from flowlang.engine.program import Program
from flowlang.engine.replay import Wish
from flowlang.engine.state import Event
from flowlang.errors import ConfigError, StoreError
from flowlang.plan import Manifest, Plan, WebhookSource
from flowlang.service import audit
from flowlang.service.answers import (
    Answer,
    IncomingEvent,
    NotDeployedError,
    NotFoundError,
    RunKeptError,
    StartedRun,
)
from flowlang.service.callers import OPERATOR, Act, Caller, ScopeError
from flowlang.service.catalogs import Catalogs
from flowlang.service.dead_letters import DeadFilter, DeadLetters
from flowlang.service.delays import Delays
from flowlang.service.events import Intake, Parcel, from_client, from_webhook
from flowlang.service.headroom import Headroom
from flowlang.service.hiding import Hiding
from flowlang.service.live_waits import awaited_by_others
from flowlang.service.pages import page_of
from flowlang.service.rates import Budgets
from flowlang.service.replays import Forecaster, Replay, Replays
from flowlang.service.ticks import Scheduler, TickReport
from flowlang.service.views import (
    LIVE,
    DeadDetail,
    DeadPage,
    DeadSummary,
    EventDetail,
    OpenedDead,
    Refusal,
    RunDetail,
    RunPage,
    RunSummary,
    VersionSummary,
    opened_event,
    opened_run,
    run_summary,
    shown_dead,
    version_summary,
)
from flowlang.service.writer import Writer
from flowlang.telemetry import Trace

log = logging.getLogger(__name__)

#: Of a name in a log line; the rest is a stranger's.
_SHOWN = 64

#: Rows that are read at a time while runs are looked for.
_PAGE = 200


class Service:
    """The use cases on one store; safe for any number of threads.

    Args:
        store: Where runs live.
        sealer: Seals and opens payloads.
        salt: The store's secret for hashes of users' keys.
        ring: Told how many hints to send to which queue; must not block or raise. Losing hints costs time only.
        incarnation: Names this process to the store; new for each start.
        pause: Waits so many seconds between two tries of a flush.
        forecaster: Tells what a replay will do.
    """

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        *,
        salt: bytes = b"",
        ring: Callable[[Mapping[str, int]], None] | None = None,
        incarnation: str | None = None,
        pause: Callable[[float], object] | None = None,
        forecaster: Forecaster | None = None,
    ) -> None:
        self.store = store
        self.counters: Counter[str] = Counter()
        self.budgets = Budgets(store.spend, salt=salt)
        self._sealer = sealer
        self._ring = ring
        self._catalogs = Catalogs(store, salt)
        self._writer = Writer(store, incarnation or f"service-{random_token()}", on_reply=self._replied, pause=pause)
        self._intake = Intake(store, self._writer, Headroom(store.memory), self._catalogs, sealer)
        self._replays = Replays(store, self._writer, self._intake, self._catalogs, sealer=sealer, forecaster=forecaster)
        self._dead = DeadLetters(store, self._writer, self._intake, self._replays, sealer)
        self._delays = Delays(store, self._intake, sealer)
        self._scheduler = Scheduler(store, self._intake, self._catalogs)

    def _replied(self, reply: Reply) -> None:
        if reply.rings and self._ring is not None:
            self._ring(reply.rings)

    # Deploying

    @property
    def catalog(self) -> Catalog:
        """The active manifest, ready for use. Raises: NotDeployedError."""
        return self._catalogs.current()

    @property
    def catalogs(self) -> Catalogs:
        """What is deployed, for the worker in the same process."""
        return self._catalogs

    def refresh(self) -> bool:
        """Look whether another manifest has become active; returns whether it has."""
        return self._catalogs.refresh()

    def deploy(self, manifest: Manifest, plans: Iterable[Plan]) -> Deployed:
        """Store plans and make a manifest the active one.

        Args:
            manifest: What becomes active.
            plans: Of all its pipelines.

        Raises:
            SchemaError, CelError, KeyError: when they do not fit together; nothing was stored.
            ConfigError: when the store cannot do what `durable` asks for.
        """
        self._check_durable(manifest)
        programs = [Program(plan) for plan in plans]
        digest = manifest.digest  # what others wait for makes no other manifest of it
        manifest = msgspec.structs.replace(manifest, awaited=awaited_by_others(self.store, self._catalogs, manifest))
        trial = self._catalogs.trial(manifest, programs)
        deploy = Deploy(
            digest=digest,
            manifest=manifest.to_json(),
            plans={program.version: program.plan.to_json() for program in programs},
            crons=tuple(trial.crons),
        )
        crashpoint("deploy.checked")
        (outcome,) = self._writer.send([deploy])
        assert isinstance(outcome, Deployed)
        crashpoint("deploy.written")
        self._catalogs.refresh()
        crashpoint("deploy.read")
        try:
            self.prune()
            self.store.tidy()
        except StoreError as error:  # it is deployed; the next one drops what this one could not
            log.warning("what nothing needs could not be dropped: %s", error)
        return outcome

    def check_durable(self) -> None:
        """Check that the store can do what `durable` asks for, if anything is deployed. Raises: ConfigError."""
        try:
            manifest = self.catalog.manifest
        except NotDeployedError:
            return
        self._check_durable(manifest)

    def _check_durable(self, manifest: Manifest) -> None:
        if manifest.durable != "none" and (why := self.store.why_not_secure(manifest.durable)):
            raise ConfigError(f"{why}. Or write `durable: none` in flowlang.yaml")

    def versions(self, pipeline: str | None = None) -> list[VersionSummary]:
        """Versions that are stored or that a kept run has: by pipeline, the active one first, then the newest.

        Args:
            pipeline: Only of this one.
        """
        active = self._active_versions()
        found = [
            version_summary(row, self.store.plan(row.version), active=row.version in active)
            for row in self.store.versions()
        ]
        found = [each for each in found if pipeline is None or each.pipeline == pipeline]
        found.sort(key=lambda each: each.since or "", reverse=True)
        return sorted(found, key=lambda each: (each.pipeline, not each.active))

    def prune(self) -> tuple[str, ...]:
        """Drop the plans of versions that are not active and that no kept run has. Each deploy does so, too.

        Returns:
            The versions that were dropped; none when another deploy has come between.
        """
        self._catalogs.refresh()
        active = tuple(sorted(self._active_versions()))
        if not active:
            return ()
        crashpoint("prune.chosen")
        (outcome,) = self._writer.send([Prune(self.catalog.epoch, active)])
        crashpoint("prune.dropped")
        return outcome.versions if isinstance(outcome, Pruned) else ()

    def _active_versions(self) -> set[str]:
        try:
            return set(self.catalog.manifest.pipelines.values())
        except NotDeployedError:
            return set()

    # Events and calls

    def ingest(
        self, events: Sequence[IncomingEvent], source: str | None = None, *, caller: Caller = OPERATOR
    ) -> list[Answer]:
        """Take events of one sender, one by one; each is answered after one atomic write.

        Args:
            events: Of which those that the caller may not send are refused.
            source: From where; None: as the caller is called.
            caller: Who sends.

        Raises:
            NotDeployedError: when nothing is deployed.
            StoreUnavailableError: when the store does not answer; the sender may send all of them again.
            StoreFullError: the same, when its memory is nearly full.
        """
        return _only(self.take([self.sent(events, source, caller=caller)]))

    def ingest_webhook(
        self, source: WebhookSource, headers: Mapping[str, str], tree: Any, delivery: str | None = None
    ) -> Answer:
        """Take a webhook's delivery, after its signature was verified.

        Args:
            source: The webhook, as it was verified by.
            headers: With lower-case names.
            tree: The body as it was read.
            delivery: The sender's id of it, where the scheme has one.

        Raises:
            NotFoundError: when there is no such webhook.
            WebhookChangedError: when a deploy has changed it: it is to be verified again.
        """
        return _only(self.take([from_webhook(source, headers, tree, delivery)]))[0]

    def sent(self, events: Sequence[IncomingEvent], source: str | None = None, *, caller: Caller = OPERATOR) -> Parcel:
        """What a client sends, for `take`; see `ingest`."""
        return from_client(events, caller.source if source is None else source, caller)

    def take(self, parcels: Sequence[Parcel]) -> list[list[Answer] | Exception]:
        """Take what several senders have sent, by one write.

        Args:
            parcels: Of `sent`, and of `from_webhook`.

        Returns:
            For each, the answers to its events, or what `ingest` and `ingest_webhook` would raise.

        Raises:
            NotDeployedError, StoreError: what has to be said to all of them.
        """
        taken = self._intake.take(parcels)
        if any(parcel.kind == "events" for parcel in parcels):
            crashpoint("event.answered")
        if any(parcel.kind == "webhooks" for parcel in parcels):
            crashpoint("webhook.stored")
        for parcel, answers in zip(parcels, taken, strict=True):
            if not isinstance(answers, Exception):
                self.counters.update(f"{parcel.kind}.{answer.status}" for answer in answers)
        return taken

    def webhook_refused(self, name: str, reason: str) -> None:
        """Record that a delivery was turned away; never its body.

        Args:
            name: Of a webhook that is deployed.
            reason: One of a few fixed sentences.
        """
        self.counters["webhooks.unverified"] += 1
        log.warning("webhook refused: name=%r reason=%s", name[:_SHOWN], reason)
        try:
            self.store.refused(name, reason)
        except StoreError as error:  # whoever was turned away is so whatever the store does, and the log has it
            log.warning("it could not be counted: %s", error)

    def refusals(self) -> list[Refusal]:
        """What the webhooks that are deployed turned away lately, the last first. Raises: NotDeployedError."""
        names = [source.name for source in self.catalog.manifest.webhooks]
        return [
            Refusal(row.webhook, row.reason, row.count, rfc3339(row.first_ms), rfc3339(row.last_ms))
            for row in self.store.refusals(names)
        ]

    def call(
        self,
        pipeline: str,
        data: Any,
        *,
        key: str | None = None,
        source: str | None = None,
        caller: Caller = OPERATOR,
        trace: Trace | None = None,
    ) -> StartedRun:
        """Start a pipeline by name.

        Args:
            pipeline: Its id.
            data: Its input.
            key: The caller's idempotency key.
            source: From where; None: as the caller is called.
            caller: Who calls.
            trace: That the call belongs to.

        Raises:
            NotFoundError, NotAllowedError, DataError, TooLargeError: saying why not.
        """
        origin = caller.source if source is None else source
        return self._intake.call(pipeline, data, key=key, source=origin, caller=caller, trace=trace)

    def send_delayed(self) -> int:
        """Accept the emitted events whose delay is over; returns how many this process sent."""
        return self._delays.send_due()

    def tick_crons(self, now_ms: int | None = None) -> TickReport:
        """Fire the schedules that are due; of a process only one thread may do so.

        Args:
            now_ms: The store's time, when it is known; asked for else.
        """
        return self._scheduler.look(self.store.now_ms() if now_ms is None else now_ms)

    # Looking and steering

    def runs(
        self,
        *,
        pipeline: str | None = None,
        status: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[RunSummary]:
        """Runs, newest first.

        Args:
            pipeline: Only of this one.
            status: Only in this one.
            before: Go on after this run of the last page.
            limit: At most so many.
        """
        return [
            run_summary(row) for row in self.store.runs(pipeline=pipeline, status=status, before=before, limit=limit)
        ]

    def find_runs(
        self, *, pipeline: str | None = None, statuses: Sequence[str] = LIVE, since_ms: int | None = None
    ) -> Iterator[RunSummary]:
        """Runs of these statuses, one status after the other, each newest first.

        Args:
            pipeline: Only of this one.
            statuses: Only in one of these.
            since_ms: Only those created at this time or later.
        """
        for status in statuses:
            before: str | None = None
            while rows := self.store.runs(pipeline=pipeline, status=status, before=before, limit=_PAGE):
                recent = [row for row in rows if since_ms is None or row.created_ms >= since_ms]
                yield from map(run_summary, recent)
                if len(recent) < len(rows):
                    break
                before = rows[-1].id

    def page_of_runs(
        self,
        *,
        pipeline: str | None = None,
        status: str | None = None,
        before: str | None = None,
        limit: int = 50,
        caller: Caller = OPERATOR,
    ) -> RunPage:
        """A page of the runs that a caller may look at, newest first; see `runs`.

        A page that would need too long a look has fewer runs than it may, and still names where the next one begins.

        Raises:
            ScopeError: when the caller names a pipeline that it may not look at.
        """
        if pipeline is not None:
            caller.require("read", pipeline)
        found, after = page_of(
            lambda before, size: self.store.runs(pipeline=pipeline, status=status, before=before, limit=size),
            lambda row: row.id,
            may=None if caller.may_all("read") else lambda row: caller.may("read", row.pipeline),
            before=before,
            limit=limit,
        )
        return RunPage(tuple(map(run_summary, found)), after)

    def run(self, run: str, *, caller: Caller = OPERATOR, reveal: bool = False) -> RunDetail:
        """All that is known of a run.

        Args:
            run: Its id.
            caller: Who asks.
            reveal: Whether to show sensitive data, too; it is recorded, see `audit`.

        Raises:
            NotFoundError: when there is none that the caller may look at.
            ScopeError: when the caller may look at it, but not see sensitive data of its pipeline.
        """
        rows = self.store.run(run)
        if rows is None or not caller.may("read", rows.row.pipeline):
            raise NotFoundError(f"no run {run!r}")
        program = self._catalogs.program(rows.row.version)
        opened = opened_run(rows, program, self._sealer)
        if not reveal:
            return self._hiding().run(opened, program)
        caller.require("reveal", rows.row.pipeline)
        audit.record("reveal", caller, run=run)
        return opened.detail

    def heads(self, runs: Sequence[str]) -> dict[str, RunHead]:
        """Of those of these runs that are kept, what tells whether they have ended; whoever asks may see that."""
        return self.store.heads(runs)

    def is_live(self, run: str, *, caller: Caller = OPERATOR, reveal: bool = False) -> bool:
        """Whether a run has not ended, without reading it; for those to whom `run` would show it. Raises: as `run`."""
        head = self.heads([run]).get(run)
        if head is None or not caller.may("read", head.pipeline):
            raise NotFoundError(f"no run {run!r}")
        if reveal:
            caller.require("reveal", head.pipeline)
        return head.status in LIVE

    def cancel(self, run: str, reason: str = "", *, caller: Caller = OPERATOR) -> bool:
        """Cancel a run; its clean-up still runs.

        Returns:
            False when it had ended before.

        Raises:
            NotFoundError: when there is no such run.
            NotAllowedError: when the caller may not.
        """
        self._check(run, caller)
        crashpoint("cancel.checked")
        (outcome,) = self._writer.send([Cancel(run, reason)])
        crashpoint("cancel.written")
        assert isinstance(outcome, Done)
        if not outcome.found:
            raise NotFoundError(f"no run {run!r}")
        return outcome.changed

    def delete(self, run: str, *, caller: Caller = OPERATOR) -> None:
        """Delete an ended run for good: with all runs that it invoked, their dead letters, and its event.

        Raises:
            NotFoundError: when there is no such run.
            NotAllowedError: when the caller may not.
            RunKeptError: when it, or one that it invoked, has not ended, or another run invoked it.
        """
        self._check(run, caller, "delete")
        found = False
        while True:
            (outcome,) = self._writer.send([Delete(run)])
            assert isinstance(outcome, Done)
            if not outcome.found and not found:
                raise NotFoundError(f"no run {run!r}")
            if not outcome.found:
                return
            if not outcome.changed:
                raise RunKeptError(self._why_kept(run))
            if not found:  # what is left of a large family goes by itself, should nobody ask again
                audit.record("delete", caller, run=run)
            found = True

    def _why_kept(self, run: str) -> str:
        rows = self.store.run(run)
        if rows is not None and rows.row.status in LIVE:
            return f"run {run} has not ended: cancel it first"
        if rows is not None and rows.row.parent is not None:
            return f"run {run} was invoked by {rows.row.parent}, and is deleted with it"
        return f"a run that {run} invoked has not ended: cancel it first"

    def replay(self, run: str, wish: Wish, *, key: str | None = None, caller: Caller = OPERATOR) -> Replay:
        """Make a new run of an earlier one; see `Replays.replay`. Raises: NotAllowedError, too."""
        self._check(run, caller)
        return self._replays.replay(run, wish, key=key)

    def dry_run(self, run: str, wish: Wish, *, caller: Caller = OPERATOR) -> Replay:
        """Tell what a replay would be and do, and make none; see `Replays.dry_run`. Raises: NotAllowedError, too."""
        self._check(run, caller)
        return self._replays.dry_run(run, wish)

    def event(self, event: str, *, caller: Caller = OPERATOR, reveal: bool = False) -> EventDetail:
        """A kept event: what it started, and why it did not start the rest.

        Of somebody who may look at some pipelines only: the events that started a run of these, with these runs.
        `reveal`: see `run`; it is for those who may see sensitive data of one of the pipelines that it started.

        Raises:
            NotFoundError: when there is none that the caller may look at.
            ScopeError: when the caller may look at it, but see sensitive data of none of these.
        """
        kept = self.store.event(event)
        if kept is not None and not caller.may_all("read"):
            runs = self._those("read", kept.runs, caller)
            kept = msgspec.structs.replace(kept, runs=runs) if runs else None
        if kept is None:
            raise NotFoundError(f"no event {event!r}")
        if reveal and not (caller.may_all("reveal") or self._those("reveal", kept.runs, caller)):
            raise ScopeError(
                f"the key {caller.name!r} does not grant to see sensitive data (`--reveal`) of any pipeline that the "
                f"event {event} started"
            )
        opened = opened_event(kept, self._sealer)
        ignored = tuple(reason for reason in opened.detail.ignored if caller.may("read", reason.pipeline))
        detail = msgspec.structs.replace(opened.detail, ignored=ignored)
        if not reveal:
            return self._hiding().event(msgspec.structs.replace(opened, detail=detail))
        audit.record("reveal", caller, event=event)
        return detail

    def _those(self, act: Act, runs: Sequence[str], caller: Caller) -> tuple[str, ...]:
        """Those of some runs of whose pipelines the key grants something."""
        heads = self.heads(runs)
        return tuple(run for run in runs if run in heads and caller.may(act, heads[run].pipeline))

    def repeats(self, event: str, sent: IncomingEvent) -> bool:
        """Whether what was sent is what a kept event says: not only its id, its name and data, too.

        Args:
            event: Id under which it is kept.
            sent: What was sent; it is taken to be the same when the kept one has expired.
        """
        return self._intake.repeats(event, sent)

    def dead_letters(self, *, name: str | None = None, before: str | None = None, limit: int = 50) -> list[DeadSummary]:
        """Dead letters, newest first: of this pipeline or event, from after `before` on."""
        return [opened.letter for opened in self._dead.page(name=name, before=before, limit=limit)]

    def page_of_dead_letters(
        self, *, name: str | None = None, before: str | None = None, limit: int = 50, caller: Caller = OPERATOR
    ) -> DeadPage:
        """A page of the dead letters that a caller may look at, newest first.

        Of somebody who may look at some pipelines only: failed runs of these, and events that a trigger of these could
        not decide about.

        Args:
            name: Only of this pipeline or event.
            before: Go on after this one of the last page.
            limit: At most so many.
            caller: Who asks.
        """
        found, after = page_of(
            lambda before, size: self._dead.page(name=name, before=before, limit=size),
            lambda opened: opened.letter.id,
            may=None if caller.may_all("read") else lambda opened: _may_letter(caller, "read", opened),
            before=before,
            limit=limit,
        )
        return DeadPage(tuple(opened.letter for opened in found), after)

    def find_dead_letters(self, wanted: DeadFilter) -> Iterator[DeadSummary]:
        """The dead letters that a filter leaves, newest first."""
        return self._dead.find(wanted)

    def dead_letter_event(self, ident: str) -> Event:
        """The event of a dead letter, or that the failed run began with. Raises: NotFoundError."""
        return self._dead.event_of(ident)

    def shown_of(self, ident: str, data: Any) -> Any:
        """Data, or a text, that was made of a dead letter's event, without what must not be shown."""
        return self._hiding().data(self._dead.one(ident), self._dead.event_of(ident), data)

    def discard_dead_letter(self, ident: str, *, caller: Caller = OPERATOR) -> None:
        """Take a dead letter off the list for good. Raises: NotFoundError, NotAllowedError."""
        self._check(ident, caller)
        self._dead.discard(ident)

    def dead_letter(self, ident: str, *, caller: Caller = OPERATOR, reveal: bool = False) -> DeadDetail:
        """One dead letter; of somebody who may look at some pipelines only, as in `page_of_dead_letters`.

        `reveal`: see `run`; it is for those who may see sensitive data of one of the pipelines that it is of.

        Raises:
            NotFoundError: when there is none that the caller may look at.
            ScopeError: when the caller may look at it, but see sensitive data of none of these.
        """
        opened = self._dead.one(ident)
        if not _may_letter(caller, "read", opened):
            raise NotFoundError(f"no dead letter {ident!r}")
        if opened.dead is not None:
            problems = tuple(each for each in opened.dead.problems if caller.may("read", each.pipeline))
            dead = msgspec.structs.replace(opened.dead, problems=problems)
            detail = msgspec.structs.replace(opened.detail, event=shown_dead(dead))
            opened = msgspec.structs.replace(opened, dead=dead, detail=detail)
        if not reveal:
            return self._hiding().dead(opened)
        if not _may_letter(caller, "reveal", opened):
            raise ScopeError(
                f"the key {caller.name!r} does not grant to see sensitive data (`--reveal`) of any pipeline that the "
                f"dead letter {ident} is of"
            )
        audit.record("reveal", caller, dead_letter=ident)
        return opened.detail

    def retry_dead_letter(self, ident: str, data: Any = msgspec.UNSET, *, caller: Caller = OPERATOR) -> Answer:
        """Send a dead letter again and take it off the list; see `DeadLetters.retry`. Raises: NotAllowedError, too."""
        self._check(ident, caller)
        return self._dead.retry(ident, data)

    def _check(self, run: str, caller: Caller, act: Act = "control") -> None:
        """Check that a caller may do something to a run: by its pipeline as it is deployed, else by its own version.

        What is no run, such as an event, is nobody's.
        """
        rows = None if caller.names is None else self.store.run(run)
        if rows is None:
            return
        starter = self.catalog.starter(rows.row.pipeline)
        program = starter.program if starter is not None else self._catalogs.program(rows.row.version)
        if program is not None:
            caller.check(program.plan, act)
        else:
            caller.require(act, rows.row.pipeline)

    def _hiding(self) -> Hiding:
        try:
            return Hiding(self.catalog)
        except NotDeployedError:
            return Hiding(None)

    def stats(self) -> Stats:
        """Counts for people and probes."""
        return self.store.stats()


def _may_letter(caller: Caller, act: Act, opened: OpenedDead) -> bool:
    """Whether a caller may do something with a dead letter: for all pipelines, or for one of those that it is of."""
    return caller.may_all(act) or any(caller.may(act, pipeline) for pipeline in opened.pipelines)


def _only(taken: list[list[Answer] | Exception]) -> list[Answer]:
    (answers,) = taken
    if isinstance(answers, Exception):
        raise answers
    return answers
