"""Lists: parts, order, distinct elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowlang.expr.costs import LIST_PLACE
from flowlang.expr.errors import BAD_ARGUMENT, NO_INDEX, NO_OVERLOAD, EvaluationError
from flowlang.expr.limits import MAX_RANGE
from flowlang.expr.loops import sorted_places
from flowlang.expr.operators import PLAIN, equals
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope
from flowlang.expr.values import Optional, is_list, kind_name

#: Types whose values have an order.
_ORDERED: Final = ("int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration")

#: Units of an element for `distinct`, `flatten` and `lists.range`: its place, and what is made for it.
_DISTINCT: Final = 60
_FLATTENED: Final = 20
_NUMBER: Final = 10


@declare(
    "list<A>.distinct() -> list<A>",
    doc="Gives the elements without repetitions, in the order of their first occurrence.",
    examples=("[1, 2, 1.0, 'a', 'a'].distinct() == [1, 2, 'a']",),
    needs_scope=True,
)
def _distinct(scope: Scope, values: Sequence[Any]) -> list[Any]:
    kept: list[Any] = []
    seen: set[tuple[bool, Any]] = set()
    scope.spend(_DISTINCT * len(values))
    for value in values:
        if value.__class__ in PLAIN:
            mark = (value.__class__ is bool, value)
            if mark in seen and value == value:  # noqa: PLR0124 - NaN differs from itself
                continue
            seen.add(mark)
        else:
            scope.spend_on(kept)
            if any(equals(value, other) for other in kept):
                continue
        kept.append(value)
    return kept


@declare(
    "list<list<A>>.flatten() -> list<A>",
    doc="Puts the elements of inner lists in their place, one level deep or as many as given.",
    examples=("[1, [2, [3]]].flatten() == [1, 2, [3]]", "[1, [2, [3]]].flatten(2) == [1, 2, 3]"),
    needs_scope=True,
)
def _flatten(scope: Scope, values: Sequence[Any]) -> list[Any]:
    return _flatten_levels(scope, values, 1)


@declare("list<dyn>.flatten(int) -> list<dyn>", doc="", examples=(), needs_scope=True)
def _flatten_levels(scope: Scope, values: Sequence[Any], levels: int) -> list[Any]:
    if levels < 0:
        raise EvaluationError(f"a list cannot be flattened by {levels} levels", BAD_ARGUMENT)
    flat = list(values)
    for _ in range(levels):
        if not any(is_list(value) for value in flat):
            break
        scope.spend(_FLATTENED * (len(flat) + sum(len(value) for value in flat if is_list(value))))
        flat = [part for value in flat for part in (value if is_list(value) else (value,))]
    return flat


@declare(
    "list<A>.slice(int, int) -> list<A>",
    doc="Gives the elements from a position to before another.",
    examples=("[1, 2, 3, 4].slice(1, 3) == [2, 3]",),
    needs_scope=True,
)
def _slice(scope: Scope, values: Sequence[Any], start: int, end: int) -> list[Any]:
    if not 0 <= start <= end <= len(values):
        raise EvaluationError(
            f"the slice {start} to {end} is out of range; the list has {len(values)} elements", NO_INDEX
        )
    scope.spend((end - start) * LIST_PLACE)
    return list(values[start:end])


@declare(
    *(f"list<{kind}>.sort() -> list<{kind}>" for kind in _ORDERED),
    doc="Puts numbers, texts, bools, timestamps or durations in order.",
    examples=("[3, 1, 2].sort() == [1, 2, 3]",),
    needs_scope=True,
)
def _sort(scope: Scope, values: Sequence[Any]) -> list[Any]:
    kinds = {kind_name(value) for value in values}
    if len(kinds) > 1:
        raise EvaluationError(f"a list of {' and '.join(sorted(kinds))} has no order", NO_OVERLOAD)
    return [values[place] for place in sorted_places(scope, values)]


@declare(
    "list<A>.reverse() -> list<A>",
    doc="Turns the order of the elements round.",
    examples=("[1, 2, 3].reverse() == [3, 2, 1]",),
    needs_scope=True,
)
def _reverse(scope: Scope, values: Sequence[Any]) -> list[Any]:
    scope.spend(len(values) * LIST_PLACE)
    return list(values)[::-1]


@declare(
    "lists.range(int) -> list<int>",
    doc="Gives the numbers from 0 to before the given one.",
    examples=("lists.range(3) == [0, 1, 2]",),
    needs_scope=True,
)
def _range(scope: Scope, count: int) -> list[int]:
    if count > MAX_RANGE:
        raise EvaluationError(f"a range has at most {MAX_RANGE} numbers", BAD_ARGUMENT)
    scope.spend(max(count, 0) * _NUMBER)
    return list(range(count))


@declare(
    "list<A>.first() -> optional<A>",
    doc="Gives the first element, as an optional that is empty for an empty list.",
    examples=("[1, 2].first().value() == 1", "![].first().hasValue()"),
)
def _first(values: Sequence[Any]) -> Optional:
    return Optional.of(values[0]) if len(values) else Optional.NONE


@declare(
    "list<A>.last() -> optional<A>",
    doc="Gives the last element, as an optional that is empty for an empty list.",
    examples=("[1, 2].last().value() == 2",),
)
def _last(values: Sequence[Any]) -> Optional:
    return Optional.of(values[len(values) - 1]) if len(values) else Optional.NONE
