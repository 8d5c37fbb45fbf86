"""What is deployed, as this process knows it: the active catalog, compiled plans of any version, and the store's time.

One for each process, shared by its service and its worker. Routing follows the manifest in the store, not local files;
who learns of another epoch (a stale accept, a reply) calls `refresh`.
"""

from __future__ import annotations

import logging
import threading

from flowlang.clock import monotonic_ms
from flowlang.engine.catalog import Catalog
from flowlang.engine.ops import Reply
from flowlang.engine.ports import Sealer, Store
from flowlang.engine.program import Program
from flowlang.engine.route import Router
from flowlang.errors import StoreError
from flowlang.plan import Manifest, manifest_from_json, plan_from_json

log = logging.getLogger(__name__)

EMPTY = Catalog(Manifest("", {}), 0, {})


class NotDeployedError(StoreError):
    """A plan that a run needs is not in the store."""


class Active:
    """The active manifest and the time. Thread-safe.

    Args:
        store: Where both come from.
        sealer: For routers.
    """

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer
        self._lock = threading.Lock()
        self._programs: dict[str, Program] = {}
        self._catalog = EMPTY
        self._clock: tuple[int, float] | None = None

    @property
    def catalog(self) -> Catalog:
        """The catalog as last read; an empty one of epoch 0 before the first deploy."""
        return self._catalog

    def refresh(self) -> Catalog:
        """Read the active manifest when it is another than the one known.

        Raises:
            StoreUnavailableError: when the store does not answer.
        """
        found = self._store.manifest()
        with self._lock:
            if found is None or found[0] == self._catalog.epoch:
                return self._catalog
        epoch, stored = found
        manifest = manifest_from_json(stored)
        programs = {name: self.program(version) for name, version in manifest.pipelines.items()}
        catalog = Catalog(manifest, epoch, programs)
        with self._lock:
            if epoch > self._catalog.epoch:
                self._catalog = catalog
                log.info("epoch %s is active: %s pipelines", epoch, len(programs))
            return self._catalog

    def program(self, version: str) -> Program:
        """The compiled plan of a version.

        Raises:
            NotDeployedError: when the store has no such plan.
            PlanFormatError: when this release cannot read it.
        """
        with self._lock:
            known = self._programs.get(version)
        if known is not None:
            return known
        stored = self._store.plan(version)
        if stored is None:
            raise NotDeployedError(f"plan {version[:12]} is not in the store")
        program = Program(plan_from_json(stored), version)
        with self._lock:
            return self._programs.setdefault(version, program)

    def saw(self, reply: Reply) -> bool:
        """Learn the store's time from a reply. Returns whether the reply's epoch is another than the known one."""
        self._clock = (reply.now_ms, monotonic_ms())
        return reply.epoch != self._catalog.epoch

    def now_ms(self) -> int:
        """The store's time, estimated from the last reply by how long ago it came."""
        clock = self._clock
        if clock is None:
            now = self._store.now_ms()
            self._clock = (now, monotonic_ms())
            return now
        return clock[0] + int(monotonic_ms() - clock[1])

    def router(self) -> Router:
        """A router for now, by the catalog as last read."""
        return Router(self._catalog, self._sealer, self.now_ms())
