"""Sums of empty lists: such a sum is the int 0 wherever it is alone, but it adds to whatever it is added to.

A list of the data says nothing of its elements when it has none, and `total + sum(amounts)` must not hang on whether
there are amounts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from flowlang.expr.scope import Scope
from flowlang.expr.syntax import Call, Node
from flowlang.expr.times import Duration, Timestamp
from flowlang.expr.values import UInt

#: Evaluates a part of an expression.
Closure = Callable[[Scope], Any]


def is_sum(node: Node) -> TypeGuard[Call]:
    """Whether a node is the sum of a list."""
    return isinstance(node, Call) and node.name == "sum" and node.target is None and len(node.args) == 1


class EmptySums:
    """The sums among the operands of a `+`.

    Args:
        left: Gives the list whose sum the left operand is; None where it is something else.
        right: The same of the right one.
    """

    __slots__ = ("_left", "_right")

    def __init__(self, left: Closure | None, right: Closure | None) -> None:
        self._left = left
        self._right = right

    def fitted(self, scope: Scope, a: Any, b: Any) -> tuple[Any, Any]:
        """Give the sum of an empty list the other operand's class.

        Args:
            scope: What expressions read.
            a: The left operand.
            b: The right one, of another class.

        Returns:
            Both operands.
        """
        if _is_empty(scope, self._left, a):
            return _nothing(like=b), b
        if _is_empty(scope, self._right, b):
            return a, _nothing(like=a)
        return a, b


def _is_empty(scope: Scope, items: Closure | None, total: Any) -> bool:
    return items is not None and total.__class__ is int and total == 0 and len(items(scope)) == 0


def _nothing(*, like: Any) -> Any:
    kind = like.__class__
    if kind is float:
        return 0.0
    if kind is UInt:
        return UInt(0)
    return Duration(0) if kind in {Duration, Timestamp} else 0
