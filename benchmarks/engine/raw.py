"""Raw Dramatiq: its own Redis broker with default middleware, and an actor that does nothing.

python -m benchmarks.engine.raw URL THREADS     one process that works the queue off until its stdin is closed
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from flowlang.bench.drain import Cost, watched
from flowlang.bench.rates import rate

#: Where Dramatiq keeps the messages of the queue that are not acknowledged.
MESSAGES = "dramatiq:default.msgs"


@dataclass(frozen=True, slots=True)
class Raw:
    """How messages were worked off.

    Attributes:
        messages_per_s: See `rates.rate`.
        cost: Of a message.
    """

    messages_per_s: float
    cost: Cost


def measure(url: str, processes: int, threads: int, messages: int) -> Raw:
    """Fill a queue, and let processes work it off.

    Args:
        url: Of a database of its own.
        processes: How many.
        threads: Of each.
        messages: How many.
    """
    broker, actor = _actor(url, lambda: None)
    for n in range(messages):
        actor.send(n)
    broker.close()
    argv = [sys.executable, "-m", "benchmarks.engine.raw", url, str(threads)]
    with redis.Redis.from_url(url) as client, ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for _ in range(processes)
        ]

        def check() -> None:
            if any(worker.poll() is not None for worker in workers):
                raise SystemExit("a raw worker has ended")

        def done() -> int:
            left: Any = client.hlen(MESSAGES)
            return messages - int(left)

        try:
            cost = watched(done, messages, [worker.pid for worker in workers], client, check=check)
            ends = [end for worker in workers for end in json.loads(worker.communicate()[0])]
        finally:
            for worker in workers:
                worker.kill()
    return Raw(rate(ends), cost)


def _actor(url: str, done: Callable[[], None]) -> tuple[RedisBroker, dramatiq.Actor[[int], None]]:
    broker = RedisBroker(url=url)  # type: ignore[no-untyped-call]
    dramatiq.set_broker(broker)

    def noop(n: int) -> None:
        del n
        done()

    actor = dramatiq.Actor(noop, broker=broker, actor_name="noop", queue_name="default", priority=0, options={})
    return broker, actor


def _work(url: str, threads: int) -> None:
    """Work the queue off, and print when each message was done."""
    ends: list[float] = []
    broker, _ = _actor(url, lambda: ends.append(time.monotonic()))
    worker = dramatiq.Worker(broker, worker_threads=threads)
    worker.start()
    sys.stdin.read()
    worker.stop()
    print(json.dumps(ends))


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]))
