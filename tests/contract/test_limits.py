"""Counting what a run stores and how many steps it begins, and telling it once that it has passed a limit."""

from __future__ import annotations

import msgspec
import pytest

from flowlang.engine.ops import Committed
from tests.contract.rig import Rig, accept, commit, end_child, finish, group_of, seed_of


def stored(rig: Rig, run: str = "r00-1") -> int:
    found = rig.store.run(run)
    assert found is not None
    return found.row.stored


def told(name: str, count: int, limit: int) -> dict[str, object]:
    return {"kind": "limit", "name": name, "count": count, "limit": limit}


def test_all_that_is_written_for_a_run_is_counted(rig: Rig) -> None:
    rig.one(accept("e", seed_of("r00-1", meta=b"m" * 7, state=b"s" * 20, records={"a": b"r" * 100})))
    assert stored(rig) == 127

    main = rig.claim_one()
    assert main.stored == 127
    rig.one(
        commit(
            main,
            "held",
            consumed=1,
            state=b"s" * 30,
            records={"b": b"r" * 1000},
            journal=(b"j" * 2000, b"j" * 3000),
            undos=(b"u" * 4000,),
        )
    )
    assert stored(rig) == 127 + 10 + 1000 + 5000 + 4000

    rig.one(finish(main))
    assert stored(rig) == 127 - 20 + 10_000 + len(b"result")


def test_states_of_children_count_while_they_live_and_their_inputs_stay(rig: Rig) -> None:
    group = group_of(3, max_parallel=2, state=b"c" * 50, inputs=(b"1", b"22", b"333"))
    main = rig.start_run()
    before = stored(rig)
    rig.one(commit(main, "waiting", consumed=1, state=main.state, groups=(group,)))
    assert stored(rig) == before + 6 + 100

    for child in [*rig.claim(2), *rig.claim(1)]:
        rig.one(end_child(child))
    rig.one(end_child(rig.claim_one()))
    assert stored(rig) == before + 6


def test_a_run_is_told_once_that_it_stores_too_much(rig: Rig) -> None:
    main = rig.start_run(meta=b"", state=b"")
    under = commit(main, "held", consumed=1, state=b"", journal=(b"x" * 100,), max_stored=100)
    assert rig.one(under) == Committed()

    over = commit(main, "held", state=b"", journal=(b"x",), max_stored=100)
    assert rig.one(over) == Committed((told("run", 101, 100),))
    taken = msgspec.structs.replace(over, consumed=1)
    assert rig.one(taken) == Committed()


def test_steps_are_added_up_over_scopes_and_the_main_one_is_told(rig: Rig) -> None:
    rig.start_group(2)
    first, second = rig.claim(2)
    rig.one(commit(first, "waiting", steps=2, max_steps=3))
    assert rig.claim() == []

    assert rig.one(commit(second, "held", steps=2, max_steps=3)) == Committed()

    main = rig.claim_one()
    assert (main.scope, main.facts, main.steps) == ("", (told("steps", 4, 3),), 4)


@pytest.mark.parametrize("limits", [{}, {"max_stored": None}, {"max_steps": 10, "max_stored": 10_000}])
def test_a_run_within_its_limits_hears_nothing(rig: Rig, limits: dict[str, int | None]) -> None:
    main = rig.start_run()

    assert rig.one(commit(main, "held", consumed=1, steps=10, journal=(b"x" * 1_000,), **limits)) == Committed()


def test_a_run_that_ends_with_the_commit_hears_nothing_any_more(rig: Rig) -> None:
    main = rig.start_run()
    end = msgspec.structs.replace(finish(main), steps=5, max_steps=1)

    assert rig.one(end) == Committed()
    assert rig.claim() == []
