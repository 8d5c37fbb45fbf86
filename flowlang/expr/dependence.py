"""What the parts of an expression depend on, when some names or parts of their values are not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flowlang.expr.scope import Pins
from flowlang.expr.syntax import (
    Bind,
    Call,
    Comprehension,
    Has,
    Index,
    Literal,
    Local,
    Name,
    Node,
    OptionalMap,
    Select,
    children,
    walk,
)


@dataclass(frozen=True, slots=True)
class Dependence:
    """What a node depends on.

    Args:
        unknown: Whether it reads something unknown.
        free: Variables that it reads of macros around it.
    """

    unknown: bool
    free: frozenset[int]


_NOTHING: Final[frozenset[int]] = frozenset()


def dependences(
    root: Node, bindings: Mapping[str, object], unknown: Sequence[tuple[str, ...]], pins: Pins
) -> dict[int, Dependence]:
    """Find out what each node depends on, from the leaves up and without recursion.

    Args:
        root: A resolved tree.
        bindings: What is known; other root names are unknown.
        unknown: Paths that are unknown nevertheless.
        pins: What `now()` answers.

    Returns:
        By the identity of the nodes.
    """
    found: dict[int, Dependence] = {}
    paths: dict[int, tuple[str, ...]] = {}
    for node in reversed(list(walk(root))):
        below = [found[id(part)] for part in children(node)]
        free = _NOTHING.union(*(facts.free for facts in below)) - brought(node)
        if isinstance(node, Local):
            free = frozenset({node.slot})
        path = _path(node, paths)
        if path is None:
            reads = any(facts.unknown for facts in below)
        else:
            # A part of a value may be known though another part is not.
            paths[id(node)] = path
            reads = path[0] not in bindings or any(_overlap(path, other) for other in unknown)
        found[id(node)] = Dependence(reads or is_volatile(node, pins), free)
    return found


def brought(node: Node) -> frozenset[int]:
    """The variables that a node brings."""
    if isinstance(node, Comprehension):
        return frozenset(node.variables)
    if isinstance(node, Bind):
        return frozenset(node.slots)
    return frozenset({node.slot}) if isinstance(node, OptionalMap) else _NOTHING


def _path(node: Node, paths: Mapping[int, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The path that a node reads, where all its selectors are constant."""
    if isinstance(node, Name):
        return (node.name,)
    if isinstance(node, Select | Has):
        field = node.field
    elif isinstance(node, Index) and isinstance(node.index, Literal) and isinstance(node.index.value, str):
        field = node.index.value
    else:
        return None
    above = paths.get(id(node.operand))
    return None if above is None else (*above, field)


def _overlap(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(a == b for a, b in zip(path, other, strict=False))


def is_volatile(node: Node, pins: Pins) -> bool:
    """Whether a call answers differently the next time, or is not allowed without a pin."""
    if not isinstance(node, Call) or node.target is not None:
        return False
    return node.name == "uuid" or (node.name == "now" and pins.now is None)
