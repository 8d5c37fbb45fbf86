"""Five schedulers at the same moment on every backend: each tick is one run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from flowlang.clock import rfc3339
from flowlang.plan import CronTrigger
from flowlang.service import Service
from flowlang.store.codec import PlainSealer
from tests.contract.rig import Rig
from tests.unit.service.world import manifest, plan

TICKS = 1_000
PORTION = 10  #: ticks that become due between two looks
MINUTE = 60_000


def test_a_thousand_ticks_of_five_schedulers_at_once_are_a_thousand_runs(rig: Rig) -> None:
    report = plan("report", triggers=(CronTrigger(("* * * * *",), missed="all"),))
    services = [Service(rig.store, PlainSealer()) for _ in range(5)]
    services[0].deploy(manifest(report), [report])
    (deployed,) = rig.store.crons().values()
    fired = 0
    with ThreadPoolExecutor(5) as threads:
        for _ in range(TICKS // PORTION):
            rig.advance(PORTION * MINUTE)
            fired += sum(threads.map(lambda service: service.tick_crons().fired, services))
    (last,) = rig.store.crons().values()
    runs = rig.store.runs(pipeline="report", limit=2 * TICKS)
    ticks = {services[0].run(run.id).event.data["scheduled_at"] for run in runs}
    every = {rfc3339(at) for at in range(deployed - deployed % MINUTE + MINUTE, last + 1, MINUTE)}
    assert ticks == every
    assert fired == len(runs) == len(every) >= TICKS
