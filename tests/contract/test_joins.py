"""A group is joined exactly once, whatever becomes of its children."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.ops import Claimed, ClaimRequest, Committed, Group, Join, Lost, Sweep
from tests.contract.rig import LEASE_MS, Rig, commit, end_child, finish, group_of

CANCEL = {"kind": "cancel"}


def joined(
    done: int, failed: int = 0, *, closed: bool = False, error: bytes | None = None, winner: int | None = None
) -> dict[str, Any]:
    counts = {"done": done, "failed": failed, "closed": closed, "error": error, "winner": winner}
    return {"kind": "joined", "group": "g", **counts}


def test_a_group_of_nobody_is_joined_at_once(rig: Rig) -> None:
    rig.start_group(0)

    assert rig.claim_one().facts == (joined(0),)


def test_a_held_parent_sees_the_join_of_nobody_in_its_own_commit(rig: Rig) -> None:
    main = rig.start_run()

    assert rig.one(commit(main, "held", consumed=1, groups=(group_of(0),))) == Committed((joined(0),))


def test_a_group_of_one_is_joined_by_its_child(rig: Rig) -> None:
    rig.start_group(1)
    (child,) = rig.claim(5)
    assert (child.scope, child.parent, child.group, child.index, child.state) == ("g[0]", "", "g", 0, b"child")

    rig.one(end_child(child))

    parent = rig.claim_one()
    assert (parent.scope, parent.facts) == ("", (joined(1),))


@pytest.mark.parametrize("max_parallel", [7, 1000])
def test_a_thousand_children_are_joined_once_though_each_was_lost_and_rescued(rig: Rig, max_parallel: int) -> None:
    total = 1000
    rig.start_group(total, max_parallel=max_parallel, limit=total, inputs=tuple(b"%d" % i for i in range(total)))
    ended: list[str] = []
    while True:
        lost = rig.claim(total, lease_ms=1_000)
        if lost[0].scope == "":
            break
        rig.advance(1_000)
        rig.one(Sweep(limit=total))
        taken = rig.claim(total)
        assert [row.rescues for row in taken] == [1] * len(lost)
        late = [end_child(row, weight=1) for row in lost]
        ends = [end_child(row, weight=int(row.index % 10 == 0)) for row in taken]
        outcomes = rig.flush(*late, *ends, *ends).outcomes
        assert outcomes == (Lost("not the holder"),) * len(late) + (Committed(),) * len(ends) + (
            Lost("not the holder"),
        ) * len(ends)
        ended += [row.scope for row in taken]

    assert sorted(ended) == sorted(f"g[{i}]" for i in range(total))
    (parent,) = lost
    assert parent.facts == (joined(total, total // 10),)
    assert rig.claim() == []


def test_no_more_children_are_alive_than_allowed(rig: Rig) -> None:
    rig.start_group(5, max_parallel=2)
    seen = []
    while (rows := rig.claim(10)) and rows[0].group:
        seen.append([row.index for row in rows])
        rig.one(end_child(rows[0]))
        rig.advance(LEASE_MS)
        rig.sweep()

    assert all(len(indexes) <= 2 for indexes in seen)
    assert {index for indexes in seen for index in indexes} == {0, 1, 2, 3, 4}
    assert [row.facts for row in rows] == [(joined(5),)]


def test_tolerated_failures_close_nothing_and_the_first_error_is_kept(rig: Rig) -> None:
    rig.start_group(3, limit=2)
    rows = rig.claim(3)
    rig.flush(
        end_child(rows[1], weight=1, error=b"\xffone"), end_child(rows[0], weight=1, error=b"two"), end_child(rows[2])
    )

    assert rig.claim_one().facts == (joined(3, 2, error=b"\xffone"),)


def test_one_failure_too_many_closes_the_group_and_cancels_the_rest(rig: Rig) -> None:
    rig.start_group(10, max_parallel=3, limit=1)
    first, second, third = rig.claim(3)
    rig.one(end_child(first, weight=1, error=b"one"))
    fourth = rig.claim_one()
    waiting = rig.one(commit(fourth, "waiting"))
    assert waiting == Committed()

    rig.one(end_child(second, weight=1, error=b"two"))

    told = rig.claim_one()
    assert (told.scope, told.facts) == (fourth.scope, (CANCEL,))
    assert rig.one(commit(third, "held")) == Committed((CANCEL,))
    rig.flush(end_child(told, cancelled=True), end_child(third, cancelled=True))
    (parent,) = rig.claim(5)
    assert parent.facts == (joined(4, 2, closed=True, error=b"one"),)


def test_a_weight_of_two_closes_at_once_and_its_error_replaces_others(rig: Rig) -> None:
    rig.start_group(4, limit=3)
    rows = rig.claim(4)
    rig.flush(
        end_child(rows[0], weight=1, error=b"one"),
        end_child(rows[1], weight=2, error=b"two"),
        end_child(rows[2], weight=2, error=b"three"),
    )
    rig.one(end_child(rows[3], cancelled=True))

    assert rig.claim_one().facts == (joined(4, 3, closed=True, error=b"two"),)


def test_a_group_that_lets_the_rest_finish_starts_no_more_and_cancels_nobody(rig: Rig) -> None:
    rig.start_group(5, max_parallel=2, cancel_rest=False)
    first, second = rig.claim(2)
    rig.one(end_child(first, weight=2, error=b"one"))

    assert rig.claim(5) == []
    assert rig.one(commit(second, "held")) == Committed()
    rig.one(end_child(second))
    assert rig.claim_one().facts == (joined(2, 1, closed=True, error=b"one"),)


def test_children_that_never_ran_are_told_to_cancel_as_well(rig: Rig) -> None:
    rig.start_group(3)
    (first,) = rig.claim(1)
    rig.one(end_child(first, weight=2))

    told = rig.claim(5)
    assert [(row.scope, row.facts) for row in told] == [("g[1]", (CANCEL,)), ("g[2]", (CANCEL,))]


def close_from(main: Claimed) -> Any:
    return commit(main, "waiting", cancels=("g",))


def test_a_parent_closes_its_group_and_waits_for_the_living(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, groups=(group_of(5, max_parallel=2, cancel_rest=False),)))
    first, second = rig.claim(2)

    rig.one(close_from(main))

    assert rig.claim(5) == []
    assert rig.one(commit(first, "held")) == Committed((CANCEL,))
    rig.flush(end_child(first, cancelled=True), end_child(second))
    assert rig.claim_one().facts == (joined(2, closed=True),)


def test_closing_a_group_that_was_joined_changes_nothing(rig: Rig) -> None:
    rig.start_group(1)
    rig.one(end_child(rig.claim_one()))
    parent = rig.claim_one()

    assert rig.one(commit(parent, "waiting", consumed=1, cancels=("g", "none"))) == Committed()
    assert rig.claim() == []


def test_a_join_of_an_unknown_group_ends_the_scope_and_nothing_else(rig: Rig) -> None:
    rig.start_group(1)
    child = rig.claim_one()

    assert rig.one(commit(child, "ended", join=Join("none"))) == Committed()
    assert rig.claim() == []


DIAMOND = ((), (0,), (0,), (1, 2))


def indexes(rows: list[Claimed]) -> list[int]:
    return [row.index for row in rows]


def test_a_child_starts_when_all_that_it_needs_have_ended_however_they_ended(rig: Rig) -> None:
    rig.start_group(4, needs=DIAMOND, limit=1)
    (first,) = rig.claim(5)
    rig.one(end_child(first, weight=1, error=b"one"))
    left, right = rig.claim(5)
    assert indexes([first, left, right]) == [0, 1, 2]

    rig.one(end_child(right, cancelled=True))
    assert rig.claim(5) == []
    rig.one(end_child(left))
    (last,) = rig.claim(5)
    assert last.index == 3
    rig.one(end_child(last))

    assert rig.claim_one().facts == (joined(4, 1, error=b"one"),)


def test_the_lowest_child_that_may_start_goes_first_and_no_more_than_allowed(rig: Rig) -> None:
    rig.start_group(5, needs=((4,), (), (), (), ()), max_parallel=2)
    seen = []
    rows = rig.claim(5)
    while rows[0].group:
        seen.append(indexes(rows))
        rig.one(end_child(rows[0]))
        rows = rows[1:] + rig.claim(5)

    assert seen == [[1, 2], [2, 3], [3, 4], [4], [0]]
    assert rows[0].facts == (joined(5),)


def test_a_closed_group_starts_nobody_whose_needs_are_met(rig: Rig) -> None:
    rig.start_group(4, needs=((), (0,), (), (2,)))
    first, third = rig.claim(5)

    rig.one(end_child(first, weight=2, error=b"why"))

    assert rig.claim(5) == []
    assert rig.one(commit(third, "held")) == Committed((CANCEL,))
    rig.one(end_child(third, cancelled=True))
    assert rig.claim_one().facts == (joined(2, 1, closed=True, error=b"why"),)


def test_the_first_child_that_wins_is_the_winner_and_the_others_are_told(rig: Rig) -> None:
    rig.start_group(4)
    rows = rig.claim(4)
    rig.one(end_child(rows[2], weight=3))

    told = [rig.one(commit(row, "held")) for row in (rows[0], rows[1], rows[3])]
    assert told == [Committed((CANCEL,))] * 3
    rig.flush(end_child(rows[0], weight=3), end_child(rows[1], cancelled=True), end_child(rows[3], cancelled=True))

    assert rig.claim_one().facts == (joined(4, closed=True, winner=2),)


def test_those_that_drop_out_of_a_race_leave_the_winner_to_the_rest(rig: Rig) -> None:
    rig.start_group(3, limit=3)
    rows = rig.claim(3)
    rig.flush(end_child(rows[0], weight=1, error=b"out"), end_child(rows[1]))
    rig.one(end_child(rows[2], weight=3))

    assert rig.claim_one().facts == (joined(3, 1, closed=True, error=b"out", winner=2),)


def test_a_group_that_was_closed_as_failed_still_names_who_won_afterwards(rig: Rig) -> None:
    rig.start_group(2, cancel_rest=False)
    first, second = rig.claim(2)
    rig.flush(end_child(first, weight=2, error=b"why"), end_child(second, weight=3))

    assert rig.claim_one().facts == (joined(2, 1, closed=True, error=b"why", winner=1),)


@pytest.mark.parametrize("needs", [(), ((), (), ())])
def test_a_scope_counts_only_in_the_group_that_it_is_a_child_of(rig: Rig, needs: tuple[tuple[int, ...], ...]) -> None:
    rig.start_group(3, needs=needs)
    outer, *others = rig.claim(3)
    rig.one(commit(outer, "held", groups=(Group("h", "h[", "]", 1, 1, 0, cancel_rest=True, state=b""),)))
    inner = rig.claim_one()

    rig.one(commit(inner, "ended", join=Join("g")))
    rig.flush(*(end_child(row) for row in others))

    assert rig.claim(5) == []
    rig.one(end_child(outer))
    assert rig.claim_one().facts == (joined(3),)


@pytest.mark.parametrize(
    ("needs", "why"),
    [
        (((), ()), "needs of 2 for 3 children"),
        (((), (), (3,)), "does not have; there are 0 to 2"),
        (((), (), (-1,)), "does not have"),
        (((1,), (0,), ()), r"in a circle: \[0, 1\]"),
        (((), (1,), ()), r"in a circle: \[1\]"),
    ],
)
def test_needs_that_would_never_be_met_are_refused(rig: Rig, needs: tuple[tuple[int, ...], ...], why: str) -> None:
    main = rig.start_run()

    with pytest.raises(ValueError, match=why):
        rig.one(commit(main, "waiting", groups=(group_of(3, needs=needs),)))


def test_groups_nest_and_an_ended_parent_takes_its_children_with_it(rig: Rig) -> None:
    rig.start_group(1)
    outer = rig.claim_one()
    rig.one(commit(outer, "held", groups=(group_of(2, max_parallel=2, suffix="].h"),)))
    inner = rig.claim(2)
    assert [(row.scope, row.parent) for row in inner] == [("g[0].h", "g[0]"), ("g[1].h", "g[0]")]

    rig.one(commit(outer, "ended"))

    assert rig.one(end_child(inner[0])) == Lost("an ancestor has ended")
    rig.advance(LEASE_MS)
    assert rig.sweep().rescued == 0
    assert rig.claim(5) == []


def test_a_scope_made_again_under_an_old_name_refuses_the_old_holder(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, groups=(group_of(1),)))
    old = rig.claim_one()
    rig.one(commit(main, "held", groups=(group_of(1),)))
    new = rig.claim_one()

    assert (new.scope, new.fence) == (old.scope, old.fence + 1)
    assert rig.one(end_child(old)) == Lost("not the holder")


def test_scopes_that_are_their_own_ancestors_count_as_ended(rig: Rig) -> None:
    rig.start_group(1)
    child = rig.claim_one()
    rig.one(commit(child, "waiting", groups=(group_of(1),)))  # its child takes its own name

    assert rig.claim(5) == []


def test_the_end_of_a_run_ends_its_groups(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, groups=(group_of(3),)))

    reply = rig.flush(finish(main), claim=ClaimRequest("w", ("default",), 5, LEASE_MS, 8, 0))

    assert reply.claimed == ()
    assert rig.store.stats().ready == {}


def test_siblings_of_one_moment_are_taken_in_their_order(rig: Rig) -> None:
    rig.start_group(12)

    assert [row.index for row in rig.claim(12)] == list(range(12))
