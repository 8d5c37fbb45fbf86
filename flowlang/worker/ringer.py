"""Sends hints: tells idle workers that a queue has work. Off the path of commits, and free to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue

from flowlang.crashpoints import crashpoint

#: More hints than this in one go say nothing new.
MOST_AT_ONCE = 64


class Ringer:
    """A thread that sends hints.

    Args:
        send: Sends one hint for a queue; must not raise.
    """

    def __init__(self, send: Callable[[str], object]) -> None:
        self._send = send
        self._wanted: SimpleQueue[Mapping[str, int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="flowlang-ringer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Send what is wanted so far, then end."""
        self._wanted.put(None)
        self._thread.join(timeout)

    def ring(self, rings: Mapping[str, int]) -> None:
        """Want so many hints, by queue. Never blocks."""
        if rings:
            self._wanted.put(rings)

    def _run(self) -> None:
        while True:
            rings = self._wanted.get()
            if rings is None:
                return
            for queue, count in rings.items():
                for _ in range(min(count, MOST_AT_ONCE)):
                    crashpoint("hint.wanted")
                    self._send(queue)
                    crashpoint("hint.sent")
