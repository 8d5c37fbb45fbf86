"""The HTTP edge of a world, in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx

from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from tests.access import bearer, developing
from tests.e2e.world import World


@contextlib.contextmanager
def served(world: World) -> Iterator[httpx.Client]:
    """Serve a world, and give a client of it."""
    server = HttpServer(create_app(world.service, secrets={}, keys=developing(world.service.store)), port=0)
    server.start()
    try:
        with httpx.Client(base_url=server.url, headers=bearer(), trust_env=False, timeout=60) as client:
            yield client
    finally:
        server.stop()
