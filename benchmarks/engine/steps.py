"""Runs of one step and of five: steps a second, what a step costs, and the memory that a run takes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.engine.bench import Bench, Compared, Row, microseconds
from flowlang.bench.drain import Drain, drain
from flowlang.bench.pipelines import chain
from flowlang.bench.usage import server_bytes

CHAIN = 5


@dataclass(frozen=True, slots=True)
class Steps:
    """Runs of some length on some processes.

    Attributes:
        length: Steps of a run.
        processes: Of the workers, and of raw Dramatiq.
        steps: Durable steps a second.
        workers_us: CPU time of a step in the workers; None where the system does not tell.
        server_us: The same in the server.
        queued_bytes: Memory of the server for a run that has not begun, its event included.
        finished_bytes: The same when it has ended.
    """

    length: int
    processes: int
    steps: Compared
    workers_us: float | None
    server_us: float
    queued_bytes: float
    finished_bytes: float

    def rows(self) -> list[Row]:
        goals = {(CHAIN, 1): 3.0, (1, 1): 1.0}
        name = f"{self.length}-step runs, {self.processes} process{'' if self.processes == 1 else 'es'}"
        raw = f"raw message: {microseconds(self.steps.raw_workers_us)}, {microseconds(self.steps.raw_server_us)}"
        rows = [
            self.steps.row(f"{name}: durable steps", goals.get((self.length, self.processes))),
            Row(
                "  CPU of a step: workers, server",
                f"{microseconds(self.workers_us)}, {microseconds(self.server_us)} ({raw})",
            ),
        ]
        if self.processes == 1:
            shown = f"{self.queued_bytes:,.0f}, {self.finished_bytes:,.0f} bytes"
            rows.append(Row("  store's memory of a run: queued, finished", shown))
        return rows


def steps(bench: Bench, length: int, processes: int = 1) -> Steps:
    """Measure runs of that many steps on so many processes."""
    drains: list[Drain] = []
    queued, finished = [], []
    count = (bench.sizes.singles if length == 1 else bench.sizes.chains) * processes

    def once() -> float:
        with bench.arena() as arena:
            arena.deploy(chain(length))
            arena.send(f"bench/chain-{length}", [])
            empty = server_bytes(arena.client)
            runs = arena.send(f"bench/chain-{length}", [{"n": n} for n in range(count)])
            full = server_bytes(arena.client)
            drains.append(drain(arena, runs, processes))
            queued.append((full - empty) / count)
            finished.append((server_bytes(arena.client) - empty) / count)
        return drains[-1].runs_per_s * length

    compared = bench.compared(once, processes)
    told = [each.cost.workers_us / length for each in drains if each.cost.workers_us is not None]
    return Steps(
        length=length,
        processes=processes,
        steps=compared,
        workers_us=statistics.median(told) if told else None,
        server_us=statistics.median(each.cost.server_us for each in drains) / length,
        queued_bytes=statistics.median(queued),
        finished_bytes=statistics.median(finished),
    )
