"""Our own cases, in both tiers and by the checker, and the examples in the functions' declarations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from flowlang.expr import EvaluationError, ExpressionSyntaxError, Pins, Timestamp, compile_expression
from flowlang.expr.check import check_text
from flowlang.expr.environment import Environment
from flowlang.expr.program import Evaluate
from flowlang.expr.registry import functions
from tests.conformance.cases import same
from tests.conformance.tables import TableCase, load_tables

CASES = load_tables()
#: Nothing is known of any name.
OPEN = Environment({}, closed=False)


def _named(wanted: Callable[[TableCase], bool]) -> list[Any]:
    return [pytest.param(case, id=case.name) for case in CASES if wanted(case)]


def _fault(evaluate: Evaluate, case: TableCase) -> tuple[str, int, int]:
    with pytest.raises(EvaluationError) as failed:
        evaluate(case.bindings, case.pins())
    return failed.value.code, failed.value.start, failed.value.end


@pytest.mark.parametrize("case", _named(lambda case: case.value is not None))
def test_an_expression_has_its_value_in_both_tiers_and_no_problem(case: TableCase) -> None:
    expression = compile_expression(case.text)
    wanted = compile_expression(case.value or "").exactly({})
    for evaluate in (expression.exactly, expression.specialise(None)):
        answer = evaluate(case.bindings, case.pins())
        assert same(answer, wanted), f"got {answer!r}"
    problems = check_text(case.text, OPEN).problems
    assert bool(problems) == case.refused, problems


@pytest.mark.parametrize("case", _named(lambda case: case.error is not None))
def test_an_expression_fails_at_the_same_place_in_both_tiers(case: TableCase) -> None:
    expression = compile_expression(case.text)
    code, start, end = _fault(expression.exactly, case)
    assert code == case.error
    assert 0 <= start < end <= len(case.text)
    assert case.at is None or case.text[start:end] == case.at
    assert _fault(expression.specialise(None), case) == (code, start, end)


@pytest.mark.parametrize("case", _named(lambda case: case.syntax is not None))
def test_a_text_that_is_no_expression_is_refused(case: TableCase) -> None:
    with pytest.raises(ExpressionSyntaxError) as refused:
        compile_expression(case.text)
    assert case.syntax is not None
    assert case.syntax in str(refused.value)
    assert all(0 <= problem.start <= problem.end <= len(case.text) for problem in refused.value.problems)


@pytest.mark.parametrize("name", sorted(f"{name}{'()' if method else ''}" for name, method in functions()))
def test_every_function_is_documented_and_its_examples_are_true(name: str) -> None:
    function = functions()[name.removesuffix("()"), name.endswith("()")]
    assert function.sentence.endswith(".")
    assert function.examples
    numbers = count()
    pins = Pins(now=Timestamp(0), uuid=lambda: f"id-{next(numbers)}")
    for example in function.examples:
        assert compile_expression(example).evaluate({}, pins=pins) is True, example
        assert function.name in example
