"""The script and the reference pass the same runs and attempts through gates."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from flowlang.engine.ops import (
    MAIN,
    Accept,
    Cancel,
    Claimed,
    ClaimRequest,
    Commit,
    Finish,
    Gate,
    Join,
    Op,
    Pace,
    Parent,
    Slot,
    Sweep,
    Timer,
    Window,
)
from flowlang.engine.ports import FlushId
from flowlang.engine.reference import Partition
from flowlang.store.redis import RedisStore
from tests.contract.rig import event_of, group_of, seed_of

EXAMPLES = int(os.environ.get("FLOWLANG_EXAMPLES", "40"))
STEPS = 50

LIMITS = {"s1": 1, "s2": 2}
slots = st.sampled_from(list(LIMITS)).flatmap(
    lambda key: st.builds(
        Slot,
        st.just(key),
        st.just(LIMITS[key]),
        st.sampled_from(["wait", "wait", "skip", "cancel_oldest"]),
        active=st.sampled_from([True, True, False]),
        refusal=st.just(b"full"),
    )
)
paces = st.builds(
    Pace,
    st.sampled_from(["p1", "p2"]),
    limit=st.sampled_from([1, 3]),
    period_ms=st.sampled_from([1_000, 7_000]),
    burst=st.integers(1, 2),
    wait=st.sampled_from([True, True, False]),
    refusal=st.just(b"rate"),
)
windows = st.builds(Window, st.just("quiet"), st.just(3_000), max_ms=st.sampled_from([None, 5_000]))
batches = st.builds(Window, st.just("batch"), st.just(3_000), size=st.just(3))
run_gates = st.one_of(
    st.tuples(slots),
    st.tuples(slots),
    st.tuples(paces),
    st.tuples(windows),
    st.tuples(windows, slots),
    st.tuples(paces, slots),
)
step_gates = st.one_of(
    st.tuples(st.sampled_from([Slot("s1", 1), Slot("s2", 2)])),
    st.tuples(st.just(Pace("p1", 2, 1_000)), st.just(Slot("s1", 1))),
)
choices = st.integers(0, 5)
parents = st.sampled_from([0, 0, 1, 2, 3])  #: so many runs back; 0: none
flags = st.booleans()


class Machine(RuleBasedStateMachine):
    """Each flush goes to the script, and to the reference at the script's time."""

    url = ""
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.store = RedisStore(self.url, namespace=f"g{next(self.numbers)}", test_clock=True)
        self.reference = Partition()
        self.moved = 0
        self.seq = 0
        self.made: list[str] = []
        self.held: list[Claimed] = []

    def teardown(self) -> None:
        self.store.close()

    def send(self, *ops: Op, limit: int = 3) -> None:
        self.seq += 1
        claim = ClaimRequest("w", ("default",), limit, 20_000, 8, 0)
        flush = FlushId("w", self.seq)
        reply = self.store.apply(flush, ops, claim)
        assert self.reference.apply(flush, ops, claim, now_ms=reply.now_ms) == reply
        self.held += reply.claimed
        for run in self.made:
            assert self.store.run(run) == self.reference.run(run)
        ours, theirs = self.store.stats(), self.reference.stats(reply.now_ms)
        assert (ours.ready, ours.held, ours.timers) == (theirs.ready, theirs.held, theirs.timers)

    def pick(self, which: int) -> Claimed | None:
        return self.held.pop(which % len(self.held)) if self.held else None

    def create(self, gates: tuple[Gate, ...], parent: int = 0, **seed: Any) -> None:
        run = f"r{len(self.made):03d}"
        if parent and self.made:  # invoked by one of the runs before
            seed["parent"] = Parent(self.made[-parent % len(self.made)], MAIN, run)
        self.made.append(run)
        self.send(Accept(0, event_of(f"e-{run}"), (seed_of(run, gates=gates, meta=run.encode(), **seed),)))

    @rule(gates=run_gates, parent=parents)
    def start(self, gates: tuple[Gate, ...], parent: int) -> None:
        self.create(gates, parent)

    @rule(gate=batches, parent=parents)
    def start_batched(self, gate: Gate, parent: int) -> None:
        self.create((gate,), parent, more=True)

    @rule(which=choices, gates=step_gates)
    def ask(self, which: int, gates: tuple[Gate, ...]) -> None:
        if row := self.pick(which):
            batch = any(fact["kind"] == "batch" for fact in row.facts)
            ident = "" if batch else "step"
            frees = ("step",)
            op = Commit(row.run, row.scope, row.fence, "waiting", b"", gates=gates, gate_id=ident, frees=frees)
            self.send(op)

    @rule(which=choices, timer=flags, steps=st.sampled_from([0, 0, 2]))
    def rest(self, which: int, timer: bool, steps: int) -> None:
        """A scope waits; with so many steps its run has passed a limit, and hears of it wherever it is."""
        if row := self.pick(which):
            timers = (Timer("t", 2_000),) if timer else (Timer("run:timeout", 4_000),)
            more: dict[str, Any] = {"timers": timers, "frees": ("step",), "steps": steps, "max_steps": 3}
            self.send(Commit(row.run, row.scope, row.fence, "waiting", b"", len(row.facts), **more))

    @rule(count=st.integers(1, 3), by_ms=st.sampled_from([0, 2_000]))
    def rest_all(self, count: int, by_ms: int) -> None:
        """Everything waits a while, others begin, then the timers are due."""
        ops = []
        for row in self.held:
            timers = (Timer("t", 2_000),)
            ops.append(Commit(row.run, row.scope, row.fence, "waiting", b"", len(row.facts), timers=timers))
        self.held = []
        self.send(*ops)
        for _ in range(count):
            self.create((Slot("s1", 1, active=True),))
        self.moved += by_ms
        self.store.set_test_clock(self.moved)
        self.send(Sweep())

    @rule(which=choices, total=st.integers(0, 3))
    def fan_out(self, which: int, total: int) -> None:
        if (row := self.pick(which)) and row.scope == MAIN:
            op = Commit(row.run, MAIN, row.fence, "waiting", b"", len(row.facts), groups=(group_of(total),))
            self.send(op)

    @rule(which=choices, status=st.sampled_from(["succeeded", "failed", "cancelled"]))
    def end(self, which: int, status: Any) -> None:
        if row := self.pick(which):
            more: dict[str, Any] = (
                {"finish": Finish(status, b"")} if row.scope == MAIN else {"join": Join(row.group or "")}
            )
            self.send(Commit(row.run, row.scope, row.fence, "ended", b"", **more))

    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        if self.made:
            self.send(Cancel(self.made[which % len(self.made)]))

    @rule(by_ms=st.sampled_from([1, 500, 2_000, 3_000, 30_000, 90_000_000]))
    def wait(self, by_ms: int) -> None:
        self.moved += by_ms
        self.store.set_test_clock(self.moved)
        self.send(Sweep())


@pytest.fixture
def machine(redis_url: str) -> type[Machine]:
    Machine.url = redis_url
    return Machine


def test_the_script_passes_what_the_reference_passes(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
