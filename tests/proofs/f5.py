"""F5: the server is away for a while under load: what was taken ends, nothing else is taken, and it is fast again soon."""

from __future__ import annotations

import tempfile
import threading
import time
from itertools import count
from pathlib import Path

from tests.e2e.edge import served
from tests.e2e.pipelines import CHECKPOINTS, chain
from tests.e2e.senders import Senders
from tests.e2e.waiting import until
from tests.e2e.world import World, checkpoints
from tests.proofs.figure import Figure, Proof, Say

#: Full speed has to be reached within so many seconds of the server's return.
SOON_S = 5.0
#: Steps of that share of those before the outage, over so many seconds, are full speed.
SHARE, WINDOW_S = 0.9, 2.0
#: How long the load goes on before and after, seconds.
BEFORE_S, AFTER_S = 4, 8
SENDERS, THINK_S = 4, 0.2


def measure(size: int, seed: int, say: Say) -> Figure:
    """Kill the server for so many seconds. The seed is of no use: nothing here is drawn."""
    del seed
    # Under `everysec` a server that is killed may lose what it has answered: that is another claim.
    with (
        tempfile.TemporaryDirectory() as folder,
        World(Path(folder), appendfsync="always") as world,
        served(world) as client,
    ):
        world.deploy(chain(ms=5))
        with world.crew(2) as crew:
            world.idle()
            with Senders(client, SENDERS, ("e2e/chain",), think_s=THINK_S, repeats=True) as senders:
                until(lambda: len(senders.taken) > SENDERS * 3, "load")
                began_ns = time.monotonic_ns()
                _pass(BEFORE_S)
                killed_ns = time.monotonic_ns()
                world.server.kill()
                down_ns = time.monotonic_ns()
                _pass(size)
                up_ns = time.monotonic_ns()  # from here on it may answer, before we know
                calls = world.ledger.calls().total()
                world.server.restart()
                returned_ns = time.monotonic_ns()
                say(f"the server was away for {(returned_ns - killed_ns) / 1e9:.1f} s; {calls} calls had been begun")
                _pass(AFTER_S)
            details = world.ended(senders.taken)
            replaced = len(crew.ends())
            findings = world.findings()
        calls_of = world.ledger.calls()
        strays = {run for run, _ in calls_of} - set(senders.taken)
        ends = [line.at_ns for line in world.ledger.lines("end")]

    before = _rate(ends, began_ns, killed_ns)
    soon_s = _soon(ends, returned_ns, before)
    false = [one for one in senders.answers if one.status == 202 and down_ns < one.sent_ns and one.answered_ns < up_ns]
    expected = {(detail.run.id, step) for detail in details for step in CHECKPOINTS["chain"]}
    lost = sum(detail.run.status != "succeeded" for detail in details) + len(set(senders.taken)) - len(details)
    once = checkpoints(details) == dict.fromkeys(expected, 1)
    repeated = calls_of.total() - len(calls_of)
    text = (
        f"{len(details)} events taken, {lost} lost, {len(false)} answered 2xx while it was away, "
        f"{senders.refused.total()} refused, {repeated} calls repeated, {replaced} processes replaced, "
        f"{len(strays)} runs that nobody was told of; "
        f"full speed ({before:.0f} steps/s) {soon_s:.1f} s after the return of a server that was away for {size} s"
    )
    return Figure(text, lost == 0 and not (false or findings) and once and soon_s <= SOON_S)


def _pass(seconds: float) -> None:
    """Let the load go on."""
    threading.Event().wait(seconds)


def _rate(ends: list[int], from_ns: int, till_ns: int) -> float:
    """Steps a second."""
    return sum(from_ns <= at_ns < till_ns for at_ns in ends) / ((till_ns - from_ns) / 1e9)


def _soon(ends: list[int], returned_ns: int, before: float) -> float:
    """Seconds from the return to the beginning of the first window with full speed; infinite: there was none."""
    for tenths in count():
        from_ns = returned_ns + tenths * 100_000_000
        till_ns = from_ns + round(WINDOW_S * 1e9)
        if till_ns > returned_ns + AFTER_S * 1_000_000_000:
            return float("inf")
        if _rate(ends, from_ns, till_ns) >= SHARE * before:
            return tenths / 10
    raise AssertionError("the tenths do not end")


PROOF = Proof("F5", "an outage loses nothing, and full speed is back in 5 s", measure, small=3, full=60)
