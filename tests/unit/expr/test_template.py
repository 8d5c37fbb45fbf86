from __future__ import annotations

import pytest

from flowlang.expr import (
    EvaluationError,
    ExpressionSyntaxError,
    Pins,
    Timestamp,
    UInt,
    compile_bare_expression,
    compile_template,
    compile_value,
)

EVENT = {"event": {"data": {"amount": 12.5, "name": "Ada", "whole": 1e6, "tags": ["a"], "none": None}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${{ event.data.amount }}", 12.5),
        ("  ${{ event.data.tags }}\n", ["a"]),
        ("${{ null }}", None),
        ("${{ 5u }}", UInt(5)),
        ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("${{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
        ("${{ '}}' }}", "}}"),
        ("${{ r'}}' + \"}}\" }}", "}}}}"),
        ("a ${{ event.data.amount }} b", "a 12.5 b"),
        ("${{ event.data.whole }} ${{ 1000000 }}", "1000000 1000000"),
        ("${{ true }}/${{ 'x' }}", "true/x"),
        ("${{ 1 }}${{ 2 }}", "12"),
        ("at ${{ timestamp('2026-06-10T12:00:00.5Z') }}", "at 2026-06-10T12:00:00.500Z"),
        ("in ${{ duration('90.5m') }}", "in 5430s"),
        ("$${{ literal }}", "${{ literal }}"),
        ("$${{ a }} ${{ 1 }}", "${{ a }} 1"),
        ("$ ${ {{ }}", "$ ${ {{ }}"),
        ("1e-7 as ${{ 0.0000001 }}", "1e-7 as 1e-07"),
    ],
)
def test_a_template_keeps_the_type_of_a_lone_expression_and_writes_scalars_into_text(text: str, value: object) -> None:
    result = compile_template(text).evaluate(EVENT)
    assert (result, result.__class__) == (value, value.__class__)


@pytest.mark.parametrize(
    ("text", "start", "end", "message"),
    [
        ("a ${{ event.data.none }}", 6, 21, "null cannot stand inside a text"),
        ("a ${{ event.data.tags }}", 6, 21, "a list cannot stand inside a text; use json(…)"),
        ("a ${{ {} }}", 6, 8, "a map cannot stand inside a text"),
        ("a ${{ event.data.amont }}", 17, 22, "no such field `amont`; did you mean `amount`?"),
        ("a ${{ 0.0 / 0.0 }}", 6, 15, "neither NaN nor infinity"),
        ("a ${{ event.?data }}", 6, 17, "an optional is no JSON value"),
    ],
)
def test_an_error_says_where_in_the_whole_text(text: str, start: int, end: int, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compile_template(text).evaluate(EVENT)
    assert message in caught.value.message
    assert (caught.value.start, caught.value.end) == (start, end)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("x ${{ 1 + }}", [(9, 9)]),
        ("${{ open", [(0, 8)]),
        ("x ${{ 'open }}", [(6, 11)]),
        ("${{ }}", [(4, 4)]),
        ("${{ 1 } }}", [(6, 7)]),
        ("${{ nope(1) }} and ${{ nada(1) }}", [(4, 8), (23, 27)]),
    ],
)
def test_problems_of_all_expressions_are_found_with_their_places(text: str, places: list[tuple[int, int]]) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_template(text)
    assert [(problem.start, problem.end) for problem in caught.value.problems] == places


def test_a_template_knows_its_expressions_roots_and_paths() -> None:
    template = compile_template("a ${{ event.data.x }} b ${{steps.charge.output}}")
    assert [placed.offset for placed in template.expressions] == [6, 27]
    assert template.roots == {"event", "steps"}
    assert template.paths == {("event", "data", "x"), ("steps", "charge", "output")}
    assert not template.is_literal
    assert compile_template("$${{ x }}").is_literal


def test_a_value_is_filled_everywhere_but_in_its_keys() -> None:
    value = compile_value(
        {"to": "${{ event.data.name }}", "list": [1, "n-${{ 2 }}", None, True], "${{ k }}": {"esc": "$${{ x }}"}}
    )
    assert value.evaluate(EVENT) == {
        "to": "Ada",
        "list": [1, "n-2", None, True],
        "${{ k }}": {"esc": "${{ x }}"},
    }
    assert value.roots == {"event"}
    assert [path for path, _ in value.templates] == [("to",), ("list", 1)]
    assert not value.literal


def test_a_value_gives_plain_json() -> None:
    value = compile_value(["${{ now() }}", "${{ 5u }}", "${{ b'ab' }}", "${{ [duration('1h')] }}"])
    assert value.evaluate({}, pins=Pins(now=Timestamp(0))) == ["1970-01-01T00:00:00Z", 5, "YWI=", ["3600s"]]


def test_a_value_without_expressions_is_literal() -> None:
    value = compile_value({"a": ["x", 1]})
    assert value.literal
    assert value.evaluate({}) == {"a": ["x", 1]}


def test_errors_in_a_value_carry_the_path_of_their_text() -> None:
    with pytest.raises(EvaluationError) as evaluation:
        compile_value({"a": [0, "${{ x.y }}"]}).evaluate({"x": {}})
    assert evaluation.value.path == ("a", 1)
    with pytest.raises(ExpressionSyntaxError) as syntax:
        compile_value({"a": ["${{ ) }}"], "b": "${{ nope() }}"})
    assert [problem.path for problem in syntax.value.problems] == [("a", 0), ("b",)]


def test_a_value_that_is_too_deep_is_refused() -> None:
    value: object = "x"
    for _ in range(5_000):
        value = [value]
    with pytest.raises(ExpressionSyntaxError, match="nested deeper"):
        compile_value(value)


@pytest.mark.parametrize(("text", "offset"), [("a > 1", 0), ("  a > 1", 2), ("${{ a > 1 }}", 4), (" ${{a > 1}} ", 4)])
def test_a_bare_expression_may_have_braces_around_the_whole(text: str, offset: int) -> None:
    placed = compile_bare_expression(text)
    assert placed.offset == offset
    assert placed.evaluate({"a": 2}) is True


@pytest.mark.parametrize("text", ["${{ a }} > 1", "x ${{ a }}", "${{ a }}${{ b }}"])
def test_a_bare_expression_with_braces_around_a_part_is_refused(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match="around a part"):
        compile_bare_expression(text)
