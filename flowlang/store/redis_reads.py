"""Reads of the Redis store, by plain commands in pipelines. No script runs for a read, and nothing is written."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import redis

from flowlang.engine.ports import (
    DeadRow,
    DelayedRow,
    EventView,
    RefusalRow,
    RunHead,
    RunRow,
    RunRows,
    Stats,
    VersionRow,
    WorkerRow,
)
from flowlang.engine.reference.serving import unserved
from flowlang.engine.reference.tables import RANKS, SEP, WORKER_LISTED_MS
from flowlang.store.keys import Keys

_dead_rows = msgspec.msgpack.Decoder(tuple[str, str, str, int, bytes])
_STATUS = {"r": "ready", "h": "held", "w": "waiting", "e": "ended"}

Row = TypeVar("Row")

#: Rows that a list reads at a time.
_PAGE = 100


class Reads:
    """Reads of one partition; the caller translates the client's errors."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client  # its stubs mix the answers of its blocking and asynchronous faces
        self._keys = keys

    def manifest(self) -> tuple[int, bytes] | None:
        """The active manifest with its epoch."""
        epoch, manifest = self._client.hmget(self._keys.single("active"), ["epoch", "manifest"])
        return None if epoch is None else (int(epoch), manifest)

    def plan(self, digest: str) -> bytes | None:
        """A stored plan."""
        body: bytes | None = self._client.hget(self._keys.single("plans"), digest)
        return body

    def refusals(self, webhooks: Iterable[str]) -> list[RefusalRow]:
        """What these webhooks turned away, the last first."""
        names = list(webhooks)
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(self._keys.family("refusals", name))
        rows: dict[tuple[str, str], dict[str, int]] = {}
        for name, fields in zip(names, pipe.execute(), strict=True):
            for field, number in fields.items():
                reason, _, what = field.decode().partition(SEP)
                rows.setdefault((name, reason), {})[what] = int(number)
        found = [RefusalRow(*key, row["count"], row["first"], row["last"]) for key, row in rows.items()]
        return sorted(found, key=lambda row: (-row.last_ms, row.webhook, row.reason))

    def versions(self) -> list[VersionRow]:
        """All versions that are stored or that a kept run has."""
        single = self._keys.single
        pipe = self._client.pipeline(transaction=True)
        pipe.hgetall(single("plan_times"))
        pipe.hgetall(single("versions"))
        pipe.zrange(single("leases"), 0, -1)
        times, counts, leases = pipe.execute()
        stored = {version.decode(): int(at) for version, at in times.items()}
        runs: dict[str, dict[str, int]] = {}
        for field, count in counts.items():
            version, _, status = field.decode().partition(SEP)
            runs.setdefault(version, {})[status] = int(count)
        held = {member.decode().partition(SEP)[0] for member in leases}
        for run in held:
            pipe.hget(self._keys.family("run", run), "version")
        at_work = Counter(version.decode() for version in pipe.execute() if version is not None)
        return [
            VersionRow(version, stored.get(version), runs.get(version, {}), at_work[version])
            for version in sorted(stored.keys() | runs.keys())
        ]

    def crons(self) -> dict[str, int]:
        """Cron trigger → its last tick."""
        return {key.decode(): int(at) for key, at in self._client.hgetall(self._keys.single("crons")).items()}

    def run(self, run: str) -> RunRows | None:
        """All that is kept of one run."""
        pipe = self._client.pipeline(transaction=True)
        pipe.hgetall(self._keys.family("run", run))
        pipe.hgetall(self._keys.of_run(run, "scopes"))
        pipe.hgetall(self._keys.of_run(run, "records"))
        pipe.lrange(self._keys.of_run(run, "journal"), 0, -1)
        pipe.hgetall(self._keys.of_run(run, "waits"))
        row, scopes, records, journal, waits = pipe.execute()
        if not row:
            return None
        parsed = {scope.decode(): _scope_head(head) for scope, head in scopes.items()}
        return RunRows(
            row=_run_row(run, row),
            records={instance.decode(): body for instance, body in records.items()},
            journal=tuple(journal),
            scopes={scope: status for scope, (status, _) in parsed.items()},
            timers=self._timers(run, [(scope, timer) for scope, (_, timers) in parsed.items() for timer in timers]),
            waits={name.decode().replace(SEP, "|"): tuple(keys.decode().split(SEP)) for name, keys in waits.items()},
        )

    def heads(self, runs: Sequence[str]) -> dict[str, RunHead]:
        """Of those of these runs that are kept, what tells whether they have ended."""
        if not runs:
            return {}
        pipe = self._client.pipeline(transaction=False)
        for run in runs:
            pipe.hmget(self._keys.family("run", run), ["pipeline", "status"])
        return {
            run: RunHead(pipeline.decode(), status.decode())
            for run, (pipeline, status) in zip(runs, pipe.execute(), strict=True)
            if status is not None
        }

    def _timers(self, run: str, names: list[tuple[str, str]]) -> dict[str, int]:
        if not names:
            return {}
        members = [SEP.join((run, scope, timer)) for scope, timer in names]
        due = self._client.zmscore(self._keys.single("timers"), members)
        return {f"{scope}|{timer}": int(at) for (scope, timer), at in zip(names, due, strict=True) if at is not None}

    def runs(self, pipeline: str | None, status: str | None, before: str | None, limit: int) -> list[RunRow]:
        """Runs, newest first."""
        if pipeline is not None:
            index = self._keys.family("by_pipeline", pipeline)
        elif status is not None:
            index = self._keys.family("by_status", status)
        else:
            index = self._keys.single("runs")

        def read(names: Sequence[str]) -> list[RunRow]:
            pipe = self._client.pipeline(transaction=False)
            for name in names:
                pipe.hgetall(self._keys.family("run", name))
            rows = [_run_row(name, row) for name, row in zip(names, pipe.execute(), strict=True) if row]
            return [row for row in rows if status is None or row.status == status]

        return self._page(index, self._keys.single("runs"), before, limit, read)

    def dead_letters(self, name: str | None, before: str | None, limit: int) -> list[DeadRow]:
        """Dead letters, newest first."""

        def read(names: Sequence[str]) -> list[DeadRow]:
            bodies = self._client.hmget(self._keys.single("dead_rows"), names)
            rows = [DeadRow(*_dead_rows.decode(body)) for body in bodies if body is not None]
            return [row for row in rows if name is None or row.name == name]

        index = self._keys.single("dead")
        return self._page(index, index, before, limit, read)

    def _page(
        self, index: str, order: str, before: str | None, limit: int, read: Callable[[Sequence[str]], list[Row]]
    ) -> list[Row]:
        """Read rows from a sorted set, highest first, from after a member on, until there are enough."""
        edge = None if before is None else self._client.zscore(order, before)
        if before is not None and edge is None:
            return []
        found: list[Row] = []
        for names in self._walk(index, before, edge):
            if names:
                found += read(names)
            if len(found) >= limit:
                break
        return found[:limit]

    def _walk(self, index: str, before: str | None, edge: float | None) -> Iterator[list[str]]:
        top = "+inf" if edge is None else int(edge)
        offset = 0
        while True:
            page = self._client.zrevrangebyscore(index, top, "-inf", start=offset, num=_PAGE, withscores=True)
            yield [
                name
                for member, score in page
                if (name := member.decode()) and (before is None or score != edge or name < before)
            ]
            if len(page) < _PAGE:
                return
            offset += _PAGE

    def event(self, event: str, now_ms: int) -> EventView | None:
        """A kept event."""
        row = self._client.hgetall(self._keys.family("event", event))
        if not row or int(row[b"expires_ms"]) <= now_ms:
            return None
        runs = row[b"runs"].decode()
        return EventView(
            id=event,
            name=row[b"name"].decode(),
            source=row[b"source"].decode(),
            accepted_ms=int(row[b"accepted_ms"]),
            body=row[b"body"],
            runs=tuple(runs.split(SEP)) if runs else (),
            reasons=row[b"reasons"],
        )

    def delayed(self, limit: int, now_ms: int) -> list[DelayedRow]:
        """Delayed events that are due, the first due first."""
        index = self._keys.single("delayed")
        due = self._client.zrangebyscore(index, "-inf", now_ms, start=0, num=limit, withscores=True)
        bodies = self._client.hmget(self._keys.single("delayed_rows"), [event for event, _ in due]) if due else []
        return [
            DelayedRow(event.decode(), int(at), body)
            for (event, at), body in zip(due, bodies, strict=True)
            if body is not None  # taken off between the two questions
        ]

    def dead_letter(self, ident: str) -> DeadRow | None:
        """One dead letter."""
        body = self._client.hget(self._keys.single("dead_rows"), ident)
        return None if body is None else DeadRow(*_dead_rows.decode(body))

    def stats(self, now_ms: int) -> Stats:
        """Counts for people and probes."""
        single = self._keys.single
        pipe = self._client.pipeline(transaction=False)
        pipe.hget(single("active"), "epoch")
        pipe.smembers(single("queues"))
        pipe.smembers(single("asides"))
        pipe.hgetall(single("workers"))
        for name in ("leases", "timers", "runs", "dead"):
            pipe.zcard(single(name))
        epoch, queues, asides, said, held, timers, runs, dead = pipe.execute()
        names = sorted(name.decode() for name in queues | asides)
        for name in names:
            pipe.zcard(self._keys.family("ready", name))
            pipe.zrange(self._keys.family("ready", name), 0, 0, withscores=True)
        answers = pipe.execute() if names else []
        ready: dict[str, int] = {}
        oldest: dict[str, int] = {}
        beside: dict[tuple[str, str], int] = {}
        for name, count, first in zip(names, answers[::2], answers[1::2], strict=True):
            queue, _, version = name.partition(SEP)
            if version:
                beside[queue, version] = count
            if count:
                ready[queue] = ready.get(queue, 0) + count
                since_ms = int(first[0][1]) // RANKS
                oldest[queue] = min(since_ms, oldest.get(queue, since_ms))
        workers = _worker_rows(said, now_ms)
        return Stats(
            now_ms=now_ms,
            epoch=int(epoch or 0),
            ready=ready,
            oldest_ready_ms=oldest,
            unserved=unserved(beside, workers),
            held=held,
            timers=timers,
            runs=runs,
            dead=dead,
            workers=workers,
        )


def _worker_rows(said: dict[bytes, bytes], now_ms: int) -> tuple[WorkerRow, ...]:
    rows = [_worker_row(worker.decode(), text.decode()) for worker, text in said.items()]
    listed = [row for row in rows if row is not None and now_ms - row.seen_ms <= WORKER_LISTED_MS]
    return tuple(sorted(listed, key=lambda row: row.id))


def _worker_row(worker: str, text: str) -> WorkerRow | None:
    """Read a worker's row; None for one that another release has written in another form."""
    threads, busy, seen, *lists = text.split(":")
    if len(lists) != 3:
        return None
    queues, refuses, defers = (tuple(one.split(",")) if one else () for one in lists)
    return WorkerRow(worker, int(threads), int(busy), int(seen), queues, refuses, defers)


def _scope_head(text: bytes) -> tuple[str, list[str]]:
    """Read the part of a scope's row that lists show: its status and its timers. See `rows.lua`."""
    status = _STATUS[text[:1].decode()]
    if status == "ended":
        return status, []
    (size,) = struct.unpack_from(">I", text, 1)
    return status, text[5 : 5 + size].decode().split(SEP) if size else []


def _run_row(ident: str, row: dict[bytes, bytes]) -> RunRow:
    def text(name: bytes) -> str | None:
        return row[name].decode() if name in row else None

    def number(name: bytes) -> int | None:
        return int(row[name]) if name in row else None

    return RunRow(
        id=ident,
        pipeline=row[b"pipeline"].decode(),
        version=row[b"version"].decode(),
        status=row[b"status"].decode(),
        created_ms=int(row[b"created_ms"]),
        started_ms=number(b"started_ms"),
        ended_ms=number(b"ended_ms"),
        event=row[b"event"].decode(),
        queue=row[b"queue"].decode(),
        replay_of=text(b"replay_of"),
        parent=text(b"parent"),
        replaced_by=text(b"replaced_by"),
        merged_into=text(b"merged_into"),
        stored=number(b"stored") or 0,
        meta=row[b"meta"],
        result=row.get(b"result", b""),
    )
