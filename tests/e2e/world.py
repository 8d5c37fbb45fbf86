"""A real server, a store on it, pipelines that call the handlers of `project`, and what became of their runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from flowlang import bootstrap
from flowlang.engine.fsck import Finding
from flowlang.plan import Manifest, Plan, QueueRule
from flowlang.service import IncomingEvent, Service
from flowlang.service.views import RunDetail
from flowlang.settings import Settings
from flowlang.worker.embedded import EmbeddedServer
from tests.access import DEV_TOKEN
from tests.e2e.crew import Crew
from tests.e2e.ledger import Ledger, Place
from tests.e2e.waiting import PATIENCE_S, until

PROJECT = Path(__file__).with_name("project")
ENDED = frozenset({"succeeded", "failed", "cancelled", "skipped"})


class World:
    """Everything but the workers; a context manager.

    Args:
        folder: For the server's data and the ledger.
        appendfsync: Of the server.
        settings: Settings of all processes, by variable without its prefix.
    """

    service: Service

    def __init__(self, folder: Path, *, appendfsync: str = "everysec", **settings: str) -> None:
        self.server = EmbeddedServer(folder / "server", appendfsync=appendfsync)
        self.ledger = Ledger(folder / "ledger.jsonl")
        self._settings = settings
        self._plans: dict[str, Plan] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.server)
        self.service = self._stack.enter_context(bootstrap.open_service(Settings.from_env(self.environ())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def environ(self, **settings: str) -> dict[str, str]:
        """The environment of a process in this world."""
        given = {"REDIS_URL": self.server.url, "PROJECT": str(PROJECT), "THREADS": "4", "LOG_LEVEL": "error"}
        given["DEV_TOKEN"] = DEV_TOKEN
        ours = {f"FLOWLANG_{name}": value for name, value in {**given, **self._settings, **settings}.items()}
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLANG_")}
        return {**theirs, **ours, "E2E_LEDGER": str(self.ledger.path), "PYTHONFAULTHANDLER": "1"}

    def crew(self, count: int = 2, *, variables: Mapping[str, str] | None = None, **settings: str) -> Crew:
        """Worker processes of this world; `variables`: of `launch`."""
        return Crew({**self.environ(**settings), **(variables or {})}, count)

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A connection of our own to the store's database."""
        with redis.Redis.from_url(self.server.url) as client:
            yield client

    def deploy(self, *plans: Plan, queues: Mapping[str, QueueRule] | None = None) -> None:
        """Make these the active versions, beside the other pipelines; `queues`: what the project says of them."""
        self._plans.update({plan.pipeline: plan for plan in plans})
        versions = {name: plan.digest for name, plan in self._plans.items()}
        self.service.deploy(Manifest("e2e", versions, queues=dict(queues or {})), list(self._plans.values()))

    def send(self, name: str, count: int = 1) -> list[str]:
        """Send events, and return the ids of the runs that they made."""
        events = [IncomingEvent(name=name, data={"n": n}) for n in range(count)]
        return [run.id for answer in self.service.ingest(events) for run in answer.runs]

    def start(self, name: str, data: Any) -> list[str]:
        """Send one event with this data, and return the ids of the runs that it made."""
        (answer,) = self.service.ingest([IncomingEvent(name=name, data=data)])
        return [run.id for run in answer.runs]

    def ended(self, runs: Iterable[str], *, patience_s: float = PATIENCE_S) -> list[RunDetail]:
        """Wait until runs have ended, and return what is known of them."""
        left = set(runs)
        found: list[RunDetail] = []

        def look() -> bool:
            over = [run for run in left if self.service.run(run).run.status in ENDED]
            found.extend(self.service.run(run) for run in over)
            left.difference_update(over)
            return not left

        until(look, f"the end of {len(left)} runs", patience_s=patience_s, every_s=0.1)
        return found

    def findings(self) -> tuple[Finding, ...]:
        """What `flowlang fsck` says is wrong with the store."""
        return bootstrap.fsck(Settings.from_env(self.environ())).findings

    def under_way(self, calls: int) -> None:
        """Wait until so many calls of handlers have begun."""
        until(lambda: self.ledger.calls().total() >= calls, f"{calls} calls")

    def idle(self, workers: int = 1) -> None:
        """Wait until so many workers have said that they are there and have nothing to do."""
        until(
            lambda: sum(not worker.busy for worker in self.service.stats().workers) >= workers,
            f"{workers} idle workers",
        )


def checkpoints(details: Iterable[RunDetail]) -> Counter[Place]:
    """How often the journals say that an instance has ended."""
    return Counter(
        (detail.run.id, entry["step"])
        for detail in details
        for entry in detail.journal
        if entry["kind"] == "step.ended"
    )
