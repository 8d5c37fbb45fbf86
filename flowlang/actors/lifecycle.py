"""Middleware of ours: the runtime's life follows the worker's, and no process hoards hints.

Owns the hooks between a Dramatiq worker and the runtime. What the runtime does in them is left to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from dramatiq.middleware import Middleware, MiddlewareError

if TYPE_CHECKING:
    from dramatiq import Broker, Worker


def _nothing(_: object) -> None:
    """Do nothing: the default of a hook."""


class Lifecycle(Middleware):
    """Calls the runtime when a worker starts and stops.

    Args:
        on_boot: Called in the process that works, before the first message is fetched. What it raises ends the start:
            a worker without its runtime must not look alive.
        on_stop: Called first when the worker stops, while its threads still finish their messages.
        on_stopped: Called last, when all threads have ended; the place to close resources.
        on_process_boot: Called when the `dramatiq` command has made a process, before it imports the user's modules.
    """

    def __init__(
        self,
        *,
        on_boot: Callable[[Worker], None] = _nothing,
        on_stop: Callable[[Worker], None] = _nothing,
        on_stopped: Callable[[Worker], None] = _nothing,
        on_process_boot: Callable[[Broker], None] = _nothing,
    ) -> None:
        self._on_boot = on_boot
        self._on_stop = on_stop
        self._on_stopped = on_stopped
        self._on_process_boot = on_process_boot

    def after_process_boot(self, broker: Broker) -> None:
        """Tell that a process has begun."""
        self._on_process_boot(broker)

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Tell that a worker is about to fetch.

        Raises:
            MiddlewareError: When the runtime cannot start; Dramatiq only logs errors of other types.
        """
        try:
            self._on_boot(worker)
        except Exception as error:
            raise MiddlewareError(f"the runtime did not start: {error}") from error

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Tell that a worker begins to stop."""
        self._on_stop(worker)

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Tell that a worker has stopped."""
        self._on_stopped(worker)


class SmallPrefetch(Middleware):
    """Lets a worker hold as many hints as it has threads, so that a hint never waits behind a busy process.

    Dramatiq fetches twice that. Its own setting, the environment variable `dramatiq_queue_prefetch`, wins.
    """

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Set the worker's prefetch before its consumers start."""
        if "dramatiq_queue_prefetch" not in os.environ:
            worker.queue_prefetch = worker.worker_threads
