"""Connections for calls that must be quick: one command, one answer, nothing in between.

The client's own way round a command (events, retries, observation, a look at the socket before each use) takes longer
than a small call takes the server. Here a connection that is at hand is used as it is. One that has been idle is
looked at first, since the server may have closed it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

import redis

from flowlang.clock import monotonic_ms

#: Errors after which a connection is as good as before.
_HARMLESS = frozenset(
    {redis.exceptions.ResponseError, redis.exceptions.OutOfMemoryError, redis.exceptions.NoScriptError}
)

#: A connection that was used within so many milliseconds is not looked at.
FRESH_MS = 1_000.0


class Connections:
    """Connections of a pool that are kept out of it between two commands. Thread-safe.

    Args:
        pool: Where they come from.
        on_sent: Called when a command is on its way and has no answer.
    """

    def __init__(self, pool: redis.ConnectionPool, on_sent: Callable[[], object] = lambda: None) -> None:
        self._pool = pool
        self._on_sent = on_sent
        self._idle: deque[tuple[Any, float, int]] = deque()  #: connection, last use, process

    def call(self, *command: Any) -> Any:
        """Send a command and read its answer.

        Raises:
            redis.RedisError: what the server answers as an error, or why there is no answer.
        """
        connection = self._take()
        try:
            connection.send_command(*command, check_health=False)
            self._on_sent()
            answer = connection.read_response()
        except redis.exceptions.ResponseError as error:
            if type(error) not in _HARMLESS:  # a server that has become a replica, say: look for another
                connection.disconnect()
            self._idle.append((connection, monotonic_ms(), os.getpid()))
            raise
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            self.close()  # the others are probably no better: the pool looks at each before it is used again
            raise
        self._idle.append((connection, monotonic_ms(), os.getpid()))
        return answer

    def close(self) -> None:
        """Give the connections back."""
        while self._idle:
            try:
                connection, _, process = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if process == os.getpid():
                self._pool.release(connection)

    def _take(self) -> Any:
        while self._idle:
            try:
                connection, used_ms, process = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if process != os.getpid():
                continue  # it belongs to the process that forked this one
            if monotonic_ms() - used_ms > FRESH_MS:
                self._pool.release(connection)
                break  # the pool looks whether it is still good
            return connection
        return self._pool.get_connection()
