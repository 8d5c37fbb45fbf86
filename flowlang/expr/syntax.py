"""The syntax tree: frozen nodes with the offsets of the text they come from.

The parser builds the plain nodes; `resolve` replaces names by locals, types and functions and calls by macros.
Nothing here has behaviour: the walkers are `resolve`, `analysis` and `closures`. Nodes compare by identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar, dataclass_transform

_Class = TypeVar("_Class")


@dataclass_transform(eq_default=False, frozen_default=True)
def _node(cls: type[_Class]) -> type[_Class]:
    """Make a class of nodes. Only type checkers hold them frozen: nodes that refuse changes make parsing far slower."""
    return dataclass(slots=True, eq=False, repr=False)(cls)


@_node
class Node:
    """A part of an expression; `start` and `end` are offsets in code points."""

    start: int
    end: int

    def __repr__(self) -> str:
        values = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{self.__class__.__name__}({', '.join(values)})"


@_node
class Literal(Node):
    """A constant: null, bool, int, UInt, float, str or bytes."""

    value: object


@_node
class Mistake(Node):
    """What `resolve` has reported: nothing more can be said of it, and nothing runs it."""


@_node
class RawLiteral(Node):
    """A literal as written, before `resolve` decodes it."""

    kind: str
    text: str


@_node
class Name(Node):
    """A name; with `absolute` it was written `.name` and no macro's variable shadows it."""

    name: str
    absolute: bool = False


@_node
class Local(Node):
    """A variable that a macro binds.

    `slot` is its place in the evaluation's frame; a lazy one is computed when it is first read.
    """

    name: str
    slot: int
    lazy: bool = False


@_node
class TypeName(Node):
    """A name that denotes a type, such as `int`."""

    name: str


@_node
class Select(Node):
    """`operand.field`, or `operand.?field` when optional."""

    operand: Node
    field: str
    field_start: int
    optional: bool = False


@_node
class Has(Node):
    """`has(operand.field)`."""

    operand: Node
    field: str
    field_start: int
    field_end: int
    optional: bool = False


@_node
class Index(Node):
    """`operand[index]`, or `operand[?index]` when optional."""

    operand: Node
    index: Node
    optional: bool = False


@_node
class Call(Node):
    """`name(args)` or `target.name(args)`; `resolve` folds `math.abs(x)` into one name without a target."""

    target: Node | None
    name: str
    args: tuple[Node, ...]
    name_start: int
    name_end: int
    absolute: bool = False


@_node
class Element(Node):
    """An element of a list; with `optional` it was written `?value`."""

    value: Node
    optional: bool


@_node
class Entry(Node):
    """An entry of a map; with `optional` it was written `?key: value`."""

    key: Node
    value: Node
    optional: bool


@_node
class ListNode(Node):
    """`[a, b]`."""

    elements: tuple[Element, ...]


@_node
class MapNode(Node):
    """`{k: v}`."""

    entries: tuple[Entry, ...]


@_node
class Unary(Node):
    """`!operand` or `-operand`."""

    operator: str
    operand: Node


@_node
class Binary(Node):
    """An arithmetic operator or a relation."""

    operator: str
    left: Node
    right: Node


@_node
class Logic(Node):
    """`a && b && …` or `a || b || …`, kept flat."""

    operator: str
    operands: tuple[Node, ...]


@_node
class Conditional(Node):
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node


class Loop(StrEnum):
    """What a macro does with the elements of its range."""

    ALL = "all"
    EXISTS = "exists"
    EXISTS_ONE = "exists_one"
    MAP = "map"
    FILTER = "filter"
    TRANSFORM_LIST = "transformList"
    TRANSFORM_MAP = "transformMap"
    TRANSFORM_MAP_ENTRY = "transformMapEntry"
    SORT_BY = "sortBy"


@_node
class Comprehension(Node):
    """A macro over a list or map.

    `variables` are one slot (element or key) or two (index and element, or key and value), `names` what they are
    called; `where` filters, `body` is the predicate or the new element.
    """

    loop: Loop
    range: Node
    variables: tuple[int, ...]
    names: tuple[str, ...]
    where: Node | None
    body: Node


@_node
class Bind(Node):
    """Values with names: `cel.bind(name, value, body)`, or `cel.block([value, …], body)`.

    Each value is computed when it is first read, and not at all when it is not; it sees the ones before it.
    """

    slots: tuple[int, ...]
    names: tuple[str, ...]
    values: tuple[Node, ...]
    body: Node


@_node
class OptionalMap(Node):
    """`target.optMap(name, body)`, or `optFlatMap` when flat."""

    target: Node
    slot: int
    name: str
    body: Node
    flat: bool


def children(node: Node) -> tuple[Node, ...]:
    """List the nodes directly below a node.

    Args:
        node: Any node.

    Returns:
        Its parts, in the order of the text.
    """
    parts = _PARTS.get(node.__class__)
    return () if parts is None else parts(node)


def walk(root: Node) -> Iterator[Node]:
    """Iterate over a node and all below it, without recursion.

    Args:
        root: Any node.

    Yields:
        Nodes, each before those below it.
    """
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += children(node)


#: How each class that holds nodes lists them.
_PARTS: dict[type[Node], Callable[[Any], tuple[Node, ...]]] = {
    Select: lambda node: (node.operand,),
    Has: lambda node: (node.operand,),
    Index: lambda node: (node.operand, node.index),
    Call: lambda node: node.args if node.target is None else (node.target, *node.args),
    Element: lambda node: (node.value,),
    Entry: lambda node: (node.key, node.value),
    ListNode: lambda node: node.elements,
    MapNode: lambda node: node.entries,
    Unary: lambda node: (node.operand,),
    Binary: lambda node: (node.left, node.right),
    Logic: lambda node: node.operands,
    Conditional: lambda node: (node.condition, node.then, node.otherwise),
    Comprehension: lambda node: (node.range, node.body) if node.where is None else (node.range, node.where, node.body),
    Bind: lambda node: (*node.values, node.body),
    OptionalMap: lambda node: (node.target, node.body),
}
