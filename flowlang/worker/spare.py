"""Threads for work that nobody was told of.

Hints come through a broker, and nothing may depend on them: they are lost, late, or the broker is away. Each process
sweeps the store once a second and, while it has idle threads, claims one row in the same call. Such a row is run here,
and its thread goes on with the next ones until there are none; so a process that hears no hint at all gets to all of
its threads in as many seconds. So is what comes in while those that were lent are all at work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flowlang.clock import monotonic_ms

log = logging.getLogger(__name__)


class SpareThreads:
    """Threads that live as long as there is work.

    Args:
        work: Works until there is nothing left to do.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def start(self) -> None:
        """Work on one thread more."""
        thread = threading.Thread(target=self._run, name="flowlang-spare", daemon=True)
        with self._lock:  # one that has not begun cannot be joined
            thread.start()
            self._threads.add(thread)

    def join(self, seconds: float) -> None:
        """Wait until all have ended, those too that are started meanwhile; but not longer than `seconds`."""
        until = monotonic_ms() + seconds * 1000
        while True:
            with self._lock:
                thread = next(iter(self._threads), None)
            left_ms = until - monotonic_ms()
            if thread is None or left_ms <= 0:
                return
            thread.join(left_ms / 1000)

    def _run(self) -> None:
        try:
            self._work()
        except Exception:
            log.exception("a thread ended; the lease of what it ran will run out")
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
