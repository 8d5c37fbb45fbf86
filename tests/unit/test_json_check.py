"""What comes in as JSON survives a round trip, or is refused with its place."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.jsondata import MAX_DEPTH, JsonError, check


def nested(depth: int, innermost: Any) -> Any:
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [1, float("nan")]}, r"a\[1\]: nan is no JSON number"),
        ({"a": {"b": -math.inf}}, r"a\.b: -inf is no JSON number"),
        ([2**63], r"\[0\]: 9223372036854775808 is beyond 64 bits"),
        ({"a": -(2**63) - 1}, r"a: -9223372036854775809 is beyond 64 bits"),
        ({"a": ["x", "\ud800"]}, r"a\[1\]: half a surrogate pair is no text"),
        ({"a": {"\udfff": 1}}, r"a: half a surrogate pair is no text"),
        ({"a": {1: 1}}, r"a: the key 1 is no text"),
        ({"a": {1}}, "a: a set is no JSON value"),
        ({"a": b"x"}, "a: a bytes is no JSON value"),
        (nested(MAX_DEPTH + 1, None), f"nested deeper than {MAX_DEPTH}"),
        (nested(MAX_DEPTH, [1]), f"nested deeper than {MAX_DEPTH}"),
    ],
    ids=range(11),
)
def test_what_would_change_on_the_way_is_refused_with_its_place(value: Any, where: str) -> None:
    with pytest.raises(JsonError, match=f"^{where}"):
        check(value)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**63 - 1, 1e308, "", "ä🎓", [], {}, {"ä": ("x", [False])}, nested(MAX_DEPTH, "x"), nested(MAX_DEPTH, {})],
    ids=range(13),
)  # fmt: skip
def test_what_survives_is_taken(value: Any) -> None:
    check(value)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | st.text(st.characters(), max_size=3)
    | st.text(st.characters(categories=["Cs"]), max_size=2)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner), max_leaves=8
)


def survives(value: Any) -> bool:
    match value:
        case dict():
            return all(survives(key) and survives(member) for key, member in value.items())
        case list():
            return all(survives(member) for member in value)
        case str():
            return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
        case bool() | None:
            return True
        case int():
            return -(2**63) <= value < 2**63
        case _:
            return not (math.isnan(value) or math.isinf(value))


@given(values)
def test_any_value_is_taken_that_survives_and_no_other(value: Any) -> None:
    try:
        check(value)
    except JsonError:
        assert not survives(value)
    else:
        assert survives(value)
