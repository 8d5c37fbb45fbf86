"""Schemas are judged as `jsonschema` judges them, and described in our words."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.project.schema_check import DIALECT, schema_problems, subschemas

AUTHORITY = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)

MISTAKES: dict[str, tuple[Any, tuple[str | int, ...], str]] = {
    "a misspelt type": (
        {"properties": {"a": {"type": "strng"}}},
        ("properties", "a", "type"),
        (
            "`type` takes `string`, `integer`, `number`, `boolean`, `object`, `array` or `null`, or a list of them;"
            " found the text `strng` (did you mean `string`?)"
        ),
    ),
    "one misspelt type of several": (
        {"type": ["string", "nul"]},
        ("type",),
        (
            "`type` takes `string`, `integer`, `number`, `boolean`, `object`, `array` or `null`, or a list of them;"
            " found a list (did you mean `null`?)"
        ),
    ),
    "a negative length": (
        {"minLength": -1},
        ("minLength",),
        "`minLength` takes a number of at least 0; found the number `-1`",
    ),
    "required as a text": ({"required": "a"}, ("required",), "`required` takes a list; found the text `a`"),
    "an item of required": (
        {"required": [1]},
        ("required", 0),
        "an item of `required` takes a text; found the number `1`",
    ),
    "a name twice": ({"required": ["a", "a"]}, ("required",), "`required` has an item twice"),
    "a property that is no schema": (
        {"properties": {"a": "string"}},
        ("properties", "a"),
        "`a` takes a boolean or an object; found the text `string`",
    ),
    "a list of schemas that is empty": (
        {"anyOf": []},
        ("anyOf",),
        "`anyOf` takes at least one item; found an empty list",
    ),
    "a step of nothing": (
        {"multipleOf": 0},
        ("multipleOf",),
        "`multipleOf` takes a number above 0; found the number `0`",
    ),
    "an anchor with a blank": (
        {"$anchor": "a b"},
        ("$anchor",),
        "`$anchor` takes a text of the form `^[A-Za-z_][-A-Za-z0-9._]*$`; found the text `a b`",
    ),
    "a list": ([], (), "a schema takes a boolean or an object; found a list"),
    "nothing": (None, (), "a schema takes a boolean or an object; found nothing"),
    "another dialect": (
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        ("$schema",),
        (
            "schemas are read as JSON Schema 2020-12; this one names the text `http://json-schema.org/draft-07/schema#`"
            f' (write `"$schema": "{DIALECT}"`, or leave the key out)'
        ),
    ),
    "an open bracket": (
        {"properties": {"a": {"pattern": "("}}},
        ("properties", "a", "pattern"),
        (
            "the pattern `(` cannot be read"
            " (look-around and back-references are refused: they can take for ever; brackets need their pair)"
        ),
    ),
    "a look-ahead among patterns of properties": (
        {"items": {"patternProperties": {"a(?=b)": {}}}},
        ("items", "patternProperties", "a(?=b)"),
        (
            "the pattern `a(?=b)` cannot be read"
            " (look-around and back-references are refused: they can take for ever; brackets need their pair)"
        ),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_described_with_its_path(name: str) -> None:
    schema, path, words = MISTAKES[name]
    (problem,) = schema_problems(schema)
    assert problem.path == path
    assert problem.message + (f" ({problem.hint})" if problem.hint else "") == words


@pytest.mark.parametrize(
    "schema",
    [True, False, {}, {"$schema": DIALECT}, {"$schema": DIALECT + "#"}, {"x-sensitive": True}, {"format": "date-time"},
     {"enum": [{"$ref": 5}]}, {"const": {"type": "nothing"}}, {"properties": {"pattern": {"type": "string"}}},
     {"pattern": "\\p{L}"}],
    ids=str,
)  # fmt: skip
def test_what_json_schema_allows_has_no_mistake(schema: Any) -> None:
    assert schema_problems(schema) == []


def test_all_mistakes_are_found_in_one_go() -> None:
    problems = schema_problems({"type": 5, "properties": {"a": {"minLength": -1}, "b": {"enum": 3}}})
    assert {problem.path for problem in problems} == {
        ("type",),
        ("properties", "a", "minLength"),
        ("properties", "b", "enum"),
    }


KEYWORDS = st.sampled_from(
    ["type", "properties", "items", "required", "enum", "minLength", "minimum", "anyOf", "not", "additionalProperties",
     "prefixItems", "$defs", "uniqueItems", "multipleOf", "$anchor", "format", "description", "deprecated", "$ref"]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from(["string", "object", "a b", "", "#"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYWORDS, inner, max_size=3)),
    max_leaves=8,
)


@given(schema=VALUES)
def test_what_is_a_schema_is_judged_as_the_authority_judges_it(schema: Any) -> None:
    theirs = {tuple(error.absolute_path) for error in AUTHORITY.iter_errors(schema)}
    ours = {problem.path for problem in schema_problems(schema)}
    assert ours == theirs


@given(schema=st.dictionaries(KEYWORDS, VALUES, max_size=4))
def test_every_part_that_is_walked_lies_where_its_path_says(schema: dict[str, Any]) -> None:
    for path, part in subschemas(schema):
        at: Any = schema
        for step in path:
            at = at[step]
        assert at is part
