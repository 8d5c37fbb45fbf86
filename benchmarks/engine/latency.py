"""How soon an idle worker begins: after an event, and after a timer."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from benchmarks.engine.bench import Bench, Row
from benchmarks.engine.notes import Notes
from flowlang.bench.rates import percentile
from flowlang.clock import rfc3339
from flowlang.plan import EventTrigger, Plan, Sleep, Step, Uses

NOTE = Uses("bench.note", {"n": "${{ event.data.n }}"})


@dataclass(frozen=True, slots=True)
class Starts:
    """From before an event is handed in until its handler begins, the worker idle; milliseconds.

    Attributes:
        p50_ms: Of the samples.
        p99_ms: Of the samples.
        longest_ms: Of the samples.
        samples: How many.
        ping_ms: What one question to the idle server takes (p50): three of them, one after the other, are on the way.
    """

    p50_ms: float
    p99_ms: float
    longest_ms: float
    samples: int
    ping_ms: float

    def rows(self) -> list[Row]:
        shown = f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, longest {self.longest_ms:.1f} ms"
        met = self.p50_ms <= 5 and self.p99_ms <= 25
        return [
            Row(f"idle start, event to handler, of {self.samples}", shown, "p50 ≤ 5 ms, p99 ≤ 25 ms", met),
            Row("  a ping of the idle server, beside it", f"p50 {self.ping_ms:.2f} ms"),
        ]


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late handlers begin that follow a timer, the worker idle else; milliseconds.

    Attributes:
        p50_ms: Of the samples.
        p99_ms: Of the samples.
        longest_ms: Of the samples.
        samples: How many.
    """

    p50_ms: float
    p99_ms: float
    longest_ms: float
    samples: int

    def rows(self) -> list[Row]:
        shown = f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, longest {self.longest_ms:.1f} ms"
        return [Row(f"timers, due to handler, of {self.samples}", shown, "≤ 100 ms", self.longest_ms <= 100)]


def starts(bench: Bench) -> Starts:
    """Measure one event after the other."""
    chance, pause = random.Random(1), threading.Event()
    notes = Notes(bench.folder / "starts")
    sent: dict[int, int] = {}
    pings: list[float] = []
    plan = Plan("note", (Step(0, "note", NOTE),), (0,), triggers=(EventTrigger(("bench/note",)),))
    with bench.arena() as arena:
        arena.deploy(plan)
        with arena.workers(1, notes.environ):
            for n in range(-5, bench.sizes.samples):  # the first ones show that the worker is there
                sent[n] = time.monotonic_ns()
                arena.send("bench/note", [{"n": n}])
                notes.wait(len(sent))
                pause.wait(chance.uniform(0.03, 0.2))
                if n % 4 == 0:
                    began = time.monotonic_ns()
                    arena.client.ping()
                    pings.append((time.monotonic_ns() - began) / 1e6)
                    pause.wait(chance.uniform(0.03, 0.2))
    found = notes.read()
    spans = [(found[n].monotonic_ns - sent[n]) / 1e6 for n in range(bench.sizes.samples)]
    return Starts(
        percentile(spans, 0.5), percentile(spans, 0.99), max(spans), len(spans), ping_ms=percentile(pings, 0.5)
    )


def timers(bench: Bench) -> Lateness:
    """Let runs sleep until moments that are spread over some seconds."""
    chance = random.Random(1)
    notes = Notes(bench.folder / "timers")
    steps = (Step(0, "until", Sleep("${{ timestamp(event.data.at) }}")), Step(1, "note", NOTE))
    plan = Plan("alarm", steps, (0, 1), triggers=(EventTrigger(("bench/alarm",)),))
    span_ms = 25 * bench.sizes.samples
    with bench.arena() as arena:
        arena.deploy(plan)
        with arena.workers(1, notes.environ):
            arena.send("bench/alarm", [{"n": -1, "at": rfc3339(0)}])
            notes.wait(1)  # the worker is there
            begin_ms = arena.service.store.now_ms() + 2_000
            due = {n: begin_ms + chance.randrange(span_ms) for n in range(bench.sizes.samples)}
            arena.send("bench/alarm", [{"n": n, "at": rfc3339(at)} for n, at in due.items()])
            asleep_ms = arena.service.store.now_ms()
            found = notes.wait(1 + len(due))
    if asleep_ms > begin_ms:
        raise SystemExit("the runs were sent too late for their timers")
    late = [found[n].wall_ns / 1e6 - at for n, at in due.items()]
    return Lateness(percentile(late, 0.5), percentile(late, 0.99), max(late), len(late))
