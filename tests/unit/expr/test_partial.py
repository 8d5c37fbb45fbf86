"""Partial evaluation: what is left gives what the whole would have given."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlang.expr import ExpressionSyntaxError, Pins, Timestamp, compile_expression
from flowlang.expr.partial import Residual, residual
from tests.unit.expr.trees import DATA, alike, answer, cases, texts

LAW = settings(deadline=None, max_examples=200)

BINDINGS: dict[str, Any] = {
    "event": {"data": {"id": "o1", "items": [{"sku": "a"}], "none": []}},
    "vars": {"live": True, "off": False, "n": 5},
    "big": ["0123456789"] * 200,
}


def left(text: str, *unknown: str, **options: Any) -> Residual:
    return residual(compile_expression(text), BINDINGS, unknown, **options)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("incoming.id == event.data.id", "incoming.id == 'o1'"),
        ("incoming.id == event.data.id && vars.live", "incoming.id == 'o1'"),
        ("incoming.id == event.data.id && vars.off", "false"),
        ("incoming.id == event.data.id || vars.live", "true"),
        ("vars.live && incoming.ok", "true && incoming.ok"),
        ("vars.live && incoming.ok && incoming.id == 1", "incoming.ok && incoming.id == 1"),
        ("(vars.live && incoming.ok) ? vars.n + 1 : incoming.n", "incoming.ok ? 6 : incoming.n"),
        ("!(vars.off || incoming.ok)", "!incoming.ok"),
        ("vars.off ? incoming.a : incoming.b", "incoming.b"),
        ("vars.n ? incoming.a : 1", "5 ? incoming.a : 1"),
        ("incoming.id in [event.data.id, 'x' + 'y']", "incoming.id in ['o1', 'xy']"),
        ("event.data.none.all(i, i == incoming.x)", "true"),
        ("event.data.items.exists(i, i.sku == incoming.sku && vars.n < 6)", "[{'sku': 'a'}].exists(i, i.sku == incoming.sku)"),
        ("incoming.list.filter(i, i.n > vars.n + 1).size()", "incoming.list.filter(i, i.n > 6).size()"),
        ("incoming.list.map(event, event.data.id + vars.n)", "incoming.list.map(event, event.data.id + 5)"),
        ("incoming.list.map(optional, vars.?n == optional)", "incoming.list.map(optional_1, optional.of(5) == optional_1)"),
        ("cel.bind(n, vars.n * 2, incoming.n > n)", "incoming.n > 10"),
        ("cel.bind(n, incoming.n, n + vars.n)", "cel.bind(n, incoming.n, n + 5)"),
        ("cel.bind(n, vars.nope, incoming.n > n)", "cel.bind(n, vars.nope, incoming.n > n)"),
        ("cel.block([vars.n, cel.index(0) + incoming.n], cel.index(1))", "cel.block([5, 5 + incoming.n], cel.index(1))"),
        ("vars.?n.orValue(incoming.n) + 1", "6"),
        ("vars.?nope.orValue(incoming.n) + 1", "incoming.n + 1"),
        ("vars.?nope.or(incoming.?n)", "optional.none().or(incoming.?n)"),
        ("vars.?n.or(incoming.?n)", "optional.of(5)"),
        ("vars.?nope.optMap(n, n + incoming.n)", "optional.none()"),
        ("vars.?n.optMap(n, n + incoming.n)", "optional.of(5).optMap(n, 5 + incoming.n)"),
        ("incoming.?n.optMap(n, n + vars.n)", "incoming.?n.optMap(n, n + 5)"),
        ("{event.data.id: incoming.x, ?'b': vars.?n}", "{'o1': incoming.x, ?'b': optional.of(5)}"),
        ("has(incoming.a) && has(event.data)", "has(incoming.a)"),
        ("event.data.items[incoming.n].sku", "[{'sku': 'a'}][incoming.n].sku"),
        ("uuid() == event.data.id && now() > timestamp(vars.n)", "uuid() == 'o1' && now() > timestamp('1970-01-01T00:00:05Z')"),
        ("1 + 2 + incoming.n + 3 + 4", "3 + incoming.n + 3 + 4"),
        ("event.data.id + '!'", "'o1!'"),
    ],
)  # fmt: skip
def test_what_is_known_is_computed_and_the_rest_is_given_back(text: str, rest: str) -> None:
    assert str(left(text)) == rest


def test_a_value_is_told_from_a_rest() -> None:
    decided = left("incoming.id == 'x' || vars.live")
    assert (decided.is_value, decided.value, decided.expression) == (True, True, None)
    open_ = left("incoming.id == 'x'")
    assert (open_.is_value, open_.expression) == (False, compile_expression("incoming.id == 'x'"))


def test_a_known_part_that_has_no_value_stays_as_it_is_written() -> None:
    found = left("event.data.idd == 'x' || incoming.ok")
    assert str(found) == "event.data.idd == 'x' || incoming.ok"
    (error,) = found.errors
    assert (error.code, error.start, error.end) == ("no_such_field", 11, 14)
    assert left("event.data.idd == 'x' || vars.live").errors == ()


def test_an_expression_of_which_all_is_known_and_that_fails_is_the_rest() -> None:
    found = left("1 / 0")
    assert (str(found), [error.code for error in found.errors]) == ("1 / 0", ["divide_by_zero"])


def test_parts_of_a_known_value_can_be_unknown() -> None:
    text = "event.data.id + event.data.token + event.name"
    assert str(left(text, "event.data.token", "event.name")) == "'o1' + event.data.token + event.name"
    assert str(left("size(event.data) + vars.n", "event.data.token")) == "size(event.data) + 5"
    assert str(left("event['data'][vars.x] + 1", "event.data.token")) == "event['data'][vars.x] + 1"
    assert str(residual(compile_expression("a.b + c"), {"a": 1, "c": "x"}, [("a",)])) == "a.b + 'x'"


def test_long_values_stay_as_they_are_written_and_still_count() -> None:
    assert str(left("incoming.id in big && big.size() == 200")) == "incoming.id in big"
    assert str(left("cel.bind(b, big, incoming.id in b && b.size() == 200)")) == "cel.bind(b, big, incoming.id in b)"
    assert str(left("incoming.id == event.data.id", longest=3)) == "incoming.id == event.data.id"
    assert str(left("incoming.x == event.data.items", longest=14)) == "incoming.x == event.data.items"


def test_a_rest_that_could_not_be_read_again_is_the_whole() -> None:
    text = " + ".join(["incoming.n"] + ["big[0]"] * 1_900)
    assert left(text).expression is compile_expression(text)


def test_an_object_that_no_text_gives_stays_as_it_is_written() -> None:
    found = residual(compile_expression("thing == a || dyn(thing) == b"), {"thing": 2**70})
    assert str(found) == "thing == a || dyn(thing) == b"


def test_now_is_known_where_it_is_pinned() -> None:
    assert (
        str(left("now() > incoming.t", pins=Pins(now=Timestamp(0)))) == "timestamp('1970-01-01T00:00:00Z') > incoming.t"
    )


def test_a_long_sum_is_evaluated_without_recursion() -> None:
    assert str(left("incoming.n" + " + 1" * 2_000)).endswith(" + 1 + 1")
    assert str(left("[1].map(x, x" + " + x" * 2_000 + " + incoming.n)")).endswith(" + x + incoming.n)")


def test_data_that_is_nested_too_deeply_stays_as_it_is_written() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    text = "deep == [deep][0] || incoming.x in [deep]"
    found = residual(compile_expression(text), {"deep": deep})
    assert str(found) == text
    assert [error.code for error in found.errors] == ["too_deep"]


PINS = Pins(now=Timestamp(1_000), uuid=lambda: "id")
NAMES = ["k", "l", "p", "q"]
ALL = st.fixed_dictionaries(dict.fromkeys(NAMES, DATA))


@LAW
@given(texts(NAMES), ALL, st.sets(st.sampled_from(NAMES)))
@example("k.exists(v, (v || p) && l)", {"k": [True], "l": 1, "p": True, "q": 1}, {"k", "l"})
@example("(k || p) ? q : l", {"k": False, "l": 1, "p": 5, "q": 1}, {"k", "l"})
def test_the_rest_gives_what_the_whole_gives(text: str, bindings: dict[str, Any], known: set[str]) -> None:
    expression = compile_expression(text)
    kind, whole = answer(expression, bindings, pins=PINS)
    found = residual(expression, {name: bindings[name] for name in known}, pins=PINS)
    if found.expression is None:
        assert kind == "value"
        assert alike(found.value, whole)
        return
    again, rest = answer(found.expression, bindings, pins=PINS)
    assert (again, rest) == (kind, whole) if kind == "error" else alike(rest, whole)
    # With the rest of the names alone, parts that have no value have none for another reason.
    unknown = {name: value for name, value in bindings.items() if name not in known}
    alone, remainder = answer(found.expression, unknown, pins=PINS)
    assert alone == kind
    assert kind == "error" or alike(remainder, whole)
    assert found.errors or kind == "value" or remainder == whole


def test_the_rest_of_every_case_of_the_tables_gives_what_the_case_gives() -> None:
    for text, bindings in cases():
        try:
            expression = compile_expression(text)
        except ExpressionSyntaxError:
            continue
        kind, whole = answer(expression, bindings, pins=PINS)
        for known in [[], list(bindings), *([name] for name in bindings)]:
            found = residual(expression, {name: bindings[name] for name in known}, pins=PINS)
            again = (
                ("value", found.value) if found.expression is None else answer(found.expression, bindings, pins=PINS)
            )
            assert again[0] == kind, text
            assert again[1] == whole if kind == "error" else alike(again[1], whole), text


@LAW
@given(texts(["k", "l.a", "l.?b", "k.a"]), DATA, DATA, DATA)
def test_what_is_unknown_inside_a_value_is_never_looked_at(text: str, k: Any, first: Any, second: Any) -> None:
    expression = compile_expression(text)
    rests = [
        residual(expression, {"k": k, "l": UserDict({"a": unknown, "b": 1})}, ["l.a"], pins=PINS)
        for unknown in (first, second)
    ]
    assert str(rests[0]) == str(rests[1])
    whole = answer(expression, {"k": k, "l": {"a": first, "b": 1}}, pins=PINS)
    rest = answer(compile_expression(str(rests[0])), {"k": k, "l": {"a": first, "b": 1}}, pins=PINS)
    assert rest[0] == whole[0]
    assert rest[1] == whole[1] if whole[0] == "error" else alike(rest[1], whole[1])
