"""For which events runs of versions wait that a new manifest does not have: those events must go on carrying keys."""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.engine.awaiting import awaited_by
from flowlang.engine.ports import Store
from flowlang.plan import Awaited, Manifest
from flowlang.service.answers import NotDeployedError
from flowlang.service.catalogs import Catalogs


def awaited_by_others(store: Store, catalogs: Catalogs, manifest: Manifest) -> tuple[Awaited, ...]:
    """Tell what the versions wait for that a manifest leaves behind.

    A version counts while a kept run has it, an ended one too, which may be replayed on it; so do those that are active
    now, since they start runs until the new manifest is.

    Args:
        store: Knows which versions have runs.
        catalogs: Knows their plans.
        manifest: About to be deployed.

    Returns:
        In a fixed order, each once.
    """
    versions = set(_versions(store, catalogs)) - set(manifest.pipelines.values())
    programs = [program for version in sorted(versions) if (program := catalogs.program(version)) is not None]
    found = {each for program in programs for each in awaited_by(program.plan)}
    return tuple(sorted(found, key=lambda each: (each.event, each.path)))


def _versions(store: Store, catalogs: Catalogs) -> Iterator[str]:
    yield from (row.version for row in store.versions() if row.runs)
    try:
        yield from catalogs.current().manifest.pipelines.values()
    except NotDeployedError:
        return
