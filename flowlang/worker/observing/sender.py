"""Sends what has happened to a receiver, beside the work: a bounded queue and a thread, free to fail."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)

#: What waits for a receiver that is slow or away; more is dropped.
ROOM = 2_000
#: So much goes in one request.
BATCH = 200
#: Times that a request is tried, and the pause before the second one, seconds; doubled before the third.
TRIES = 3
PAUSE_S = 1.0


class Sender:
    """A queue before a receiver.

    Args:
        name: Of the receiver, for the log.
        post: Sends some items in one request; raises when that was not taken.
        redact: Cleans texts of secrets.
        room: How many items may wait.
        batch: How many go in one request.
        pause: Waits so many seconds, or until the sender is to end.
    """

    def __init__(
        self,
        name: str,
        post: Callable[[Sequence[Any]], None],
        *,
        redact: Callable[[str], str] = str,
        room: int = ROOM,
        batch: int = BATCH,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.sent = 0
        self.dropped = 0
        self._name = name
        self._post = post
        self._redact = redact
        self._room = room
        self._batch = batch
        self._ending = threading.Event()
        self._pause = pause or self._ending.wait
        self._waiting: deque[Any] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._said = 0
        self._thread = threading.Thread(target=self._run, name=f"flowlang-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, item: Any) -> None:
        """Let an item wait for its turn. Never blocks; when there is no room, the item is dropped and counted."""
        with self._changed:
            if len(self._waiting) < self._room and not self._stopping:
                self._waiting.append(item)
                self._changed.notify()
                return
        self.drop(1, "it is slower than what happens")

    def stop(self, timeout: float = 2.0) -> None:
        """Send what waits, as far as that goes in the time, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._ending.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                items = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            self.send(items)

    def send(self, items: Sequence[Any]) -> None:
        """Send some items now, in one request that is tried again when it fails; then they are dropped."""
        why = ""
        for tried in range(TRIES):
            if tried:
                self._pause(PAUSE_S * 2 ** (tried - 1))
            try:
                self._post(items)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the receiver's trouble
                why = self._redact(f"{type(error).__name__}: {error}")[:300]
            else:
                self.sent += len(items)
                return
        self.drop(len(items), why)

    def drop(self, count: int, why: str = "there are too many at once") -> None:
        """Count items that are not sent, and say so in the log now and then."""
        self.dropped += count
        if self.dropped >= self._said * 2:  # the first one, and each time that it has become twice as many
            self._said = self.dropped
            log.warning("%s: %d dropped so far; %s", self._name, self.dropped, why)
