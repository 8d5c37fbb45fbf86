"""An event is taken once, with all its runs, or not at all."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import (
    Accept,
    Accepted,
    Cancel,
    DeadLetter,
    Deploy,
    Deployed,
    Done,
    Duplicate,
    OnceKey,
    Stale,
    Sweep,
)
from tests.contract.rig import DAY_MS, Rig, accept, commit, event_of, finish, seed_of


def test_an_event_and_its_runs_are_stored_together(rig: Rig) -> None:
    outcome = rig.one(accept("e1", seed_of("r1", queue="slow", replay_of="r0"), seed_of("r2"), reasons=b"\xff"))

    assert outcome == Accepted("e1", (("r1", True), ("r2", True)))
    kept = rig.store.event("e1")
    assert kept is not None
    assert (kept.name, kept.source, kept.body, kept.runs, kept.reasons) == (
        "shop/order",
        "shop",
        b"body",
        ("r1", "r2"),
        b"\xff",
    )
    run = rig.store.run("r1")
    assert run is not None
    assert (run.row.status, run.row.event, run.row.queue, run.row.replay_of) == ("pending", "e1", "slow", "r0")
    assert run.scopes == {"": "ready"}


def test_an_event_without_runs_is_kept_with_the_reasons(rig: Rig) -> None:
    assert rig.one(accept("e1", reasons=b"no trigger")) == Accepted("e1")
    kept = rig.store.event("e1")
    assert kept is not None
    assert (kept.runs, kept.reasons) == ((), b"no trigger")


@pytest.mark.parametrize(("after_ms", "taken"), [(0, False), (59_000, False), (60_000, True)])
def test_a_duplicate_is_answered_with_the_first_event_until_its_key_expires(
    rig: Rig, after_ms: int, taken: bool
) -> None:
    rig.one(accept("e1", seed_of("r1"), dedupe="k", dedupe_ms=60_000))
    rig.advance(after_ms)

    outcome = rig.one(accept("e2", seed_of("r2"), dedupe="k", dedupe_ms=60_000))

    assert outcome == (Accepted("e2", (("r2", True),)) if taken else Duplicate("e1"))
    assert (rig.store.run("r2") is not None) == taken


def test_a_run_that_exists_already_is_not_made_again(rig: Rig) -> None:
    rig.start_run("r1")

    assert rig.one(accept("e2", seed_of("r1", state=b"other"))) == Accepted("e2", (("r1", False),))
    assert rig.claim() == []


@pytest.mark.parametrize(("after_ms", "free"), [(0, False), (4_000, False), (5_000, True)])
def test_a_once_key_names_the_run_that_has_it_until_it_expires(rig: Rig, after_ms: int, free: bool) -> None:
    rig.one(accept("e1", seed_of("r1", once=OnceKey("k", 5_000))))
    rig.advance(after_ms)

    outcome = rig.one(accept("e2", seed_of("r2", once=OnceKey("k", 5_000))))

    assert outcome == Accepted("e2", (("r2", True) if free else ("r1", False),))
    assert (rig.store.run("r2") is not None) == free


def test_an_event_routed_by_an_old_manifest_is_refused_whole(rig: Rig) -> None:
    assert rig.one(Deploy("m1", b"manifest")) == Deployed(1, changed=True)

    assert rig.one(accept("e1", seed_of("r1"), epoch=0, dedupe="k")) == Stale(1)
    assert rig.store.event("e1") is None
    assert rig.store.run("r1") is None
    assert rig.one(accept("e1", seed_of("r1"), epoch=1, dedupe="k")) == Accepted("e1", (("r1", True),))


def test_a_tick_is_taken_once_and_never_after_a_later_one(rig: Rig) -> None:
    rig.one(Deploy("m1", b"manifest", crons=("daily",)))
    first = rig.store.crons()["daily"]

    def tick(ident: str, at_ms: int) -> Accept:
        return Accept(1, event_of(ident), (seed_of(f"r-{ident}"),), tick=("daily", at_ms))

    outcomes = [
        rig.one(tick(ident, first + after)) for ident, after in [("a", 0), ("b", 60), ("c", 60), ("d", 30), ("e", 120)]
    ]

    assert outcomes == [
        Duplicate("a"),
        Accepted("b", (("r-b", True),)),
        Duplicate("c"),
        Duplicate("d"),
        Accepted("e", (("r-e", True),)),
    ]
    assert rig.store.crons() == {"daily": first + 120}


def test_a_deploy_keeps_known_crons_starts_new_ones_and_drops_others(rig: Rig) -> None:
    rig.one(Deploy("m1", b"one", crons=("a", "b")))
    rig.one(Accept(1, event_of("e1"), tick=("a", 2_000_000_000_000)))
    rig.advance(60_000)

    reply = rig.flush(Deploy("m2", b"two", crons=("a", "c")))

    assert reply.epoch == 2
    assert rig.store.crons() == {"a": 2_000_000_000_000, "c": reply.now_ms}
    assert rig.store.manifest() == (2, b"two")


def test_deploying_the_active_manifest_again_raises_no_epoch_but_stores_plans(rig: Rig) -> None:
    assert rig.store.manifest() is None
    rig.one(Deploy("m1", b"one", {"p1": b"\xffplan"}))

    assert rig.one(Deploy("m1", b"one", {"p2": b"plan"})) == Deployed(1, changed=False)
    assert (rig.store.plan("p1"), rig.store.plan("p2"), rig.store.plan("p3")) == (b"\xffplan", b"plan", None)


def test_accepts_inside_a_commit_are_answered_with_it(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(accept("e1", dedupe="k"))

    reply = rig.flush(commit(main, "held", accepts=(accept("e2", dedupe="k"), accept("e3", seed_of("r3")))))

    (outcome,) = reply.outcomes
    assert getattr(outcome, "accepted") == (Duplicate("e1"), Accepted("e3", (("r3", True),)))  # noqa: B009 - of a union


def test_a_commit_with_one_stale_accept_writes_nothing(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(Deploy("m1", b"manifest"))

    stale = commit(main, "held", records={"a": b"1"}, accepts=(accept("e2", epoch=1), accept("e3", epoch=0)))

    assert rig.one(stale) == Stale(1)
    assert rig.store.event("e2") is None
    run = rig.store.run(main.run)
    assert run is not None
    assert run.records == {}


def test_a_dead_letter_of_an_event_stays_until_it_is_resolved(rig: Rig) -> None:
    rig.one(Accept(0, event_of("e1"), (), DeadLetter("e1", "event", "shop/order", b"\xffwhy")))
    rig.advance(400 * DAY_MS)
    rig.one(Sweep())

    (row,) = rig.store.dead_letters()
    assert (row.id, row.kind, row.name, row.body) == ("e1", "event", "shop/order", b"\xffwhy")
    assert rig.store.dead_letter("e1") == row
    assert rig.store.event("e1") is None


def test_cancelling_tells_whether_there_was_something_to_cancel(rig: Rig) -> None:
    main = rig.start_run()

    assert rig.one(Cancel("r-none")) == Done(found=False, changed=False)
    assert rig.one(Cancel(main.run, "by hand")) == Done()
    assert rig.one(finish(main)) != Done()
    assert rig.one(Cancel(main.run)) == Done(changed=False)
