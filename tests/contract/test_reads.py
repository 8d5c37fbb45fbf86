"""Reads show what was written, newest first, a page at a time."""

from __future__ import annotations

import msgspec

from flowlang.engine.ops import Accept, DeadLetter, ResolveDead
from flowlang.engine.ports import RunHead
from tests.contract.rig import Rig, accept, event_of, finish, seed_of


def fill(rig: Rig) -> list[str]:
    """Make 250 runs of two pipelines at several times; every third has ended. Returns their ids, newest first."""
    order: list[str] = []
    for batch in range(5):
        names = [f"r{batch}-{number:02d}" for number in range(50)]
        rig.one(accept(f"e{batch}", *(seed_of(name, pipeline="p" if name[-1] in "02468" else "q") for name in names)))
        order = sorted(names, reverse=True) + order
        rig.advance(1_000)
    rows = rig.claim(250)
    rig.flush(*(finish(row, "failed") for row in rows if int(row.run[-2:]) % 3 == 0))
    return order


def test_runs_are_listed_newest_first_in_pages_without_gaps(rig: Rig) -> None:
    order = fill(rig)
    seen: list[str] = []
    while page := rig.store.runs(before=seen[-1] if seen else None, limit=60):
        seen += [row.id for row in page]

    assert seen == order


def test_filters_narrow_a_list_and_pages_stay_full(rig: Rig) -> None:
    order = fill(rig)
    failed = [name for name in order if int(name[-2:]) % 3 == 0]
    of_p = [name for name in order if name[-1] in "02468"]

    assert [row.id for row in rig.store.runs(status="failed", limit=500)] == failed
    assert [row.id for row in rig.store.runs(pipeline="p", limit=500)] == of_p
    assert [row.id for row in rig.store.runs(pipeline="p", before=of_p[9], limit=100)] == of_p[10:110]
    both = [name for name in of_p if name in set(failed)]
    assert [row.id for row in rig.store.runs(pipeline="p", status="failed", limit=20)] == both[:20]
    assert [row.id for row in rig.store.runs(pipeline="p", status="failed", before=both[19], limit=500)] == both[20:]
    assert rig.store.runs(status="cancelled") == rig.store.runs(pipeline="none") == []


def test_heads_tell_of_many_runs_at_once_which_have_ended_and_leave_out_what_is_gone(rig: Rig) -> None:
    order = fill(rig)
    statuses = {run: "failed" if int(run[-2:]) % 3 == 0 else "running" for run in order}
    pipelines = {run: "p" if run[-1] in "02468" else "q" for run in order}

    heads = rig.store.heads([*order, "r-gone", order[0]])

    assert heads == {run: RunHead(pipelines[run], statuses[run]) for run in order}
    assert rig.store.heads([]) == rig.store.heads(["r-gone"]) == {}


def test_a_page_after_a_run_that_is_gone_is_empty(rig: Rig) -> None:
    rig.start_run("r1")

    assert rig.store.runs(before="r-gone") == []


def test_a_replay_reads_what_it_began_with_and_is_linked_both_ways(rig: Rig) -> None:
    dead = DeadLetter("r1", "run", "orders", b"why")
    rig.one(finish(rig.start_run("r1"), "failed", dead=dead))
    recalled = {"a": b"1", "pages[0]": b"2", "?a": b"3"}
    reads = ("a", "?a", "b", "?b", "pages[0]")
    rig.flush(accept("e2", seed_of("r2", replay_of="r1", records=recalled, reads=reads)), ResolveDead("r1", "r2"))

    assert rig.claim_one().reads == recalled
    found = rig.store.run("r2"), rig.store.run("r1")
    assert [None if rows is None else (rows.row.replay_of, rows.row.replaced_by) for rows in found] == [
        ("r1", None),
        (None, "r2"),
    ]
    assert rig.store.dead_letters() == []


def test_the_end_of_a_run_may_replace_its_meta_data(rig: Rig) -> None:
    rig.one(finish(rig.start_run("r1"), "failed"))
    rig.one(msgspec.structs.replace(finish(rig.start_run("r2"), "failed"), meta=b"all that it had gathered"))

    found = [rig.store.run(run) for run in ("r1", "r2")]
    assert [None if rows is None else rows.row.meta for rows in found] == [b"meta", b"all that it had gathered"]


def test_dead_letters_are_listed_newest_first_in_pages_and_by_name(rig: Rig) -> None:
    for number in range(5):
        letter = DeadLetter(f"e{number}", "event", "a" if number % 2 else "b", b"why")
        rig.one(Accept(0, event_of(f"e{number}"), (), letter))
        rig.advance(1_000)

    assert [row.id for row in rig.store.dead_letters(limit=2)] == ["e4", "e3"]
    assert [row.id for row in rig.store.dead_letters(before="e3", limit=2)] == ["e2", "e1"]
    assert [row.id for row in rig.store.dead_letters(name="a")] == ["e3", "e1"]
    assert rig.store.dead_letters(before="gone") == []
    assert rig.store.dead_letter("gone") is None


def test_counts_say_what_is_there(rig: Rig) -> None:
    first = rig.flush(accept("e1", seed_of("r1"), seed_of("r2", queue="slow"), seed_of("r3", queue="slow"))).now_ms
    rig.advance(1_000)
    row = rig.claim_one(worker="w1", queues=("slow",))
    stats = rig.store.stats()

    assert (stats.ready, stats.oldest_ready_ms) == ({"default": 1, "slow": 1}, {"default": first, "slow": first})
    assert (stats.held, stats.runs, stats.dead, stats.timers, stats.epoch) == (1, 3, 0, 0, 0)
    assert [(worker.id, worker.threads, worker.busy) for worker in stats.workers] == [("w1", 8, 1)]
    assert row.run == "r2"
    rig.advance(61_000)
    assert rig.store.stats().workers == ()


def test_what_does_not_exist_reads_as_none(rig: Rig) -> None:
    store = rig.store

    assert (store.run("r"), store.event("e"), store.plan("p"), store.manifest()) == (None, None, None, None)
    assert (store.crons(), store.runs(), store.dead_letters()) == ({}, [], [])
