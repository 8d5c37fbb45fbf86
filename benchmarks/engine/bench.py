"""What measurements share: the server, the yardstick beside each rate, and the rows of the table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import redis

from benchmarks.engine import raw
from flowlang.bench.arena import Arena, opened
from flowlang.settings import Settings
from flowlang.worker.embedded import EmbeddedServer

PROJECT = Path(__file__).with_name("project")
THREADS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        what: Was measured.
        figure: As it is shown.
        goal: As it is shown; empty when there is none.
        met: Whether the goal is reached; None when there is none.
    """

    what: str
    figure: str
    goal: str = ""
    met: bool | None = None


class Measured(Protocol):
    """What a measurement gives: a frozen record that can be shown."""

    def rows(self) -> list[Row]:
        """Its lines of the table."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        messages: Of raw Dramatiq, a time and process.
        repeats: Of each rate, with raw Dramatiq before, between and after.
        pairs: Of two ways to do the same. More, since each ratio has the noise of both and nothing steadier beside it.
        chains: Runs of five steps, a time and process.
        singles: Runs of one step, a time and process.
        items: Of a fan-out.
        samples: Of a latency.
        waiting: Runs that wait.
        probes: Events that are matched, of each kind.
        requests: Over HTTP, of each kind.
    """

    messages: int = 5_000
    repeats: int = 3
    pairs: int = 9
    chains: int = 2_000
    singles: int = 5_000
    items: int = 10_000
    samples: int = 200
    waiting: int = 100_000
    probes: int = 500
    requests: int = 3_000


QUICK = Sizes(
    messages=1_500,
    repeats=1,
    pairs=1,
    chains=300,
    singles=800,
    items=1_000,
    samples=30,
    waiting=2_000,
    probes=100,
    requests=300,
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A rate with raw Dramatiq beside it: medians of the repeats.

    Attributes:
        per_s: The rate.
        raw_per_s: Messages a second, beside it.
        raw_lowest: Of them.
        raw_highest: Of them.
        ratio: Of the one to the other, measured beside each other.
        lowest: Of the ratios.
        highest: Of the ratios.
        raw_workers_us: CPU time of a raw message in its workers; None where the system does not tell.
        raw_server_us: The same in the server.
    """

    per_s: float
    raw_per_s: float
    raw_lowest: float
    raw_highest: float
    ratio: float
    lowest: float
    highest: float
    raw_workers_us: float | None
    raw_server_us: float

    def row(self, what: str, goal: float | None = None) -> Row:
        raw = f"raw {self.raw_per_s:,.0f}/s ({self.raw_lowest:,.0f}-{self.raw_highest:,.0f})"
        shown = f"{self.per_s:8,.0f}/s  {self.ratio:5.2f}x ({self.lowest:.2f}-{self.highest:.2f}) of {raw}"
        return Row(what, shown, "" if goal is None else f"≥ {goal:g}x", None if goal is None else self.ratio >= goal)


class Bench:
    """One server on which everything is measured.

    Args:
        server: It runs; its data may be thrown away.
        folder: For files.
        sizes: How much is measured.
    """

    def __init__(self, server: EmbeddedServer, folder: Path, sizes: Sizes) -> None:
        self.server = server
        self.folder = folder
        self.sizes = sizes

    @contextmanager
    def arena(self) -> Iterator[Arena]:
        """An empty store."""
        with redis.Redis.from_url(self.server.url) as client:
            client.execute_command("FLUSHALL", "SYNC")  # memory is measured: what was there must be gone by then
        with opened(self.settings()) as arena:
            yield arena

    def settings(self) -> Settings:
        return Settings(redis_url=self.server.url, project=PROJECT, threads=THREADS, log_level="error")

    def raw(self, processes: int = 1) -> raw.Raw:
        messages = self.sizes.messages * processes
        return raw.measure(self.server.database_url(2), processes, THREADS, messages)

    def compared(self, once: Callable[[], float], processes: int = 1) -> Compared:
        """Measure a rate again and again, with raw Dramatiq before, between and after."""
        yardsticks, rates, ratios = [self.raw(processes)], [], []
        for _ in range(self.sizes.repeats):
            rates.append(once())
            yardsticks.append(self.raw(processes))
            beside = statistics.mean(each.messages_per_s for each in yardsticks[-2:])
            ratios.append(rates[-1] / beside)
        told = [each.cost.workers_us for each in yardsticks if each.cost.workers_us is not None]
        return Compared(
            per_s=statistics.median(rates),
            raw_per_s=statistics.median(each.messages_per_s for each in yardsticks),
            raw_lowest=min(each.messages_per_s for each in yardsticks),
            raw_highest=max(each.messages_per_s for each in yardsticks),
            ratio=statistics.median(ratios),
            lowest=min(ratios),
            highest=max(ratios),
            raw_workers_us=statistics.median(told) if told else None,
            raw_server_us=statistics.median(each.cost.server_us for each in yardsticks),
        )


def microseconds(value: float | None) -> str:
    """A cost as it is shown."""
    return "unknown" if value is None else f"{value:,.0f} µs"
