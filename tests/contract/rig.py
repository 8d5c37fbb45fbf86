"""A store under test with its clock in hand, and short ways to say what most tests say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowlang.engine.ops import (
    MAIN,
    Accept,
    Claimed,
    ClaimRequest,
    Commit,
    Committed,
    EventRow,
    Finish,
    Group,
    Join,
    Op,
    Outcome,
    Reply,
    RunSeed,
    Sweep,
    Swept,
)
from flowlang.engine.ports import FlushId, Store

LEASE_MS = 10_000
DAY_MS = 86_400_000


class Rig:
    """One store and what a test does with it.

    Args:
        store: The backend.
        advance: Moves its time forward, milliseconds.
    """

    def __init__(self, store: Store, advance: Callable[[int], None]) -> None:
        self.store = store
        self.advance = advance
        self.seqs: dict[str, int] = {}

    def flush(self, *ops: Op, claim: ClaimRequest | None = None, worker: str = "w") -> Reply:
        """Send a flush of a worker, under its next number, twice: the repeat must change nothing."""
        flush = FlushId(worker, self.seqs.get(worker, 0) + 1)
        self.seqs[worker] = flush.seq
        reply = self.store.apply(flush, ops, claim)
        assert self.store.apply(flush, ops, claim) == reply
        return reply

    def one(self, op: Op) -> Outcome:
        """Apply one operation."""
        (outcome,) = self.flush(op).outcomes
        return outcome

    def claim(
        self,
        limit: int = 1,
        *,
        worker: str = "w",
        queues: Sequence[str] = ("default",),
        lease_ms: int = LEASE_MS,
    ) -> list[Claimed]:
        """Claim rows."""
        request = ClaimRequest(worker, tuple(queues), limit, lease_ms, 8, 0)
        return list(self.flush(claim=request, worker=worker).claimed)

    def claim_one(self, **how: Any) -> Claimed:
        """Claim exactly one row."""
        (row,) = self.claim(1, **how)
        return row

    def sweep(self) -> Swept:
        """Sweep."""
        outcome = self.one(Sweep())
        assert isinstance(outcome, Swept)
        return outcome

    def event_facts(self, row: Claimed) -> list[tuple[Any, ...]]:
        """Consume a claimed scope's facts and let it wait on: (wait, event) of those that are events, else the kind."""
        self.one(commit(row, "waiting", consumed=len(row.facts)))
        return [(fact["wait"], fact["event"]) if fact["kind"] == "event" else (fact["kind"],) for fact in row.facts]

    def start_run(self, run: str = "r00-1", **seed: Any) -> Claimed:
        """Accept an event that makes one run, and claim it."""
        self.one(accept(f"e-{run}", seed_of(run, **seed)))
        return self.claim_one(queues=(seed.get("queue", "default"),))

    def start_group(self, total: int, **how: Any) -> Claimed:
        """Start a run whose main scope waits for a group `g` of children `g[0]` …; returns the main scope's claim."""
        main = self.start_run()
        outcome = self.one(commit(main, "waiting", consumed=1, groups=(group_of(total, **how),)))
        assert isinstance(outcome, Committed)
        return main


def seed_of(run: str, **fields: Any) -> RunSeed:
    """A run that a trigger makes."""
    return RunSeed(run, **{"pipeline": "orders", "version": "v1", "meta": b"meta", "state": b"start", **fields})


def event_of(ident: str, **fields: Any) -> EventRow:
    """An event."""
    return EventRow(ident, **{"name": "shop/order", "source": "shop", "body": b"body", **fields})


def accept(ident: str, *runs: RunSeed, epoch: int = 0, **event: Any) -> Accept:
    """Take an event with its runs."""
    return Accept(epoch, event_of(ident, **event), runs)


def commit(row: Claimed, status: Any, **fields: Any) -> Commit:
    """What a turn of a claimed scope decided."""
    return Commit(row.run, row.scope, row.fence, status, **{"state": b"next", **fields})


def finish(row: Claimed, status: Any = "succeeded", **fields: Any) -> Commit:
    """The end of a run."""
    return commit(row, "ended", finish=Finish(status, b"result", **fields))


def end_child(row: Claimed, **join: Any) -> Commit:
    """The end of a child of the group `g`."""
    return commit(row, "ended", join=Join(row.group or "g", **join))


def group_of(total: int, **fields: Any) -> Group:
    """A group `g` of children `g[0]` …"""
    plain = {"prefix": "g[", "suffix": "]", "max_parallel": 1000, "limit": 0, "cancel_rest": True, "state": b"child"}
    return Group("g", total=total, **{**plain, **fields})


__all__ = [
    "DAY_MS",
    "LEASE_MS",
    "MAIN",
    "Rig",
    "accept",
    "commit",
    "end_child",
    "event_of",
    "finish",
    "group_of",
    "seed_of",
]
