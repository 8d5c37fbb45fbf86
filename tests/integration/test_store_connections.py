"""Connections for flushes, against a server that stands still: it is not waited for without end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.connections import Connections
from flowlang.worker.embedded import EmbeddedServer

ANSWER_TIMEOUT_S = 0.5

#: What is said of a server that does not answer; for each the store cannot be reached.
SILENT = (redis.exceptions.TimeoutError, redis.exceptions.ConnectionError)
#: More octets than the buffers between the two hold.
LARGE = 64_000_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "server") as server:
        yield server


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(
        server.url, retry=Retry(NoBackoff(), 0), socket_timeout=ANSWER_TIMEOUT_S, socket_connect_timeout=30
    ) as client:
        yield client


@contextlib.contextmanager
def standing_still(server: EmbeddedServer) -> Iterator[None]:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize("length", [1, LARGE], ids=["that does not answer", "that does not even read"])
def test_a_server_is_not_waited_for_without_end(client: redis.Redis, server: EmbeddedServer, length: int) -> None:
    with contextlib.closing(Connections(client.connection_pool)) as connections:
        assert connections.call("SET", "a", 1) == b"OK"
        with standing_still(server), pytest.raises(SILENT):
            connections.call("SET", "b", b"x" * length)


def test_a_late_answer_is_nobody_elses(client: redis.Redis) -> None:
    with contextlib.closing(Connections(client.connection_pool)) as connections:
        assert connections.call("RPUSH", "a", 1) == 1
        with pytest.raises(SILENT):
            connections.call("BLPOP", "nothing", 0)
        assert connections.call("LRANGE", "a", 0, -1) == [b"1"]


def test_a_connection_that_goes_back_to_the_pool_keeps_its_time_out(client: redis.Redis) -> None:
    with contextlib.closing(Connections(client.connection_pool)) as connections:
        assert connections.call("PING") == b"PONG"
    with pytest.raises(SILENT):
        client.blpop("nothing", 0)
