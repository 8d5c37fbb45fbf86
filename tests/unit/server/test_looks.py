"""When runs that are waited for are looked at: soon, then ever later, and never when nobody waits."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flowlang.server.looks import FIRST_MS, LAST_MS, TOGETHER_MS, Looks


def dues(looks: Looks, until_ms: int, step_ms: int = 1) -> list[tuple[int, list[str]]]:
    """When which runs are due."""
    found = [(now_ms, looks.due(now_ms)) for now_ms in range(0, until_ms, step_ms)]
    return [(now_ms, runs) for now_ms, runs in found if runs]


def test_a_run_is_looked_at_soon_and_then_more_and_more_seldom() -> None:
    looks = Looks()
    looks.begin("a", 0)
    times = [now_ms for now_ms, _ in dues(looks, 5_000)]
    pauses = [after - before for before, after in zip([0, *times], times, strict=False)]
    assert times[0] == FIRST_MS - TOGETHER_MS
    assert [round(pause + TOGETHER_MS) for pause in pauses[1:4]] == [75, 113, 169]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_MS - TOGETHER_MS


def test_a_run_that_somebody_else_begins_to_wait_for_is_looked_at_often_again() -> None:
    looks = Looks()
    looks.begin("a", 0)
    dues(looks, 5_000)
    looks.begin("a", 5_000)
    assert (looks.due(5_000 + FIRST_MS - TOGETHER_MS - 1), looks.due(5_000 + FIRST_MS - TOGETHER_MS)) == ([], ["a"])


def test_a_run_that_nobody_waits_for_is_not_looked_at() -> None:
    looks = Looks()
    assert not looks
    looks.begin("a", 0)
    looks.begin("b", 0)
    looks.end("a")
    looks.end("never")
    assert looks.due(1_000) == ["b"]
    looks.end("b")
    assert (bool(looks), looks.due(10_000)) == (False, [])


@given(begun=st.lists(st.integers(0, 2_000), min_size=1, max_size=20, unique=True), step_ms=st.sampled_from([1, 7, 25]))
def test_no_run_is_left_out_for_long_and_none_is_looked_at_too_often(begun: list[int], step_ms: int) -> None:
    looks = Looks()
    seen: dict[str, list[int]] = {}
    for now_ms in range(0, 6_000, step_ms):
        for at in begun:
            if now_ms - step_ms < at <= now_ms:
                looks.begin(str(at), now_ms)
                seen[str(at)] = [now_ms]
        for run in looks.due(now_ms):
            seen[run].append(now_ms)
    for times in seen.values():
        pauses = [after - before for before, after in pairwise(times)]
        assert all(FIRST_MS - TOGETHER_MS <= pause < LAST_MS + step_ms for pause in pauses)
        assert 6_000 - times[-1] <= LAST_MS + step_ms
