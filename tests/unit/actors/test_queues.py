"""The queue scripts: each move of a message, the tokens that wake consumers, and taking over from the dead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import redis

from flowlang.actors.queues import HINT_BACKLOG, WAKE_TOKENS, QueueScripts, Token


@pytest.fixture
def client(any_redis_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(any_redis_url)) as client:
        yield client


@pytest.fixture
def scripts(client: redis.Redis) -> QueueScripts:
    return QueueScripts(client, "ns")


def _fill(scripts: QueueScripts, count: int, queue: str = "q") -> list[tuple[str, bytes]]:
    sent = [(f"m{n}", b"body %d" % n) for n in range(count)]
    for message_id, body in sent:
        scripts.enqueue(queue, message_id, body)
    return sent


def _pronounce_dead(client: redis.Redis, scripts: QueueScripts, consumer: str) -> None:
    """Let a consumer's heartbeat be long ago, and the next fetch look for the dead."""
    keys = scripts.keys("q")
    assert client.zadd(keys.heartbeats, {keys.member(consumer): 0}, xx=True, ch=True) == 1
    client.delete(keys.reclaiming)


def test_messages_come_out_in_order_and_only_once(scripts: QueueScripts) -> None:
    sent = _fill(scripts, 5)
    assert scripts.fetch("q", "a", 2) == sent[:2]
    assert scripts.fetch("q", "b", 10) == sent[2:]
    assert scripts.fetch("q", "a", 10) == []


def test_a_message_counts_until_it_is_settled(scripts: QueueScripts) -> None:
    _fill(scripts, 3)
    scripts.fetch("q", "a", 2)
    assert scripts.size("q") == 3
    scripts.ack("q", "a", "m0")
    scripts.nack("q", "a", "m1")
    assert scripts.size("q") == 1


def test_sending_the_same_message_twice_queues_it_once(scripts: QueueScripts) -> None:
    scripts.enqueue("q", "m", b"x")
    scripts.enqueue("q", "m", b"x")
    assert scripts.fetch("q", "a", 10) == [("m", b"x")]


def test_hints_beyond_the_backlog_are_not_kept_and_messages_are(scripts: QueueScripts) -> None:
    assert [scripts.hint("q", "a") for _ in range(HINT_BACKLOG + 2)] == [True] * HINT_BACKLOG + [False] * 2
    scripts.enqueue("q", "m", b"x")
    assert scripts.size("q") == HINT_BACKLOG + 1


def test_a_wait_ends_with_a_message_before_hints_and_takes_one_hint_at_a_time(scripts: QueueScripts) -> None:
    scripts.hint("q", "one")
    scripts.hint("q", "two")
    scripts.enqueue("q", "m", b"x")
    assert scripts.wait("q", 1) == Token(None)
    assert [scripts.wait("q", 1), scripts.wait("q", 1)] == [Token("one"), Token("two")]
    assert scripts.wait("q", 0.01) is None


def test_hints_of_one_queue_ring_for_no_other(scripts: QueueScripts) -> None:
    scripts.hint("p", "a")
    assert scripts.wait("q", 0.01) is None
    assert scripts.wait("p", 0.01) == Token("a")


def test_a_nacked_message_is_kept_for_a_person(client: redis.Redis, scripts: QueueScripts) -> None:
    _fill(scripts, 1)
    scripts.fetch("q", "a", 1)
    scripts.nack("q", "a", "m0")
    keys = scripts.keys("q")
    assert client.hgetall(keys.dead_bodies) == {b"m0": b"body 0"}
    assert client.zrange(keys.dead, 0, -1) == [b"m0"]


def test_only_the_newest_thousand_dead_messages_are_kept(client: redis.Redis, scripts: QueueScripts) -> None:
    keys = scripts.keys("q")
    client.zadd(keys.dead, {f"old{n:04}": n for n in range(1000)})
    client.hset(keys.dead_bodies, mapping={f"old{n:04}": "x" for n in range(1000)})
    _fill(scripts, 1)
    scripts.fetch("q", "a", 1)
    scripts.nack("q", "a", "m0")
    assert client.zcard(keys.dead) == client.hlen(keys.dead_bodies) == 1000
    assert not client.hexists(keys.dead_bodies, "old0000")


def test_handed_back_messages_are_first_again_in_their_order(scripts: QueueScripts) -> None:
    sent = _fill(scripts, 4)
    scripts.fetch("q", "a", 3)
    scripts.requeue("q", "a", ["m1", "m2"])
    assert scripts.fetch("q", "b", 10) == [sent[1], sent[2], sent[3]]


def test_nobody_hands_back_what_he_does_not_hold(scripts: QueueScripts) -> None:
    sent = _fill(scripts, 1)
    scripts.requeue("q", "a", ["m0", "unknown"])
    assert scripts.fetch("q", "a", 10) == sent


def test_tokens_wake_at_most_a_few_however_many_messages_come(client: redis.Redis, scripts: QueueScripts) -> None:
    _fill(scripts, WAKE_TOKENS * 3)
    assert client.llen(scripts.keys("q").wake) == WAKE_TOKENS


def test_emptying_a_queue_takes_its_tokens_away(client: redis.Redis, scripts: QueueScripts) -> None:
    _fill(scripts, 3)
    scripts.fetch("q", "a", 3)
    assert client.llen(scripts.keys("q").wake) == 0


def test_what_one_consumer_leaves_wakes_the_next(scripts: QueueScripts) -> None:
    _fill(scripts, 3)
    while scripts.wait("q", 0.001):
        pass
    scripts.fetch("q", "a", 1)
    assert scripts.wait("q", 1)


def test_handing_back_wakes_somebody(scripts: QueueScripts) -> None:
    _fill(scripts, 1)
    scripts.fetch("q", "a", 1)
    assert not scripts.wait("q", 0.001)
    scripts.requeue("q", "a", ["m0"])
    assert scripts.wait("q", 1)


def test_what_a_dead_consumer_held_goes_back_and_wakes_somebody(client: redis.Redis, scripts: QueueScripts) -> None:
    sent = _fill(scripts, 3)
    scripts.fetch("q", "dead", 2)
    scripts.ack("q", "dead", "m0")
    _pronounce_dead(client, scripts, "dead")
    assert scripts.fetch("other", "b", 5) == []  # a look at any queue finds the dead of all
    assert scripts.wait("q", 1)
    assert sorted(scripts.fetch("q", "b", 5)) == sorted(sent[1:])
    keys = scripts.keys("q")
    assert client.zscore(keys.heartbeats, keys.member("dead")) is None
    assert not client.exists(keys.held("dead"))


def test_a_consumer_that_was_only_slow_cannot_settle_what_others_took_over(
    client: redis.Redis, scripts: QueueScripts
) -> None:
    sent = _fill(scripts, 1)
    scripts.fetch("q", "slow", 1)
    _pronounce_dead(client, scripts, "slow")
    assert scripts.fetch("q", "b", 1) == sent
    scripts.ack("q", "slow", "m0")
    scripts.nack("q", "slow", "m0")
    assert scripts.size("q") == 1
    scripts.ack("q", "b", "m0")
    assert scripts.size("q") == 0


def test_a_living_consumer_keeps_what_it_holds(client: redis.Redis, scripts: QueueScripts) -> None:
    _fill(scripts, 1)
    scripts.fetch("q", "a", 1)
    scripts.fetch("q", "a", 0)
    client.delete(scripts.keys("q").reclaiming)
    assert scripts.fetch("q", "b", 1) == []


def test_a_broken_name_among_the_heartbeats_is_dropped(client: redis.Redis, scripts: QueueScripts) -> None:
    heartbeats = scripts.keys("q").heartbeats
    client.zadd(heartbeats, {"stranger": 0})
    scripts.fetch("q", "a", 1)
    assert client.zscore(heartbeats, "stranger") is None


def test_a_consumer_that_leaves_is_forgotten_unless_it_still_works(client: redis.Redis, scripts: QueueScripts) -> None:
    keys = scripts.keys("q")
    _fill(scripts, 2)
    scripts.fetch("q", "idle", 0)
    scripts.fetch("q", "busy", 2)
    scripts.requeue("q", "idle", [], leave=True)
    scripts.requeue("q", "busy", ["m1"], leave=True)
    assert client.zrange(keys.heartbeats, 0, -1) == [keys.member("busy").encode()]


def test_every_key_has_an_end(client: redis.Redis, scripts: QueueScripts) -> None:
    _fill(scripts, 4)
    scripts.fetch("q", "a", 2)
    scripts.nack("q", "a", "m0")
    scripts.requeue("q", "a", ["m1"])
    scripts.fetch("q", "a", 1)
    scripts.hint("q", "a")
    kept = [key for key in client.keys("*") if client.ttl(key) == -1]
    assert kept == []
    assert client.dbsize() == 9


def test_a_purge_leaves_nothing_to_fetch(scripts: QueueScripts) -> None:
    _fill(scripts, 3)
    scripts.hint("q", "a")
    scripts.purge("q")
    assert scripts.size("q") == 0
    assert scripts.fetch("q", "a", 5) == []


def test_no_script_searches_the_keys(client: redis.Redis, scripts: QueueScripts) -> None:
    client.config_resetstat()
    _fill(scripts, 2)
    scripts.fetch("q", "dead", 1)
    _pronounce_dead(client, scripts, "dead")
    scripts.fetch("q", "a", 5)
    used = set(client.info("commandstats"))
    assert "cmdstat_evalsha" in used
    assert used.isdisjoint({"cmdstat_keys", "cmdstat_scan"})


def test_queues_are_drained_when_the_server_is_out_of_memory(redis_url: str) -> None:
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        scripts = QueueScripts(client, "ns")
        sent = _fill(scripts, 2)
        scripts.fetch("q", "warm", 0)
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                scripts.enqueue("q", "more", b"x")
            assert scripts.fetch("q", "a", 5) == sent
            scripts.ack("q", "a", "m0")
            scripts.nack("q", "a", "m1")
        finally:
            client.config_set("maxmemory", 0)
        assert scripts.size("q") == 0
