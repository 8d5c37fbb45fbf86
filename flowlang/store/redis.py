"""The store on Redis or Valkey: one function call a flush, plain commands for reads.

Nothing here waits inside the server, and nothing is retried here: a call that got no answer raises
`StoreUnavailableError`, and the caller sends the same flush again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.clock import random_token
from flowlang.connections import Connections
from flowlang.crashpoints import crashpoint
from flowlang.engine.ops import ClaimRequest, Op, Reply, check
from flowlang.engine.ports import (
    REFUSALS_KEPT_MS,
    ApiKeyRow,
    DeadRow,
    DelayedRow,
    EventView,
    FlushId,
    KeyUse,
    Memory,
    RefusalRow,
    Rotated,
    RunHead,
    RunRow,
    RunRows,
    Spent,
    Stats,
    VersionRow,
)
from flowlang.engine.reference.tables import SEP
from flowlang.errors import HistoryLostError, StoreError, StoreUnavailableError
from flowlang.keyring import Keyring
from flowlang.plan import Durability
from flowlang.store import script, wire
from flowlang.store.durability import secure, why_not
from flowlang.store.keys import Keys
from flowlang.store.redis_api_keys import ApiKeyTable
from flowlang.store.redis_health import read_health, read_memory
from flowlang.store.redis_reads import Reads
from flowlang.store.rekeying import Rekeying
from flowlang.store.server_time import ServerTime

#: How long to wait for a connection and for an answer, seconds.
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0

#: A process that was not heard of for so long has ended, or hangs.
ANNOUNCED_MS = 100_000

_replies = msgspec.msgpack.Decoder(Reply)

_UNAVAILABLE = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
)


class RedisStore:
    """`engine.ports.Store` on a Redis 7 or Valkey server.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        namespace: First part of every key, so that several stores can share a database.
        test_clock: Add the number at the clock key to the server's time. None: only when `FLOWLANG_ENV` is `test`.
        connect_timeout_s: Seconds to wait for a connection.
        answer_timeout_s: Seconds to wait for an answer.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "flowlang",
        test_clock: bool | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self.keys = Keys(namespace)
        self._test_clock = os.environ.get("FLOWLANG_ENV") == "test" if test_clock is None else test_clock
        self._clock = "test" if self._test_clock else ""
        self._client = redis.Redis.from_url(
            url,
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=connect_timeout_s,
            socket_timeout=answer_timeout_s,
        )
        self._connections = Connections(self._client.connection_pool, lambda: crashpoint("store.sent"))
        self._time = ServerTime()
        self._reads = Reads(self._client, self.keys)
        self._api_keys = ApiKeyTable(self._client, self.keys)

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        """Apply operations in order, then claim. See `engine.ops`.

        Raises:
            StoreUnavailableError: when no answer came; send the same flush again.
            HistoryLostError: when the server does not know what it has answered to this worker.
            StoreError: when the worker has sent a later flush already, or the script failed.
            ValueError: when an operation contradicts itself; nothing was sent.
        """
        for op in ops:
            check(op)
        body = wire.encode(ops, claim)
        seq, acked = f"{flush.seq:016d}", f"{flush.acked:016d}"
        try:
            reply = _replies.decode(self._called(script.name(), flush.worker, seq, body, self._clock, acked))
        except StoreUnavailableError:
            self._time.unanswered(flush.worker, flush.seq)
            raise
        self._time.heard(reply.now_ms, flush.worker, flush.seq)
        return reply

    def spend(self, name: str, *, step_us: int, cap_us: int, least: int, want: int) -> Spent:
        """Grant some of a bounded rate, by the server's time; see `engine.reference.rates`."""
        granted, wait_us = self._called(f"{script.name()}_spend", name, step_us, cap_us, least, want, self._clock)
        return Spent(granted, wait_us)

    def _called(self, function: str, *arguments: Any) -> Any:
        """Call a function of our library, after telling the server the library if it does not know it."""
        call = ("FCALL", function, 1, self.keys.base, *arguments)
        with _answers():
            try:
                return self._connections.call(*call)
            except redis.exceptions.ResponseError as error:
                if "Function not found" not in str(error):
                    raise
                self._client.function_load(script.source(), replace=True)
                return self._connections.call(*call)

    def now_ms(self) -> int:
        """The server's time, test clock included: as the last reply said it, see `ServerTime`, or it is asked for."""
        known = None if self._test_clock else self._time.now_ms()  # a test's clock is moved behind our back
        if known is not None:
            return known
        with _answers():
            pipe = self._client.pipeline(transaction=False)
            pipe.time()
            pipe.get(self.keys.single("clock"))
            (seconds, micros), offset = pipe.execute()
        return int(seconds) * 1000 + int(micros) // 1000 + (int(offset or 0) if self._test_clock else 0)

    def set_test_clock(self, offset_ms: int) -> None:
        """Move the time of every process that uses this store with its test clock.

        Args:
            offset_ms: What to add to the server's time, milliseconds.

        Raises:
            StoreError: when the store was opened without its test clock.
        """
        if not self._test_clock:
            raise StoreError("the clock moves only in tests: open the store with test_clock=True or FLOWLANG_ENV=test")
        with _answers():
            self._client.set(self.keys.single("clock"), offset_ms)

    def salt(self) -> bytes:
        """The store's secret, without which hashes of users' keys cannot be guessed; made at the first question."""
        name = self.keys.single("salt")
        with _answers():
            found: Any = self._client.get(name)
            if found is None:
                self._client.set(name, random_token(32), nx=True)
                found = self._client.get(name)
        return bytes(found)

    def test_clock_ms(self) -> int:
        """What the test clock says is to be added to the server's time, whether this store heeds it or not; ms."""
        with _answers():
            offset: Any = self._client.get(self.keys.single("clock"))
        return int(offset or 0)

    def announce_keys(self, process: str, marks: Sequence[str]) -> None:
        """Say which keys a process has (`Keyring.marks`); to be said again before `ANNOUNCED_MS` are over."""
        now_ms, name = self.now_ms(), self.keys.single("keyrings")
        with _answers():
            pipe = self._client.pipeline(transaction=True)
            pipe.zremrangebyscore(name, "-inf", now_ms - ANNOUNCED_MS)
            pipe.zadd(name, {SEP.join((process, *marks)): now_ms})
            pipe.execute()

    def withdraw_keys(self, process: str, marks: Sequence[str]) -> None:
        """Say that a process has ended."""
        with _answers():
            self._client.zrem(self.keys.single("keyrings"), SEP.join((process, *marks)))

    def announced_keys(self) -> dict[str, tuple[str, ...]]:
        """Which keys the processes have that were heard of lately."""
        now_ms = self.now_ms()
        with _answers():
            found: Any = self._client.zrangebyscore(self.keys.single("keyrings"), now_ms - ANNOUNCED_MS, "+inf")
        parts = (member.decode().split(SEP) for member in found)
        return {process: tuple(marks) for process, *marks in parts}

    def key_use(self, keyring: Keyring, limit: int | None = None) -> KeyUse:
        """How many payloads are closed with which key. See `rekeying`."""
        with _answers():
            return Rekeying(self._client, self.keys, keyring).use(limit)

    def rotate_keys(self, keyring: Keyring, told: Callable[[int], object] = lambda _: None) -> Rotated:
        """Close all data keys with the current key. See `rekeying`. Raises: StoreError when there is none."""
        with _answers():
            return Rekeying(self._client, self.keys, keyring).rotate(told)

    def manifest(self) -> tuple[int, bytes] | None:
        """The active manifest with its epoch."""
        with _answers():
            return self._reads.manifest()

    def plan(self, digest: str) -> bytes | None:
        """A stored plan."""
        with _answers():
            return self._reads.plan(digest)

    def versions(self) -> list[VersionRow]:
        """All versions that are stored or that a kept run has."""
        with _answers():
            return self._reads.versions()

    def crons(self) -> dict[str, int]:
        """Cron trigger → its last tick."""
        with _answers():
            return self._reads.crons()

    def run(self, run: str) -> RunRows | None:
        """All that is kept of one run."""
        with _answers():
            return self._reads.run(run)

    def heads(self, runs: Sequence[str]) -> dict[str, RunHead]:
        """Of those of these runs that are kept, what tells whether they have ended."""
        with _answers():
            return self._reads.heads(runs)

    def runs(
        self, *, pipeline: str | None = None, status: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[RunRow]:
        """Runs, newest first."""
        with _answers():
            return self._reads.runs(pipeline, status, before, limit)

    def event(self, event: str) -> EventView | None:
        """A kept event."""
        now_ms = self.now_ms()
        with _answers():
            return self._reads.event(event, now_ms)

    def delayed(self, limit: int = 50) -> list[DelayedRow]:
        """Delayed events that are due, the first due first."""
        now_ms = self.now_ms()
        with _answers():
            return self._reads.delayed(limit, now_ms)

    def dead_letters(self, *, name: str | None = None, before: str | None = None, limit: int = 50) -> list[DeadRow]:
        """Dead letters, newest first."""
        with _answers():
            return self._reads.dead_letters(name, before, limit)

    def dead_letter(self, ident: str) -> DeadRow | None:
        """One dead letter."""
        with _answers():
            return self._reads.dead_letter(ident)

    def stats(self) -> Stats:
        """Counts for people and probes."""
        now_ms = self.now_ms()
        with _answers():
            return self._reads.stats(now_ms)

    def once(self, name: str, ttl_ms: int) -> bool:
        """Whether this is the first time that anybody asks under this name; remembered for `ttl_ms`."""
        with _answers():
            return bool(self._client.set(self.keys.family("asked", name), b"", nx=True, px=ttl_ms))

    def api_keys(self) -> dict[str, ApiKeyRow]:
        """All API keys by id, those that have expired too."""
        with _answers():
            return self._api_keys.read()

    def amend_api_keys(self, change: Callable[[Mapping[str, ApiKeyRow]], Mapping[str, ApiKeyRow]]) -> None:
        """Make the API keys what `change` makes of them, as one step; it is called again when another was faster."""
        with _answers():
            self._api_keys.amend(change)

    def api_keys_used(self, used: Mapping[str, int] | None = None) -> dict[str, int]:
        """Remember when keys were used; returns id → when each was, ms."""
        with _answers():
            return self._api_keys.used(used or {})

    def refused(self, webhook: str, reason: str) -> None:
        """Count a delivery that was turned away."""
        now_ms = self.now_ms()
        key, field = self.keys.family("refusals", webhook), f"{reason}{SEP}"
        with _answers():
            pipe: Any = self._client.pipeline(transaction=True)
            pipe.hincrby(key, f"{field}count", 1)
            pipe.hsetnx(key, f"{field}first", now_ms)
            pipe.hset(key, f"{field}last", now_ms)
            pipe.pexpire(key, REFUSALS_KEPT_MS)
            pipe.execute()

    def refusals(self, webhooks: Iterable[str]) -> list[RefusalRow]:
        """What these webhooks turned away, the last first."""
        with _answers():
            return self._reads.refusals(webhooks)

    def memory(self) -> Memory:
        """How much memory of the server is used."""
        with _answers():
            return read_memory(self._client)

    def tidy(self) -> None:
        """Drop the functions of other releases; a process of one that still runs loads its own again."""
        with _answers():
            libraries: Any = self._client.function_list(f"{script.PREFIX}*")
            for library in libraries:
                name = dict(zip(library[::2], library[1::2], strict=True))[b"library_name"].decode()
                if name != script.name():
                    self._client.function_delete(name)

    def secure(self, durability: Durability) -> None:
        """Wait until all that was written before is safe. See `durability`.

        Raises:
            NotDurableError: when it is not in time.
            StoreUnavailableError: when no answer came.
        """
        with _answers():
            secure(self._client, self.keys.family("mark", durability), durability)

    def why_not_secure(self, durability: Durability) -> str:
        """Why this server can never say that something is safe, and what would be right; empty when it can."""
        with _answers():
            return why_not(self._client, self.keys.family("mark", durability), durability)

    def health(self) -> dict[str, Any]:
        """What `doctor` needs to know of the server. See `redis_health`."""
        with _answers():
            return read_health(self._client)

    def close(self) -> None:
        """Give back connections."""
        self._connections.close()
        self._client.close()


@contextmanager
def _answers() -> Iterator[None]:
    """Say in our own errors what the client says in its."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise StoreUnavailableError(f"no answer from the store: {error}") from error
    except redis.exceptions.RedisError as error:
        if str(error).startswith("REWOUND"):
            raise HistoryLostError(f"the store has gone back in time: {error}") from error
        raise StoreError(f"the store refused: {error}") from error
