"""A scope has one writer: the holder of its last claim, while nothing above it has ended."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import (
    SUSPECT,
    Cancel,
    Claimed,
    ClaimRequest,
    Commit,
    Committed,
    DeadLetter,
    Hold,
    Leave,
    Lost,
    Op,
    Release,
    Renew,
    Renewed,
    ResolveDead,
    Sweep,
    Swept,
    Timer,
)
from tests.contract.rig import LEASE_MS, Rig, accept, commit, end_child, finish, group_of, seed_of

START = {"kind": "start"}
CANCEL = {"kind": "cancel", "reason": "by hand"}


def test_a_claim_brings_all_that_the_turn_needs(rig: Rig) -> None:
    row = rig.start_run("r1", state=b"\xffs", meta=b"\xc4m", version="v9", queue="slow")

    assert (row.run, row.scope, row.fence, row.state, row.meta) == ("r1", "", 1, b"\xffs", b"\xc4m")
    assert (row.pipeline, row.version, row.queue, row.parent, row.group) == ("orders", "v9", "slow", None, None)
    assert (row.rescues, row.facts, row.reads) == (0, (START,), {})


def test_a_run_is_running_from_its_first_claim_on(rig: Rig) -> None:
    rig.one(accept("e1", seed_of("r1")))
    rig.advance(5_000)
    reply_ms = rig.flush().now_ms
    rig.claim_one()

    (row,) = rig.store.runs(status="running")
    assert row.started_ms is not None
    assert row.started_ms >= reply_ms >= row.created_ms + 5_000
    assert rig.store.runs(status="pending") == []


def test_rows_are_taken_oldest_first_over_all_queues_with_a_head_start_for_priority(rig: Rig) -> None:
    rig.one(accept("e1", seed_of("r1")))
    rig.advance(1_000)
    rig.one(accept("e2", seed_of("r2", queue="slow")))
    rig.advance(1_000)
    rig.one(accept("e3", seed_of("r3"), seed_of("r4", priority_ms=60_000), seed_of("r5", queue="other")))

    taken = [row.run for row in rig.claim(10, queues=("slow", "default"))]

    assert taken == ["r4", "r1", "r2", "r3"]


def test_a_claim_takes_no_more_than_its_limit_and_nothing_twice(rig: Rig) -> None:
    rig.one(accept("e1", *(seed_of(f"r{number}") for number in range(5))))

    taken = [[row.run for row in rig.claim(2)] for _ in range(4)]

    assert taken == [["r0", "r1"], ["r2", "r3"], ["r4"], []]


def test_reads_are_looked_up_by_the_claim_that_follows(rig: Rig) -> None:
    main = rig.start_run()
    records = {"a": b"\xff", "b": b"2", "g[0]": b"r0", "g[2]": b"r2"}
    rig.one(
        commit(main, "ready", consumed=1, records=records, reads=("a", "none", "*g", "#g", "=g[1]"),
               groups=(group_of(3, max_parallel=1, inputs=(b"i0", b"", b"i2")),))
    )  # fmt: skip

    child, again = sorted(rig.claim(2), key=lambda row: row.scope, reverse=True)

    assert child.scope == "g[0]"
    assert again.reads == {"a": b"\xff", "g[0]": b"r0", "g[2]": b"r2", "=g[0]": b"i0", "=g[1]": b"", "=g[2]": b"i2"}


def test_meta_data_that_the_claimer_has_come_with_the_main_scope_alone(rig: Rig) -> None:
    run = rig.start_group(2).run
    request = ClaimRequest("w", ("default",), 1, LEASE_MS, 8, 0, known=(run,))
    (known,) = rig.flush(claim=request).claimed
    (other,) = rig.claim(1)
    assert [(row.scope, row.meta) for row in (known, other)] == [("g[0]", b""), ("g[1]", b"meta")]
    rig.flush(end_child(known), end_child(other))
    (main,) = rig.flush(claim=request).claimed
    assert (main.scope, main.meta) == ("", b"meta")


def test_a_child_reads_its_own_input(rig: Rig) -> None:
    rig.start_group(2, reads=("=$", "a"), inputs=(b"i0", b"i1"))

    assert [(row.scope, row.index, row.reads) for row in rig.claim(2)] == [
        ("g[0]", 0, {"=g[0]": b"i0"}),
        ("g[1]", 1, {"=g[1]": b"i1"}),
    ]


@pytest.mark.parametrize("status", ["held", "ready", "waiting"])
def test_a_turn_is_written_whole(rig: Rig, status: str) -> None:
    main = rig.start_run()

    outcome = rig.one(
        commit(
            main,
            status,
            state=b"s2",
            consumed=1,
            records={"a": b"1"},
            journal=(b"j1", b"\xffj2"),
            timers=(Timer("t", 60_000),),
        )
    )

    assert outcome == Committed()
    run = rig.store.run(main.run)
    assert run is not None
    assert (run.records, run.journal, run.scopes) == ({"a": b"1"}, (b"j1", b"\xffj2"), {"": status})
    assert set(run.timers) == {"|t"}
    assert [row.state for row in rig.claim()] == ([b"s2"] if status == "ready" else [])


def test_facts_that_were_not_consumed_keep_a_scope_from_waiting(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(Cancel(main.run, "by hand"))

    assert rig.one(commit(main, "waiting", consumed=1)) == Committed()
    assert rig.claim_one().facts == (CANCEL,)


def test_facts_wake_what_waits_and_are_shown_to_what_is_held(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1))
    rig.one(Cancel(main.run, "by hand"))
    woken = rig.claim_one()
    assert woken.facts == (CANCEL,)

    rig.one(Cancel(main.run, "by hand"))
    assert rig.one(commit(woken, "held", consumed=1)) == Committed((CANCEL,))
    assert rig.one(Renew("w", LEASE_MS, ((woken.run, "", woken.fence),))) == Renewed((Hold(ok=True, facts=(CANCEL,)),))


def test_facts_stay_until_they_are_consumed(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(Cancel(main.run, "by hand"))
    rig.one(commit(main, "ready"))

    assert rig.claim_one().facts == (START, CANCEL)


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(lambda row: commit(row, "held", records={"a": b"late"}), id="commit"),
        pytest.param(finish, id="finish"),
        pytest.param(lambda row: Release(row.run, row.scope, row.fence), id="release"),
    ],
)
def test_a_late_worker_is_refused_after_its_lease_was_lost(rig: Rig, late: object) -> None:
    first = rig.start_run()
    rig.advance(LEASE_MS)
    assert rig.sweep().rescued == 1
    second = rig.claim_one(worker="other")
    assert (second.fence, second.rescues) == (2, 1)

    op: Op = late(first)  # type: ignore[operator] # a table of functions

    assert rig.one(op) == Lost("not the holder")
    assert rig.one(Renew("w", LEASE_MS, ((first.run, "", 1), (second.run, "", 2)))) == Renewed(
        (Hold(ok=False), Hold(ok=True, facts=(START,)))
    )
    assert isinstance(rig.one(finish(second)), Committed)
    run = rig.store.run(first.run)
    assert run is not None
    assert (run.row.status, run.records) == ("succeeded", {})


def test_a_lease_that_nobody_took_over_is_lost_all_the_same(rig: Rig) -> None:
    first = rig.start_run()
    rig.advance(LEASE_MS)
    rig.sweep()

    assert rig.one(commit(first, "held")) == Lost("not the holder")


def test_a_sweep_after_an_outage_takes_nothing_over_and_holders_may_still_renew(rig: Rig) -> None:
    row = rig.start_run()
    rig.advance(LEASE_MS + 1)
    assert rig.one(Sweep(rescue=False)) == Swept(0, 0, 0, None, 0)
    assert rig.one(Renew("w", LEASE_MS, ((row.run, "", row.fence),))) == Renewed((Hold(ok=True, facts=(START,)),))
    assert rig.sweep().rescued == 0
    assert rig.one(finish(row)) == Committed()


def test_a_renewed_lease_is_not_rescued(rig: Rig) -> None:
    main = rig.start_run()
    rig.advance(LEASE_MS - 1_000)
    rig.one(Renew("w", LEASE_MS, ((main.run, "", 1),)))
    rig.advance(LEASE_MS - 1_000)

    assert rig.sweep().rescued == 0
    rig.advance(1_000)
    assert rig.sweep().rescued == 1


def test_a_held_commit_is_a_proof_of_life_and_forgets_rescues(rig: Rig) -> None:
    rig.start_run()
    rig.advance(LEASE_MS)
    rig.sweep()
    second = rig.claim_one()
    rig.advance(LEASE_MS - 1_000)
    rig.one(commit(second, "held", consumed=1))
    rig.advance(LEASE_MS - 1_000)
    assert rig.sweep().rescued == 0

    rig.advance(1_000)
    assert rig.sweep().rescued == 1
    assert rig.claim_one().rescues == 1


def test_released_scopes_are_ready_at_once_without_a_rescue(rig: Rig) -> None:
    main = rig.start_run()

    assert rig.one(Release(main.run, "", main.fence)) == Committed()
    again = rig.claim_one()
    assert (again.fence, again.rescues, again.facts) == (2, 0, (START,))


def suspect(rig: Rig) -> Claimed:
    """A run that was lost as often as makes it a suspect, and is held again."""
    row = rig.start_run()
    while row.rescues < SUSPECT:
        rig.advance(LEASE_MS)
        rig.sweep()
        row = rig.claim_one()
    return row


def begin_alone(rig: Rig, row: Claimed) -> None:
    rig.one(Renew("w", LEASE_MS, ((row.run, row.scope, row.fence),), alone=True))


@pytest.mark.parametrize(
    ("alone", "counted"),
    [
        pytest.param("never", [1, 2, 2, 2, 2], id="with others"),
        pytest.param("always", [1, 2, 3, 4, 5], id="alone"),
        pytest.param("from the third on, each other time", [1, 2, 3, 3, 4], id="now alone, now with others"),
    ],
)
def test_a_scope_that_was_lost_twice_is_to_blame_for_a_loss_only_when_it_was_begun_alone(
    rig: Rig, alone: str, counted: list[int]
) -> None:
    row = rig.start_run()
    seen = []
    for turn in range(5):
        if alone == "always" or (alone != "never" and turn in {2, 4}):
            begin_alone(rig, row)
        rig.advance(LEASE_MS)
        assert rig.sweep().rescued == 1
        row = rig.claim_one()
        seen.append(row.rescues)

    assert seen == counted


@pytest.mark.parametrize("given_up", ["handed back", "goes on"])
def test_having_been_begun_alone_ends_with_the_turn(rig: Rig, given_up: str) -> None:
    row = suspect(rig)
    begin_alone(rig, row)
    if given_up == "handed back":
        rig.one(Release(row.run, "", row.fence))
    else:
        rig.one(commit(row, "ready"))
        for _ in range(2):
            rig.claim_one()
            rig.advance(LEASE_MS)
            rig.sweep()
    row = rig.claim_one()
    assert row.rescues == 2
    rig.one(Renew("w", LEASE_MS, ((row.run, "", row.fence),)))
    rig.advance(LEASE_MS)
    rig.sweep()

    assert rig.claim_one().rescues == 2


def test_who_is_renewed_beside_others_is_still_begun_alone(rig: Rig) -> None:
    row = suspect(rig)
    begin_alone(rig, row)
    rig.one(Renew("w", 2 * LEASE_MS, ((row.run, "", row.fence),)))
    rig.advance(2 * LEASE_MS)
    rig.sweep()

    assert rig.claim_one().rescues == 3


@pytest.mark.parametrize(
    ("run", "scope", "fence", "why"),
    [
        ("r-none", "", 1, "no such run"),
        ("r00-1", "none", 1, "no such scope"),
        ("r00-1", "", 2, "not the holder"),
        ("r00-1", "", 0, "not the holder"),
    ],
)
def test_a_commit_names_why_it_was_refused(rig: Rig, run: str, scope: str, fence: int, why: str) -> None:
    rig.start_run("r00-1")

    assert rig.one(Commit(run, scope, fence, "held", b"")) == Lost(why)


def test_an_end_is_final(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(finish(main, "failed"))

    assert rig.one(finish(main, "succeeded")) == Lost("the run has ended")
    rows = rig.store.runs()
    assert [(row.status, row.result) for row in rows] == [("failed", b"result")]
    assert rig.claim() == []


def test_whoever_ends_a_run_first_wins_over_a_cancel(rig: Rig) -> None:
    main = rig.start_run()
    rig.flush(finish(main), Cancel(main.run))

    assert [row.status for row in rig.store.runs()] == ["succeeded"]
    assert rig.claim() == []


def test_what_lies_below_an_ended_run_is_refused_and_dropped(rig: Rig) -> None:
    main = rig.start_group(3)
    held, released, _ = rig.claim(3)
    rig.one(Cancel(main.run))
    again = rig.claim_one()
    rig.one(Release(released.run, released.scope, released.fence))
    rig.one(finish(again, "cancelled"))

    assert rig.one(end_child(held)) == Lost("the run has ended")
    assert rig.claim(5) == []
    rig.advance(LEASE_MS)
    assert rig.sweep().rescued == 0


def test_a_dead_letter_keeps_its_run_until_it_is_resolved(rig: Rig) -> None:
    main = rig.start_run("r1", retention_ms=1_000)
    rig.one(finish(main, "failed", dead=DeadLetter("r1", "run", "orders", b"why")))
    rig.advance(60_000)
    assert rig.sweep().collected == 0
    assert [row.id for row in rig.store.dead_letters(name="orders")] == ["r1"]

    rig.one(ResolveDead("r1", replaced_by="r2"))
    assert rig.store.dead_letters() == []
    run = rig.store.run("r1")
    assert run is not None
    assert run.row.replaced_by == "r2"
    rig.advance(1_000)
    assert rig.sweep().collected == 1
    assert rig.store.run("r1") is None


def test_leaving_forgets_a_worker(rig: Rig) -> None:
    rig.claim(1, worker="w1")
    rig.claim(1, worker="w2")
    rig.one(Leave("w1"))

    assert [row.id for row in rig.store.stats().workers] == ["w2"]
