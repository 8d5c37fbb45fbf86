"""Which whole numbers an arithmetic expression can give, and how large its operands may be to stay in 64 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flowlang.expr.values import INT_MAX, INT_MIN


@dataclass(frozen=True, slots=True)
class Interval:
    """The whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    @property
    def fits(self) -> bool:
        """Whether all of them are ints of 64 bits."""
        return self.low >= INT_MIN and self.high <= INT_MAX

    def within(self, other: Interval) -> bool:
        """Whether another interval holds all of them."""
        return other.low <= self.low and self.high <= other.high

    def joined(self, other: Interval) -> Interval:
        """The least interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))


#: All ints of the language.
INT64: Final = Interval(INT_MIN, INT_MAX)
#: Sizes of texts, lists and maps.
SIZES: Final = Interval(0, 2**40)


def combine(operator: str, a: Interval, b: Interval) -> Interval:
    """Tell what an operator can give.

    Args:
        operator: One of `+ - * / %`, with the language's meaning: division is cut towards zero.
        a: The left operand.
        b: The right operand.

    Returns:
        An interval that holds every result; it may be wider than needed.
    """
    if operator == "+":
        return Interval(a.low + b.low, a.high + b.high)
    if operator == "-":
        return Interval(a.low - b.high, a.high - b.low)
    if operator == "*":
        corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
        return Interval(min(corners), max(corners))
    if operator == "/" and b.low > 0:
        return Interval(_cut(a.low, b), _cut(a.high, b))
    largest = max(abs(a.low), abs(a.high))
    if operator == "%":
        largest = min(largest, max(abs(b.low), abs(b.high)) - 1)
        return Interval(-largest if a.low < 0 else 0, largest if a.high > 0 else 0)
    return Interval(-largest, largest)


def _cut(value: int, divisor: Interval) -> int:
    """The quotient that is farthest from zero."""
    return value // divisor.low if value >= 0 else -(-value // divisor.low)


def widest_bound(fits: Callable[[int], bool]) -> int | None:
    """Find how large operands may be.

    Args:
        fits: Tells whether nothing can leave 64 bits when each operand lies between minus and plus a bound.

    Returns:
        The greatest bound of the form 2**k - 1 that fits; None where even small operands can leave 64 bits.
    """
    least, most = 7, 63
    if not fits((1 << least) - 1):
        return None
    while least < most:
        middle = (least + most + 1) // 2
        if fits((1 << middle) - 1):
            least = middle
        else:
            most = middle - 1
    return (1 << least) - 1
