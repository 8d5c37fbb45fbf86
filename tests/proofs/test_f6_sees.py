"""F6 sees what it is there to see: a flush that is missing, and an answer that came before the disk had the event."""

from __future__ import annotations

import contextlib
from pathlib import Path
from random import Random

import pytest
import redis

from flowlang.engine.ops import Accept, Commit
from flowlang.engine.reference import Partition
from flowlang.store.durability import why_not
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.proofs.f6 import _difference, _unended
from tests.proofs.fsynced import can_be_measured, measure_loss
from tests.proofs.histories import History, Telling


def test_a_flush_that_is_missing_is_seen(redis_url: str) -> None:
    with contextlib.closing(RedisStore(redis_url, test_clock=True)) as store:
        telling = Telling(store, "one-")
        history = History(telling, Random(7))
        reference = Partition()
        known = seen = 0
        for _ in range(40):
            history.step()
            new, known = telling.told[known:], len(telling.told)
            for told in new:
                seen += any(isinstance(op, Accept | Commit) for op in told.ops) and _difference(store, reference) != ""
                reference.apply(told.flush, told.ops, told.claim, now_ms=told.now_ms)
            assert _difference(store, reference) == ""
        assert seen > 10


def test_a_run_that_has_not_ended_is_seen(redis_url: str) -> None:
    with contextlib.closing(RedisStore(redis_url, test_clock=True)) as store:
        history = History(Telling(store, "one-"), Random(7))
        history.project.send("shop/order", {"n": 1})
        assert "is pending" in _unended(store)
        history.to_the_end()
        assert _unended(store) == ""


@pytest.mark.skipif(not can_be_measured(), reason="there is no strace here")
def test_a_server_that_is_refused_would_have_lost_what_it_said_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedServer(tmp_path) as server, contextlib.closing(redis.Redis.from_url(server.url)) as client:
        refused = why_not(client, "mark", "fsync") != ""
    monkeypatch.setattr("flowlang.store.redis.why_not", lambda *_: "")

    loss = measure_loss(8, "everysec")

    assert loss is not None
    assert (loss.lost > 0) == refused
