"""Delayed events are routed once, whoever routes them; cached outputs are found until they expire."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.ops import Accept, Accepted, CacheEntry, Committed, Delayed, Duplicate, Lookup, Stale
from flowlang.engine.ports import DelayedRow
from tests.contract.rig import DAY_MS, Rig, accept, commit, event_of, finish, seed_of


def route(event: str, *, epoch: int = 0, **row: Any) -> Accept:
    return Accept(epoch, event_of(event, **row), (seed_of(f"r-{event}"),), delayed=event)


def delay(rig: Rig, *events: Delayed) -> int:
    """Let a run send delayed events and end; returns the time of that commit."""
    main = rig.start_run("sender")
    return rig.flush(commit(main, "held", consumed=1, delayed=events), finish(main)).now_ms


def cached(body: bytes | None, ident: str = "a") -> dict[str, Any]:
    return {"kind": "cached", "id": ident, "body": body}


def test_delayed_events_are_listed_when_they_are_due_the_first_one_first(rig: Rig) -> None:
    sent = delay(rig, Delayed("e2", b"\xff2", 60_000), Delayed("e1", b"1", 61_000), Delayed("e3", b"3", DAY_MS))
    rig.advance(59_000)
    assert rig.store.delayed() == []

    rig.advance(2_000)
    due = [DelayedRow("e2", sent + 60_000, b"\xff2"), DelayedRow("e1", sent + 61_000, b"1")]
    assert rig.store.delayed() == due
    assert rig.store.delayed(1) == due[:1]


def test_of_all_that_route_a_delayed_event_one_wins(rig: Rig) -> None:
    delay(rig, Delayed("e1", b"1"))

    reply = rig.flush(route("e1"), route("e1"), worker="a")
    late = rig.flush(route("e1"), worker="b")

    assert reply.outcomes + late.outcomes == (Accepted("e1", (("r-e1", True),)), Duplicate("e1"), Duplicate("e1"))
    assert rig.store.delayed() == []


def test_a_delayed_event_that_is_refused_for_its_epoch_stays(rig: Rig) -> None:
    delay(rig, Delayed("e1", b"1"))

    assert rig.one(route("e1", epoch=9)) == Stale(0)
    assert [row.id for row in rig.store.delayed()] == ["e1"]


def test_a_delayed_event_that_is_a_duplicate_of_another_is_taken_off_as_well(rig: Rig) -> None:
    delay(rig, Delayed("e1", b"1"))
    rig.one(accept("e0", dedupe="d"))

    assert rig.one(route("e1", dedupe="d")) == Duplicate("e0")
    assert rig.store.delayed() == []


def test_an_event_that_is_delayed_again_replaces_what_it_had(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", delayed=(Delayed("e1", b"old"),)))
    sent = rig.flush(commit(main, "held", delayed=(Delayed("e1", b"new", 5_000),))).now_ms
    assert rig.store.delayed() == []

    rig.advance(5_000)
    assert rig.store.delayed() == [DelayedRow("e1", sent + 5_000, b"new")]


def test_a_sweep_tells_when_the_next_delayed_event_is_due(rig: Rig) -> None:
    sent = delay(rig, Delayed("e2", b"2", 90_000), Delayed("e1", b"1", 60_000))

    assert rig.sweep().next_ms == sent + 60_000


def test_a_cached_output_is_found_by_other_runs(rig: Rig) -> None:
    rig.one(accept("e1", seed_of("r1"), seed_of("r2")))
    first, second = rig.claim(2)
    assert rig.one(commit(first, "held", consumed=1, lookups=(Lookup("a", "k"),))) == Committed((cached(None),))
    rig.one(commit(first, "held", cached=(CacheEntry("k", b"\xff:out", DAY_MS),)))

    rig.one(commit(second, "waiting", consumed=1, lookups=(Lookup("a", "k"), Lookup("b", "other"))))

    assert rig.claim_one().facts == (cached(b"\xff:out"), cached(None, "b"))


@pytest.mark.parametrize(("after_ms", "found"), [(0, True), (59_000, True), (60_000, False)])
@pytest.mark.parametrize("swept", [False, True])
def test_a_cached_output_expires(rig: Rig, after_ms: int, found: bool, swept: bool) -> None:
    delay(rig)
    rig.one(accept("e1", seed_of("r1")))
    rig.one(commit(rig.claim_one(), "waiting", consumed=1, cached=(CacheEntry("k", b"out", 60_000),)))
    rig.advance(after_ms)
    if swept:
        rig.sweep()

    row = rig.start_run("r2")
    reply = rig.one(commit(row, "held", consumed=1, lookups=(Lookup("a", "k"),)))

    assert reply == Committed((cached(b"out" if found else None),))


def test_a_commit_finds_what_it_keeps_itself_and_the_last_one_counts(rig: Rig) -> None:
    main = rig.start_run()
    entries = (CacheEntry("k", b"old", DAY_MS), CacheEntry("k", b"", DAY_MS))

    reply = rig.one(commit(main, "held", consumed=1, cached=entries, lookups=(Lookup("a", "k"),)))

    assert reply == Committed((cached(b""),))
