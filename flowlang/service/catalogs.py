"""The active manifest, read once an epoch: plans, programs and the catalog made of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from flowlang.crashpoints import crashpoint
from flowlang.engine.catalog import Catalog
from flowlang.engine.ports import Store
from flowlang.engine.program import Program
from flowlang.plan import Manifest, manifest_from_json, plan_from_json
from flowlang.service.answers import NotDeployedError


class Catalogs:
    """Keeps the catalog of the active epoch, and the programs of all versions that were asked for.

    Args:
        store: Holds manifest and plans.
        salt: The store's secret for hashes of users' keys.
    """

    def __init__(self, store: Store, salt: bytes = b"") -> None:
        self._store = store
        self._salt = salt
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None
        self._programs: dict[str, Program] = {}

    def current(self) -> Catalog:
        """The catalog as far as is known.

        Raises:
            NotDeployedError: when nothing has been deployed.
        """
        if self._catalog is None:
            self.refresh()
        if self._catalog is None:
            raise NotDeployedError("nothing is deployed: run `flowlang deploy` (or `flowlang dev`)")
        return self._catalog

    @property
    def known(self) -> Catalog | None:
        """The catalog that was read last; None when none has been. Asks nobody."""
        return self._catalog

    def refresh(self) -> bool:
        """Look whether another manifest has become active, and take it.

        Returns:
            Whether the catalog changed.
        """
        with self._lock:
            found = self._store.manifest()
            crashpoint("manifest.read")
            known = self._catalog
            if found is None or (known is not None and known.epoch == found[0]):
                return False
            try:
                self._catalog = self._read(*found)
            except LookupError:
                latest = self._store.manifest()
                if latest is None or latest == found:
                    raise
                self._catalog = self._read(*latest)  # a deploy has come between, which dropped plans of the one before
            return True

    def _read(self, epoch: int, payload: bytes) -> Catalog:
        manifest = manifest_from_json(payload)
        for version in manifest.pipelines.values():
            self._programs.pop(version, None)  # a version that was deployed again may be written in other places
        programs = {name: self._program(version) for name, version in manifest.pipelines.items()}
        return Catalog(manifest, epoch, programs, self._salt)

    def program(self, version: str) -> Program | None:
        """A version of a pipeline, active or not; None when its plan is not stored any more."""
        with self._lock:
            try:
                return self._program(version)
            except LookupError:
                return None

    def trial(self, manifest: Manifest, plans: Iterable[Program]) -> Catalog:
        """A catalog of what is about to be deployed: whatever does not compile is found here."""
        return Catalog(manifest, 0, {program.plan.pipeline: program for program in plans}, self._salt)

    def _program(self, version: str) -> Program:
        known = self._programs.get(version)
        if known is None:
            payload = self._store.plan(version)
            if payload is None:
                raise LookupError(f"the store has no plan {version}")
            known = self._programs[version] = Program(plan_from_json(payload), version)
        return known
