"""Messages of Dramatiq that call a pipeline: each starts it once, and none is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import msgspec
import pytest
import redis
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from flowlang.actors.broker import FlowBroker, make_broker
from flowlang.worker.embedded import EmbeddedServer
from tests.docs.blocks import ROOT, blocks
from tests.e2e.pipelines import chain
from tests.e2e.waiting import until
from tests.e2e.world import World


def call(actor: str, *arguments: Any, ident: str = "m1") -> dramatiq.Message[None]:
    return dramatiq.Message(
        queue_name="default", actor_name=actor, args=arguments, kwargs={}, options={}, message_id=ident
    )


@contextmanager
def broker_of(server: EmbeddedServer) -> Iterator[FlowBroker]:
    with contextlib.closing(make_broker(server.broker_url)) as broker:
        assert isinstance(broker, FlowBroker)
        yield broker


def all_settled(broker: FlowBroker) -> None:
    until(lambda: broker.do_qsize("default") == 0, "the end of all messages")


def test_the_same_message_starts_its_pipeline_once_however_often_it_comes(tmp_path: Path) -> None:
    with World(tmp_path) as world, broker_of(world.server) as broker:
        world.deploy(chain(ms=1))
        with world.crew(2):
            for ident in ("m1", "m1", "m2", "m1"):
                broker.enqueue(call("flowlang.chain", {"n": 1}, ident=ident))
            all_settled(broker)
            runs = [run.id for run in world.service.store.runs(pipeline="chain")]
            details = world.ended(runs)
    assert [detail.run.status for detail in details] == ["succeeded", "succeeded"]


def test_a_message_calls_a_pipeline_that_was_deployed_after_its_worker_had_started(tmp_path: Path) -> None:
    with World(tmp_path) as world, broker_of(world.server) as broker, world.crew(1):
        until(lambda: world.service.stats().workers, "a worker")
        world.deploy(chain(ms=1))
        broker.enqueue(call("flowlang.chain", {"n": 1}))
        (run,) = until(lambda: world.service.store.runs(pipeline="chain"), "the run")
        assert [detail.run.status for detail in world.ended([run.id])] == ["succeeded"]


def test_the_example_of_the_operators_page_calls_the_pipeline_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs/operations/index.md"
    (example,) = [block for block in blocks("python", page) if "make_broker" in block.text]
    with World(tmp_path) as world, broker_of(world.server) as broker:
        monkeypatch.setenv("FLOWLANG_BROKER_URL", world.server.broker_url)
        world.deploy(msgspec.structs.replace(chain(ms=1), pipeline="greet"))
        with world.crew(1):
            for _ in range(2):
                names: dict[str, Any] = {}
                exec(compile(example.text, example.place, "exec"), names)  # code of the documents
                names["broker"].close()
            all_settled(broker)
            (run,) = world.service.store.runs(pipeline="greet")
    assert run.pipeline == "greet"


@pytest.mark.parametrize("actor", ["flowlang.nobody", "flowlang.any"])
def test_a_message_that_starts_nothing_is_kept_for_a_person(tmp_path: Path, actor: str) -> None:
    with World(tmp_path) as world, broker_of(world.server) as broker:
        world.deploy(chain(ms=1))
        with world.crew(1), redis.Redis.from_url(world.server.broker_url) as client:
            broker.enqueue(call(actor, {"n": 1}))
            all_settled(broker)
            (kept,) = client.hvals("flowlang:default.XQ.msgs")
    assert dramatiq.Message.decode(kept).args == ({"n": 1},)


def test_a_call_waits_for_a_store_that_is_away(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "broker") as other, World(tmp_path, BROKER_URL=other.broker_url) as world:
        world.deploy(chain(ms=1))
        with broker_of(other) as broker, world.crew(1):
            world.idle()
            world.server.kill()
            broker.enqueue(call("flowlang.chain", {"n": 1}))
            until(lambda: broker.client.llen("flowlang:default") == 0, "a worker that takes it")
            assert broker.do_qsize("default") == 1
            world.server.restart()
            all_settled(broker)
            (run,) = world.service.store.runs(pipeline="chain")
            assert [detail.run.status for detail in world.ended([run.id])] == ["succeeded"]


def waiting(broker: dramatiq.Broker) -> int:
    """How many messages no worker has taken."""
    if isinstance(broker, FlowBroker):
        return broker.client.llen("flowlang:default")
    assert isinstance(broker, RabbitmqBroker)
    count, _, _ = broker.get_queue_message_counts("default")
    return int(count)


def test_a_call_that_waits_for_the_store_goes_back_when_its_worker_stops(tmp_path: Path, any_broker_url: str) -> None:
    with World(tmp_path, BROKER_URL=any_broker_url) as world, contextlib.closing(make_broker(any_broker_url)) as broker:
        world.deploy(chain(ms=1))
        broker.declare_queue("default")
        with world.crew(1) as crew:
            world.idle()
            world.server.kill()
            broker.enqueue(call("flowlang.chain", {"n": 1}))
            until(lambda: waiting(broker) == 0, "a worker that takes it")
            crew.stop()
        assert waiting(broker) == 1
        world.server.restart()
        with world.crew(1):
            (run,) = until(lambda: world.service.store.runs(pipeline="chain"), "the run")
            assert [detail.run.status for detail in world.ended([run.id])] == ["succeeded"]
