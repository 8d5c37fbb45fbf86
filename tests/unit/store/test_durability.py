"""`durable: fsync|replica`: the server is asked, and its answer is checked; one that can never say so is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from flowlang.errors import NotDurableError
from flowlang.plan import Durability
from flowlang.store.durability import secure, why_not
from flowlang.worker.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path_factory.mktemp("durable"), appendfsync="always") as started:
        yield started


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(server.url, socket_timeout=60)) as connected:
        yield connected
        connected.config_set("appendonly", "yes")
        connected.config_set("appendfsync", "always")


def test_what_was_written_is_on_disk_when_the_server_says_so(client: redis.Redis) -> None:
    client.set("event", "stored")

    secure(client, "mark", "fsync")

    assert why_not(client, "fsync") == ""
    assert 0 < client.pttl("mark") <= 60_000


def test_what_is_not_on_disk_in_time_is_not_said_to_be(client: redis.Redis) -> None:
    client.config_set("appendfsync", "no")

    with pytest.raises(NotDurableError, match="not on disk after 50 ms"):
        secure(client, "mark", "fsync", 50)


def test_a_repeat_on_another_connection_waits_for_what_the_first_has_written(client: redis.Redis) -> None:
    """A connection that has written nothing is answered at once: the question must come behind a write of its own."""
    client.config_set("appendfsync", "no")
    client.set("event", "stored")
    client.connection_pool.disconnect()

    with pytest.raises(NotDurableError):
        secure(client, "mark", "fsync", 50)


def test_without_a_replica_nothing_is_with_one(client: redis.Redis) -> None:
    assert why_not(client, "replica") == ""

    with pytest.raises(NotDurableError, match="no replica had it after 50 ms"):
        secure(client, "mark", "replica", 50)


def test_with_a_replica_it_is(server: EmbeddedServer, client: redis.Redis, tmp_path: Path) -> None:
    primary = urlsplit(server.url)
    with (
        EmbeddedServer(tmp_path / "replica") as second,
        contextlib.closing(redis.Redis.from_url(second.url)) as replica,
    ):
        client.config_set("repl-diskless-sync-delay", 0)
        replica.config_set("masterauth", str(primary.password))
        replica.replicaof(primary.hostname, primary.port)

        secure(client, "mark", "replica", 20_000)

        assert client.info("replication")["connected_slaves"] == 1


def test_nothing_is_asked_when_nothing_is_to_be_sure(client: redis.Redis) -> None:
    client.config_set("appendonly", "no")

    assert why_not(client, "none") == ""


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [("appendonly", "no", "appendonly yes"), ("appendfsync", "no", "appendfsync everysec")],
)
def test_a_server_that_can_never_say_so_is_told_what_would_be_right(
    client: redis.Redis, setting: str, value: str, says: str
) -> None:
    client.config_set(setting, value)

    assert says in why_not(client, "fsync")


class Old:
    """A server before Redis 7.2."""

    def execute_command(self, *words: object) -> None:
        raise redis.exceptions.ResponseError(f"unknown command '{words[0]}'")


def test_an_old_server_is_told_which_version_is_right() -> None:
    durability: Durability = "fsync"

    assert "needs Redis 7.2 or Valkey" in why_not(Old(), durability)  # type: ignore[arg-type]
