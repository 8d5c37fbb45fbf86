"""The stage of processes: a real server, worker processes on it, and a test clock that moves the time of all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from flowlang.bootstrap import open_sealer
from flowlang.engine.ops import Sweep, Swept
from flowlang.engine.ports import Sealer, Store
from flowlang.pipeline_tests.expect import SeenCall
from flowlang.plan import queues_of
from flowlang.service import IncomingEvent
from flowlang.settings import Settings
from flowlang.store.redis import RedisStore
from tests.e2e.waiting import until
from tests.e2e.world import World
from tests.language.table import BEGIN_MS, FOLDER, PROJECT

QUEUES = sorted({"default"}.union(*map(queues_of, PROJECT.plans.values())))


class Live:
    """See `Stage`; a context manager.

    Args:
        folder: For the server's data and what handlers write down.
        workers: How many processes.
        settings: Of all processes, by variable without its prefix.
    """

    def __init__(self, folder: Path, workers: int = 2, **settings: str) -> None:
        self._world = World(folder, **{"PROJECT": str(FOLDER), "ENV": "test", **settings})
        self._workers = workers
        self._stack = ExitStack()
        self._moved_ms = 0

    def __enter__(self) -> Self:
        world = self._stack.enter_context(self._world)
        self._client = self._stack.enter_context(redis.Redis.from_url(world.server.url))
        assert PROJECT.manifest is not None
        self._move(BEGIN_MS)
        assert world.service._ring is not None
        self._ring = world.service._ring
        world.service.deploy(PROJECT.manifest, PROJECT.plans.values())
        self._stack.enter_context(world.crew(self._workers))
        until(lambda: len(world.service.stats().workers) == self._workers, "the workers")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def store(self) -> Store:
        return self._world.service.store

    @property
    def sealer(self) -> Sealer:
        return open_sealer(Settings.from_env(self._world.environ()))

    def send(self, name: str, data: Any) -> list[str]:
        (answer,) = self._world.service.ingest([IncomingEvent(name=name, data=data)])
        assert answer.status in {"accepted", "duplicate"}, answer
        return [run.id for run in answer.runs]

    def call(self, pipeline: str, data: Any) -> str:
        return self._world.service.call(pipeline, data).id

    def run_until(self, at_ms: int) -> None:
        while (due_ms := self._settled()) is not None and due_ms <= at_ms:
            self._move(due_ms)
        self._move(at_ms)
        self._settled()

    def run_until_idle(self) -> None:
        while (due_ms := self._settled()) is not None:
            self._move(due_ms)

    def jump(self, at_ms: int) -> None:
        self._settled()
        self._move(at_ms)
        self._world.service.tick_crons()
        self._settled()

    def calls(self) -> Sequence[tuple[str, SeenCall]]:
        lines = map(json.loads, self._world.ledger.path.read_text(encoding="utf-8").splitlines())
        return [
            (line["run"], SeenCall(line["handler"], line["step"], line["attempt"], line["arguments"])) for line in lines
        ]

    def _settled(self) -> int | None:
        """Wait until the workers have nothing to do at this time; returns when they will have, None for never."""
        while True:
            until(lambda: not self._at_work(), "the end of what is ready", every_s=0.005)
            (swept,) = self._world.service._writer.send([Sweep()])
            assert isinstance(swept, Swept)
            sent = self._world.service.send_delayed()
            # To a store whose time was moved no worker seems to listen, so that it asks for no hint.
            self._ring(dict.fromkeys(QUEUES, 1))
            if not self._at_work() and not (swept.fired or swept.rescued or sent):
                return swept.next_ms

    def _at_work(self) -> bool:
        """Whether a row is ready or held, at one moment for all queues."""
        store = self._world.service.store
        assert isinstance(store, RedisStore)
        pipe = self._client.pipeline(transaction=True)
        pipe.zcard(store.keys.single("leases"))
        for queue in QUEUES:
            pipe.zcard(store.keys.family("ready", queue))
        return any(pipe.execute())

    def _move(self, at_ms: int) -> None:
        store = self._world.service.store
        assert isinstance(store, RedisStore)
        self._moved_ms += max(0, at_ms - store.now_ms())
        store.set_test_clock(self._moved_ms)
