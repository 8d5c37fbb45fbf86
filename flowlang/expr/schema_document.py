"""JSON Schemas as documents: their parts, and where the references in them lead.

Owns how a reference is followed, for types and for data alike: inside the document only, by pointer, anchor or `$id`,
and to what the library that validates would find there. What leads elsewhere, or is ambiguous, is not followed. What
keywords say is the business of those who ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote, urljoin

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

#: What relative names are relative to in a document without `$id`; any will do.
_BASE: Final = "https://schema.invalid/"

#: Keywords by what they hold: schemas by name, lists of schemas, one schema. Everything else holds data.
_BY_NAME: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONE: Final = (
    "items", "contains", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "propertyNames",
    "if", "then", "else", "not", "contentSchema",
)  # fmt: skip

_NAMING: Final = frozenset({"$id", "$anchor", "$dynamicAnchor"})

Path = tuple[str | int, ...]


class Place:
    """One schema in a document; the same place is the same object.

    Attributes:
        path: Keys and indices that lead to it from the root.
        schema: What is written there.
        keywords: The schema's keywords; none when it is a boolean, broken, or written for another JSON Schema.
        foreign: Whether it is written for another JSON Schema, so that nothing is known of it.
    """

    __slots__ = ("foreign", "keywords", "path", "schema")

    def __init__(self, path: Path, schema: Any) -> None:
        self.path = path
        self.schema = schema
        self.foreign = bool(path) and _is_foreign(schema)
        self.keywords: dict[str, Any] = schema if isinstance(schema, dict) and not self.foreign else {}

    def __repr__(self) -> str:
        return f"Place({'/'.join(map(str, self.path))})"


class SchemaDocument:
    """A schema with all that is written in it.

    Args:
        schema: Any JSON value; what is no schema has no keywords.
    """

    def __init__(self, schema: Any) -> None:
        self.root = Place((), schema)
        self._places: dict[Path, Place] = {(): self.root}
        self._index: _Index | None = None  #: made when a reference asks for it: most schemas have none

    def at(self, path: Path, schema: Any) -> Place:
        """The place of a schema that is known to be written at a path."""
        return self._places.get(path) or self._places.setdefault(path, Place(path, schema))

    def one(self, place: Place, keyword: str) -> Place | None:
        """The schema that a keyword holds, or None."""
        if keyword not in place.keywords:
            return None
        return self.at((*place.path, keyword), place.keywords[keyword])

    def each(self, place: Place, keyword: str) -> list[Place]:
        """The schemas in the list that a keyword holds."""
        written = place.keywords.get(keyword)
        if not isinstance(written, list):
            return []
        return [self.at((*place.path, keyword, index), schema) for index, schema in enumerate(written)]

    def named(self, place: Place, keyword: str) -> dict[str, Place]:
        """The schemas that a keyword holds by name."""
        written = place.keywords.get(keyword)
        if not isinstance(written, dict):
            return {}
        return {name: self.at((*place.path, keyword, name), schema) for name, schema in written.items()}

    def conjuncts(self, place: Place) -> list[Place]:
        """The schemas that hold for the same value whenever a place's does: of `$ref` and `allOf`, in this order."""
        target = self.follow(place)
        return [*([] if target is None else [target]), *self.each(place, "allOf")]

    def follow(self, place: Place) -> Place | None:
        """What the `$ref` of a place leads to.

        Args:
            place: Where it is written.

        Returns:
            The target; None when there is no reference, or it does not lead to one place in this document.
        """
        reference = place.keywords.get("$ref")
        if not isinstance(reference, str):
            return None
        if self._index is None:
            self._index = _Index(self.root.schema)
        name, _, fragment = reference.partition("#")
        base = self._index.base(place.path)
        if name:
            joined = _joined(base, name)
            if joined is None:
                return None
            base = joined
        path = self._index.resources.get(base)
        if path is None:
            return None
        if fragment and not fragment.startswith("/"):
            path = self._index.anchors.get((base, fragment))
            return None if path is None else self._below(path, ())
        return self._below(path, map(_decoded, fragment.split("/")[1:]))

    def _below(self, start: Path, steps: Iterable[str]) -> Place | None:
        """Walk down from a part; None where there is nothing, or another JSON Schema on the way."""
        schema, path = self.root.schema, start
        for key in start:
            schema = schema[key]
        for step in steps:
            key = (
                int(step)
                if isinstance(schema, list) and step.isascii() and step.isdecimal() and len(step) < 10
                else step
            )
            there = isinstance(schema, dict) and key in schema and not (path and _is_foreign(schema))
            if not there and not (isinstance(schema, list) and isinstance(key, int) and key < len(schema)):
                return None
            schema, path = schema[key], (*path, key)
        return self.at(path, schema)


def number_kind(schema: dict[str, Any]) -> str | None:
    """Which kind of number a schema makes of integral numbers, by its own keywords.

    Args:
        schema: Keywords of a schema.

    Returns:
        `number` or `integer`, by `type`, or without `type` by how the members of `const` or `enum` are written. None:
        numbers stay as they came.
    """
    declared = schema.get("type")
    types = declared if isinstance(declared, list) else [declared]
    for kind in ("number", "integer"):
        if kind in types:
            return kind
    if "type" in schema:
        return None
    members = [schema["const"]] if "const" in schema else schema.get("enum")
    kinds = {member.__class__ for member in members} & {int, float} if isinstance(members, list) else set()
    return ("number" if float in kinds else "integer") if kinds else None


class _Index:
    """What the parts of a document call themselves."""

    def __init__(self, root: Any) -> None:
        self._bases: dict[Path, str] = {(): _BASE}
        self.resources: dict[str, Path | None] = {_BASE: ()}  #: None: two have the name
        self.anchors: dict[tuple[str, str], Path | None] = {}
        pending: list[tuple[Path, Any, str]] = [((), root, _BASE)] if _has_names(root) else []
        while pending:
            path, schema, base = pending.pop()
            if not isinstance(schema, dict) or (path and _is_foreign(schema)):
                continue
            base = self._read(path, schema, base)
            pending += [(inner, part, base) for inner, part in _parts(path, schema)]

    def base(self, path: Path) -> str:
        """The name of the resource that a place belongs to."""
        for length in range(len(path), 0, -1):
            found = self._bases.get(path[:length])
            if found is not None:
                return found
        return self._bases[()]

    def _read(self, path: Path, schema: dict[str, Any], base: str) -> str:
        ident = schema.get("$id")
        if isinstance(ident, str) and (name := _joined(base, ident.partition("#")[0])) is not None and name != base:
            self._bases[path] = base = name
            self.resources[base] = None if base in self.resources else path
        for keyword in ("$anchor", "$dynamicAnchor"):
            anchor = schema.get(keyword)
            if isinstance(anchor, str):
                key = (base, anchor)
                self.anchors[key] = None if self.anchors.get(key, path) != path else path
        return base


def _has_names(root: Any) -> bool:
    """Whether anything in a document has a name: most have none, and that is quickly seen."""
    pending = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if not _NAMING.isdisjoint(value):
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def _parts(path: Path, schema: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    for keyword in _BY_NAME:
        if isinstance(written := schema.get(keyword), dict):
            yield from (((*path, keyword, name), part) for name, part in written.items())
    for keyword in _LISTS:
        if isinstance(written := schema.get(keyword), list):
            yield from (((*path, keyword, index), part) for index, part in enumerate(written))
    for keyword in _ONE:
        if keyword in schema:
            yield (*path, keyword), schema[keyword]


def _is_foreign(schema: Any) -> bool:
    dialect = schema.get("$schema", DIALECT) if isinstance(schema, dict) else DIALECT
    return not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT


def _joined(base: str, name: str) -> str | None:
    try:
        return urljoin(base, name)
    except ValueError:  # a broken name
        return None


def _decoded(step: str) -> str:
    return unquote(step).replace("~1", "/").replace("~0", "~")
