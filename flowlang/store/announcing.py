"""A process says which keys it has, for as long as it lives, so that `doctor` sees when two do not agree."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from flowlang.errors import StoreError

log = logging.getLogger(__name__)

#: Between two times that it is said; well within the store's `ANNOUNCED_MS`.
EVERY_S: Final = 30.0


class Board(Protocol):
    """Where it is said: the Redis store."""

    def announce_keys(self, process: str, marks: Sequence[str]) -> None:
        """Say it."""

    def withdraw_keys(self, process: str, marks: Sequence[str]) -> None:
        """Take it back."""


class Announcer:
    """Says it on a thread of its own; a context manager.

    Args:
        board: Where.
        kind: What the process is: `worker` or `server`.
        marks: Of its keys, as `Keyring.marks` gives them.
    """

    def __init__(self, board: Board, kind: str, marks: Sequence[str]) -> None:
        self._board = board
        self._process = f"{kind} {os.getpid()} on {socket.gethostname()}"
        self._marks = tuple(marks)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flowlang-keys", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin; the first time is at once."""
        self._thread.start()

    def stop(self) -> None:
        """Take it back, and end the thread."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        try:
            self._board.withdraw_keys(self._process, self._marks)
        except StoreError as error:
            log.debug("the keys of %s could not be withdrawn: %s", self._process, error)

    def _run(self) -> None:
        while True:
            try:
                self._board.announce_keys(self._process, self._marks)
            except StoreError as error:
                log.debug("the keys of %s could not be told: %s", self._process, error)
            if self._over.wait(EVERY_S):
                return
