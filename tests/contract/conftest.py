"""Every backend for every test of the contract, and the check that no key outlives its purpose."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from flowlang.clock import ManualClock
from flowlang.engine.reference.tables import SEP
from flowlang.store.keys import FAMILY, PERMANENT, RUN, SINGLE, Keys
from flowlang.store.memory import MemoryStore
from flowlang.store.redis import RedisStore
from tests.contract.rig import Rig


@pytest.fixture(params=["memory", "embedded", "real"])
def any_redis_url(request: pytest.FixtureRequest) -> str | None:
    """The servers of the fixture that this one stands before, and None for the memory store."""
    if request.param == "memory":
        return None
    url: str = request.getfixturevalue("any_redis_url")
    return url


@pytest.fixture
def rig(any_redis_url: str | None) -> Iterator[Rig]:
    """One backend with its clock; when the test is over its keys are checked."""
    if any_redis_url is None:
        clock = ManualClock()
        yield Rig(MemoryStore(clock), clock.advance)
        return
    with contextlib.closing(RedisStore(any_redis_url, test_clock=True)) as store:
        yield Rig(store, moved_clock(store))
    assert leaked_keys(any_redis_url) == []


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[RedisStore]:
    """The Redis store alone, on the embedded server."""
    with contextlib.closing(RedisStore(redis_url, test_clock=True)) as store:
        yield store
    assert leaked_keys(redis_url) == []


def moved_clock(store: RedisStore) -> Callable[[int], None]:
    """Make the function that moves a store's test clock."""
    moved = 0

    def advance(by_ms: int) -> None:
        nonlocal moved
        moved += by_ms
        store.set_test_clock(moved)

    return advance


def leaked_keys(url: str) -> list[str]:
    """Name the keys that have no expiry, are not on the list of permanent ones, and belong to no run that is kept."""
    keys = Keys()
    with contextlib.closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        every = list(client.scan_iter(count=1000))
        pipe = client.pipeline(transaction=False)
        for key in every:
            pipe.pttl(key)
        endless = [key for key, left_ms in zip(every, pipe.execute(), strict=True) if left_ms == -1]
        runs = {key: run for key in endless if (run := _run_of(keys, key)) is not None}
        kept = {run: _is_kept(client, keys, run) for run in set(runs.values())}
        return [key for key in endless if not _is_permanent(keys, key) and not kept.get(runs.get(key, ""), False)]


def _is_permanent(keys: Keys, key: str) -> bool:
    return any(
        key == keys.single(name) if name in SINGLE else key.startswith(keys.family(name, "")) for name in PERMANENT
    )


def _run_of(keys: Keys, key: str) -> str | None:
    """The run that a key is of, if it is of one."""
    if not key.startswith(keys.base + FAMILY["run"]):
        return None
    run = key.removeprefix(keys.base + FAMILY["run"])
    for suffix in RUN.values():
        run = run.removesuffix(suffix)
    return run


def _is_kept(client: Any, keys: Keys, run: str) -> bool:
    """Whether a run's root has not ended, or a dead letter or the end of its family keeps it."""
    root = client.hget(keys.family("run", run), "root") or run
    status, under, pipeline = client.hmget(keys.family("run", root), ["status", "under", "pipeline"])
    if status in {"pending", "running"} or client.zscore(keys.single("dead"), root) is not None:
        return True
    collected = client.zscore(keys.single("expiry"), f"{root}{SEP}{pipeline}") is not None
    return under is not None and (int(under) > 0 or collected)
