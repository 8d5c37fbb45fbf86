"""Random schemas, as people write them and more wildly mixed, with values that have a fair chance to be valid."""

from __future__ import annotations

from random import Random
from typing import Any, Final

NAMES: Final = ("a", "b", "kids", "x-1")
NUMBERS: Final = (0, 1, 2, 3, -1, 1.0, 2.0, 0.5, 2.5, -3, 10, 10.0, 2**53 + 1, 2**62, -(2**63))
TYPES: Final = ("object", "object", "object", "array", "integer", "number", "string", "boolean", "null")
REFERENCES: Final = ("#", "#/$defs/p", "#/$defs/q", "#r", "inner", "inner#/$defs/p", "inner#r")
CONDITIONS: Final = (
    "if", "then", "else", "not", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems",
)  # fmt: skip


def document(rng: Random) -> dict[str, Any]:
    """A schema with definitions that may refer to one another and to the whole, one of them with a name of its own."""
    named = {"p": _schema(rng, 1), "q": _schema(rng, 1), "r": {"$anchor": "r", "type": "number"}}
    inner = {"$id": "inner", "$defs": named}
    return {
        **_keywords(rng, 3),
        **rng.choice([{}, {}, {"$id": "https://example.com/a/b"}, {"$id": "b.json#"}]),
        "$defs": {
            "p": _schema(rng, 2),
            "q": {**_keywords(rng, 2), **inner},
            "r": {"$anchor": "r", "type": "object", "properties": {"kids": {"items": {"$ref": "#r"}}}},
        },
    }


def records(rng: Random) -> dict[str, Any]:
    """Objects as people write them: alternatives and parts of few fields, of scalars and other such objects."""
    schema = _record(rng, 2)
    if rng.random() < 0.6:
        alternatives = [_record(rng, 1) for _ in range(rng.randint(1, 2))]
        schema[rng.choice(["anyOf", "oneOf", "allOf"])] = alternatives
    return {**schema, "$defs": {"p": _record(rng, 1), "q": {"$id": "inner", "$defs": {"p": {}, "r": {}}}, "r": {}}}


def _record(rng: Random, depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"} if rng.random() < 0.9 else {}
    if rng.random() < 0.9:
        schema["properties"] = {name: _part(rng, depth) for name in rng.sample(NAMES, rng.randint(1, 3))}
    if rng.random() < 0.4:
        schema["required"] = rng.sample(NAMES, 1)
    if rng.random() < 0.4:
        schema["additionalProperties"] = rng.random() < 0.5 and _part(rng, depth)
    if rng.random() < 0.3:
        schema["patternProperties"] = {rng.choice(["^x-", "a|b", "^ki?", "^q*a"]): _part(rng, depth)}
    return schema


def _part(rng: Random, depth: int) -> dict[str, Any]:
    part: dict[str, Any]
    if depth > 0 and rng.random() < 0.4:
        part = {"$ref": "#/$defs/p"} if rng.random() < 0.3 else _record(rng, depth - 1)
    elif rng.random() < 0.3:
        part = {"enum": [rng.choice(NUMBERS) for _ in range(2)]}
    else:
        part = {"type": rng.choice(["integer", "number", "number", "string"])}
    if rng.random() < 0.3:
        part["default"] = rng.choice([1, 2.0, {}, {"a": 1, "b": 0.5}])
    return part


def _schema(rng: Random, depth: int) -> Any:
    if rng.randrange(20) == 0:
        return rng.random() < 0.8
    if depth <= 0:
        return rng.choice([{"type": rng.choice(TYPES)}, {"type": "integer"}, {"type": "number"}, {"$ref": rng.choice(REFERENCES)}])  # fmt: skip
    return _keywords(rng, depth)


def _keywords(rng: Random, depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    kind = rng.choice(TYPES)
    match rng.randrange(12):
        case 0:
            schema["$ref"] = rng.choice(REFERENCES)
        case 1:
            schema["enum"] = [value(rng, 1) for _ in range(rng.randint(1, 3))]
        case 2:
            schema["const"] = value(rng, 1)
        case 3:
            pass
        case 4:
            schema["type"] = [kind, *({"null"} - {kind})]
        case _:
            schema["type"] = kind
    if rng.random() < 0.8:
        _add_own(rng, schema, kind, depth - 1)
    if rng.randrange(3) == 0:
        keyword = rng.choice(["anyOf", "oneOf", "allOf", "allOf"])
        schema[keyword] = [_schema(rng, depth - 1) for _ in range(rng.randint(1, 3))]
    if rng.randrange(12) == 0:
        schema[rng.choice(CONDITIONS)] = _schema(rng, depth - 1)
    if rng.randrange(6) == 0:
        schema["default"] = value(rng, 1)
    return schema


def _add_own(rng: Random, schema: dict[str, Any], kind: str, depth: int) -> None:
    match kind:
        case "object":
            schema["properties"] = {name: _schema(rng, depth) for name in rng.sample(NAMES, rng.randint(1, 3))}
            if rng.random() < 0.5:
                schema["required"] = rng.sample(NAMES, rng.randint(0, 2))
            if rng.randrange(3) == 0:
                schema["additionalProperties"] = rng.random() < 0.5 and _schema(rng, depth)
            if rng.randrange(6) == 0:
                schema["patternProperties"] = {pattern: _schema(rng, depth) for pattern in rng.sample(["^x-", "a|b", "^ki?", "^q*a"], 2)}  # fmt: skip
            if rng.randrange(12) == 0:
                schema["dependentSchemas"] = {rng.choice(NAMES): _schema(rng, depth)}
        case "array":
            if rng.random() < 0.7:
                schema["items"] = _schema(rng, depth)
            if rng.randrange(3) == 0:
                schema["prefixItems"] = [_schema(rng, depth) for _ in range(rng.randint(1, 2))]
        case "integer" | "number":
            keyword = rng.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
            schema[keyword] = rng.choice(NUMBERS)
        case _:
            pass


def value(rng: Random, depth: int) -> Any:
    """Any JSON value."""
    match rng.randrange(9 if depth > 0 else 7):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2 | 3 | 4:
            return rng.choice(NUMBERS)
        case 5 | 6:
            return rng.choice(["", "a", "x", "é"])
        case 7:
            return [value(rng, depth - 1) for _ in range(rng.randrange(3))]
        case _:
            return {name: value(rng, depth - 1) for name in rng.sample(NAMES, rng.randrange(3))}


class Instances:
    """Makes values that follow some alternative of a document, as far as that goes."""

    def __init__(self, rng: Random, root: dict[str, Any]) -> None:
        self._rng = rng
        self._root = root
        definitions = root["$defs"]
        inner = definitions["q"]
        self._targets: dict[str, Any] = {
            "#": root,
            "#/$defs/p": definitions["p"],
            "#/$defs/q": inner,
            "#r": definitions["r"],
            "inner": inner,
            "inner#/$defs/p": inner["$defs"]["p"],
            "inner#r": inner["$defs"]["r"],
        }

    def one(self) -> Any:
        """A value that may be valid."""
        return value(self._rng, 2) if self._rng.randrange(6) == 0 else self._value([self._root], 3)

    def _value(self, wanted: list[Any], depth: int) -> Any:
        atoms = [atom for schema in wanted for atom in self._atoms(schema, 0)]
        for atom in atoms:
            if "const" in atom or "enum" in atom:
                return self._rng.choice([atom["const"]] if "const" in atom else atom["enum"])
        kinds = [
            {atom["type"]} if isinstance(atom["type"], str) else set(atom["type"]) for atom in atoms if "type" in atom
        ]
        common = set.intersection(*kinds) if kinds else set()
        if any({"integer"} == kind for kind in kinds):
            common = {"integer"}
        if not kinds:
            common = {"object"} if any("properties" in atom for atom in atoms) else set(TYPES)
        match self._rng.choice(sorted(common) or ["null"]):
            case "object":
                return self._object(atoms, depth)
            case "array":
                return self._array(atoms, depth)
            case "integer":
                return self._rng.choice([number for number in NUMBERS if number == int(number)])
            case "number":
                return self._rng.choice(NUMBERS)
            case "string":
                return self._rng.choice(["", "a", "x"])
            case "boolean":
                return self._rng.random() < 0.5
            case _:
                return None

    def _atoms(self, schema: Any, depth: int) -> list[dict[str, Any]]:
        if not isinstance(schema, dict) or depth > 5:
            return []
        found = [schema]
        if "$ref" in schema:
            found += self._atoms(self._targets[schema["$ref"]], depth + 1)
        for part in schema.get("allOf", ()):
            found += self._atoms(part, depth + 1)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                found += self._atoms(self._rng.choice(schema[keyword]), depth + 1)
        return found

    def _object(self, atoms: list[dict[str, Any]], depth: int) -> dict[str, Any]:
        required = {name for atom in atoms for name in atom.get("required", ())}
        closed = any(atom.get("additionalProperties") is False for atom in atoms)
        made = {}
        for name in (*NAMES, "z"):  # no schema names the last
            wanted = []
            for atom in atoms:
                named = atom.get("properties", {})
                wanted += (
                    [named[name]]
                    if name in named
                    else [atom["additionalProperties"]]
                    if "additionalProperties" in atom
                    else []
                )
            likely = 0.6 if any(name in atom.get("properties", ()) for atom in atoms) else 0.0 if closed else 0.2
            if name in required or (depth > 0 and self._rng.random() < likely):
                made[name] = self._value(wanted, depth - 1) if depth > -3 else None
        return made

    def _array(self, atoms: list[dict[str, Any]], depth: int) -> list[Any]:
        made = []
        for index in range(self._rng.randrange(4) if depth > 0 else 0):
            wanted = []
            for atom in atoms:
                first = atom.get("prefixItems", [])
                wanted += [first[index]] if index < len(first) else [atom["items"]] if "items" in atom else []
            made.append(self._value(wanted, depth - 1))
        return made
