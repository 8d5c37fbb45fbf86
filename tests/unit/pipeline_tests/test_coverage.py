"""What counts as reached: each test reaches its points, and together they miss what no test does."""

from __future__ import annotations

import pytest

from flowlang.pipeline_tests import coverage_of
from flowlang.pipeline_tests.coverage import total
from tests.unit.pipeline_tests.playing import SHARED, Player

ALL = {
    "pay": {"ran", "catch 1", "catch 2"},
    "declined": {"ran"},
    "fail-3": {"ran"},
    "packed": {"ran", "0 items", "1 item", "many items"},
    "kind": {"ran", "no case"},
    "small": {"ran"},
    "large": {"ran"},
    "tell": {"ran", "if is true", "if is false"},
    "emit-9": {"ran"},
}


def reached(player: Player, test: str) -> dict[str, set[str]]:
    suite = player.suite(SHARED + test)
    plan = suite.project.plans["order"]
    result = suite.run(suite.tests[0])
    assert result.status == "passed", result.failures
    (coverage,) = coverage_of([plan], result.journals, suite.project.pipelines)
    found: dict[str, set[str]] = {}
    for point in coverage.hit:
        found.setdefault(plan.steps[point.step].key, set()).add(point.what)
    assert {(plan.steps[p.step].key, p.what) for p in coverage.points} == {
        (key, what) for key, whats in ALL.items() for what in whats
    }
    return found


COMMON = {"pay": {"ran"}, "kind": {"ran"}, "tell": {"ran", "if is true"}, "emit-9": {"ran"}}


@pytest.mark.parametrize(
    ("test", "more"),
    [
        ("then: {}", {"packed": {"ran", "many items"}, "kind": {"ran", "no case"}}),
        (
            "given: {event: shop/order-placed, data: {id: quiet, lines: []}}\nthen: {}",
            {"packed": {"0 items"}, "small": {"ran"}, "tell": {"if is false"}},
        ),
        (
            "given: {event: shop/order-placed, data: {id: a, lines: [a]}}\nhandlers: {orders.charge: {fail: permanent, code: card.declined}}\nthen: {}",
            {"packed": {"ran", "1 item"}, "small": {"ran"}, "pay": {"ran", "catch 1"}, "declined": {"ran"}},
        ),
        (
            "given: {event: shop/order-placed, data: {id: a, lines: [a, b, c]}}\nthen: {}",
            {"packed": {"ran", "many items"}, "large": {"ran"}},
        ),
    ],
)
def test_a_run_reaches_what_it_went_through(player: Player, test: str, more: dict[str, set[str]]) -> None:
    assert reached(player, test) == {**COMMON, **more}


def test_a_run_that_fails_reaches_what_lies_before(player: Player) -> None:
    test = "handlers: {orders.charge: {fail: resource}}\nthen: {status: failed}"
    assert reached(player, test) == {"pay": {"ran", "catch 2"}, "fail-3": {"ran"}}


def test_steps_have_their_lines_and_missed_points_are_counted(player: Player) -> None:
    suite = player.suite(SHARED + "then: {}")
    plan = suite.project.plans["order"]
    (coverage,) = coverage_of([plan], (), suite.project.pipelines)
    text = suite.project.sources["pipelines/order.yaml"].text.splitlines()
    ids = {step.key: text[(coverage.line(step.index) or 0) - 1] for step in plan.steps if step.named}
    assert all(f"id: {key}" in line for key, line in ids.items())
    assert (coverage.percent, total([coverage])) == (0.0, 0.0)
    assert [missed for step, _, missed in coverage.lines() if step.key == "tell"] == [
        ("ran", "if is true", "if is false")
    ]
    assert total([]) == 100.0
