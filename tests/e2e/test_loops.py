"""Loops on a real server with worker processes: each item once, one join, results in the order of the items."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from flowlang.plan import Foreach, Plan, Tolerate
from flowlang.service.views import RunDetail
from tests.e2e.waiting import until
from tests.e2e.world import World, checkpoints
from tests.unit.engine.building import Part, plan, steps, uses

RANGE = "lists.range(event.data.n)"


def loop(name: str, *parts: Part, output: str = "${{ steps.each.output }}") -> Plan:
    return plan(*parts, uses("after", "work.do", {"n": 0, "ms": 0}), pipeline=name, on=f"e2e/{name}", output=output)


def each(bad: int = 0, **more: object) -> Part:
    return uses("each", "work.refuse", {"n": "${{ item }}", "bad": bad}, foreach=Foreach(RANGE), **more)


def joins(detail: RunDetail) -> Counter[str]:
    """How often the journal says that a loop has begun."""
    return Counter(entry["step"] for entry in detail.journal if entry["kind"] == "group.started")


def send(world: World, name: str, n: int) -> RunDetail:
    """Start a run and wait for its end."""
    (detail,) = world.ended(world.start(f"e2e/{name}", {"n": n}))
    assert set(checkpoints([detail]).values()) <= {1}, "no instance has ended twice"
    return detail


@pytest.mark.timeout(300)
def test_loops_join_once_whatever_their_size_and_their_failures(tmp_path: Path) -> None:
    cells = uses("each", "work.do", {"n": "${{ a * 100 + b * 10 + c }}", "ms": 0}, foreach=Foreach(RANGE, name="c"))
    rows = steps("rows", cells, foreach=Foreach(RANGE, name="b"), output="${{ steps.each.output }}")
    planes = steps("planes", rows, foreach=Foreach(RANGE, name="a"), output="${{ steps.rows.output }}")
    with World(tmp_path, THREADS="4") as world:
        world.deploy(
            loop("plain", each()),
            loop("within", each(100, tolerate=Tolerate(failed=100))),
            loop("beyond", each(101, tolerate=Tolerate(failed=100))),
            loop("nested", planes, output="${{ steps.planes.output }}"),
        )
        with world.crew(2):
            for count in (0, 1, 1_000):
                plain = send(world, "plain", count)
                assert plain.output == list(range(1, count + 1))
                assert joins(plain) == {"each": 1}
                assert sum(line.step == "after" for line in world.ledger.lines() if line.run == plain.run.id) == 2

            within = send(world, "within", 1_000)
            assert within.output == [None] * 100 + list(range(101, 1_001))
            assert joins(within) == {"each": 1}

            beyond = send(world, "beyond", 1_000)
            assert beyond.error is not None
            assert (beyond.run.status, beyond.error["code"]) == ("failed", "refused")
            calls = [line for line in world.ledger.lines("begin") if line.run == beyond.run.id]
            assert 101 <= len(calls) < 200, "but for those beside the one too many no item starts"
            assert joins(beyond) == {"each": 1}

            nested = send(world, "nested", 10)
            assert nested.output == [
                [[a * 100 + b * 10 + c + 1 for c in range(10)] for b in range(10)] for a in range(10)
            ]
            assert len(joins(nested)) == 1 + 10 + 100
            assert set(joins(nested).values()) == {1}


def test_a_run_that_is_cancelled_in_its_loop_starts_no_more_items_and_joins_once(tmp_path: Path) -> None:
    with World(tmp_path, THREADS="4") as world:
        world.deploy(loop("plain", each(final=(uses("swept", "work.do", {"n": 0, "ms": 0}),))))
        with world.crew(2):
            (run,) = world.start("e2e/plain", {"n": 1_000})
            until(lambda: len(world.ledger.lines("begin")) >= 100, "a hundred items")
            assert world.service.cancel(run, "enough")
            (detail,) = world.ended([run])
    assert detail.run.status == "cancelled"
    ended = checkpoints([detail])
    assert ended[run, "each"] == 1
    assert set(ended.values()) == {1}
    begun = {line.step for line in world.ledger.lines("begin")}
    assert "after" not in begun
    assert {f"{step}.swept" for step in begun if step.endswith("]")} <= begun
    assert len(begun) < 1_000
    assert msgspec.UNSET is detail.output
