"""Checks JSON Schemas themselves against JSON Schema 2020-12, in our words and with the path of each mistake.

Uses the library that validates events, which is quick to load; a test holds it against `jsonschema`. Nothing is fetched
for a reference: following references is `schema_files`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import jsonschema_rs

from flowlang.diagnostics import did_you_mean
from flowlang.model.base import found, listed

Path = tuple[str | int, ...]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TYPES: Final = ("string", "integer", "number", "boolean", "object", "array", "null")

#: Keywords by what they hold: schemas by name, lists of schemas, one schema. Everything else holds data.
_BY_NAME: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONE: Final = (
    "items", "contains", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "propertyNames",
    "if", "then", "else", "not", "contentSchema",
)  # fmt: skip

_KINDS: Final = {"array": "a list", "boolean": "a boolean", "integer": "a whole number", "number": "a number",
                 "object": "an object", "string": "a text"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """A mistake in a schema: where, what, and what would be right."""

    path: Path
    message: str
    hint: str | None = None


def schema_problems(schema: Any) -> list[SchemaProblem]:
    """Check a schema.

    Args:
        schema: A JSON value.

    Returns:
        All mistakes but those of references; none when the schema is sound.
    """
    if isinstance(schema, dict) and (dialect := schema.get("$schema")) is not None:
        other = _dialect(dialect)
        if other is not None:
            return [other]
    problems: dict[Path, SchemaProblem] = {}
    for error in _metaschema().iter_errors(schema):
        path = tuple(error.instance_path)
        problems.setdefault(path, _described(error, path, _at(schema, path)))
    return [*problems.values(), *_patterns(schema)]


def compile_problem(schema: Any) -> str | None:
    """Why a sound schema without references to other files cannot be used; None when it can."""
    try:
        jsonschema_rs.Draft202012Validator(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        return str(error).splitlines()[0]
    return None


def subschemas(schema: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A schema and all schemas in it that are objects, each with its path."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for keyword, value in schema.items():
        if keyword in _BY_NAME and isinstance(value, dict):
            for name, inner in value.items():
                yield from subschemas(inner, (*path, keyword, name))
        elif keyword in _LISTS and isinstance(value, list):
            for index, inner in enumerate(value):
                yield from subschemas(inner, (*path, keyword, index))
        elif keyword in _ONE:
            yield from subschemas(value, (*path, keyword))


@cache
def _metaschema() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, offline=True)


def _dialect(dialect: Any) -> SchemaProblem | None:
    if isinstance(dialect, str) and dialect.rstrip("#") == DIALECT:
        return None
    message = f"schemas are read as JSON Schema 2020-12; this one names {found(dialect)}"
    return SchemaProblem(("$schema",), message, f'write `"$schema": "{DIALECT}"`, or leave the key out')


def _described(error: jsonschema_rs.ValidationError, path: Path, value: Any) -> SchemaProblem:
    names = [part for part in path if isinstance(part, str)]
    subject = f"`{names[-1]}`" if names else "a schema"
    if names and isinstance(path[-1], int):
        subject = f"an item of {subject}"
    facts = error.kind.as_dict()
    hint = None
    match error.kind.name:
        case "type":
            what = f"takes {' or '.join(_KINDS.get(kind, kind) for kind in facts['types'])}; found {found(value)}"
        case "anyOf" if path and path[-1] == "type":
            what = f"takes {listed(TYPES, 'or')}, or a list of them; found {found(value)}"
            wrong = [item for item in (value if isinstance(value, list) else [value]) if item not in TYPES]
            near = did_you_mean(wrong[0], TYPES) if wrong and isinstance(wrong[0], str) else None
            hint = f"did you mean `{near}`?" if near else None
        case "minimum":
            what = f"takes a number of at least {facts['limit']}; found {found(value)}"
        case "exclusiveMinimum":
            what = f"takes a number above {facts['limit']}; found {found(value)}"
        case "minItems":
            what = "takes at least one item; found an empty list"
        case "uniqueItems":
            what = "has an item twice"
        case "pattern":
            what = f"takes a text of the form `{facts['pattern']}`; found {found(value)}"
        case _:
            what = f"is not as JSON Schema 2020-12 has it: {error.message}"
    return SchemaProblem(path, f"{subject} {what}", hint)


def _patterns(schema: Any) -> Iterator[SchemaProblem]:
    """Patterns that cannot be read, or not matched in linear time."""
    for path, part in subschemas(schema):
        written = [((*path, "pattern"), part.get("pattern"))]
        named = part.get("patternProperties")
        written += [((*path, "patternProperties", text), text) for text in (named if isinstance(named, dict) else ())]
        for place, text in written:
            if isinstance(text, str) and compile_problem({"pattern": text}) is not None:
                message = f"the pattern {found(text)[9:]} cannot be read"
                hint = "look-around and back-references are refused: they can take for ever; brackets need their pair"
                yield SchemaProblem(place, message, hint)


def _at(schema: Any, path: Path) -> Any:
    for part in path:
        schema = schema[part]
    return schema
