"""The machine of F3 passes a store that does as it is told, and sees it when one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from flowlang.engine.ops import Accept, Claimed, ClaimRequest, Commit, Op, Reply
from flowlang.engine.ports import FlushId
from flowlang.store.redis import RedisStore
from tests.property.interleavings import PROGRAMS, TRANSITIONS, WORKERS, Play, orders
from tests.property.store_machine import Ground, run_machine


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    yield made
    made.close()


class Broken:
    """A store that does not do as it is told.

    Args:
        store: The one behind it.
        ops: Changes what it is told.
        rows: Changes what it gives to a claim.
    """

    def __init__(self, store: RedisStore, ops: Callable[[Op], Op], rows: Callable[[Claimed], Claimed]) -> None:
        self._store, self._ops, self._rows = store, ops, rows

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        reply = self._store.apply(flush, [self._ops(op) for op in ops], claim)
        return replace(reply, claimed=tuple(map(self._rows, reply.claimed)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Fences:
    """Lets whoever comes late commit all the same."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, str], int] = {}

    def rows(self, row: Claimed) -> Claimed:
        self.given[row.run, row.scope] = row.fence
        return row

    def ops(self, op: Op) -> Op:
        return replace(op, fence=self.given[op.run, op.scope]) if isinstance(op, Commit) else op


def same(row: Claimed) -> Claimed:
    return row


def commits(**changes: Callable[[Any], Any]) -> Callable[[Op], Op]:
    """Changes fields of commits."""

    def changed(op: Op) -> Op:
        if not isinstance(op, Commit):
            return op
        return replace(op, **{name: change(getattr(op, name)) for name, change in changes.items()})

    return changed


def events(**fields: Any) -> Callable[[Op], Op]:
    """Changes fields of events."""
    return lambda op: replace(op, event=replace(op.event, **fields)) if isinstance(op, Accept) else op


late = Fences()
BROKEN = [
    pytest.param(late.ops, late.rows, id="an old fence is taken"),
    pytest.param(lambda op: op, lambda row: replace(row, facts=row.facts[:-1]), id="a fact is lost"),
    pytest.param(lambda op: op, lambda row: replace(row, facts=row.facts + row.facts[-1:]), id="a fact comes twice"),
    pytest.param(lambda op: op, lambda row: replace(row, fence=1), id="fences do not rise"),
    pytest.param(commits(timers=lambda _: ()), same, id="timers are not set"),
    pytest.param(commits(waits=lambda _: ()), same, id="waits are not registered"),
    pytest.param(commits(join=lambda _: None), same, id="children are not joined"),
    pytest.param(commits(journal=lambda entries: entries * 2), same, id="a commit is written twice"),
    pytest.param(commits(records=lambda _: {}), same, id="results are lost"),
    pytest.param(commits(accepts=lambda _: ()), same, id="the outcome is not told"),
    pytest.param(events(dedupe=None), same, id="senders make duplicates"),
    pytest.param(events(mail_ms=0), same, id="a wait does not look back"),
]


def test_a_store_that_does_as_it_is_told_passes(ground: Ground) -> None:
    run_machine(ground, 60, 1)

    assert ground.histories >= 60
    assert ground.steps > 600
    assert ground.commits > 100
    assert ground.checks > 0


@pytest.mark.parametrize(("ops", "rows"), BROKEN)
def test_a_store_that_does_not_is_seen(
    ground: Ground, ops: Callable[[Op], Op], rows: Callable[[Claimed], Claimed]
) -> None:
    broken: Any = Broken(ground.store, ops, rows)
    ground.store = broken

    with pytest.raises(Exception):  # noqa: B017, PT011 - whichever answer it was that differed
        run_machine(ground, 200, 1, shrink=False)


def test_an_index_that_has_lost_a_row_is_seen(ground: Ground) -> None:
    """What no answer shows: fsck looks at the whole database."""
    store = ground.store

    class Losing(Broken):
        def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
            reply = super().apply(flush, ops, claim)
            store._client.delete(store.keys.single("runs"))
            return reply

    broken: Any = Losing(store, lambda op: op, same)
    ground.store = broken

    with pytest.raises(Exception, match="list-lost"):
        run_machine(ground, 200, 1, shrink=False)


def test_all_orders_of_the_workers_are_there() -> None:
    made = list(orders((2, 2, 2)))

    assert len(made) == len(set(made))
    assert all(sorted(order) == sorted((0, 1, 2) * 2) for order in made)
    assert len(TRANSITIONS) * WORKERS == 12


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_order_in_which_an_old_fence_is_taken_is_seen(ground: Ground, program: tuple[str, ...]) -> None:
    fences = Fences()
    broken: Any = Broken(ground.store, fences.ops, fences.rows)
    order = (0, 1, 1, 1, 2, 0, 0, 0, 1, 2, 2, 2)  # the third takes over from the first, who comes after all
    play = Play(broken.apply, ground.advance, "seen")

    with pytest.raises(AssertionError):
        play.run(program, order)
