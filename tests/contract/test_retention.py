"""When runs and events have expired, nothing is left of them: the store is as large as it was before."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from typing import Any

import redis

from flowlang.clock import ManualClock
from flowlang.engine.ops import (
    Accept,
    CacheEntry,
    Cancel,
    Claimed,
    Commit,
    DeadLetter,
    Delayed,
    Finish,
    Group,
    Join,
    Lookup,
    OnceKey,
    Op,
    Pace,
    Parent,
    ResolveDead,
    Slot,
    Sweep,
    Swept,
    Take,
    Timer,
    Wait,
    Window,
)
from flowlang.store.memory import MemoryStore
from flowlang.store.redis import RedisStore
from flowlang.store.script import GRACE_MS
from tests.contract.conftest import moved_clock
from tests.contract.rig import DAY_MS, Rig, commit, event_of, seed_of

KEPT_MS = 2 * DAY_MS  #: longest that anything of the story is kept


class Story:
    """Runs and events that use all that a store can do; ids and keys end in a name, so that two stories differ."""

    def __init__(self, rig: Rig, name: str) -> None:
        self.rig, self.name = rig, name
        self.taken: list[Claimed] = []

    def id(self, text: str) -> str:
        return f"{text}-{self.name}"

    def accept(self, event: str, *runs: Any, delayed: str | None = None, dead: bool = False, **row: Any) -> Accept:
        ident, keys = self.id(event), (self.id("k"), self.id("l"))
        how = {"keys": keys, "mail_ms": DAY_MS, "keep_ms": 1_000, "dedupe_ms": DAY_MS, **row}
        letter = DeadLetter(ident, "event", "shop/order", b"why") if dead else None
        return Accept(0, event_of(ident, **how), runs, letter, delayed=delayed)

    def seed(self, run: str, **how: Any) -> Any:
        plain = {"retention_ms": KEPT_MS, "timers": (Timer("timeout", 9 * DAY_MS),), "records": {"a": b"1"}}
        return seed_of(self.id(run), waits=(Wait("stop", (self.id("k"),), 0),), **{**plain, **how})

    def claim(self) -> dict[str, Claimed]:
        """Claim all that is ready: by run and scope, the story's name left out."""
        rows = self.rig.claim(50)
        self.taken += rows
        return {f"{row.run.removesuffix('-' + self.name)}/{row.scope}": row for row in rows}

    def send(self, *ops: Op) -> None:
        self.rig.flush(*ops)

    def tell(self) -> None:
        gates = (Pace(self.id("pace"), 1, 1_000), Slot(self.id("slot"), 1, active=True))
        once = OnceKey(self.id("once"), DAY_MS)
        self.send(self.accept("e1", self.seed("r1", gates=gates, once=once), dedupe=self.id("d")))
        self.send(
            self.accept("e2", *(self.seed(run, gates=(Window(self.id("quiet"), 1_000),)) for run in ("w1", "w2")))
        )
        self.send(self.accept("e3", self.seed("r3", gates=(Slot(self.id("slot"), 1),)), dead=True))
        main = self.claim()["r1/"]
        self.work(main)
        self.rig.advance(2_000)
        self.send(Sweep())
        self.family(main)
        self.send(Cancel(self.id("r3")))
        self.send(*(self.end(row) for row in self.taken if row.run != main.run))
        while rows := self.claim():
            self.send(*(self.end(row) for row in rows.values()))
        self.send(ResolveDead(self.id("e3")))
        self.replay()

    def replay(self) -> None:
        """Replay the dead letter of the first run, which ends well."""
        recalled = {"a": b"1", "?a": b"given", "?b": b"given"}
        reads = ("a", "?a", "b", "?b")
        again = self.seed("r1b", replay_of=self.id("r1"), records=recalled, reads=reads)
        self.send(self.accept("e6", again), ResolveDead(self.id("r1"), self.id("r1b")))
        row = self.claim()["r1b/"]
        assert row.reads == {"a": b"1", "?a": b"given", "?b": b"given"}
        self.send(self.end(row))

    def work(self, main: Claimed) -> None:
        group = Group(
            "g", "g[", "]", 3, 2, 0, cancel_rest=True, state=b"", inputs=(b"", b"", b""), needs=((), (), (0,))
        )
        cache = {"cached": (CacheEntry(self.id("c"), b"out", DAY_MS),), "lookups": (Lookup("a", self.id("c")),)}
        asked = {"takes": (Take("w", "s", self.id("e1")),), "waits": (Wait("w", (self.id("k"),), 0),)}
        delayed = (Delayed(self.id("late"), b"", 1_000),)
        more = {"undos": (b"u",), "journal": (b"j",), "delayed": delayed, "groups": (group,), **cache, **asked}
        self.send(commit(main, "held", consumed=len(main.facts), records={"b": b"2"}, **more))
        rows = self.claim()
        waiting = {"waits": (Wait("w", (self.id("k"), self.id("l")), 0),), "timers": (Timer("t", 30 * DAY_MS),)}
        self.send(commit(rows["r1/g[0]"], "waiting", gates=(Slot(self.id("slot2"), 1),), gate_id="step", **waiting))

    def family(self, main: Claimed) -> None:
        self.send(self.accept("late", delayed=self.id("late")))
        child = self.seed("c1", parent=Parent(main.run, main.scope, "call"), retention_ms=0)
        held = self.seed("c2", parent=Parent(main.run, main.scope, "other"), once=OnceKey(self.id("once"), DAY_MS))
        self.send(commit(main, "held", accepts=(self.accept("e4", child, held),)))
        below = self.claim()["c1/"]
        grandchild = self.seed("c3", parent=Parent(below.run, below.scope, "call"))
        self.send(commit(below, "waiting", consumed=9, undos=(b"u",), accepts=(self.accept("e5", grandchild),)))
        letter = DeadLetter(main.run, "run", "orders", b"why")
        self.send(commit(main, "ended", finish=Finish("failed", b"", letter)))

    def end(self, row: Claimed) -> Commit:
        if row.scope == "":
            return commit(row, "ended", finish=Finish("succeeded", b""))
        return commit(row, "ended", join=Join(row.group or ""))

    def expire(self) -> None:
        """Let time pass until a sweep finds nothing any more."""
        self.rig.advance(KEPT_MS)
        for _ in range(20):
            self.rig.one(Sweep(limit=3))
        assert self.rig.sweep() == Swept()
        store = self.rig.store
        assert (store.runs(), store.dead_letters(), store.delayed()) == ([], [], [])


def sizes(store: MemoryStore) -> dict[str, Any]:
    """How much each table holds; what workers say of themselves and numbers are left out."""
    tables = store._partition._tables
    found = {field.name: getattr(tables, field.name) for field in fields(tables)}
    return {
        name: {key: len(one) if hasattr(one, "__len__") else 1 for key, one in table.items()}
        if isinstance(table, dict)
        else len(table)
        for name, table in found.items()
        if hasattr(table, "__len__") and name not in {"workers", "hints", "stale", "fresh"}
    }


def test_nothing_is_left_in_the_tables_of_the_reference() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    rig = Rig(store, clock.advance)
    rig.sweep()
    before = sizes(store)
    story = Story(rig, "x")
    story.tell()
    assert sizes(store) != before
    story.expire()

    assert sizes(store) == {**before, "ready": {"default": 0}}


def keys_left(url: str) -> dict[str, int]:
    """Keys that the server will not have dropped when all has expired and the grace is over → their sizes."""
    count = {"list": "LLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN"}
    with contextlib.closing(redis.Redis.from_url(url, decode_responses=True)) as plain:
        client: Any = plain
        every = list(client.scan_iter(count=1000))
        ends = {key: client.pttl(key) for key in every}
        assert max(ends.values()) <= KEPT_MS + GRACE_MS
        kinds = {key: client.type(key) for key in every if ends[key] == -1}
        return {key: 1 if kind == "string" else client.execute_command(count[kind], key) for key, kind in kinds.items()}


def test_no_key_is_left_on_the_server(redis_url: str, redis_store: RedisStore) -> None:
    rig = Rig(redis_store, moved_clock(redis_store))
    story = Story(rig, "first")
    story.tell()
    story.expire()
    before = keys_left(redis_url)
    assert {key.removeprefix("flowlang:{p00}:") for key in before} <= {"clock", "queues", "tickets", "workers", "hints"}

    story = Story(rig, "second")
    story.tell()
    assert any("second" in key for key in keys_left(redis_url))
    story.expire()

    assert keys_left(redis_url) == before


def test_a_sweep_that_has_not_collected_all_that_has_expired_says_that_the_next_is_due(rig: Rig) -> None:
    for number in range(5):
        rig.one(Accept(0, event_of(f"e{number}"), (seed_of(f"r{number}", retention_ms=0),)))
        rig.one(commit(rig.claim_one(), "ended", finish=Finish("succeeded", b"")))

    reply = rig.flush(Sweep(limit=3))
    (first,) = reply.outcomes
    assert isinstance(first, Swept)
    assert first.collected == 3
    assert first.next_ms is not None
    assert first.next_ms <= reply.now_ms
    assert rig.one(Sweep(limit=3)) == Swept(collected=2)
