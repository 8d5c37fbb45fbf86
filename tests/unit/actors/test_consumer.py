"""The consumer blocks instead of polling, is woken, waits for room, and survives what goes wrong on the way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.broker import MessageProxy
from dramatiq.errors import ConnectionClosed

from flowlang.actors.broker import FlowBroker
from flowlang.actors.consumer import LONGEST_BLOCK_S, HintConsumer

#: Longest wait for another thread; reached only by a failure.
PATIENCE = 30.0


@pytest.fixture
def broker(broker_url: str) -> Iterator[FlowBroker]:
    with contextlib.closing(FlowBroker(url=broker_url)) as broker:
        broker.declare_queue("q")
        yield broker


@pytest.fixture
def server(broker_url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(broker_url)) as client:
        yield client


@pytest.fixture
def consume(broker: FlowBroker) -> Iterator[Callable[..., HintConsumer]]:
    made: list[HintConsumer] = []

    def make(prefetch: int = 4, timeout_ms: int = 20) -> HintConsumer:
        made.append(broker.consume("q", prefetch, timeout_ms))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


def _send(broker: FlowBroker, *args: Any) -> None:
    broker.enqueue(dramatiq.Message(queue_name="q", actor_name="a", args=args, kwargs={}, options={}))


def _take(consumer: HintConsumer) -> MessageProxy:
    message = next(consumer)
    assert message is not None
    return message


def _calls(server: redis.Redis) -> dict[str, int]:
    stats: dict[str, dict[str, int]] = server.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}


def _wait_until_blocked(server: redis.Redis, clients: int = 1) -> None:
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if server.info("clients")["blocked_clients"] >= clients:
            return
        pause.wait(0.01)
    pytest.fail("no consumer blocks on the server")


def test_an_idle_wait_is_one_look_and_one_block(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    consumer = consume(timeout_ms=300)
    _send(broker)  # loads the scripts
    consumer.ack(_take(consumer))
    server.config_resetstat()
    assert next(consumer) is None
    calls = _calls(server)
    assert (calls.get("evalsha"), calls.get("blpop")) == (1, 1)
    assert calls.keys().isdisjoint({"eval", "script|load", "keys", "scan"})


def test_a_blocked_consumer_is_woken_by_a_message_in_the_same_wait(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    consumer = consume(timeout_ms=60_000)
    got: list[MessageProxy | None] = []
    # Blocks end after a second, so a message may meet a consumer that is just looking again.
    waiter = threading.Thread(target=lambda: got.append(next(message for message in consumer if message)))
    waiter.start()
    _wait_until_blocked(server)
    _send(broker, "id-1")
    waiter.join(PATIENCE)
    assert [message.args for message in got if message] == [("id-1",)]


def test_a_hint_is_one_answer_of_the_server_and_nothing_else(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    consumer = consume(timeout_ms=1000)
    for _ in range(3):
        broker.hint("q", "work")
    consumer.ack(_take(consumer))  # looks at the queue before it waits for the first time
    server.config_resetstat()
    for _ in range(2):
        message = _take(consumer)
        assert (message.queue_name, message.actor_name, message.args) == ("q", "work", ())
        consumer.ack(message)
    calls = _calls(server)
    assert calls.get("blpop") == 2
    assert "evalsha" not in calls


def test_a_hint_is_told_before_it_is_handed_out_and_a_message_is_not(
    consume: Callable[..., HintConsumer], broker: FlowBroker
) -> None:
    told: list[str] = []
    consumer = consume()
    broker.on_hint = told.append  # also of consumers that are there already
    _send(broker, 1)
    broker.hint("q", "work")
    assert [_take(consumer).args, _take(consumer).args] == [(1,), ()]
    assert told == ["q"]


def test_a_hint_takes_up_room_until_it_is_settled(consume: Callable[..., HintConsumer], broker: FlowBroker) -> None:
    consumer = consume(prefetch=1)
    broker.hint("q", "work")
    broker.hint("q", "work")
    first = _take(consumer)
    assert next(consumer) is None
    consumer.nack(first)
    assert _take(consumer).actor_name == "work"
    assert broker.do_qsize("q") == 0


def test_a_message_is_found_beside_hints_though_its_token_is_lost(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    consumer = consume(prefetch=8)
    broker.hint("q", "work")
    _take(consumer)
    _send(broker, "lost")
    server.delete("flowlang:__wake__.q")
    broker.hint("q", "work")
    assert _take(consumer).actor_name == "work"
    broker.hint("q", "work")
    consumer._last_look -= LONGEST_BLOCK_S
    assert _take(consumer).args == ("lost",)
    assert _take(consumer).actor_name == "work"


def test_hints_that_were_not_begun_ring_for_another(consume: Callable[..., HintConsumer], broker: FlowBroker) -> None:
    first = consume()
    broker.hint("q", "work")
    _send(broker, 1)
    held = [_take(first), _take(first)]
    first.requeue(held)
    first.close()
    assert broker.do_qsize("q") == 2
    second = consume()
    assert [_take(second).args, _take(second).args] == [(1,), ()]
    assert broker.do_qsize("q") == 1, "a message waits until it is settled, a hint does not"


def test_waits_are_cut_to_a_second_and_to_half_the_connections_time_out(broker_url: str) -> None:
    with contextlib.closing(FlowBroker(url=broker_url)) as broker:
        assert broker.consume("q", 1, 60_000)._block_s == 1.0
        assert broker.consume("q", 1, 100)._block_s == 0.1
    with contextlib.closing(FlowBroker(url=broker_url + "?socket_timeout=0.5")) as broker:
        consumer = broker.consume("q", 1, 60_000)
        assert consumer._block_s == 0.25
        assert next(consumer) is None


def test_a_lost_token_costs_one_wait(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    consumer = consume()
    _send(broker, 1)
    server.delete("flowlang:__wake__.q")
    assert _take(consumer).args == (1,)


def test_no_more_is_fetched_than_the_prefetch_allows(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    consumer = consume(prefetch=2)
    for number in range(3):
        _send(broker, number)
    first = _take(consumer)
    _take(consumer)
    server.config_resetstat()
    assert next(consumer) is None
    assert next(consumer) is None
    assert "evalsha" not in _calls(server), "a full consumer leaves the network alone"
    consumer.ack(first)
    assert _take(consumer).args == (2,)


def test_a_full_consumer_goes_on_when_a_worker_settles_a_message(
    consume: Callable[..., HintConsumer], broker: FlowBroker
) -> None:
    consumer = consume(prefetch=1, timeout_ms=1000)
    _send(broker, 1)
    _send(broker, 2)
    first = _take(consumer)
    worker = threading.Thread(target=consumer.ack, args=(first,))
    worker.start()
    assert next(message for message in consumer if message).args == (2,)
    worker.join()


def test_a_full_consumer_still_shows_that_it_lives(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    consumer = consume(prefetch=1)
    _send(broker)
    _take(consumer)
    server.delete("flowlang:__heartbeats__")
    consumer._last_look = float("-inf")
    assert next(consumer) is None
    assert server.zcard("flowlang:__heartbeats__") == 1


def test_an_unreadable_message_is_put_aside_and_the_next_one_delivered(
    consume: Callable[..., HintConsumer], broker: FlowBroker, server: redis.Redis
) -> None:
    broker._scripts.enqueue("q", "broken", b"\xff{")
    _send(broker, "good")
    consumer = consume(prefetch=4)
    assert _take(consumer).args == ("good",)
    assert server.hkeys("flowlang:q.XQ.msgs") == [b"broken"]


def test_closing_hands_back_what_was_fetched_and_not_handed_out(
    consume: Callable[..., HintConsumer], broker: FlowBroker
) -> None:
    first = consume(prefetch=3)
    for number in range(3):
        _send(broker, number)
    _take(first)
    first.close()
    second = consume(prefetch=3)
    assert [_take(second).args, _take(second).args] == [(1,), (2,)]
    assert next(second) is None


def test_a_message_is_settled_for_the_consumer_that_fetched_it(
    consume: Callable[..., HintConsumer], broker: FlowBroker
) -> None:
    first, second = consume(), consume()
    for number in range(2):
        _send(broker, number)
    one, two = _take(first), _take(first)
    second.ack(one)
    second.requeue([two])
    assert broker.do_qsize("q") == 1
    assert _take(second).args == (1,)


def test_an_acknowledgement_that_fails_is_forgotten_and_the_consumer_gives_up(
    consume: Callable[..., HintConsumer], broker: FlowBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise redis.ConnectionError("gone")

    consumer = consume()
    _send(broker)
    message = _take(consumer)
    with monkeypatch.context() as patch:
        patch.setattr(consumer._scripts, "ack", fail)
        consumer.ack(message)
    with pytest.raises(ConnectionClosed):
        next(consumer)


@pytest.mark.parametrize(
    "error", [redis.ConnectionError("gone"), redis.TimeoutError("slow"), redis.ResponseError("no")]
)
def test_any_error_of_the_server_is_a_broken_connection_for_dramatiq(
    consume: Callable[..., HintConsumer], error: redis.RedisError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    consumer = consume()
    with monkeypatch.context() as patch:
        for name in ("fetch", "requeue"):
            patch.setattr(consumer._scripts, name, fail)
        with pytest.raises(ConnectionClosed):
            next(consumer)
        consumer.close()
