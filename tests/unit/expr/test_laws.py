"""Laws that hold for any text and any data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.expr import (
    CelError,
    Duration,
    ExpressionSyntaxError,
    Problem,
    Timestamp,
    UInt,
    compile_expression,
    compile_template,
    to_json,
    to_text,
)
from flowlang.expr.doubles import go_text, json_text
from flowlang.expr.operators import equals

#: How long an example takes says nothing of a law.
LAW = settings(deadline=None)

INTS = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.one_of(st.none(), st.booleans(), INTS, st.floats(), st.text(max_size=8))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(st.text(max_size=4), inner), max_size=4).map(dict),
)
FRAGMENTS = st.sampled_from(
    """a b x.y x[0] x[?0] x.?y [ ] { } ( ) , : ? . + - * / % == != < <= > >= in && || ! 1 2u 0.5 1e3 'a' "b" b'c' null
    true false size( has( x.map(a, x.filter(a, x.all(a, int( string( type( 'a'.matches( now() .orValue( cel.bind(a,
    duration('1h') timestamp(0) math.greatest( [1,2] {'k':1} optional.of( json( hash( .format( sum( .join() .split('')
    """.split()  # noqa: SIM905 - a table
)
VALID = st.recursive(
    st.sampled_from(
        [
            *("x", "y", "1", "0", "2u", "0.0", "1.5", "'a'", "''", "b'a'", "null", "true", "false", "[]", "{}", "int"),
            *("-9223372036854775808", "9223372036854775807", "timestamp(0)", "duration('1h')", "optional.none()"),
        ]
    ),
    lambda e: st.one_of(
        st.builds(
            lambda a, o, b: f"({a} {o} {b})",
            e,
            st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||"]),
            e,
        ),
        st.builds(lambda a, f: f"{a}.{f}", e, st.sampled_from(["a", "size()", "?a", "trim()", "orValue(1)", "sort()"])),
        st.builds(
            lambda f, a: f"{f}({a})", st.sampled_from(["size", "int", "string", "double", "type", "json", "sum"]), e
        ),
        st.builds(lambda a, m, b: f"{a}.{m}(v, {b})", e, st.sampled_from(["map", "filter", "all", "exists"]), e),
        st.builds(lambda a, b, c: f"({a} ? {b} : {c})", e, e, e),
        st.builds(lambda a, b: f"{a}[{b}]", e, e),
        st.builds(lambda a, b: f"[{a}, ?{b}]", e, e),
        st.builds(lambda a, b: f"{{{a}: {b}}}", e, e),
        st.builds(lambda a: f"-{a}", e),
        st.builds(lambda a: f"!{a}", e),
    ),
    max_leaves=12,
)


def _problems(compile_text: Callable[[str], object], text: str) -> tuple[Problem, ...] | None:
    try:
        compile_text(text)
    except ExpressionSyntaxError as error:
        return error.problems
    return None


@LAW
@given(st.text(max_size=60) | st.lists(FRAGMENTS, max_size=15).map(" ".join))
def test_any_text_compiles_or_is_a_syntax_error_with_places_inside_it(text: str) -> None:
    problems = _problems(compile_expression, text)
    assert problems is None or problems
    assert all(0 <= problem.start <= problem.end <= len(text) and problem.message for problem in problems or ())


@settings(max_examples=400, deadline=None)
@given(VALID, JSON, JSON)
def test_evaluating_anything_gives_a_value_or_our_error(text: str, x: Any, y: Any) -> None:
    message = "no error"
    try:
        to_json(compile_expression(text).evaluate({"x": x, "y": y}))
    except CelError as error:
        message = str(error)
    assert message


@LAW
@given(st.text(max_size=40) | st.lists(FRAGMENTS | st.sampled_from(["${{", "}}", "$${{"]), max_size=12).map("".join))
def test_any_template_compiles_or_is_a_syntax_error(text: str) -> None:
    problems = _problems(compile_template, text)
    assert all(0 <= problem.start <= problem.end <= len(text) for problem in problems or ())
    if "${{" not in text:
        assert compile_template(text).evaluate({}) == text


@LAW
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_text_with_an_escaped_brace_is_literal(before: str, after: str) -> None:
    text = before.replace("$", "") + "$${{" + after.replace("$", "")
    assert compile_template(text).evaluate({}) == text.replace("$${{", "${{")


@LAW
@given(JSON)
def test_values_of_bindings_come_back_unchanged(value: Any) -> None:
    answer = compile_expression("x").evaluate({"x": value})
    assert answer is value


@LAW
@given(JSON, JSON)
def test_equality_is_symmetric_and_reflexive_but_for_nan(a: Any, b: Any) -> None:
    assert equals(a, b) == equals(b, a)
    assert equals(a, a) or "nan" in repr(a)


@LAW
@given(st.one_of(INTS, st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
def test_a_scalar_in_a_template_reads_back_as_the_same_number(value: Any) -> None:
    text = to_text(value)
    assert text == {True: "true", False: "false"}[value] if value.__class__ is bool else float(text) == float(value)


@LAW
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_both_layouts_of_a_double_read_back_as_the_same_double(value: float) -> None:
    assert float(go_text(value)) == value
    assert float(json_text(value)) == value


@LAW
@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9))
def test_a_timestamp_reads_back_from_its_text(ns: int) -> None:
    assert Timestamp.parse(str(Timestamp(ns))) == Timestamp(ns)


@LAW
@given(st.integers(-315_576_000_000 * 10**9, 315_576_000_000 * 10**9))
def test_a_duration_reads_back_from_its_text(ns: int) -> None:
    assert Duration.parse(str(Duration(ns))) == Duration(ns)


@LAW
@given(INTS, INTS)
def test_division_and_remainder_fit_together(a: int, b: int) -> None:
    if b == 0 or (a, b) == (-(2**63), -1):
        return
    quotient = compile_expression("a / b").evaluate({"a": a, "b": b})
    remainder = compile_expression("a % b").evaluate({"a": a, "b": b})
    assert isinstance(quotient, int)
    assert isinstance(remainder, int)
    assert quotient * b + remainder == a
    assert abs(remainder) < abs(b)
    assert remainder == 0 or (remainder < 0) == (a < 0)


@LAW
@given(st.integers(0, 2**64 - 1), INTS)
def test_a_uint_equals_the_int_of_the_same_value(a: int, b: int) -> None:
    assert equals(UInt(a), b) == (a == b)


@LAW
@given(st.lists(st.booleans() | st.none(), min_size=1, max_size=5))
def test_and_and_or_do_not_depend_on_the_order_of_their_operands(operands: list[bool | None]) -> None:
    # None stands for an operand that fails.
    texts = ["1 / 0 == 1" if operand is None else str(operand).lower() for operand in operands]
    for operator, decisive in (("||", True), ("&&", False)):
        try:
            answer = compile_expression(f" {operator} ".join(texts)).evaluate({})
        except CelError:
            answer = None
        if decisive in operands:
            assert answer is decisive
        else:
            assert answer is (None if None in operands else not decisive)
