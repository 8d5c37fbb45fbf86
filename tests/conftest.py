"""Fixtures that all suites share: real servers to test against, and the switch that rewrites golden files."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import redis
from hypothesis import HealthCheck, settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.redaction import SECRETS, Mask
from flowlang.worker.embedded import EmbeddedServer
from tests import rabbitmq

# How long a machine takes is nothing that a test asserts: neither to draw an input nor to run it.
settings.register_profile("flowlang", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("flowlang")

#: Where another real Redis is looked for. Its database is emptied for each test.
REAL_REDIS_VARIABLE = "FLOWLANG_TEST_REDIS_URL"
REAL_REDIS_DEFAULT = "redis://127.0.0.1:6379/15"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the expected outputs, to be read in the diff"
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected outputs are to be rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(autouse=True)
def _no_secrets_of_others() -> Iterator[None]:
    """What a process must hide is its own: a test that hides `test` would have all later ones log of `***s.unit`."""
    before, SECRETS._mask = SECRETS._mask, Mask()
    yield
    SECRETS._mask = before


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A real Valkey server for this test process. Tests that stop or kill a server make their own."""
    with EmbeddedServer(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(valkey_server: EmbeddedServer) -> str:
    """An empty database for one test."""
    return _emptied(valkey_server.database_url(2))


@pytest.fixture
def broker_url(valkey_server: EmbeddedServer) -> str:
    """An empty database for one test, apart from the one of `redis_url`."""
    return _emptied(valkey_server.database_url(3))


@pytest.fixture(params=["embedded", "real"])
def any_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database on the embedded server, and once more on another Redis where one answers."""
    if request.param == "embedded":
        yield request.getfixturevalue("redis_url")
        return
    url = os.environ.get(REAL_REDIS_VARIABLE, REAL_REDIS_DEFAULT)
    with _alone_on(url) as lock:
        # A test process that was killed leaves its mark in the lock, so that its data is known to be ours.
        ours = REAL_REDIS_VARIABLE in os.environ or lock.read() != ""
        if reason := _unusable(url, ours=ours):
            if os.environ.get("CI") == "true" and REAL_REDIS_VARIABLE in os.environ:
                pytest.fail(f"{REAL_REDIS_VARIABLE} is set but cannot be used: {reason}")
            pytest.skip(f"no other Redis to test on: {reason} (set {REAL_REDIS_VARIABLE} to one)")
        lock.write("in use")
        lock.flush()
        yield _emptied(url)
        _emptied(url)
        lock.truncate(0)


@pytest.fixture(params=["embedded", "rabbitmq"])
def any_broker_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker without messages on the embedded server, and once more on RabbitMQ where one answers."""
    if request.param == "embedded":
        yield request.getfixturevalue("broker_url")
        return
    with rabbitmq_url() as url:
        yield url


@contextlib.contextmanager
def rabbitmq_url() -> Iterator[str]:
    """A RabbitMQ without messages for one test, which is skipped where none answers."""
    named = rabbitmq.VARIABLE in os.environ
    with _alone_on(rabbitmq.url()) as lock:
        if reason := rabbitmq.unusable(ours=named or lock.read() != ""):
            if os.environ.get("CI") == "true" and named:
                pytest.fail(f"{rabbitmq.VARIABLE} is set but cannot be used: {reason}")
            pytest.skip(f"no RabbitMQ to test on: {reason} (set {rabbitmq.VARIABLE} to one)")
        lock.write("in use")
        lock.flush()
        yield rabbitmq.emptied()
        rabbitmq.emptied()
        lock.truncate(0)


def _emptied(url: str) -> str:
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
    return url


def _unusable(url: str, *, ours: bool) -> str | None:
    """Say why a server cannot be used; a database that nobody named as ours must be empty."""
    with contextlib.closing(
        redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5, socket_connect_timeout=1)
    ) as client:
        try:
            if client.dbsize() and not ours:
                return f"{url} holds somebody's data"
        except redis.RedisError as error:
            return str(error)
    return None


@contextlib.contextmanager
def _alone_on(url: str) -> Iterator[IO[str]]:
    """Keep other test processes off a database that they share with us."""
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"flowlang-tests-{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        yield lock
