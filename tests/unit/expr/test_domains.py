"""What is decided of a condition is true for all data: Hypothesis writes conditions, and all data is tried."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.expr import compile_expression
from flowlang.expr.check import check_expression
from flowlang.expr.domains import Domain, Reasoning
from flowlang.expr.environment import Environment
from flowlang.expr.types import BOOL, DYN, Field, ObjectOf, Scalar

#: Every value that each field can have, so that all data can be tried.
VALUES: Mapping[str, list[Any]] = {
    "kind": ["a", "b", "c"],
    "count": [1, 2, 3, 4],
    "part": [0.0, 0.5, 1.0],
    "paid": [True, False],
    "any": ["a", 1, 2.5, True],
}
TYPES = {
    "kind": Scalar("string", ("a", "b", "c")),
    "count": Scalar("int", minimum=1, maximum=4),
    "part": Scalar("double", minimum=0, maximum=1),
    "paid": BOOL,
    "any": DYN,
}
ENVIRONMENT = Environment({"d": ObjectOf("the data", {name: Field(type_) for name, type_ in TYPES.items()})})


def all_data() -> Iterator[dict[str, Any]]:
    for values in itertools.product(*VALUES.values()):
        yield dict(zip(VALUES, values, strict=True))


ALL = list(all_data())


def reasoning(text: str, known: Mapping[tuple[str | int, ...], Domain] | None = None) -> tuple[Reasoning, Any]:
    compiled = compile_expression(text)
    return Reasoning(check_expression(compiled, ENVIRONMENT).types, known or {}), compiled.root


def value(text: str, data: dict[str, Any]) -> Any:
    try:
        return compile_expression(text).exactly({"d": data})
    except Exception:  # noqa: BLE001 - without a value nothing is claimed
        return None


def decided(text: str) -> bool | None:
    found, root = reasoning(text)
    return found.decide(root)


numbers = st.sampled_from(["0", "1", "2", "4", "5"])
relations = st.one_of(
    st.builds("d.kind {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from("abcx")),
    st.builds("'{1}' {0} d.kind".format, st.sampled_from(["==", "!="]), st.sampled_from("abx")),
    st.builds("d.count {} {}".format, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers),
    st.builds("{1} {0} d.count".format, st.sampled_from(["<", "<=", ">", ">="]), numbers),
    st.builds(
        "d.part {} {}".format,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(["0.0", "0.5", "1.0", "-0.5", "1.5"]),
    ),
    st.builds(
        "d.any {} {}".format, st.sampled_from(["==", "!=", "<", ">"]), st.sampled_from(["'a'", "1", "2", "true"])
    ),
    st.builds(
        "d.kind in [{}]".format, st.lists(st.sampled_from(["'a'", "'b'", "'c'", "'x'"]), max_size=3).map(", ".join)
    ),
    st.builds("d.count in [{}]".format, st.lists(numbers, max_size=4).map(", ".join)),
    st.sampled_from(
        [
            "d.paid",
            "!d.paid",
            "d.paid == true",
            "d.paid != true",
            "true",
            "false",
            "d.kind.size() >= 0",
            "d.kind == d.any",
        ]
    ),
)
conditions = st.recursive(
    relations,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(conditions)
def test_what_is_decided_holds_for_all_data(text: str) -> None:
    found = decided(text)
    if found is not None:
        assert {value(text, data) for data in ALL} <= {found, None}


@settings(max_examples=300, deadline=None)
@given(conditions, st.booleans(), conditions)
def test_what_follows_from_a_condition_holds_for_all_data_of_which_it_is_true(
    first: str, truth: bool, text: str
) -> None:
    before, root = reasoning(first)
    known = before.given(root, truth=truth)
    left = [data for data in ALL if value(first, data) is truth]
    if known is None:
        assert left == []
        return
    for path, domain in known.items():
        assert path[0] == "d"
        kind = {str: "text", bool: "bool", int: "number", float: "number"}
        for data in left:
            held = data[str(path[1])]
            assert domain.has((kind[type(held)], held)), (first, truth, data)
    after, root = reasoning(text, known)
    found = after.decide(root)
    if found is not None:
        assert {value(text, data) for data in left} <= {found, None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d.count > 0", True),
        ("d.count >= 1 && d.count <= 4", True),
        ("d.count > 4", False),
        ("d.count > 1", None),
        ("d.part > 0.0", None),
        ("d.kind == 'a' || d.kind == 'b' || d.kind == 'c'", True),
        ("d.kind == 'a' || d.kind == 'b'", None),
        ("d.kind in ['a', 'b', 'c', 'x']", True),
        ("d.kind in ['x']", False),
        ("d.kind == 'a' && d.kind == 'b'", False),
        ("!(d.kind == 'a') && d.kind == 'a'", False),
        ("d.count > 3 && d.count < 4", False),
        ("d.paid || !d.paid", True),
        ("d.any == 1 && d.any == 'a'", False),
        ("d.any == 1 || d.any == 2", None),
        ("[1].exists(x, x == 1)", None),
        ("d.paid ? d.count > 0 : d.count < 9", True),
        ("(d.kind == 'a' || d.kind == 'b') && d.kind == 'c'", False),
    ],
)
def test_what_can_be_decided_is(text: str, expected: bool | None) -> None:
    assert decided(text) is expected
