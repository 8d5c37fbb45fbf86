"""The parts of a condition that an index can answer: equalities of a field with something known beforehand.

`incoming.data.order_id == event.data.id && incoming.data.cents > 100` can only be true of events whose `data.order_id`
has one value. Whoever waits is found by the key of that value; the condition itself still decides. Keys may take two
values for one that the language tells apart, and never keep apart what it takes for equal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from flowlang.expr.errors import EvaluationError, ExpressionSyntaxError
from flowlang.expr.operators import select
from flowlang.expr.program import Expression, compile_expression
from flowlang.expr.syntax import Binary, Index, ListNode, Literal, Logic, Name, Node, Select
from flowlang.expr.unparser import unparse
from flowlang.expr.values import is_map, kind_of


@dataclass(frozen=True, slots=True)
class Equality:
    """A field that must equal something.

    Args:
        path: Fields from the root to the value, such as `("data", "order_id")`.
        other: What it must equal; does not read the root.
        start: Offset of the equality in the whole expression.
        end: Offset behind it.
    """

    path: tuple[str, ...]
    other: Expression
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Equalities:
    """A condition in two parts; it is true exactly if all equalities and the rest are.

    Args:
        parts: The equalities, in the order of the text.
        rest: The other conditions, or None where there are none.
    """

    parts: tuple[Equality, ...]
    rest: Expression | None


def equalities(expression: Expression, root: str = "incoming") -> Equalities:
    """Take the equalities with fields of a root out of a condition.

    Only what stands between the `&&` at the top counts: all of it must be true, and no error in another part can be
    hidden, so that the whole is never true where an equality is not.

    Args:
        expression: The condition.
        root: Name of the value that arrives later.

    Returns:
        The equalities and what else must be true; of an expression near the bound on texts, none may be found.
    """
    try:
        return _split(expression, root)
    except ExpressionSyntaxError:  # a part that is written anew would be too long
        return Equalities((), expression)


def index_key(value: object) -> bytes | None:
    """Give the key under which an index keeps a value.

    Values that are equal in the language have the same key. A number is keyed as the nearest double, since that is how
    an int and a double are compared; so ints beyond 2⁵³ may share a key without being equal.

    Args:
        value: Any value of the language.

    Returns:
        A letter for the kind and the value's octets; None for what has no key: lists, maps, NaN, optionals, types.
    """
    try:
        make = _KEYS.get(kind_of(value))
    except EvaluationError:
        return None
    return None if make is None else make(value)


def key_at(value: object, path: tuple[str, ...]) -> bytes | None:
    """Give the key of a field.

    Args:
        value: The value of the root.
        path: Fields from the root to the value.

    Returns:
        The key; None where the field is not there or has none.
    """
    for field in path:
        if not is_map(value):
            return None
        try:
            value = select(value, field)
        except EvaluationError:
            return None
    return index_key(value)


def _split(expression: Expression, root: str) -> Equalities:
    found: list[Equality] = []
    others: list[Node] = []
    for part in _conjuncts(expression.root):
        equality = _equality(part, root)
        if equality is None:
            others.append(part)
        else:
            found.append(equality)
    if not others:
        return Equalities(tuple(found), None)
    if not found:
        return Equalities((), expression)
    rest = others[0] if len(others) == 1 else Logic(others[0].start, others[-1].end, "&&", tuple(others))
    return Equalities(tuple(found), compile_expression(unparse(rest)))


def _conjuncts(node: Node) -> list[Node]:
    found: list[Node] = []
    pending = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, Logic) and part.operator == "&&":
            pending += reversed(part.operands)
        else:
            found.append(part)
    return found


def _equality(node: Node, root: str) -> Equality | None:
    sides = _sides(node)
    if sides is None:
        return None
    for side, other in (sides, sides[::-1]):
        path = _path(side, root)
        if path:
            known = compile_expression(unparse(other))
            if root not in known.roots:
                return Equality(path, known, node.start, node.end)
    return None


def _sides(node: Node) -> tuple[Node, Node] | None:
    """The sides of `a == b`, or of `a in [b]`, which says the same."""
    if not isinstance(node, Binary):
        return None
    if node.operator == "==":
        return node.left, node.right
    if node.operator == "in" and isinstance(node.right, ListNode) and len(node.right.elements) == 1:
        element = node.right.elements[0]
        return None if element.optional else (node.left, element.value)
    return None


def _path(node: Node, root: str) -> tuple[str, ...]:
    """The fields of a plain selection from the root; empty where it is something else."""
    fields: list[str] = []
    while not isinstance(node, Name):
        if isinstance(node, Select) and not node.optional:
            fields.append(node.field)
        elif isinstance(node, Index) and not node.optional and isinstance(node.index, Literal):
            if not isinstance(node.index.value, str):
                return ()
            fields.append(node.index.value)
        else:
            return ()
        node = node.operand
    return tuple(reversed(fields)) if node.name == root else ()


def _number_key(value: Any) -> bytes | None:
    try:
        double = float(value)
    except OverflowError:  # an int far beyond 64 bits equals no double
        return None
    # The sum turns -0.0 into 0.0, which it equals; NaN equals nothing.
    return None if double != double else b"n" + struct.pack(">d", double + 0.0)  # noqa: PLR0124 - true of NaN only


_KEYS: Final[dict[str, Callable[[Any], bytes | None]]] = {
    "null_type": lambda _: b"0",
    "bool": lambda value: b"b1" if value else b"b0",
    "int": _number_key,
    "uint": _number_key,
    "double": _number_key,
    "string": lambda value: b"s" + value.encode("utf-8", errors="surrogatepass"),
    "bytes": lambda value: b"o" + bytes(value),
    "google.protobuf.Timestamp": lambda value: b"t%d" % value.ns,
    "google.protobuf.Duration": lambda value: b"d%d" % value.ns,
}
