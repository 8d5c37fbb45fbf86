"""The project of this folder in real processes: a server, the proxy in front of it, workers, and HTTP."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar, cast

import msgspec
import redis

from flowlang import bootstrap
from flowlang.engine import sealed_fields
from flowlang.engine.ports import RunRow
from flowlang.engine.state import Event, decode_meta
from flowlang.errors import StoreUnavailableError
from flowlang.plan import CronTrigger, Manifest, Plan
from flowlang.settings import Settings
from flowlang.store.codec import PlainSealer
from flowlang.store.redis import RedisStore
from tests.e2e.crew import Crew
from tests.e2e.world import ENDED, World
from tests.faults.proxy import NONE, FaultProxy, Odds

PROJECT = Path(__file__).with_name("project")
SECRET = "shop-secret"

#: A run a second; the language itself has no schedules of seconds.
BEAT = Plan("beat", (), (), triggers=(CronTrigger(("* * * * * *",), missed="all"),))

#: So often a read is made again while the server is away.
READS = 40

_sealer = PlainSealer()

T = TypeVar("T")


class Stage:
    """All that runs; a context manager.

    Args:
        folder: For data, the ledger and what processes say.
        workers: How many processes.
        seed: Of the proxy.
        supervised: The workers are children of one `flowlang worker`, which is what `crew` keeps alive.
        armed: Variables of all processes but ours, which strike them down.
        appendfsync: Of the server.
        settings: Of all processes, by variable without its prefix.
    """

    crew: Crew
    http: Crew

    def __init__(
        self,
        folder: Path,
        *,
        workers: int,
        seed: int = 0,
        supervised: bool = False,
        armed: Mapping[str, str] = MappingProxyType({}),
        appendfsync: str = "everysec",
        **settings: str,
    ) -> None:
        self.world = World(folder, appendfsync=appendfsync, **{"PROJECT": str(PROJECT), **settings})
        self.port = free_port()
        self._said = folder / "said.log"
        self._environment = settings.get("ENV", "development")
        self._supervised = supervised
        self._armed = armed
        self._workers = workers
        self._seed = seed
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(told_to(self._said))
            stack.enter_context(self.world)
            port = int(self.world.server.url.rpartition(":")[2].partition("/")[0])
            self.proxy = stack.enter_context(FaultProxy(port, seed=self._seed))
            manifest, plans = project(self._environment)
            self.world.service.deploy(manifest, plans)
            environ = self.environ()
            self.http = stack.enter_context(Crew(environ, 1, module=("flowlang", "serve", "--port", str(self.port))))
            if self._supervised:
                module = ("flowlang", "worker", "--processes", str(self._workers))
                self.crew = stack.enter_context(Crew(environ, 1, module=module))
            else:
                self.crew = stack.enter_context(Crew(environ, self._workers))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def environ(self) -> dict[str, str]:
        """Variables of a process that goes through the proxy and may be struck."""
        environ = self.world.environ(REDIS_URL=self.proxy.in_front_of(self.world.server.url))
        return {**environ, "SHOP_SECRET": SECRET, **self._armed}

    def said(self) -> str:
        """The end of what all processes have written to stderr."""
        return self._said.read_text(encoding="utf-8", errors="replace")[-4000:]

    @property
    def url(self) -> str:
        """Where HTTP is served."""
        return f"http://127.0.0.1:{self.port}"

    def hurt(self, odds: Odds = NONE) -> None:
        """Let the proxy lose answers from now on, or no longer."""
        self.proxy.odds = odds

    def contradictions(self) -> list[str]:
        """What `flowlang fsck` finds: where the store's indexes do not agree with the runs in it."""
        report = steady(lambda: bootstrap.fsck(Settings.from_env(self.world.environ())))
        return [f"fsck: {each.code} at {each.where}: {each.what}" for each in report.findings]

    def rows(self, pipeline: str) -> list[tuple[RunRow, Event]]:
        """All runs of a pipeline with the events that they began with."""
        rows = steady(lambda: self.world.service.store.runs(pipeline=pipeline, limit=1_000_000))
        return [(row, decode_meta(_sealer.open(row.meta, sealed_fields.META, row.id)).event) for row in rows]

    def ended(self, pipeline: str, before: set[str]) -> tuple[set[str], int]:
        """The ended runs of a pipeline, of which some were known before, and how many are alive."""
        store = self.world.service.store
        assert isinstance(store, RedisStore)
        keys = store.keys

        def look() -> tuple[set[str], int]:
            with self.world.client() as client:
                ids = {
                    name.decode() for name in cast("Any", client).zrange(keys.family("by_pipeline", pipeline), 0, -1)
                }
                left = sorted(ids - before)
                pipe = client.pipeline(transaction=False)
                for run in left:
                    pipe.hget(keys.family("run", run), "status")
                found = {run for run, status in zip(left, pipe.execute(), strict=True) if status.decode() in ENDED}
                return before | found, len(left) - len(found)

        return steady(look)


def project(environment: str = "development") -> tuple[Manifest, list[Plan]]:
    """The project of this folder and the pipeline that has a run a second."""
    found = bootstrap.load_project(PROJECT, environment=environment)
    assert found.manifest is not None, [finding.message for finding in found.diagnostics]
    plans = [*found.plans.values(), BEAT]
    versions = {plan.pipeline: plan.digest for plan in plans}
    return msgspec.structs.replace(found.manifest, pipelines=versions), plans


def steady(read: Callable[[], T]) -> T:
    """Read, again while the server is away."""
    for _ in range(READS):
        with contextlib.suppress(StoreUnavailableError, redis.exceptions.ConnectionError):
            return read()
        threading.Event().wait(0.1)
    return read()


@contextlib.contextmanager
def told_to(path: Path) -> Iterator[None]:
    """Let this process and those that it starts write to a file what goes to stderr: of all this trouble, much."""
    sys.stderr.flush()
    own = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(own, 2)
        os.close(own)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
