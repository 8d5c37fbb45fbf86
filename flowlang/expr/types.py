"""The types of the expression language, as the checker deduces them before anything is evaluated.

A type says what a value may be; the values themselves are in `values`. Types from a JSON Schema know more than CEL's
own: which fields an object has, which of them may be absent or null, which texts an enum allows, and between which
bounds a number lies. What a type is assignable to is `assign`'s work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Type:
    """Any type; compare with `==` for being exactly the same."""


@dataclass(frozen=True, slots=True)
class Scalar(Type):
    """A type without parts.

    Args:
        kind: `bool int uint double string bytes null timestamp duration`, or `dyn`: known only at run time, or
            `error`: of a part that has been reported, so that nothing more is said of it.
        values: The only values it has, from an `enum` or `const`; None: any.
        minimum: Least int or double that it has; None: any.
        maximum: Greatest int or double that it has; None: any.
    """

    kind: str
    values: tuple[object, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None

    def __str__(self) -> str:
        return self.kind


@dataclass(frozen=True, slots=True)
class ListOf(Type):
    """A list whose elements have a type."""

    element: Type

    def __str__(self) -> str:
        return f"list<{self.element}>"


@dataclass(frozen=True, slots=True)
class MapOf(Type):
    """A map whose keys and values have types."""

    key: Type
    value: Type

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


@dataclass(frozen=True, slots=True)
class OptionalOf(Type):
    """An optional, such as `.?` gives."""

    value: Type

    def __str__(self) -> str:
        return f"optional<{self.value}>"


@dataclass(frozen=True, slots=True)
class Nullable(Type):
    """Null, or a value of a type; never nested, and never around `null` or `dyn`: make it with `nullable`."""

    type: Type

    def __str__(self) -> str:
        return f"{self.type} or null"


@dataclass(frozen=True, slots=True)
class TypeOf(Type):
    """The type of a type as a value: `int` has the type `type<int>`."""

    type: Type

    def __str__(self) -> str:
        return f"type<{self.type}>"


@dataclass(frozen=True, slots=True)
class Opaque(Type):
    """A type that a library brings, such as `ip`."""

    name: str
    parameters: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}<{', '.join(map(str, self.parameters))}>" if self.parameters else self.name


@dataclass(frozen=True, slots=True)
class Variable(Type):
    """A type that is still to be found out: a parameter of a signature, or the element of an empty list."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object.

    Args:
        type: Of its value.
        required: Whether it is always there; if not, it must be guarded before it is read.
        sensitive: Where the value comes from that must not be shown, in words; empty: it may be.
        reason: Why it may be absent, in words; empty: because its schema says so.
        filled: Whether it is there because a default is filled in, so that who makes the data may leave it out.
    """

    type: Type
    required: bool = True
    sensitive: str = ""
    reason: str = ""
    filled: bool = False


class ObjectOf(Type):
    """A map whose fields are known by name, such as a JSON Schema declares.

    Two objects are equal when they are the same one: a schema may contain itself, so that comparing parts would not
    end. For the same reason the fields are filled in after the object has been made, and not changed after that.

    Args:
        name: What to call it in messages, such as `the data of order/placed`; empty: by its fields.
        fields: By name.
        rest: Type of the fields that are not named, or None when there are none.
        closed: Whether it is said that there are no other fields; else there are none only as far as one should read.
        variants: What it is for certain values of one of its fields: the field's name, and the types by value.
    """

    __slots__ = ("closed", "fields", "name", "rest", "variants")

    def __init__(
        self,
        name: str = "",
        fields: Mapping[str, Field] | None = None,
        rest: Type | None = None,
        *,
        closed: bool = False,
        variants: tuple[str, Mapping[object, ObjectOf]] | None = None,
    ) -> None:
        self.name: str
        self.fields: dict[str, Field]
        self.rest: Type | None
        self.closed: bool
        self.variants: tuple[str, Mapping[object, ObjectOf]] | None
        given = {"name": name, "fields": dict(fields or {}), "rest": rest, "closed": closed, "variants": variants}
        for key, value in given.items():
            object.__setattr__(self, key, value)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def fill(self, fields: Mapping[str, Field], rest: Type | None) -> None:
        """Complete an object that was made before its fields were known.

        Args:
            fields: By name.
            rest: Type of the fields that are not named, or None.
        """
        self.fields.update(fields)
        object.__setattr__(self, "rest", rest)

    def field(self, name: str) -> Field | None:
        """Find a field.

        Args:
            name: Its name.

        Returns:
            The field; one of the unnamed fields may be absent. None where there is no such field.
        """
        found = self.fields.get(name)
        if found is None and self.rest is not None:
            return Field(self.rest, required=False)
        return found

    def __repr__(self) -> str:
        return f"ObjectOf({self.name!r}, {sorted(self.fields)})"

    def __str__(self) -> str:
        if self.name:
            return self.name
        shown = list(self.fields)[:6]
        more = ", …" if len(self.fields) > len(shown) or self.rest is not None else ""
        return f"{{{', '.join(shown)}{more}}}"


BOOL: Final = Scalar("bool")
INT: Final = Scalar("int")
UINT: Final = Scalar("uint")
DOUBLE: Final = Scalar("double")
STRING: Final = Scalar("string")
BYTES: Final = Scalar("bytes")
NULL: Final = Scalar("null")
TIMESTAMP: Final = Scalar("timestamp")
DURATION: Final = Scalar("duration")
DYN: Final = Scalar("dyn")
ERROR: Final = Scalar("error")

#: Scalars by the names that signatures and types as values use.
SCALARS: Final[Mapping[str, Scalar]] = {
    scalar.kind: scalar for scalar in (BOOL, INT, UINT, DOUBLE, STRING, BYTES, NULL, TIMESTAMP, DURATION, DYN)
}


def is_dyn(type_: Type) -> bool:
    """Whether a type says nothing: `dyn`, or of a part that has been reported."""
    return type_.__class__ is Scalar and type_.kind in {"dyn", "error"}


def kind(type_: Type) -> str:
    """Give the kind of a scalar; of other types, their class in a word.

    Args:
        type_: Any type.

    Returns:
        Such as `int`, `list`, `map` (objects too), `optional`, `nullable`, `type`, `variable`, or an opaque name.
    """
    if isinstance(type_, Scalar):
        return type_.kind
    if isinstance(type_, Opaque):
        return type_.name
    return _CLASSES[type_.__class__]


_CLASSES: Final = {
    ListOf: "list",
    MapOf: "map",
    ObjectOf: "map",
    OptionalOf: "optional",
    Nullable: "nullable",
    TypeOf: "type",
    Variable: "variable",
}


def nullable(type_: Type) -> Type:
    """Add null to a type.

    Args:
        type_: Any type.

    Returns:
        A type that null has as well.
    """
    return type_ if isinstance(type_, Nullable) or is_dyn(type_) or kind(type_) == "null" else Nullable(type_)


def without_null(type_: Type) -> Type:
    """Take null from a type; anything else comes back as it is."""
    return type_.type if isinstance(type_, Nullable) else type_


def plain(type_: Type) -> Type:
    """Forget what a scalar says of its values: enums and bounds hold for the field, not for what is computed of it."""
    return SCALARS.get(type_.kind, type_) if isinstance(type_, Scalar) else type_


def parts(type_: Type) -> tuple[Type, ...]:
    """List the types that a type is made of directly; fields of objects are not among them."""
    of_class = _PARTS.get(type_.__class__)
    return () if of_class is None else of_class(type_)


#: How each class that is made of types lists them.
_PARTS: Final[Mapping[type[Type], Callable[[Any], tuple[Type, ...]]]] = {
    ListOf: lambda type_: (type_.element,),
    MapOf: lambda type_: (type_.key, type_.value),
    OptionalOf: lambda type_: (type_.value,),
    Nullable: lambda type_: (type_.type,),
    TypeOf: lambda type_: (type_.type,),
    Opaque: lambda type_: type_.parameters,
}
