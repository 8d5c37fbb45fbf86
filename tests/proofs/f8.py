"""F8: events before, with and after the waits for them, time-outs, crashes and repeated flushes, in random orders."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flowlang.clock import ManualClock
from flowlang.store.memory import MemoryStore
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.contract.conftest import leaked_keys, moved_clock
from tests.contract.rig import Rig
from tests.proofs.figure import Figure, Proof, Say
from tests.proofs.wait_orders import Order, WrongError

#: One order on a server for so many in memory.
SERVER_SHARE = 20


@dataclass(slots=True)
class Tally:
    """What orders came to.

    Attributes:
        orders: How many.
        events: That were sent.
        delivered: Events that claims gave to runs; after a crash, again.
        by_event: Waits that an event ended.
        by_timeout: Waits that their time-out ended.
        missed: Events that did not come.
        doubled: Events that came again.
        wrong: Orders that broke any other rule.
    """

    orders: int = 0
    events: int = 0
    delivered: int = 0
    by_event: int = 0
    by_timeout: int = 0
    missed: int = 0
    doubled: int = 0
    wrong: int = 0

    @property
    def holds(self) -> bool:
        return not (self.missed or self.doubled or self.wrong)

    def __str__(self) -> str:
        ends = f"{self.by_event:,} waits ended by an event, {self.by_timeout:,} by a time-out"
        rest = f", {self.wrong:,} wrong" if self.wrong else ""
        return (
            f"{self.orders:,} orders, {self.events:,} events, {self.delivered:,} given to claims, {ends}: "
            f"{self.missed:,} missed, {self.doubled:,} doubled{rest}"
        )


def measure(size: int, seed: int, say: Say) -> Figure:
    """Play so many orders in memory, and a twentieth of them on a server."""

    def fresh() -> Rig:
        clock = ManualClock()
        return Rig(MemoryStore(clock), clock.advance)

    memory = play(size, seed, fresh, say)
    say(f"in memory {memory}")
    with (
        tempfile.TemporaryDirectory(prefix="flowlang-f8-") as folder,
        EmbeddedServer(Path(folder)) as server,
        contextlib.closing(RedisStore(server.url, test_clock=True)) as store,
    ):
        rig = Rig(store, moved_clock(store))
        served = play(max(1, size // SERVER_SHARE), seed, lambda: rig, say)
        say(f"on a server {served}")
        leaked = leaked_keys(server.url)
    if leaked:
        say(f"keys that stay for ever: {', '.join(leaked[:5])}")
    return Figure(f"in memory {memory}; on a server {served}", memory.holds and served.holds and not leaked)


def play(orders: int, seed: int, rig: Callable[[], Rig], say: Say = lambda _: None) -> Tally:
    """Play random orders, each by a seed of its own, and count what went wrong.

    Args:
        orders: How many.
        seed: Of all of them.
        rig: The store of the next one.
        say: Told of the first orders that went wrong, and how it goes.
    """
    tally = Tally()
    for number in range(orders):
        name = f"o{seed}-{number}"
        try:
            order = Order(rig(), random.Random(f"{seed}-{number}"), name)
            order.play()
        except WrongError as error:
            tally.missed += error.missed.total()
            tally.doubled += error.doubled.total()
            tally.wrong += not (error.missed or error.doubled)  # the right ones in another order
            say(f"order {number} of seed {seed}: {error}")
        except AssertionError as error:
            tally.wrong += 1
            say(f"order {number} of seed {seed}: {error}")
        else:
            tally.events += len(order.history)
            tally.delivered += order.delivered
            ends = [end for waiter in order.waiters.values() for end in waiter.ends]
            tally.by_timeout += ends.count("timer")
            tally.by_event += len(ends) - ends.count("timer")
        tally.orders += 1
        if tally.orders % 10_000 == 0:
            say(f"{tally.orders:,} of {orders:,} orders")
        if tally.missed + tally.doubled + tally.wrong > 20:
            break
    return tally


PROOF = Proof(
    name="F8",
    claim="any order of events, waits, time-outs and crashes: 0 events missed inside the look-back, 0 resumed twice",
    measure=measure,
    small=5_000,
    full=100_000,
)
