"""Nobody is told that an event was taken before it is as safe as `durable` says (failure model, row 1)."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flowlang.errors import ConfigError, NotDurableError
from flowlang.plan import Fail, Plan, Step
from flowlang.service import IncomingEvent, Service
from flowlang.simulate import Simulation
from flowlang.store.codec import PlainSealer
from tests.unit.service.world import ORDER, PLANS, STRIPE, World, manifest


class Unsure:
    """A store whose disk is slow."""

    def __init__(self, world: World) -> None:
        self._store = world.store
        self.slow = True
        self.asked: list[str] = []

    def secure(self, durability: str) -> None:
        self.asked.append(durability)
        if self.slow:
            raise NotDurableError("not on disk")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def unsure(durable: Any) -> tuple[Service, Unsure]:
    world = World(durable=durable)
    store = Unsure(world)
    made: Any = store
    return Service(made, PlainSealer(), salt=b"test", pause=lambda _: None), store


EVENT = IncomingEvent(name="shop/order", data=ORDER, id="mine")
WAYS = [
    pytest.param(lambda service: service.ingest([EVENT])[0].status, id="an event"),
    pytest.param(
        lambda service: service.ingest_webhook(STRIPE, {}, {"id": "e1", "type": "x", "data": {"object": {}}}).status,
        id="a webhook",
    ),
    pytest.param(lambda service: service.call("by-hand", {"name": "Ada"}, key="k").new, id="a call"),
]


@pytest.mark.parametrize("send", WAYS)
@pytest.mark.parametrize("durable", ["fsync", "replica"])
def test_a_sender_who_sends_again_after_a_refusal_has_made_one_run(
    send: Any, durable: str, caplog: pytest.LogCaptureFixture
) -> None:
    service, store = unsure(durable)
    with pytest.raises(NotDurableError):
        send(service)
    assert "not known to be safe" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING

    store.slow = False
    assert send(service) in ("duplicate", False)

    assert store.asked == [durable, durable]
    assert len(service.runs()) == 1


@pytest.mark.parametrize("send", WAYS)
def test_without_durable_nobody_waits(send: Any) -> None:
    service, store = unsure("none")

    assert send(service) in ("accepted", True)
    assert store.asked == []


def test_what_was_not_taken_is_not_waited_for() -> None:
    service, store = unsure("fsync")

    assert [answer.status for answer in service.ingest([IncomingEvent(name="pipeline/x.failed")])] == ["refused"]
    assert store.asked == []


def test_a_replay_is_as_safe_and_a_letter_stays_on_the_list_until_it_is() -> None:
    broken = Plan("broken", (Step(0, "bad", Fail()),), (0,))
    world = World(deployed=False)
    simulation = Simulation([broken], {}, store=world.store, clock=world.clock)
    run = simulation.call("broken")
    simulation.run_until_idle()
    world.service.deploy(manifest(broken, durable="fsync"), (broken,))
    store: Any = Unsure(world)
    service = Service(store, PlainSealer(), salt=b"test", pause=lambda _: None)

    with pytest.raises(NotDurableError):
        service.retry_dead_letter(run)
    assert [letter.id for letter in service.dead_letters()] == [run]

    store.slow = False
    service.retry_dead_letter(run)
    assert service.dead_letters() == []
    assert len(service.runs()) == 2


def test_a_store_that_can_never_do_it_is_refused_at_the_deploy_and_at_the_start() -> None:
    service, store = unsure("fsync")
    store.why_not_secure = lambda _: "it needs another server"  # type: ignore[attr-defined]

    with pytest.raises(ConfigError, match=r"it needs another server\. Or write `durable: none`"):
        service.check_durable()
    with pytest.raises(ConfigError, match="needs another server"):
        service.deploy(manifest(*PLANS, durable="replica"), PLANS)
    service.deploy(manifest(*PLANS, durable="none"), PLANS)
    service.check_durable()


def test_before_the_first_deploy_there_is_nothing_to_check() -> None:
    World(deployed=False).service.check_durable()
