"""What a condition says of the data where it is true, and where it is false: which fields are there, and not null.

`has(order.note) && order.note.size() > 0` reads an optional field only where it is there. Facts speak of paths: a root
name or a macro's variable, and the fields and positions selected from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from flowlang.expr.syntax import (
    Binary,
    Call,
    Conditional,
    Has,
    Index,
    Literal,
    Local,
    Logic,
    Name,
    Node,
    Select,
    Unary,
)

#: A root name, or the slot of a macro's variable; then fields and positions.
FactPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the data at some place.

    Args:
        present: Paths of fields that are there.
        not_null: Paths of values that are not null.
        equal: Paths of values that are known, with the values.
    """

    present: frozenset[FactPath] = frozenset()
    not_null: frozenset[FactPath] = frozenset()
    equal: frozenset[tuple[FactPath, object]] = frozenset()

    def __or__(self, other: Facts) -> Facts:
        """All that either says."""
        return Facts(self.present | other.present, self.not_null | other.not_null, self.equal | other.equal)

    def __and__(self, other: Facts) -> Facts:
        """What both say."""
        return Facts(self.present & other.present, self.not_null & other.not_null, self.equal & other.equal)


NOTHING: Final = Facts()


@dataclass(frozen=True, slots=True)
class Implied:
    """What follows from a condition.

    Args:
        when_true: Known where it is true.
        when_false: Known where it is false.
    """

    when_true: Facts = field(default=NOTHING)
    when_false: Facts = field(default=NOTHING)


_NOTHING_IMPLIED: Final = Implied()


def path_of(node: Node) -> FactPath | None:
    """Give the path that a node reads.

    Args:
        node: Any node of a resolved tree.

    Returns:
        The path, or None where it is computed.
    """
    segments: list[str | int] = []
    while True:
        match node:
            case Select():
                segments.append(node.field)
                node = node.operand
            case Index(index=Literal(value=str() | int() as key)) if not isinstance(key, bool):
                segments.append(key)
                node = node.operand
            case Name():
                return (node.name, *reversed(segments))
            case Local():
                return (node.slot, *reversed(segments))
            case _:
                return None


def implied(node: Node) -> Implied:
    """Tell what follows from a condition.

    Args:
        node: Any node of a resolved tree.

    Returns:
        The facts; none for what is no condition.
    """
    match node:
        case Has():
            return Implied(when_true=_chain(node.operand, node.field))
        case Unary(operator="!"):
            inner = implied(node.operand)
            return Implied(inner.when_false, inner.when_true)
        case Logic():
            return _logic(node)
        case Conditional():
            return _conditional(node)
        case Binary(operator="==" | "!="):
            return _comparison(node)
        case Binary(operator="in", left=Literal(value=str() as key)):
            return Implied(when_true=_chain(node.right, key))
        case Call(name="hasValue", target=Node() as target):
            return Implied(when_true=_chain_of(target))
        case _:
            return _NOTHING_IMPLIED


def _chain(operand: Node, key: str) -> Facts:
    """A field that is there, and the optional ones on the way to it."""
    path = path_of(operand)
    found = Facts(frozenset({(*path, key)})) if path is not None else NOTHING
    return found | _chain_of(operand) if isinstance(operand, Select | Index) and operand.optional else found


def _chain_of(node: Node) -> Facts:
    """What is there when a chain of selections has a value."""
    present: set[FactPath] = set()
    while isinstance(node, Select | Index):
        path = path_of(node)
        if path is not None and node.optional:
            present.add(path)
        node = node.operand
    return Facts(frozenset(present))


def _logic(node: Logic) -> Implied:
    parts = [implied(operand) for operand in node.operands]
    all_true, all_false = NOTHING, NOTHING
    some_true, some_false = parts[0].when_true, parts[0].when_false
    for part in parts:
        all_true |= part.when_true
        all_false |= part.when_false
        some_true &= part.when_true
        some_false &= part.when_false
    return Implied(all_true, some_false) if node.operator == "&&" else Implied(some_true, all_false)


def _conditional(node: Conditional) -> Implied:
    condition, then, otherwise = implied(node.condition), implied(node.then), implied(node.otherwise)
    # A branch that is a constant is taken, or not, in one of the two cases only.
    return Implied(
        _either(condition, node, then.when_true, otherwise.when_true, wanted=True),
        _either(condition, node, then.when_false, otherwise.when_false, wanted=False),
    )


def _either(condition: Implied, node: Conditional, then: Facts, otherwise: Facts, *, wanted: bool) -> Facts:
    first, second = condition.when_true | then, condition.when_false | otherwise
    if isinstance(node.then, Literal) and node.then.value is not wanted:
        return second
    if isinstance(node.otherwise, Literal) and node.otherwise.value is not wanted:
        return first
    return first & second


def _comparison(node: Binary) -> Implied:
    """`x == null` and `x != 'a'`: what equals something that is not null is not null itself."""
    for literal, other in ((node.left, node.right), (node.right, node.left)):
        path = path_of(other)
        if isinstance(literal, Literal) and path is not None:
            equal = node.operator == "=="
            if literal.value is None:
                known = Facts(not_null=frozenset({path}))
                return Implied(NOTHING, known) if equal else Implied(known, NOTHING)
            values = frozenset({(path, literal.value)}) if isinstance(literal.value, str) else frozenset()
            known = Facts(not_null=frozenset({path}), equal=values)
            return Implied(known, NOTHING) if equal else Implied(NOTHING, known)
    return _NOTHING_IMPLIED
