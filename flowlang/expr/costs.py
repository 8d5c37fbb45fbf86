"""What evaluation costs, in units of work: one currency for time and memory.

A unit stands for about 20 ns of the closure tier, or for 4 bytes that a value takes; `limits.MAX_WORK` of them bound
both. A loop pays for all its elements before it begins; what depends on the size of texts and lists is paid by the
operation. The weights are measured; `benchmarks/bench_expressions.py` prints what the worst expressions take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flowlang.expr.literals import time_literal
from flowlang.expr.scope import Scope
from flowlang.expr.syntax import (
    Binary,
    Call,
    Comprehension,
    Conditional,
    Has,
    Index,
    ListNode,
    Literal,
    Local,
    Logic,
    Loop,
    MapNode,
    Name,
    Node,
    OptionalMap,
    Select,
    TypeName,
    Unary,
    children,
)
from flowlang.expr.values import is_list

#: How a function pays for the size of its arguments.
Charge = Callable[[Scope, tuple[Any, ...]], None]

#: Of an element of a loop, besides its body: the step of the loop and a place in the list that it makes.
ELEMENT: Final = 20
#: Of an element that is put in order, besides the comparisons, which are paid when all keys are known.
SORTED: Final = 40
#: Of an error that `||`, `&&`, `all` or `exists` absorbs.
ABSORBED: Final = 400
#: Of a text or octets that `+` makes, besides its characters.
JOINED: Final = 40
#: Of an arithmetic operator on unsigned numbers, which are objects of their own.
UNSIGNED: Final = 100
#: Characters, or bytes of memory, that one unit compares.
COMPARED: Final = 256
#: Texts up to this length are compared for nothing.
SHORT: Final = 256
#: Of a place in a list that is copied.
LIST_PLACE: Final = 2
#: Arguments up to this length are read for nothing.
_READ_FREE: Final = 32

_NODES: Final[dict[type[Node], int]] = {
    Literal: 1,
    TypeName: 1,
    Local: 1,
    Name: 3,
    Select: 5,
    Has: 6,
    Index: 30,
    Call: 70,
    ListNode: 28,
    MapNode: 60,
    Unary: 14,
    Binary: 14,
    Logic: 4,
    Conditional: 6,
    Comprehension: 70,
    OptionalMap: 60,
}
_OPERATORS: Final = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 10),
    "/": 50,
    "%": 30,
    "in": 50,
}
#: Units of one part of a node: an element of a list, an entry of a map, an operand.
_PARTS: Final[dict[type[Node], int]] = {ListNode: 4, MapNode: 26, Logic: 3}
_OTHER_NODE: Final = 12
_OPTIONAL_SELECT: Final = 70

#: Functions that take longer than others, whatever they are given.
_CALLS: Final[dict[str, int]] = {
    "format": 250,
    "json": 200,
    "hash": 280,
    "timestamp": 280,
    "duration": 100,
    "string": 200,
    "matches": 100,
    "sort": 250,
    "distinct": 120,
    "flatten": 180,
    "sum": 130,
    "join": 180,
    "replace": 260,
    "split": 160,
    "isCanonical": 900,
    **dict.fromkeys(("int", "double", "bool", "base64.encode", "base64.decode", "strings.quote"), 170),
    **dict.fromkeys(("contains", "startsWith", "upperAscii", "lowerAscii", "substring", "indexOf", "lastIndexOf"), 130),
    **dict.fromkeys(("reverse", "trim", "charAt", "bytes", "optional.of", "type", "endsWith", "lists.range"), 130),
    **dict.fromkeys(("math.greatest", "math.least", "uint", "math.round"), 120),
    **dict.fromkeys(("ip", "isIP"), 600),
    "ip.isCanonical": 1_200,
    **dict.fromkeys(("cidr", "isCIDR", "containsIP", "containsCIDR", "masked"), 1_500),
    **dict.fromkeys(("sets.contains", "sets.equivalent", "sets.intersects"), 250),
    **dict.fromkeys(
        (
            *("getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek"),
            *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
        ),
        260,
    ),
}


def node_cost(node: Node) -> int:
    """Weigh a node alone, without its parts.

    Args:
        node: Of a resolved tree.

    Returns:
        Units of work.
    """
    if isinstance(node, Binary):
        return _OPERATORS.get(node.operator, _NODES[Binary])
    if isinstance(node, Call):
        if node.name in {"timestamp", "duration"} and time_literal(node) is not None:
            return _NODES[Literal]
        return _CALLS.get(node.name, _NODES[Call])
    if isinstance(node, Select | Index) and node.optional:
        return _OPTIONAL_SELECT
    own = _NODES.get(node.__class__, _OTHER_NODE)
    per_part = _PARTS.get(node.__class__)
    return own if per_part is None else own + per_part * len(children(node))


def cost(node: Node) -> int:
    """Weigh one evaluation of a part; loops inside it pay for their elements themselves.

    Args:
        node: The part.

    Returns:
        Units of work, at least 1.
    """
    total = 0
    pending = [node]
    while pending:
        part = pending.pop()
        total += node_cost(part)
        pending += (part.range,) if isinstance(part, Comprehension) else children(part)
    return total


def loop_cost(node: Comprehension) -> int:
    """Weigh one element of a loop.

    Args:
        node: The macro.

    Returns:
        Units of work.
    """
    sorting = SORTED if node.loop is Loop.SORT_BY else 0
    return ELEMENT + sorting + cost(node.body) + (0 if node.where is None else cost(node.where))


def text_cost(value: Any) -> int:
    """Weigh the reading or making of a text or of octets.

    Args:
        value: str or bytes.

    Returns:
        A unit for 4 bytes.
    """
    size = len(value)
    return size >> 2 if value.__class__ is bytes or value.isascii() else size


def charge_for(name: str) -> Charge | None:
    """Find how a function pays for the size of its arguments.

    Args:
        name: The function's.

    Returns:
        Takes the scope and the arguments; None where it does not look into them, or pays by itself.
    """
    return _CHARGES.get(name, read_texts)


def read_texts(scope: Scope, values: tuple[Any, ...]) -> None:
    """Pay for reading all texts and octets, or for a copy of them."""
    units = 0
    for value in values:
        kind = value.__class__
        if (kind is str or kind is bytes) and len(value) > _READ_FREE:
            units += text_cost(value)
    if units:
        scope.spend(units)


def _read_beginning(scope: Scope, values: tuple[Any, ...]) -> None:
    """Pay for the second text only: no more than its length is compared."""
    if len(values[1]) > SHORT:
        scope.spend(len(values[1]) // COMPARED)


def _each_character(narrow: int, wide: int) -> Charge:
    def charge(scope: Scope, values: tuple[Any, ...]) -> None:
        for value in values:
            if value.__class__ is str:
                scope.spend(len(value) * (narrow if value.isascii() else wide))

    return charge


def _each_element(units: int) -> Charge:
    def charge(scope: Scope, values: tuple[Any, ...]) -> None:
        for value in values:
            if is_list(value):
                scope.spend(units * len(value))

    return charge


_CHARGES: Final[dict[str, Charge | None]] = {
    **dict.fromkeys(("size", "type", "dyn", "matches", "first", "last", "json", "hash"), None),
    **dict.fromkeys(("optional.of", "optional.ofNonZeroValue", "orValue", "or"), None),
    **dict.fromkeys(("startsWith", "endsWith"), _read_beginning),
    **dict.fromkeys(("math.greatest", "math.least"), _each_element(50)),
    **dict.fromkeys(("optional.unwrap", "unwrapOpt"), _each_element(10)),
    "duration": _each_character(60, 60),
    "strings.quote": _each_character(6, 30),
}
