"""What comes in while the store is at work goes to it in one call, and everybody hears of their own alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from flowlang.engine.ops import Op, Reply
from flowlang.engine.ports import FlushId
from flowlang.errors import StoreUnavailableError
from flowlang.server.gathering import AT_A_TIME, TOGETHER, Gathering
from flowlang.service import Answer, Caller, IncomingEvent, NotFoundError, Parcel, Service, from_webhook
from flowlang.store.codec import PlainSealer
from tests.unit.service.world import CRM, ORDER, World


class Held(World):
    """A world whose store takes calls one by one, when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes: list[int] = []
        self.open = threading.Event()
        self.reached = threading.Semaphore(0)
        apply = self.store.apply

        def held(flush: FlushId, ops: Sequence[Op], *given: Any, **more: Any) -> Reply:
            self.flushes.append(len(ops))
            self.reached.release()
            assert self.open.wait(20)
            return apply(flush, ops, *given, **more)

        self.store.apply = held  # type: ignore[method-assign]
        self.gathering = Gathering(self.service)

    def order(self, ident: str) -> Parcel:
        return self.service.sent([IncomingEvent("shop/order", ORDER, id=ident)])


async def until_held(world: Held, calls: int) -> None:
    for _ in range(calls):
        assert await asyncio.to_thread(world.reached.acquire, timeout=20)


def test_what_comes_while_the_store_is_at_work_is_taken_together() -> None:
    async def run() -> None:
        world = Held()
        first = [world.gathering.take(world.order("a"))]
        await until_held(world, 1)
        rest = [world.gathering.take(world.order(f"b{n}")) for n in range(30)]
        world.open.set()
        answers = [answer for each in await asyncio.gather(*first, *rest) for answer in each]
        assert [answer.status for answer in answers] == ["accepted"] * 31
        assert len({answer.event for answer in answers}) == 31
        assert sum(world.flushes) == 31
        assert len(world.flushes) <= 1 + AT_A_TIME  # not one for each
        assert world.service.counters["events.accepted"] == 31

    asyncio.run(run())


def test_everybody_hears_of_their_own_alone() -> None:
    async def run() -> None:
        world = Held()
        world.open.set()
        limited = Caller((), name="shop")  # a key that grants nothing
        sent = [
            world.order("a"),
            world.service.sent(
                [IncomingEvent("shop/order", {"total": "x"}), IncomingEvent("shop/order", ORDER, id="b")]
            ),
            from_webhook(msgspec.structs.replace(CRM, name="nobody"), {}, {}, None),
            world.service.sent([IncomingEvent("shop/order", ORDER)], caller=limited),
            world.order("a"),
            from_webhook(CRM, {}, {"kind": "lead"}, "d1"),
        ]
        found = await asyncio.gather(*map(world.gathering.take, sent), return_exceptions=True)
        assert isinstance(found[2], NotFoundError)
        statuses = [[answer.status for answer in each] for each in found if isinstance(each, list)]
        assert statuses == [["accepted"], ["invalid", "accepted"], ["refused"], ["duplicate"], ["accepted"]]
        assert isinstance(found[0], list)
        assert isinstance(found[4], list)
        assert found[0][0].event == found[4][0].event

    asyncio.run(run())


def test_a_fault_of_one_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(router: Any, row: str) -> Answer:
        raise ZeroDivisionError(row)

    async def run() -> None:
        world = Held()
        world.open.set()
        parcels = [world.order("a"), Parcel("events", (broken,)), world.order("b")]
        found = await asyncio.gather(*map(world.gathering.take, parcels), return_exceptions=True)
        assert isinstance(found[1], ZeroDivisionError)
        assert [each[0].status for each in (found[0], found[2]) if isinstance(each, list)] == ["accepted", "accepted"]

    asyncio.run(run())


def test_a_store_that_is_away_is_told_to_all_and_the_next_are_taken() -> None:
    async def run() -> None:
        world = Held()
        world.open.set()
        apply = world.store.apply

        def away(*given: Any, **more: Any) -> Reply:
            raise StoreUnavailableError("away")

        world.store.apply = away  # type: ignore[method-assign]
        found = await asyncio.gather(
            *(world.gathering.take(world.order(f"a{n}")) for n in range(5)), return_exceptions=True
        )
        assert [type(each) for each in found] == [StoreUnavailableError] * 5
        world.store.apply = apply  # type: ignore[method-assign]
        (answer,) = await world.gathering.take(world.order("b"))
        assert answer.status == "accepted"

    asyncio.run(run())


def test_what_nobody_waits_for_any_more_is_stored_all_the_same() -> None:
    async def run() -> None:
        world = Held()
        gone = world.gathering.take(world.order("a"))
        await until_held(world, 1)
        gone.cancel()
        world.open.set()
        (answer,) = await world.gathering.take(world.order("a"))
        assert answer.status == "duplicate"

    asyncio.run(run())


def test_a_long_list_is_taken_by_itself() -> None:
    async def run() -> None:
        world = Held()
        world.open.set()
        events = [IncomingEvent("shop/order", ORDER, id=f"a{n}") for n in range(TOGETHER + 10)]
        few, many = await asyncio.gather(
            world.gathering.take(world.order("b")), world.gathering.take(world.service.sent(events))
        )
        assert (len(few), len(many)) == (1, TOGETHER + 10)
        assert {answer.status for answer in [*few, *many]} == {"accepted"}

    asyncio.run(run())


def test_ids_of_what_is_taken_together_are_as_different_as_ever() -> None:
    world = World()
    service = Service(world.store, PlainSealer(), salt=b"test")
    taken = service.take([service.sent([IncomingEvent("shop/note", {})] * 50) for _ in range(3)])
    ids = [answer.event for answers in taken if isinstance(answers, list) for answer in answers]
    assert len(set(ids)) == 150
