"""Histories of a store under the interpreter: real turns of real plans, in a seeded order, written down flush by flush.

A history is driven in this process: what a worker process would add is its own speed. What the store was told can be
told again to the reference, up to any flush, to know what a store that has forgotten the rest must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from flowlang.clock import ManualClock
from flowlang.engine.ops import Claimed, ClaimRequest, Op, Reply
from flowlang.engine.ports import FlushId
from flowlang.engine.turn import Call
from flowlang.plan import Concurrency, Foreach, Plan, RetryRule
from flowlang.simulate import SimulatedCrash, SimulatedError, Simulation
from flowlang.store.redis import RedisStore
from tests.unit.engine.building import Middle, invoke, plan, sets, uses, wait

_SOON = ((RetryRule(("transient",), attempts=3, initial_ms=1_000, jitter="none"),),)

#: What is waited for at most, so that every run ends.
_PATIENCE = "1h"

LIVE = ("pending", "running")


def plans() -> list[Plan]:
    """Calls that fail, a fan-out with its join, a wait, a child run, a gate; and who hears of their ends."""
    main = plan(
        uses("a", "work", {"n": "${{ event.data.n }}"}, retry=_SOON),
        sets("three", list=[0, 1, 2]),
        uses("b", "work", {"n": "${{ item }}"}, foreach=Foreach("steps.three.output.list"), retry=_SOON),
        wait("paid", "shop/paid", "true", timeout=_PATIENCE),
        invoke("child", "child", {"n": 1}),
        pipeline="main",
        on="shop/order",
        output="${{ steps.a.output }}",
    )
    one_by_one = plan(
        uses("a", "work", {"n": 0}, retry=_SOON),
        uses("b", "work", {"n": 0}, retry=_SOON),
        pipeline="gated",
        on="shop/order",
        concurrency=Concurrency(2),
    )
    child = plan(uses("c", "work", {"n": 0}, retry=_SOON), pipeline="child")
    heard = [
        plan(uses("h", "hear"), pipeline=f"on-{end}", on=f"pipeline/main.{end}")
        for end in ("succeeded", "failed", "cancelled")
    ]
    return [main, one_by_one, child, *heard]


@dataclass(frozen=True)
class Told:
    """One flush as the store was told it, and what it said."""

    flush: FlushId
    ops: tuple[Op, ...]
    claim: ClaimRequest | None
    now_ms: int
    size: int  #: of the server's file when the answer had come


class Telling:
    """A server's store that writes down what it is told.

    Args:
        store: The store.
        life: Names the process, so that its flushes are not those of one before.
        size: How large the server's file is.
    """

    def __init__(self, store: RedisStore, life: str, size: Callable[[], int] = lambda: 0) -> None:
        self.store = store
        self.told: list[Told] = []
        self._life = life
        self._size = size

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        """Tell the store and write it down."""
        named = FlushId(self._life + flush.worker, flush.seq)
        reply = self.store.apply(named, ops, claim)
        self.told.append(Told(named, tuple(ops), claim, reply.now_ms, self._size()))
        return reply

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


class StoreClock(ManualClock):
    """The time of a store, moved by its test clock.

    Args:
        store: Opened with its test clock.
    """

    def __init__(self, store: RedisStore) -> None:
        super().__init__(0)
        self._store = store
        self._moved_ms = store.test_clock_ms()

    def now_ms(self) -> int:
        """The store's time."""
        return self._store.now_ms()

    def advance(self, by_ms: int) -> None:
        """Move it."""
        self._moved_ms += by_ms
        self._store.set_test_clock(self._moved_ms)


@dataclass
class History:
    """One process that drives a store.

    Args:
        store: Where runs live.
        chance: Decides what happens next.
    """

    store: Telling
    chance: Random
    sent: int = 0
    held: list[Claimed] = field(default_factory=list)

    def __post_init__(self) -> None:
        made: Any = self.store  # a store in all but its type
        self.project = Simulation(
            plans(),
            {"work": self._work, "hear": lambda _: None},
            store=made,
            clock=StoreClock(self.store.store),
            rng=Middle(),
        )

    def _work(self, _: Call) -> Any:
        number = self.chance.random()
        if number < 0.05:
            raise SimulatedCrash("the worker is gone")
        if number < 0.25:
            raise SimulatedError("transient" if number < 0.2 else "permanent", "work", "it did not work")
        return 1

    def step(self) -> None:
        """Do one thing."""
        number = self.chance.random()
        if number < 0.12:
            self.sent += 1
            self.project.send("shop/order", {"n": self.sent})
        elif number < 0.16:
            self.project.send("shop/paid", {"n": self.sent})
        elif number < 0.18:
            live = [row.id for status in LIVE for row in self.store.store.runs(status=status, limit=5)]
            if live:
                self.project.cancel(self.chance.choice(live))
        elif number < 0.25:
            self.project._move_on(self.store.store.now_ms() + 60_000)
        else:
            row = self.project.claim()
            if row is not None:
                self.project.work(row)

    def to_the_end(self) -> None:
        """Go on until every run has ended."""
        self.project.run_until_idle()
