"""Requests that wait for the end of a run: on the event loop alone, and one look at the store for all of them.

The store has no way to tell that a run has ended, so somebody has to look. Here one task of the process does, for all
requests that wait: of each run only what tells whether it has ended, of all that are due in one call, more and more
seldom the longer a run is waited for (`looks`). So a request that waits costs neither a thread nor a call of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from starlette.concurrency import run_in_threadpool

from flowlang.engine.ports import RunHead
from flowlang.server.bodies import ClientGoneError, Receive
from flowlang.server.looks import TOGETHER_MS, Looks
from flowlang.server.problems import HttpProblem
from flowlang.service.views import LIVE

log = logging.getLogger(__name__)

#: Requests that wait at a time, of a process: half of its connections.
MOST: Final = 500
#: Seconds that a request waits at most: proxies hang up after a minute.
LONGEST_S: Final = 60
#: Seconds between two times that it is seen which runs are due.
EVERY_S: Final = TOGETHER_MS / 1000
#: Code of the problem that says that no further one may wait.
FULL: Final = "waiting.full"


class Waiting:
    """Lets requests wait; to be used on one event loop. `stop` may be called from any thread.

    Args:
        heads: Tells of runs whether they have ended.
        most: Requests that wait at a time.
    """

    def __init__(self, heads: Callable[[Sequence[str]], Mapping[str, RunHead]], most: int = MOST) -> None:
        self._heads = heads
        self._most = most
        self._looks = Looks()
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    @property
    def count(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._waiters.values()))

    def stop(self) -> None:
        """Let nobody wait any more: the process is about to stop."""
        self._stopped = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and all requests with it
                self._loop.call_soon_threadsafe(self._release)

    async def until_ended(self, run: str, seconds: float, receive: Receive) -> None:
        """Wait until a run has ended or is gone, for so many seconds at most, and not while the process stops.

        Args:
            run: That has not ended yet.
            seconds: At most.
            receive: Of the connection.

        Raises:
            ClientGoneError: when the client hung up meanwhile.
            HttpProblem: 503 when too many wait already.
        """
        self._loop = asyncio.get_running_loop()
        if self._stopped:  # asked after the loop is known to `stop`
            return
        if self.count >= self._most:
            detail = "too many requests wait for a run; look at it without `wait`, or come back later"
            raise HttpProblem(503, FULL, detail, headers={"retry-after": "1"})
        ended = self._begin(run)
        gone = asyncio.ensure_future(_hung_up(receive))
        try:
            await asyncio.wait({ended, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not ended.done():
                raise ClientGoneError
        finally:
            gone.cancel()
            self._end(run, ended)

    def _begin(self, run: str) -> asyncio.Future[None]:
        assert self._loop is not None
        ended: asyncio.Future[None] = self._loop.create_future()
        self._waiters.setdefault(run, set()).add(ended)
        self._looks.begin(run, self._now_ms())
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._look())
        return ended

    def _end(self, run: str, ended: asyncio.Future[None]) -> None:
        ended.cancel()
        waiters = self._waiters.get(run, set())
        waiters.discard(ended)
        if not waiters:
            self._waiters.pop(run, None)
            self._looks.end(run)

    async def _look(self) -> None:
        """Look at runs for as long as any is waited for."""
        while self._looks:
            await asyncio.sleep(EVERY_S)
            due = self._looks.due(self._now_ms())
            if not due:
                continue
            try:
                heads = await run_in_threadpool(self._heads, due)
            except Exception as error:  # noqa: BLE001 - who waits hears of it when the run is read, if it is so still
                log.warning("it cannot be told which runs have ended: %s", error)
                continue
            for run in due:
                if run not in heads or heads[run].status not in LIVE:
                    self._answer(run)

    def _answer(self, run: str) -> None:
        for ended in self._waiters.get(run, ()):
            if not ended.done():
                ended.set_result(None)

    def _release(self) -> None:
        for run in list(self._waiters):
            self._answer(run)

    def _now_ms(self) -> float:
        assert self._loop is not None
        return self._loop.time() * 1000


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
