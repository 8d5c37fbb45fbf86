"""What evaluation costs, in units of work: one currency for time and memory.

A unit stands for about 20 ns of the closure tier, or for 4 bytes that a value takes; `limits.MAX_WORK` of them bound
both. A loop pays for all its elements before it begins; what depends on the size of texts and lists is paid by the
operation. The weights are measured; `benchmarks/bench_expressions.py` prints what the worst expressions take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flowlang.expr.scope import Scope
from flowlang.expr.syntax import (
    Binary,
    Call,
    Comprehension,
    Conditional,
    Index,
    ListNode,
    Literal,
    Local,
    Logic,
    MapNode,
    Name,
    Node,
    OptionalMap,
    Select,
    TypeName,
    Unary,
    children,
)

#: How a function pays for the texts among its arguments.
TextCharge = Callable[[Scope, tuple[Any, ...]], None]

#: Of an element of a loop, besides its body: the step of the loop and a place in the list that it makes.
ELEMENT: Final = 6
#: Of an error that `||`, `&&`, `all` or `exists` absorbs.
ABSORBED: Final = 80
#: Characters, or bytes of memory, that one unit compares.
COMPARED: Final = 256
#: Texts up to this length are compared for nothing.
SHORT: Final = 256
#: Of a place in a list that is copied.
LIST_PLACE: Final = 2

_NODES: Final[dict[type[Node], int]] = {
    Literal: 1,
    TypeName: 1,
    Local: 2,
    Name: 2,
    Select: 5,
    Index: 20,
    Call: 45,
    ListNode: 24,
    MapNode: 70,
    Unary: 8,
    Binary: 14,
    Logic: 8,
    Conditional: 6,
    Comprehension: 40,
    OptionalMap: 30,
}
_OPERATORS: Final = {"==": 8, "!=": 8, "/": 30, "%": 20, "in": 30}
#: Units of one part of a node: an element of a list, an entry of a map, an operand.
_PARTS: Final[dict[type[Node], int]] = {ListNode: 4, MapNode: 26, Logic: 4}
_OTHER_NODE: Final = 12
_OPTIONAL_SELECT: Final = 40

#: Functions that take longer than others, whatever they are given.
_CALLS: Final[dict[str, int]] = {
    "format": 160,
    "json": 160,
    "hash": 240,
    "timestamp": 140,
    "duration": 120,
    "string": 130,
    "matches": 100,
    "sort": 120,
    "distinct": 70,
    "flatten": 90,
    "sum": 70,
    **dict.fromkeys(("ip", "isIP", "ip.isCanonical"), 400),
    **dict.fromkeys(("cidr", "isCIDR", "containsIP", "containsCIDR", "masked"), 900),
    **dict.fromkeys(("sets.contains", "sets.equivalent", "sets.intersects"), 120),
    **dict.fromkeys(
        (
            *("getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek"),
            *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
        ),
        150,
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
        return _CALLS.get(node.name, _NODES[Call])
    if isinstance(node, Select) and node.optional:
        return _OPTIONAL_SELECT
    own = _NODES.get(node.__class__, _OTHER_NODE)
    per_part = _PARTS.get(node.__class__)
    return own if per_part is None else own + per_part * sum(1 for _ in children(node))


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
        pending += [part.range] if isinstance(part, Comprehension) else children(part)
    return total


def loop_cost(node: Comprehension) -> int:
    """Weigh one element of a loop.

    Args:
        node: The macro.

    Returns:
        Units of work.
    """
    return ELEMENT + cost(node.body) + (0 if node.where is None else cost(node.where))


def text_cost(value: Any) -> int:
    """Weigh the reading or making of a text or of octets.

    Args:
        value: str or bytes.

    Returns:
        A unit for 4 bytes.
    """
    size = len(value)
    return size >> 2 if value.__class__ is bytes or value.isascii() else size


def text_charge(name: str) -> TextCharge | None:
    """Find how a function pays for the texts that it is given.

    Args:
        name: The function's.

    Returns:
        Takes the scope and the arguments; None where it does not look into them, or pays by itself.
    """
    return _TEXT_CHARGES.get(name, _read_all)


def _read_all(scope: Scope, values: tuple[Any, ...]) -> None:
    """Pay for reading all texts, or for a copy of them."""
    scope.spend(sum(text_cost(value) for value in values if value.__class__ is str or value.__class__ is bytes))


def _read_character_by_character(scope: Scope, values: tuple[Any, ...]) -> None:
    scope.spend(4 * sum(len(value) for value in values if value.__class__ is str))


def _read_beginning(scope: Scope, values: tuple[Any, ...]) -> None:
    """Pay for the second text only: no more than its length is compared."""
    if len(values) > 1 and values[1].__class__ is str:
        scope.spend(len(values[1]) >> 6)


_TEXT_CHARGES: Final[dict[str, TextCharge | None]] = {
    **dict.fromkeys(
        ("size", "type", "dyn", "optional.of", "optional.ofNonZeroValue", "matches", "first", "last"), None
    ),
    "startsWith": _read_beginning,
    "endsWith": _read_beginning,
    "strings.quote": _read_character_by_character,
}
