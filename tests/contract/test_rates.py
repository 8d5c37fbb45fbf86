"""Bounded rates on every backend, and the script beside the reference."""

from __future__ import annotations

import random
import threading

from flowlang.clock import ManualClock
from flowlang.engine.ports import Spent
from flowlang.rates import parse_rate
from flowlang.service.rates import Budgets
from flowlang.store.fsck import check_server
from flowlang.store.memory import MemoryStore
from flowlang.store.redis import RedisStore
from tests.access import made
from tests.contract.conftest import moved_clock
from tests.contract.rig import Rig

HOUR_MS = 3_600_000
HOUR_US = HOUR_MS * 1_000


def test_a_rate_is_granted_until_it_is_used_up_and_again_in_time(rig: Rig) -> None:
    terms = {"step_us": HOUR_US, "cap_us": 3 * HOUR_US}
    assert rig.store.spend("a", **terms, least=1, want=2) == Spent(2, 0)
    assert rig.store.spend("b", **terms, least=1, want=9) == Spent(3, 0)
    assert rig.store.spend("a", **terms, least=1, want=9) == Spent(1, 0)
    refused = rig.store.spend("a", **terms, least=1, want=1)
    assert refused.granted == 0
    assert 0 < refused.wait_us <= HOUR_US
    rig.advance(HOUR_MS)
    assert rig.store.spend("a", **terms, least=1, want=9).granted == 1
    assert rig.store.spend("a", **terms, least=4, want=4).granted == 0


def test_the_script_and_the_reference_grant_the_same(redis_store: RedisStore) -> None:
    """In steps of hours, so that the time that the test takes makes no difference."""
    clock, advance = ManualClock(), moved_clock(redis_store)
    memory = MemoryStore(clock)
    chance = random.Random(7)
    for _ in range(400):
        hours = chance.choice([0, 0, 1, 2, 9])
        clock.advance(hours * HOUR_MS)
        advance(hours * HOUR_MS)
        least = chance.randint(1, 4)
        asked = {
            "step_us": HOUR_US,
            "cap_us": chance.choice([3, 5]) * HOUR_US + HOUR_US // 2,
            "least": least,
            "want": least + chance.randint(0, 3),
        }
        name = chance.choice("ab")
        ours, theirs = memory.spend(name, **asked), redis_store.spend(name, **asked)
        assert ours.granted == theirs.granted
        assert abs(ours.wait_us - theirs.wait_us) < 60_000_000


def test_threads_of_many_processes_together_get_no_more_than_the_rate(redis_store: RedisStore) -> None:
    rate = parse_rate("1000/h")  # so slow that none comes back while the test runs
    counts = []

    def work() -> None:
        budgets = Budgets(redis_store.spend)
        counts.append(sum(budgets.ask("key", "shop", rate, 1) is None for _ in range(300)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1_000 <= sum(counts) <= 1_005  # an hour has 1,000 of 3.6 s


def test_fsck_knows_the_keys_of_rates_and_of_those_who_may_do_something(
    redis_store: RedisStore, redis_url: str
) -> None:
    made(redis_store, admin=True)
    redis_store.api_keys_used({next(iter(redis_store.api_keys())): 1})
    redis_store.spend("a", step_us=HOUR_US, cap_us=HOUR_US, least=1, want=1)
    report = check_server(redis_url, namespace="flowlang", now_ms=redis_store.now_ms, pause=lambda _: None)
    assert report.findings == ()
