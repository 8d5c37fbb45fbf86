"""What of an expression's value comes from data that must not be shown: marked fields of schemas, and chosen names.

Only what flows into the value counts: `has(user.email)`, `user.email != null` and `hash(user.email)` tell nothing that
could be read, so nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flowlang.expr.syntax import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Has,
    Index,
    Literal,
    Local,
    Loop,
    Name,
    Node,
    OptionalMap,
    Select,
    children,
)
from flowlang.expr.types import DYN, ListOf, MapOf, Nullable, ObjectOf, OptionalOf, Type, kind, without_null

#: Functions of which the result does not give away what they were given.
_SAFE_CALLS: Final = frozenset({"hash", "size"})
#: How deep objects are searched for marked fields.
_MAX_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Leak:
    """A part of an expression whose value must not be shown, and that the whole value holds.

    Args:
        source: What it is, in words: `email of the data of shop/placed`, or `secrets.NAME`.
        start: Offset of the part.
        end: Offset behind it.
        inner: Fields that lead from the value to it, where the value is an object that contains it.
    """

    source: str
    start: int
    end: int
    inner: tuple[str, ...] = ()


def leaks(
    root: Node, types: Mapping[Node, Type], marked: Mapping[Node, str], names: Mapping[str, str]
) -> tuple[Leak, ...]:
    """Find what the value of an expression gives away.

    Args:
        root: Its resolved tree.
        types: Of its nodes.
        marked: Nodes that read marked fields, and what these are called.
        names: Root names of which all values must not be shown, and what they are called; empty: by what is selected.
    """
    if not marked and not names and not any(map(_may_contain, types.values())):
        return ()
    flow = _Flow(types, marked, names)
    return tuple(dict.fromkeys(flow.of(root)))


class _Flow:
    def __init__(self, types: Mapping[Node, Type], marked: Mapping[Node, str], names: Mapping[str, str]) -> None:
        self._types = types
        self._marked = marked
        self._names = names
        self._slots: dict[int, tuple[Leak, ...]] = {}

    def of(self, node: Node) -> tuple[Leak, ...]:
        """What flows into a node's value."""
        if kind(self._types.get(node, DYN)) == "bool":
            return ()
        match node:
            case Has():
                return ()
            case Call(name=name) if name in _SAFE_CALLS:
                return ()
            case Name():
                if node.name in self._names:
                    return (Leak(self._names[node.name] or node.name, node.start, node.end),)
                return self._inside(node)
            case Local():
                return self._slots.get(node.slot, ())
            case Select() | Index():
                return self._selected(node)
            case Conditional():
                return (*self.of(node.then), *self.of(node.otherwise))
            case Comprehension():
                return self._comprehension(node)
            case Bind():
                for slot, value in zip(node.slots, node.values, strict=True):
                    self._slots[slot] = self.of(value)
                return self.of(node.body)
            case OptionalMap():
                self._slots[node.slot] = self.of(node.target)
                return self.of(node.body)
            case _:
                return tuple(leak for part in children(node) for leak in self.of(part))

    def _selected(self, node: Select | Index) -> tuple[Leak, ...]:
        if node in self._marked:
            return (Leak(self._marked[node], node.start, node.end),)
        root: Node = node
        while isinstance(root, Select | Index):
            if root in self._marked:
                return (Leak(self._marked[root], node.start, node.end),)
            root = root.operand
        if isinstance(root, Name):
            if root.name in self._names:
                return (Leak(self._names[root.name] or _written(node, root), node.start, node.end),)
            return self._inside(node)
        if isinstance(root, Local):
            whole = [leak for leak in self._slots.get(root.slot, ()) if not leak.inner]
            return (*whole, *self._inside(node))
        return (*self.of(root), *self._inside(node))

    def _inside(self, node: Node) -> tuple[Leak, ...]:
        """Marked fields of the object that a node gives."""
        found = _contained(self._types.get(node, DYN), 0)
        return tuple(Leak(source, node.start, node.end, inner) for source, inner in found)

    def _comprehension(self, node: Comprehension) -> tuple[Leak, ...]:
        came = self.of(node.range)
        for slot in node.variables:
            self._slots[slot] = came
        if node.loop in {Loop.FILTER, Loop.SORT_BY}:
            return came
        return self.of(node.body)


def _contained(type_: Type, depth: int) -> list[tuple[str, tuple[str, ...]]]:
    if depth > _MAX_DEPTH:
        return []
    match type_:
        case ListOf(inner) | Nullable(inner) | OptionalOf(inner) | MapOf(_, inner):
            return _contained(inner, depth + 1)
        case ObjectOf():
            found: list[tuple[str, tuple[str, ...]]] = []
            for name, field in type_.fields.items():
                if field.sensitive:
                    found.append((field.sensitive, (name,)))
                else:
                    found += [(source, (name, *path)) for source, path in _contained(field.type, depth + 1)]
            return found
        case _:
            return []


def _may_contain(type_: Type) -> bool:
    inner = without_null(type_)
    return isinstance(inner, ObjectOf | ListOf) and bool(_contained(inner, 0))


def _written(node: Node, root: Name) -> str:
    """A path of names as it is written, as far as it has names."""
    names: list[str] = []
    while isinstance(node, Select | Index):
        if isinstance(node, Select):
            names.append(node.field)
        elif isinstance(node.index, Literal):
            names.append(str(node.index.value))
        node = node.operand
    return ".".join([root.name, *reversed(names)])
