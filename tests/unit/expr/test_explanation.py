"""Explanations: each part's value from the one evaluation, and how they are shown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.expr import ExpressionSyntaxError, Optional, Pins, Timestamp, compile_expression
from flowlang.expr.analysis import analyse
from flowlang.expr.explanation import Part, explain
from flowlang.expr.parser import parse
from flowlang.expr.resolve import resolve
from flowlang.expr.value_literals import shortened
from flowlang.expr.watcher import KEPT_TURNS, State
from tests.unit.expr.trees import DATA, alike, answer, cases, texts

LAW = settings(deadline=None, max_examples=200)

BINDINGS: dict[str, Any] = {
    "order": {"id": "o1", "cents": 1900, "lines": [{"price": n, "sku": f"s{n}"} for n in range(9)]},
    "vars": {"live": True, "limit": 6},
}


def shown(text: str, width: int = 100) -> list[str]:
    return explain(compile_expression(text), BINDINGS).lines(width)


def parts(part: Part) -> Iterator[Part]:
    """All parts outside macros' turns."""
    yield part
    for each in part.parts:
        yield from parts(each)


def test_each_part_is_shown_with_its_value_and_what_was_not_needed() -> None:
    assert shown("order.id == 'o2' && (vars.live || order.nope)") == [
        "order.id == 'o2' && (vars.live || order.nope)  false",
        "  order.id == 'o2'                             false",
        "    order.id                                   'o1'",
        "  vars.live || order.nope                      (not evaluated)",
    ]


def test_the_turns_of_a_macro_are_the_first_ones_and_the_one_that_decided() -> None:
    assert shown("order.lines.exists(line, line.price > vars.limit)") == [
        "order.lines.exists(line, line.price > vars.limit)  true",
        "  order.lines                                      [{'price': 0, 'sku': 's0'}, {'price': 1, 'sku': 's1'}, … 7 more]",
        *(
            row
            for number, truth in ((0, "false"), (1, "false"), (2, "false"), (7, "true"))
            for row in [
                *(["  … 4 more"] if number == 7 else []),
                f"  line = {{'price': {number}, 'sku': 's{number}'}}",
                f"    line.price > vars.limit                        {truth}",
                f"      line.price                                   {number}",
                "      vars.limit                                   6",
            ]
        ),
    ]
    whole = explain(compile_expression("order.lines.map(l, l.price)"), BINDINGS).part
    assert (whole.turn_count, len(whole.turns)) == (9, KEPT_TURNS)


def test_turns_with_two_variables_and_a_filter_and_the_one_that_failed() -> None:
    found = explain(compile_expression("order.lines.transformList(i, l, l.price != 3, 60 / (5 - i))"), BINDINGS)
    assert found.error is not None
    assert [turn.number for turn in found.part.turns] == [0, 1, 2, 5]
    failed = found.part.turns[-1]
    assert failed.variables == (("i", 5), ("l", {"price": 5, "sku": "s5"}))
    assert [part.state for part in failed.parts] == [State.VALUE, State.ERROR]
    assert "  … 2 more" in found.lines()


def test_an_error_is_told_where_it_began_and_with_what_it_was_read_from() -> None:
    assert shown("order.centss > 100 || vars.limit / 0 == 1") == [
        "order.centss > 100 || vars.limit / 0 == 1  error",
        "  order.centss > 100                       error",
        "    order.centss                           error: no such field `centss`; did you mean `cents`?",
        "      order                                {'id': 'o1', 'cents': 1900, … 1 more}",
        "  vars.limit / 0 == 1                      error",
        "    vars.limit / 0                         error: division by zero",
        "      vars.limit                           6",
    ]


def test_a_value_of_bind_is_shown_where_it_is_bound_though_it_is_read_inside_a_macro() -> None:
    assert shown("cel.bind(top, vars.limit + 1, cel.bind(not_read, 1 / 0, [7, 8].filter(p, p > top)))") == [
        "cel.bind(top, vars.limit + 1, cel.bind(not_read, 1 / 0, [7, 8].fi…  [8]",
        "  vars.limit + 1                                                    7",
        "    vars.limit                                                      6",
        "  cel.bind(not_read, 1 / 0, [7, 8].filter(p, p > top))              [8]",
        "    1 / 0                                                           (not evaluated)",
        "    [7, 8].filter(p, p > top)                                       [8]",
        "      p = 7",
        "        p > top                                                     false",
        "      p = 8",
        "        p > top                                                     true",
    ]


def test_a_text_of_several_lines_is_shown_on_one() -> None:
    assert shown("order.id // the id\n  == 'o1'") == ["order.id == 'o1'  true", "  order.id        'o1'"]


def test_long_texts_and_values_are_cut() -> None:
    row = shown("order.lines.map(l, l.sku + '" + "x" * 100 + "')", width=50)[0]
    assert row == "order.lines.map(l, l.sku + 'xxxx…  ['" + "s0xxxxxxxxxxxxxxxxxxxxxxxxxxx" + "…', … 8 more]"


def test_a_part_has_its_parentheses_and_its_place() -> None:
    text = "((order.id) == 'o1') == ((vars.live && (vars.limit) > (2)))"
    found = explain(compile_expression(text), BINDINGS)
    assert [part.text for part in parts(found.part) if not part.is_minor] == [
        text,
        "(order.id) == 'o1'",
        "order.id",
        "vars.live && (vars.limit) > (2)",
        "vars.live",
        "(vars.limit) > (2)",
        "vars.limit",
    ]
    assert all(text[part.start : part.end] == part.text for part in parts(found.part))


def test_an_explanation_has_the_value_or_the_error() -> None:
    assert (explain(compile_expression("1 + 1"), {}).value, explain(compile_expression("1 + 1"), {}).error) == (2, None)
    failed = explain(compile_expression("1 / 0"), {})
    assert failed.error is not None
    assert (failed.value, failed.error.code, failed.error.start, failed.error.end) == (None, "divide_by_zero", 0, 5)


def test_pinned_functions_are_called_once() -> None:
    numbers = itertools.count()
    pins = Pins(now=Timestamp(0), uuid=lambda: f"id-{next(numbers)}")
    found = explain(compile_expression("[uuid(), uuid(), string(now())]"), {}, pins=pins)
    assert found.value == ["id-0", "id-1", "1970-01-01T00:00:00Z"]


def test_long_sums_and_deep_expressions_are_explained() -> None:
    assert explain(compile_expression("1" + " + 1" * 3_000), {}).value == 3_001
    assert len(explain(compile_expression("1 + x" + " + x" * 3_000), {"x": 1}).part.parts) == 3_002
    assert explain(compile_expression("[" * 95 + "x" + "]" * 95), {"x": 1}).part.state is State.VALUE


def test_data_that_is_nested_too_deeply_is_an_error() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    found = explain(compile_expression("x == [x][0]"), {"x": deep})
    assert found.error is not None
    assert (found.error.code, found.lines()) == ("too_deep", ["x == [x][0]  error: the data is nested too deeply"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("x" * 200, "'" + "x" * 59 + "…'"),
        (b"'" * 100, 'b"' + "'" * 59 + '…"'),
        ([], "[]"),
        (list(range(1000)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, … 982 more]"),
        ({"a": {"b": {"c": {"d": [1, 2, 3, 4, 5, 6]}}}}, "{'a': {'b': {'c': {'d': [1, … 5 more]}}}}"),
        (Optional.of("a"), "optional.of('a')"),
        (Optional.NONE, "optional.none()"),
        (2**70, "a Python int"),
    ],
)
def test_values_are_shortened(value: Any, text: str) -> None:
    assert shortened(value) == text


def test_what_is_nested_for_ever_is_shortened_too() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert shortened(endless).endswith("[… 1 more]" + "]" * 6)


def test_every_case_of_the_tables_is_explained_with_what_it_gives() -> None:
    for text, bindings in cases():
        try:
            expression = compile_expression(text)
        except ExpressionSyntaxError:
            continue
        kind, wanted = answer(expression, bindings)
        found = explain(expression, bindings)
        assert (found.error is None) == (kind == "value"), text
        assert alike(found.value, wanted) if found.error is None else found.error.code == wanted, text
        assert found.lines()


NAMES = ["k", "l", "m"]


@LAW
@given(texts(NAMES), st.fixed_dictionaries(dict.fromkeys(NAMES, DATA)))
def test_an_explained_evaluation_gives_what_an_evaluation_gives(text: str, bindings: dict[str, Any]) -> None:
    expression = compile_expression(text)
    kind, wanted = answer(expression, bindings)
    found = explain(expression, bindings)
    assert (found.error is None) == (kind == "value")
    assert alike(found.value, wanted) if found.error is None else found.error.code == wanted
    assert found.lines()


@LAW
@given(texts(NAMES), st.fixed_dictionaries(dict.fromkeys(NAMES, DATA)))
def test_the_text_of_a_part_gives_what_is_told_of_it(text: str, bindings: dict[str, Any]) -> None:
    for part in parts(explain(compile_expression(text), bindings).part):
        alone = resolve(parse(part.text), late_calls=True)  # a part is an expression
        read = {reference.path[0] for reference in analyse(alone.root).references}
        if part.state is not State.SKIPPED and read <= bindings.keys() and "cel.index" not in part.text:
            kind, wanted = answer(compile_expression(part.text), bindings)
            assert kind == part.state
            assert alike(part.value, wanted) if part.error is None else part.error.code == wanted
