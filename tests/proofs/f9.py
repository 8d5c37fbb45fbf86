"""F9: processes whose clocks are an hour off: nobody is taken for dead, and timers fire when they are due."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterable
from pathlib import Path

from flowlang.clock import SystemClock
from tests.e2e.launch import CLOCK
from tests.e2e.ledger import Ledger
from tests.e2e.pipelines import chain
from tests.e2e.world import World, checkpoints
from tests.proofs.figure import Figure, Proof, Say
from tests.unit.engine.building import plan, sleep, uses

HOUR_MS = 3_600_000
CLOCKS_MS = (-HOUR_MS, 0, HOUR_MS)
LEASE_S = 2
#: A call of the long ones, in leases; how many runs have such calls, and which.
LEASES, LONG, LONG_KEYS = 2.5, 6, ("a", "b")
#: Runs with timers at a time.
BATCH = 50
#: A timer may be so late, seconds; the small size leaves room for a machine that does other things.
LATE_S, SMALL_LATE_S = 1.0, 3.0

#: A time from now, and a moment: the one is computed by the store, the other by an expression in a process.
NAPS = plan(
    uses("a", "work.do", {"n": 1, "ms": 0}),
    sleep("${{ duration(string(event.data.ms) + 'ms') }}"),
    uses("b", "work.do", {"n": 1, "ms": 0}),
    sleep("${{ now() + duration(string(event.data.ms) + 'ms') }}"),
    uses("c", "work.do", {"n": 1, "ms": 0}),
    pipeline="naps",
    on="e2e/nap",
)


def measure(size: int, seed: int, say: Say) -> Figure:
    """Let so many runs sleep twice each, beside calls that are longer than a lease."""
    rng = random.Random(seed)
    naps: dict[str, int] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        World(Path(folder), LEASE=f"{LEASE_S}s", THREADS="8", LOG_LEVEL="warning") as world,
        contextlib.ExitStack() as stack,
    ):
        world.deploy(NAPS, chain(ms=round(LEASE_S * LEASES * 1000), keys=LONG_KEYS))
        crews = [stack.enter_context(world.crew(1, variables={CLOCK: str(ahead_ms)})) for ahead_ms in CLOCKS_MS]
        world.idle()
        long = world.send("e2e/chain", LONG)
        ended = []
        while len(naps) < size:
            batch = {}
            for _ in range(min(BATCH, size - len(naps))):
                ms = rng.randrange(100, 3_000)
                (run,) = world.start("e2e/nap", {"ms": ms})
                batch[run] = ms
            ended += world.ended(batch)
            naps |= batch
            say(f"{len(naps)} runs have slept twice")
        ended += world.ended(long)
        calls = world.ledger.calls()
        late_s = sorted(_late(world.ledger, naps))
        ahead = {_hours_ahead(line.wall_ms) for line in world.ledger.lines("begin")}
        lost = sum(len(crew.ends()) for crew in crews)

    failed = sum(detail.run.status != "succeeded" for detail in ended)
    repeated = calls.total() - len(calls)
    once = set(checkpoints(ended).values()) == {1}
    bound_s = LATE_S if size >= PROOF.full else SMALL_LATE_S
    text = (
        f"{len(CLOCKS_MS)} processes with clocks of -1 h, 0 and +1 h: {LONG * len(LONG_KEYS)} calls of "
        f"{LEASES:g} leases, {repeated} of all {len(calls):,} calls made again, {len(late_s):,} timers late by p50 "
        f"{late_s[len(late_s) // 2]:.3f} s, p99 {late_s[len(late_s) * 99 // 100]:.3f} s, at most {late_s[-1]:.3f} s, "
        f"earliest {late_s[0]:+.3f} s"
    )
    sound = not (failed or repeated or lost) and once and ahead == {-1, 0, 1}
    return Figure(text, sound and late_s[-1] <= bound_s and late_s[0] >= -bound_s)


def _hours_ahead(wall_ms: int) -> int:
    """By how many hours the clock of the process was wrong that wrote this down a moment ago."""
    return round((wall_ms - SystemClock().now_ms()) / HOUR_MS)


def _late(ledger: Ledger, naps: dict[str, int]) -> Iterable[float]:
    """Seconds from when a timer was due to the call behind it, by the one clock that all processes of a machine share.

    What is between the end of the call before and the beginning of the sleep counts as late, too.
    """
    ends = {line.place: line.at_ns for line in ledger.lines("end")}
    begins = {line.place: line.at_ns for line in ledger.lines("begin")}
    for run, ms in naps.items():
        for before, after in (("a", "b"), ("b", "c")):
            yield (begins[run, after] - ends[run, before]) / 1e9 - ms / 1000


PROOF = Proof("F9", "clocks that are an hour off: no wrong rescue, timers late by 1 s at most", measure, 30, 1_000)
