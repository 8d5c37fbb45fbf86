"""Schedules with many schedulers: killed at any moment, paused, behind a deploy, over both changes of the clock."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, cast

import pytest

from flowlang.clock import ManualClock
from flowlang.engine.ops import Reply
from flowlang.engine.ports import Store
from flowlang.engine.schedule import Missed, Schedule
from flowlang.plan import CronTrigger, Plan
from flowlang.service import Service
from flowlang.store.memory import MemoryStore
from tests.unit.service.world import PlainSealer, manifest, plan

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

    def __init__(self, store: MemoryStore, odds: float, rng: Random) -> None:
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
    """A store, its clock, and processes that look at its schedules."""

    def __init__(self, *plans: Plan, odds: float = 0.0, many: int = 5) -> None:
        self.rng = Random(7)
        self.odds = odds
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.start = self.clock.now_ms()
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


def test_ten_thousand_ticks_of_five_schedulers_that_are_killed_and_paused_give_ten_thousand_runs() -> None:
    zones = ("Europe/Vienna", "America/New_York", "Australia/Lord_Howe")
    world = Schedulers(
        cron("hourly", "0 * * * *", "Europe/Vienna", "all", jitter_ms=10 * MINUTE),
        *(cron(f"daily-{number}", "30 2 * * *", zone, "all") for number, zone in enumerate(zones)),
        odds=0.1,
    )
    seen = [world.start] * 5  # what each process thinks that the time is: a paused one goes on where it was
    end = world.start + 10_000 * HOUR + 30 * MINUTE
    while world.clock.now_ms() < end:
        world.clock.advance(min(world.rng.randrange(1, 9 * HOUR), end - world.clock.now_ms()))
        for which in world.rng.sample(range(5), 3):
            paused = world.rng.random() < 0.3
            world.look(which, seen[which] if paused else None)
            seen[which] = world.clock.now_ms()
    world.odds = 0.0
    for which in range(5):
        world.processes[which] = world.process()
        world.look(which)
    assert world.killed > 300
    ticks = world.ticks("hourly")
    assert (len(ticks), len(set(ticks))) == (10_000, 10_000)
    for number, zone in enumerate(zones):
        schedule = Schedule(("30 2 * * *",), zone, missed="all")
        days = [*schedule.due(world.start, end)]
        while more := schedule.due(days[-1].scheduled_ms, end):
            days.extend(more)
        assert Counter(world.ticks(f"daily-{number}")).total() == len(days) > 365


@pytest.mark.parametrize(
    ("missed", "fired"),
    [
        ("last", ["05:00"]),
        ("skip", []),
        ("all", ["01:00", "02:00", "03:00", "04:00", "05:00"]),
    ],
)
def test_after_an_outage_the_policy_decides_and_the_next_tick_is_punctual(missed: Missed, fired: list[str]) -> None:
    world = Schedulers(cron("report", "0 * * * *", missed=missed))
    world.clock.advance(5 * HOUR + 20 * MINUTE)
    world.look(0)
    world.look(1)
    assert [tick[11:16] for tick in world.ticks("report")] == fired
    world.clock.advance(40 * MINUTE)
    world.look(1)
    world.look(0)
    assert [tick[11:16] for tick in world.ticks("report")] == [*fired, "06:00"]


def test_more_missed_ticks_than_one_look_takes_follow_at_the_next() -> None:
    world = Schedulers(cron("report", "* * * * *", missed="all"))
    world.clock.advance(250 * MINUTE)
    counts = []
    for _ in range(4):
        world.look(0)
        counts.append(len(world.ticks("report")))
    assert counts == [100, 200, 250, 250]


def test_a_jittered_tick_starts_its_run_later_and_says_when_it_was_scheduled() -> None:
    world = Schedulers(cron("report", "0 * * * *", jitter_ms=10 * MINUTE))
    world.clock.advance(HOUR)
    report = world.processes[0].tick_crons()
    assert report.fired == 0
    assert report.next_ms is not None
    assert world.start + HOUR < report.next_ms <= world.start + HOUR + 10 * MINUTE
    world.clock.advance(report.next_ms - world.clock.now_ms() - 1)
    assert [process.tick_crons().fired for process in world.processes] == [0, 0, 0, 0, 0]
    world.clock.advance(1)
    assert [process.tick_crons().fired for process in world.processes] == [1, 0, 0, 0, 0]
    assert world.ticks("report") == ["2026-01-01T01:00:00.000Z"]
    (run,) = world.store.runs()
    event = world.process().run(run.id).event
    assert event.data["previous_at"] == "2026-01-01T00:00:00.000Z"


def test_a_deploy_that_moves_a_trigger_loses_and_doubles_no_tick() -> None:
    hourly = CronTrigger(("0 * * * *",), missed="all")
    world = Schedulers(plan("report", triggers=(hourly,)))
    world.clock.advance(HOUR)
    world.look(0)
    world.clock.advance(HOUR)
    world.deploy(plan("report", triggers=(CronTrigger(("5 5 * * *",)), hourly)))
    for which in (1, 0, 1):
        world.look(which)
    assert [tick[11:16] for tick in world.ticks("report")] == ["01:00", "02:00"]


def test_a_trigger_that_is_new_or_changed_starts_with_the_deploy() -> None:
    world = Schedulers(cron("report", "0 * * * *", missed="all"))
    world.clock.advance(90 * MINUTE)
    world.deploy(cron("report", "30 * * * *", missed="all"), cron("fresh", "*/15 * * * *", missed="all"))
    for which in (0, 0, 1):
        world.look(which)
    assert world.ticks("report") == world.ticks("fresh") == []
    world.clock.advance(HOUR)
    world.look(1)
    assert [len(world.ticks(name)) for name in ("report", "fresh")] == [1, 4]


def test_between_ticks_the_store_is_not_asked_for_them() -> None:
    world = Schedulers(cron("report", "0 * * * *"))
    line = Line(world.store, 0.0, world.rng)
    service = Service(cast("Store", line), PlainSealer())
    for _ in range(59):
        world.clock.advance(1_000)
        service.tick_crons()
    assert line.asked["crons"] == 1
    world.clock.advance(HOUR)
    assert service.tick_crons().fired == 1
