"""Row 0 of the failure model: the reply of every flush is lost and the flush sent again, and it was applied once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from flowlang.engine.ops import (
    MAIN,
    Accept,
    CacheEntry,
    Cancel,
    Claimed,
    ClaimRequest,
    Commit,
    DeadLetter,
    Delayed,
    Delete,
    Deploy,
    Finish,
    Leave,
    Lookup,
    Op,
    Outcome,
    Parent,
    Prune,
    Release,
    Renew,
    Reply,
    ResolveDead,
    Slot,
    Sweep,
    Take,
    Timer,
    Wait,
)
from flowlang.engine.ports import FlushId
from flowlang.engine.reference import Partition
from flowlang.errors import StoreUnavailableError
from flowlang.store.crashing import KINDS, kinds_of
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.contract import test_equivalence, test_gate_equivalence
from tests.contract.rig import accept, commit, end_child, event_of, group_of, seed_of
from tests.faults.proxy import FaultProxy, Odds

numbers = itertools.count()


class Forgetful(RedisStore):
    """The store behind a proxy that throws the reply of each flush away, whereupon it is sent again.

    Args:
        proxy: In front of the server.
        url: Of the server.
        how: See `RedisStore`.
    """

    def __init__(self, proxy: FaultProxy, url: str, **how: Any) -> None:
        super().__init__(proxy.in_front_of(url), **how)
        super().apply(FlushId("first", 1), [])  # the server learns its function
        self._proxy = proxy

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        lost = self._proxy.done["swallow"]
        self._proxy.next("swallow")
        with pytest.raises(StoreUnavailableError):
            super().apply(flush, ops, claim)
        assert self._proxy.done["swallow"] == lost + 1
        return super().apply(flush, ops, claim)


@pytest.fixture
def proxy(valkey_server: EmbeddedServer, redis_url: str) -> Iterator[FaultProxy]:
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    with FaultProxy(port, odds=Odds(only=lambda request: b"FCALL" in request[:40])) as between:
        yield between


class Twins:
    """The store whose replies are lost, and the reference, which gets each flush once."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.reference = Partition()
        self.kinds: set[str] = set()
        self.epoch = 0
        self.runs: set[str] = set()
        self._seq = 0

    def send(self, *ops: Op, claim: int = 0) -> Reply:
        """Send a flush, and hold what came of it to the reference."""
        self._seq += 1
        flush = FlushId("w", self._seq)
        request = ClaimRequest("w", ("default",), claim, 10_000, 8, 0) if claim else None
        reply = self.store.apply(flush, ops, request)
        assert self.reference.apply(flush, ops, request, now_ms=reply.now_ms) == reply
        self.epoch = reply.epoch
        self.kinds |= {*kinds_of(ops), *(["claiming"] if reply.claimed else [])}
        self.runs |= {run.id for op in ops for each in self._accepts(op) for run in each.runs}
        assert {run: self.store.run(run) for run in self.runs} == {run: self.reference.run(run) for run in self.runs}
        ours, theirs = self.store.stats(), self.reference.stats(reply.now_ms)
        assert (ours.ready, ours.held, ours.timers, ours.runs, ours.dead) == (
            theirs.ready,
            theirs.held,
            theirs.timers,
            theirs.runs,
            theirs.dead,
        )
        assert self.store.crons() == self.reference.crons()
        assert self.store.versions() == self.reference.versions()
        return reply

    def one(self, op: Op) -> Outcome:
        """Send one operation."""
        (outcome,) = self.send(op).outcomes
        return outcome

    def claim(self, limit: int = 1) -> list[Claimed]:
        """Claim rows."""
        return list(self.send(claim=limit).claimed)

    @staticmethod
    def _accepts(op: Op) -> tuple[Accept, ...]:
        return (op,) if isinstance(op, Accept) else op.accepts if isinstance(op, Commit) else ()


@pytest.fixture
def twins(proxy: FaultProxy, redis_url: str) -> Iterator[Twins]:
    store = Forgetful(proxy, redis_url, namespace=f"f{next(numbers)}", test_clock=True)
    yield Twins(store)
    store.close()


def test_every_kind_of_operation_is_applied_once_though_its_reply_is_lost(twins: Twins) -> None:
    twins.one(Deploy("m1", b"manifest", {"v1": b"plan", "v0": b"old"}, ("c1",)))
    epoch = twins.epoch
    twins.one(accept("e1", seed_of("r00-1"), seed_of("r00-2"), epoch=epoch, dedupe="d1"))
    first, second = twins.claim(2)

    # A turn with all that goes on beside the scope.
    twins.one(
        commit(
            first,
            "held",
            consumed=1,
            records={"a": b"1"},
            journal=(b"line",),
            undos=(b"undo",),
            timers=(Timer("t", 60_000), Timer("soon", 0)),
            delayed=(Delayed("e00-late", b"late"),),
            cached=(CacheEntry("k", b"kept", 60_000),),
            lookups=(Lookup("a", "k"),),
            waits=(Wait("w", ("key",)),),
            steps=1,
        )
    )
    twins.one(Accept(epoch, event_of("e00-late"), (seed_of("r00-3"),), delayed="e00-late"))
    twins.one(accept("e2", epoch=epoch, keys=("key",), mail_ms=60_000))
    twins.one(commit(first, "held", takes=(Take("w", "step", "e2"),)))
    twins.one(commit(first, "held", accepts=(accept("e3", seed_of("r00-4"), epoch=epoch),)))
    parent = Parent("r00-1", MAIN, "call")
    twins.one(commit(first, "held", accepts=(accept("e4", seed_of("r00-5", parent=parent), epoch=epoch),)))
    twins.one(commit(first, "held", cancel_runs=(("r00-5", "not wanted", "call"),)))

    # Gates, leases, and everything that finds what is overdue.
    twins.one(commit(second, "waiting", consumed=1, gates=(Slot("s", 1),), gate_id="g"))
    twins.one(Renew("w", 10_000, (("r00-1", MAIN, first.fence),)))
    twins.one(Release("r00-1", MAIN, first.fence))
    twins.one(Cancel("r00-2", "asked"))
    twins.one(Sweep())
    twins.one(Accept(epoch, event_of("tick"), (seed_of("r00-6"),), tick=("c1", twins.store.now_ms() + 60_000)))

    # Children and their join, and both ends of a run.
    rows = {row.run: row for row in twins.claim(8)}
    main = rows["r00-1"]
    twins.one(commit(main, "waiting", consumed=len(main.facts), groups=(group_of(2),)))
    children = [row for row in twins.claim(8) if row.group is not None]
    assert len(children) == 2
    twins.send(*map(end_child, children))
    (main,) = twins.claim(8)
    assert [fact["kind"] for fact in main.facts].count("joined") == 1
    dead = DeadLetter("r00-1", "run", "orders", b"why")
    twins.one(commit(main, "ended", consumed=len(main.facts), finish=Finish("failed", b"error", dead)))
    twins.one(commit(rows["r00-3"], "ended", consumed=1, finish=Finish("succeeded", b"output")))
    twins.one(ResolveDead("r00-1", "r00-9"))
    twins.one(Delete("r00-3"))
    twins.one(Prune(epoch, ("v1",)))
    twins.one(Leave("w"))

    assert twins.kinds == set(KINDS)


@pytest.fixture
def forgetting(proxy: FaultProxy, redis_url: str) -> Callable[..., Forgetful]:
    """What makes the stores of the machines."""

    def make(_: str, **how: Any) -> Forgetful:
        return Forgetful(proxy, redis_url, **{**how, "namespace": f"f{next(numbers)}"})

    return make


@pytest.mark.parametrize("module", [test_equivalence, test_gate_equivalence], ids=["operations", "gates"])
def test_any_sequence_of_operations_comes_out_the_same(
    module: Any, forgetting: Callable[..., Forgetful], proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RedisStore", forgetting)
    run_state_machine_as_test(
        module.Machine,
        settings=settings(
            max_examples=max(1, module.EXAMPLES // 8),
            stateful_step_count=module.STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
    assert proxy.done["swallow"] >= module.STEPS
