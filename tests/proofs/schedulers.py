"""Processes that look at one store's schedules: killed at any moment, paused, with clocks that go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, cast

from flowlang.clock import ManualClock
from flowlang.engine.ops import Reply
from flowlang.engine.ports import Store
from flowlang.engine.schedule import Missed
from flowlang.plan import CronTrigger, Plan
from flowlang.service import Service
from flowlang.store.codec import PlainSealer
from flowlang.store.memory import MemoryStore
from tests.unit.service.world import manifest, plan

MINUTE = 60_000
HOUR = 60 * MINUTE


class Killed(BaseException):
    """The process is gone, before or after its write took effect."""


class Line:
    """A process's line to the store, at whose ends the process may die.

    Args:
        store: The store of all processes.
        odds: Chance of a kill at each end of each write.
        rng: Draws.
    """

    def __init__(self, store: Store, odds: float, rng: Random) -> None:
        self.store, self.odds, self.rng = store, odds, rng
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.asked[name] += 1
        return getattr(self.store, name)

    def apply(self, *args: Any) -> Reply:
        if self.rng.random() < self.odds:
            raise Killed
        reply = self.store.apply(*args)
        if self.rng.random() < self.odds:
            raise Killed
        return reply


class Schedulers:
    """A store, its time, and processes that look at its schedules.

    Args:
        plans: What is deployed.
        odds: Chance of a kill at each end of each write.
        many: Processes.
        store: Where they look; one in memory by default.
        advance: Moves that store's time forward, milliseconds.
        seed: Of all that is drawn.
    """

    def __init__(
        self,
        *plans: Plan,
        odds: float = 0.0,
        many: int = 5,
        store: Store | None = None,
        advance: Callable[[int], None] | None = None,
        seed: int = 7,
    ) -> None:
        self.rng = Random(seed)
        self.odds = odds
        clock = ManualClock()
        self.store: Store = store or MemoryStore(clock)
        self.advance: Callable[[int], None] = advance or clock.advance
        self.start = self.store.now_ms()
        self.deploy(*plans)
        self.processes = [self.process() for _ in range(many)]
        self.killed = 0

    def process(self) -> Service:
        line = cast("Store", Line(self.store, self.odds, self.rng))
        return Service(line, PlainSealer(), pause=lambda _: None)

    def deploy(self, *plans: Plan) -> None:
        Service(self.store, PlainSealer()).deploy(manifest(*plans), plans)

    def look(self, which: int, now_ms: int | None = None) -> None:
        """Let a process look; if it dies, another takes its place."""
        try:
            self.processes[which].tick_crons(now_ms)
        except Killed:
            self.killed += 1
            self.processes[which] = self.process()

    def ticks(self, pipeline: str) -> list[str]:
        """The ticks of the runs that there are, oldest first."""
        service = self.process()
        runs = self.store.runs(pipeline=pipeline, limit=100_000)
        return sorted(service.run(run.id).event.data["scheduled_at"] for run in runs)


def cron(name: str, text: str, timezone: str = "UTC", missed: Missed = "last", jitter_ms: int = 0) -> Plan:
    return plan(name, triggers=(CronTrigger((text,), timezone, jitter_ms, missed),))
