"""All ways in which three workers can get in each other's way, each with four transitions, one after the other.

Every worker claims, works, loses its lease, and comes with a last commit all the same; what it does follows from what
it was given. The workers differ in nothing but their names, so of the 34,650 orders of these twelve transitions the 5,775 in
which they come for the first time in one order stand for all. Whatever the order, each unit of work is committed once, a commit under an old fence is refused, the join and the outcome event happen once, and the run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from flowlang.engine.ops import ClaimRequest, Committed, Deploy, Lost, Op, Reply, Sweep
from flowlang.engine.ports import FlushId
from tests.property.store_model import LEASE_MS, VERSION, Model, Token

WORKERS = 3
TRANSITIONS = ("claim", "work", "expire", "end")

#: What the runs do: two units of work one after the other; two of them side by side, with their join.
PROGRAMS = (("step", "step"), ("group20",))

Apply = Callable[[FlushId, Sequence[Op], ClaimRequest | None], Reply]


def orders(left: tuple[int, ...] = (len(TRANSITIONS),) * WORKERS) -> Iterator[tuple[int, ...]]:
    """All orders of the workers' transitions, as whose turn it is; the second worker comes after the first, and so on."""
    if not any(left):
        yield ()
    for worker, count in enumerate(left):
        if count:
            rest = (*left[:worker], count - 1, *left[worker + 1 :])
            yield from ((worker, *more) for more in orders(rest))
            if count == len(TRANSITIONS):
                return  # those after it have not come yet, and differ only in their names


@dataclass
class Play:
    """One order, played against a store.

    Args:
        apply: Of the store.
        advance: Moves its time forward, milliseconds.
        name: Of the run, and its queue.
    """

    apply: Apply
    advance: Callable[[int], None]
    name: str
    model: Model = field(init=False)
    tokens: dict[int, Token] = field(default_factory=dict)
    seq: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self.model = Model(self.name)

    def _send(self, *ops: Op, claim: int = 0) -> Reply:
        self.seq += 1
        request = ClaimRequest(self.name, (self.name,), claim, LEASE_MS, 4, 0) if claim else None
        return self.apply(FlushId(self.name, self.seq), ops, request)

    def run(self, program: tuple[str, ...], order: Sequence[int]) -> None:
        """Play the order, then bring the run to its end."""
        op = self.model.new_run(program)
        self.model.accepted(op, program, self._send(op).now_ms)
        if program[0].startswith("group"):
            self._claim(-1)
            self._commit(self.tokens.pop(-1))
        done = [0] * WORKERS
        for worker in order:
            self._step(worker, TRANSITIONS[done[worker]])
            done[worker] += 1
        self._settle()

    def _step(self, worker: int, transition: str) -> None:
        if transition == "claim":
            self._claim(worker)
        elif transition == "expire":
            self.advance(LEASE_MS)
            now_ms = self._send(Sweep()).now_ms
            self.model.fire(now_ms)
            self.model.rescue(now_ms)
        elif worker in self.tokens:
            self._commit(self.tokens[worker])

    def _claim(self, worker: int) -> bool:
        reply = self._send(claim=1)
        self.model.fire(reply.now_ms)
        there = bool(self.model.claimable())
        for row in reply.claimed:
            self.model.claimed(row, reply.now_ms + LEASE_MS)
            self.tokens[worker] = self.model.tokens[-1]
        assert bool(reply.claimed) == there
        return there

    def _commit(self, token: Token) -> None:
        holds = self.model.is_holder(token)
        op = self.model.decide(token, ok=True)
        reply = self._send(op)
        (outcome,) = reply.outcomes
        assert isinstance(outcome, Committed if holds else Lost), outcome
        if holds:
            self.model.committed(token, op, reply.now_ms)
        else:
            self.refused += 1

    def _settle(self) -> None:
        (run,) = self.model.runs.values()
        for _ in range(20):
            if not run.live:
                break
            if not self._claim(-1):
                self._step(-1, "expire")
            while -1 in self.tokens and self.model.is_holder(self.tokens[-1]):
                self._commit(self.tokens[-1])
        assert run.status == "succeeded"
        assert run.told == 1
        assert all(group.fired and group.done == group.total for group in run.groups.values())


DEPLOY = Deploy("m1", b"manifest", {VERSION: b"plan"})
