"""Group commit: what threads queue goes out together, once, however often its bytes are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from flowlang.clock import ManualClock
from flowlang.engine.ops import Accept, Cancel, ClaimRequest, Done, EventRow, Op, Reply, RunSeed
from flowlang.engine.ports import FlushId
from flowlang.errors import StoreError, StoreUnavailableError
from flowlang.store.memory import MemoryStore
from flowlang.worker.flusher import Flusher, FlusherStopped


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


@contextmanager
def flushing(wire: Wire) -> Iterator[Flusher]:
    replies: list[Reply] = []
    flusher = Flusher(
        wire,  # type: ignore[arg-type]
        "w1",
        queues=lambda: ("default",),
        lease_ms=10_000,
        threads=4,
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
        while flusher._entries.qsize() < 5:
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
    wire = Wire()
    with flushing(wire) as flusher:
        flusher.apply(accept(0))
        wire.lost_replies = 1
        row = flusher.claim()
        assert row is not None
        assert (row.run, row.fence) == ("r00-0", 1)
        assert flusher.claim() is None


def test_each_thread_gets_its_own_row_and_the_last_ones_none() -> None:
    wire = Wire()
    got: list[str | None] = []
    with flushing(wire) as flusher:
        for number in range(3):
            flusher.apply(accept(number))

        def ask() -> None:
            row = flusher.claim()
            got.append(None if row is None else row.run)

        for thread in in_threads(*[ask] * 5):
            thread.join()
    assert sorted(got, key=str) == [None, None, "r00-0", "r00-1", "r00-2"]


def test_a_thread_counts_as_working_until_a_claim_finds_nothing() -> None:
    wire = Wire()
    with flushing(wire) as flusher:
        flusher.apply(accept(0))
        flusher.begin_work()
        assert flusher.claim() is not None
        flusher.apply(Cancel("r00-0"))
        in_threads(flusher.claim)[0].join()
        assert wire.sent[-1][2] is not None
        assert wire.sent[-1][2].busy == 1
        assert flusher.claim() is None
        in_threads(flusher.claim)[0].join()
        assert wire.sent[-1][2].busy == 0


def test_an_operation_and_the_next_claim_share_a_flush() -> None:
    wire = Wire()
    with flushing(wire) as flusher:
        flusher.apply(accept(0))
        outcome, row = flusher.apply_and_claim(Cancel("r00-9"))
        assert outcome == Done(found=False, changed=False)
        assert row is not None
        assert len(wire.sent) == 2


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


def test_nothing_is_taken_after_a_stop() -> None:
    wire = Wire()
    with flushing(wire) as flusher:
        flusher.apply(accept(0))
    with pytest.raises(FlusherStopped):
        flusher.apply(accept(1))
