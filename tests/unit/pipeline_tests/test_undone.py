"""What is told of undos, in `undone` and in coverage."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.model import load_tests
from flowlang.pipeline_tests.coverage import coverage_of
from flowlang.pipeline_tests.expect import Expectations, Seen, undone
from flowlang.pipeline_tests.result import RunJournal
from flowlang.plan import Plan, Step, Undo, Uses
from flowlang.simulate import Finished
from flowlang.source import SourceText

JOURNAL: list[dict[str, Any]] = [
    {"at": 1, "kind": "step.ended", "step": "order", "status": "succeeded"},
    {"at": 2, "kind": "run.undoing"},
    {"at": 3, "kind": "step.undone", "step": "reserve[1].undo", "status": "failed"},
    {"at": 3, "kind": "step.undone", "step": "order.undo", "status": "succeeded"},
    {"at": 4, "kind": "run.ended", "status": "failed"},
]


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("[{step: 'reserve[1]', status: failed}, order]", []),
        ("[order, {step: 'reserve[1]', status: failed}]", ["expected order, reserve[1] (failed), found reserve[1] (failed), order"]),
        ("['reserve[1]', order]", ["expected reserve[1], order, found reserve[1] (failed), order"]),
        ("[]", ["expected no undo, found reserve[1] (failed), order"]),
    ],
)  # fmt: skip
def test_undos_are_compared_in_their_order(then: str, told: list[str]) -> None:
    text = f"test: a\npipeline: p\ngiven: {{call: {{}}}}\nthen: {{undone: {then}}}\n"
    ((test,), _) = load_tests(SourceText("p.test.yaml", text))
    assert test.model is not None
    run = Finished("r1", "p", "failed", None, None, {})
    seen = Seen("p", {"p": [run]}, [], [], 0, {"r1": undone(JOURNAL)})
    failures = list(Expectations(test, seen).failures(test.model.then, ("then",)))
    assert [failure.message for failure in failures] == told
    assert {failure.where for failure in failures} <= {"undone"}


def test_an_undo_is_a_point_that_a_test_must_reach() -> None:
    steps = tuple(Step(at, key, Uses(key), undo=Undo(Uses("back"))) for at, key in enumerate(("order", "pay")))
    plan = Plan(pipeline="p", steps=steps, block=(0, 1))
    (coverage,) = coverage_of([plan], [RunJournal("p", JOURNAL)])
    assert {(point.step, point.what) for point in coverage.hit} == {(0, "ran"), (0, "undone")}
    assert {(point.step, point.what) for point in coverage.points} >= {(1, "undone")}
