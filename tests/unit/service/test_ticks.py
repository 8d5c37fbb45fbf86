"""Schedules with many schedulers: after an outage, behind a deploy. That none is lost or doubled is shown by F7."""

from __future__ import annotations

from typing import cast

import pytest

from flowlang.engine.ports import Store
from flowlang.engine.schedule import Missed
from flowlang.plan import CronTrigger
from flowlang.service import Service
from flowlang.store.codec import PlainSealer
from tests.proofs.schedulers import HOUR, MINUTE, Line, Schedulers, cron
from tests.unit.service.world import plan


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
    world.advance(5 * HOUR + 20 * MINUTE)
    world.look(0)
    world.look(1)
    assert [tick[11:16] for tick in world.ticks("report")] == fired
    world.advance(40 * MINUTE)
    world.look(1)
    world.look(0)
    assert [tick[11:16] for tick in world.ticks("report")] == [*fired, "06:00"]


def test_more_missed_ticks_than_one_look_takes_follow_at_the_next() -> None:
    world = Schedulers(cron("report", "* * * * *", missed="all"))
    world.advance(250 * MINUTE)
    counts = []
    for _ in range(4):
        world.look(0)
        counts.append(len(world.ticks("report")))
    assert counts == [100, 200, 250, 250]


def test_a_jittered_tick_starts_its_run_later_and_says_when_it_was_scheduled() -> None:
    world = Schedulers(cron("report", "0 * * * *", jitter_ms=10 * MINUTE))
    world.advance(HOUR)
    report = world.processes[0].tick_crons()
    assert report.fired == 0
    assert report.next_ms is not None
    assert world.start + HOUR < report.next_ms <= world.start + HOUR + 10 * MINUTE
    world.advance(report.next_ms - world.store.now_ms() - 1)
    assert [process.tick_crons().fired for process in world.processes] == [0, 0, 0, 0, 0]
    world.advance(1)
    assert [process.tick_crons().fired for process in world.processes] == [1, 0, 0, 0, 0]
    assert world.ticks("report") == ["2026-01-01T01:00:00.000Z"]
    (run,) = world.store.runs()
    event = world.process().run(run.id).event
    assert event.data["previous_at"] == "2026-01-01T00:00:00.000Z"


def test_a_deploy_that_moves_a_trigger_loses_and_doubles_no_tick() -> None:
    hourly = CronTrigger(("0 * * * *",), missed="all")
    world = Schedulers(plan("report", triggers=(hourly,)))
    world.advance(HOUR)
    world.look(0)
    world.advance(HOUR)
    world.deploy(plan("report", triggers=(CronTrigger(("5 5 * * *",)), hourly)))
    for which in (1, 0, 1):
        world.look(which)
    assert [tick[11:16] for tick in world.ticks("report")] == ["01:00", "02:00"]


def test_a_trigger_that_is_new_or_changed_starts_with_the_deploy() -> None:
    world = Schedulers(cron("report", "0 * * * *", missed="all"))
    world.advance(90 * MINUTE)
    world.deploy(cron("report", "30 * * * *", missed="all"), cron("fresh", "*/15 * * * *", missed="all"))
    for which in (0, 0, 1):
        world.look(which)
    assert world.ticks("report") == world.ticks("fresh") == []
    world.advance(HOUR)
    world.look(1)
    assert [len(world.ticks(name)) for name in ("report", "fresh")] == [1, 4]


def test_between_ticks_the_store_is_not_asked_for_them() -> None:
    world = Schedulers(cron("report", "0 * * * *"))
    line = Line(world.store, 0.0, world.rng)
    service = Service(cast("Store", line), PlainSealer())
    for _ in range(59):
        world.advance(1_000)
        service.tick_crons()
    assert line.asked["crons"] == 1
    world.advance(HOUR)
    assert service.tick_crons().fired == 1
