"""Lists taken as sets: order and repetitions do not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowlang.expr.operators import PLAIN, contains
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope

#: Units for comparing two scalars.
_PAIR: Final = 20


def _spend(scope: Scope, container: Sequence[Any], elements: Sequence[Any]) -> None:
    scope.spend(_PAIR * len(container) * len(elements))
    if not all(element.__class__ in PLAIN for element in elements):
        for _ in elements:
            scope.spend_on(container)


def _holds_all(scope: Scope, container: Sequence[Any], elements: Sequence[Any]) -> bool:
    _spend(scope, container, elements)
    return all(contains(element, container) for element in elements)


@declare(
    "sets.contains(list<A>, list<A>) -> bool",
    doc="Tells whether the first list holds all elements of the second.",
    examples=("sets.contains([1, 2, 3], [3, 1, 1])", "!sets.contains([1], [1, 2])"),
    needs_scope=True,
)
def _contains(scope: Scope, container: Sequence[Any], elements: Sequence[Any]) -> bool:
    return _holds_all(scope, container, elements)


@declare(
    "sets.equivalent(list<A>, list<A>) -> bool",
    doc="Tells whether each list holds all elements of the other.",
    examples=("sets.equivalent([1, 2], [2, 1, 1])",),
    needs_scope=True,
)
def _equivalent(scope: Scope, a: Sequence[Any], b: Sequence[Any]) -> bool:
    return _holds_all(scope, a, b) and _holds_all(scope, b, a)


@declare(
    "sets.intersects(list<A>, list<A>) -> bool",
    doc="Tells whether the lists have an element in common.",
    examples=("sets.intersects([1, 2], [2, 3])", "!sets.intersects([1], [])"),
    needs_scope=True,
)
def _intersects(scope: Scope, a: Sequence[Any], b: Sequence[Any]) -> bool:
    _spend(scope, b, a)
    return any(contains(element, b) for element in a)
