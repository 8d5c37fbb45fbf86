"""Writing trees and values as text that reads back the same."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.expr import Duration, EvaluationError, ExpressionSyntaxError, Optional, Timestamp, TypeValue, UInt
from flowlang.expr.lib.network import Cidr
from flowlang.expr.operators import make_map
from flowlang.expr.parser import parse
from flowlang.expr.program import compile_expression
from flowlang.expr.resolve import resolve
from flowlang.expr.syntax import Bind, Call, Comprehension, Literal, Local, Name, Node, Select
from flowlang.expr.unparser import unparse
from flowlang.expr.value_literals import literal
from tests.unit.expr.trees import alike, expressions, shape, texts

LAW = settings(deadline=None, max_examples=300)


def read(text: str, container: str = "", variables: frozenset[str] = frozenset()) -> Node:
    return resolve(parse(text), container=container, variables=variables, late_calls=True).root


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("((a + (b * c)))", "a + b * c"),
        ("(a+b)*c-(d-e)", "(a + b) * c - (d - e)"),
        ("(a && b) && (c || d) && !(e)", "(a && b) && (c || d) && !e"),
        ("a == (b == c) || (a < b) == c", "a == (b == c) || a < b == c"),
        ("(a ? b : c) ? (d ? e : f) : (g ? h : i)", "(a ? b : c) ? (d ? e : f) : g ? h : i"),
        ("-(1) + -1 - -a.b", "-(1) + -1 - -a.b"),
        ("(-1).abs + (-a).b + -(1.5) + -2u", "(-1).abs + (-a).b + -(1.5) + -2u"),
        ('"a" + \'it\\\'s\' + "say \\"it\'s\\""', "'a' + \"it's\" + 'say \"it\\'s\"'"),
        ("r'\\d' + '\\u0007\\U0001F600\\t'", "'\\\\d' + '\\u0007😀\\t'"),
        ("b'\\xffa\\'\\n' + b\"'\"", 'b"\\xffa\'\\n" + b"\'"'),
        ("0x10 + 1e3 + .5 + 0xFFu", "16 + 1000.0 + 0.5 + 255u"),
        ("1e999 + -1e999", "1e999 + -1e999"),
        ("a.`content-type`.?`b.c`[?'x'].`in`.if", "a.`content-type`.?`b.c`[?'x'].`in`.if"),
        ("[?a, b,]", "[?a, b]"),
        ("{?'a': b, (c ? d : e): f}", "{?'a': b, (c ? d : e): f}"),
        ("has(a.b.?c) && has(a[0].b)", "has(a.b.?c) && has(a[0].b)"),
        ("[1].map(x, .x + x)", "[1].map(x, .x + x)"),
        ("a.map(i,v,i)", "a.map(i, v, i)"),
        ("a.existsOne(i, v, i < v).x", "a.exists_one(i, v, i < v).x"),
        ("cel.bind(x, a.b, x + x)", "cel.bind(x, a.b, x + x)"),
        ("cel.block([a, cel.index(0) + 1], cel.index(1))", "cel.block([a, cel.index(0) + 1], cel.index(1))"),
        ("a.?b.optMap(x, x + 1).orValue(0)", "a.?b.optMap(x, x + 1).orValue(0)"),
        (".size(.a)", ".size(.a)"),
        ("type(a) == google.protobuf.Timestamp", "type(a) == google.protobuf.Timestamp"),
        ("[1].map(int, .int)", "[1].map(int, .int)"),
        ("a // why\n + b", "a + b"),
    ],
)
def test_a_tree_is_written_with_the_fewest_parentheses(text: str, written: str) -> None:
    assert unparse(read(text)) == written


def test_every_expression_of_the_tables_reads_back_as_the_same_tree() -> None:
    count = 0
    for text, container, variables in expressions():
        try:
            tree = read(text, container, variables)
        except ExpressionSyntaxError:
            continue
        count += 1
        assert shape(read(unparse(tree), container, variables)) == shape(tree), text
        assert unparse(read(unparse(tree), container, variables)) == unparse(tree)
    assert count > 300


@LAW
@given(texts(["x", "y", ".v"]))
def test_any_tree_reads_back_as_the_same_tree(text: str) -> None:
    tree = read(text)
    assert shape(read(unparse(tree))) == shape(tree)


def test_a_long_sum_is_written_without_recursion() -> None:
    text = " + ".join(["1"] * 5_000)
    assert unparse(read(text)) == text


def test_a_variable_that_would_hide_what_the_body_means_gets_another_name() -> None:
    loop = read("a.map(x, x_1 + x)")
    assert isinstance(loop, Comprehension)
    local = Local(0, 0, "x", loop.variables[0])
    # As trees that were put together may have it: `optional.of` below a variable `optional`, an outer `x` below an `x`.
    below = replace(loop, names=("optional",), body=Call(0, 0, None, "optional.of", (local,), 0, 0))
    assert unparse(below) == "a.map(optional_1, optional.of(optional_1))"
    inner = replace(loop, range=Name(0, 0, "b"), variables=(7,), body=Select(0, 0, local, "f", 0))
    assert unparse(replace(loop, body=inner)) == "a.map(x, b.map(x_1, x.f))"
    assert unparse(replace(loop, body=Name(0, 0, "x"))) == "a.map(x, .x)"
    bind = Bind(0, 0, (3,), ("x",), (Literal(0, 0, 1),), local)
    assert unparse(replace(loop, body=bind)) == "a.map(x, cel.bind(x_1, 1, x))"


INTS = st.integers(-(2**63), 2**63 - 1)


def _map(entries: list[tuple[Any, Any]]) -> Any:
    """A map of entries, the last of those with one key; `true` and `1` are two keys."""
    return make_map(list({(key.__class__ is bool, key): (key, value) for key, value in entries}.values()))


KEYS = st.one_of(st.text(max_size=3), st.booleans(), INTS, st.integers(0, 2**64 - 1).map(UInt))
SCALARS = st.one_of(
    *(st.none(), st.booleans(), INTS, st.integers(0, 2**64 - 1).map(UInt), st.floats(), st.binary(max_size=6)),
    st.text(st.characters(exclude_categories=()), max_size=8),
    st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9).map(Timestamp),
    st.integers(-315_576_000_000 * 10**9, 315_576_000_000 * 10**9).map(Duration),
    st.ip_addresses().filter(lambda ip: ip.version == 4 or ip.ipv4_mapped is None),
    st.builds(Cidr, st.ip_addresses(v=4), st.integers(0, 32)),
    st.sampled_from([TypeValue("int"), TypeValue("google.protobuf.Duration"), TypeValue("net.IP"), Optional.NONE]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        # Not `dictionaries` nor `unique_by`: a filter inside a recursion makes Hypothesis write the whole of it as text.
        st.lists(st.tuples(st.text(max_size=4), inner), max_size=4).map(dict),
        st.lists(st.tuples(KEYS, inner), max_size=3).map(_map),
        inner.map(Optional.of),
    ),
)


@LAW
@given(VALUES)
def test_a_literal_gives_the_value_that_it_was_written_of(value: Any) -> None:
    assert alike(compile_expression(literal(value)).evaluate({}), value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0, "1.0"),
        (1e22, "1e+22"),
        (-0.0, "-0.0"),
        (float("nan"), "double('NaN')"),
        (float("-inf"), "double('-Infinity')"),
        (UInt(5), "5u"),
        (-(2**63), "-9223372036854775808"),
        (b"\x00a", "b'\\x00a'"),
        ("a\u202eb\ud800", "'a\\u202eb\ud800'"),
        (Timestamp(0), "timestamp('1970-01-01T00:00:00Z')"),
        (Duration(5_400_500_000_000), "duration('5400.500s')"),
        (Optional.of([None]), "optional.of([null])"),
        (Optional.NONE, "optional.none()"),
        (make_map([(True, 1), (1, 2)]), "{true: 1, 1: 2}"),
        (MappingProxyType({"a": (1, 2)}), "{'a': [1, 2]}"),
        (TypeValue("list"), "list"),
        (ip_address("::1"), "ip('::1')"),
    ],
)
def test_values_are_written_as_people_write_them(value: Any, written: str) -> None:
    assert literal(value) == written


@pytest.mark.parametrize("value", [2**63, UInt(2**64), {1.5: 1}, {None: 1}, object(), TypeValue("nope"), [{1, 2}]])
def test_what_no_expression_gives_is_an_error(value: Any) -> None:
    with pytest.raises(EvaluationError):
        literal(value)


def test_a_value_that_is_nested_for_ever_is_an_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EvaluationError, match="nested too deeply"):
        literal(endless)
