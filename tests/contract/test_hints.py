"""Hints are as many as can be used: rows that nobody took, threads that are idle, less the hints that are on their way."""

from __future__ import annotations

from flowlang.engine.ops import ClaimRequest, Leave, Reply, Sweep, Timer
from tests.contract.rig import LEASE_MS, Rig, accept, commit, group_of, seed_of


def say(rig: Rig, worker: str, threads: int, busy: int, *, answered: tuple[str, ...] = (), limit: int = 0) -> Reply:
    """A worker's claim request, which says how it is."""
    return rig.flush(claim=ClaimRequest(worker, ("default",), limit, 10_000, threads, busy, answered), worker=worker)


def add(rig: Rig, *runs: str, queue: str = "default") -> dict[str, int]:
    return rig.flush(accept(f"e-{runs[0]}", *(seed_of(run, queue=queue) for run in runs))).rings


def test_without_known_threads_nobody_is_rung_for(rig: Rig) -> None:
    assert add(rig, "r1", "r2") == {}


def test_new_rows_ring_for_idle_threads_of_all_workers(rig: Rig) -> None:
    say(rig, "a", 4, 3)
    say(rig, "b", 4, 3)

    assert add(rig, "r1", "r2", "r3") == {"default": 2}


def test_hints_on_their_way_are_not_sent_twice_until_they_expire(rig: Rig) -> None:
    say(rig, "a", 3, 0)
    assert add(rig, "r1", "r2") == {"default": 2}
    assert add(rig, "r3", "r4") == {"default": 1}
    assert add(rig, "r5") == {}

    rig.advance(2_000)
    assert add(rig, "r6") == {"default": 1}


def test_an_answered_hint_is_no_longer_on_its_way(rig: Rig) -> None:
    say(rig, "a", 1, 0)
    assert add(rig, "r1") == {"default": 1}
    say(rig, "a", 1, 0, answered=("default",))

    assert add(rig, "r2") == {"default": 1}


def test_rows_that_the_same_flush_takes_need_no_hint(rig: Rig) -> None:
    say(rig, "a", 4, 0)

    reply = rig.flush(
        accept("e1", seed_of("r1"), seed_of("r2"), seed_of("r3")),
        claim=ClaimRequest("b", ("default",), 2, 10_000, 2, 0),
    )

    assert (len(reply.claimed), reply.rings) == (2, {"default": 1})


def test_threads_that_took_rows_are_at_work(rig: Rig) -> None:
    add(rig, "r1", "r2")
    say(rig, "a", 2, 0, limit=2)

    assert add(rig, "r3") == {}


def test_workers_that_were_not_heard_of_lately_or_have_left_do_not_count(rig: Rig) -> None:
    say(rig, "a", 2, 0)
    say(rig, "b", 2, 0)
    rig.one(Leave("b"))
    assert add(rig, "r1", "r2", "r3", "r4") == {"default": 2}

    rig.advance(6_000)
    assert add(rig, "r5") == {}


def test_queues_are_rung_for_by_name(rig: Rig) -> None:
    say(rig, "a", 4, 0)

    assert add(rig, "r1", "r2", queue="slow") == {"slow": 2}


def test_a_sweep_rings_for_rows_that_nobody_took_even_when_no_thread_is_known(rig: Rig) -> None:
    add(rig, "r1", "r2")
    assert rig.flush(Sweep(stale_ms=1_000)).rings == {}

    rig.advance(1_000)
    assert rig.flush(Sweep(stale_ms=1_000)).rings == {"default": 1}
    assert rig.flush(Sweep(stale_ms=1_000)).rings == {}
    rig.advance(2_000)
    assert rig.flush(Sweep(stale_ms=1_000)).rings == {"default": 1}


def test_what_a_timer_wakes_is_rung_for(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, timers=(Timer("t", 1_000),)))
    say(rig, "a", 2, 0)
    rig.advance(1_000)

    assert rig.flush(Sweep()).rings == {"default": 1}


def test_what_a_commit_or_a_rescue_makes_ready_is_rung_for(rig: Rig) -> None:
    main = rig.start_run()
    say(rig, "a", 8, 0)
    assert rig.flush(commit(main, "held", consumed=1, groups=(group_of(3),))).rings == {"default": 3}

    rig.advance(LEASE_MS)
    say(rig, "a", 8, 0, limit=3)
    assert rig.flush(Sweep()).rings == {"default": 1}
