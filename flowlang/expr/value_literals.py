"""Writes values as expressions: whole, so that reading them gives the value again, or shortened for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from flowlang.expr.errors import BAD_KEY, NO_OVERLOAD, OUT_OF_RANGE, TOO_DEEP, EvaluationError
from flowlang.expr.syntax import Call, Element, Entry, ListNode, Literal, MapNode, Node, TypeName
from flowlang.expr.unparser import unparse
from flowlang.expr.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Optional,
    UInt,
    is_list,
    is_map,
    kind_name,
    kind_of,
    type_names,
)

#: Characters of a shortened value, about.
_ROOM: Final = 60


def literal(value: object) -> str:
    """Write a value as an expression that gives it.

    Args:
        value: Any value of the language.

    Returns:
        Such as `'a'`, `5u`, `1.0`, `[1, 2]` or `timestamp('2026-01-01T00:00:00Z')`.

    Raises:
        EvaluationError: No expression gives it: a number beyond 64 bits, a key that no map has, a foreign object.
    """
    try:
        return unparse(literal_node(value))
    except RecursionError:
        raise EvaluationError("the value is nested too deeply", TOO_DEEP) from None


def literal_node(value: object) -> Node:
    """Make the tree of `literal`.

    Args:
        value: Any value of the language.

    Returns:
        A resolved tree without names; all its offsets are 0.

    Raises:
        EvaluationError: No expression gives the value.
    """
    kind = kind_of(value)
    make = _NODES.get(kind)
    if make is None:
        raise EvaluationError(f"there is no way to write {kind_name(value)} values", NO_OVERLOAD)
    return make(value)


def shortened(value: object, room: int = _ROOM) -> str:
    """Write a value for people: as a literal, cut where it is long.

    Args:
        value: Any value of the language.
        room: Characters, about.

    Returns:
        Such as `{'a': [1, 2, … 98 more]}`.
    """
    if isinstance(value, Optional):
        return f"optional.of({shortened(value.value, room - 13)})" if value.present else "optional.none()"
    if is_map(value):
        content: Any = value
        entries = (f"{shortened(key, room // 2)}: {shortened(other, room // 2)}" for key, other in content.items())
        return f"{{{_few(entries, len(content), room)}}}"
    if is_list(value):
        content = value
        return f"[{_few((shortened(other, room // 2) for other in content), len(content), room)}]"
    if isinstance(value, str | bytes) and len(value) > max(room, 16):
        text = literal(value[: max(room, 16) - 1])
        return f"{text[:-1]}…{text[-1]}"
    try:
        return literal(value)
    except EvaluationError:
        return f"a Python {value.__class__.__name__}"


def _few(texts: Iterator[str], count: int, room: int) -> str:
    """Join texts as long as there is room."""
    written: list[str] = []
    for text in texts if room > 0 else ():
        if written and sum(len(each) + 2 for each in written) + len(text) > room:
            break
        written.append(text)
    if len(written) < count:
        written.append(f"… {count - len(written)} more")
    return ", ".join(written)


def _call(name: str, *arguments: Node) -> Node:
    return Call(0, 0, None, name, arguments, 0, 0)


def _plain(value: object) -> Node:
    return Literal(0, 0, value)


def _int_node(value: Any) -> Node:
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("the number does not fit an int of 64 bits", OUT_OF_RANGE)
    return _plain(int(value))


def _uint_node(value: Any) -> Node:
    if not 0 <= value <= UINT_MAX:
        raise EvaluationError("the number does not fit a uint of 64 bits", OUT_OF_RANGE)
    return _plain(UInt(value))


def _double_node(value: Any) -> Node:
    if math.isfinite(value):
        return _plain(float(value))
    name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return _call("double", _plain(name))


def _list_node(value: Any) -> Node:
    return ListNode(0, 0, tuple(Element(0, 0, literal_node(part), optional=False) for part in value))


def _map_node(value: Mapping[Any, Any]) -> Node:
    for key in value:
        if kind_of(key) not in {"string", "int", "uint", "bool"}:
            raise EvaluationError(f"a map has no keys of type {kind_name(key)}", BAD_KEY)
    entries = [Entry(0, 0, literal_node(key), literal_node(part), optional=False) for key, part in value.items()]
    return MapNode(0, 0, tuple(entries))


def _optional_node(value: Optional) -> Node:
    return _call("optional.of", literal_node(value.value)) if value.present else _call("optional.none")


def _type_node(value: Any) -> Node:
    if value.name not in type_names():
        raise EvaluationError(f"there is no type `{value.name}`", NO_OVERLOAD)
    return TypeName(0, 0, value.name)


def _read_by(function: str) -> Callable[[Any], Node]:
    """Values that a function reads from their text."""
    return lambda value: _call(function, _plain(str(value)))


_NODES: Final[dict[str, Callable[[Any], Node]]] = {
    "null_type": _plain,
    "bool": _plain,
    "int": _int_node,
    "uint": _uint_node,
    "double": _double_node,
    "string": lambda value: _plain(str.__str__(value)),
    "bytes": lambda value: _plain(bytes(value)),
    "list": _list_node,
    "map": _map_node,
    "optional_type": _optional_node,
    "type": _type_node,
    "google.protobuf.Timestamp": _read_by("timestamp"),
    "google.protobuf.Duration": _read_by("duration"),
    "net.IP": _read_by("ip"),
    "net.CIDR": _read_by("cidr"),
}
