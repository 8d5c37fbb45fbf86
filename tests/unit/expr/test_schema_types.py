"""JSON Schemas as types: one table in the user's words, and what the shipped project's schemas come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowlang.expr.schema_types import type_of_schema
from flowlang.expr.types import ListOf, MapOf, Nullable, ObjectOf, Scalar, Type, is_dyn, parts
from flowlang.project import load_project

ROOT = Path(__file__).parents[3]


def written(type_: Type, around: tuple[ObjectOf, ...] = ()) -> str:
    """A type in one line: `?` for fields that may be absent, `*` for others, `^` for an object around."""
    match type_:
        case Nullable(inner):
            return f"{written(inner, around)} or null"
        case ListOf(element):
            return f"[{written(element, around)}]"
        case MapOf(_, value):
            return f"map of {written(value, around)}"
        case ObjectOf():
            if type_ in around:
                return "^"
            inside = (*around, type_)
            fields = [
                f"{name}{'' if field.required else '?'}: {written(field.type, inside)}"
                for name, field in type_.fields.items()
            ]
            fields += [] if type_.rest is None else [f"*: {written(type_.rest, inside)}"]
            return f"{type_.name}{{{', '.join(fields)}}}"
        case Scalar(kind, values, minimum, maximum):
            bounds = (
                ""
                if minimum is None and maximum is None
                else f"({'' if minimum is None else minimum}..{'' if maximum is None else maximum})"
            )
            return f"{kind}{bounds}{'' if values is None else list(values)}"
        case _:
            raise AssertionError(type_)


S: dict[str, Any] = {"type": "string"}
I: dict[str, Any] = {"type": "integer"}  # noqa: E741 - the table below is short
N: dict[str, Any] = {"type": "number"}


def obj(properties: dict[str, Any] | None = None, *required: str, **keywords: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", **keywords}
    if properties is not None:
        schema["properties"] = properties
    return {**schema, "required": list(required)} if required else schema


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return obj(properties, *required, additionalProperties=False)


CARD = {"kind": {"const": "card"}, "digits": I}
IBAN = {"kind": {"const": "iban"}, "iban": S}

TABLE: dict[str, list[tuple[Any, str]]] = {
    "kinds": [
        (S, "string"),
        (I, "int"),
        (N, "double"),
        ({"type": "boolean"}, "bool"),
        ({"type": "null"}, "null"),
        ({"type": "string", "format": "date-time"}, "string"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": ["integer", "number"]}, "double"),
        ({"type": ["integer", "string"]}, "dyn"),
    ],
    "what says nothing": [
        (True, "dyn"),
        (False, "dyn"),
        ({}, "dyn"),
        (None, "dyn"),
        ([], "dyn"),
        ("string", "dyn"),
        ({"type": "strng"}, "dyn"),
        ({"type": 5}, "dyn"),
        ({"minimum": 3}, "dyn"),
        ({"$ref": "https://example.com/other.json"}, "dyn"),
        ({"$ref": "#/$defs/none"}, "dyn"),
        ({"$dynamicRef": "#a"}, "dyn"),
        ({"$ref": "#"}, "dyn"),
        (obj({"a": False, "b": S}), "{b?: string}"),
    ],
    "bounds": [
        ({**I, "minimum": 1, "maximum": 500}, "int(1..500)"),
        ({**I, "exclusiveMinimum": 0, "exclusiveMaximum": 10}, "int(1..9)"),
        ({**I, "minimum": 0.5, "maximum": 9.5}, "int(1..9)"),
        ({**I, "minimum": -1e300, "exclusiveMaximum": 2**63}, "int"),
        ({**N, "minimum": 0, "exclusiveMaximum": 1}, "double(0.0..1.0)"),
        ({**I, "allOf": [{"minimum": 1}, {"minimum": 3, "maximum": 9}]}, "int(3..9)"),
        ({"anyOf": [{**I, "minimum": 1}, {**I, "minimum": 5, "maximum": 9}]}, "int(1..)"),
        ({**I, "minimum": True, "maximum": "9"}, "int"),
    ],
    "enums": [
        ({"enum": ["paid", "unpaid"]}, "string['paid', 'unpaid']"),
        ({"const": "card"}, "string['card']"),
        ({"enum": ["a", None]}, "string['a'] or null"),
        ({"enum": [1, 2, 2.0]}, "double[1.0, 2.0]"),
        ({"enum": [1, 2]}, "int[1, 2]"),
        ({**N, "enum": [1, 2]}, "double[1.0, 2.0]"),
        ({**I, "enum": [1.0, 1.5]}, "int[1]"),
        ({"enum": ["a", 1]}, "dyn"),
        ({**S, "enum": ["a", 1]}, "string['a']"),
        ({"enum": ["a", "b"], "allOf": [{"enum": ["b", "c"]}]}, "string['b']"),
        ({"anyOf": [{"const": "a"}, {"enum": ["b", "a"]}]}, "string['a', 'b']"),
        ({"anyOf": [{"const": "a"}, S]}, "string"),
        ({"enum": [True]}, "bool[True]"),
        ({"enum": [[1], [2]]}, "[dyn]"),
        ({"const": {"a": 1}}, "map of dyn"),
        ({"enum": []}, "dyn"),
    ],
    "lists": [
        ({"type": "array"}, "[dyn]"),
        ({"type": "array", "items": S}, "[string]"),
        ({"type": "array", "prefixItems": [S, S], "items": S}, "[string]"),
        ({"type": "array", "prefixItems": [S, {"type": "null"}], "items": False}, "[string or null]"),
        ({"type": "array", "prefixItems": [S], "items": I}, "[dyn]"),
        ({"type": "array", "prefixItems": [S]}, "[dyn]"),
        ({"type": "array", "items": [S], "additionalItems": S}, "[string]"),
        ({"type": "array", "contains": S}, "[dyn]"),
        ({"type": "array", "items": {"$ref": "#"}}, "[dyn]"),
        ({"items": S}, "dyn"),
    ],
    "objects": [
        (obj({"a": S, "b": I}, "a"), "{a: string, b?: int}"),
        (closed({"a": S}), "{a?: string}"),
        (closed({}), "{}"),
        (obj({"a": S}, additionalProperties=True), "{a?: string, *: dyn}"),
        (obj({"a": S}, additionalProperties=I), "{a?: string, *: int}"),
        (obj({"a": S}, unevaluatedProperties=S), "{a?: string, *: dyn}"),
        (obj({"a": S}, unevaluatedProperties=False), "{a?: string}"),
        (obj({"a": S}, "b"), "{a?: string, b: dyn}"),
        (obj(), "map of dyn"),
        (obj({}), "map of dyn"),
        (obj(None, "a"), "{a: dyn, *: dyn}"),
        (obj(additionalProperties=I), "map of int"),
        (obj(None, "a", additionalProperties=I), "{a: int, *: int}"),
        (obj(additionalProperties={"$ref": "#"}), "map of dyn"),
        ({"type": ["object", "null"], "properties": {"a": S}}, "{a?: string} or null"),
        (obj({"a": S}, title="an order"), "an order{a?: string}"),
        (obj({"a": obj({"b": S}, title="an item")}), "{a?: an item{b?: string}}"),
        (obj({"a": S}, propertyNames={"maxLength": 3}), "{a?: string}"),
    ],
    "patterns": [
        (obj({"a": S}, patternProperties={"^x-": I}), "{a?: string, *: dyn}"),
        (obj({"a": S}, patternProperties={"^x-": I}, additionalProperties=False), "{a?: string, *: int}"),
        (obj({"a": N, "x-1": N}, patternProperties={"^x-": I}, additionalProperties=N), "{a?: double, x-1?: dyn, *: dyn}"),
        (obj({"xy": N}, patternProperties={"^xyz?": I}), "{xy?: dyn, *: dyn}"),
        (obj({"a": N}, patternProperties={"^b|a": I}), "{a?: dyn, *: dyn}"),
        (obj(patternProperties={"^x-": S}, additionalProperties=False), "map of string"),
        (obj({"a": S}, patternProperties={"a": {}, "b": {}, "c": {}, "d": {}}), "{a?: dyn, *: dyn}"),
    ],
    "without `type`": [
        ({"properties": {"a": S}, "required": ["a"]}, "dyn"),
        ({"type": "object", "allOf": [{"properties": {"a": S}}]}, "{a?: string}"),
        ({"properties": {"a": S}, "allOf": [obj({"b": S})]}, "{a?: string, b?: string}"),
        ({"allOf": [{"properties": {"a": S}}, {"required": ["a"], "type": "object"}]}, "{a: string}"),
    ],
    "all of": [
        ({"allOf": [obj({"a": S}, "a"), obj({"b": S}, "b")]}, "{a: string, b: string}"),
        (obj({"a": S}, "a", allOf=[{"properties": {"a": {"const": "x"}}}]), "{a: string['x']}"),
        ({"allOf": [closed({"a": S}), obj({"b": S})]}, "{a?: string}"),
        (obj({"a": S, "b": S}, allOf=[{"required": ["b"]}]), "{a?: string, b: string}"),
        (obj({"n": N}, allOf=[{"properties": {"n": I}}]), "{n?: int}"),
        ({"allOf": [S, I]}, "dyn"),
        ({"allOf": [{"type": ["string", "null"]}, {"type": ["integer", "null"]}]}, "null"),
        ({"allOf": [obj({"a": obj({"b": S})}), obj({"a": obj({"c": S})})]}, "{a?: {b?: string, c?: string}}"),
    ],
    "any of": [
        ({"anyOf": [S, {"type": "null"}]}, "string or null"),
        ({"anyOf": [S, {"format": "uri"}]}, "dyn"),
        ({**S, "anyOf": [{"minLength": 1}, {"format": "uri"}]}, "string"),
        ({"oneOf": [I, N]}, "dyn"),
        ({"oneOf": [closed(CARD, "kind", "digits"), closed(IBAN, "kind")]}, "{kind: string['card', 'iban'], digits?: int, iban?: string}"),
        # Without `additionalProperties: false`, a card may have an `iban` of any type.
        ({"oneOf": [obj(CARD, "kind", "digits"), obj(IBAN, "kind")]}, "{kind: string['card', 'iban'], digits?: dyn, iban?: dyn}"),
        (obj({"kind": S, "digits": I, "iban": S}, "kind", oneOf=[{"required": ["digits"]}, {"required": ["iban"]}]), "{kind: string, digits?: int, iban?: string}"),
        (obj({"a": {"anyOf": [obj({"b": I}, "b"), {"type": "null"}]}}, "a"), "{a: {b: int} or null}"),
        ({"anyOf": [closed({"a": S}), obj(additionalProperties=S)]}, "{a?: string, *: string}"),
        ({"anyOf": [obj({"a": S}), obj(additionalProperties=S)]}, "{a?: string, *: dyn}"),
        ({"anyOf": [obj({"a": S}), obj()]}, "{a?: dyn, *: dyn}"),
        ({"anyOf": [{"type": "array", "items": S}, {"type": "array", "items": {"type": ["string", "null"]}}]}, "[string or null]"),
        ({"anyOf": [False, S]}, "string"),
    ],
    "conditions": [
        (obj({"a": S}, **{"if": {"required": ["a"]}, "then": {"properties": {"b": I}}, "else": {"required": ["c"]}}), "{a?: string, b?: dyn, c?: dyn}"),
        (obj({"a": S}, dependentSchemas={"a": {"properties": {"b": {"$ref": "#"}}}}), "{a?: string, b?: dyn}"),
        (obj({"a": S}, dependentRequired={"a": ["b"]}), "{a?: string, b?: dyn}"),
        (obj({"a": S}, **{"not": {"required": ["b"]}}), "{a?: string, b?: dyn}"),
        ({**S, "not": {"type": "string"}}, "string"),
    ],
    "references": [
        ({"$ref": "#/$defs/n", "$defs": {"n": I}}, "int"),
        ({"$ref": "#/definitions/n", "definitions": {"n": I}}, "int"),
        ({"$ref": "#n", "$defs": {"a": {"$anchor": "n", **I}}}, "int"),
        ({"$ref": "n.json", "$defs": {"a": {"$id": "n.json", **I}}}, "int"),
        ({"$ref": "n.json#/$defs/m", "$id": "https://example.com/x", "$defs": {"a": {"$id": "n.json", "$defs": {"m": I}}}}, "int"),
        ({"allOf": [{"$ref": "a"}], "$defs": {"a": {"$id": "a", "$ref": "#/$defs/x", "$defs": {"x": I}}, "x": S}}, "int"),
        ({"$ref": "a", "$defs": {"a": {"$id": "a", **I}, "b": {"$id": "a", **S}}}, "dyn"),
        ({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": I}}, "int"),
        ({"$ref": "#/$defs/n", "minimum": 1, "$defs": {"n": {**I, "maximum": 9}}}, "int(1..9)"),
        (obj({"a": S, "b": {"$ref": "other.json"}}, **{"$ref": "x.json"}), "{a?: string, b?: dyn, *: dyn}"),
        (obj({"a": S}, allOf=[{"$ref": "x.json"}]), "{a?: string, *: dyn}"),
        (obj({"a": {"$ref": "#/$defs/item"}}, **{"$defs": {"item": obj({"b": S})}}), "{a?: item{b?: string}}"),
        (obj({"kids": {"type": "array", "items": {"$ref": "#"}}}), "{kids?: [^]}"),
        ({"$ref": "#/$defs/t", "$defs": {"t": obj({"l": {"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}})}}, "t{l?: ^ or null}"),
        (obj({"a": {"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]}}, **{"$defs": {"t": obj({"b": S})}}), "{a?: t{b?: string} or null}"),
        ({"allOf": [{"$ref": "#"}], **S}, "string"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "dyn"),
        (obj({"a": {"$schema": "http://json-schema.org/draft-07/schema#", **S}}), "{a?: dyn}"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", **S}, "string"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), [case for cases in TABLE.values() for case in cases])
def test_a_schema_is_read_as_a_type(schema: Any, expected: str) -> None:
    assert written(type_of_schema(schema)) == expected


@pytest.mark.parametrize(
    ("schema", "event", "filled"),
    [
        (obj({"a": {**S, "default": "x"}}), "{a?: string}", "{a: string}"),
        (obj({"o": obj({"a": {**S, "default": "x"}})}, "o"), "{o: {a?: string}}", "{o: {a: string}}"),
        # A default is taken as it is written: what it lacks is not filled in.
        (obj({"o": obj({"a": {**S, "default": "x"}}, default={})}), "{o?: {a?: string}}", "{o: {a?: string}}"),
        (obj({"l": {"type": "array", "items": obj({"a": {**S, "default": "x"}})}}), "{l?: [{a?: string}]}", "{l?: [{a?: string}]}"),
        (obj({}, allOf=[obj({"a": {**I, "default": 1}})]), "{a?: int}", "{a: int}"),
        (obj({}, anyOf=[obj({"a": {**I, "default": 1}})]), "{a?: int}", "{a?: int}"),
        ({"$ref": "#/$defs/t", "$defs": {"t": obj({"a": {**I, "default": 1}})}}, "t{a?: int}", "t{a: int}"),
        (obj({"a": {"$ref": "#/$defs/n"}}, **{"$defs": {"n": {**I, "default": 1}}}), "{a?: int}", "{a?: int}"),
        (obj({"n": {**N, "default": None, "type": ["number", "null"]}}), "{n?: double or null}", "{n: double or null}"),
    ],
)  # fmt: skip
def test_a_default_makes_a_field_certain_where_it_is_filled_in(schema: Any, event: str, filled: str) -> None:
    assert written(type_of_schema(schema)) == event
    assert written(type_of_schema(schema, defaults_filled=True)) == filled


def test_a_name_that_is_given_wins_over_the_title() -> None:
    schema = obj({"a": S}, title="order/placed")
    assert str(type_of_schema(schema)) == "order/placed"
    assert str(type_of_schema(schema, name="the data of order/placed")) == "the data of order/placed"


def test_the_same_reference_is_the_same_object() -> None:
    schema = obj({"a": {"$ref": "#/$defs/t"}, "b": {"$ref": "#/$defs/t"}}, **{"$defs": {"t": obj({"c": S})}})
    made = type_of_schema(schema)
    assert isinstance(made, ObjectOf)
    assert made.fields["a"].type is made.fields["b"].type


def dyn_places(type_: Type, at: str = "", seen: frozenset[Type] = frozenset()) -> list[str]:
    if is_dyn(type_):
        return [at]
    found = [place for inner in parts(type_) for place in dyn_places(inner, f"{at}[]", seen)]
    if isinstance(type_, ObjectOf) and type_ not in seen:
        for name, field in type_.fields.items():
            found += dyn_places(field.type, f"{at}.{name}", seen | {type_})
    return found


def test_the_shipped_schemas_say_what_everything_is() -> None:
    project = load_project(ROOT, entry_points=False)
    assert project.manifest is not None
    types = {event.name: type_of_schema(event.schema) for event in project.manifest.events}
    assert len(types) == len(list((ROOT / "schemas/events").rglob("*.json"))) > 5
    for plan in project.plans.values():
        if plan.input_schema is not None:
            types[plan.pipeline] = type_of_schema(plan.input_schema, name=plan.pipeline, defaults_filled=True)
    assert {name: found for name, type_ in types.items() if (found := dyn_places(type_))} == {}
    assert written(types["index-lessons"]) == "index-lessons{reason: string, limit: int(1..500)}"
    assert written(types["stripe/checkout.session.completed"]) == (
        "stripe/checkout.session.completed{id: string, mode: string['payment', 'setup', 'subscription'], "
        "payment_status: string['paid', 'unpaid', 'no_payment_required'], customer?: string or null, "
        "customer_details?: {email?: string or null, name?: string or null} or null}"
    )
