"""Group commit: what threads queue goes out together, once, however often its bytes are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from flowlang.clock import ManualClock
from flowlang.engine.ops import Accept, Cancel, Claimed, ClaimRequest, Done, EventRow, Op, Reply, RunSeed
from flowlang.engine.ports import FlushId
from flowlang.errors import StoreError, StoreUnavailableError
from flowlang.store.memory import MemoryStore
from flowlang.worker.flusher import Flusher, FlusherStopped
from flowlang.worker.runqueue import RunQueue, Task


class Wire:
    """A store behind a wire that can be held, cut before or after the store has heard."""

    def __init__(self) -> None:
        self.store = MemoryStore(ManualClock())
        self.sent: list[tuple[FlushId, tuple[Op, ...], ClaimRequest | None]] = []
        self.lost_requests = 0
        self.lost_replies = 0
        self.open = threading.Event()
        self.open.set()
        self.waiting = threading.Event()

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        self.sent.append((flush, tuple(ops), claim))
        self.waiting.set()
        self.open.wait(30)
        if self.lost_requests:
            self.lost_requests -= 1
            raise StoreUnavailableError("cut")
        reply = self.store.apply(flush, ops, claim)
        if self.lost_replies:
            self.lost_replies -= 1
            raise StoreUnavailableError("reply lost")
        return reply


class Hands(RunQueue):
    """A run queue whose tasks are the names of the runs that were claimed."""

    def __init__(self) -> None:
        super().__init__(4, begin=self._note, start_spare=lambda: None)
        self.claims: list[str] = []
        self.told = threading.Semaphore(0)

    def _note(self, row: Claimed) -> Task:
        self.claims.append(f"{row.run} {row.fence}")
        return Task(lambda: None, None, 0.0)

    def claimed(self, rows: Sequence[Claimed], tasks: Iterable[Task] = ()) -> None:
        super().claimed(rows, tasks)
        self.told.release()

    def ask(self, flusher: Flusher) -> list[str]:
        """Lend a thread, and wait for what the claim brings."""
        while self.told.acquire(blocking=False):
            pass
        self.claims.clear()
        self.lend()
        flusher.poke()
        assert self.told.acquire(timeout=30)
        return list(self.claims)


@contextmanager
def flushing(wire: Wire, hands: Hands | None = None) -> Iterator[Flusher]:
    replies: list[Reply] = []
    flusher = Flusher(
        wire,  # type: ignore[arg-type]
        "w1",
        queues=lambda: ("default",),
        lease_ms=10_000,
        threads=4,
        run_queue=hands or Hands(),
        on_reply=replies.append,
    )
    flusher.start()
    try:
        yield flusher
    finally:
        wire.open.set()
        flusher.stop()


def accept(number: int) -> Accept:
    seed = RunSeed(f"r00-{number}", "p", "v", b"meta", b"state")
    return Accept(0, EventRow(f"e00-{number}", "a/b", "test", b"{}"), (seed,))


def in_threads(*actions: object) -> list[threading.Thread]:
    threads = [threading.Thread(target=action) for action in actions]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    return threads


def test_what_gathers_while_a_flush_is_under_way_goes_out_as_one() -> None:
    wire = Wire()
    with flushing(wire) as flusher:
        wire.open.clear()
        first = in_threads(lambda: flusher.apply(accept(0)))
        assert wire.waiting.wait(30)
        others = in_threads(*(lambda number=number: flusher.apply(accept(number)) for number in range(1, 6)))
        while len(flusher._entries) < 5:
            threading.Event().wait(0.001)
        wire.open.set()
        for thread in first + others:
            thread.join()
    assert [len(ops) for _, ops, _ in wire.sent] == [1, 5]
    assert wire.store.stats().runs == 6


@pytest.mark.parametrize(("requests", "replies"), [(2, 0), (0, 2)], ids=["lost on the way", "reply lost"])
def test_a_flush_without_an_answer_is_sent_again_under_the_same_id(requests: int, replies: int) -> None:
    wire = Wire()
    wire.lost_requests, wire.lost_replies = requests, replies
    with flushing(wire) as flusher:
        flusher.apply(accept(0))
    ids = {flush for flush, _, _ in wire.sent}
    assert (len(wire.sent), len(ids)) == (3, 1)
    assert wire.store.stats().runs == 1


def test_a_lost_claim_is_claimed_once() -> None:
    wire, hands = Wire(), Hands()
    with flushing(wire, hands) as flusher:
        flusher.apply(accept(0))
        wire.lost_replies = 1
        assert hands.ask(flusher) == ["r00-0 1"]
        assert hands.ask(flusher) == []
    ids = [flush for flush, _, claim in wire.sent if claim is not None]
    assert (len(ids), len(set(ids))) == (3, 2)


def test_a_claim_asks_for_as_many_rows_as_there_are_threads_without_one() -> None:
    wire, hands = Wire(), Hands()
    with flushing(wire, hands) as flusher:
        for number in range(3):
            flusher.apply(accept(number))
        hands.lend()
        hands.lend()
        assert hands.ask(flusher) == ["r00-0 1", "r00-1 1", "r00-2 1"]
        assert hands.ask(flusher) == []
    claims = [claim for _, _, claim in wire.sent if claim is not None]
    assert [(claim.limit, claim.busy) for claim in claims] == [(3, 0), (1, 3)]


def test_an_operation_and_the_claim_of_what_it_makes_room_for_share_a_flush() -> None:
    wire, hands = Wire(), Hands()
    with flushing(wire, hands) as flusher:
        flusher.apply(accept(0))
        hands.lend()
        assert flusher.apply(Cancel("r00-9")) == Done(found=False, changed=False)
        assert hands.told.acquire(timeout=30)
    assert hands.claims == ["r00-0 1"]
    assert [(len(ops), claim is not None) for _, ops, claim in wire.sent] == [(1, False), (1, True)]


def test_what_is_submitted_is_told_of_its_outcome_and_its_task_is_queued() -> None:
    wire, hands = Wire(), Hands()
    outcomes: list[object] = []

    def then(outcome: object) -> Task:
        outcomes.append(outcome)
        return Task(lambda: outcomes.append("went on"), None, 0.0)

    with flushing(wire, hands) as flusher:
        hands.lend()
        flusher.submit(Cancel("r00-9"), then)
        assert hands.work(lambda _: not outcomes, lent=True) == 1
    assert outcomes == [Done(found=False, changed=False), "went on"]


def test_a_refused_flush_is_told_to_all_that_waited_for_it() -> None:
    wire = Wire()
    with flushing(wire) as flusher:
        flusher._seq = 5
        flusher.apply(accept(0))
        flusher._seq = 2
        with pytest.raises(StoreError):
            flusher.apply(accept(1))
        flusher._seq = 6
        flusher.apply(accept(2))


def test_a_refused_flush_is_told_to_what_was_submitted() -> None:
    wire = Wire()
    told: list[object] = []
    with flushing(wire) as flusher:
        flusher._seq = 5
        flusher.apply(accept(0))
        flusher._seq = 2
        flusher.submit(accept(1), told.append)
    assert [type(one) for one in told] == [StoreError]


def test_nothing_is_taken_after_a_stop() -> None:
    wire = Wire()
    with flushing(wire) as flusher:
        flusher.apply(accept(0))
    with pytest.raises(FlusherStopped):
        flusher.apply(accept(1))
