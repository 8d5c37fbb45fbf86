"""Five worker processes look at the same schedule, and are killed while they do."""

from __future__ import annotations

import contextlib
from pathlib import Path
from random import Random

from flowlang.clock import rfc3339
from flowlang.plan import CronTrigger, Plan
from flowlang.store.redis import RedisStore
from tests.e2e.waiting import until
from tests.e2e.world import World

MINUTE = 60_000
ROUNDS = 12
PORTION = 25  #: ticks that become due at a time


def test_each_tick_is_one_run_while_schedulers_are_killed(tmp_path: Path) -> None:
    report = Plan("report", (), (), triggers=(CronTrigger(("* * * * *",), missed="all", jitter_ms=20_000),))
    # Nobody serves the queue of these runs: they stay as the ticks have made them.
    with World(tmp_path, ENV="test", QUEUES="nothing") as world:
        world.deploy(report)
        rng = Random(5)
        with contextlib.closing(RedisStore(world.server.url, test_clock=True)) as store, world.crew(5) as crew:
            until(lambda: len(crew.pids) == 5, "five processes")
            (deployed,) = store.crons().values()
            for number in range(ROUNDS):
                store.set_test_clock((number + 1) * PORTION * MINUTE)
                crew.kill(rng.choice(crew.pids))
            end = deployed + ROUNDS * PORTION * MINUTE
            until(lambda: max(store.crons().values()) > end - 2 * MINUTE, "the last tick")
        (last,) = world.service.store.crons().values()
        runs = world.service.store.runs(pipeline="report", limit=10_000)
        ticks = sorted(world.service.run(run.id).event.data["scheduled_at"] for run in runs)

    first = deployed - deployed % MINUTE + MINUTE
    assert ticks == [rfc3339(at) for at in range(first, last + 1, MINUTE)]
    assert len(ticks) >= ROUNDS * PORTION - 2
