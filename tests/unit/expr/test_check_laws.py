"""What the checker promises: what it accepts has a value of the type that it deduced, or fails by its data alone."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.expr import EvaluationError, Expression, compile_expression, errors
from flowlang.expr.check import check_expression, check_text
from flowlang.expr.environment import Environment
from flowlang.expr.types import BOOL, is_dyn
from tests.unit.expr.inhabits import inhabits
from tests.unit.expr.test_laws import VALID
from tests.unit.expr.typed_expressions import ORDER, data, expression

ENVIRONMENT = Environment({"order": ORDER})

#: How an expression without a mistake may still fail: by the values that the data has.
BY_DATA = {
    errors.DIVIDE_BY_ZERO, errors.OUT_OF_RANGE, errors.NO_INDEX, errors.BAD_ARGUMENT, errors.NO_VALUE, errors.NO_FIELD,
    errors.TOO_MUCH_WORK,
}  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["bool", "int", "double", "string", "ints", "strings", "lines", "optional", "time"]),
)
def test_what_is_written_by_the_types_is_accepted_and_has_a_value_of_its_type(seed: int, type_: str) -> None:
    random = Random(seed)
    text = expression(random, type_)
    compiled = compile_expression(text)
    checked = check_expression(compiled, ENVIRONMENT)
    # A literal may stand beside the enum that does not have it; all else is written as the types want it.
    problems = [problem for problem in checked.problems if problem.kind != errors.NEVER_EQUAL]
    assert problems == [], text
    # Nothing is known of what an empty list or optional holds.
    assert not is_dyn(checked.type) or "[]" in text or "none()" in text, text
    for _ in range(3):
        error, value = _outcome(compiled, data(random))
        if error is None:
            assert inhabits(value, checked.type), (text, value, str(checked.type))
        else:
            assert error.code in BY_DATA, (text, error.message)
            # A field is sought in vain only where a map of unknown keys is read.
            assert error.code != errors.NO_FIELD or "order.rates[" in text, (text, error.message)


def _outcome(expression: Expression, bindings: dict[str, Any]) -> tuple[EvaluationError | None, Any]:
    try:
        return None, expression.evaluate(bindings)
    except EvaluationError as error:
        return error, None


@settings(max_examples=300, deadline=None)
@given(VALID)
def test_anything_can_be_checked_and_problems_lie_inside_the_text(text: str) -> None:
    checked = check_text(text, ENVIRONMENT, expected=BOOL)
    assert all(0 <= problem.start <= problem.end <= len(text) for problem in checked.problems)
    assert list(checked.problems) == sorted(checked.problems, key=lambda problem: problem.start)
