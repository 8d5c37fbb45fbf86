"""What counts as a difference, and how it is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.pipeline_tests.matching import NOTHING, differences, fits

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_everything_fits_itself(value: Any) -> None:
    assert fits(value, value)


@given(
    st.dictionaries(st.text("ab", max_size=2), JSON, max_size=3),
    st.dictionaries(st.text("cd", min_size=1, max_size=2), JSON, max_size=3),
)
def test_a_map_fits_one_that_has_more(expected: dict[str, Any], more: dict[str, Any]) -> None:
    assert fits(expected, {**more, **expected})
    assert fits({**more, **expected}, expected) == (not more)


@given(st.lists(JSON, max_size=3), JSON)
def test_a_list_fits_no_longer_one(expected: list[Any], more: Any) -> None:
    assert not fits(expected, [*expected, more])
    assert not fits([*expected, more], expected)


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        (1, 1.0, []),
        (1, True, ["expected 1, found true"]),
        (0, None, ["expected 0, found null"]),
        ("a", NOTHING, ['expected "a", found nothing']),
        (None, NOTHING, ["expected null, found nothing"]),
        ({"a": 1}, {"b": 1, "c": 2}, [".a: expected 1, found no `a`; it has b, c"]),
        ({"a": 1}, {}, [".a: expected 1, found no `a`; it is empty"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [".a.b.1: expected 2, found 3"]),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}, [".a: expected 1, found 2", ".b: expected 2, found 1"]),
        ([1], [1, 2], ["expected 1 item, found 2: [1, 2]"]),
        ([], {}, ["expected [], found {}"]),
        ("x" * 300, "y", [f'expected "{"x" * 198}…, found "y"']),
    ],
)  # fmt: skip
def test_a_difference_says_where_what_was_expected_and_what_was_found(
    expected: Any, found: Any, told: list[str]
) -> None:
    seen = [
        "".join(f".{part}" for part in each.path) + (": " if each.path else "") + each.message
        for each in differences(expected, found)
    ]
    assert seen == told
