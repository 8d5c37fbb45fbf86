"""Types in words, for messages, and the names by which expressions speak of types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flowlang.expr.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    Opaque,
    OptionalOf,
    Scalar,
    Type,
    TypeOf,
)

#: The types that names in expressions denote, such as the `int` of `type(x) == int`.
_DENOTED: Final[Mapping[str, Type]] = {
    "bool": BOOL,
    "int": INT,
    "uint": UINT,
    "double": DOUBLE,
    "string": STRING,
    "bytes": BYTES,
    "null_type": NULL,
    "list": ListOf(DYN),
    "map": MapOf(DYN, DYN),
    "type": TypeOf(DYN),
    "optional_type": OptionalOf(DYN),
    "google.protobuf.Timestamp": TIMESTAMP,
    "google.protobuf.Duration": DURATION,
    "net.IP": Opaque("ip"),
    "net.CIDR": Opaque("cidr"),
}


def denoted(name: str) -> Type:
    """Give the type that a name denotes.

    Args:
        name: Such as `int` or `google.protobuf.Timestamp`.

    Returns:
        The type.
    """
    return _DENOTED.get(name, Opaque(name))


def in_words(type_: Type) -> str:
    """Write a type as a noun with its article.

    Args:
        type_: Any type.

    Returns:
        Such as `a string`, `an int`, `a list of strings`, `null`.
    """
    match type_:
        case Scalar("null"):
            return "null"
        case Scalar("dyn" | "error"):
            return "a value"
        case Scalar(name) | Opaque(name):
            return f"{'an' if name[0] in 'aeio' else 'a'} {name}"
        case ListOf(element):
            return f"a list{_of(element)}"
        case MapOf(_, value):
            return f"a map{_of(value)}"
        case OptionalOf(value):
            return "an optional" if value == DYN else f"an optional {_noun(value)}"
        case Nullable(value):
            return f"{in_words(value)} or null"
        case ObjectOf(name=name):
            return name or "an object"
        case TypeOf():
            return "a type"
        case _:
            return "a value"


def _noun(type_: Type) -> str:
    return in_words(type_).removeprefix("an ").removeprefix("a ")


def _of(element: Type) -> str:
    """Say what the elements are, one level deep."""
    match element:
        case Scalar("bytes" | "null" | "dyn" | "error"):
            return ""
        case Scalar(name) | Opaque(name):
            return f" of {name}s"
        case ListOf():
            return " of lists"
        case MapOf() | ObjectOf():
            return " of maps"
        case _:
            return ""
