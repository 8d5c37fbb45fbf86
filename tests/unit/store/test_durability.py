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

    assert why_not(client, "mark", "fsync") == ""
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
    assert why_not(client, "mark", "replica") == ""

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

    assert why_not(client, "mark", "none") == ""


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [("appendonly", "no", "appendonly yes"), ("appendfsync", "no", "appendfsync everysec")],
)
def test_a_server_that_can_never_say_so_is_told_what_would_be_right(
    client: redis.Redis, setting: str, value: str, says: str
) -> None:
    client.config_set(setting, value)

    assert says in why_not(client, "mark", "fsync")


class Old:
    """A server before Redis 7.2."""

    def execute_command(self, *words: object) -> None:
        raise redis.exceptions.ResponseError(f"unknown command '{words[0]}'")


def test_an_old_server_is_told_which_version_is_right() -> None:
    durability: Durability = "fsync"

    assert "needs Redis 7.2 or Valkey" in why_not(Old(), "mark", durability)  # type: ignore[arg-type]


class Answering:
    """A server that syncs once a second, and says so at these moments.

    Args:
        moments_ms: When each question is answered.
    """

    def __init__(self, *moments_ms: float, policy: str = "everysec") -> None:
        self.moments_ms = list(moments_ms)
        self.policy = policy
        self.now_ms = 0.0

    def execute_command(self, *words: object) -> None:
        """Knows what is asked."""

    def info(self, _: str) -> dict[str, int]:
        return {"aof_enabled": 1}

    def config_get(self, _: str) -> dict[bytes, bytes]:
        return {b"appendfsync": self.policy.encode()}

    def pipeline(self, *, transaction: bool) -> Answering:
        assert not transaction
        return self

    def set(self, name: str, value: bytes, *, px: int) -> None:
        assert (name, value) == ("mark", b"")

    def execute(self) -> list[object]:
        self.now_ms = self.moments_ms.pop(0)
        return [True, [1, 0]]


@pytest.mark.parametrize(
    ("moments_ms", "policy", "trusted"),
    [
        ((70, 140, 210), "everysec", False),
        ((950, 1_020, 1_090), "everysec", False),
        ((50, 1_100), "everysec", True),  # the first question came just before a sync
        ((900, 1_900), "everysec", True),
        ((1, 2, 3), "always", True),
    ],
)
def test_a_server_that_says_so_more_often_than_it_syncs_is_not_trusted(
    moments_ms: tuple[float, ...], policy: str, *, trusted: bool
) -> None:
    server = Answering(*moments_ms, policy=policy)

    said = why_not(server, "mark", "fsync", lambda: server.now_ms)  # type: ignore[arg-type]

    assert ("appendfsync always" in said) != trusted
