"""A loop over ten thousand items, and its join."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

from benchmarks.engine.bench import Bench, Compared, Row, microseconds
from flowlang.bench.drain import StuckError, watched
from flowlang.bench.usage import Cpu, cpu, spent
from flowlang.plan import EventTrigger, Foreach, Plan, Step, Uses


@dataclass(frozen=True, slots=True)
class Fanout:
    """From the event to the end of the run, on a worker that was idle.

    Attributes:
        items: Of the list.
        source: What has the list.
        rate: Items a second.
        workers_us: CPU time of an item in the worker; None where the system does not tell.
        server_us: The same in the server.
    """

    items: int
    source: str
    rate: Compared
    workers_us: float | None
    server_us: float

    def rows(self) -> list[Row]:
        where = "a step" if self.source == "step" else "an event"
        return [
            self.rate.row(f"fan-out, {self.items:,} items of {where}, with join: items", 1.5),
            Row("  CPU of an item: worker, server", f"{microseconds(self.workers_us)}, {microseconds(self.server_us)}"),
        ]


def from_event() -> Plan:
    """A loop over a list of the event."""
    return _plan(_each(0, "event.data.items"))


def from_step() -> Plan:
    """A loop over a list that a step has read."""
    read = Step(0, "read", Uses("bench.numbers", {"count": "${{ event.data.count }}"}, effect="pure"))
    return _plan(read, _each(1, "steps.read.output"))


def _plan(*steps: Step) -> Plan:
    return Plan("loop", steps, tuple(range(len(steps))), triggers=(EventTrigger(("bench/loop",)),))


def _each(index: int, items: str) -> Step:
    return Step(index, "each", Uses("bench.work", {"n": "${{ item }}"}, effect="pure"), foreach=Foreach(items))


def fanout(bench: Bench, source: Literal["step", "event"] = "step") -> Fanout:
    """Measure loops over a list, one after the other."""
    costs: list[Cpu] = []

    def once() -> float:
        with bench.arena() as arena:
            arena.deploy(from_step() if source == "step" else from_event())
            with arena.workers(1) as workers:
                runs: list[str] = []
                before = Cpu(None, 0.0)
                for size in (10, bench.sizes.items):  # the first shows that the worker is there
                    before = cpu(workers.pids, arena.client)
                    data = {"count": size} if source == "step" else {"items": list(range(size))}
                    runs += arena.send("bench/loop", [data])
                    watched(arena.ended, len(runs), workers.pids, arena.client, check=workers.check)
                costs.append(spent(before, cpu(workers.pids, arena.client)))
            times = arena.times(runs)[-1]
        if times.status != "succeeded":
            raise StuckError(f"the loop is {times.status}")
        return bench.sizes.items / (times.ended_ms - times.created_ms) * 1000

    rate = bench.compared(once)
    each = 1e6 / bench.sizes.items
    told = [cost.workers_s * each for cost in costs if cost.workers_s is not None]
    return Fanout(
        items=bench.sizes.items,
        source=source,
        rate=rate,
        workers_us=statistics.median(told) if told else None,
        server_us=statistics.median(cost.server_s for cost in costs) * each,
    )
