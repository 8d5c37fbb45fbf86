"""Python types of events, from their schemas: `TypedDict`s, for the hints of handlers.

`TypedDict`, not data classes: an event's data is plain JSON and stays it, `event["email"]` reads as in an expression,
fields that may be missing are no fields with a made-up default, and names that are none of Python's can be written.
Where a handler has such a hint, its contract checks the data when it is called. Fields that a schema does not name are
kept, which pydantic does not do by itself. Python before 3.12 has no `TypedDict` that pydantic takes, hence
`typing_extensions`, which pydantic brings.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_HEAD: Final = '''\
"""Types of the data of events, from their schemas. Written by `flowlang types --write`; do not change it here."""

from __future__ import annotations
'''

#: Where names that the types need come from.
_MODULES: Final[Mapping[str, frozenset[str]]] = {
    "typing": frozenset({"Any", "Literal", "TypeAlias"}),
    "pydantic": frozenset({"ConfigDict", "with_config"}),
    "typing_extensions": frozenset({"NotRequired", "TypedDict"}),
}

#: Lets pydantic keep fields that a class does not name.
_KEEPING: Final = 'with_config(ConfigDict(extra="allow"))'

_SCALARS: Final[Mapping[str, str]] = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}
_WORD = re.compile(r"[A-Za-z0-9]+")
_REFERENCE = re.compile(r"#/(\$defs|definitions)/([^/]+)")


@dataclass(slots=True)
class _Class:
    """A `TypedDict`, as text."""

    name: str
    doc: str
    fields: list[tuple[str, str, bool, str]] = field(default_factory=list)
    is_open: bool = True


def event_types(schemas: Mapping[str, Any]) -> str:
    """Write a Python module.

    Args:
        schemas: JSON Schemas by event name; their references stay within each of them.

    Returns:
        The module's text: a class for each event, `VideoUploaded` for `video/uploaded`, and those inside them.
    """
    writer = _Writer()
    for name in sorted(schemas):
        writer.event(name, schemas[name])
    imports = [
        f"from {module} import {', '.join(names)}\n"
        for module, offered in _MODULES.items()
        if (names := sorted(writer.imports & offered))
    ]
    if imports and imports[0].startswith("from typing import"):
        imports[0] += "\n" if imports[1:] else ""
    head = f"{_HEAD}\n{''.join(imports)}" if imports else _HEAD
    return head + "".join(f"\n\n{text}" for text in writer.texts)


class _Writer:
    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.texts: list[str] = []
        self._taken: set[str] = set()
        self._root: Any = {}
        self._by_reference: dict[str, str] = {}

    def event(self, event: str, schema: Any) -> None:
        """Write the types of an event."""
        self._root = schema
        self._by_reference = {}
        name = self._free(_camel(event))
        doc = f"The data of `{event}`."
        if isinstance(schema, dict) and isinstance(schema.get("description"), str):
            doc = f"{doc}\n\n{schema['description']}"
        if self._is_object(schema):
            self._class(name, doc, schema)
            return
        hint = self._hint(schema, name)
        self.imports.add("TypeAlias")
        self.texts.append(f'{name}: TypeAlias = {_quoted(hint)}\n"""{_doc(doc)}"""\n')

    def _is_object(self, schema: Any) -> bool:
        """Whether a schema has named fields and nothing that would take other shapes in."""
        return (
            isinstance(schema, dict)
            and schema.get("type", "object") == "object"
            and isinstance(schema.get("properties"), dict)
            and not {"$ref", "anyOf", "oneOf", "enum", "const"} & set(schema)
        )

    def _class(self, name: str, doc: str, schema: Any) -> None:
        required = schema.get("required", ())
        fields = []
        for key, value in schema["properties"].items():
            note = value.get("description", "") if isinstance(value, dict) else ""
            fields.append((key, self._hint(value, f"{name}{_camel(key)}"), key in required, str(note)))
        self.imports.add("TypedDict")
        if any(not needed for _, _, needed, _ in fields):
            self.imports.add("NotRequired")
        is_open = schema.get("additionalProperties", True) is not False
        if is_open:
            self.imports |= {"ConfigDict", "with_config"}
        self.texts.append(_class_text(_Class(name, doc, fields, is_open)))

    def _hint(self, schema: Any, name: str) -> str:
        """The type hint of a schema; classes that it needs are written under names that begin with `name`."""
        if not isinstance(schema, dict):
            return self._any()
        if "$ref" in schema:
            return self._reference(schema["$ref"], name)
        if "const" in schema:
            return self._literal([schema["const"]])
        if "enum" in schema:
            return self._literal(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                arms = [self._hint(arm, f"{name}{place or ''}") for place, arm in enumerate(schema[key])]
                return self._union(arms)
        kinds = schema.get("type")
        if kinds is None:
            kinds = "object" if "properties" in schema else []
        return self._union([self._kind(kind, schema, name) for kind in ([kinds] if isinstance(kinds, str) else kinds)])

    def _kind(self, kind: str, schema: Any, name: str) -> str:
        if kind == "array":
            return f"list[{self._hint(schema.get('items', True), f'{name}Item')}]"
        if kind == "object":
            if isinstance(schema.get("properties"), dict):
                free = self._free(name)
                self._class(free, str(schema.get("description") or f"A part of `{name}`."), schema)
                return free
            more = schema.get("additionalProperties", True)
            return f"dict[str, {self._hint(more, f'{name}Value')}]"
        return _SCALARS.get(kind) or self._any()

    def _reference(self, reference: str, name: str) -> str:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return self._any()
        found = self._by_reference.get(reference)
        if found is not None:
            return found
        target: Any = self._root.get(match[1], {}).get(match[2], True) if isinstance(self._root, dict) else True
        if not self._is_object(target):
            self._by_reference[reference] = self._any()  # what holds itself without being an object has no name
            self._by_reference[reference] = hint = self._hint(target, name)
            return hint
        free = self._free(_camel(match[2]))
        self._by_reference[reference] = free  # it may hold itself
        self._class(free, str(target.get("description") or f"`{match[2]}`."), target)
        return free

    def _literal(self, values: list[Any]) -> str:
        if not all(value is None or isinstance(value, str | int) for value in values) or not values:
            return self._any()
        self.imports.add("Literal")
        return f"Literal[{', '.join(map(repr, values))}]"

    def _union(self, hints: list[str]) -> str:
        distinct = list(dict.fromkeys(hints))
        if "Any" in distinct or not distinct:
            return self._any()
        return " | ".join(distinct)

    def _any(self) -> str:
        self.imports.add("Any")
        return "Any"

    def _free(self, name: str) -> str:
        """A name that no class has yet."""
        free, number = name, 2
        while free in self._taken or keyword.iskeyword(free) or free in {"Any", "Literal", "NotRequired", "TypedDict"}:
            free, number = f"{name}{number}", number + 1
        self._taken.add(free)
        return free


def _camel(text: str) -> str:
    name = "".join(word[:1].upper() + word[1:] for word in _WORD.findall(text))
    return name if name[:1].isalpha() else f"Event{name}"


def _doc(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _indented(text: str) -> str:
    """A docstring in a class."""
    lines = f'"""{_doc(text)}"""'.split("\n")
    return "\n".join(f"    {line}".rstrip() for line in lines)


def _quoted(hint: str) -> str:
    """A hint that is a value at run time: what it names may be written further down."""
    return repr(hint)


def _class_text(written: _Class) -> str:
    """A class where all fields are names of Python, else a call."""
    if all(key.isidentifier() and not keyword.iskeyword(key) for key, _, _, _ in written.fields):
        keeping = [f"@{_KEEPING}"] if written.is_open else []
        lines = [*keeping, f"class {written.name}(TypedDict):", _indented(written.doc), ""]
        for key, hint, needed, note in written.fields:
            lines.append(f"    {key}: {hint if needed else f'NotRequired[{hint}]'}")
            if note:
                lines.append(_indented(note))
        return "\n".join(lines).rstrip() + "\n"
    pairs = [
        f"        {key!r}: {_quoted(hint) if needed else f'NotRequired[{_quoted(hint)}]'},"
        for key, hint, needed, _ in written.fields
    ]
    head = [f"{written.name} = TypedDict(", f"    {written.name!r},", "    {", *pairs, "    },", ")"]
    keeping = [f"{_KEEPING}({written.name})"] if written.is_open else []
    return "\n".join([*head, f'"""{_doc(written.doc)}"""', *keeping, ""])
