"""Queues: taken by their order, limited over all workers, with threads of their own in each worker."""

from __future__ import annotations

from flowlang.engine.ops import Claimed, ClaimRequest, QueueTerms
from tests.contract.rig import LEASE_MS, Rig, accept, commit, finish, group_of, seed_of

QUEUES = ("low", "high")


def create(rig: Rig, *runs: str) -> None:
    """Runs whose first letter says the queue."""
    for run in runs:
        queue = "high" if run.startswith("h") else "low"
        rig.one(accept(f"e-{run}", seed_of(run, queue=queue)))


def claim(rig: Rig, limit: int, terms: dict[str, QueueTerms], *, threads: int = 8, worker: str = "w") -> list[Claimed]:
    request = ClaimRequest(worker, QUEUES, limit, LEASE_MS, threads, 0, terms=terms)
    return list(rig.flush(claim=request, worker=worker).claimed)


def names(rows: list[Claimed]) -> list[str]:
    return [row.run for row in rows]


def test_a_lower_order_goes_first_and_the_same_order_goes_by_time(rig: Rig) -> None:
    create(rig, "l1")
    rig.advance(1_000)
    create(rig, "h1")
    rig.advance(1_000)
    create(rig, "l2", "h2")

    assert names(claim(rig, 2, {"low": QueueTerms(10), "high": QueueTerms(5)})) == ["h1", "h2"]
    create(rig, "h3")
    assert names(claim(rig, 2, {"low": QueueTerms(10), "high": QueueTerms(10)})) == ["l1", "l2"]


def test_a_limit_counts_the_rows_that_all_workers_hold(rig: Rig) -> None:
    create(rig, "h1", "h2", "h3", "l1")
    terms = {"high": QueueTerms(0, limit=2), "low": QueueTerms(1)}
    first = claim(rig, 1, terms)
    assert names(first) == ["h1"]
    assert names(claim(rig, 5, terms, worker="other")) == ["h2", "l1"]
    assert claim(rig, 5, terms) == []

    rig.one(finish(first[0]))

    assert names(claim(rig, 5, terms)) == ["h3"]


def test_what_was_at_work_below_a_run_that_has_ended_counts_until_its_lease_ends(rig: Rig) -> None:
    rig.one(accept("e-h1", seed_of("h1", queue="high")))
    main = rig.claim_one(queues=QUEUES)
    rig.one(commit(main, "held", consumed=1, groups=(group_of(1),)))
    terms = {"high": QueueTerms(0, limit=2)}
    assert [row.scope for row in claim(rig, 5, terms)] == ["g[0]"]
    rig.one(finish(main))
    create(rig, "h2", "h3")
    assert names(claim(rig, 5, terms)) == ["h2"]

    rig.advance(LEASE_MS)
    rig.sweep()

    assert names(claim(rig, 5, terms)) == ["h2", "h3"]


def test_a_row_counts_in_the_queue_that_it_is_in(rig: Rig) -> None:
    create(rig, "l1", "h1", "h2")
    terms = {"high": QueueTerms(0, limit=1), "low": QueueTerms(1)}
    (first,) = claim(rig, 1, terms)
    assert first.run == "h1"
    rig.one(commit(first, "held", consumed=1, queue="low"))

    assert names(claim(rig, 5, terms)) == ["h2", "l1"]


def test_a_row_that_waits_or_whose_worker_was_lost_does_not_count(rig: Rig) -> None:
    create(rig, "h1", "h2")
    terms = {"high": QueueTerms(0, limit=1)}
    (first,) = claim(rig, 2, terms)
    rig.one(commit(first, "waiting", consumed=1))
    assert names(claim(rig, 2, terms)) == ["h2"]

    rig.advance(LEASE_MS)
    rig.sweep()
    assert names(claim(rig, 2, terms)) == ["h2"]


def test_threads_that_are_a_queues_own_are_left_to_it(rig: Rig) -> None:
    create(rig, "l1", "l2", "l3", "h1", "h2", "h3")
    terms = {"low": QueueTerms(0), "high": QueueTerms(10, reserved=2)}

    assert names(claim(rig, 4, terms, threads=4)) == ["l1", "l2", "h1", "h2"]
