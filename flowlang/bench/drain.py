"""Working off what lies ready: how long it takes is told by the rows, what it costs by the processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from flowlang.bench.arena import Arena, Times
from flowlang.bench.rates import WARM, rate
from flowlang.bench.usage import Cpu, cpu, spent
from flowlang.clock import monotonic_ms
from flowlang.errors import FlowError

#: Seconds between two looks.
_LOOK_S = 0.05

#: Seconds without any progress after which something is wrong.
_PATIENCE_S = 60.0


class StuckError(FlowError):
    """Nothing goes on any more, or runs did not end as they should."""


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of one of the things that were worked off, in microseconds.

    Attributes:
        workers_us: Of all worker processes together; None where the system does not tell.
        server_us: Of the server.
    """

    workers_us: float | None
    server_us: float


@dataclass(frozen=True, slots=True)
class Drain:
    """How runs were worked off.

    Attributes:
        runs_per_s: Ended runs a second; see `rates.rate`.
        cost: Of a run.
        times: Of each run.
    """

    runs_per_s: float
    cost: Cost
    times: list[Times]


def watched(
    done: Callable[[], int],
    total: int,
    pids: Sequence[int],
    client: redis.Redis,
    *,
    check: Callable[[], None],
    tell: Callable[[int], None] = lambda _: None,
) -> Cost:
    """Wait until all is done, and tell what one costs; the first tenth is left out.

    Args:
        done: How many are done.
        total: How many there are.
        pids: Processes that work.
        client: Of the server.
        check: Called at each look; raises when it is no use to wait any longer.
        tell: Told at each look how many are done.

    Raises:
        StuckError: when nothing is done any more.
    """
    pause = threading.Event()
    mark: tuple[int, Cpu] | None = None
    last, last_ms = -1, monotonic_ms()
    while (count := done()) < total:
        check()
        tell(count)
        if mark is None and count >= total * WARM:
            mark = count, cpu(pids, client)
        if count > last:
            last, last_ms = count, monotonic_ms()
        elif monotonic_ms() - last_ms > _PATIENCE_S * 1000:
            raise StuckError(f"nothing has ended for {_PATIENCE_S:g} s, with {total - count} of {total} to go")
        pause.wait(_LOOK_S)
    tell(count)
    first, before = mark or (0, Cpu(0.0, 0.0))
    used = spent(before, cpu(pids, client))
    return _each(used, count - first) if mark is not None and count > first else Cost(None, 0.0)


def drain(arena: Arena, runs: Sequence[str], processes: int, tell: Callable[[int], None] = lambda _: None) -> Drain:
    """Start workers on a store that holds these runs, and wait until all have succeeded.

    Args:
        arena: The store.
        runs: Ready, none of them ended.
        processes: How many.
        tell: Told at each look how many have ended.

    Raises:
        StuckError: when they do not end, or not all as succeeded.
        WorkerDiedError: when a worker ends before they do.
    """
    already = arena.ended()
    with arena.workers(processes) as workers:
        cost = watched(
            lambda: arena.ended() - already,
            len(runs),
            workers.pids,
            arena.client,
            check=workers.check,
            tell=tell,
        )
    times = arena.times(runs)
    bad = [each.status for each in times if each.status != "succeeded"]
    if bad or len(times) < len(runs):
        raise StuckError(
            f"{len(runs) - len(times) + len(bad)} of {len(runs)} runs did not succeed ({', '.join(set(bad))})"
        )
    return Drain(rate([each.ended_ms / 1000 for each in times]), cost, times)


def _each(used: Cpu, count: int) -> Cost:
    workers_us = None if used.workers_s is None else used.workers_s * 1e6 / count
    return Cost(workers_us, used.server_s * 1e6 / count)
