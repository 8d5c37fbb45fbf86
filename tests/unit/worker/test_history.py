"""A process whose store has gone back in time sends nothing any more."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from flowlang.clock import ManualClock
from flowlang.engine.ops import Cancel, ClaimRequest, Op, Reply
from flowlang.engine.ports import FlushId
from flowlang.errors import HistoryLostError
from flowlang.store.memory import MemoryStore
from flowlang.worker.history import Followed
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
