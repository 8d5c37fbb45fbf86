"""What generated code calls at run time: short answers for common values, and `Unsure` for all others.

Whatever raises here makes `codegen`'s function start again in the closure tier, so nothing here need be complete; it
may only never differ. Sizes are bounded, because the work of generated code is charged before it runs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

from flowlang.expr import limits
from flowlang.expr.costs import SHORT
from flowlang.expr.doubles import go_text
from flowlang.expr.operators import BINARY, contains, equals, has_field, index
from flowlang.expr.scope import Scope
from flowlang.expr.times import Duration, Timestamp
from flowlang.expr.values import INT_MAX, INT_MIN, Optional, is_list, is_map

#: Longest text that generated code reads or makes outside loops.
NEAR: Final = 4_096
#: Longest text that it reads inside loops, where each element is charged for that much.
IN_LOOP: Final = 128
#: Longest text that it makes inside loops; four times as long where it is ASCII.
MADE_IN_LOOP: Final = 64
#: Longest list that it searches, outside and inside loops.
SEARCHED: Final = 1_024
SEARCHED_IN_LOOP: Final = 32

#: Longest timestamp whose reading is remembered.
LONGEST_MOMENT: Final = 64
#: Longest duration whose reading is remembered, and what the closure tier pays for it.
_LONGEST_SPAN: Final = 16
SPAN: Final = 60 * _LONGEST_SPAN
_NUMBERS: Final = frozenset({int, float})
_SCALARS: Final = frozenset({int, float, bool, type(None)})


class Unsure(Exception):  # noqa: N818 - a signal that never leaves generated code
    """Generated code leaves this to the closure tier."""


def fail() -> NoReturn:
    """Leave the evaluation to the closure tier."""
    raise Unsure


def has_field_of_map(value: Any, field: str) -> bool:
    """Look for a field of a map; what an optional holds is left to the closure tier.

    Raises:
        Unsure: The value is an optional.
    """
    if value.__class__ is Optional:
        raise Unsure
    return has_field(value, field)


def equal(a: Any, b: Any) -> bool:
    """Compare scalars and short texts; containers are left to the closure tier, which charges them."""
    if a.__class__ in _SCALARS and b.__class__ in _SCALARS:
        return equals(a, b)
    if (a.__class__ is str and len(a) <= SHORT) or (b.__class__ is str and len(b) <= SHORT):
        if a.__class__ is b.__class__:
            return bool(a == b)
        if a.__class__ in _SCALARS or b.__class__ in _SCALARS:
            return False
    raise Unsure


def _order(symbol: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    exact = BINARY[symbol]

    def ordered(a: Any, b: Any) -> bool:
        if a.__class__ is b.__class__ and (a.__class__ in _NUMBERS or (a.__class__ is str and len(a) <= SHORT)):
            return compare(a, b)
        if a.__class__ in _NUMBERS and b.__class__ in _NUMBERS:
            return bool(exact(a, b))
        raise Unsure

    return ordered


#: Comparisons of two values of which nothing is known.
COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": equal,
    "!=": lambda a, b: not equal(a, b),
    "<": _order("<", operator.lt),
    "<=": _order("<=", operator.le),
    ">": _order(">", operator.gt),
    ">=": _order(">=", operator.ge),
}


def element(operand: Any, key: Any) -> Any:
    """Index with a key that is not known beforehand."""
    if key.__class__ is str and len(key) > SHORT:
        raise Unsure
    return index(operand, key)


def _holds(longest: int) -> Callable[[Any, Any], bool]:
    def holds(value: Any, container: Any) -> bool:
        if is_map(container):
            if value.__class__ is str and len(value) > SHORT:
                raise Unsure
        elif len(container) > longest or (
            value.__class__ not in _SCALARS and (value.__class__ is not str or len(value) > SHORT)
        ):
            raise Unsure
        return contains(value, container)

    return holds


#: `in` for a container of which nothing is known.
holds: Final = _holds(SEARCHED)
holds_in_loop: Final = _holds(SEARCHED_IN_LOOP)


def ranged(values: Any) -> Any:
    """Check what a macro with one variable goes over."""
    if is_list(values) or is_map(values):
        return values
    raise Unsure


def pairs(values: Any) -> Iterable[tuple[Any, Any]]:
    """Give positions and elements of a list, or keys and values of a map."""
    if values.__class__ is list or is_list(values):
        return enumerate(values)
    if is_map(values):
        entries: Mapping[Any, Any] = values
        return entries.items()
    raise Unsure


def text_of(value: Any) -> str:
    """Convert to a text, where that is short."""
    if value.__class__ is str:
        if len(value) > IN_LOOP:
            raise Unsure
        text: str = value
        return text
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        return go_text(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    raise Unsure


def int_of(value: Any) -> int:
    """Convert a number to an int."""
    if value.__class__ is int and INT_MIN <= value <= INT_MAX:
        number: int = value
        return number
    if value.__class__ is float and -(2.0**63) < value < 2.0**63:
        return int(value)
    raise Unsure


def double_of(value: Any) -> float:
    """Convert a number to a double."""
    if value.__class__ is float or value.__class__ is int:
        return float(value)
    raise Unsure


@lru_cache(maxsize=limits.CACHE_SIZE)
def moment(text: str) -> int:
    """Read a timestamp; the same texts come again and again, so the last ones are remembered.

    Args:
        text: RFC 3339.

    Returns:
        Nanoseconds since 1970.
    """
    if text.__class__ is not str or len(text) > LONGEST_MOMENT:
        raise Unsure
    return Timestamp.parse(text).ns


@lru_cache(maxsize=limits.CACHE_SIZE)
def span(text: str) -> int:
    """Read a duration, remembered like `moment`.

    Args:
        text: Such as `1h30m`.

    Returns:
        Nanoseconds.
    """
    if text.__class__ is not str or len(text) > _LONGEST_SPAN:
        raise Unsure
    return Duration.parse(text).ns


def exactly(closure: Callable[[Scope], Any], slots: Sequence[int]) -> Callable[..., Any]:
    """Let the closure tier evaluate a part inside generated code.

    Args:
        closure: The part.
        slots: Where the variables are kept that it reads.

    Returns:
        Takes the scope and the values of those variables.
    """

    def evaluate(scope: Scope, *values: Any) -> Any:
        for slot, value in zip(slots, values, strict=True):
            scope.slots[slot] = value
        return closure(scope)

    return evaluate
