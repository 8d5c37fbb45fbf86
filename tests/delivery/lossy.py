"""A network that breaks: connections end before a request has come through, or before its answer has."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self

from flowlang.clock import Rng

_CHUNK = 65_536


class Lossy:
    """Passes connections on to a server, and ends them by chance; a context manager.

    Args:
        port: Of the server, on this machine.
        rng: Chance.
        lost: Of 100 pieces of a request or an answer, so many end their connection instead.
    """

    def __init__(self, port: int, rng: Rng, lost: int) -> None:
        self._target = port
        self._rng = rng
        self._lost = lost
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._passing: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.requests_lost = 0
        self.answers_lost = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        begun = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._accept, "127.0.0.1", 0), self._loop)
        self._server = begun.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        """End all connections. Nothing is cancelled: that could come while one is being closed, and leave it open."""
        assert self._server is not None
        for listening in self._server.sockets:
            self._loop.remove_reader(listening.fileno())  # a server that is closed leaves open who is just coming
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for writer in self._passing.values():
                writer.transport.abort()
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._pass(reader, writer))
        self._passing[task] = writer
        task.add_done_callback(self._passing.pop)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends, ways = [writer], []
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(back)
            ways += [
                asyncio.create_task(self._copy(reader, back, is_request=True)),
                asyncio.create_task(self._copy(there, writer, is_request=False)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_request: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(_CHUNK):
                if self._rng.random() * 100 < self._lost:
                    if is_request:
                        self.requests_lost += 1
                    else:
                        self.answers_lost += 1
                    return
                target.write(piece)
                await target.drain()
