"""Stored plans: how many runs each has, and which may be dropped."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import Accept, DeadLetter, Deploy, Prune, Pruned, ResolveDead, Stale
from flowlang.engine.ports import VersionRow
from tests.contract.rig import DAY_MS, Rig, commit, event_of, finish, seed_of

OLD, NEW = "v-old", "v-new"
HOUR_MS = 3_600_000


@pytest.fixture
def deployed(rig: Rig) -> Rig:
    """A store with an old version, a run of it, and a new version that is active."""
    rig.one(Deploy("m1", b"one", {OLD: b"old plan"}))
    rig.one(Accept(1, event_of("e1"), (seed_of("r1", version=OLD, retention_ms=DAY_MS),)))
    rig.one(Deploy("m2", b"two", {NEW: b"new plan"}))
    return rig


def prune(rig: Rig, *keep: str, epoch: int = 2) -> tuple[str, ...]:
    outcome = rig.one(Prune(epoch, keep or (NEW,)))
    assert isinstance(outcome, Pruned)
    return outcome.versions


def counts(rig: Rig) -> dict[str, dict[str, int]]:
    return {row.version: row.runs for row in rig.store.versions()}


def test_each_version_knows_how_many_runs_it_has_in_which_status(deployed: Rig) -> None:
    rig = deployed
    rig.advance(1)
    rig.flush(*(Accept(2, event_of(f"e-{n}"), (seed_of(f"r-{n}", version=NEW),)) for n in range(3)))
    assert counts(rig) == {OLD: {"pending": 1}, NEW: {"pending": 3}}
    first, second, third, _ = rig.claim(4)
    assert counts(rig) == {OLD: {"running": 1}, NEW: {"running": 3}}
    rig.flush(finish(first), finish(second, "failed"), commit(third, "waiting", consumed=1))
    assert counts(rig) == {OLD: {"succeeded": 1}, NEW: {"failed": 1, "running": 2}}
    assert {row.version: row.at_work for row in rig.store.versions()} == {OLD: 0, NEW: 1}


def test_when_a_plan_was_first_stored_is_known_and_stays(deployed: Rig) -> None:
    rig = deployed
    before = {row.version: row.stored_ms for row in rig.store.versions()}
    rig.advance(HOUR_MS)
    rig.one(Deploy("m1", b"one", {OLD: b"old plan"}))
    assert {row.version: row.stored_ms for row in rig.store.versions()} == before


def test_the_plan_of_a_run_is_kept_while_it_lives_and_until_its_retention_is_over(deployed: Rig) -> None:
    rig = deployed
    assert prune(rig) == ()
    row = rig.claim_one()
    assert prune(rig) == ()
    rig.one(finish(row))
    assert prune(rig) == ()
    rig.advance(DAY_MS + 1)
    rig.sweep()
    assert prune(rig) == (OLD,)
    assert (rig.store.plan(OLD), rig.store.plan(NEW)) == (None, b"new plan")
    assert rig.store.versions() == [VersionRow(NEW, rig.store.versions()[0].stored_ms)]
    assert prune(rig) == ()


def test_the_plan_of_a_dead_letter_is_kept_until_it_is_resolved_and_its_retention_over(deployed: Rig) -> None:
    rig = deployed
    rig.one(finish(rig.claim_one(), "failed", dead=DeadLetter("r1", "run", "orders", b"why")))
    rig.advance(30 * DAY_MS)
    rig.sweep()
    assert prune(rig) == ()
    rig.one(ResolveDead("r1"))
    assert prune(rig) == ()
    rig.advance(DAY_MS + 1)
    rig.sweep()
    assert prune(rig) == (OLD,)


def test_a_run_and_the_end_of_another_in_the_same_flush_count(deployed: Rig) -> None:
    rig = deployed
    rig.one(finish(rig.claim_one()))
    rig.advance(DAY_MS + 1)
    rig.one(Deploy("m3", b"three", {"v3": b"third plan"}))
    rig.sweep()
    made = Accept(3, event_of("e2"), (seed_of("r2", version=NEW),))
    assert rig.flush(made, Prune(3, ("v3",))).outcomes[1] == Pruned((OLD,))
    assert counts(rig) == {NEW: {"pending": 1}, "v3": {}}


def test_what_is_active_is_kept_and_a_list_of_yesterday_is_refused(deployed: Rig) -> None:
    assert deployed.one(Prune(1, (OLD,))) == Stale(2)
    assert prune(deployed, NEW) == ()
    assert deployed.store.plan(NEW) == b"new plan"
