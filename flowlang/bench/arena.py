"""A store to measure in: it is filled with runs, and tells how many have ended and when, without disturbing workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang import bootstrap
from flowlang.bench.workers import Workers
from flowlang.errors import StoreError, StoreUnavailableError
from flowlang.plan import Manifest, Plan
from flowlang.service import IncomingEvent, Service
from flowlang.settings import Settings
from flowlang.store import script
from flowlang.store.keys import Keys

#: Statuses of runs that have ended.
ENDED = ("succeeded", "failed", "cancelled", "skipped")

#: Events of a call.
_EVENTS = 50

#: Rows that are read at a time.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Times:
    """When a run was made, began and ended, in ms of the server's clock."""

    status: str
    created_ms: int
    started_ms: int
    ended_ms: int


class Arena:
    """A store with something deployed; see `opened`.

    Args:
        settings: Of the store and of its workers.
        service: Its use cases.
        client: A connection of our own to its database.
    """

    def __init__(self, settings: Settings, service: Service, client: redis.Redis) -> None:
        self.settings = settings
        self.service = service
        self.client = client
        self._keys = Keys(settings.namespace)
        self._had_library = self._has_library()

    def deploy(self, *plans: Plan) -> None:
        """Make these pipelines the active ones."""
        self.service.deploy(Manifest("bench", {plan.pipeline: plan.digest for plan in plans}), plans)

    def send(self, name: str, data: Sequence[Any], tell: Callable[[int], None] = lambda _: None) -> list[str]:
        """Send an event for each of these, and return the ids of the runs that they made.

        Args:
            name: Of the events.
            data: Of each.
            tell: Told how many have been sent.
        """
        runs: list[str] = []
        for at in range(0, len(data), _EVENTS):
            events = [IncomingEvent(name=name, data=each) for each in data[at : at + _EVENTS]]
            runs += [run.id for answer in self.service.ingest(events) for run in answer.runs]
            tell(min(at + _EVENTS, len(data)))
        return runs

    def workers(self, count: int, extra: Mapping[str, str] | None = None) -> Workers:
        """Worker processes of this store."""
        return Workers(self.settings, count, extra)

    def ended(self) -> int:
        """How many runs have ended, by one question that reads no run."""
        pipe = self.client.pipeline(transaction=False)
        for status in ENDED:
            pipe.zcard(self._keys.family("by_status", status))
        return sum(pipe.execute())

    def times(self, runs: Sequence[str]) -> list[Times]:
        """When runs began to exist and ended; only those that have ended."""
        found: list[Times] = []
        for at in range(0, len(runs), _PAGE):
            pipe = self.client.pipeline(transaction=False)
            for run in runs[at : at + _PAGE]:
                pipe.hmget(self._keys.family("run", run), ["status", "created_ms", "started_ms", "ended_ms"])
            for status, created, started, ended in pipe.execute():
                if ended is not None:
                    found.append(Times(status.decode(), int(created), int(started or created), int(ended)))
        return found

    def clear(self) -> None:
        """Remove every key of this store and of its broker, and the store's functions if they were not there before."""
        if not self._had_library and self._has_library():
            self.client.function_delete(script.name())
        for url in (self.settings.redis_url, self.settings.broker):
            assert url is not None
            with _connected(url) as client:
                _remove(client, f"{self.settings.namespace}:*")

    def _has_library(self) -> bool:
        return bool(self.client.function_list(script.name()))


@contextmanager
def opened(settings: Settings) -> Iterator[Arena]:
    """Open a store to measure in.

    Raises:
        StoreUnavailableError: when it does not answer, then or later.
        StoreError: when it refuses what is asked of it.
    """
    assert settings.redis_url is not None
    try:
        with _connected(settings.redis_url) as client, bootstrap.open_service(settings) as service:
            yield Arena(settings, service, client)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise StoreUnavailableError(str(error)) from error
    except redis.RedisError as error:
        raise StoreError(str(error)) from error


def _connected(url: str) -> redis.Redis:
    """A connection that says at once when the server has gone."""
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0))


def _remove(client: redis.Redis, pattern: str) -> None:
    keys: Iterable[Any] = client.scan_iter(match=pattern, count=1000)
    batch: list[Any] = []
    for key in keys:
        batch.append(key)
        if len(batch) == _PAGE:
            client.unlink(*batch)
            batch.clear()
    if batch:
        client.unlink(*batch)
