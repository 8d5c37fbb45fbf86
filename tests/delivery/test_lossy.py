"""The network that breaks is itself whole: what it has opened it closes."""

from __future__ import annotations

import contextlib
import gc
import socket
from random import Random
from urllib.parse import urlsplit

import pytest

from tests.delivery.lossy import Lossy


@pytest.mark.parametrize("seed", range(10))
def test_connections_that_are_under_way_at_its_end_are_closed(seed: int) -> None:
    with contextlib.ExitStack() as ours:
        server = ours.enter_context(socket.create_server(("127.0.0.1", 0)))  # it takes whoever comes, and says nothing
        with Lossy(server.getsockname()[1], Random(seed), lost=50) as lossy:
            address = "127.0.0.1", urlsplit(lossy.url).port
            for _ in range(5):
                ours.enter_context(socket.create_connection(address)).send(b"x")
    gc.collect()  # what is still open would say so now, which is an error in tests
