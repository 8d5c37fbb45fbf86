"""A run that another invoked: its end is told once, and it goes with its family."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.ops import (
    MAIN,
    Accept,
    Accepted,
    Claimed,
    Committed,
    DeadLetter,
    EventRow,
    OnceKey,
    Op,
    Parent,
    ResolveDead,
    RunSeed,
    Slot,
    Sweep,
    Swept,
    Timer,
    Wait,
    Window,
)
from flowlang.engine.reference.children import ORPHANED
from tests.contract.rig import DAY_MS, LEASE_MS, Rig, accept, commit, event_of, finish, group_of, seed_of

CANCEL = {"kind": "cancel", "reason": ORPHANED}


def over(run: str, status: str = "succeeded", *, ident: str = "call", result: bytes = b"result") -> dict[str, Any]:
    return {"kind": "child", "id": ident, "run": run, "status": status, "result": result}


def child_of(row: Claimed, run: str, ident: str = "call", **seed: Any) -> RunSeed:
    return seed_of(run, parent=Parent(row.run, row.scope, ident), **seed)


def invoke(rig: Rig, row: Claimed, *seeds: RunSeed, status: str = "waiting") -> Any:
    return rig.one(commit(row, status, consumed=len(row.facts), accepts=(accept(f"e-{seeds[0].id}", *seeds),)))


def start_pair(rig: Rig, **seed: Any) -> Claimed:
    """Start run `r00-1` that invokes `c1`; returns the claim of the child."""
    main = rig.start_run(retention_ms=DAY_MS)
    invoke(rig, main, child_of(main, "c1", **seed))
    return rig.claim_one()


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_the_end_of_a_child_is_told_to_the_scope_that_invoked_it(rig: Rig, status: str) -> None:
    child = start_pair(rig)
    assert (child.run, child.facts) == ("c1", ({"kind": "start"},))

    rig.one(finish(child, status))

    parent = rig.claim_one()
    assert (parent.run, parent.facts) == ("r00-1", (over("c1", status),))
    rows = rig.store.run("c1")
    assert rows is not None
    assert rows.row.parent == "r00-1"


def test_a_child_of_an_inner_scope_is_told_there(rig: Rig) -> None:
    rig.start_group(2)
    first, second = rig.claim(2)
    invoke(rig, first, child_of(first, "c1", "g[0].call"))
    invoke(rig, second, child_of(second, "c2", "g[1].call"))

    rig.flush(*(finish(row) for row in rig.claim(2)))

    told = {row.scope: row.facts for row in rig.claim(5)}
    assert told == {"g[0]": (over("c1", ident="g[0].call"),), "g[1]": (over("c2", ident="g[1].call"),)}


def test_the_run_that_holds_the_key_is_followed_to_its_end(rig: Rig) -> None:
    rig.one(accept("e1", seed_of("r1", once=OnceKey("k", DAY_MS))))
    holder = rig.claim_one()
    main = rig.start_run()
    seed = child_of(main, "c1", once=OnceKey("k", DAY_MS))

    assert invoke(rig, main, seed) == Committed((), (Accepted("e-c1", (("r1", False),)),))
    assert rig.store.run("c1") is None
    rig.one(finish(holder))

    assert rig.claim_one().facts == (over("r1"),)
    rows = rig.store.run("r1")
    assert rows is not None
    assert rows.row.parent is None


@pytest.mark.parametrize(("collected", "status", "result"), [(False, "failed", b"result"), (True, "gone", b"")])
def test_a_run_that_holds_the_key_and_has_ended_is_told_at_once(
    rig: Rig, collected: bool, status: str, result: bytes
) -> None:
    rig.one(accept("e1", seed_of("r1", once=OnceKey("k", DAY_MS), retention_ms=1_000)))
    rig.one(finish(rig.claim_one(), "failed"))
    if collected:
        rig.advance(1_000)
        rig.sweep()
    main = rig.start_run()

    answer = invoke(rig, main, child_of(main, "c1", once=OnceKey("k", DAY_MS)), status="held")

    assert answer == Committed((over("r1", status, result=result),), (Accepted("e-c1", (("r1", False),)),))


def test_all_that_follow_a_run_are_told_once_each(rig: Rig) -> None:
    rig.start_group(2)
    first, second = rig.claim(2)
    key = OnceKey("k", DAY_MS)
    invoke(rig, first, child_of(first, "c1", "a", once=key), child_of(first, "c2", "b", once=key))
    invoke(rig, second, child_of(second, "c3", "c", once=key))
    rig.one(finish(rig.claim_one()))

    told = {row.scope: row.facts for row in rig.claim(5)}
    assert told == {
        "g[0]": (over("c1", ident="a"), over("c1", ident="b")),
        "g[1]": (over("c1", ident="c"),),
    }


def test_a_scope_that_has_ended_hears_nothing_of_its_child(rig: Rig) -> None:
    rig.start_group(1)
    row = rig.claim_one()
    invoke(rig, row, child_of(row, "c1"), status="held")
    child = rig.claim_one()
    rig.one(commit(row, "ended"))
    rig.one(finish(child))

    assert rig.claim(5) == []


def test_the_end_of_a_run_tells_its_living_children_to_cancel(rig: Rig) -> None:
    main = rig.start_run()
    invoke(rig, main, child_of(main, "c1"), child_of(main, "c2", "other"), status="held")
    ended, living = rig.claim(2)
    rig.one(finish(ended))
    rig.one(commit(living, "waiting", consumed=1))

    rig.one(finish(main))

    (told,) = rig.claim(5)
    assert (told.run, told.facts) == ("c2", (CANCEL,))


def test_a_child_is_freed_with_its_root_and_not_before(rig: Rig) -> None:
    child = start_pair(rig, retention_ms=0)
    invoke(rig, child, child_of(child, "g1"))
    rig.one(finish(rig.claim_one()))
    rig.one(finish(rig.claim_one()))
    rig.advance(2 * DAY_MS)
    assert rig.sweep().collected == 0

    rig.one(finish(rig.claim_one()))
    rig.advance(DAY_MS - 1_000)
    assert rig.sweep().collected == 0
    rig.advance(1_000)
    assert rig.sweep().collected == 3
    assert rig.store.runs() == rig.store.runs(pipeline="orders") == rig.store.runs(status="succeeded") == []


def test_the_retention_of_a_root_begins_when_the_last_of_its_family_has_ended(rig: Rig) -> None:
    main = rig.start_run(retention_ms=0)
    invoke(rig, main, child_of(main, "c1"), status="held")
    rig.one(finish(main))
    child = rig.claim_one()
    rig.advance(DAY_MS)
    assert rig.one(Sweep()) == Swept(rescued=1)

    child = rig.claim_one()
    rig.one(finish(child, "cancelled"))

    assert rig.sweep().collected == 2


@pytest.mark.parametrize("resolved_first", [False, True])
def test_a_dead_letter_of_the_root_keeps_its_family(rig: Rig, resolved_first: bool) -> None:
    main = rig.start_run(retention_ms=DAY_MS)
    invoke(rig, main, child_of(main, "c1"), status="held")
    rig.one(finish(main, "failed", dead=DeadLetter(main.run, "run", "orders", b"why")))
    child = rig.claim_one()
    steps: list[Op] = [finish(child), ResolveDead(main.run)]
    for step in reversed(steps) if resolved_first else steps:
        rig.advance(1_000)
        assert rig.sweep().collected == 0
        rig.one(step)

    rig.advance(DAY_MS)
    assert rig.sweep().collected == 2


def test_a_family_larger_than_a_sweep_is_collected_by_several(rig: Rig) -> None:
    main = rig.start_run(retention_ms=0)
    invoke(rig, main, *(child_of(main, f"c{number}") for number in range(5)), status="held")
    rig.flush(*(finish(row) for row in rig.claim(5)), finish(main))

    swept = [rig.one(Sweep(limit=2)) for _ in range(4)]

    assert [one.collected for one in swept if isinstance(one, Swept)] == [2, 2, 2, 0]
    assert rig.store.stats().runs == 0


@pytest.mark.parametrize("gone", [False, True])
def test_a_run_whose_parent_has_ended_is_a_run_of_its_own(rig: Rig, gone: bool) -> None:
    main = rig.start_run(retention_ms=0)
    rig.one(finish(main))
    if gone:
        rig.sweep()
    rig.one(accept("e2", child_of(main, "c1", retention_ms=DAY_MS)))
    child = rig.claim_one()
    rows = rig.store.run("c1")
    assert rows is not None
    assert (rows.row.parent, child.facts) == (None, ({"kind": "start"},))
    rig.one(finish(child))

    assert rig.sweep().collected == (0 if gone else 1)
    rig.advance(DAY_MS)
    assert rig.sweep().collected == 1


def test_a_commit_cancels_runs_that_have_not_ended(rig: Rig) -> None:
    main = rig.start_run()
    invoke(rig, main, child_of(main, "c1"), child_of(main, "c2"), status="held")
    rig.one(finish(rig.claim_one()))

    rig.one(commit(main, "held", cancel_runs=(("c1", "late", "a"), ("c2", "late", "b"))))

    (told,) = rig.claim(5)
    assert (told.run, told.facts) == ("c2", ({"kind": "start"}, {"kind": "cancel", "reason": "late"}))


def test_undo_lists_are_read_within_the_family_only(rig: Rig) -> None:
    child = start_pair(rig)
    rig.one(commit(child, "held", undos=(b"\xff1", b"2")))
    rig.one(commit(child, "ready", undos=(b"3",), reads=("^r00-1", "^c1", "^r2", "^none")))
    again = rig.claim_one()
    assert again.reads == {"^c1:0": b"\xff1", "^c1:1": b"2", "^c1:2": b"3"}
    rig.one(finish(again))
    parent = rig.claim_one()
    rig.one(commit(parent, "ready", reads=("^c1",)))
    assert rig.claim_one().reads == again.reads

    other = rig.start_run("r2", reads=("^c1", "^r00-1"))
    assert other.reads == {}


def test_a_run_begins_with_the_timers_waits_and_records_of_its_seed(rig: Rig) -> None:
    at_ms = rig.flush(accept("e0", keys=("k",), mail_ms=DAY_MS)).now_ms
    seed = seed_of(
        "r1",
        timers=(Timer("t", 60_000),),
        waits=(Wait("w", ("k",), 0),),
        records={"a": b"\xff"},
        reads=("a",),
    )
    rig.one(Accept(0, event_of("e1", keys=("k",), mail_ms=DAY_MS), (seed,)))

    row = rig.claim_one()
    mail = {"kind": "event", "wait": "w", "event": "e0", "at": at_ms, "body": b"body"}
    assert (row.facts, row.reads) == (({"kind": "start"}, mail), {"a": b"\xff"})
    rig.one(commit(row, "waiting", consumed=2))
    rig.one(accept("e2", keys=("k",)))
    row = rig.claim_one()
    assert rig.event_facts(row) == [("w", "e2")]
    rig.advance(60_000)
    assert rig.event_facts(rig.claim_one()) == [("timer",)]


def test_a_run_that_was_there_already_gets_nothing_of_a_second_seed(rig: Rig) -> None:
    main = rig.start_run("r1")
    rig.one(accept("e2", seed_of("r1", timers=(Timer("t", 1),), waits=(Wait("w", ("k",)),), records={"a": b"1"})))

    rows = rig.store.run("r1")
    assert rows is not None
    assert (rows.timers, rows.waits, rows.records) == ({}, {}, {})
    assert rig.one(commit(main, "held", consumed=1)) == Committed()


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (event_of("e1", dedupe="d"), {}),
        (event_of("e1"), {"tick": ("daily", 1)}),
        (event_of("e1"), {"delayed": "e1"}),
    ],
)
def test_an_event_that_may_be_a_duplicate_invokes_no_run(rig: Rig, event: EventRow, fields: dict[str, Any]) -> None:
    main = rig.start_run()

    with pytest.raises(ValueError, match="its parent would wait for ever"):
        rig.one(Accept(0, event, (child_of(main, "c1"),), **fields))


@pytest.mark.parametrize("late", [False, True])
def test_a_child_that_is_merged_into_another_run_is_followed_there(rig: Rig, late: bool) -> None:
    quiet = (Window("w", 1_000, refusal=b"merged"),)
    rig.start_group(2)
    first, second = rig.claim(2)
    invoke(rig, first, child_of(first, "c1", "a", gates=quiet))
    rig.one(accept("e2", seed_of("r2", gates=quiet)))
    if late:
        rig.advance(1_000)
    rig.sweep()
    invoke(rig, second, child_of(second, "c1", "b"))
    rig.advance(1_000)
    rig.sweep()

    (chosen,) = rig.claim(5)
    assert chosen.run == "r2"
    rig.one(finish(chosen))

    assert {row.scope: row.facts for row in rig.claim(5)} == {
        "g[0]": (over("r2", ident="a"),),
        "g[1]": (over("r2", ident="b"),),
    }


def test_a_child_that_a_gate_refuses_is_told_as_skipped(rig: Rig) -> None:
    place = (Slot("s", 1, "skip", refusal=b"\xfffull"),)
    rig.one(accept("e1", seed_of("r1", gates=place)))
    rig.claim_one()
    main = rig.start_run()

    invoke(rig, main, child_of(main, "c1", gates=place))

    assert rig.claim_one().facts == (over("c1", "skipped", result=b"\xfffull"),)


def test_a_parent_whose_lease_was_lost_hears_of_the_end_once(rig: Rig) -> None:
    child = start_pair(rig)
    rig.one(finish(child))
    lost = rig.claim_one()
    rig.advance(LEASE_MS)
    rig.sweep()

    taken = rig.claim_one()
    assert lost.facts == taken.facts == (over("c1"),)
    rig.one(commit(taken, "waiting", consumed=1, groups=(group_of(0),)))
    (joined,) = rig.claim_one().facts
    assert joined["kind"] == "joined"
    assert taken.scope == MAIN


def test_a_child_that_was_never_made_is_told_as_gone_when_it_is_cancelled(rig: Rig) -> None:
    main = rig.start_run()

    answer = rig.one(commit(main, "held", consumed=1, cancel_runs=(("none", "late", "call"),)))

    assert answer == Committed((over("none", "gone", result=b""),))


def test_who_does_not_wait_is_told_at_once_which_run_it_is(rig: Rig) -> None:
    rig.one(accept("e1", seed_of("r1", once=OnceKey("k", DAY_MS))))
    holder = rig.claim_one()
    main = rig.start_run()
    seeds = [
        seed_of("c1", parent=Parent(main.run, main.scope, "a", wait=False)),
        seed_of("c2", parent=Parent(main.run, main.scope, "b", wait=False), once=OnceKey("k", DAY_MS)),
    ]

    answer = invoke(rig, main, *seeds, status="held")

    assert answer.facts == (over("c1", "started", ident="a", result=b""), over("r1", "started", ident="b", result=b""))
    rig.one(finish(rig.claim_one()))
    rig.one(finish(holder))
    rows = rig.store.run("c1")
    assert rows is not None
    assert rows.row.parent is None
    assert rig.one(commit(main, "held", consumed=2)) == Committed()


def test_the_newest_entries_of_an_undo_list_are_read_one_by_one(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "ready", undos=(b"1", b"2"), reads=("^r00-1:-1", "^r00-1:-2", "^r00-1:-3", "^none:-1")))

    assert rig.claim_one().reads == {"^r00-1:-1": b"2", "^r00-1:-2": b"1"}
