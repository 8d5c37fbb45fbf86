"""One partition: flushes in, replies out, and the reads. The order of things inside a flush is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flowlang.engine.ops import (
    Accept,
    Cancel,
    ClaimRequest,
    Commit,
    Delete,
    Deploy,
    Leave,
    Op,
    Outcome,
    Prune,
    Release,
    Renew,
    Reply,
    ResolveDead,
    Sweep,
    check,
)
from flowlang.engine.ports import (
    DeadRow,
    DelayedRow,
    EventView,
    FlushId,
    RunHead,
    RunRow,
    RunRows,
    Stats,
    VersionRow,
    WorkerRow,
)
from flowlang.engine.reference import gates, holding, serving, upkeep
from flowlang.engine.reference.accept import accept
from flowlang.engine.reference.claim import claim, rings
from flowlang.engine.reference.tables import RANKS, SEP, WORKER_LISTED_MS, Run, Tables
from flowlang.errors import HistoryLostError, StoreError


class Partition:
    """All rows of one partition and every operation on them. Not safe for threads; time is an argument."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._flushes: dict[str, tuple[int, Reply]] = {}

    def apply(self, flush: FlushId, ops: Sequence[Op], claim_request: ClaimRequest | None, now_ms: int) -> Reply:
        """Apply operations in order, then claim; the same flush again gets the stored reply.

        Args:
            flush: Its worker's sequence number must not be lower than the last one.
            ops: Each stands or falls by itself.
            claim_request: What to take afterwards.
            now_ms: Milliseconds since the epoch; never lower than at the flush before.

        Raises:
            StoreError: when the sequence number is lower than the worker's last.
            HistoryLostError: when the worker has had an answer to a later flush than is known here.
            ValueError: when an operation contradicts itself; nothing is written.
        """
        last = self._flushes.get(flush.worker)
        if last is not None and flush.seq == last[0]:
            return last[1]
        if flush.acked > (0 if last is None else last[0]):
            raise HistoryLostError(f"the store has not heard of flush {flush.acked} of {flush.worker}")
        if last is not None and flush.seq < last[0]:
            raise StoreError(f"flush {flush.seq} of {flush.worker} comes after its flush {last[0]}")
        for op in ops:
            check(op)
        tables = self._tables
        tables.now_ms = now_ms
        tables.fresh = {}
        tables.stale = {}
        outcomes = tuple(_settled(tables, op) for op in ops)
        claimed = claim(tables, claim_request) if claim_request is not None else ()
        reply = Reply(now_ms, tables.epoch, outcomes, claimed, rings(tables))
        self._flushes[flush.worker] = (flush.seq, reply)
        return reply

    def manifest(self) -> tuple[int, bytes] | None:
        """The active manifest with its epoch."""
        return (self._tables.epoch, self._tables.manifest) if self._tables.epoch else None

    def plan(self, digest: str) -> bytes | None:
        """A stored plan."""
        return self._tables.plans.get(digest)

    def versions(self) -> list[VersionRow]:
        """All versions that are stored or that a kept run has."""
        tables = self._tables
        runs: dict[str, Counter[str]] = {}
        for run in tables.runs.values():
            runs.setdefault(run.version, Counter())[run.status] += 1
        held = Counter(tables.runs[name].version for name in {member.split(SEP)[0] for _, member in tables.leases})
        return [
            VersionRow(version, tables.plan_times.get(version), dict(runs.get(version, {})), held[version])
            for version in sorted(tables.plans.keys() | runs.keys())
        ]

    def crons(self) -> dict[str, int]:
        """Cron trigger → its last tick."""
        return dict(self._tables.crons)

    def run(self, run: str) -> RunRows | None:
        """All that is kept of one run."""
        row = self._tables.runs.get(run)
        if row is None:
            return None
        timers = {
            f"{scope_id}|{timer}": due
            for scope_id, scope in row.scopes.items()
            for timer in scope.timers
            if (due := self._tables.timers.score(run + SEP + scope_id + SEP + timer)) is not None
        }
        return RunRows(
            row=_run_row(run, row),
            records=dict(row.records),
            journal=tuple(row.journal),
            scopes={scope_id: scope.status for scope_id, scope in row.scopes.items()},
            timers=timers,
            waits={
                f"{name}|{wait.id}": wait.keys for name, scope in row.scopes.items() for wait in scope.waits.values()
            },
        )

    def heads(self, runs: Sequence[str]) -> dict[str, RunHead]:
        """Of those of these runs that are kept, what tells whether they have ended."""
        kept = ((run, self._tables.runs.get(run)) for run in runs)
        return {run: RunHead(row.pipeline, row.status) for run, row in kept if row is not None}

    def runs(
        self, *, pipeline: str | None = None, status: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[RunRow]:
        """Runs, newest first."""
        table = self._tables.runs
        if before is not None and before not in table:
            return []
        edge = (table[before].created_ms, before) if before is not None else None
        names = sorted(((row.created_ms, name) for name, row in table.items()), reverse=True)
        found = [
            _run_row(name, table[name])
            for created_ms, name in names
            if (edge is None or (created_ms, name) < edge)
            and (pipeline is None or table[name].pipeline == pipeline)
            and (status is None or table[name].status == status)
        ]
        return found[:limit]

    def event(self, event: str, now_ms: int) -> EventView | None:
        """A kept event."""
        row = self._tables.events.get(event)
        if row is None or row.expires_ms <= now_ms:
            return None
        return EventView(event, row.name, row.source, row.accepted_ms, row.body, row.runs, row.reasons)

    def delayed(self, limit: int, now_ms: int) -> list[DelayedRow]:
        """Delayed events that are due, the first due first."""
        table, bodies = self._tables.delayed, self._tables.delayed_bodies
        return [DelayedRow(event, table.score(event) or 0, bodies[event]) for event in table.up_to(now_ms, limit)]

    def dead_letters(self, *, name: str | None = None, before: str | None = None, limit: int = 50) -> list[DeadRow]:
        """Dead letters, newest first."""
        table = self._tables.dead
        if before is not None and before not in table:
            return []
        edge = (table[before].at_ms, before) if before is not None else None
        order = sorted(((row.at_ms, ident) for ident, row in table.items()), reverse=True)
        rows = [
            self._dead_row(ident)
            for at_ms, ident in order
            if (edge is None or (at_ms, ident) < edge) and (name is None or table[ident].name == name)
        ]
        return rows[:limit]

    def dead_letter(self, ident: str) -> DeadRow | None:
        """One dead letter."""
        return self._dead_row(ident) if ident in self._tables.dead else None

    def stats(self, now_ms: int) -> Stats:
        """Counts for people and probes."""
        tables = self._tables
        ready: dict[str, int] = {}
        oldest: dict[str, int] = {}
        beside = [(queue, rows) for (queue, _), rows in tables.aside.items()]
        for queue, rows in [*tables.ready.items(), *beside]:
            if (first := rows.first()) is not None:
                ready[queue] = ready.get(queue, 0) + len(rows)
                since_ms = first[0] // RANKS
                oldest[queue] = min(since_ms, oldest.get(queue, since_ms))
        workers = tuple(
            WorkerRow(name, row.threads, row.busy, row.seen_ms, row.queues, row.refuses, row.defers)
            for name, row in sorted(tables.workers.items())
            if now_ms - row.seen_ms <= WORKER_LISTED_MS
        )
        return Stats(
            now_ms=now_ms,
            epoch=tables.epoch,
            ready=ready,
            oldest_ready_ms=oldest,
            unserved=serving.unserved({key: len(rows) for key, rows in tables.aside.items()}, workers),
            held=len(tables.leases),
            timers=len(tables.timers),
            runs=len(tables.runs),
            dead=len(tables.dead),
            workers=workers,
        )

    def _dead_row(self, ident: str) -> DeadRow:
        row = self._tables.dead[ident]
        return DeadRow(ident, row.kind, row.name, row.at_ms, row.body)


def _apply(tables: Tables, op: Op) -> Outcome:
    match op:
        case Accept():
            return accept(tables, op)
        case Commit():
            return holding.commit(tables, op)
        case Renew():
            return holding.renew(tables, op)
        case Release():
            return holding.release(tables, op)
        case Cancel():
            return upkeep.cancel(tables, op)
        case Sweep():
            return upkeep.sweep(tables, op)
        case Deploy():
            return upkeep.deploy(tables, op)
        case Prune():
            return upkeep.prune(tables, op)
        case ResolveDead():
            return upkeep.resolve_dead(tables, op)
        case Delete():
            return upkeep.delete(tables, op)
        case Leave():
            return upkeep.leave(tables, op)


def _settled(tables: Tables, op: Op) -> Outcome:
    outcome = _apply(tables, op)
    gates.settle(tables)
    return outcome


def _run_row(ident: str, run: Run) -> RunRow:
    return RunRow(
        id=ident,
        pipeline=run.pipeline,
        version=run.version,
        status=run.status,
        created_ms=run.created_ms,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        event=run.event,
        queue=run.queue,
        replay_of=run.replay_of,
        parent=run.parent,
        replaced_by=run.replaced_by,
        merged_into=run.merged_into,
        stored=run.stored,
        meta=run.meta,
        result=run.result,
    )
