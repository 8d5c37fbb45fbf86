"""A hundred thousand runs that wait: what they cost the events that come, and the memory of a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.engine.bench import Bench, Row
from flowlang.bench.arena import Arena
from flowlang.bench.pipelines import chain
from flowlang.bench.rates import percentile
from flowlang.bench.usage import resident_bytes, server_bytes
from flowlang.bench.workers import Workers
from flowlang.plan import EventTrigger, Plan, Step, WaitFor

WARM_RUNS = 500


@dataclass(frozen=True, slots=True)
class Cost:
    """Of events that are taken one by one.

    Attributes:
        server_us: Time in the server's function, a mean.
        p99_ms: Round trip with all that the sender does.
    """

    server_us: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Each run waits for an event with its key, with a time-out: a timer and a wait each.

    Attributes:
        runs: That wait.
        nobody: An event that nobody waits for, with few that wait.
        few: An event that one run waits for, with few that wait.
        many: The same, with all that wait.
        run_bytes: Memory of the server for such a run.
        grown_bytes: Resident memory of the worker that made them wait, more than after the first few.
        fresh_bytes: Resident memory of a new worker with all that wait, more than with none.
    """

    runs: int
    nobody: Cost
    few: Cost
    many: Cost
    run_bytes: float
    grown_bytes: int | None
    fresh_bytes: int | None

    def rows(self) -> list[Row]:
        match_us = self.many.server_us - self.nobody.server_us
        shown = f"{match_us:.0f} µs in the server ({_cost(self.nobody)} for nobody; {_cost(self.many)})"
        return [
            Row(f"match of one event among {self.runs:,} waits", shown, "≤ 1 ms", match_us <= 1000),
            Row(f"  the same among {WARM_RUNS:,}", f"{self.few.server_us - self.nobody.server_us:.0f} µs"),
            _memory(f"memory of the worker that made {self.runs:,} wait", self.grown_bytes),
            _memory("memory of a new worker, all waiting, to none", self.fresh_bytes),
            Row("  store's memory of a waiting run", f"{self.run_bytes:,.0f} bytes"),
        ]


def waiting(bench: Bench) -> Waiting:
    """Let runs wait, and send events that some of them wait for."""
    count, probes = bench.sizes.waiting, bench.sizes.probes
    with bench.arena() as arena:
        arena.deploy(_plan(), chain(1))
        with arena.workers(1) as workers:
            none = _warmed(arena, workers)
        with arena.workers(1) as workers:
            _warmed(arena, workers)
            _wait(arena, workers, 0, WARM_RUNS)
            first = resident_bytes(workers.pids[0])
        nobody = _cost_of(arena, [f"nobody-{n}" for n in range(probes)])
        few = _cost_of(arena, [f"k{n}" for n in range(min(probes, WARM_RUNS))])
        with arena.workers(1) as workers:
            _warmed(arena, workers)
            empty = server_bytes(arena.client)
            _wait(arena, workers, WARM_RUNS, 2 * WARM_RUNS)
            first = resident_bytes(workers.pids[0])
            _wait(arena, workers, 2 * WARM_RUNS, count)
            last = resident_bytes(workers.pids[0])
            each = (server_bytes(arena.client) - empty) / (count - WARM_RUNS)
        many = _cost_of(arena, [f"k{n}" for n in range(count - probes, count)])
        with arena.workers(1) as workers:
            fresh = _warmed(arena, workers)
    return Waiting(
        runs=count,
        nobody=nobody,
        few=few,
        many=many,
        run_bytes=each,
        grown_bytes=None if first is None or last is None else last - first,
        fresh_bytes=None if none is None or fresh is None else fresh - none,
    )


def _plan() -> Plan:
    verb = WaitFor(("bench/answer",), "incoming.data.key == event.data.key", timeout="1d")
    return Plan("wait", (Step(0, "wait", verb),), (0,), triggers=(EventTrigger(("bench/wait",)),))


def _warmed(arena: Arena, workers: Workers) -> int | None:
    """Let a worker do some work, and give its resident memory."""
    wanted = arena.ended() + WARM_RUNS
    arena.send("bench/chain-1", [{"n": n} for n in range(WARM_RUNS)])
    _until(lambda: arena.ended() >= wanted, workers)
    return resident_bytes(workers.pids[0])


def _wait(arena: Arena, workers: Workers, first: int, last: int) -> None:
    """Let runs with the keys from `first` to before `last` wait."""
    already = arena.service.stats().timers
    arena.send("bench/wait", [{"key": f"k{n}"} for n in range(first, last)])
    _until(lambda: arena.service.stats().timers >= already + last - first, workers)


def _until(over: Callable[[], bool], workers: Workers) -> None:
    pause = threading.Event()
    while not over():
        workers.check()
        pause.wait(0.1)


def _cost_of(arena: Arena, keys: Sequence[str]) -> Cost:
    """Send an event for each key, one by one, while no worker runs."""
    spans = []
    before_us = _spent_us(arena)
    for key in keys:
        began = time.monotonic()
        arena.send("bench/answer", [{"key": key}])
        spans.append((time.monotonic() - began) * 1000)
    return Cost((_spent_us(arena) - before_us) / len(keys), percentile(spans, 0.99))


def _spent_us(arena: Arena) -> int:
    """Time that the server has spent in our functions."""
    stats: Any = arena.client.info("commandstats")
    return int(stats["cmdstat_fcall"]["usec"])


def _cost(cost: Cost) -> str:
    return f"{cost.server_us:.0f} µs, round trip p99 {cost.p99_ms:.1f} ms"


def _memory(what: str, grown: int | None) -> Row:
    if grown is None:
        return Row(what, "unknown: there is no /proc")
    return Row(what, f"{grown / 1e6:+.1f} MB", "± 10 MB", abs(grown) <= 10_000_000)
