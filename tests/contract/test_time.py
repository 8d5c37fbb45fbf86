"""Timers, leases and retention follow the store's time, and a sweep finds whatever is overdue."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import Cancel, Committed, Sweep, Swept, Timer
from tests.contract.rig import DAY_MS, LEASE_MS, Rig, accept, commit, finish, seed_of


def fired(timer: str) -> dict[str, str]:
    return {"kind": "timer", "id": timer}


@pytest.mark.parametrize("by", ["claim", "sweep"])
def test_a_timer_wakes_its_scope_when_it_is_due_and_once(rig: Rig, by: str) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, timers=(Timer("t", 60_000), Timer("u", 90_000))))
    rig.advance(59_000)
    assert rig.claim() == []

    rig.advance(1_000)
    if by == "sweep":
        assert rig.sweep().fired == 1
        assert rig.sweep().fired == 0

    assert rig.claim_one().facts == (fired("t"),)
    assert rig.store.stats().timers == 1


def test_setting_a_timer_again_moves_it_and_clearing_takes_it_back(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, timers=(Timer("t", 60_000), Timer("u", 60_000), Timer("v", 60_000))))
    rig.one(commit(main, "waiting", timers=(Timer("t", 120_000),), cleared=("u", "none")))
    rig.advance(60_000)
    woken = rig.claim_one()
    assert woken.facts == (fired("v"),)

    rig.one(commit(woken, "waiting", consumed=1))
    rig.advance(60_000)
    assert rig.claim_one().facts == (fired("t"),)


def test_an_absolute_time_wins_over_a_delay_and_may_have_passed(rig: Rig) -> None:
    main = rig.start_run()
    due = rig.store.now_ms() + 50_000
    rig.one(commit(main, "waiting", consumed=1, timers=(Timer("t", 1, due), Timer("past", 60_000, 1))))

    run = rig.store.run(main.run)
    assert run is not None
    assert run.timers == {"|t": due, "|past": 1}
    assert rig.claim_one().facts == (fired("past"),)


def test_timers_that_are_late_fire_in_the_order_of_their_times(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, timers=(Timer("b", 2_000), Timer("a", 3_000), Timer("c", 1_000))))
    rig.advance(DAY_MS)

    assert rig.claim_one().facts == (fired("c"), fired("b"), fired("a"))


def test_the_end_of_a_scope_clears_its_timers(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, timers=(Timer("t", 1_000), Timer("u", 2_000))))
    rig.one(finish(main))

    assert rig.store.stats().timers == 0
    rig.advance(5_000)
    assert rig.sweep().fired == 0


def test_a_timer_of_a_held_scope_waits_in_its_inbox(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, timers=(Timer("t", 1_000),)))
    rig.advance(1_000)
    rig.sweep()

    assert rig.one(commit(main, "held")) == Committed((fired("t"),))


def test_a_sweep_tells_when_the_next_timer_or_lease_is_due(rig: Rig) -> None:
    assert rig.sweep() == Swept()
    main = rig.start_run()
    leased = rig.sweep().next_ms
    reply = rig.flush(commit(main, "waiting", consumed=1, timers=(Timer("t", 60_000),)))

    assert leased is not None
    assert 0 <= reply.now_ms + LEASE_MS - leased < LEASE_MS
    assert rig.sweep().next_ms == reply.now_ms + 60_000


def test_a_sweep_stays_within_its_limit_of_each_kind(rig: Rig) -> None:
    rig.one(accept("e1", *(seed_of(f"r{number}", retention_ms=0) for number in range(6))))
    rows = rig.claim(6)
    rig.flush(*(commit(row, "waiting", consumed=1, timers=(Timer("t", 1_000),)) for row in rows[:3]))
    rig.flush(*(finish(row) for row in rows[3:5]))
    rig.one(accept("e2", seed_of("r7"), seed_of("r8")))
    rig.claim(2)
    rig.advance(LEASE_MS)

    swept = [rig.one(Sweep(limit=2)) for _ in range(3)]

    assert [(one.fired, one.rescued, one.collected) for one in swept if isinstance(one, Swept)] == [
        (2, 2, 2),
        (1, 1, 0),
        (0, 0, 0),
    ]


def test_an_ended_run_is_collected_with_all_its_rows_after_its_retention(rig: Rig) -> None:
    main = rig.start_run("r1", retention_ms=DAY_MS)
    rig.one(finish(main, "succeeded"))
    rig.advance(DAY_MS - 1_000)
    assert rig.sweep().collected == 0

    rig.advance(1_000)
    assert rig.sweep().collected == 1
    assert rig.store.run("r1") is None
    assert rig.store.runs() == rig.store.runs(pipeline="orders") == rig.store.runs(status="succeeded") == []
    assert rig.store.stats().runs == 0


def test_a_run_that_has_not_ended_is_never_collected(rig: Rig) -> None:
    main = rig.start_run("r1", retention_ms=0)
    rig.one(commit(main, "waiting", consumed=1))
    rig.advance(400 * DAY_MS)

    assert rig.sweep().collected == 0
    rig.one(Cancel("r1"))
    assert rig.claim_one().run == "r1"


def test_events_are_kept_as_long_as_they_say(rig: Rig) -> None:
    rig.one(accept("e1", keep_ms=60_000))
    rig.advance(59_000)
    assert rig.store.event("e1") is not None
    rig.advance(1_000)
    assert rig.store.event("e1") is None


def test_a_collected_run_leaves_nothing_that_is_due(rig: Rig) -> None:
    main = rig.start_group(2, max_parallel=1)
    child = rig.claim_one()
    rig.one(commit(child, "waiting", timers=(Timer("t", 90 * DAY_MS),)))
    rig.one(Cancel(main.run))
    rig.one(finish(rig.claim_one(), "cancelled"))
    assert rig.store.stats().timers == 1

    rig.advance(30 * DAY_MS)
    assert rig.sweep() == Swept(collected=1)
    stats = rig.store.stats()
    assert (stats.timers, stats.held, stats.ready, stats.runs) == (0, 0, {}, 0)


def test_what_a_lost_worker_had_begun_is_taken_before_what_has_not_begun(rig: Rig) -> None:
    lost = rig.start_run("r00-lost")
    rig.one(accept("e00-more", *(seed_of(f"r00-{number}") for number in range(5))))
    rig.advance(LEASE_MS + 1)
    assert rig.sweep().rescued == 1

    taken = rig.claim_one()
    assert (taken.run, taken.rescues, taken.fence) == (lost.run, 1, lost.fence + 1)
