"""Gates: places with a line, paces and windows; what a run passes before it starts, and a scope before an attempt."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.ops import Cancel, Committed, Gate, Pace, Slot, Timer, Window
from tests.contract.rig import DAY_MS, Rig, accept, commit, finish, group_of, seed_of

ONE = Slot("k", 1)
START = ({"kind": "start"},)


def create(rig: Rig, run: str, *gates: Gate, **seed: Any) -> None:
    rig.one(accept(f"e-{run}", seed_of(run, gates=gates, **seed)))


def status(rig: Rig, run: str) -> str:
    rows = rig.store.run(run)
    assert rows is not None
    return rows.row.status


def statuses(rig: Rig, *runs: str) -> list[str]:
    return [status(rig, run) for run in runs]


def claimed(rig: Rig) -> list[str]:
    return [row.run for row in rig.claim(10)]


def passed(ident: str) -> dict[str, str]:
    return {"kind": "passed", "id": ident}


# Places -------------------------------------------------------------------------------------------------------------


def test_a_run_that_finds_no_place_stays_pending_and_is_no_work(rig: Rig) -> None:
    for run in ("a", "b", "c"):
        create(rig, run, Slot("k", 2))

    rows = rig.claim(10)

    assert [(row.run, row.facts) for row in rows] == [("a", START), ("b", START)]
    assert statuses(rig, "a", "b", "c") == ["running", "running", "pending"]
    assert rig.store.stats().ready == {}


def test_a_place_goes_on_in_the_order_of_arrival(rig: Rig) -> None:
    for run in ("a", "b", "c"):
        create(rig, run, ONE)
    first = rig.claim_one()

    rig.one(finish(first))
    second = rig.claim_one()
    rig.one(finish(second, "failed"))

    assert (second.run, rig.claim_one().run) == ("b", "c")


def test_a_line_goes_by_arrival_less_priority(rig: Rig) -> None:
    create(rig, "a", ONE)
    create(rig, "b", ONE)
    create(rig, "urgent", ONE, priority_ms=60_000)

    rig.one(finish(rig.claim_one()))

    assert claimed(rig) == ["urgent"]


def test_another_key_has_places_of_its_own(rig: Rig) -> None:
    create(rig, "a", ONE)
    create(rig, "b", Slot("other", 1))

    assert claimed(rig) == ["a", "b"]


def test_a_raised_limit_lets_in_whoever_asks_with_it_and_those_before(rig: Rig) -> None:
    for run in ("a", "b"):
        create(rig, run, ONE)
    create(rig, "c", Slot("k", 3))
    rig.one(finish(rig.claim_one()))

    assert claimed(rig) == ["b", "c"]


def test_a_run_that_may_not_wait_is_skipped_without_a_turn(rig: Rig) -> None:
    create(rig, "a", ONE)
    create(rig, "b", Slot("k", 1, "skip", refusal=b"full"))

    rows = rig.store.run("b")

    assert rows is not None
    assert (rows.row.status, rows.row.result, rows.row.started_ms) == ("skipped", b"full", None)
    assert claimed(rig) == ["a"]


def test_the_oldest_is_cancelled_for_a_newer_one_once_and_the_newer_waits_for_its_place(rig: Rig) -> None:
    newest = Slot("k", 1, "cancel_oldest")
    create(rig, "a", newest)
    main = rig.claim_one()
    create(rig, "b", newest)
    create(rig, "c", newest)

    (cancelled,) = rig.claim(10)  # b was in line, and is told now; c is the one that stays
    assert (cancelled.run, cancelled.facts[0]["kind"]) == ("b", "cancel")
    assert status(rig, "b") == "pending"
    rig.one(finish(cancelled, "cancelled"))
    kept = rig.one(commit(main, "held", consumed=1))
    assert isinstance(kept, Committed)
    assert [fact["kind"] for fact in kept.facts] == ["cancel"]

    rig.one(finish(main, "cancelled"))

    assert [(row.run, row.facts) for row in rig.claim(10)] == [("c", START)]


def test_a_cancelled_run_leaves_the_line(rig: Rig) -> None:
    for run in ("a", "b", "c"):
        create(rig, run, ONE)
    main = rig.claim_one()
    rig.one(Cancel("b"))
    waiting = rig.claim_one()
    assert (waiting.run, [fact["kind"] for fact in waiting.facts]) == ("b", ["cancel"])
    rig.one(finish(waiting, "cancelled"))

    rig.one(finish(main))

    assert claimed(rig) == ["c"]


def test_a_lost_worker_keeps_the_place_of_its_run(rig: Rig) -> None:
    for run in ("a", "b"):
        create(rig, run, ONE)
    rig.claim_one()
    rig.advance(60_000)
    rig.sweep()

    assert claimed(rig) == ["a"]


# A place that counts while a run is active --------------------------------------------------------------------------

ACTIVE = Slot("k", 1, active=True)


def test_a_run_gives_its_place_back_while_it_waits_and_gets_the_next_one_before_newcomers(rig: Rig) -> None:
    for run in ("a", "b", "c"):
        create(rig, run, ACTIVE)
    rig.one(commit(rig.claim_one(), "waiting", consumed=1, timers=(Timer("t", 1_000),)))
    second = rig.claim_one(lease_ms=DAY_MS)
    assert second.run == "b"

    rig.advance(5_000)
    assert rig.claim(10) == []  # its timer has fired; it waits for a place
    assert status(rig, "a") == "running"
    rig.one(finish(second))
    back = rig.claim_one()

    assert (back.run, back.facts) == ("a", ({"kind": "timer", "id": "t"},))
    rig.one(finish(back))
    assert claimed(rig) == ["c"]


def test_a_place_that_is_free_is_taken_again_at_once(rig: Rig) -> None:
    create(rig, "a", ACTIVE)
    rig.one(commit(rig.claim_one(), "waiting", consumed=1, timers=(Timer("t", 1_000),)))
    rig.advance(1_000)

    row = rig.claim_one()
    create(rig, "b", ACTIVE)

    assert (row.run, claimed(rig)) == ("a", [])


def test_a_run_keeps_its_place_while_any_of_its_scopes_is_active(rig: Rig) -> None:
    for run in ("a", "b"):
        create(rig, run, ACTIVE)
    rig.one(commit(rig.claim_one(), "waiting", consumed=1, groups=(group_of(2),)))
    first, second = rig.claim(10)
    assert (first.scope, second.scope) == ("g[0]", "g[1]")

    rig.one(commit(first, "waiting", timers=(Timer("t", 1_000),)))
    assert rig.claim(10) == []
    rig.one(commit(second, "waiting", timers=(Timer("t", 2_000),)))
    other = rig.claim_one()
    assert other.run == "b"

    rig.advance(2_000)
    assert rig.claim(10) == []
    rig.one(finish(other))
    assert [(row.run, row.scope) for row in rig.claim(10)] == [("a", "g[0]"), ("a", "g[1]")]


def test_a_run_that_was_at_work_before_it_got_its_place_counts_as_active(rig: Rig) -> None:
    for run in ("a", "b", "c"):
        create(rig, run, ACTIVE)
    first = rig.claim_one()
    rig.one(Cancel("b"))
    woken = rig.claim_one()
    rig.one(finish(first))  # `b` has the place now
    rig.one(commit(woken, "waiting", consumed=9, groups=(group_of(2),)))
    one, other = rig.claim(10)

    rig.one(commit(one, "waiting", timers=(Timer("t", 1_000),)))
    assert claimed(rig) == []
    rig.one(commit(other, "waiting", timers=(Timer("t", 1_000),)))
    assert claimed(rig) == ["c"]


@pytest.mark.parametrize("ending", ["cancel", "timeout"])
def test_what_ends_a_run_does_not_wait_for_a_place(rig: Rig, ending: str) -> None:
    for run in ("a", "b"):
        create(rig, run, ACTIVE)
    timers = (Timer("t", 1_000), Timer("run:timeout", 2_000))
    rig.one(commit(rig.claim_one(), "waiting", consumed=1, timers=timers))
    other = rig.claim_one(lease_ms=DAY_MS)
    rig.advance(1_000)
    assert rig.claim(10) == []

    if ending == "cancel":
        rig.one(Cancel("a"))
    rig.advance(1_000)
    row = rig.claim_one()
    assert (row.run, row.facts[1]["kind"]) == ("a", "cancel" if ending == "cancel" else "timer")
    rig.one(finish(row, "cancelled"))
    rig.one(finish(other))
    create(rig, "c", ACTIVE)
    assert claimed(rig) == ["c"]


def test_a_run_that_keeps_its_place_has_it_while_it_waits(rig: Rig) -> None:
    for run in ("a", "b"):
        create(rig, run, ONE)
    rig.one(commit(rig.claim_one(), "waiting", consumed=1, timers=(Timer("t", 1_000),)))

    assert rig.claim(10) == []


# Before an attempt --------------------------------------------------------------------------------------------------


def test_an_attempt_waits_for_its_place_and_gives_it_back_with_the_commit_of_its_end(rig: Rig) -> None:
    create(rig, "a")
    create(rig, "b")
    first, second = rig.claim(2)
    for row in (first, second):
        rig.one(commit(row, "waiting", consumed=1, gate_id="step", gates=(ONE,)))
    row = rig.claim_one()
    assert (row.run, row.facts) == ("a", (passed("step"),))
    assert rig.claim(10) == []

    rig.one(commit(row, "held", consumed=1, frees=("step",)))

    row = rig.claim_one()
    assert (row.run, row.facts) == ("b", (passed("step"),))


def test_a_request_can_be_taken_back(rig: Rig) -> None:
    create(rig, "a")
    rig.one(commit(rig.claim_one(), "waiting", consumed=1, gate_id="step", gates=(ONE,)))
    create(rig, "b")
    held, other = rig.claim(2)
    rig.one(commit(other, "waiting", consumed=1, gate_id="step", gates=(ONE,)))
    rig.one(Cancel("b"))
    other = rig.claim_one()
    rig.one(commit(other, "waiting", consumed=1, frees=("step",)))

    rig.one(commit(held, "waiting", consumed=1, frees=("step",)))

    assert rig.claim(10) == []


def test_the_end_of_a_run_gives_back_what_its_other_scopes_have(rig: Rig) -> None:
    create(rig, "a")
    main = rig.claim_one()
    rig.one(commit(main, "held", consumed=1, groups=(group_of(2),)))
    for child in rig.claim(2):
        rig.one(commit(child, "waiting", gate_id="step", gates=(ONE,)))
    create(rig, "b")
    rows = {row.run: row for row in rig.claim(10)}
    rig.one(commit(rows["b"], "waiting", consumed=1, gate_id="step", gates=(ONE,)))

    rig.one(finish(main))

    assert [row.run for row in rig.claim(10)] == ["b"]


# Paces --------------------------------------------------------------------------------------------------------------


def test_a_pace_lets_pass_its_burst_and_then_one_by_one(rig: Rig) -> None:
    for number in range(5):
        create(rig, f"r{number}", Pace("k", limit=2, period_ms=10_000, burst=2))
    started = [claimed(rig)]
    for _ in range(3):
        rig.advance(5_000)
        started.append(claimed(rig))

    assert started == [["r0", "r1"], ["r2"], ["r3"], ["r4"]]


def test_who_leaves_the_line_of_a_pace_leaves_no_gap(rig: Rig) -> None:
    for run in ("a", "b", "c"):
        create(rig, run, Pace("k", limit=1, period_ms=10_000))
    assert claimed(rig) == ["a"]
    rig.one(Cancel("b"))
    rig.one(finish(rig.claim_one(), "cancelled"))
    rig.advance(5_000)
    assert claimed(rig) == []
    rig.advance(5_000)

    assert claimed(rig) == ["c"]


def test_a_rate_skips_what_is_too_much_and_takes_again_later(rig: Rig) -> None:
    rate = Pace("k", limit=2, period_ms=10_000, burst=2, wait=False, refusal=b"too many")
    for number in range(3):
        create(rig, f"r{number}", rate)
    rig.advance(5_000)
    create(rig, "later", rate)

    assert claimed(rig) == ["r0", "r1", "later"]
    assert status(rig, "r2") == "skipped"


# Windows ------------------------------------------------------------------------------------------------------------


def quiet(**more: Any) -> Window:
    return Window("w", 10_000, refusal=b"merged", **more)


def merged(rig: Rig, run: str) -> tuple[str, str | None]:
    rows = rig.store.run(run)
    assert rows is not None
    return rows.row.status, rows.row.merged_into


def test_the_last_run_passes_after_quiet_and_the_others_end_with_its_id(rig: Rig) -> None:
    create(rig, "a", quiet())
    rig.advance(9_000)
    create(rig, "b", quiet())
    rig.advance(9_000)
    assert claimed(rig) == []
    rig.advance(1_000)

    (row,) = rig.claim(10)

    assert (row.run, row.facts) == ("b", START)
    assert merged(rig, "a") == ("skipped", "b")


def test_newcomers_do_not_move_a_window_beyond_its_bound(rig: Rig) -> None:
    create(rig, "a", quiet(max_ms=12_000))
    rig.advance(9_000)
    create(rig, "b", quiet(max_ms=12_000))
    rig.advance(3_000)

    assert claimed(rig) == ["b"]


@pytest.mark.parametrize("by", ["size", "time"])
def test_a_batch_closes_once_by_size_or_by_time_with_what_all_have_brought(rig: Rig, by: str) -> None:
    window = quiet(size=3)
    members = ("a", "b", "c") if by == "size" else ("a", "b")
    for run in members:
        create(rig, run, window, meta=run.encode(), more=True)
    if by == "time":
        rig.advance(10_000)
    (row,) = rig.claim(10)
    create(rig, "next", window, more=True)
    rig.advance(5_000)

    assert (row.run, row.facts) == ("a", ({"kind": "batch", "metas": [run.encode() for run in members]},))
    assert [merged(rig, run) for run in members[1:]] == [("skipped", "a")] * (len(members) - 1)
    assert (status(rig, "a"), rig.claim(10)) == ("pending", [])


def test_a_closed_batch_goes_on_to_the_gates_that_its_commit_asks_for(rig: Rig) -> None:
    create(rig, "before", ONE)
    before = rig.claim_one()
    create(rig, "a", quiet(size=1), more=True)
    row = rig.claim_one()
    rig.one(commit(row, "waiting", consumed=1, gate_id="", gates=(ONE,), meta=b"both", priority_ms=5))
    assert (status(rig, "a"), rig.claim(10)) == ("pending", [])

    rig.one(finish(before))
    row = rig.claim_one()

    assert (row.run, row.facts, row.meta, status(rig, "a")) == ("a", START, b"both", "running")


def test_a_cancelled_run_leaves_its_window_and_the_one_before_passes(rig: Rig) -> None:
    create(rig, "a", quiet())
    create(rig, "b", quiet())
    rig.one(Cancel("b"))
    rig.one(finish(rig.claim_one(), "cancelled"))
    rig.advance(10_000)

    assert claimed(rig) == ["a"]


def test_a_window_goes_with_its_last_run(rig: Rig) -> None:
    create(rig, "a", quiet(size=2), more=True)
    rig.one(Cancel("a"))
    rig.one(finish(rig.claim_one(), "cancelled"))
    rig.advance(9_000)
    create(rig, "b", quiet(size=2), more=True)
    rig.advance(9_000)
    assert rig.claim(10) == []
    rig.advance(1_000)

    assert claimed(rig) == ["b"]


def test_gates_are_passed_in_the_order_given(rig: Rig) -> None:
    gates = (quiet(), Pace("p", limit=1, period_ms=10_000), ONE)
    create(rig, "before", ONE)
    before = rig.claim_one(lease_ms=DAY_MS)
    create(rig, "a", *gates)
    rig.advance(10_000)
    rig.sweep()
    create(rig, "b", *gates)
    rig.advance(10_000)
    rig.sweep()
    assert statuses(rig, "a", "b") == ["pending", "pending"]

    rig.one(finish(before))
    assert claimed(rig) == ["a"]
