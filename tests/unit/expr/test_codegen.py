"""Where Python means something else than the language, generated code has a guard: each in a table.

`CONFUSED` is evaluated by generated code alone; what a naive translation would say is beside the case.
"""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.expr import EvaluationError, Optional, Timestamp, UInt, compile_expression
from flowlang.expr.check import check_expression
from flowlang.expr.codegen import generate
from flowlang.expr.environment import Environment
from flowlang.expr.times import Duration
from flowlang.expr.types import DOUBLE, INT, STRING, ListOf, ObjectOf, Scalar
from flowlang.expr.types import Field as ObjectField
from flowlang.expr.values import MixedMap
from tests.conformance.cases import same

#: Expression, value of `x`, and the value or the code of the error. A comment says what Python would answer.
CONFUSED: list[tuple[str, Any, Any]] = [
    ("x == 1", True, False),  # True
    ("x == 0", False, False),  # True
    ("1 == x", True, False),  # True
    ("x != 1", True, True),  # False
    ("x == true", 1, False),  # True
    ("x > 0", True, "no_such_overload"),  # True
    ("x < 2.5", False, "no_such_overload"),  # True
    ("x > 0", None, "no_such_overload"),
    ("x + 1", True, "no_such_overload"),  # 2
    ("x + 1", 1.5, "no_such_overload"),  # 2.5
    ("x * 2", "ab", "no_such_overload"),  # 'abab'
    ("x * 2", [1], "no_such_overload"),  # [1, 1]
    ("x % 2", "%s", "no_such_overload"),  # '2'
    ("x + 1", 2**63 - 1, "out_of_range"),  # 2**63
    ("x * 3", 2**62, "out_of_range"),
    ("x - 1", -(2**63), "out_of_range"),
    ("-x", -(2**63), "out_of_range"),
    ("x / 2", -7, -3),  # -4
    ("x % 3", -7, -1),  # 2
    ("x / 0", 1, "divide_by_zero"),
    ("x / 0.0", 1.0, float("inf")),  # ZeroDivisionError
    ("x / 2", 7.0, "no_such_overload"),  # 3.0
    ("x[-1]", [1, 2], "no_such_index"),  # 2
    ("x[0]", {False: "f"}, "no_such_field"),  # 'f'
    ("x[1]", MixedMap([(True, "t"), (1, "one")]), "one"),
    ("x['a']", "abc", "no_such_overload"),
    ("x.a", [1], "no_such_field"),
    ("has(x.a)", "abc", "no_such_field"),  # True
    ("has(x.a)", ["a"], "no_such_field"),  # True
    ("has(x.a)", {"a": None}, True),
    ("'a' in x", "abc", "no_such_overload"),  # True
    ("1 in x", [True], False),  # True
    ("x in [1, 2]", True, False),  # True
    ("x in [1, 2]", 1.0, True),
    ("x in [1, 2]", UInt(1), True),
    ("x in ['a', 'b']", ["a"], False),  # TypeError
    ("x < 'b'", ["a"], "no_such_overload"),
    ("x < x", [1], "no_such_overload"),  # False
    ("x && true", 1, "no_such_overload"),  # True
    ("x || false", "", "no_such_overload"),  # False
    ("!x", 0, "no_such_overload"),  # True
    ("x ? 1 : 2", 1, "no_such_overload"),  # 1
    ("x.nope == 1 || true", {}, True),  # KeyError
    ("x.nope == 1 && false", {}, False),
    ("x.exists(v, v > 0)", "abc", "no_such_overload"),
    ("x.exists(v, v.n > 0)", [{}, {"n": 1}], True),  # KeyError
    ("x.all(v, v.n > 0)", [{}, {"n": 0}], False),
    ("x.map(v, v + 1)", [1, True], "no_such_overload"),  # [2, 2]
    ("x.filter(v, v)", [1], "no_such_overload"),  # [1]
    ("x.map(v, v)", {"a": 1}, ["a"]),
    ("x == 9007199254740993", 9007199254740992.0, True),  # False: ints and doubles are compared as doubles
    ("x.size()", Optional.of("a"), "no_such_overload"),
    ("x.?a.?b.orValue(1)", {"a": Optional.of({"b": 2})}, "no_such_field"),
    ("x.?a.?b.hasValue()", {"a": Optional.NONE}, "no_such_field"),
    ("x.?a.orValue(1)", Optional.of({"a": 2}), 2),
    ("x.startsWith('a')", b"abc", "no_such_overload"),
    ("x + x", [1], [1, 1]),
    ("x == x", float("nan"), False),
    ("{x: 1}", 1.5, "bad_key"),
    ("cel.bind(v, 1 / x, true || v == 1)", 0, True),  # ZeroDivisionError
    ("timestamp(x) < timestamp('2026-01-01T00:00:00Z')", "2025-12-31T23:59:59.999999999Z", True),
    ("timestamp(x) + duration('1ns')", "2025-12-31T23:59:59.999999999Z", Timestamp.parse("2026-01-01T00:00:00Z")),
    ("duration(x) > duration('1h')", "1h1ns", True),
    ("duration(x)", "1d", Duration.parse("24h")),
]


def _answer(evaluate: Any, x: Any) -> Any:
    try:
        return evaluate({"x": x})
    except EvaluationError as error:
        return error.code


@pytest.mark.parametrize(
    ("text", "x", "wanted"), CONFUSED, ids=[f"{n}: {text}" for n, (text, _, _) in enumerate(CONFUSED)]
)
def test_generated_code_means_what_the_language_says(text: str, x: Any, wanted: Any) -> None:
    expression = compile_expression(text)
    for evaluate in (expression.specialise(None), expression.exactly):
        answer = _answer(evaluate, x)
        assert (answer == wanted) if isinstance(wanted, str) else same(answer, wanted), answer


ORDER = ObjectOf(
    "order",
    {
        "count": ObjectField(Scalar("int", minimum=0, maximum=100)),
        "free": ObjectField(INT),
        "total": ObjectField(DOUBLE),
        "tags": ObjectField(ListOf(STRING)),
    },
)


@pytest.mark.parametrize(
    ("text", "order", "wanted"),
    [
        ("order.count * 1000 + order.count", {"count": 100}, 100_100),
        ("order.free + 1", {"free": 2**63 - 1}, "out_of_range"),
        ("order.count > 5 && order.total < 2.5", {"count": 6, "total": 2.0}, True),
        ("order.tags.exists(t, t == 'a')", {"tags": ["b", "a"]}, True),
        ("order.tags[order.count]", {"tags": ["a"], "count": 1}, "no_such_index"),
        ("order.total / 0.0", {"total": -1.0}, float("-inf")),
    ],
)
def test_code_for_known_types_keeps_the_guards_that_types_do_not_make_superfluous(
    text: str, order: dict[str, Any], wanted: Any
) -> None:
    expression = compile_expression(text)
    checked = check_expression(expression, Environment({"order": ORDER}))
    assert checked.problems == ()
    try:
        answer = expression.specialise(checked.types)({"order": order})
    except EvaluationError as error:
        answer = error.code
    assert answer == wanted


def test_types_drop_guards() -> None:
    expression = compile_expression("order.count * 2 + 1 > 7")
    checked = check_expression(expression, Environment({"order": ORDER}))
    untyped, typed = expression.specialise(None), expression.specialise(checked.types)
    assert len(typed.__code__.co_code) < len(untyped.__code__.co_code)  # type: ignore[attr-defined]


def test_an_expression_is_generated_after_many_evaluations_and_means_the_same() -> None:
    expression = compile_expression("x + 1 == 2 && 'generated' != ''")
    first = expression.evaluate
    assert all(expression.evaluate({"x": 1}) for _ in range(200))
    assert expression.evaluate is not first
    assert expression.evaluate({"x": 1}) is True


def test_what_counts_its_answers_is_not_generated() -> None:
    expression = compile_expression("uuid() != uuid()")
    assert generate(expression.root, 0, expression.exactly) is None
    assert expression.specialise(None) == expression.exactly


def test_names_and_texts_of_users_never_become_code() -> None:
    odd = {"__import__": 1, "v1": 2, "bindings": 3, "fail": 4, "k0": 5}
    for name, value in odd.items():
        assert compile_expression(f"{name} + {name}").specialise(None)(odd) == 2 * value
    text = "'\"\"\"; import os' + x['a\\'] + __import__(1)']"
    assert compile_expression(text).specialise(None)({"x": {"a'] + __import__(1)": "!"}}) == '"""; import os!'
