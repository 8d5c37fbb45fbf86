"""Two ways to do the same, in turns: two processes against one, and a safer server against the usual one."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from benchmarks.engine.bench import Bench, Row
from flowlang.bench.drain import drain
from flowlang.bench.pipelines import chain
from flowlang.plan import Plan, Uses

LENGTH = 5
#: What a step of `computing` computes, microseconds.
COMPUTE_US = 300


@dataclass(frozen=True, slots=True)
class Alternated:
    """Durable steps a second of both ways: medians of the pairs.

    Attributes:
        what: Is compared.
        one_per_s: The usual way.
        other_per_s: The other way.
        ratio: Of the other to the usual.
        lowest: Of the ratios.
        highest: Of the ratios.
        goal: What the ratio should be at least.
    """

    what: str
    one_per_s: float
    other_per_s: float
    ratio: float
    lowest: float
    highest: float
    goal: float

    def rows(self) -> list[Row]:
        rates = f"{self.other_per_s:,.0f}/s to {self.one_per_s:,.0f}/s"
        shown = f"{self.ratio:5.2f}x ({self.lowest:.2f}-{self.highest:.2f}), {rates}"
        return [Row(f"{self.what}: durable steps", shown, f"≥ {self.goal:g}x", self.ratio >= self.goal)]


def processes(bench: Bench) -> Alternated:
    """Two worker processes against one: steps that do nothing, where one process and the server may need all CPUs."""
    return _alternated(bench, "2 processes to 1", lambda: _rate(bench, 1), lambda: _rate(bench, 2), 1.2)


def computing(bench: Bench) -> Alternated:
    """The same with steps that compute, where the workers need most of the CPUs."""
    plan = _computing(LENGTH)
    return _alternated(
        bench,
        f"2 processes to 1, steps compute {COMPUTE_US} µs",
        lambda: _rate(bench, 1, plan=plan),
        lambda: _rate(bench, 2, plan=plan),
        1.2,
    )


def _computing(length: int) -> Plan:
    """The chain with another handler."""
    plan = chain(length)
    steps = [
        msgspec.structs.replace(
            step,
            verb=Uses("bench.compute", {**step.verb.arguments, "us": COMPUTE_US}, effect="pure"),
        )
        for step in plan.steps
        if isinstance(step.verb, Uses)
    ]
    return msgspec.structs.replace(plan, steps=tuple(steps))


def always(bench: Bench) -> Alternated:
    """A server that waits for the disk at every write against one that does so each second."""
    return _alternated(
        bench, "appendfsync always to everysec", lambda: _rate(bench, 1), lambda: _rate(bench, 1, "always"), 0.8
    )


def _alternated(
    bench: Bench, what: str, one: Callable[[], float], other: Callable[[], float], goal: float
) -> Alternated:
    pairs = [(one(), other()) for _ in range(bench.sizes.pairs)]
    ratios = [second / first for first, second in pairs]
    return Alternated(
        what=what,
        one_per_s=statistics.median(first for first, _ in pairs),
        other_per_s=statistics.median(second for _, second in pairs),
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        goal=goal,
    )


def _rate(bench: Bench, count: int, appendfsync: str = "everysec", plan: Plan | None = None) -> float:
    with bench.arena() as arena:
        arena.deploy(plan or chain(LENGTH))
        runs = arena.send(f"bench/chain-{LENGTH}", [{"n": n} for n in range(bench.sizes.chains * count)])
        arena.client.config_set("appendfsync", appendfsync)
        try:
            return drain(arena, runs, count).runs_per_s * LENGTH
        finally:
            arena.client.config_set("appendfsync", "everysec")
