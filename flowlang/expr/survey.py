"""What is known of a tree before code is generated from it: constant parts, and paths that are read more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from flowlang.expr import limits
from flowlang.expr.closures import ClosureCompiler
from flowlang.expr.errors import CelError
from flowlang.expr.scope import NO_PINS, Scope
from flowlang.expr.syntax import (
    Binary,
    Call,
    Conditional,
    Element,
    Entry,
    Index,
    ListNode,
    Literal,
    Local,
    Logic,
    MapNode,
    Name,
    Node,
    Select,
    TypeName,
    Unary,
    children,
    walk,
)

#: A name or variable, and the fields read behind it.
Path = tuple[object, ...]

#: A constant part that takes more work than this is left to be evaluated each time.
_FOLDED_WORK: Final = 2_000
#: Functions whose answer is not the same each time.
_IMPURE: Final = frozenset({"now", "uuid"})
_FOLDABLE: Final = frozenset(
    {Literal, TypeName, Select, Index, Call, ListNode, MapNode, Element, Entry, Unary, Binary, Logic, Conditional}
)
#: These are constant by themselves, or no values.
_PLAIN: Final = frozenset({Literal, TypeName, Element, Entry})


@dataclass(frozen=True, slots=True)
class Folded:
    """A part that is always the same.

    Args:
        value: Its value.
        units: The work that the closure tier does for it.
    """

    value: Any
    units: int


class Survey:
    """Walks a tree once.

    Args:
        root: Its top.

    Attributes:
        nodes: All nodes, each before its parts.
        folded: The largest parts that are always the same.
        paths: Of those nodes that are a chain of plain selections: the name or variable, and the fields behind it.
        shared: Paths that are read more than once, and not always as a part of the same longer path.
    """

    def __init__(self, root: Node) -> None:
        self.nodes: list[Node] = list(walk(root))
        self.folded: dict[Node, Folded] = {}
        self.paths: dict[Node, Path] = {}
        constant: set[Node] = set()
        inner: set[Node] = set()
        for node in reversed(self.nodes):
            parts = children(node)
            self._see_path(node)
            foldable = node.__class__ in _FOLDABLE and not (isinstance(node, Call) and node.name in _IMPURE)
            if foldable and constant.issuperset(parts):
                constant.add(node)
                inner.update(parts)
        for node in constant - inner:
            folded = None if node.__class__ in _PLAIN else _evaluated(node)
            if folded is not None:
                self.folded[node] = folded
        self.shared: frozenset[Path] = _shared(self.paths)

    def _see_path(self, node: Node) -> None:
        if isinstance(node, Name):
            self.paths[node] = (node.name,)
        elif isinstance(node, Local):
            self.paths[node] = (node.slot,)
        elif isinstance(node, Select | Index) and node.operand in self.paths:
            field = selected(node)
            if field is not None:
                self.paths[node] = (*self.paths[node.operand], field)


def selected(node: Select | Index) -> str | None:
    """Name the field that must be there: `operand.field`, or `operand["field"]` with a constant.

    Args:
        node: A selection.

    Returns:
        None where the field is optional or computed.
    """
    if node.optional:
        return None
    if isinstance(node, Select):
        return node.field
    key = node.index.value if isinstance(node.index, Literal) else None
    return key if isinstance(key, str) else None


def _shared(paths: dict[Node, Path]) -> frozenset[Path]:
    inner = {node.operand for node in paths if isinstance(node, Select | Index)}
    counts: Counter[Path] = Counter()
    for node, path in paths.items():
        if node not in inner:
            counts.update(path[:length] for length in range(1, len(path) + 1))
    often = {path for path, count in counts.items() if count > 1}
    longer = {path[:-1] for path in often if counts[path] == counts[path[:-1]]}
    # A variable is one already.
    return frozenset(path for path in often - longer if len(path) > 1 or isinstance(path[0], str))


def _evaluated(node: Node) -> Folded | None:
    if isinstance(node, ListNode):
        values = _literals([element.value for element in node.elements if not element.optional])
        if len(values) == len(node.elements):
            return Folded(values, 0)
    scope = Scope({}, NO_PINS, 0)
    try:
        value = ClosureCompiler().compile(node)(scope)
    except (CelError, RecursionError):
        return None
    units = limits.MAX_WORK - scope.work
    return Folded(value, units) if units <= _FOLDED_WORK else None


def _literals(nodes: Collection[Node]) -> list[Any]:
    return [node.value for node in nodes if isinstance(node, Literal)]
