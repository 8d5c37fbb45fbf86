"""Whether a value is of a type: what the laws of types are told in."""

from __future__ import annotations

from typing import Any

from flowlang.expr.times import Duration, Timestamp
from flowlang.expr.types import ListOf, MapOf, Nullable, ObjectOf, OptionalOf, Scalar, Type, TypeOf, is_dyn
from flowlang.expr.values import INT_MAX, INT_MIN, Optional, TypeValue, UInt

CLASSES = {
    "bool": bool, "int": int, "double": float, "string": str, "null": type(None),
    "uint": UInt, "bytes": bytes, "timestamp": Timestamp, "duration": Duration,
}  # fmt: skip


def inhabits(value: Any, type_: Type) -> bool:
    """Judge a JSON value whose numbers are typed.

    Fields that an object does not name may be there when it has no `rest`: their absence is the checker's reading, not
    what the schema says.
    """
    match type_:
        case Nullable(inner):
            return value is None or inhabits(value, inner)
        case ListOf(element):
            return type(value) is list and all(inhabits(member, element) for member in value)
        case MapOf(key, member):
            return type(value) is dict and all(inhabits(k, key) and inhabits(v, member) for k, v in value.items())
        case ObjectOf():
            return type(value) is dict and _has_fields(value, type_)
        case OptionalOf(inner):
            return type(value) is Optional and (not value.present or inhabits(value.value, inner))
        case TypeOf():
            return type(value) is TypeValue
        case Scalar():
            return is_dyn(type_) or (type(value) is CLASSES[type_.kind] and _within(value, type_))
        case _:
            raise AssertionError(f"no value is known to be of {type_!r}")


def _has_fields(value: dict[str, Any], type_: ObjectOf) -> bool:
    if any(field.required and name not in value for name, field in type_.fields.items()):
        return False
    for name, member in value.items():
        field = type_.field(name)
        if field is not None and not inhabits(member, field.type):
            return False
    return True


def _within(value: Any, type_: Scalar) -> bool:
    if type_.values is not None and not any(type(one) is type(value) and one == value for one in type_.values):
        return False
    if type_.kind == "int" and not INT_MIN <= value <= INT_MAX:
        return False
    return (type_.minimum is None or value >= type_.minimum) and (type_.maximum is None or value <= type_.maximum)
