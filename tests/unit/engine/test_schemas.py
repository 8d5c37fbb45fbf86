"""Data against schemas: paths, number types, defaults, and what a schema may not do."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang import jsondata
from flowlang.engine.schemas import MAX_FAILURES, EventValidator, Failure, SchemaError, fill_defaults

ORDER = {
    "type": "object",
    "required": ["email", "items"],
    "additionalProperties": False,
    "properties": {
        "email": {"type": "string"},
        "total_cents": {"type": "integer"},
        "discount": {"type": "number"},
        "items": {
            "type": "array",
            "items": {"type": "object", "required": ["sku"], "properties": {"count": {"type": "integer"}}},
        },
    },
}


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ({"items": []}, "data.email", "is required, and missing"),
        ({"email": 7, "items": []}, "data.email", 'the value is not of type "string"'),
        ({"email": "a", "items": [{"sku": "x"}, {}]}, "data.items[1].sku", "is required, and missing"),
        ({"email": "a", "items": [], "emial": 1}, "data.emial", "is not a known field"),
        ({"email": "a", "items": [], "total_cents": 1.5}, "data.total_cents", 'the value is not of type "integer"'),
        ([], "data", 'the value is not of type "object"'),
    ],
)
def test_a_failure_names_its_path_as_people_write_it(data: Any, path: str, message: str) -> None:
    checked = EventValidator(ORDER).check(data)
    assert not checked.ok
    assert checked.failures == (Failure(path, message),)


def test_all_failures_are_reported_at_once_and_their_number_is_bounded() -> None:
    two = EventValidator(ORDER).check({"email": 1, "total_cents": "x", "items": []})
    assert sorted(failure.path for failure in two.failures) == ["data.email", "data.total_cents"]
    many = EventValidator(ORDER).check({"email": "a", "items": [{}] * 500})
    assert len(many.failures) == MAX_FAILURES


def test_a_failure_never_shows_the_value() -> None:
    checked = EventValidator({"properties": {"pin": {"type": "integer"}, "tag": {"pattern": "^a+$"}}}).check(
        {"pin": "hunter2", "tag": "hunter2"}
    )
    assert len(checked.failures) == 2
    assert "hunter2" not in repr(checked.failures)


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        ({"type": "integer"}, 3.0, 3),
        ({"type": ["integer", "null"]}, -2.0, -2),
        ({"type": "number"}, 3, 3.0),
        ({"type": ["integer", "number"]}, 3, 3.0),
        ({}, 3.0, 3.0),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1.0, "b": 1.0}, {"a": 1, "b": 1.0}),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1.0}, {"a": 1}),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, {"a": 1.0}, {"a": 1.0}),
        ({"prefixItems": [{"type": "integer"}], "items": {"type": "number"}}, [1.0, 2, 3], [1, 2.0, 3.0]),
        ({"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}, [1.0], [1]),
        ({"allOf": [{"properties": {"a": {"type": "integer"}}}]}, {"a": 4.0}, {"a": 4}),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, 4.0, 4),
        (
            {
                "oneOf": [
                    {"properties": {"k": {"const": "n"}, "v": {"type": "number"}}, "required": ["k"]},
                    {"properties": {"k": {"const": "i"}, "v": {"type": "integer"}}, "required": ["k"]},
                ]
            },
            {"k": "i", "v": 5.0},
            {"k": "i", "v": 5},
        ),
        (
            {
                "$defs": {"t": {"properties": {"n": {"type": "integer"}, "kids": {"items": {"$ref": "#/$defs/t"}}}}},
                "$ref": "#/$defs/t",
            },
            {"n": 1.0, "kids": [{"n": 2.0, "kids": [{"n": 3.0}]}]},
            {"n": 1, "kids": [{"n": 2, "kids": [{"n": 3}]}]},
        ),
        ({"enum": [1, 2, None]}, 1.0, 1),
        ({"const": 1.0}, 1, 1.0),
        ({"enum": [1, 2.5]}, 1, 1.0),
        ({"type": "string", "enum": [1, "a"]}, "a", "a"),
        ({"type": "integer", "allOf": [{"type": "number"}]}, 3, 3),
        ({"type": "number", "allOf": [{"type": "integer"}]}, 3.0, 3),
        ({"type": "number", "anyOf": [{"type": "integer"}, {"minimum": 9}]}, 3.0, 3),
        ({"type": "number", "anyOf": [{"minimum": 9}, {"type": "integer"}]}, 3, 3),
        ({"type": "number", "anyOf": [{"type": "integer", "const": 2**53 + 1}]}, 2**53 + 1, 2**53 + 1),
        (
            {"allOf": [{"properties": {"a": {"type": "number"}}}, {"additionalProperties": {"type": "integer"}}]},
            {"a": 1.0, "b": 2.0},
            {"a": 1, "b": 2},
        ),
        (
            {"patternProperties": {"^n": {"type": "number"}, "i$": {"type": "integer"}}},
            {"n": 1, "ni": 1.0, "i": 2.0, "x": 3.0},
            {"n": 1.0, "ni": 1, "i": 2, "x": 3.0},
        ),
        (
            {
                "properties": {"n": {"type": "number"}},
                "patternProperties": {"^x": {}},
                "additionalProperties": {"type": "integer"},
            },
            {"n": 1, "x": 1.0, "y": 1.0},
            {"n": 1.0, "x": 1.0, "y": 1},
        ),
        (
            {
                "properties": {"n": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
                "required": ["n"],
            },
            {"n": 1.0, "next": {"n": 2.0, "next": None}},
            {"n": 1, "next": {"n": 2, "next": None}},
        ),
        (
            {
                "$id": "https://example.com/a",
                "items": {"anyOf": [{"$ref": "b#r"}, True]},
                "$defs": {"b": {"$id": "b", "$defs": {"r": {"$anchor": "r", "type": "integer"}}}},
            },
            [1.0, "a"],
            [1, "a"],
        ),
        ({"$ref": "#/$defs/a%20~1b", "$defs": {"a /b": {"oneOf": [{"type": "integer"}]}}}, 1.0, 1),
        ({"prefixItems": [True], "allOf": [{"items": {"type": "integer"}}]}, [1.0, 2.0], [1, 2]),
        (
            {
                "prefixItems": [{"type": "number"}, True],
                "allOf": [{"prefixItems": [True], "items": {"type": "integer"}}],
            },
            [1, 2.0, 3.0],
            [1.0, 2, 3],
        ),
        ({"type": "integer", "allOf": [{"$ref": "#"}]}, 1.0, 1),
        ({"$ref": "#", "type": "integer"}, 1.0, 1),
        ({"if": {"type": "integer"}, "then": {"type": "integer"}, "not": {"type": "string"}}, 1.0, 1.0),
        (
            {
                "type": ["string", "object", "array"],
                "properties": {"a": {"type": "integer"}},
                "items": {"type": "integer"},
            },
            [1.0],
            [1],
        ),
        ({"type": "boolean"}, True, True),
        (None, {"a": 1.0}, {"a": 1.0}),
        (True, 1.0, 1.0),
    ],
)
def test_numbers_get_the_type_that_the_schema_says(schema: Any, data: Any, expected: Any) -> None:
    before = copy.deepcopy(data)
    checked = EventValidator(schema).check(data)
    assert checked.ok
    assert jsondata.dumps(checked.data) == jsondata.dumps(expected)  # tells 3 from 3.0
    assert jsondata.dumps(data) == jsondata.dumps(before)


def test_an_integer_beyond_64_bits_is_refused_at_its_place() -> None:
    validator = EventValidator({"properties": {"a": {"items": {"patternProperties": {"^n": {"type": "integer"}}}}}})
    checked = validator.check({"a": [{}, {"n": 1e30}]})
    assert checked.failures == (Failure("data.a[1].n", "is an integer beyond 64 bits"),)
    assert validator.check({"a": [{"n": -(2.0**63)}]}).data == {"a": [{"n": -(2**63)}]}
    assert not validator.check({"a": [{"n": 2.0**63}]}).ok


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://example.invalid/other.json"},
        {"$ref": "#/$defs/none"},
        {"type": "txet"},
        {"pattern": "(?=a)b"},
        {"pattern": "("},
    ],
)
def test_a_schema_that_cannot_be_compiled_is_refused_and_nothing_is_fetched(schema: Any) -> None:
    with pytest.raises(SchemaError, match="schema: "):
        EventValidator(schema)


def test_a_pattern_that_makes_backtracking_engines_hang_is_harmless() -> None:
    checked = EventValidator({"pattern": "^(a+)+$"}).check("a" * 5_000 + "!")
    assert [failure.path for failure in checked.failures] == ["data"]


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        ({"properties": {"a": {"default": 1}}}, {}, {"a": 1}),
        ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": None}),
        ({"properties": {"o": {"properties": {"a": {"default": []}}}}}, {"o": {}}, {"o": {"a": []}}),
        ({"properties": {"o": {"properties": {"a": {"default": []}}}}}, {}, {}),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"a": {"default": 2}}}}}, {}, {"a": 2}),
        (
            {"allOf": [{"properties": {"a": {"default": 1}}}, {"properties": {"b": {"default": 2}}}]},
            {},
            {"a": 1, "b": 2},
        ),
        ({"properties": {"a": {"default": 1}}}, [1], [1]),
        ({"allOf": [{"$ref": "#"}], "properties": {"a": {"default": 1}}}, {}, {"a": 1}),
        (
            {"$ref": "x#a", "$defs": {"x": {"$id": "x", "$anchor": "a", "properties": {"a": {"default": 1}}}}},
            {},
            {"a": 1},
        ),
        ({"anyOf": [{"properties": {"a": {"default": 1}}}]}, {}, {}),
        (None, {"a": 1}, {"a": 1}),
        (True, {}, {}),
    ],
)
def test_defaults_fill_what_is_absent_and_nothing_else(schema: Any, data: Any, expected: Any) -> None:
    before = copy.deepcopy(data)
    assert fill_defaults(schema, data) == expected
    assert data == before


def test_a_default_is_not_shared_between_two_values() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"default": []}}}
    fill_defaults(schema, {})["a"].append("x")
    assert fill_defaults(schema, {}) == {"a": []}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["n", "kids", "f", "x"]), inner, max_size=4)
    ),
    max_leaves=15,
)
TREE = {
    "$defs": {
        "t": {
            "properties": {"n": {"type": "integer"}, "f": {"type": "number"}, "kids": {"items": {"$ref": "#/$defs/t"}}}
        }
    },
    "$ref": "#/$defs/t",
}


@given(values)
def test_checking_keeps_the_value_equal_and_a_second_check_changes_nothing(value: Any) -> None:
    validator = EventValidator(TREE)
    first = validator.check(value)
    assert first.data == value
    if first.ok:
        assert jsondata.dumps(validator.check(first.data).data) == jsondata.dumps(first.data)
