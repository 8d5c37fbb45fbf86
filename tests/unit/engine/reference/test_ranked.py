"""The ordered set behaves as a plain sorted list would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flowlang.engine.reference.ranked import Ranked

moves = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.integers(-3, 3)))


@given(moves, st.integers(-4, 4), st.integers(0, 4))
def test_members_are_kept_in_order_of_score_then_name(
    changes: list[tuple[str, int | None]], bound: int, limit: int
) -> None:
    ranked, plain = Ranked(), dict[str, int]()
    for member, score in changes:
        if score is None:
            assert ranked.drop(member) == (plain.pop(member, None) is not None)
        else:
            ranked.put(member, score)
            plain[member] = score
    order = sorted((score, member) for member, score in plain.items())

    assert list(ranked) == order
    assert len(ranked) == len(order)
    assert ranked.first() == (order[0] if order else None)
    assert ranked.up_to(bound, limit) == [member for score, member in order if score <= bound][:limit]
    assert ranked.count_up_to(bound) == sum(score <= bound for score, _ in order)
    assert [ranked.score(member) for member in "abcdef"] == [plain.get(member) for member in "abcdef"]
    assert [member in ranked for member in "abcdef"] == [member in plain for member in "abcdef"]
