"""What the benchmarks' pipelines call."""

from __future__ import annotations

import os
import time

from flowlang import handler

#: Where a call notes when it began; each line is written at once.
NOTES = os.environ.get("BENCH_NOTES")


@handler("bench.work", effect="pure")
def work(n: int) -> int:
    return n + 1


@handler("bench.compute", effect="pure")
def compute(n: int, us: int) -> int:
    """Compute for so long."""
    until = time.thread_time_ns() + us * 1_000
    while time.thread_time_ns() < until:
        pass
    return n + 1


@handler("bench.numbers", effect="pure")
def numbers(count: int) -> list[int]:
    return list(range(count))


@handler("bench.note")
def note(n: int) -> int:
    """Note the time on both clocks: the one for spans, and the one that timers go by."""
    line = f"{n} {time.monotonic_ns()} {time.time_ns()}\n".encode()
    assert NOTES is not None
    file = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line)
    finally:
        os.close(file)
    return n
