"""One suspect at a time in a process: the others are handed back first, and nothing is claimed beside it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.clock import ManualClock
from flowlang.engine.ops import SUSPECT, Claimed, Hold, Renew, Renewed
from flowlang.errors import StoreUnavailableError
from flowlang.store.memory import MemoryStore
from flowlang.worker.flusher import FlusherStopped
from flowlang.worker.quarantine import BEGINS_MS, Quarantine
from flowlang.worker.runqueue import Task
from tests.contract.rig import Rig, accept, seed_of

LEASE_MS = 10_000


def row_of(run: str, rescues: int) -> Claimed:
    """A row as it is claimed."""
    clock = ManualClock()
    rig = Rig(MemoryStore(clock), clock.advance)
    rig.one(accept("e", seed_of(run)))
    return msgspec.structs.replace(rig.claim_one(), rescues=rescues)


class Process:
    """What a quarantine does to a process, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.held: set[tuple[str, str]] = set()
        self.now_ms = 0.0
        self.waiting: list[Any] = []
        self.quarantine = Quarantine(
            "w", LEASE_MS, submit=self._submit, is_held=self.held.__contains__, now_ms=lambda: self.now_ms
        )

    def _submit(self, op: Renew, then: Any) -> None:
        self.done.append(f"renew {op.holds[0][0]}" + (" alone" if op.alone else ""))
        self.waiting.append(then)

    def claim(self, run: str, rescues: int) -> Task:
        return self.quarantine.admit(
            row_of(run, rescues),
            Task(lambda: self.done.append(f"begin {run}"), lambda: self.done.append(f"back {run}"), 0.0),
        )


def test_a_suspect_begins_after_those_that_came_with_it_were_handed_back() -> None:
    process = Process()
    tasks = [process.claim(run, rescues) for run, rescues in (("a", 0), ("b", 2), ("c", 1), ("d", 3), ("e", 2))]
    assert process.done == ["back d", "back e"]
    for task in tasks:
        task.run()
    assert process.done[2:] == ["begin a", "renew b alone", "begin c"]
    process.waiting[0](Renewed((Hold(ok=True),))).run()
    assert process.done[5:] == ["begin b"]


@pytest.mark.parametrize(
    "answer",
    [Renewed((Hold(ok=False),)), StoreUnavailableError("no answer"), FlusherStopped("the process is stopping")],
    ids=["it is another's", "no answer", "stopping"],
)
def test_a_suspect_that_could_not_be_renewed_is_not_begun_and_makes_room(answer: Any) -> None:
    process = Process()
    process.claim("a", SUSPECT).run()
    assert process.waiting[0](answer) is None
    assert process.done == ["renew a alone", "back a"]
    assert not process.quarantine.is_occupied()


def test_nothing_is_claimed_until_the_suspect_is_let_go() -> None:
    process = Process()
    assert not process.quarantine.is_occupied()
    process.claim("a", SUSPECT)
    assert process.quarantine.is_occupied()
    process.held.add(("a", ""))
    assert process.quarantine.is_occupied()
    process.held.clear()
    assert not process.quarantine.is_occupied()
    process.claim("b", SUSPECT)
    assert process.done == [], "there is room for the next one"


def test_a_suspect_that_lives_for_a_lease_is_none_any_more() -> None:
    process = Process()
    process.claim("a", SUSPECT)
    process.held.add(("a", ""))
    process.now_ms = LEASE_MS
    assert process.quarantine.is_occupied()
    process.now_ms += 1
    assert not process.quarantine.is_occupied()


def test_a_suspect_that_was_handed_back_before_it_began_is_not_waited_for() -> None:
    process = Process()
    process.claim("a", SUSPECT)
    process.now_ms = BEGINS_MS
    assert process.quarantine.is_occupied()
    process.now_ms += 1
    assert not process.quarantine.is_occupied()
