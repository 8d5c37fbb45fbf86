"""The equality parts of a condition, and the keys of values: an index that uses them never misses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flowlang.expr import CelError, Duration, Expression, Optional, Timestamp, UInt, compile_expression
from flowlang.expr.equality_index import Equalities, equalities, index_key, key_at
from flowlang.expr.operators import equals
from tests.unit.expr.trees import texts

LAW = settings(deadline=None, max_examples=300)


def shown(found: Equalities) -> tuple[dict[str, str], str | None]:
    parts = {".".join(part.path): part.other.text for part in found.parts}
    return parts, None if found.rest is None else found.rest.text


@pytest.mark.parametrize(
    ("text", "parts", "rest"),
    [
        ("incoming.data.id == event.data.id", {"data.id": "event.data.id"}, None),
        ("event.data.id == incoming.data['id']", {"data.id": "event.data.id"}, None),
        ("incoming.name in ['paid']", {"name": "'paid'"}, None),
        ("vars.x in [incoming.data.x]", {"data.x": "vars.x"}, None),
        ("incoming.a == 1 && (incoming.b == x + 1 && c) && d", {"a": "1", "b": "x + 1"}, "c && d"),
        ("incoming.a == 1 && (c || incoming.b == 2)", {"a": "1"}, "c || incoming.b == 2"),
        ("incoming.a == 1 && incoming.b > 2", {"a": "1"}, "incoming.b > 2"),
        ("incoming.a == l.filter(v, v.x)[0]", {"a": "l.filter(v, v.x)[0]"}, None),
        (".incoming.a == .x", {"a": ".x"}, None),
        ("true", {}, "true"),
        ("incoming.a == incoming.b", {}, "incoming.a == incoming.b"),
        ("incoming.a == l.map(v, incoming.b)", {}, "incoming.a == l.map(v, incoming.b)"),
        ("incoming.?a == x", {}, "incoming.?a == x"),
        ("incoming.a[0] == x && incoming.a[x] == 1", {}, "incoming.a[0] == x && incoming.a[x] == 1"),
        ("incoming == x", {}, "incoming == x"),
        ("incoming.a in [x, y] && incoming.a in [?x]", {}, "incoming.a in [x, y] && incoming.a in [?x]"),
        ("incoming.a != x || incoming.a == x", {}, "incoming.a != x || incoming.a == x"),
        ("other.a == x", {}, "other.a == x"),
        ("cel.bind(k, x, incoming.a == k)", {}, "cel.bind(k, x, incoming.a == k)"),
    ],
)
def test_equalities_are_what_stands_between_the_ands_at_the_top(
    text: str, parts: dict[str, str], rest: str | None
) -> None:
    assert shown(equalities(compile_expression(text))) == (parts, rest)


def test_what_could_not_be_read_again_stays_whole() -> None:
    expression = compile_expression("incoming.a==k" + "+1" * 9_000)
    assert equalities(expression) == Equalities((), expression)


def test_an_equality_knows_its_place_and_the_root_can_have_another_name() -> None:
    text = "a.x > 1 && a.id == run.id"
    (part,) = equalities(compile_expression(text), root="a").parts
    assert text[part.start : part.end] == "a.id == run.id"


SMALL = st.sampled_from(
    [0, 1, 1.0, UInt(1), -0.0, 2**53, 2**53 + 1, 2.0**53, True, False, None, "a", b"a", "", float("nan")]
)
DATA = st.recursive(
    SMALL, lambda e: st.lists(e, max_size=2) | st.lists(st.tuples(st.sampled_from("abx"), e), max_size=3).map(dict)
)
CONDITIONS = st.lists(
    st.one_of(
        st.builds(
            lambda p, o, e: f"{p} {o} ({e})", st.sampled_from(["incoming.a", "incoming['b']", "incoming.a.x"]), st.sampled_from(["==", "==", "!=", "<"]), texts(["k", "l"], max_leaves=2)
        ),
        st.builds(lambda p, e: f"{e} == {p}", st.sampled_from(["incoming.a", "incoming.b"]), st.sampled_from("kl")),
        st.builds(lambda e: f"incoming.a in [{e}]", st.sampled_from("kl")),
        st.sampled_from(["true", "k == l", "1 / 0 == 1", "incoming.nope", "has(incoming.a)"]),
    ),
    min_size=1,
    max_size=3,
).map(lambda parts: " && ".join(f"({part})" for part in parts))  # fmt: skip


def _true(text: str, bindings: dict[str, Any]) -> bool:
    try:
        return compile_expression(text).evaluate(bindings) is True
    except CelError:
        return False


@LAW
@given(CONDITIONS | texts(["incoming", "k"]), st.fixed_dictionaries({"a": DATA, "b": DATA}), DATA, DATA)
def test_a_condition_that_is_true_has_true_equalities_with_equal_keys(text: str, incoming: Any, k: Any, l: Any) -> None:  # noqa: E741 - a name of the conditions
    bindings = {"incoming": incoming, "k": k, "l": l}
    found = equalities(compile_expression(text))
    rest = found.rest is None or _true(found.rest.text, bindings)
    sides = [(_field(incoming, part.path), _value(part.other, bindings)) for part in found.parts]
    assert _true(text, bindings) == (rest and all(equals(a, b) for a, b in sides))
    if _true(text, bindings):
        wanted = [(part.path, index_key(value)) for part, (_, value) in zip(found.parts, sides, strict=True)]
        assert all(key is None or key_at(incoming, path) == key for path, key in wanted)


def _value(expression: Expression, bindings: dict[str, Any]) -> Any:
    try:
        return expression.evaluate(bindings)
    except CelError:
        return float("nan")


def _field(value: Any, path: tuple[str, ...]) -> Any:
    for field in path:
        if not isinstance(value, dict) or field not in value:
            return float("nan")
        value = value[field]
    return value


KEYED = st.one_of(
    SMALL, st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=3), st.integers(0, 2**64 - 1).map(UInt)
)


@settings(LAW, suppress_health_check=[HealthCheck.filter_too_much])
@given(KEYED, KEYED)
def test_equal_values_have_equal_keys(a: Any, b: Any) -> None:
    assume(equals(a, b))
    assert index_key(a) == index_key(b) is not None


@LAW
@given(st.integers(-(2**63), 2**63 - 1))
def test_an_int_has_the_key_of_its_double_and_uint(value: int) -> None:
    assert index_key(value) == index_key(float(value))
    assert value < 0 or index_key(value) == index_key(UInt(value))


def test_unlike_kinds_have_unlike_keys() -> None:
    values: list[Any] = [None, True, False, 1, 0, "1", "", b"1", b"", Timestamp(1), Duration(1), "true", "n"]
    assert len({index_key(value) for value in values}) == len(values)


@pytest.mark.parametrize("value", [[], {}, float("nan"), Optional.of(1), object(), 10**400])
def test_what_cannot_be_indexed_has_no_key(value: Any) -> None:
    assert index_key(value) is None


def test_a_field_that_is_not_there_has_no_key() -> None:
    assert key_at({"a": {"b": 1}}, ("a", "b")) == index_key(1)
    assert key_at({"a": {"b": 1}}, ("a", "c")) is None
    assert key_at({"a": 1}, ("a", "b")) is None
    assert key_at({"a": [1]}, ("a", "0")) is None
