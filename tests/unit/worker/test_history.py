"""A process whose store has gone back in time sends nothing any more."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from flowlang.clock import ManualClock
from flowlang.engine.ops import Cancel, ClaimRequest, Op, Reply, Sweep
from flowlang.engine.ports import FlushId
from flowlang.errors import HistoryLostError, StoreUnavailableError
from flowlang.store.memory import MemoryStore
from flowlang.worker.history import RECOVERY_MS, Followed
from tests.contract.rig import accept, seed_of


def test_each_flush_names_the_last_one_that_was_answered() -> None:
    sent: list[FlushId] = []

    class Noting(MemoryStore):
        def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
            sent.append(flush)
            return super().apply(flush, ops, claim)

    store = Followed(Noting(ManualClock()), lambda: None)
    for seq in (1, 2, 5):
        store.apply(FlushId("w", seq), [Cancel("r")])
    assert [(flush.seq, flush.acked) for flush in sent] == [(1, 0), (2, 1), (5, 2)]


def test_after_a_loss_nothing_is_sent_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    before, after, lost = MemoryStore(ManualClock()), MemoryStore(ManualClock()), list[str]()
    store = Followed(before, lambda: lost.append("lost"))
    store.apply(FlushId("w", 1), [])
    store._store = after
    for seq in (2, 3):
        with pytest.raises(HistoryLostError):
            store.apply(FlushId("w", seq), [accept("e1", seed_of("r1"))])
    store._store = before  # it would even be taken again
    with pytest.raises(HistoryLostError):
        store.apply(FlushId("w", 4), [accept("e1", seed_of("r1"))])
    assert before.runs() == after.runs() == []
    assert lost == ["lost"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


class Away(MemoryStore):
    """A store whose answers are lost as often as is said, before or after it has done what it was asked for."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.lost = 0
        self.sent: list[tuple[Op, ...]] = []

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        self.sent.append(tuple(ops))
        if self.lost:
            self.lost -= 1
            raise StoreUnavailableError("away")
        return super().apply(flush, ops, claim)


def test_a_sweep_that_was_asked_for_before_an_outage_rescues_nobody_and_none_follows_for_a_while() -> None:
    now_ms, store = 0.0, Away()
    followed = Followed(store, lambda: None, now_ms=lambda: now_ms)
    followed.apply(FlushId("w", 1), [Sweep()])
    assert not followed.is_recovering()
    store.lost = 2
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            followed.apply(FlushId("w", 2), [Cancel("r"), Sweep(limit=7)])
        now_ms += 60_000
    followed.apply(FlushId("w", 2), [Cancel("r"), Sweep(limit=7)])
    assert list(store.sent[-1]) == [Cancel("r"), Sweep(limit=7, rescue=False)]
    assert followed.is_recovering()
    now_ms += RECOVERY_MS
    assert not followed.is_recovering()
    followed.apply(FlushId("w", 3), [Sweep()])
    assert list(store.sent[-1]) == [Sweep()]
