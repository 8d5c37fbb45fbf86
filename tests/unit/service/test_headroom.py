"""The high-water mark: events are refused below the limit of the server's memory, what has begun is not."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import Accept, EventRow, RunSeed
from flowlang.engine.ports import Memory
from flowlang.errors import StoreFullError
from flowlang.service import IncomingEvent
from flowlang.service.headroom import FRESH_MS, HIGH_WATER_PERCENT, ROW_BYTES, Headroom, size_of
from tests.unit.service.world import CRM, ORDER, World

LIMIT = 1_000_000
MARK = LIMIT * HIGH_WATER_PERCENT // 100


class Server:
    """A server's memory, and the time that passes here."""

    def __init__(self, used: int = 0, limit: int = LIMIT) -> None:
        self.memory = Memory(used, limit)
        self.asked = 0
        self.now_ms = 0.0
        self.headroom = Headroom(self._read, now_ms=lambda: self.now_ms)

    def _read(self) -> Memory:
        self.asked += 1
        return self.memory


def test_there_is_room_up_to_the_mark_and_none_beyond_it() -> None:
    server = Server(used=MARK - 100)
    server.headroom.take(100)
    with pytest.raises(StoreFullError, match="90 % of its 1 MB"):
        server.headroom.take(1)


def test_what_was_sent_counts_until_the_server_is_asked_again() -> None:
    server = Server(used=MARK - 100)
    server.headroom.take(60)
    with pytest.raises(StoreFullError):
        server.headroom.take(60)
    server.headroom.take(40)  # what is refused takes no room
    server.now_ms += FRESH_MS
    server.headroom.take(100)
    assert server.asked == 2


def test_the_server_is_asked_at_most_once_a_second_however_much_is_sent() -> None:
    server = Server()
    for _ in range(1_000):
        server.headroom.take(1)
    server.now_ms += FRESH_MS - 1
    server.headroom.take(1)
    assert server.asked == 1


def test_a_server_without_a_limit_takes_everything() -> None:
    Server(used=10**12, limit=0).headroom.take(10**12)


def test_rows_and_payloads_count() -> None:
    event = EventRow("e", "a", "b", b"x" * 100, reasons=b"y" * 10)
    runs = (RunSeed("r", "p", "v", b"m" * 5, b"s" * 3, records={"a": b"zz"}),)
    assert size_of([Accept(1, event, runs), Accept(1, event)]) == 3 * ROW_BYTES + 230


@pytest.fixture
def full_world() -> World:
    """A project on a store whose memory is nearly full."""
    world = World()
    world.store.memory = lambda: Memory(LIMIT, LIMIT)  # type: ignore[method-assign] # a store of a test is never full
    world.service = world.another()
    return world


def test_whatever_comes_from_outside_is_refused_and_not_stored(full_world: World) -> None:
    service = full_world.service
    with pytest.raises(StoreFullError):
        service.ingest([IncomingEvent("shop/order", ORDER)])
    with pytest.raises(StoreFullError):
        service.ingest_webhook(CRM, {}, {"kind": "x"}, "d1")
    with pytest.raises(StoreFullError):
        service.call("by-hand", {"name": "Ada"})
    assert service.stats().runs == 0


def test_schedules_fire_all_the_same(full_world: World) -> None:
    full_world.clock.advance(3_600_000)
    assert full_world.service.tick_crons().fired == 1
