"""Whether values of one type are taken where another is wanted: an event's data by its schema, arguments by a hint.

`assign` unifies types inside expressions and lets `dyn`, objects and nulls pass as CEL does; here it is JSON that meets
a contract. Only what can never fit is a misfit, and a null that nobody has excluded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flowlang.expr.operators import did_you_mean
from flowlang.expr.type_words import in_words
from flowlang.expr.types import (
    NULL,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    Scalar,
    Type,
    is_dyn,
    kind,
    without_null,
)

#: Keys and positions from the whole to a part.
PartPath = tuple[str | int, ...]

#: How deep parts are compared; a schema may contain itself.
MAX_DEPTH: Final = 16
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
_BOOLEANS: Final = frozenset({"0", "1", "true", "false", "yes", "no", "on", "off", "t", "f", "y", "n"})
_CLASSES: Final[Mapping[type, str]] = {bool: "bool", int: "int", float: "double", str: "string"}


class Wrong(Enum):
    """What is wrong with a part."""

    MISSING = "missing"  #: the path is that of the whole that lacks it
    UNKNOWN = "unknown"  #: the path leads to a key that is not taken
    TYPE = "type"  #: the path leads to a value that is not taken


@dataclass(frozen=True, slots=True)
class Misfit:
    """A part that does not fit.

    Args:
        wrong: In which way.
        path: From the whole to the part.
        name: Of the field that is missing or unknown; else empty.
        message: What is wanted and what is there, as the end of a sentence about the part.
        hint: What would be right, or None.
    """

    wrong: Wrong
    path: PartPath
    name: str
    message: str
    hint: str | None = None


def misfits(
    value: Any, templates: Mapping[PartPath, Type], wanted: Type, *, converted: bool = False
) -> Iterator[Misfit]:
    """Compare a written value with the type that its place wants.

    Args:
        value: As written: texts at paths of `templates` are computed, all else is literal.
        templates: Types of the texts with expressions, by path.
        wanted: The type of the place.
        converted: Whether texts that say a number or boolean are taken for one, as handlers' contracts do.
    """
    yield from _Comparison(templates, converted=converted).value(value, wanted, ())


class _Comparison:
    def __init__(self, templates: Mapping[PartPath, Type], *, converted: bool) -> None:
        self._templates = templates
        self._converted = converted

    def value(self, value: Any, wanted: Type, path: PartPath) -> Iterator[Misfit]:
        """Compare what is written at a path."""
        computed = self._templates.get(path)
        target = without_null(wanted)
        if computed is not None:
            yield from self.type(computed, wanted, path, 0)
        elif is_dyn(target):
            return
        elif isinstance(value, dict) and isinstance(target, ObjectOf | MapOf):
            yield from self._map(value, target, path)
        elif isinstance(value, list) and isinstance(target, ListOf):
            for place, part in enumerate(value):
                yield from self.value(part, target.element, (*path, place))
        elif isinstance(value, dict | list):
            there = "a map" if isinstance(value, dict) else "a list"
            yield Misfit(Wrong.TYPE, path, "", f"must be {in_words(wanted)}, and is {there}")
        else:
            literal = NULL if value is None else Scalar(_CLASSES[value.__class__], (value,))
            yield from self.type(literal, wanted, path, 0)

    def _map(self, value: dict[str, Any], wanted: ObjectOf | MapOf, path: PartPath) -> Iterator[Misfit]:
        if isinstance(wanted, MapOf):
            for key, part in value.items():
                yield from self.value(part, wanted.value, (*path, key))
            return
        for key, part in value.items():
            field = wanted.field(key)
            if field is not None:
                yield from self.value(part, field.type, (*path, key))
            elif wanted.closed:
                yield _unknown(key, wanted, (*path, key))
        for key, field in wanted.fields.items():
            if field.required and not field.filled and key not in value:
                yield _missing(key, wanted, path)

    def type(self, given: Type, wanted: Type, path: PartPath, depth: int) -> Iterator[Misfit]:
        """Compare a type with the wanted one."""
        if is_dyn(given) or is_dyn(wanted) or depth > MAX_DEPTH:
            return
        if not isinstance(wanted, Nullable) and kind(wanted) != "null":
            if isinstance(given, Nullable):
                hint = "say what to give instead, as in x == null ? '' : x, or test it with != null before"
                yield Misfit(Wrong.TYPE, path, "", f"must be {in_words(wanted)}, and may be null", hint)
            elif kind(given) == "null":
                yield Misfit(Wrong.TYPE, path, "", f"must be {in_words(wanted)}, and is null")
                return
        elif kind(given) == "null":
            return
        given, target = without_null(given), without_null(wanted)
        match given, target:
            case (Scalar(), Scalar()):
                yield from self._scalar(given, target, path)
            case (ListOf(), ListOf()):
                yield from self.type(given.element, target.element, path, depth + 1)
            case (MapOf(), MapOf()):
                yield from self.type(given.value, target.value, path, depth + 1)
            case (ObjectOf(), MapOf()):
                for name, field in given.fields.items():
                    yield from self._part(name, self.type(field.type, target.value, path, depth + 1))
            case (MapOf(), ObjectOf()):
                return
            case (ObjectOf(), ObjectOf()):
                yield from self._object(given, target, path, depth)
            case _ if kind(given) in _PLAIN and kind(target) in _PLAIN:
                yield Misfit(Wrong.TYPE, path, "", f"must be {in_words(wanted)}, and is {in_words(given)}")
            case _:
                return

    def _object(self, given: ObjectOf, wanted: ObjectOf, path: PartPath, depth: int) -> Iterator[Misfit]:
        if given is wanted:
            return
        for name, field in given.fields.items():
            there = wanted.field(name)
            if there is not None:
                yield from self._part(name, self.type(field.type, there.type, path, depth + 1))
            elif wanted.closed and field.required:
                yield _unknown(name, wanted, path)
        for name, field in wanted.fields.items():
            if field.required and not field.filled and given.field(name) is None:
                yield _missing(name, wanted, path)

    @staticmethod
    def _part(name: str, found: Iterator[Misfit]) -> Iterator[Misfit]:
        """What is wrong with a field of a computed value, said of the whole."""
        for each in found:
            message = f"has a `{name}` that {each.message}" if each.wrong is Wrong.TYPE else each.message
            yield Misfit(Wrong.TYPE, each.path, "", message, each.hint)

    def _scalar(self, given: Scalar, wanted: Scalar, path: PartPath) -> Iterator[Misfit]:
        if not self._kinds_fit(given, wanted):
            hint = None
            if wanted.kind == "string" and given.kind in {"int", "uint", "double", "bool"}:
                hint = f'quote it: `"{_written(given.values[0])}"`' if given.values else "convert it with string(…)"
            elif given.kind == "string" and wanted.kind in {"int", "double"} and not given.values:
                hint = f"convert it with {wanted.kind}(…)"
            there = f"is `{given.values[0]}`" if given.values and len(given.values) == 1 else f"is {in_words(given)}"
            yield Misfit(Wrong.TYPE, path, "", f"must be {in_words(wanted)}, and {there}", hint)
        elif wanted.values is not None and given.values is not None and not set(given.values) & set(wanted.values):
            listed = ", ".join(f"`{_written(value)}`" for value in wanted.values[:8])
            near = did_you_mean(str(given.values[0]), [str(value) for value in wanted.values]).removeprefix("; ")
            found = f"`{_written(given.values[0])}`"
            yield Misfit(Wrong.TYPE, path, "", f"must be one of {listed}, and is {found}", near or None)
        elif given.kind == wanted.kind or wanted.kind in {"int", "double"}:
            yield from self._bounds(given, wanted, path)

    def _kinds_fit(self, given: Scalar, wanted: Scalar) -> bool:
        if given.kind == wanted.kind or (given.kind in _NUMBERS and wanted.kind in _NUMBERS):
            whole = wanted.kind == "double" or given.kind != "double" or given.values is None
            return whole or all(float(str(value)).is_integer() for value in given.values or ())
        if not self._converted:
            return False
        if given.kind == "string" and given.values is not None:
            if wanted.kind in _NUMBERS:
                return all(_NUMBER.fullmatch(str(value)) for value in given.values)
            return wanted.kind == "bool" and all(str(value).lower() in _BOOLEANS for value in given.values)
        if wanted.kind == "bool" and given.kind in _NUMBERS:
            return given.values is None or set(given.values) <= {0, 1}
        return given.kind == "bool" and wanted.kind in _NUMBERS

    @staticmethod
    def _bounds(given: Scalar, wanted: Scalar, path: PartPath) -> Iterator[Misfit]:
        numbers = [value for value in given.values or () if isinstance(value, int | float)]
        least = min(numbers) if numbers else given.minimum
        most = max(numbers) if numbers else given.maximum
        there = f"is {_written(numbers[0])}" if len(numbers) == 1 else "never is"
        if wanted.minimum is not None and most is not None and most < wanted.minimum:
            yield Misfit(Wrong.TYPE, path, "", f"must be at least {_written(wanted.minimum)}, and {there}")
        elif wanted.maximum is not None and least is not None and least > wanted.maximum:
            yield Misfit(Wrong.TYPE, path, "", f"must be at most {_written(wanted.maximum)}, and {there}")


_NUMBERS: Final = frozenset({"int", "uint", "double"})
#: Kinds of JSON.
_PLAIN: Final = frozenset({"bool", "int", "uint", "double", "string", "list", "map"})


def _unknown(name: str, wanted: ObjectOf, path: PartPath) -> Misfit:
    near = did_you_mean(name, list(wanted.fields)).removeprefix("; ")
    listed = ", ".join(f"`{field}`" for field in list(wanted.fields)[:8])
    hint = near or (f"its fields are: {listed}" if listed else None)
    return Misfit(Wrong.UNKNOWN, path, name, f"{in_words(wanted)} has no field `{name}`", hint)


def _missing(name: str, wanted: ObjectOf, path: PartPath) -> Misfit:
    return Misfit(Wrong.MISSING, path, name, f"{in_words(wanted)} needs `{name}`")


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
