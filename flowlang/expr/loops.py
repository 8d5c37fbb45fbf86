"""The macros that go over lists and maps: which elements they see, and how errors in their bodies count.

`all` and `exists` absorb errors as `&&` and `||` do; the others do not. Work is paid before a loop begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from flowlang.expr.costs import ABSORBED, COMPARED
from flowlang.expr.errors import BAD_KEY, NO_OVERLOAD, UNABSORBABLE, EvaluationError
from flowlang.expr.operators import BINARY, make_map
from flowlang.expr.scope import Scope
from flowlang.expr.syntax import Comprehension, Loop
from flowlang.expr.values import is_list, is_map, kind_name

Closure = Callable[[Scope], Any]
#: Gives, for a scope, the values of a loop's variables one element after the other, already stored in their slots.
Elements = Callable[[Scope], Iterable[Any]]


def compile_loop(node: Comprehension, source: Closure, where: Closure | None, body: Closure, cost: int) -> Closure:
    """Compile a macro.

    Args:
        node: The macro.
        source: Gives the list or map.
        where: The filter, if it has one.
        body: The predicate or the new element.
        cost: Units of work of one element.

    Returns:
        The loop.
    """
    elements = _elements(node, source, cost)
    if node.loop in {Loop.ALL, Loop.EXISTS}:
        return _quantifier(node, elements, body)
    if node.loop is Loop.EXISTS_ONE:
        return _exists_one(node, elements, body)
    if node.loop is Loop.FILTER:
        return _filter(node, elements, body)
    if node.loop in {Loop.TRANSFORM_MAP, Loop.TRANSFORM_MAP_ENTRY}:
        return _transform_map(node, elements, where, body)
    if node.loop is Loop.SORT_BY:
        return _sort_by(node, elements, body)
    return _map(node, elements, where, body)


def _elements(node: Comprehension, source: Closure, cost: int) -> Elements:
    name, start, end = node.loop.value, node.range.start, node.range.end
    first = node.variables[0]
    second = node.variables[1] if len(node.variables) == 2 else None

    def elements(scope: Scope) -> Iterable[Any]:
        values = source(scope)
        plain_list = values.__class__ is list or is_list(values)
        if not plain_list and not is_map(values):
            message = f"`{name}` goes over a list or a map, and this is {kind_name(values)}"
            raise EvaluationError(message, NO_OVERLOAD, start, end)
        try:
            scope.spend(len(values) * cost)
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error
        slots = scope.slots
        if second is None:
            for value in values:
                slots[first] = value
                yield value
            return
        for key, value in enumerate(values) if plain_list else values.items():
            slots[first] = key
            slots[second] = value
            yield key

    return elements


def _true(value: Any, node: Comprehension) -> bool:
    if value.__class__ is bool:
        return bool(value)
    part = node.body if node.where is None else node.where
    message = f"`{node.loop.value}` needs a condition that is a bool, and this is {kind_name(value)}"
    raise EvaluationError(message, NO_OVERLOAD, part.start, part.end)


def _quantifier(node: Comprehension, elements: Elements, body: Closure) -> Closure:
    decisive = node.loop is Loop.EXISTS

    def quantify(scope: Scope) -> bool:
        fault: EvaluationError | None = None
        for _ in elements(scope):
            try:
                value = body(scope)
                if value is decisive:
                    return bool(value)
                _true(value, node)
            except EvaluationError as error:
                if error.code in UNABSORBABLE:
                    raise
                scope.spend(ABSORBED)
                fault = fault or error
        if fault is not None:
            raise fault
        return not decisive

    return quantify


def _exists_one(node: Comprehension, elements: Elements, body: Closure) -> Closure:
    return lambda scope: sum(1 for _ in elements(scope) if _true(body(scope), node)) == 1


def _filter(node: Comprehension, elements: Elements, body: Closure) -> Closure:
    return lambda scope: [value for value in elements(scope) if _true(body(scope), node)]


def _map(node: Comprehension, elements: Elements, where: Closure | None, body: Closure) -> Closure:
    if where is None:
        return lambda scope: [body(scope) for _ in elements(scope)]
    return lambda scope: [body(scope) for _ in elements(scope) if _true(where(scope), node)]


def _transform_map(node: Comprehension, elements: Elements, where: Closure | None, body: Closure) -> Closure:
    whole_entries = node.loop is Loop.TRANSFORM_MAP_ENTRY

    def transform(scope: Scope) -> Any:
        entries: list[tuple[Any, Any]] = []
        for key in elements(scope):
            if where is not None and not _true(where(scope), node):
                continue
            value = body(scope)
            if not whole_entries:
                entries.append((key, value))
            elif is_map(value):
                entries += value.items()
            else:
                message = f"`transformMapEntry` needs a map as its result, and this is {kind_name(value)}"
                raise EvaluationError(message, BAD_KEY, node.body.start, node.body.end)
        try:
            return make_map(entries)
        except EvaluationError as error:
            raise error.at(node.start, node.end)  # noqa: B904 - the same error

    return transform


#: Kinds whose values have an order.
_ORDERED: Final = frozenset({"int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration"})


class _SortKey:
    """Puts a value into the language's order, for Python's sort."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        if kind_name(value) not in _ORDERED:
            raise EvaluationError(f"{kind_name(value)} values have no order", NO_OVERLOAD)
        self.value = value

    def __lt__(self, other: _SortKey) -> bool:
        return bool(BINARY["<"](self.value, other.value))


#: Classes whose order in Python is the language's.
_PYTHONIC: Final = frozenset({int, float, str, bytes, bool})
#: Units of a comparison while sorting: by Python alone, and by the language's rules.
_QUICK_COMPARISON: Final = 4
_COMPARISON: Final = 40


def sorted_places(scope: Scope, keys: Sequence[Any]) -> list[int]:
    """Put values in order.

    Args:
        scope: Pays for it.
        keys: What is compared; all of kinds that can be compared with each other.

    Returns:
        The places of the values, the least one's first; equal ones keep their order.

    Raises:
        EvaluationError: Two of them have no order, or it is too much work.
    """
    classes = {key.__class__ for key in keys}
    levels = len(keys).bit_length()
    if len(classes) == 1 and classes <= _PYTHONIC:
        texts = sum(map(len, keys)) // COMPARED if classes & {str, bytes} else 0
        scope.spend((_QUICK_COMPARISON * len(keys) + texts) * levels)
        return sorted(range(len(keys)), key=keys.__getitem__)
    scope.spend(_COMPARISON * len(keys) * levels)
    wrapped = [_SortKey(key) for key in keys]
    return sorted(range(len(keys)), key=wrapped.__getitem__)


def _sort_by(node: Comprehension, elements: Elements, body: Closure) -> Closure:
    def sort(scope: Scope) -> list[Any]:
        try:
            values: list[Any] = []
            keys: list[Any] = []
            for value in elements(scope):
                values.append(value)
                keys.append(body(scope))
            return [values[place] for place in sorted_places(scope, keys)]
        except EvaluationError as error:
            raise error.at(node.start, node.end)  # noqa: B904 - the same error

    return sort
