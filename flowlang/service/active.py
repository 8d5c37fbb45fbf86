"""What a worker process goes by: the active catalog, compiled plans of any version, and the store's time.

The catalog is the service's own (`catalogs`). Who learns of another epoch (a stale accept, a reply) calls `refresh`.
"""

from __future__ import annotations

from flowlang.clock import monotonic_ms
from flowlang.engine.catalog import Catalog
from flowlang.engine.ops import Reply
from flowlang.engine.ports import Sealer, Store
from flowlang.engine.program import Program
from flowlang.engine.route import Router
from flowlang.service.answers import NotDeployedError
from flowlang.service.catalogs import Catalogs


class Active:
    """The active manifest and the time. Thread-safe.

    Args:
        store: Tells the time.
        catalogs: Knows what is deployed.
        sealer: For routers.
    """

    def __init__(self, store: Store, catalogs: Catalogs, sealer: Sealer) -> None:
        self._store = store
        self._catalogs = catalogs
        self._sealer = sealer
        self._epoch = 0
        self._clock: tuple[int, float] | None = None

    def catalog(self) -> Catalog:
        """The catalog as last read. Raises: NotDeployedError."""
        return self._catalogs.current()

    def refresh(self) -> bool:
        """Look whether another manifest has become active; returns whether it has."""
        return self._catalogs.refresh()

    def program(self, version: str) -> Program:
        """The compiled plan of a version.

        Raises:
            NotDeployedError: when the store has no such plan.
            PlanFormatError: when this release cannot read it.
        """
        program = self._catalogs.program(version)
        if program is None:
            raise NotDeployedError(f"plan {version[:12]} is not in the store")
        return program

    def saw(self, reply: Reply) -> bool:
        """Learn the store's time from a reply. Returns whether its epoch is another than the last one seen."""
        self._clock = (reply.now_ms, monotonic_ms())
        changed = reply.epoch != self._epoch
        self._epoch = reply.epoch
        return changed

    def now_ms(self) -> int:
        """The store's time, as the last reply said it and what has passed since.

        Unlike the store's own `now_ms` it never asks again: a turn must not wait for a store that is away.
        """
        clock = self._clock
        if clock is None:
            clock = self._clock = (self._store.now_ms(), monotonic_ms())
        return clock[0] + int(monotonic_ms() - clock[1])

    def router(self) -> Router:
        """A router for now, by the catalog as last read."""
        return Router(self.catalog(), self._sealer, self.now_ms())
