"""The store in this process's memory: the reference behind a lock. For tests, simulation and trying things out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from flowlang.clock import Clock
from flowlang.engine.ops import ClaimRequest, Op, Reply
from flowlang.engine.ports import (
    REFUSALS_KEPT_MS,
    ApiKeyRow,
    DeadRow,
    DelayedRow,
    EventView,
    FlushId,
    Memory,
    RefusalRow,
    RunHead,
    RunRow,
    RunRows,
    Spent,
    Stats,
    VersionRow,
)
from flowlang.engine.reference import Partition
from flowlang.engine.reference.rates import spend
from flowlang.plan import Durability

_replies = msgspec.msgpack.Decoder(Reply)


class MemoryStore:
    """`engine.ports.Store` without a server; everything is gone with the process.

    Args:
        clock: Tells the time, as a `Clock` or a function that returns milliseconds since the epoch.
    """

    def __init__(self, clock: Clock | Callable[[], int]) -> None:
        self._read_clock: Callable[[], int] = clock if callable(clock) else clock.now_ms
        self._lock = threading.Lock()
        self._partition = Partition()
        self._last_ms = 0
        self._refusals: dict[str, dict[str, RefusalRow]] = {}  # webhook → reason → count
        self._asked: dict[str, int] = {}  #: name → until when it is remembered
        self._rates: dict[str, int] = {}
        self._api_keys: dict[str, ApiKeyRow] = {}
        self._api_keys_used: dict[str, int] = {}

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        """Apply operations in order, then claim. See `engine.ops`.

        Raises:
            StoreError: when the worker has sent a later flush already.
        """
        with self._lock:
            reply = self._partition.apply(flush, ops, claim, self._now_ms())
        return _replies.decode(
            msgspec.msgpack.encode(reply)
        )  # facts are maps: a caller must not change the stored ones

    def now_ms(self) -> int:
        """The clock's time."""
        with self._lock:
            return self._now_ms()

    def manifest(self) -> tuple[int, bytes] | None:
        """The active manifest with its epoch."""
        with self._lock:
            return self._partition.manifest()

    def plan(self, digest: str) -> bytes | None:
        """A stored plan."""
        with self._lock:
            return self._partition.plan(digest)

    def versions(self) -> list[VersionRow]:
        """All versions that are stored or that a kept run has."""
        with self._lock:
            return self._partition.versions()

    def crons(self) -> dict[str, int]:
        """Cron trigger → its last tick."""
        with self._lock:
            return self._partition.crons()

    def run(self, run: str) -> RunRows | None:
        """All that is kept of one run."""
        with self._lock:
            return self._partition.run(run)

    def heads(self, runs: Sequence[str]) -> dict[str, RunHead]:
        """Of those of these runs that are kept, what tells whether they have ended."""
        with self._lock:
            return self._partition.heads(runs)

    def runs(
        self, *, pipeline: str | None = None, status: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[RunRow]:
        """Runs, newest first."""
        with self._lock:
            return self._partition.runs(pipeline=pipeline, status=status, before=before, limit=limit)

    def event(self, event: str) -> EventView | None:
        """A kept event."""
        with self._lock:
            return self._partition.event(event, self._now_ms())

    def delayed(self, limit: int = 50) -> list[DelayedRow]:
        """Delayed events that are due, the first due first."""
        with self._lock:
            return self._partition.delayed(limit, self._now_ms())

    def dead_letters(self, *, name: str | None = None, before: str | None = None, limit: int = 50) -> list[DeadRow]:
        """Dead letters, newest first."""
        with self._lock:
            return self._partition.dead_letters(name=name, before=before, limit=limit)

    def dead_letter(self, ident: str) -> DeadRow | None:
        """One dead letter."""
        with self._lock:
            return self._partition.dead_letter(ident)

    def stats(self) -> Stats:
        """Counts for people and probes."""
        with self._lock:
            return self._partition.stats(self._now_ms())

    def once(self, name: str, ttl_ms: int) -> bool:
        """Whether this is the first time that anybody asks under this name; remembered for `ttl_ms`."""
        with self._lock:
            now_ms = self._now_ms()
            first = self._asked.get(name, 0) <= now_ms
            if first:
                self._asked[name] = now_ms + ttl_ms
            return first

    def api_keys(self) -> dict[str, ApiKeyRow]:
        """All API keys by id, those that have expired too."""
        with self._lock:
            return dict(self._api_keys)

    def amend_api_keys(self, change: Callable[[Mapping[str, ApiKeyRow]], Mapping[str, ApiKeyRow]]) -> None:
        """Make the API keys what `change` makes of them, as one step."""
        with self._lock:
            self._api_keys = dict(change(dict(self._api_keys)))
            self._api_keys_used = {key: at for key, at in self._api_keys_used.items() if key in self._api_keys}

    def api_keys_used(self, used: Mapping[str, int] | None = None) -> dict[str, int]:
        """Remember when keys were used; returns id → when each was, ms."""
        with self._lock:
            self._api_keys_used.update(used or {})
            return dict(self._api_keys_used)

    def refused(self, webhook: str, reason: str) -> None:
        """Count a delivery that was turned away."""
        with self._lock:
            now_ms = self._now_ms()
            kept = {row.reason: row for row in self._refused_by(webhook, now_ms)}
            row = kept.get(reason) or RefusalRow(webhook, reason, 0, now_ms, now_ms)
            kept[reason] = msgspec.structs.replace(row, count=row.count + 1, last_ms=now_ms)
            self._refusals[webhook] = kept

    def refusals(self, webhooks: Iterable[str]) -> list[RefusalRow]:
        """What these webhooks turned away, the last first."""
        with self._lock:
            now_ms = self._now_ms()
            found = [row for webhook in webhooks for row in self._refused_by(webhook, now_ms)]
        return sorted(found, key=lambda row: (-row.last_ms, row.webhook, row.reason))

    def _refused_by(self, webhook: str, now_ms: int) -> list[RefusalRow]:
        """A webhook's counts; none are left some time after the last one."""
        rows = list(self._refusals.get(webhook, {}).values())
        return rows if rows and max(row.last_ms for row in rows) + REFUSALS_KEPT_MS > now_ms else []

    def spend(self, name: str, *, step_us: int, cap_us: int, least: int, want: int) -> Spent:
        """Grant some of a bounded rate."""
        with self._lock:
            used_up_us = self._rates.get(name, 0)
            spent, self._rates[name] = spend(
                used_up_us, self._now_ms() * 1_000, step_us=step_us, cap_us=cap_us, least=least, want=want
            )
        return spent

    def memory(self) -> Memory:
        """This process's, which has no limit of ours."""
        return Memory()

    def tidy(self) -> None:
        """There is nothing besides data."""

    def secure(self, durability: Durability) -> None:
        """Nothing here is safe, and nobody is told so who asked for a store of a test."""
        del durability

    def why_not_secure(self, durability: Durability) -> str:
        """Nothing is in the way."""
        del durability
        return ""

    def close(self) -> None:
        """Nothing to give back."""

    def _now_ms(self) -> int:
        self._last_ms = max(self._last_ms, self._read_clock())  # a machine's clock may step back, a store's may not
        return self._last_ms
