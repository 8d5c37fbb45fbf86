"""Loops of any size on the memory store: each item once, one join, results in the order of the items."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from flowlang.engine.turn import Call
from flowlang.plan import Foreach, Repeat, Tolerate
from flowlang.simulate import Finished
from tests.unit.engine.building import Part, Project, broken, plan, steps, uses

#: Not `event.data` itself: each item would read the whole event.
ITEMS = "lists.range(event.data)"


def each(
    key: str = "each", given: Any = "${{ item }}", *, foreach: str = ITEMS, name: str = "item", **more: Any
) -> Part:
    """A loop over a handler that gives back what it is given."""
    return uses(key, "give", {"v": given}, foreach=Foreach(foreach, name=name), **more)


def give(call: Call) -> Any:
    return call.arguments["v"]


def refuse(*bad: int) -> Any:
    """A handler that fails for these."""

    def handler(call: Call) -> Any:
        if call.arguments["v"] in bad:
            raise broken(f"bad.{call.arguments['v']}")
        return call.arguments["v"]

    return handler


def project(*parts: Part, handler: Any = give, output: Any = "${{ steps.each.output }}") -> Project:
    made = plan(*parts, uses("after"), output=output)
    return Project(made, limits={"foreach": 100_000}, give=handler)


def events(told: Project, done: Finished, kind: str) -> Counter[str]:
    """How often the journal says something of each instance."""
    return Counter(entry["step"] for entry in told.journal(done.id) if entry["kind"] == kind)


def check_joins(told: Project, done: Finished, loops: int) -> None:
    """So many groups were made and each was joined once, as was each item."""
    assert len(events(told, done, "group.started")) == loops
    assert set(events(told, done, "group.started").values()) <= {1}
    assert set(events(told, done, "step.ended").values()) == {1}


@pytest.mark.parametrize("count", [0, 1, 1_000, 10_000])
def test_each_item_runs_once_and_the_results_are_in_their_order(count: int) -> None:
    told = project(each())
    done = told.go(count)

    assert (done.status, done.output) == ("succeeded", list(range(count)))
    assert told.called("give") == count
    assert told.called("after") == 1
    check_joins(told, done, 1)
    assert len(done.records) == count + 2


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_as_many_may_fail_as_the_loop_tolerates(count: int) -> None:
    bad = range(0, count, 10)
    told = project(each(tolerate=Tolerate(failed_percent=10)), handler=refuse(*bad))
    done = told.go(count)

    assert done.status == "succeeded"
    assert done.output == [None if item in bad else item for item in range(count)]
    check_joins(told, done, 1)


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_one_failure_more_ends_the_loop_with_the_first_and_starts_no_new_item(count: int) -> None:
    bad = range(count // 10 + 1)
    told = project(each(tolerate=Tolerate(failed_percent=10)), handler=refuse(*bad))
    done = told.go(count)

    assert done.error is not None
    assert (done.status, done.error.code, done.error.step) == ("failed", "bad.0", "each[0]")
    assert len(bad) <= told.called("give") <= len(bad) + 10  # ten of them run side by side
    assert told.called("after") == 0
    check_joins(told, done, 1)


def test_loops_in_loops_in_loops_join_one_by_one() -> None:
    cells = each("each", "${{ a * 100 + b * 10 + c }}", foreach=ITEMS, name="c")
    rows = steps("rows", cells, foreach=Foreach(ITEMS, name="b"), output="${{ steps.each.output }}")
    planes = steps("planes", rows, foreach=Foreach(ITEMS, name="a"), output="${{ steps.rows.output }}")
    told = project(planes, output="${{ steps.planes.output }}")
    done = told.go(10)

    assert done.output == [[[a * 100 + b * 10 + c for c in range(10)] for b in range(10)] for a in range(10)]
    check_joins(told, done, 1 + 10 + 100)


@pytest.mark.parametrize("at", [0, 500, 999])
def test_a_run_that_is_cancelled_in_the_middle_starts_no_more_items_and_joins_once(at: int) -> None:
    def handler(call: Call) -> Any:
        if call.arguments["v"] == at:
            assert told.at_work is not None
            told.cancel(told.at_work.run, "enough")
        return call.arguments["v"]

    told = project(each(final=(uses("swept"),)), handler=handler)
    done = told.go(1_000)

    assert done.status == "cancelled"
    assert at - 9 <= told.called("give") <= at + 11  # ten of them run side by side
    assert told.called("after") == 0
    ended = events(told, done, "step.ended")
    assert ended["each"] == 1
    assert set(ended.values()) == {1}
    begun = {call.instance for call in told.calls if call.handler == "give"}
    assert {call.instance.replace(".swept", "") for call in told.calls if call.handler == "swept"} >= begun


def test_a_run_of_more_than_ten_thousand_instances() -> None:
    pages = steps("pages", each("each", "${{ index }}"), repeat=Repeat("index == 99", limit=100), output="${{ index }}")
    told = project(pages, output="${{ steps.pages.output }}")
    done = told.go(100)

    assert (done.status, done.output) == ("succeeded", 99)
    assert told.called("give") == 100 * 100
    assert set(events(told, done, "step.ended").values()) == {1}
    assert sum(events(told, done, "step.ended").values()) >= 10_000
