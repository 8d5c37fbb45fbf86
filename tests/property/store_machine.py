"""Hypothesis drives a real server and a model of it: every answer is held to the model, at every step.

Many short histories share a database, each with a queue and names of its own. At the end of each all runs are brought
to their ends; now and then the whole database is checked by `fsck` and emptied.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import hypothesis.core
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from flowlang.engine.ops import (
    Accept,
    Accepted,
    Cancel,
    ClaimRequest,
    Committed,
    Deploy,
    Done,
    Duplicate,
    Hold,
    Lost,
    Op,
    Release,
    Renew,
    Renewed,
    Reply,
    Sweep,
    Swept,
)
from flowlang.engine.ports import FlushId
from flowlang.store.fsck import Checker
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.property.store_model import LEASE_MS, VERSION, Model, ModelError, Token

#: Steps of a history at most, and histories between two checks of the whole database.
STEPS = 50
TOGETHER = 32
OFTEN = 16  #: histories of which one is checked in the middle as well

#: One history of so many kills its server, and cuts its file.
RARELY = 64

#: The server begins anew with a file of this size, so that a restart stays quick; bytes.
_LARGE_FILE = 8_000_000

_DEPLOY = Deploy("m1", b"manifest", {VERSION: b"plan"})


@dataclass
class Ground:
    """The server that all histories share.

    Args:
        folder: For its data.
    """

    folder: Path
    store: RedisStore = field(init=False)
    server: EmbeddedServer = field(init=False)
    histories: int = 0
    names: int = 0  #: that were given to histories, those included that failed
    steps: int = 0
    checks: int = 0
    restarts: int = 0
    cuts: int = 0
    refused: int = 0  #: commits that came late
    commits: int = 0
    moved_ms: int = 0

    def __post_init__(self) -> None:
        # Without syncs of its own the server writes to its file before each answer, so that a cut can be placed.
        self.server = EmbeddedServer(self.folder, appendfsync="no")
        self.server.start()
        self.store = RedisStore(self.server.url, test_clock=True)
        self._begin()

    def close(self) -> None:
        """Stop the server."""
        self.store.close()
        self.server.stop()

    def _begin(self) -> None:
        self.store.set_test_clock(self.moved_ms)
        self.store.apply(FlushId("deploy", self.names + 1), [_DEPLOY])

    def advance(self, by_ms: int) -> None:
        """Move the time."""
        self.moved_ms += by_ms
        self.store.set_test_clock(self.moved_ms)

    def file(self) -> Path:
        """The server's file."""
        (found,) = (self.folder / "appendonlydir").glob("*.incr.aof")
        return found

    def restart(self, upto: int | None = None) -> None:
        """Kill the server and start it again, on the first bytes of its file if a number is given."""
        self.server.kill()
        if upto is not None:
            with self.file().open("r+b") as content:
                content.truncate(upto)
        self.server.start()
        self.store._client.connection_pool.disconnect()
        self.store.set_test_clock(self.moved_ms)

    def check(self) -> None:
        """Check the whole database."""
        self.checks += 1
        checker = Checker(self.store._client, self.store.keys, now_ms=self.store.now_ms, pause=lambda _: None)
        report = checker.check()
        if report.findings:
            raise ModelError(f"fsck: {report.findings[:3]}")

    def ended(self) -> None:
        """A history has ended."""
        self.histories += 1
        if self.histories % TOGETHER == 0:
            self.check()
            self.empty()

    def empty(self) -> None:
        """Begin with an empty database."""
        if self.file().stat().st_size > _LARGE_FILE:
            self.server.kill()
            for name in (self.folder / "appendonlydir").iterdir():
                name.unlink()
            self.server.start()
            self.store._client.connection_pool.disconnect()
        else:
            self.store._client.flushdb()
        self._begin()


parts = st.sampled_from(["step", "step", "waitk", "waitl", "group30", "group29", "group19", "group00"])
choices = st.integers(0, 7)
workers = st.sampled_from(["a", "b"])


class StoreMachine(RuleBasedStateMachine):
    """One history."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self.ground.names += 1
        self.name = f"h{self.ground.names}"
        self.model = Model(self.name)
        self.seqs = {"a": 0, "b": 0}
        self.accepts: list[Accept] = []
        self.last: tuple[FlushId, list[Op], ClaimRequest | None, Reply] | None = None
        self.rare = False
        self.marks: list[tuple[int, Model]] = []  #: size of the file after a flush, and the model then
        self.now_ms = 0

    def send(self, *ops: Op, claim: int = 0, worker: str = "a") -> Reply:
        self.seqs[worker] += 1
        flush = FlushId(f"{self.name}{worker}", self.seqs[worker])
        request = ClaimRequest(flush.worker, (self.name,), claim, LEASE_MS, 4, 0) if claim else None
        reply = self.ground.store.apply(flush, ops, request)
        self.last = (flush, list(ops), request, reply)
        self.now_ms = reply.now_ms
        return reply

    def mark(self) -> None:
        """Note how large the file is now that the model says what the store holds."""
        if self.rare:
            size = self.ground.file().stat().st_size
            while self.marks and self.marks[-1][0] >= size:  # nothing was written since
                self.marks.pop()
            self.marks.append((size, deepcopy(self.model)))

    def counted(self) -> None:
        self.ground.steps += 1
        self.mark()

    @initialize(
        rare=st.integers(0, 2**20).map(lambda number: number % RARELY == 1),
        program=st.lists(parts, min_size=1, max_size=3).map(tuple),
    )
    def begin(self, rare: bool, program: tuple[str, ...]) -> None:
        self.rare = rare
        self._start(program)

    def _start(self, program: tuple[str, ...]) -> None:
        op = self.model.new_run(program)
        (outcome,) = self.send(op).outcomes
        assert outcome == Accepted(op.event.id, ((op.runs[0].id, True),))
        self.accepts.append(op)
        self.model.accepted(op, program, self.now_ms)
        self.counted()

    @rule(program=st.lists(parts, min_size=1, max_size=3).map(tuple))
    def accept(self, program: tuple[str, ...]) -> None:
        if len(self.model.runs) < 4:
            self._start(program)

    @rule(which=choices)
    def duplicate(self, which: int) -> None:
        """The sender sends again."""
        op = self.accepts[which % len(self.accepts)]
        assert self.send(op).outcomes == (Duplicate(op.event.id),)
        self.counted()

    @rule(key=st.sampled_from("kl"))
    def event(self, key: str) -> None:
        op = self.model.new_event(key)
        (outcome,) = self.send(op).outcomes
        assert outcome == Accepted(op.event.id, (), self.model.announced(op, self.now_ms))
        self.counted()

    @rule(limit=st.integers(1, 3), worker=workers)
    def claim(self, limit: int, worker: str) -> None:
        self._claim(limit, worker)
        self.counted()

    def _claim(self, limit: int, worker: str = "a") -> int:
        reply = self.send(claim=limit, worker=worker)
        self.model.fire(reply.now_ms)
        there = len(self.model.claimable())
        for row in reply.claimed:
            self.model.claimed(row, reply.now_ms + LEASE_MS)
        assert len(reply.claimed) == min(limit, there)
        return len(reply.claimed)

    @rule(which=choices, ok=st.sampled_from([True, True, False]), worker=workers)
    def turn(self, which: int, ok: bool, worker: str) -> None:
        if self.model.tokens:
            token = self.model.tokens[which % len(self.model.tokens)]
            self._turn(token, ok=ok, worker=worker)
            self.counted()

    def _turn(self, token: Token, *, ok: bool, worker: str = "a") -> None:
        op = self.model.decide(token, ok=ok)
        (outcome,) = self.send(op, worker=worker).outcomes
        self._taken(token, op, outcome)

    def _taken(self, token: Token, op: Any, outcome: Any) -> None:
        assert isinstance(outcome, Committed), outcome
        for answer in outcome.accepted:
            assert isinstance(answer, Accepted)
            assert [new for _, new in answer.runs] == [True]
        self.model.committed(token, op, self.now_ms)
        self.ground.commits += 1

    @rule(which=choices, key=st.sampled_from("kl"), first=st.booleans())
    def turn_and_event(self, which: int, key: str, first: bool) -> None:
        """An event and a commit at the same moment, in either order."""
        if not self.model.tokens:
            return
        token = self.model.tokens[which % len(self.model.tokens)]
        commit, event = self.model.decide(token, ok=True), self.model.new_event(key)
        ops: tuple[Op, Op] = (event, commit) if first else (commit, event)
        outcomes = self.send(*ops).outcomes
        told, taken = outcomes if first else outcomes[::-1]
        if not first:
            self._taken(token, commit, taken)
        assert told == Accepted(event.event.id, (), self.model.announced(event, self.now_ms))
        if first:
            self._taken(token, commit, taken)
        self.counted()

    @rule(which=choices, ok=st.booleans())
    def late_commit(self, which: int, ok: bool) -> None:
        """A holder that lost its scope, or has committed before, comes after all."""
        if self.model.late:
            token = self.model.late[which % len(self.model.late)]
            op = self.model.decide(token, ok=ok)
            (outcome,) = self.send(op).outcomes
            assert isinstance(outcome, Lost), outcome
            self.ground.refused += 1
            self.counted()

    @rule()
    def repeat(self) -> None:
        """The answer was lost, and the same flush is sent again."""
        if self.last is not None and self.seqs[self.last[0].worker[-1]] == self.last[0].seq:
            flush, ops, claim, reply = self.last
            assert self.ground.store.apply(flush, ops, claim) == reply
            self.counted()

    @rule(which=choices)
    def release(self, which: int) -> None:
        if self.model.tokens:
            token = self.model.tokens[which % len(self.model.tokens)]
            assert self.send(Release(token.run, token.scope, token.fence)).outcomes == (Committed(),)
            self.model.released(token)
            self.counted()

    @rule(alone=st.booleans())
    def renew(self, alone: bool) -> None:
        tokens = self.model.tokens + self.model.late
        holds = tuple((token.run, token.scope, token.fence) for token in tokens)
        (outcome,) = self.send(Renew("a", LEASE_MS, holds, alone=alone)).outcomes
        assert isinstance(outcome, Renewed)
        held = [self.model.is_holder(token) for token in tokens]
        assert [hold.ok for hold in outcome.holds] == held
        assert all(hold == Hold(ok=False) for hold in outcome.holds if not hold.ok)
        for token in self.model.tokens:
            scope = self.model.runs[token.run].scopes[token.scope]
            scope.until_ms = self.now_ms + LEASE_MS
            scope.alone = scope.alone or alone
        self.counted()

    @rule(by_ms=st.sampled_from([1, 1_000, 1_000, LEASE_MS, LEASE_MS, 61_000]))
    def tick(self, by_ms: int) -> None:
        """Time passes; leases end, timers fire."""
        self._tick(by_ms)
        self.counted()

    def _tick(self, by_ms: int) -> Reply:
        self.ground.advance(by_ms)
        reply = self.send(Sweep())
        assert isinstance(reply.outcomes[0], Swept)
        self.model.fire(reply.now_ms)
        self.model.rescue(reply.now_ms)
        return reply

    @rule()
    def crash(self) -> None:
        """Whoever holds something is not heard of until it is too late."""
        self.model.late = [*self.model.late, *self.model.tokens][-6:]
        self._tick(LEASE_MS)
        self.counted()

    @rule()
    def lose_doorbell(self) -> None:
        """No hint that was sent has arrived: the sweep sends others for what has waited since."""
        waited = self.model.claimable()
        reply = self._tick(3_000)
        ready = any(scope.status == "ready" for run in self.model.runs.values() for scope in run.scopes.values())
        if waited:
            assert reply.rings.get(self.name, 0) > 0, reply.rings
        elif not ready:
            assert self.name not in reply.rings
        self.counted()

    @rule(which=choices)
    def cancel(self, which: int) -> None:
        run = list(self.model.runs)[which % len(self.model.runs)]
        live = self.model.cancelled(run)
        assert self.send(Cancel(run)).outcomes == (Done(changed=live),)
        self.counted()

    @precondition(lambda self: self.rare)
    @rule()
    def restart(self) -> None:
        """The server is killed; nothing is lost of what it answered."""
        self.ground.restart()
        self.ground.restarts += 1
        self.counted()

    @precondition(lambda self: self.rare and len(self.marks) > 1)
    @rule(back=st.integers(1, 8), seed=st.integers(0, 2**16))
    def cut_tail(self, back: int, seed: int) -> None:
        """The power is cut: the last flushes are lost, and workers begin anew."""
        kept = max(1, len(self.marks) - back)
        (size, model), (next_size, _) = self.marks[kept - 1], self.marks[kept]
        self.ground.restart(Random(seed).randrange(size, next_size))
        self.marks, self.model = self.marks[:kept], deepcopy(model)
        self.model.tokens, self.model.late = [], []  # whoever held something is replaced; its lease ends by itself
        self.accepts = [op for op in self.accepts if op.runs[0].id in self.model.runs]
        self.last = None
        self.ground.cuts += 1
        self.ground.steps += 1

    def teardown(self) -> None:
        if sys.exc_info()[0] is not None:
            self.ground.empty()  # of what the one that failed has left
            return
        if self.ground.histories % OFTEN == 0:
            self.ground.check()
        self.settle()
        wrong = list(self.model.wrong(self.ground.store))
        assert not wrong, wrong
        self.ground.ended()

    def settle(self) -> None:
        """Bring all runs to their ends."""
        for _ in range(400):
            if not any(run.live for run in self.model.runs.values()):
                return
            if not self._claim(3) and not self.model.tokens:
                self._tick(61_000)
            while self.model.tokens:
                self._turn(self.model.tokens[0], ok=True)
        raise ModelError("the runs do not end")


def run_machine(ground: Ground, examples: int, seed: int, *, shrink: bool = True) -> None:
    """Play so many histories.

    Args:
        ground: Where.
        examples: How many.
        seed: The same number plays the same ones.
        shrink: Whether one that fails is made as short as it can be, which takes a while.
    """
    StoreMachine.ground = ground
    forced: Any = hypothesis.core  # what `--hypothesis-seed` sets
    before, forced.global_force_seed = forced.global_force_seed, seed
    try:
        run_state_machine_as_test(
            StoreMachine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        forced.global_force_seed = before
