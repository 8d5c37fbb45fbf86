"""Data against its JSON Schema at run time: failing paths as people write them, numbers as the schema types them.

Owns the compiled validator of an event or input and what happens to data on its way through it. Whether a schema is
itself sound is the compiler's business; a schema that cannot be compiled is refused here with `SchemaError`.

JSON has one kind of number, expressions have two: after the check an integral number is an int where the schema says
`integer` and a float where it says `number`. Conditional subschemas (`if`, `then`, `else`) check but do not convert.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs
import msgspec

from flowlang import jsondata
from flowlang.errors import FlowError

MAX_FAILURES = 20  #: failing paths that are reported of one value

Convert = Callable[[Any], Any]
Schema = dict[str, Any] | bool


class SchemaError(FlowError):
    """A schema that cannot be compiled: unsound, or it refers to something outside itself."""


class Failure(msgspec.Struct, frozen=True):
    """One place where data breaks its schema."""

    path: str  #: `data.items[3].sku`
    message: str  #: never holds the offending value


class CheckedData(msgspec.Struct, frozen=True):
    """What came out of a check: the data with its numbers typed, or the failures and the data as it came."""

    data: Any
    failures: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the data may be used."""
        return not self.failures


class EventValidator:
    """Checks data against one schema; built once, used from any thread.

    Args:
        schema: JSON Schema 2020-12; None takes everything as it is.
        root: What failing paths begin with.

    Raises:
        SchemaError: when the schema cannot be compiled; nothing is ever fetched for a `$ref`.
    """

    def __init__(self, schema: Any, root: str = "data") -> None:
        self._root = root
        self._validator = None if schema is None else _compile(schema)
        self._convert = _Conversions(schema).of(schema) if isinstance(schema, dict) else None

    def check(self, data: Any) -> CheckedData:
        """Check data and type its numbers.

        Args:
            data: A JSON value; it is not changed.

        Returns:
            The converted data, or up to `MAX_FAILURES` failures.
        """
        if self._validator is None:
            return CheckedData(data)
        if self._validator.is_valid(data):
            return CheckedData(self._convert(data) if self._convert else data)
        failures: list[Failure] = []
        for error in self._validator.iter_errors(data):
            failures.extend(_failures(error, self._root))
            if len(failures) >= MAX_FAILURES:
                break
        return CheckedData(data, tuple(failures[:MAX_FAILURES]))


def fill_defaults(schema: Any, data: Any) -> Any:
    """Fill in the `default`s of absent properties, in nested objects too.

    Args:
        schema: JSON Schema 2020-12; None or a boolean has no defaults.
        data: A JSON value; it is not changed.

    Returns:
        The value with defaults; anything but an object comes back as it is.
    """
    return _filled(schema, data, schema)


def _filled(schema: Any, data: Any, root: Any) -> Any:
    if not isinstance(schema, dict) or not isinstance(data, dict):
        return data
    target = _resolve(schema.get("$ref"), root)
    filled = _filled(target, data, root) if target is not None else dict(data)
    for part in schema.get("allOf", ()):
        filled = _filled(part, filled, root)
    for name, member in schema.get("properties", {}).items():
        if name in filled:
            filled[name] = _filled(member, filled[name], root)
        elif isinstance(member, dict) and "default" in member:
            filled[name] = copy.deepcopy(member["default"])
    return filled


def _compile(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            offline=True,
            mask="the value",  # messages end up in dead letters and answers; the sender knows what it sent
            pattern_options=jsonschema_rs.RegexOptions(),  # linear time; a backtracking engine is a door for attacks
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError(f"schema: {str(error).splitlines()[0]}") from error


def _failures(error: jsonschema_rs.ValidationError, root: str) -> list[Failure]:
    path = (root, *error.instance_path)
    facts = error.kind.as_dict()
    if error.kind.name == "required":
        return [Failure(jsondata.render_path((*path, facts["property"])), "is required, and missing")]
    if error.kind.name == "additionalProperties":
        return [Failure(jsondata.render_path((*path, name)), "is not a known field") for name in facts["unexpected"]]
    return [Failure(jsondata.render_path(path), error.message)]


def _resolve(ref: Any, root: Any) -> Any:
    """Follow a reference into the same document; None when it points elsewhere."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return None
    at = root
    for part in ref[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, list) and name.isdecimal() and int(name) < len(at):
            at = at[int(name)]
        elif isinstance(at, dict) and name in at:
            at = at[name]
        else:
            return None
    return at


class _Conversions:
    """Compiles a schema to functions that type its numbers; None where there is nothing to convert."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._refs: dict[str, Convert | None] = {}
        self._open: set[str] = set()

    def of(self, schema: Any) -> Convert | None:
        if not isinstance(schema, dict):
            return None
        parts = [
            self._reference(schema.get("$ref")),
            *(self.of(part) for part in schema.get("allOf", ())),
            self._number(schema.get("type")),
            self._object(schema),
            self._array(schema),
            self._union(schema.get("anyOf", ())),
            self._union(schema.get("oneOf", ())),
        ]
        found = [part for part in parts if part is not None]
        if len(found) <= 1:
            return found[0] if found else None
        return _in_turn(found)

    def _reference(self, ref: Any) -> Convert | None:
        target = _resolve(ref, self._root)
        if target is None:
            return None
        if ref in self._open:  # a schema that contains itself: look the function up when it is needed
            return lambda value: value if (convert := self._refs[ref]) is None else convert(value)
        if ref not in self._refs:
            self._open.add(ref)
            self._refs[ref] = self.of(target)
            self._open.discard(ref)
        return self._refs[ref]

    def _number(self, declared: Any) -> Convert | None:
        types = {declared} if isinstance(declared, str) else set(declared or ())
        if "number" in types:
            return lambda value: float(value) if type(value) is int else value
        if "integer" in types:
            return lambda value: int(value) if type(value) is float and value.is_integer() else value
        return None

    def _object(self, schema: dict[str, Any]) -> Convert | None:
        declared = schema.get("properties", {})
        members = {name: self.of(member) for name, member in declared.items()}
        known = {name: apply for name, apply in members.items() if apply is not None}
        # What a pattern covers is not "additional"; without looking at patterns, such members are left as they are.
        rest = None if "patternProperties" in schema else self.of(schema.get("additionalProperties"))
        if not known and rest is None:
            return None

        def convert(value: Any) -> Any:
            if type(value) is not dict:
                return value
            changed = dict(value)
            for name, member in value.items():
                apply = known.get(name) if name in declared else rest
                if apply is not None:
                    changed[name] = apply(member)
            return changed

        return convert

    def _array(self, schema: dict[str, Any]) -> Convert | None:
        first = [self.of(member) for member in schema.get("prefixItems", ())]
        rest = self.of(schema.get("items"))
        if rest is None and not any(first):
            return None

        def convert(value: Any) -> Any:
            if type(value) is not list:
                return value
            applied = [first[index] if index < len(first) else rest for index in range(len(value))]
            return [member if apply is None else apply(member) for apply, member in zip(applied, value, strict=True)]

        return convert

    def _union(self, branches: Any) -> Convert | None:
        """Convert by the first branch that takes the value."""
        choices = [(self.of(branch), branch) for branch in branches]
        if not any(convert for convert, _ in choices):
            return None
        shared = {key: self._root[key] for key in ("$defs", "definitions") if key in self._root}
        try:
            tests = [
                (_compile({**shared, **branch} if isinstance(branch, dict) else branch), apply)
                for apply, branch in choices
            ]
        except SchemaError:  # a branch refers to a place outside `$defs`: it is checked as a whole, and not converted
            return None

        def convert(value: Any) -> Any:
            for test, apply in tests:
                if test.is_valid(value):
                    return value if apply is None else apply(value)
            return value

        return convert


def _in_turn(parts: list[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        for part in parts:
            value = part(value)
        return value

    return convert
