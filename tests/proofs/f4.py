"""F4: how long a call that was interrupted by the death of its process waits for the next one."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from pathlib import Path

from tests.e2e.crew import Crew
from tests.e2e.ledger import Ledger, Place
from tests.e2e.pipelines import one
from tests.e2e.waiting import until
from tests.e2e.world import World
from tests.proofs.figure import Figure, Proof, Say

#: Of the claim, and of small sizes; seconds.
LEASE_S, SHORT_LEASE_S = 10, 2
#: What a rescue may take beyond the lease, seconds.
BEYOND_S = 2.0
PROCESSES, KILLED, CALLS = 3, 2, 12


def measure(size: int, seed: int, say: Say) -> Figure:
    """Kill processes in the middle of calls until so many have been taken over, and time each."""
    lease_s = LEASE_S if size >= PROOF.full else SHORT_LEASE_S
    rng = random.Random(seed)
    took: list[float] = []
    kills = 0
    # One process can take all calls: what is measured is the rescue, not a queue.
    with (
        tempfile.TemporaryDirectory() as folder,
        World(Path(folder), LEASE=f"{lease_s}s", THREADS=str(CALLS)) as world,
    ):
        world.deploy(one("work.until_told", timeout_ms=600_000))
        with world.crew(PROCESSES) as crew:
            while len(took) < size:
                world.idle()
                runs = world.send("e2e/one", CALLS)
                until(lambda: _open(world.ledger, runs) == CALLS, "calls under way")  # noqa: B023 - asked at once
                # A lease is renewed each third of its length: without this all kills would come just after it began.
                threading.Event().wait(rng.random() * lease_s / 3)
                killed = _kill(crew, world.ledger, rng)
                kills += KILLED
                took += _takeovers(world.ledger, killed)
                for run in runs:
                    world.service.cancel(run)
                world.ended(runs)
                say(f"{len(took)} rescues after {kills} kills, the longest {max(took, default=0.0):.2f} s")
    took.sort()
    p50, p99 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    text = f"{len(took)} rescues after {kills} kills: p50 {p50:.2f} s, p99 {p99:.2f} s, longest {took[-1]:.2f} s"
    return Figure(f"{text}, with a lease of {lease_s} s", p99 <= lease_s + BEYOND_S)


def _open(ledger: Ledger, runs: list[str]) -> int:
    return sum(line.run in runs for line in ledger.lines("begin"))


def _kill(crew: Crew, ledger: Ledger, rng: random.Random) -> dict[Place, int]:
    """Kill some processes; tells what each call was that this interrupted, and when."""
    interrupted: dict[Place, int] = {}
    over = {line.place for line in ledger.lines("told")}
    for pid in rng.sample(sorted(crew.pids), KILLED):
        calls = {line.place for line in ledger.lines("begin") if line.pid == pid} - over
        at_ns = time.monotonic_ns()
        crew.kill(pid)
        interrupted |= dict.fromkeys(calls, at_ns)
    return interrupted


def _takeovers(ledger: Ledger, killed: dict[Place, int]) -> list[float]:
    """Wait until each interrupted call has been made again, and tell after how many seconds."""

    def again() -> dict[Place, int] | None:
        begun: dict[Place, int] = {}
        for line in ledger.lines("begin"):
            if line.at_ns > killed.get(line.place, line.at_ns):
                begun.setdefault(line.place, line.at_ns)
        return begun if begun.keys() == killed.keys() else None

    if not killed:
        return []
    begun = until(again, f"{len(killed)} calls to be made again")
    return [(begun[place] - at_ns) / 1e9 for place, at_ns in killed.items()]


PROOF = Proof("F4", "a call of a killed process is made again in lease + 2 s (p99)", measure, small=12, full=100)
