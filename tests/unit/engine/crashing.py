"""A store whose process dies at chosen flushes, and a driver that goes on as another process each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal

from flowlang.clock import ManualClock
from flowlang.engine.ops import Claimed, ClaimRequest, Commit, Committed, Op, Reply
from flowlang.engine.ports import FlushId
from flowlang.engine.reference.fsck import check
from flowlang.simulate import SimulatedCrash, Simulation
from flowlang.store.memory import MemoryStore

Moment = Literal["before", "after"]


class CrashingStore(MemoryStore):
    """The memory store; at some flushes the caller dies before or after it was applied.

    It also watches records, and after each flush looks whether all indexes agree and nothing is stuck.

    Args:
        clock: Virtual time.
        crashes: Number of the flush → when the caller dies.
    """

    def __init__(self, clock: ManualClock, crashes: Mapping[int, Moment] | None = None) -> None:
        super().__init__(clock)
        self.crashes = dict(crashes or {})
        self.flushes = 0
        self.written: dict[tuple[str, str], bytes] = {}
        self.rewritten: list[str] = []

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        self.flushes += 1
        moment = self.crashes.get(self.flushes)
        if moment == "before":
            raise SimulatedCrash(f"before flush {self.flushes}")
        reply = super().apply(flush, ops, claim)
        assert check(self._partition._tables) == []
        for op, outcome in zip(ops, reply.outcomes, strict=True):
            if isinstance(op, Commit) and isinstance(outcome, Committed):
                self._watch(op)
        if moment == "after":
            raise SimulatedCrash(f"after flush {self.flushes}")
        return reply

    def _watch(self, op: Commit) -> None:
        for instance, body in op.records.items():
            if self.written.setdefault((op.run, instance), body) is not body:
                self.rewritten.append(instance)


def drive(project: Simulation, *, order: Random | None = None, cancel: tuple[str, int] | None = None) -> int:
    """Run until nothing is left to do, through all crashes.

    Args:
        project: Its store may crash.
        order: Shuffles which of several ready scopes is run first; None: in order, one at a time.
        cancel: A run, and after how many turns it is cancelled.

    Returns:
        How many scopes were claimed.
    """
    turns = 0
    for _ in range(20_000):
        try:
            rows = _claim(project, order)
            if not rows and not project._move_on():
                return turns
            for row in rows:
                turns += 1
                project.work(row)
                if cancel is not None and turns == cancel[1]:
                    project.cancel(cancel[0])
        except SimulatedCrash:
            project.lose_worker()
    raise AssertionError("the run does not end")


def _claim(project: Simulation, order: Random | None) -> list[Claimed]:
    wanted = 1 if order is None else order.randint(1, 4)
    rows = [row for row in (project.claim() for _ in range(wanted)) if row is not None]
    if order is not None:
        order.shuffle(rows)
    return rows
