"""Writing together: one flush of a lane at a time, each outcome to its sender, a lost reply costs nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from flowlang.engine.ops import Cancel, ClaimRequest, Done, Op, Reply
from flowlang.engine.ports import FlushId, Store
from flowlang.errors import StoreUnavailableError
from flowlang.service.writer import MAX_BATCH, REMEMBERED_MS, Writer
from tests.unit.service.world import World


class Failing:
    """Answers each op by its own text; loses replies as told, after having applied the flush."""

    def __init__(self, lost: int = 0) -> None:
        self.lost = lost
        self.flushes: list[tuple[FlushId, int]] = []
        self.applied: dict[FlushId, Reply] = {}
        self.gate: threading.Event | None = None
        self.entered = threading.Semaphore(0)
        self.most: Counter[str] = Counter()  #: flushes at a time, by their incarnation
        self._now: Counter[str] = Counter()

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        self.flushes.append((flush, len(ops)))
        self._now[flush.worker] += 1
        self.most[flush.worker] = max(self.most[flush.worker], self._now[flush.worker])
        self.entered.release()
        if self.gate is not None:
            assert self.gate.wait(30)
        self._now[flush.worker] -= 1
        found = [op.run == "known" for op in ops if isinstance(op, Cancel)]
        reply = self.applied.setdefault(flush, Reply(1, 1, tuple(Done(found=known) for known in found)))
        if self.lost:
            self.lost -= 1
            raise StoreUnavailableError("the reply was lost")
        return reply


def writer(store: Failing, waits: list[float] | None = None, *, lanes: int = 2) -> Writer:
    pauses = [] if waits is None else waits
    fake: Store = store  # type: ignore[assignment] # only `apply` is asked for
    return Writer(fake, "w", on_reply=lambda _: None, pause=pauses.append, lanes=lanes)


def test_a_lost_reply_is_asked_for_again_under_the_same_id() -> None:
    store, waits = Failing(lost=2), list[float]()
    outcomes = writer(store, waits).send([Cancel("known")])
    assert outcomes == (Done(),)
    assert [flush.seq for flush, _ in store.flushes] == [1, 1, 1]
    assert len(store.applied) == 1
    assert waits == [0.1, 0.2]


def test_after_three_tries_the_sender_is_told_and_the_next_one_is_served() -> None:
    store = Failing(lost=3)
    sender = writer(store)
    with pytest.raises(StoreUnavailableError):
        sender.send([Cancel("known")])
    assert sender.send([Cancel("other")]) == (Done(found=False),)
    assert [flush.seq for flush, _ in store.flushes] == [1, 1, 1, 2]


def test_a_store_that_has_gone_back_in_time_is_told_again_under_another_name(caplog: pytest.LogCaptureFixture) -> None:
    before, after = World(), World()
    sender = Writer(before.store, "w", on_reply=lambda _: None)
    sender.send([Cancel("r00-none")])
    for lane in sender._free:
        lane._store = after.store
    assert sender.send([Cancel("r00-none")]) == (Done(found=False, changed=False),)
    assert "may be gone" in caplog.text
    caplog.clear()
    sender.send([Cancel("r00-none")])
    assert caplog.text == ""


def test_after_a_long_pause_the_store_is_not_asked_for_what_it_may_have_forgotten() -> None:
    store, now = Failing(), [0.0]
    fake: Store = store  # type: ignore[assignment] # only `apply` is asked for
    sender = Writer(fake, "w", on_reply=lambda _: None, now_ms=lambda: now[0])
    for pause_ms in (0, REMEMBERED_MS, REMEMBERED_MS + 1, 1):
        now[0] += pause_ms
        sender.send([Cancel("known")])
    assert [flush.acked for flush, _ in store.flushes] == [0, 1, 0, 3]


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_waits_while_flushes_are_under_way_goes_out_together_and_each_gets_its_own(lanes: int) -> None:
    store = Failing()
    store.gate = threading.Event()
    sender = writer(store, lanes=lanes)
    answers: dict[int, object] = {}

    def send(number: int) -> None:
        answers[number] = sender.send([Cancel("known" if number % 2 else "other")])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
    for number in range(lanes):
        threads[number].start()
        assert store.entered.acquire(timeout=30)
    for thread in threads[lanes:]:
        thread.start()
    while len(sender._waiting) < 20 - lanes:  # they only have to queue up
        threading.Event().wait(0.001)
    store.gate.set()
    for thread in threads:
        thread.join()
    assert answers == {number: (Done(found=bool(number % 2)),) for number in range(20)}
    assert [size for _, size in store.flushes] == [*[1] * lanes, 20 - lanes]
    assert {flush.worker for flush, _ in store.flushes[:lanes]} == {f"w-{number}" for number in range(lanes)}
    assert store.most == {f"w-{number}": 1 for number in range(lanes)}, "of a lane one at a time"


def test_a_flush_is_bounded_and_a_long_list_keeps_its_order() -> None:
    store = Failing()
    ops = [Cancel("known" if number % 3 else "other") for number in range(MAX_BATCH + 10)]
    outcomes = writer(store).send(ops)
    assert [size for _, size in store.flushes] == [MAX_BATCH, 10]
    assert outcomes == tuple(Done(found=bool(number % 3)) for number in range(MAX_BATCH + 10))


def test_hints_of_every_reply_are_passed_on() -> None:
    world = World()
    rung: list[dict[str, int]] = []
    sender = Writer(world.store, "w", on_reply=lambda reply: rung.append(reply.rings))
    sender.send([Cancel("r00-none")])
    assert rung == [{}]
