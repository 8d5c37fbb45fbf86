"""An ended run is deleted with all that is only its own, at once; what lives, or belongs to another, is refused."""

from __future__ import annotations

from flowlang.engine.ops import DeadLetter, Delete, Done, Finish, Parent
from tests.contract.rig import DAY_MS, Rig, accept, commit, seed_of

GONE, REFUSED, DELETED = Done(found=False, changed=False), Done(changed=False), Done()


def ended(rig: Rig, *, letter: bool = False) -> None:
    (row,) = rig.claim()
    dead = DeadLetter(row.run, "run", row.pipeline, b"why") if letter else None
    rig.one(commit(row, "ended", finish=Finish("failed", b"why", dead)))


def test_an_ended_run_goes_with_its_event_and_its_dead_letter(rig: Rig) -> None:
    rig.flush(accept("e1", seed_of("r1"), keys=("k",), mail_ms=DAY_MS))
    ended(rig, letter=True)
    assert rig.one(Delete("r1")) == DELETED
    assert rig.store.run("r1") is None
    assert rig.store.event("e1") is None
    assert rig.store.dead_letters() == []
    assert rig.store.runs() == []
    assert rig.one(Delete("r1")) == GONE
    rig.advance(2 * DAY_MS)
    assert rig.sweep().collected == 0


def test_an_event_that_made_another_run_stays_for_it(rig: Rig) -> None:
    rig.flush(accept("e1", seed_of("r1"), seed_of("r2")))
    ended(rig)
    first = next(run.id for run in rig.store.runs() if run.status == "failed")
    assert rig.one(Delete(first)) == DELETED
    assert rig.store.event("e1") is not None
    assert len(rig.store.runs()) == 1


def test_a_run_that_lives_is_refused(rig: Rig) -> None:
    rig.flush(accept("e1", seed_of("r1")))
    assert rig.one(Delete("r1")) == REFUSED
    (row,) = rig.claim()
    assert rig.one(Delete("r1")) == REFUSED
    assert rig.store.run(row.run) is not None


def test_a_family_goes_as_one_some_at_a_time(rig: Rig) -> None:
    rig.flush(accept("e0", seed_of("root")))
    (root,) = rig.claim()
    children = [accept(f"e{n}", seed_of(f"child{n}", parent=Parent("root", "", f"c{n}"))) for n in (1, 2, 3)]
    rig.one(commit(root, "waiting", consumed=1, accepts=tuple(children)))
    assert rig.one(Delete("child1")) == REFUSED
    for _ in range(3):
        (row,) = [row for row in rig.claim() if row.run != "root"][:1]
        rig.one(commit(row, "ended", finish=Finish("succeeded", b"")))
    assert rig.one(Delete("child1")) == REFUSED, "it belongs to its root"
    (root,) = rig.claim()
    rig.one(commit(root, "ended", finish=Finish("succeeded", b"")))
    assert rig.one(Delete("root", limit=2)) == DELETED
    assert {run.id for run in rig.store.runs()} == {"root", "child3"}
    assert rig.one(Delete("root", limit=2)) == DELETED
    assert rig.store.runs() == []
    assert rig.one(Delete("root", limit=2)) == GONE
