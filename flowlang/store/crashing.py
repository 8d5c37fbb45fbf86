"""The Redis store with crash points around every flush, named by what the flush carries; used only when armed.

A flush is one call of the server, so a process can die before it was sent or behind its answer, and never in between;
what has to be shown is that both are right for every kind of thing that a flush may carry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from flowlang.crashpoints import crashpoint
from flowlang.engine.ops import (
    Accept,
    Cancel,
    ClaimRequest,
    Commit,
    Delete,
    Deploy,
    Leave,
    Op,
    Prune,
    Release,
    Renew,
    Reply,
    ResolveDead,
    Sweep,
)
from flowlang.engine.ports import FlushId
from flowlang.store.redis import RedisStore

#: The kinds of things that a flush carries: first halves of labels.
KINDS = (
    "accepting",
    "ticking",
    "sending_late",
    "committing",
    "fanning_out",
    "joining",
    "waiting",
    "taking",
    "invoking",
    "emitting",
    "finishing",
    "failing",
    "undoing",
    "timing",
    "delaying",
    "gating",
    "caching",
    "ending_children",
    "renewing",
    "releasing",
    "cancelling",
    "sweeping",
    "deploying",
    "pruning",
    "resolving",
    "deleting",
    "leaving",
    "claiming",
)

_SIMPLE: dict[type, str] = {
    Renew: "renewing",
    Release: "releasing",
    Cancel: "cancelling",
    Sweep: "sweeping",
    Deploy: "deploying",
    Prune: "pruning",
    ResolveDead: "resolving",
    Delete: "deleting",
    Leave: "leaving",
}


class CrashingStore(RedisStore):
    """`RedisStore` with a crash point before each flush and behind its answer, for each kind of thing in it."""

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        """Apply operations in order, then claim. See `RedisStore.apply`."""
        kinds = sorted(set(kinds_of(ops)))
        for kind in kinds:
            crashpoint(f"{kind}.before_send")
        reply = super().apply(flush, ops, claim)
        if reply.claimed:
            kinds.append("claiming")
        for kind in kinds:
            crashpoint(f"{kind}.after_reply")
        return reply


def labels() -> frozenset[str]:
    """All labels that are passed here."""
    behind = {f"{kind}.after_reply" for kind in KINDS}
    return frozenset(behind | {f"{kind}.before_send" for kind in KINDS if kind != "claiming"})


def kinds_of(ops: Iterable[Op]) -> Iterator[str]:
    """What operations carry; the same kind may come more than once."""
    for op in ops:
        match op:
            case Accept():
                yield from _of_accept(op)
            case Commit():
                yield from _of_commit(op)
            case _:
                yield _SIMPLE[type(op)]


def _of_accept(accept: Accept) -> Iterator[str]:
    yield "accepting"
    if accept.tick is not None:
        yield "ticking"
    if accept.delayed is not None:
        yield "sending_late"


def _of_commit(commit: Commit) -> Iterator[str]:
    yield "committing"
    for accept in commit.accepts:
        yield "invoking" if any(seed.parent is not None for seed in accept.runs) else "emitting"
    carried: dict[str, object] = {
        "fanning_out": commit.groups,
        "joining": commit.join,
        "waiting": commit.waits,
        "taking": commit.takes,
        "finishing": commit.finish,
        "failing": commit.finish is not None and commit.finish.dead,
        "undoing": commit.undos,
        "timing": commit.timers,
        "delaying": commit.delayed,
        "gating": commit.gates,
        "caching": commit.cached or commit.lookups,
        "ending_children": commit.cancel_runs,
    }
    yield from (kind for kind, part in carried.items() if part)
