"""The event loop of a process: one daemon thread that runs all async handlers and async resources."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
_log = logging.getLogger("flowlang.worker")


class LoopThread:
    """An event loop in a thread of its own, running from construction to `close`."""

    def __init__(self) -> None:
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._main, args=(started,), name="flowlang-loop", daemon=True)
        self._thread.start()
        self.loop, self._stop = started.result()

    @staticmethod
    def _main(started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        async def until_stopped() -> None:
            stop = asyncio.Event()
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

        asyncio.run(until_stopped())  # on its way out it cancels what is left, and closes generators and the loop

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine from any thread.

        Returns:
            Its future; cancelling that cancels the coroutine.
        """
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self, timeout: float) -> None:
        """Cancel what is left, and end the thread.

        Args:
            timeout: Seconds to wait for coroutines that do not end when cancelled; then they are left behind.
        """
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout)
        if self._thread.is_alive():
            _log.error("async handlers did not end within %.0f s of being cancelled", timeout)
