"""F14: runs that are kept for no time leave nothing behind: the memory of the server is as it was before.

Runs are made, worked and ended through the store in flushes of very many, as fast as it takes them, and swept as the
maintenance of a worker does it: a sweep, and another at once as long as the last one says that something is overdue.
Most end after one turn; some have children and a join, timers, waits, a gate, undos, a child run, or a dead letter that
is resolved. In between, `fsck` looks at what has ended and was not swept yet: every key of it has an expiry.

The base is the server's memory after the first runs have come and gone and were looked at, when it has its functions,
plans and queues, and its own caches their size. Its append-only file is off, since a rewrite takes memory of its own for
a moment, and so is its log of slow calls.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis

from flowlang.engine.ops import (
    MAIN,
    Accept,
    Claimed,
    ClaimRequest,
    Commit,
    DeadLetter,
    Deploy,
    EventRow,
    Finish,
    Join,
    Op,
    Parent,
    Reply,
    ResolveDead,
    RunSeed,
    Slot,
    Sweep,
    Swept,
    Timer,
    Wait,
)
from flowlang.engine.ports import FlushId
from flowlang.store.fsck import check_server
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.contract.conftest import leaked_keys
from tests.contract.rig import group_of
from tests.e2e.waiting import until
from tests.proofs.figure import Figure, Proof, Say

#: Runs of a flush, and the part of them that does more than one turn.
TOGETHER = 500
RICH_SHARE = 50

#: Runs that come and go before the base is taken; one look of each kind is among them.
WARM = 10_000

#: What the memory may differ by.
TOLERANCE = 0.05

#: Longest wait for the server to drop what has expired, seconds.
PATIENCE_S = 120.0

_DAY_MS = 86_400_000


def measure(size: int, seed: int, say: Say) -> Figure:
    """Let so many runs come and go."""
    del seed  # nothing is left to chance
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name)) as server:
        with contextlib.closing(redis.Redis.from_url(server.url)) as client:
            client.config_set("appendonly", "no")
            client.config_set("slowlog-log-slower-than", -1)
        mill = Mill(server)
        mill.grind(WARM)
        findings = mill.check_unswept()
        leaked_keys(server.url)
        base, warm = mill.settled_memory(None), mill.made
        say(f"{mill.made:,} runs came and went; the base is {base:,} bytes")
        highest = 0
        while mill.made < warm + size:
            mill.grind(min(TOGETHER * 20, warm + size - mill.made))
            highest = max(highest, mill.memory())
            findings = findings or mill.check_unswept()  # and of some more runs
            if mill.made % (TOGETHER * 200) < TOGETHER * 20:
                say(f"{mill.made:,} runs, {mill.memory():,} bytes")
        after = mill.settled_memory(base)
        left, leaked = mill.runs_left(), leaked_keys(server.url)
        findings = findings or mill.check()
    change = after / base - 1
    text = (
        f"{mill.made - warm:,} runs with retention 0: {after:,} bytes after them, {base:,} before ({change:+.1%}; at most "
        f"{highest:,} in between); {left} runs left, {len(leaked)} keys without an expiry that should have one, "
        f"fsck: {findings or 'clean'}"
    )
    return Figure(text, abs(change) <= TOLERANCE and not left and not leaked and not findings)


class Mill:
    """Makes, works and ends runs.

    Args:
        server: Where.
    """

    def __init__(self, server: EmbeddedServer) -> None:
        self.made = 0
        self._server = server
        self._seq = 0
        with self._store() as store:
            self._send(store, Deploy("m1", b"manifest", {"v1": b"plan"}))

    def grind(self, count: int) -> None:
        """Let so many runs come and go."""
        with self._store() as store:
            for begin in range(0, count, TOGETHER):
                self._batch(store, min(TOGETHER, count - begin))
                self._sweep(store)

    def memory(self) -> int:
        """Bytes that the server uses."""
        with contextlib.closing(redis.Redis.from_url(self._server.url)) as client:
            asked: Any = client
            return int(asked.info("memory")["used_memory"])

    def settled_memory(self, base: int | None) -> int:
        """Bytes that the server uses when it has dropped what has expired, or does not come to the base in time."""
        with contextlib.closing(redis.Redis.from_url(self._server.url)) as client:
            asked: Any = client
            events = f"{RedisStore(self._server.url).keys.family('event', '')}*"
            until(lambda: not any(asked.scan_iter(events, count=1_000)), "the end of events", patience_s=PATIENCE_S)
        seen = [self.memory()]

        def is_back() -> bool:
            seen.append(self.memory())
            steady = len(seen) > 20 and len(set(seen[-10:])) == 1
            return steady or (base is not None and abs(seen[-1] / base - 1) <= TOLERANCE)

        with contextlib.suppress(AssertionError):
            until(is_back, "the base", patience_s=20.0, every_s=0.1)
        return seen[-1]

    def check(self) -> str:
        """What fsck finds."""
        with self._store() as store:
            report = check_server(self._server.url, namespace="flowlang", now_ms=store.now_ms, pause=lambda _: None)
        return "; ".join(map(str, report.findings[:3]))

    def check_unswept(self) -> str:
        """What fsck finds while ended runs have not been swept."""
        with self._store() as store:
            self._batch(store, TOGETHER)
            found = self.check()
            self._sweep(store)
        return found

    def runs_left(self) -> int:
        """Runs that are kept."""
        with self._store() as store:
            return store.stats().runs

    @contextlib.contextmanager
    def _store(self) -> Iterator[RedisStore]:
        with contextlib.closing(RedisStore(self._server.url, test_clock=False)) as store:
            yield store

    def _send(self, store: RedisStore, *ops: Op, claim: int = 0) -> Reply:
        self._seq += 1
        request = ClaimRequest("mill", ("default",), claim, 60_000, 4, 0) if claim else None
        return store.apply(FlushId("mill", self._seq), ops, request)

    def _sweep(self, store: RedisStore) -> None:
        while True:
            reply = self._send(store, Sweep())
            (swept,) = reply.outcomes
            assert isinstance(swept, Swept)
            if swept.next_ms is None or swept.next_ms > reply.now_ms:
                return

    def _batch(self, store: RedisStore, count: int) -> None:
        accepts = [self._accept(self.made + number) for number in range(count)]
        self.made += count
        rows: Sequence[Claimed] = self._send(store, *accepts, claim=TOGETHER * 2).claimed
        while rows:
            reply = self._send(store, *(op for row in rows for op in self._turn(row)), claim=TOGETHER * 2)
            rows = reply.claimed

    def _accept(self, number: int) -> Accept:
        rich = number % RICH_SHARE == 0
        ident = f"r{number:08d}"
        more: dict[str, Any] = {}
        if rich:
            more = {
                "timers": (Timer("run:timeout", _DAY_MS),),
                "waits": (Wait("stop", (f"k{number}",)),),
                "gates": (Slot("gate", TOGETHER, active=True),),
                "records": {"?a": b"given"},
            }
        seed = RunSeed(ident, "rich" if rich else "plain", "v1", b"meta", b"begin", retention_ms=0, **more)
        return Accept(1, EventRow(f"e{number:08d}", "shop/order", "shop", b"body", keep_ms=1), (seed,))

    def _turn(self, row: Claimed) -> list[Op]:
        """The next turn of a run, by what its state says."""
        common: dict[str, Any] = {"consumed": len(row.facts), "journal": (b"turn",)}
        if row.scope != MAIN:
            return [self._commit(row, "ended", join=Join("g"), records={row.scope: b"item"}, **common)]
        if row.pipeline == "rich" and row.state == b"begin":
            child = RunSeed(
                f"{row.run}-c", "plain", "v1", b"meta", b"begin", retention_ms=0, parent=Parent(row.run, MAIN, "c")
            )
            called = Accept(1, EventRow(f"e-{row.run}", "call", "run", b"", keep_ms=1), (child,))
            more: dict[str, Any] = {"undos": (b"undo",), "timers": (Timer("t", _DAY_MS),)}
            group = (group_of(2),)
            return [self._commit(row, "waiting", groups=group, accepts=(called,), state=b"joining", **more, **common)]
        if row.state == b"joining" and not {"joined", "child"} <= {fact["kind"] for fact in row.facts}:
            return [self._commit(row, "waiting", state=b"joining", journal=(b"turn",))]
        if row.pipeline == "rich":
            letter = DeadLetter(row.run, "run", "rich", b"why")
            return [
                self._commit(row, "ended", finish=Finish("failed", b"error", letter), **common),
                ResolveDead(row.run),
            ]
        return [self._commit(row, "ended", finish=Finish("succeeded", b"result"), records={"a": b"1"}, **common)]

    def _commit(self, row: Claimed, status: Any, **fields: Any) -> Commit:
        return Commit(row.run, row.scope, row.fence, status, **{"state": b"", **fields})


PROOF = Proof(
    name="F14",
    claim="runs with retention 0: memory within 5 % of what it was before, and no key of an ended run without an expiry",
    measure=measure,
    small=5_000,
    full=1_000_000,
)
