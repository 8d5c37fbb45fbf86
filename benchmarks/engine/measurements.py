"""All measurements by name, in their order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.engine.bench import Bench, Measured
from benchmarks.engine.fanout import fanout
from benchmarks.engine.steps import CHAIN, steps

MEASUREMENTS: dict[str, Callable[[Bench], Measured]] = {
    "chain": partial(steps, length=CHAIN),
    "single": partial(steps, length=1),
    "fanout": fanout,
    "chain2": partial(steps, length=CHAIN, processes=2),
    "single2": partial(steps, length=1, processes=2),
}
