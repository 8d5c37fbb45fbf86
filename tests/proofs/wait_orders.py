"""Events, waits and time-outs in any order: none is missed, none comes twice, and each wait ends once.

A model that knows only the history says what each inbox must hold; the store is asked what it held.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flowlang.engine.ops import Claimed, ClaimRequest, Commit, Finish, Op, Reply, Sweep, Timer, Wait
from tests.contract.rig import LEASE_MS, Rig, accept, commit, seed_of

KEYS = ("k0", "k1", "k2")
STEPS = 14
ROUNDS = 2  #: waits of a run, one after the other
TIMEOUT_MS = 30_000


class WrongError(AssertionError):
    """An inbox did not hold what it should.

    Args:
        missed: Events that should have come and did not.
        doubled: Events that came again.
        told: What had been done.
    """

    def __init__(self, missed: Counter[str], doubled: Counter[str], told: list[str]) -> None:
        super().__init__(f"missed {dict(missed)}, doubled {dict(doubled)} after {told}")
        self.missed = missed
        self.doubled = doubled


@dataclass
class Waiter:
    """What one run should know: its inbox as the history says, and how its waits ended."""

    run: str
    since_ms: int
    keys: tuple[str, ...] = ()
    due_ms: int | None = None  #: of the time-out that is set
    held: Claimed | None = None
    inbox: list[str] = field(default_factory=lambda: ["start"])
    ends: list[str] = field(default_factory=list)
    over: bool = False


class Order:
    """One random order of events, commits, crashes, time-outs and sweeps against a store, checked at every claim."""

    def __init__(self, rig: Rig, chance: random.Random, name: str) -> None:
        self.rig, self.chance, self.name = rig, chance, name
        self.history: list[tuple[int, str, tuple[str, ...]]] = []  #: acceptance, event, keys
        self.told: list[str] = []
        self.delivered = 0  #: facts of events that claims have given
        made = self.send(accept(f"{name}-root", *(seed_of(f"{name}-r{number}", queue=name) for number in range(2))))
        self.waiters = {f"{name}-r{number}": Waiter(f"{name}-r{number}", made.now_ms) for number in range(2)}

    def send(self, *ops: Op, claim: ClaimRequest | None = None) -> Reply:
        """Send a flush (twice, as the rig does); time-outs that are due fire in a claim and in a sweep."""
        reply = self.rig.flush(*ops, claim=claim)
        if claim is not None or any(isinstance(op, Sweep) for op in ops):
            for waiter in self.waiters.values():
                if waiter.due_ms is not None and waiter.due_ms <= reply.now_ms:
                    waiter.due_ms = None
                    waiter.inbox.append("timer")
        return reply

    def play(self) -> None:
        moves = [self.event, self.event, self.turn, self.turn, self.turn, self.several, self.pass_time, self.crash]
        for _ in range(STEPS):
            move = self.chance.choice(moves)
            self.told.append(move.__name__)
            move()
        self.settle()

    def new_event(self) -> tuple[Op, str, tuple[str, ...]]:
        event = f"{self.name}-e{len(self.history) + self.chance.randrange(1000) * 1000}"
        keys = tuple(self.chance.sample(KEYS, self.chance.randint(1, 2)))
        hashed = tuple(f"{self.name}{key}" for key in keys)
        return accept(event, keys=hashed, mail_ms=86_400_000), event, keys

    def note_event(self, event: str, keys: tuple[str, ...], at_ms: int) -> None:
        self.history.append((at_ms, event, keys))
        for waiter in self.waiters.values():
            if set(waiter.keys) & set(keys):
                waiter.inbox.append(event)

    def event(self) -> None:
        op, event, keys = self.new_event()
        self.note_event(event, keys, self.send(op).now_ms)

    def turn(self) -> None:
        """Claim a run if none is held, else commit what its turn decides."""
        held = [waiter for waiter in self.waiters.values() if waiter.held is not None]
        if not held:
            self.claim()
            return
        waiter = self.chance.choice(held)
        op = self.decide(waiter)
        self.note_commit(waiter, op, self.send(op).now_ms)

    def several(self) -> None:
        """An event and a commit in one flush: the same moment, in either order."""
        held = [waiter for waiter in self.waiters.values() if waiter.held is not None]
        if not held:
            return
        waiter = self.chance.choice(held)
        sending, event, keys = self.new_event()
        committing = self.decide(waiter)
        if self.chance.random() < 0.5:
            now_ms = self.send(sending, committing).now_ms
            self.note_event(event, keys, now_ms)
            self.note_commit(waiter, committing, now_ms)
        else:
            now_ms = self.send(committing, sending).now_ms
            self.note_commit(waiter, committing, now_ms)
            self.note_event(event, keys, now_ms)

    def claim(self) -> None:
        for row in self.send(claim=ClaimRequest("w", (self.name,), 1, LEASE_MS, 8, 0)).claimed:
            waiter = self.waiters[row.run]
            facts = [fact["event"] if fact["kind"] == "event" else fact["kind"] for fact in row.facts]
            if facts != waiter.inbox:
                wanted, found = Counter(waiter.inbox), Counter(facts)
                raise WrongError(wanted - found, found - wanted, self.told)
            self.delivered += sum(fact["kind"] == "event" for fact in row.facts)
            waiter.held = row

    def decide(self, waiter: Waiter) -> Commit:
        """What the engine would do: the first fact of a wait ends it, the next wait begins, the last one ends the run."""
        row = waiter.held
        assert row is not None
        consumed = len(row.facts)
        answers = [fact for fact in row.facts if fact["kind"] != "start"]
        if not answers and row.state != b"start":
            return commit(row, "waiting", state=row.state, consumed=consumed)
        if answers and len(waiter.ends) + 1 == ROUNDS:
            return commit(row, "ended", consumed=consumed, finish=Finish("succeeded", b""))
        keys = tuple(self.chance.sample(KEYS, self.chance.randint(1, 2)))
        wait = Wait("w", tuple(f"{self.name}{key}" for key in keys), waiter.since_ms)
        timeout = Timer("t", self.chance.choice([0, 1, TIMEOUT_MS]))
        how: dict[str, Any] = {"waits": (wait,), "timers": (timeout,), "unwaits": ("w",), "cleared": ("t",)}
        return commit(row, "waiting", consumed=consumed, **how)

    def note_commit(self, waiter: Waiter, op: Commit, now_ms: int) -> None:
        waiter.held, taken, waiter.inbox = None, waiter.inbox[: op.consumed], waiter.inbox[op.consumed :]
        answers = [one for one in taken if one != "start"]
        if answers and (op.waits or op.finish):
            waiter.ends.append(answers[0])
        if op.finish is not None:
            waiter.keys, waiter.due_ms, waiter.inbox, waiter.over = (), None, [], True
        elif op.waits:
            names = tuple(key.removeprefix(self.name) for key in op.waits[0].keys)
            waiter.keys = names
            due = op.timers[0].delay_ms
            waiter.due_ms = now_ms + due
            back = [(at, event) for at, event, keys in self.history if set(names) & set(keys) and at >= waiter.since_ms]
            waiter.inbox += [event for _, event in sorted(back)]

    def pass_time(self) -> None:
        self.rig.advance(self.chance.choice([1, 1, 5_000, TIMEOUT_MS]))
        self.expire_leases(self.send(Sweep()))

    def crash(self) -> None:
        """Whoever holds something is never heard of again; its late commit is refused."""
        late = [self.decide(waiter) for waiter in self.waiters.values() if waiter.held is not None]
        self.rig.advance(LEASE_MS)
        self.expire_leases(self.send(Sweep()))
        self.claim()
        for outcome in self.send(*late).outcomes:
            assert type(outcome).__name__ == "Lost"

    def expire_leases(self, reply: Reply) -> None:
        for waiter in self.waiters.values():
            rows = self.rig.store.run(waiter.run)
            assert rows is not None
            if rows.scopes[""] != "held":
                waiter.held = None

    def settle(self) -> None:
        """Let every wait run out; then each run has had one end a wait, and nothing is left that waits."""
        for _ in range(40):
            if all(waiter.over for waiter in self.waiters.values()):
                break
            self.rig.advance(TIMEOUT_MS)
            self.expire_leases(self.send(Sweep()))
            self.claim()
            if any(waiter.held for waiter in self.waiters.values()):
                self.turn()
        for waiter in self.waiters.values():
            assert waiter.over, self.told
            assert len(waiter.ends) == ROUNDS, self.told
            rows = self.rig.store.run(waiter.run)
            assert rows is not None
            assert (rows.waits, rows.timers) == ({}, {})
        self.event()
        assert self.send(claim=ClaimRequest("w", (self.name,), 1, LEASE_MS, 8, 0)).claimed == ()
