"""What becomes of types when a value leaves its expression: to JSON, or into the text around it.

The twin of `json_values`, which does the same to the values.
"""

from __future__ import annotations

from flowlang.expr.type_words import in_words
from flowlang.expr.types import (
    DYN,
    INT,
    STRING,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    Opaque,
    OptionalOf,
    Scalar,
    Type,
    TypeOf,
    Variable,
    kind,
    nullable,
)


def as_json(type_: Type) -> Type:
    """Give the type of a value after `to_json`: times and bytes are texts, a uint is an int.

    Args:
        type_: Type of the value.

    Returns:
        Type of the JSON.
    """
    match type_:
        case Scalar("timestamp" | "duration" | "bytes"):
            return STRING
        case Scalar("uint"):
            return INT
        case ListOf(element):
            return ListOf(as_json(element))
        case MapOf(_, value):
            return MapOf(STRING, as_json(value))
        case Nullable(inner):
            return nullable(as_json(inner))
        case OptionalOf() | TypeOf() | Opaque() | Variable():
            return DYN
        case _:
            return type_


def no_json(type_: Type) -> tuple[str, str] | None:
    """Tell why a value can never be JSON.

    Args:
        type_: Type of the value.

    Returns:
        What is wrong and what would be right; None where nothing is.
    """
    match type_:
        case OptionalOf():
            return "an optional is no JSON value", "end it with orValue(…)"
        case TypeOf() | Opaque():
            return f"JSON has nothing for {in_words(type_)}", "convert it with string(…)"
        case MapOf(key, _) if kind(key) in {"int", "uint", "bool"}:
            return f"the keys of a JSON map are texts, and these are {kind(key)}s", "convert them with string(…)"
        case ListOf(element) | MapOf(_, element):
            return no_json(element)
        case _:
            return None


def no_text(type_: Type) -> tuple[str, str] | None:
    """Tell why a value cannot stand inside a text.

    Args:
        type_: Type of the value.

    Returns:
        What is wrong and what would be right; None where nothing is.
    """
    match type_:
        case ListOf() | MapOf() | ObjectOf():
            return f"{in_words(type_)} cannot stand inside a text", "use json(…)"
        case Nullable(inner):
            return no_text(inner) or (
                "this may be null, and null cannot stand inside a text",
                "say what to write instead, as in x == null ? '' : x",
            )
        case Scalar("null"):
            return "null cannot stand inside a text", "write ''"
        case OptionalOf() | TypeOf() | Opaque():
            return no_json(type_)
        case _:
            return None
