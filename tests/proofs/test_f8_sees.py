"""That F8 would see it: stores that miss, double or reorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
import pytest

from flowlang.clock import ManualClock
from flowlang.engine.ops import ClaimRequest, Commit, Op, Reply
from flowlang.engine.ports import FlushId, Store
from flowlang.store.memory import MemoryStore
from tests.contract.rig import Rig
from tests.proofs.f8 import Tally, play

FAR_MS = 10**15


class Broken:
    """A store in memory that does not do as it is told."""

    def __init__(
        self,
        store: MemoryStore,
        ops: Callable[[Op], Op] = lambda op: op,
        facts: Callable[[tuple[Any, ...]], tuple[Any, ...]] = lambda facts: facts,
    ) -> None:
        self._store, self._ops, self._facts = store, ops, facts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        reply = self._store.apply(flush, [self._ops(op) for op in ops], claim)
        claimed = tuple(msgspec.structs.replace(row, facts=self._facts(row.facts)) for row in reply.claimed)
        return msgspec.structs.replace(reply, claimed=claimed)


def played(**how: Any) -> Tally:
    def rig() -> Rig:
        clock = ManualClock()
        return Rig(cast("Store", Broken(MemoryStore(clock), **how)), clock.advance)

    return play(200, 1, rig)


def without_look_back(op: Op) -> Op:
    if not isinstance(op, Commit):
        return op
    waits = tuple(msgspec.structs.replace(wait, since_ms=FAR_MS) for wait in op.waits)
    return msgspec.structs.replace(op, waits=waits)


def events_twice(facts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(copy for fact in facts for copy in (fact, fact)[: 2 if fact["kind"] == "event" else 1])


def test_a_store_that_does_as_it_is_told_is_right() -> None:
    tally = played()
    assert tally.holds
    assert tally.orders == 200
    assert min(tally.events, tally.delivered, tally.by_event, tally.by_timeout) > 50
    assert tally.by_event + tally.by_timeout == 200 * 2 * 2  # two runs an order, two waits a run


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"ops": without_look_back}, "missed"),
        ({"facts": events_twice}, "doubled"),
        ({"facts": lambda facts: facts[::-1]}, "wrong"),
    ],
)
def test_a_store_that_does_not_is_seen(how: dict[str, Any], kind: str) -> None:
    tally = played(**how)
    assert not tally.holds
    assert getattr(tally, kind) > 0
