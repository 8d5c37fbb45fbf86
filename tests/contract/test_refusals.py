"""Refused deliveries are counted by webhook and reason, and nothing else of them is kept."""

from __future__ import annotations

from typing import Any

from flowlang.engine.ports import REFUSALS_KEPT_MS, RefusalRow
from flowlang.store.fsck import check_server
from flowlang.store.memory import MemoryStore
from flowlang.store.redis import RedisStore
from tests.contract.rig import Rig

BOTH = ("crm", "stripe")


def test_refusals_are_counted_with_their_first_and_last_time_the_last_first(rig: Rig) -> None:
    assert rig.store.refusals(BOTH) == []
    began = rig.store.now_ms()
    rig.store.refused("stripe", "too old")
    rig.advance(10_000)
    rig.store.refused("crm", "there is no signature")
    rig.advance(10_000)
    rig.store.refused("stripe", "too old")
    rig.store.refused("stripe", "no signature matches")

    rows = rig.store.refusals(BOTH)
    assert [(row.webhook, row.reason, row.count) for row in rows][2] == ("crm", "there is no signature", 1)
    assert {(row.webhook, row.reason): row.count for row in rows} == {
        ("stripe", "too old"): 2,
        ("stripe", "no signature matches"): 1,
        ("crm", "there is no signature"): 1,
    }
    assert [row.webhook for row in rig.store.refusals(["crm", "nobody"])] == ["crm"]
    old = next(row for row in rows if row.reason == "too old")
    assert began <= old.first_ms < began + 10_000 <= old.last_ms - 10_000 < began + 20_000


def test_counts_go_some_time_after_the_last_one(rig: Rig) -> None:
    rig.store.refused("stripe", "too old")
    if isinstance(rig.store, MemoryStore):
        rig.advance(REFUSALS_KEPT_MS - 1)
        rig.store.refused("stripe", "too old")
        rig.advance(REFUSALS_KEPT_MS - 1)
        (row,) = rig.store.refusals(BOTH)
        assert isinstance(row, RefusalRow)
        assert row.count == 2
        rig.advance(1)
        assert rig.store.refusals(BOTH) == []


def test_fsck_knows_the_keys_of_refusals(redis_store: RedisStore, redis_url: str) -> None:
    redis_store.refused("stripe", "too old")
    report = check_server(redis_url, namespace="flowlang", now_ms=redis_store.now_ms, pause=lambda _: None)
    assert report.findings == ()


def test_the_counts_of_a_webhook_end_by_themselves(redis_store: RedisStore) -> None:
    redis_store.refused("stripe", "too old")
    left_ms: Any = redis_store._client.pttl(redis_store.keys.family("refusals", "stripe"))
    assert REFUSALS_KEPT_MS - 60_000 < left_ms <= REFUSALS_KEPT_MS
