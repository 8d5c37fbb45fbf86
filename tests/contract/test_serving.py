"""Workers take only what they can serve: rows of other versions are left, in their order, to those who can."""

from __future__ import annotations

from flowlang.engine.ops import Cancel, Claimed, ClaimRequest, Leave, Sweep
from tests.contract.rig import Rig, accept, commit, seed_of

OLD, NEW = "v-old", "v-new"


def ask(
    rig: Rig,
    worker: str = "w",
    limit: int = 100,
    *,
    refuses: tuple[str, ...] = (),
    defers: tuple[str, ...] = (),
    queues: tuple[str, ...] = ("default",),
    threads: int = 8,
) -> list[Claimed]:
    request = ClaimRequest(worker, queues, limit, 10_000, threads, 0, refuses=refuses, defers=defers)
    return list(rig.flush(claim=request, worker=worker).claimed)


def names(rows: list[Claimed]) -> list[str]:
    return [row.run for row in rows]


def add(rig: Rig, *runs: str, version: str, **more: str | int) -> None:
    rig.flush(*(accept(f"e-{run}", seed_of(run, version=version, **more)) for run in runs))
    rig.advance(1)


def test_a_worker_takes_no_row_of_a_version_that_it_refuses_and_another_does_in_order(rig: Rig) -> None:
    add(rig, "r1", version=NEW)
    add(rig, "r2", version=OLD)
    add(rig, "r3", version=NEW)
    add(rig, "r4", version=OLD)

    assert names(ask(rig, "old", refuses=(NEW,))) == ["r2", "r4"]
    add(rig, "r5", version=OLD)
    assert names(ask(rig, "new")) == ["r1", "r3", "r5"]


def test_rows_that_were_left_keep_their_place_among_the_others(rig: Rig) -> None:
    add(rig, "r1", "r2", version=NEW)
    assert ask(rig, "old", refuses=(NEW,)) == []
    add(rig, "r3", version=OLD)
    add(rig, "r4", version=NEW, priority_ms=60_000)

    assert names(ask(rig, "new", 3)) == ["r4", "r1", "r2"]


def test_a_backlog_that_a_worker_cannot_serve_is_out_of_its_way_after_a_few_claims(rig: Rig) -> None:
    rig.flush(*(accept(f"e{n}", seed_of(f"r{n:04}", version=NEW)) for n in range(2_500)))
    rig.advance(1)
    add(rig, "mine", version=OLD)

    found = [names(ask(rig, "old", 1, refuses=(NEW,))) for _ in range(3)]
    assert found == [[], [], ["mine"]]
    assert len(ask(rig, "new", 5_000)) == 2_500


def test_each_row_is_taken_once_whoever_had_left_it(rig: Rig) -> None:
    add(rig, "r1", "r2", version=NEW)
    assert ask(rig, "old", refuses=(NEW,)) == []
    (first,) = ask(rig, "new", 1)
    assert ask(rig, "old", refuses=(NEW,)) == []
    (second,) = ask(rig, "new", 1)
    assert {first.run, second.run} == {"r1", "r2"}
    assert ask(rig, "new") == []
    rig.one(commit(first, "ready", consumed=1))
    assert ask(rig, "old", refuses=(NEW,)) == []
    assert names(ask(rig, "new")) == [first.run]


def test_a_scope_that_ends_while_its_row_is_left_leaves_nothing_behind(rig: Rig) -> None:
    add(rig, "r1", version=NEW)
    assert ask(rig, "old", refuses=(NEW,)) == []
    rig.one(Cancel("r1"))
    (row,) = ask(rig, "new")
    assert [fact["kind"] for fact in row.facts] == ["start", "cancel"]
    rig.sweep()
    assert rig.store.stats().ready == {}


def test_a_version_is_deferred_to_a_worker_that_has_it_as_it_is_while_there_is_one(rig: Rig) -> None:
    add(rig, "r1", "r2", version=NEW)
    assert ask(rig, "new", 0) == []

    assert ask(rig, "old", defers=(NEW,)) == []
    assert names(ask(rig, "new", 1)) == ["r1"]
    rig.flush(Leave("new"), worker="new")
    (row,) = ask(rig, "old", defers=(NEW,))
    assert (row.run, row.deferred) == ("r2", True)


def test_a_worker_that_was_lost_is_deferred_to_for_a_minute(rig: Rig) -> None:
    add(rig, "r1", version=NEW)
    assert ask(rig, "new", 0) == []
    rig.advance(59_000)
    assert ask(rig, "old", defers=(NEW,)) == []
    rig.advance(2_000)
    assert names(ask(rig, "old", defers=(NEW,))) == ["r1"]


def test_workers_that_all_defer_do_not_wait_for_each_other(rig: Rig) -> None:
    add(rig, "r1", version=NEW)
    assert ask(rig, "a", 0, defers=(NEW,)) == []
    assert ask(rig, "b", 0, refuses=(NEW,)) == []
    assert names(ask(rig, "c", defers=(NEW,))) == ["r1"]


def test_a_version_is_not_deferred_to_a_worker_of_other_queues(rig: Rig) -> None:
    add(rig, "r1", version=NEW, queue="slow")
    assert ask(rig, "new", 0, queues=("default",)) == []
    assert names(ask(rig, "old", defers=(NEW,), queues=("default", "slow"))) == ["r1"]


def test_who_can_serve_a_row_is_rung_for_when_another_has_left_it(rig: Rig) -> None:
    assert ask(rig, "new", 0, threads=2) == []
    rig.flush(*(accept(f"e{n}", seed_of(f"r{n}", version=NEW)) for n in range(2)))
    rig.advance(3_000)  # the hints have come to nothing
    request = ClaimRequest("old", ("default",), 1, 10_000, 1, 0, refuses=(NEW,))
    assert rig.flush(claim=request, worker="old").rings == {"default": 2}
    assert rig.flush(claim=request, worker="old").rings == {}


def test_rows_that_nobody_can_serve_are_counted_and_ring_for_nobody(rig: Rig) -> None:
    add(rig, "r1", "r2", version=NEW)
    add(rig, "r3", version=NEW, queue="slow")
    both = ("default", "slow")
    assert ask(rig, "old", refuses=(NEW,), queues=both) == []
    stats = rig.store.stats()
    assert (stats.ready, stats.unserved) == ({"default": 2, "slow": 1}, {NEW: 3})
    assert [(worker.queues, worker.refuses) for worker in stats.workers] == [(both, (NEW,))]
    rig.advance(3_000)
    assert rig.flush(Sweep()).rings == {}

    assert ask(rig, "other", 0, queues=("default",)) == []
    assert rig.store.stats().unserved == {NEW: 1}
    assert rig.flush(Sweep()).rings == {"default": 2}
    assert len(ask(rig, "new", queues=both)) == 3
    assert rig.store.stats().unserved == {}
