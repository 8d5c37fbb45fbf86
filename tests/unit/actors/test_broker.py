"""The broker carries hints, refuses what is not its business, and owns no policy."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import ConnectionClosed
from dramatiq.middleware import Middleware, MiddlewareError

from flowlang.actors.broker import FlowBroker, hint, make_broker
from flowlang.actors.lifecycle import Lifecycle, SmallPrefetch
from flowlang.actors.queues import HINT_BACKLOG
from flowlang.errors import ConfigError

#: Nothing listens there: the port is reserved.
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def broker(broker_url: str) -> Iterator[FlowBroker]:
    with contextlib.closing(FlowBroker(url=broker_url)) as broker:
        yield broker


def test_none_of_dramatiqs_own_policies_is_on() -> None:
    broker = make_broker(NOWHERE)
    assert [type(middleware) for middleware in broker.middleware] == [SmallPrefetch]
    assert broker.actor_options == set()


@pytest.mark.parametrize(
    "option", ["max_retries", "time_limit", "max_age", "on_success", "store_results", "notify_shutdown"]
)
def test_an_actor_cannot_ask_for_a_policy_that_is_not_there(option: str) -> None:
    options: dict[str, Any] = {option: 1}
    declare = dramatiq.actor(broker=make_broker(NOWHERE), queue_name="q", **options)
    with pytest.raises(ValueError, match=option):
        declare(print)


def test_making_a_broker_connects_nowhere() -> None:
    broker = make_broker(NOWHERE)
    dramatiq.actor(broker=broker, queue_name="q")(print)
    assert broker.get_declared_queues() == {"q"}


def test_a_queue_has_no_companion_for_delayed_messages() -> None:
    broker = make_broker(NOWHERE)
    broker.declare_queue("q")
    assert broker.get_declared_delay_queues() == set()


def test_a_delay_is_refused_with_the_way_to_do_it(broker: FlowBroker) -> None:
    actor = dramatiq.actor(broker=broker, queue_name="q")(print)
    with pytest.raises(ValueError, match="let a pipeline sleep"):
        actor.send_with_options(delay=1000)
    assert broker.do_qsize("q") == 0


def test_middleware_sees_each_message_before_and_after(broker: FlowBroker) -> None:
    seen: list[str] = []

    class Watch(Middleware):
        def before_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int) -> None:
            seen.append(f"before {message.actor_name} {broker.do_qsize('q')}")  # type: ignore[attr-defined]

        def after_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int) -> None:
            seen.append(f"after {message.actor_name} {broker.do_qsize('q')}")  # type: ignore[attr-defined]

    broker.add_middleware(Watch())
    dramatiq.actor(broker=broker, queue_name="q", actor_name="pipeline")(print).send()
    assert seen == ["before pipeline 0", "after pipeline 1"]


def test_a_hint_has_no_content(broker: FlowBroker) -> None:
    assert hint(broker, "q", "pipeline")
    message = next(broker.consume("q", 1, 20))
    assert message is not None
    assert (message.queue_name, message.actor_name, message.args, message.kwargs) == ("q", "pipeline", (), {})


def test_hints_are_bounded_and_messages_are_not(broker: FlowBroker) -> None:
    for _ in range(HINT_BACKLOG + 5):
        assert hint(broker, "q", "pipeline")
    assert broker.do_qsize("q") == HINT_BACKLOG
    actor = dramatiq.actor(broker=broker, queue_name="q")(print)
    actor.send("id")
    assert broker.do_qsize("q") == HINT_BACKLOG + 1


def test_a_hint_that_cannot_be_given_is_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.closing(make_broker(NOWHERE)) as broker, caplog.at_level(logging.WARNING):
        assert not hint(broker, "q", "pipeline")
    assert [record.name for record in caplog.records] == ["flowlang.actors.broker"]
    assert "the sweeper will find the work" in caplog.text


def test_hints_work_on_any_kind_of_broker() -> None:
    broker = StubBroker()
    broker.declare_queue("q")
    assert hint(broker, "q", "pipeline")
    assert broker.queues["q"].qsize() == 1


def test_a_message_that_cannot_be_sent_is_an_error_of_dramatiqs_own() -> None:
    with contextlib.closing(make_broker(NOWHERE)) as broker:
        actor = dramatiq.actor(broker=broker, queue_name="q")(print)
        with pytest.raises(ConnectionClosed):
            actor.send("id")


def test_brokers_of_different_namespaces_do_not_meet(broker_url: str) -> None:
    with (
        contextlib.closing(FlowBroker(url=broker_url, namespace="one")) as one,
        contextlib.closing(FlowBroker(url=broker_url, namespace="two")) as two,
    ):
        hint(one, "q", "pipeline")
        assert next(two.consume("q", 1, 20)) is None
        assert next(one.consume("q", 1, 20)) is not None


def test_a_given_client_is_used_and_left_open(broker_url: str) -> None:
    with contextlib.closing(redis.Redis.from_url(broker_url)) as client:
        broker = FlowBroker(client=client)
        hint(broker, "q", "pipeline")
        broker.close()
        assert client.llen("flowlang:__hints__.q") == 1


def test_flushing_drops_what_waits(broker: FlowBroker) -> None:
    broker.declare_queue("q")
    hint(broker, "q", "pipeline")
    broker.flush_all()
    assert broker.do_qsize("q") == 0


@pytest.mark.parametrize("arguments", [{}, {"url": NOWHERE, "client": object()}])
def test_a_broker_needs_one_address(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="either a url or a client"):
        FlowBroker(**arguments)


@pytest.mark.parametrize(
    ("url", "said"), [("http://:secret@x", "'http'"), ("localhost:6379", "'localhost'"), ("", "''")]
)
def test_an_address_of_another_kind_is_refused_without_showing_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match="begins with redis://") as caught:
        make_broker(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_its_client_rabbitmq_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pika", None)
    monkeypatch.delitem(sys.modules, "dramatiq.brokers.rabbitmq", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'flowlang-pipelines\[rabbitmq\]'"):
        make_broker("amqp://localhost")


def test_a_worker_holds_as_many_hints_as_it_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("dramatiq_queue_prefetch", raising=False)
    worker = dramatiq.Worker(make_broker(NOWHERE), worker_threads=3)
    worker.broker.emit_before("worker_boot", worker)
    assert worker.queue_prefetch == 3


def test_dramatiqs_own_setting_of_the_prefetch_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("dramatiq_queue_prefetch", "9")
    worker = dramatiq.Worker(make_broker(NOWHERE), worker_threads=3)
    worker.queue_prefetch = 9
    worker.broker.emit_before("worker_boot", worker)
    assert worker.queue_prefetch == 9


def test_the_runtime_lives_with_the_worker() -> None:
    calls: list[str] = []

    def note(name: str) -> Any:
        return lambda _: calls.append(name)

    life = Lifecycle(
        on_boot=note("boot"), on_stop=note("stop"), on_stopped=note("stopped"), on_process_boot=note("process")
    )
    broker = StubBroker(middleware=[life])
    broker.emit_after("process_boot")
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=10)
    worker.start()
    assert calls == ["process", "boot"]
    worker.stop()
    assert calls == ["process", "boot", "stop", "stopped"]


def test_a_runtime_that_cannot_start_keeps_the_worker_from_starting() -> None:
    def fail(_: object) -> None:
        raise RuntimeError("no store")

    worker = dramatiq.Worker(StubBroker(middleware=[Lifecycle(on_boot=fail)]), worker_threads=1)
    with pytest.raises(MiddlewareError, match="no store"):
        worker.start()
    assert worker.workers == []
