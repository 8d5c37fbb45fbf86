"""All measurements by name, in their order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.engine.alternated import always, computing, processes
from benchmarks.engine.bench import Bench, Measured
from benchmarks.engine.fanout import fanout
from benchmarks.engine.http import http_events
from benchmarks.engine.latency import starts, timers
from benchmarks.engine.steps import CHAIN, steps
from benchmarks.engine.waiting import waiting

MEASUREMENTS: dict[str, Callable[[Bench], Measured]] = {
    "chain": partial(steps, length=CHAIN),
    "single": partial(steps, length=1),
    "fanout": fanout,
    "fanout-event": partial(fanout, source="event"),
    "chain2": partial(steps, length=CHAIN, processes=2),
    "single2": partial(steps, length=1, processes=2),
    "processes": processes,
    "computing": computing,
    "always": always,
    "starts": starts,
    "timers": timers,
    "http": http_events,
    "waiting": waiting,
}
