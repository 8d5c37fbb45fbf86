"""The Redis script and the reference are the same machine: any sequence of operations gets the same answers from both."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

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
    Group,
    Join,
    Leave,
    Lookup,
    OnceKey,
    Op,
    Parent,
    Prune,
    QueueTerms,
    Release,
    Renew,
    ResolveDead,
    Sweep,
    Take,
    Timer,
    Wait,
)
from flowlang.engine.ports import FlushId
from flowlang.engine.reference import Partition
from flowlang.store.redis import RedisStore
from tests.contract.rig import event_of, seed_of

#: Sequences that are tried and the steps of each; a nightly job raises the first.
EXAMPLES = int(os.environ.get("FLOWLANG_EXAMPLES", "40"))
STEPS = 40

RUNS = ("r0", "r1", "r2")
EVENTS = ("e0", "e1", "e2")
WORKERS = ("wa", "wb")
QUEUES = ("default", "slow")
VERSIONS = ("v1", "v2")
GROUPS = ("g", "h")

bodies = st.sampled_from([b"", b"x", b"\xff\x00\xc4", b"y" * 300])
delays = st.sampled_from([0, 1, 1_000, 5_000])
some = st.integers(0, 3)
flags = st.booleans()
rarely = st.sampled_from([False, False, False, True])
choices = st.sampled_from([0, 1, 2, 3, 4, 5, 6, -1])
epochs = st.sampled_from([0, 0, 0, 0, 0, 99])  #: 0: the active one
reads = st.lists(
    st.sampled_from(["a", "=g[0]", "*g", "#g", "*h", "g[1]", "~g:2", "~h:3", "~none:0", "^r0", "^r1", "^r2"]),
    max_size=3,
).map(tuple)
keys = st.lists(st.sampled_from(["k0", "k1", "k2"]), min_size=1, max_size=3).map(tuple)
waits = st.builds(
    Wait,
    st.sampled_from(["w", "v"]),
    keys,
    since_ms=st.sampled_from([None, 0, 0, 2_000_000_000_000]),
    but=st.sampled_from(["", "", "e0"]),
)
takes = st.builds(Take, st.sampled_from(["w", "v"]), st.sampled_from(["s", "s/t"]), st.sampled_from(EVENTS))

timers = st.builds(
    Timer, st.sampled_from(["t", "u"]), delay_ms=delays, at_ms=st.sampled_from([None, None, 1, 2_000_000_000_000])
)
records = st.dictionaries(st.sampled_from(["a", "g[0]", "g[1]", "h[2]"]), bodies, max_size=2)
seeds = st.builds(
    seed_of,
    st.sampled_from(RUNS),
    pipeline=st.sampled_from(["p", "q"]),
    version=st.sampled_from(VERSIONS),
    queue=st.sampled_from(QUEUES),
    state=bodies,
    meta=bodies,
    reads=reads,
    priority_ms=st.sampled_from([0, 60_000]),
    retention_ms=st.sampled_from([0, 5_000, 86_400_000]),
    once=st.none() | st.builds(OnceKey, st.sampled_from(["k1", "k2"]), st.sampled_from([1, 5_000])),
    replay_of=st.sampled_from([None, "r9"]),
    parent=st.none()
    | st.builds(Parent, st.sampled_from(RUNS), st.sampled_from([MAIN, "g[0]"]), st.sampled_from(["c", "d"])),
    timers=st.lists(timers, max_size=1).map(tuple),
    waits=st.lists(waits, max_size=1).map(tuple),
    records=records,
)
letters = st.builds(DeadLetter, st.sampled_from(RUNS + EVENTS), st.just("run"), st.sampled_from(["p", "q"]), bodies)


def without_duplicates(op: Accept) -> Accept:
    """What invokes a run is no duplicate of anything."""
    if all(seed.parent is None for seed in op.runs):
        return op
    return msgspec.structs.replace(op, event=msgspec.structs.replace(op.event, dedupe=None), tick=None, delayed=None)


accepts = st.builds(
    Accept,
    epoch=epochs,  # replaced when it is sent
    event=st.builds(
        event_of,
        st.sampled_from(EVENTS),
        body=bodies,
        reasons=bodies,
        dedupe=st.sampled_from([None, "d1", "d2"]),
        dedupe_ms=st.sampled_from([1, 5_000, 86_400_000]),
        keep_ms=st.sampled_from([1, 86_400_000]),
        keys=st.just(()) | keys,
        mail_ms=st.sampled_from([0, 1_000, 5_000, 86_400_000]),
    ),
    runs=st.lists(seeds, max_size=2).map(tuple),
    dead=st.none() | letters,
    tick=st.none() | st.tuples(st.sampled_from(["c1", "c2"]), st.sampled_from([1, 2, 3, 2_000_000_000_000])),
    delayed=st.sampled_from([None, None, *EVENTS]),
).map(without_duplicates)


@dataclass(frozen=True)
class How:
    """How an operation is sent."""

    gather: bool
    worker: str
    queues: tuple[str, ...]
    limit: int
    threads: int
    answered: int
    refuses: tuple[str, ...]
    defers: tuple[str, ...]
    terms: dict[str, QueueTerms]


hows = st.builds(
    How,
    rarely,
    st.sampled_from(WORKERS),
    st.sampled_from([QUEUES, QUEUES, ("slow",), ("slow", "default")]),
    st.sampled_from([0, 1, 2, 4]),
    st.sampled_from([2, 4, 9]),
    st.integers(0, 2),
    st.sampled_from([(), (), (), ("v1",), VERSIONS]),
    st.sampled_from([(), (), (), ("v2",), ("v1",)]),
    st.dictionaries(
        st.sampled_from(QUEUES),
        st.builds(QueueTerms, st.integers(0, 1), st.sampled_from([None, 1, 2]), st.integers(0, 2)),
        max_size=2,
    ),
)


def needs_of(child: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Some of the children before this one."""
    return st.sets(st.integers(0, child - 1), max_size=2).map(sorted).map(tuple) if child else st.just(())


@st.composite
def groups(draw: st.DrawFn) -> Group:
    name = draw(st.sampled_from(GROUPS))
    total = draw(st.integers(0, 4))
    return Group(
        name,
        f"{name}[",
        "]",
        total,
        max_parallel=draw(st.integers(1, 3)),
        limit=draw(st.integers(0, 2)),
        cancel_rest=draw(flags),
        state=draw(bodies),
        reads=("=$", "#g") if draw(flags) else (),
        inputs=tuple(draw(bodies) for _ in range(total)) if draw(flags) else (),
        needs=tuple(draw(needs_of(child)) for child in range(total)) if draw(flags) else (),
    )


delayed_ones = st.builds(Delayed, st.sampled_from(EVENTS), bodies, delay_ms=delays)
entries = st.builds(CacheEntry, st.sampled_from(["k1", "k2"]), bodies, st.sampled_from([1, 5_000]))
lookups = st.builds(Lookup, st.sampled_from(["a", "g[0]"]), st.sampled_from(["k1", "k2"]))
turns = st.fixed_dictionaries(
    {
        "state": bodies,
        "consumed": some,
        "reads": reads,
        "records": records,
        "undos": st.lists(bodies, max_size=1).map(tuple),
        "delayed": st.lists(delayed_ones, max_size=1).map(tuple),
        "cached": st.lists(entries, max_size=1).map(tuple),
        "lookups": st.lists(lookups, max_size=2).map(tuple),
        "cancel_runs": st.lists(st.tuples(st.sampled_from(RUNS), st.just("why"), st.just("call")), max_size=1).map(
            tuple
        ),
        "journal": st.lists(bodies, max_size=2).map(tuple),
        "timers": st.lists(timers, max_size=2).map(tuple),
        "cleared": st.lists(st.sampled_from(["t", "u"]), max_size=1).map(tuple),
        "unwaits": st.lists(st.sampled_from(["w", "v"]), max_size=1).map(tuple),
        "waits": st.lists(waits, max_size=2).map(tuple),
        "takes": st.lists(takes, max_size=2).map(tuple),
        "cancels": st.lists(st.sampled_from(GROUPS), max_size=1).map(tuple),
        "accepts": st.lists(accepts, max_size=1).map(tuple),
        "steps": some,
        "max_stored": st.sampled_from([None, None, 900]),
        "max_steps": st.sampled_from([None, None, 4]),
    }
)
joins = st.fixed_dictionaries(
    {"weight": st.sampled_from([0, 0, 0, 1, 2, 3]), "error": st.none() | bodies, "cancelled": flags}
)
endings = st.sampled_from(["succeeded", "failed", "cancelled"])


def under(scope: str, group: Group) -> Group:
    """Name a group by the scope that makes it, as the engine does; those of the main scope keep their short names."""
    if scope == MAIN:
        return group
    return msgspec.structs.replace(group, id=f"{scope}/{group.id}", prefix=f"{scope}/{group.prefix}")


class Machine(RuleBasedStateMachine):
    """Operations gather in a flush; each flush goes to the script, and to the reference at the script's time."""

    url = ""
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.store = RedisStore(self.url, namespace=f"m{next(self.numbers)}", test_clock=True)
        self.reference = Partition()
        self.moved = 0
        self.seqs = dict.fromkeys(WORKERS, 0)
        self.ops: list[Op] = []
        self.held: list[Claimed] = []
        self.left: list[Claimed] = []
        self.epoch = 0
        self.last: tuple[FlushId, list[Op], ClaimRequest | None] | None = None

    def teardown(self) -> None:
        self.store.close()

    def send(self, worker: str, claim: ClaimRequest | None) -> None:
        self.seqs[worker] += 1
        self.last = (FlushId(worker, self.seqs[worker]), self.ops, claim)
        self.ops = []
        reply = self.store.apply(*self.last)
        assert self.reference.apply(*self.last, now_ms=reply.now_ms) == reply
        self.epoch = reply.epoch
        self.held += reply.claimed
        self.compare_views()

    def compare_views(self) -> None:
        now_ms = self.store.now_ms()
        for run in RUNS:
            assert self.store.run(run) == self.reference.run(run)
        assert self.store.runs(limit=2) == self.reference.runs(limit=2)
        assert self.store.runs(before="r1", status="running") == self.reference.runs(before="r1", status="running")
        assert self.store.runs(pipeline="p") == self.reference.runs(pipeline="p")
        assert self.store.dead_letters(name="p") == self.reference.dead_letters(name="p")
        assert self.store.dead_letters() == self.reference.dead_letters()
        due, at_ms = self.store.delayed(2), self.store.now_ms()
        if self.reference.delayed(2, now_ms) == self.reference.delayed(2, at_ms):  # none became due in between
            assert due == self.reference.delayed(2, at_ms)
        assert self.store.crons() == self.reference.crons()
        assert self.store.versions() == self.reference.versions()
        assert self.store.manifest() == self.reference.manifest()
        ours, theirs = self.store.stats(), self.reference.stats(now_ms)
        assert msgspec.structs.replace(ours, now_ms=now_ms) == theirs

    def current(self, op: Accept) -> Accept:
        return msgspec.structs.replace(op, epoch=op.epoch or self.epoch)

    def add(self, op: Op, how: How) -> None:
        """Put an operation into the flush at hand, and mostly send it with a claim."""
        self.ops.append(op)
        if how.gather:
            return
        answered = how.queues[: how.answered]
        declined = {"refuses": how.refuses, "defers": how.defers}
        self.send(
            how.worker,
            ClaimRequest(
                how.worker, how.queues, how.limit, 5_000, how.threads, 1, answered, terms=how.terms, **declined
            ),
        )

    def pick(self, which: int) -> Claimed | None:
        """A row that is held, as far as the answers say; now and then one that was lost or handed back."""
        if which < 0:
            return self.left[which % len(self.left)] if self.left else None
        return self.held[which % len(self.held)] if self.held else None

    def leave_row(self, row: Claimed) -> None:
        if row in self.held:
            self.held.remove(row)
            self.left.append(row)

    @initialize(made=st.lists(groups(), min_size=1, max_size=2))
    def begin(self, made: list[Group]) -> None:
        """Two runs, one of them with a group or two."""
        self.ops.append(Accept(0, event_of("e0"), (seed_of("r0"), seed_of("r1", queue="slow"))))
        self.send("wa", ClaimRequest("wa", QUEUES, 4, 5_000, 8, 0))
        main = self.held.pop(0)
        self.ops.append(Commit(main.run, MAIN, main.fence, "waiting", b"", consumed=1, groups=tuple(made)))
        self.send("wb", ClaimRequest("wb", QUEUES, 4, 5_000, 8, 0))

    @rule(op=accepts, how=hows)
    def accept(self, op: Accept, how: How) -> None:
        self.add(self.current(op), how)

    @rule(
        which=choices,
        status=st.sampled_from(["held", "ready", "waiting", "waiting"]),
        turn=turns,
        made=st.lists(groups(), max_size=1),
        how=hows,
    )
    def commit(self, which: int, status: Any, turn: dict[str, Any], made: list[Group], how: How) -> None:
        if row := self.pick(which):
            fields = {**turn, "accepts": tuple(self.current(one) for one in turn["accepts"])}
            if status != "held":
                self.leave_row(row)
            fields["groups"] = tuple(under(row.scope, group) for group in made)
            self.add(Commit(row.run, row.scope, row.fence, status, **fields), how)

    @rule(which=choices, turn=turns, join=joins, status=endings, dead=st.none() | letters, main=rarely, how=hows)
    def end(
        self,
        which: int,
        turn: dict[str, Any],
        join: dict[str, Any],
        status: Any,
        dead: DeadLetter | None,
        main: bool,
        how: How,
    ) -> None:
        row = self.pick(which)
        if row is None or (row.scope == MAIN and not main):
            return
        fields = {**turn, "accepts": tuple(self.current(one) for one in turn["accepts"])}
        if row.scope == MAIN:
            fields["finish"] = Finish(status, b"end", dead)
        elif row.group is not None:
            fields["join"] = Join(row.group, **join)
        self.leave_row(row)
        self.add(Commit(row.run, row.scope, row.fence, "ended", **fields), how)

    @rule(joins=st.lists(joins, min_size=1, max_size=4), how=hows)
    def end_children(self, joins: list[dict[str, Any]], how: How) -> None:
        """Several children of a group end in one flush, as they do under load."""
        children = [row for row in self.held if row.group is not None]
        for row, join in zip(children, joins, strict=False):
            self.leave_row(row)
            fields: dict[str, Any] = {"join": Join(row.group or "", **join), "records": {row.scope: b"record"}}
            self.ops.append(Commit(row.run, row.scope, row.fence, "ended", b"", **fields))
        self.add(Leave("wc"), how)

    @rule(group=groups(), how=hows)
    def orphan(self, group: Group, how: How) -> None:
        """A child ends before the children of its own, which are still at work."""
        row = next((row for row in self.held if row.group is not None), None)
        if row is None:
            return
        self.ops.append(Commit(row.run, row.scope, row.fence, "held", b"", groups=(under(row.scope, group),)))
        self.send(how.worker, ClaimRequest(how.worker, QUEUES, 4, 5_000, how.threads, 0))
        self.leave_row(row)
        self.add(Commit(row.run, row.scope, row.fence, "ended", b"", join=Join(row.group or "")), how)

    @rule(which=choices, how=hows)
    def release(self, which: int, how: How) -> None:
        if row := self.pick(which):
            self.leave_row(row)
            self.add(Release(row.run, row.scope, row.fence), how)

    @rule(worker=st.sampled_from(WORKERS), lease_ms=st.sampled_from([1_000, 10_000]), alone=st.booleans(), how=hows)
    def renew(self, worker: str, lease_ms: int, alone: bool, how: How) -> None:
        rows = self.held[-3:] + self.left[-1:]
        self.add(Renew(worker, lease_ms, tuple((row.run, row.scope, row.fence) for row in rows), alone), how)

    @rule(run=st.sampled_from(RUNS), how=hows)
    def cancel(self, run: str, how: How) -> None:
        self.add(Cancel(run, "asked"), how)

    @rule(limit=st.sampled_from([1, 200]), spares=rarely, how=hows)
    def sweep(self, limit: int, spares: bool, how: How) -> None:
        self.add(Sweep(limit, rescue=not spares), how)

    @rule(
        digest=st.sampled_from(["m1", "m2"]),
        crons=st.lists(st.sampled_from(["c1", "c2"]), unique=True).map(tuple),
        versions=st.sets(st.sampled_from([*VERSIONS, "v3"])),
        how=hows,
    )
    def deploy(self, digest: str, crons: tuple[str, ...], versions: set[str], how: How) -> None:
        self.add(Deploy(digest, b"manifest", dict.fromkeys(versions, b"plan"), crons), how)

    @rule(epoch=epochs, keep=st.sampled_from([(), ("v1",), ("v2", "v3")]), how=hows)
    def prune(self, epoch: int, keep: tuple[str, ...], how: How) -> None:
        self.add(Prune(epoch or self.epoch, keep), how)

    @rule(ident=st.sampled_from(RUNS + EVENTS), replaced_by=st.sampled_from([None, "r8"]), how=hows)
    def resolve_dead(self, ident: str, replaced_by: str | None, how: How) -> None:
        self.add(ResolveDead(ident, replaced_by), how)

    @rule(run=st.sampled_from(RUNS), limit=st.integers(1, 3), how=hows)
    def delete(self, run: str, limit: int, how: How) -> None:
        self.add(Delete(run, limit), how)

    @rule(worker=st.sampled_from(WORKERS), how=hows)
    def leave(self, worker: str, how: How) -> None:
        self.add(Leave(worker), how)

    @rule(worker=st.sampled_from(WORKERS))
    def flush_only(self, worker: str) -> None:
        self.send(worker, None)

    @rule()
    def flush_again(self) -> None:
        if self.last is not None and self.seqs[self.last[0].worker] == self.last[0].seq:
            reply = self.store.apply(*self.last)
            assert self.reference.apply(*self.last, now_ms=reply.now_ms) == reply
            self.compare_views()

    @rule(how=hows)
    def lose_leases(self, how: How) -> None:
        """Time passes every lease, and what was held is taken by somebody else."""
        self.wait(10_000)
        self.left += self.held
        self.held = []
        self.add(Sweep(), how)

    @rule(by_ms=st.sampled_from([1, 1_000, 2_000, 5_000, 10_000, 120_000, 90_000_000]))
    def wait(self, by_ms: int) -> None:
        self.moved += by_ms
        self.store.set_test_clock(self.moved)


@pytest.fixture
def machine(redis_url: str) -> type[Machine]:
    Machine.url = redis_url
    return Machine


def test_the_script_answers_as_the_reference_does(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        ),
    )
