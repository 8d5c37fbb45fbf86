"""Our own cases: tables by operator and function, and the examples in the functions' declarations."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowlang.expr import EvaluationError, ExpressionSyntaxError, Pins, Timestamp, compile_expression
from flowlang.expr.registry import functions
from tests.conformance.cases import same

CASES = [
    pytest.param(case, id=f"{path.stem} {number}: {case['expr']}"[:90])
    for path in sorted(Path(__file__).parent.glob("*.yaml"))
    for number, case in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), 1)
]


@pytest.mark.parametrize("case", CASES)
def test_a_case_of_our_tables_holds(case: dict[str, Any]) -> None:
    bindings = case.get("with", {})
    if "syntax" in case:
        with pytest.raises(ExpressionSyntaxError) as refused:
            compile_expression(case["expr"])
        assert case["syntax"] in str(refused.value)
    elif "error" in case:
        with pytest.raises(EvaluationError) as failed:
            compile_expression(case["expr"]).evaluate(bindings)
        assert failed.value.code == case["error"], failed.value.message
        assert 0 <= failed.value.start < failed.value.end <= len(case["expr"])
    else:
        answer = compile_expression(case["expr"]).evaluate(bindings)
        wanted = compile_expression(case["is"]).evaluate({})
        assert same(answer, wanted), f"got {answer!r}"


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
