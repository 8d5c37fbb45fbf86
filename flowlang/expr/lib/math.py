"""Numbers: extremes, rounding, signs, bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from flowlang.expr.errors import BAD_ARGUMENT, NO_OVERLOAD, EvaluationError
from flowlang.expr.operators import BINARY
from flowlang.expr.registry import declare
from flowlang.expr.values import INT_MAX, UINT_MAX, UInt, checked_int, is_list, kind_name

_NUMBERS: Final = frozenset({int, UInt, float})
_KINDS: Final = ("int", "uint", "double")


def _extreme(name: str, operator: str, values: Sequence[Any]) -> Any:
    if len(values) == 1 and is_list(values[0]):
        values = values[0]
    if not values:
        raise EvaluationError(f"`{name}` needs at least one number", BAD_ARGUMENT)
    better = BINARY[operator]
    best = values[0]
    for value in values:
        if value.__class__ not in _NUMBERS:
            raise EvaluationError(f"`{name}` takes numbers, and one is {kind_name(value)}", NO_OVERLOAD)
        if better(value, best):
            best = value
    return best


def _extreme_signatures(name: str) -> tuple[str, ...]:
    """Write the signatures of numbers of one type, whose result is known, and of several."""
    kinds = (*((kind, kind) for kind in _KINDS), ("number", "dyn"))
    return tuple(f"{name}({form.format(kind)}) -> {gives}" for form in ("{}", "list<{}>") for kind, gives in kinds)


@declare(
    *_extreme_signatures("math.greatest"),
    doc="Gives the greatest of its arguments, or of the elements of one list.",
    examples=("math.greatest(1, 3, 2) == 3", "math.greatest([1.5, -2.0]) == 1.5"),
    any_count=True,
)
def _greatest(*values: Any) -> Any:
    return _extreme("math.greatest", ">", values)


@declare(
    *_extreme_signatures("math.least"),
    doc="Gives the least of its arguments, or of the elements of one list.",
    examples=("math.least(1, 3, 2) == 1", "math.least([1.5, -2.0]) == -2.0"),
    any_count=True,
)
def _least(*values: Any) -> Any:
    return _extreme("math.least", "<", values)


@declare("math.ceil(double) -> double", doc="Rounds up.", examples=("math.ceil(1.2) == 2.0",))
def _ceil(value: float) -> float:
    return math.copysign(float(math.ceil(value)), value) if math.isfinite(value) else value


@declare("math.floor(double) -> double", doc="Rounds down.", examples=("math.floor(1.8) == 1.0",))
def _floor(value: float) -> float:
    return math.copysign(float(math.floor(value)), value) if math.isfinite(value) else value


@declare("math.trunc(double) -> double", doc="Cuts the fraction off.", examples=("math.trunc(-1.8) == -1.0",))
def _trunc(value: float) -> float:
    return math.copysign(float(math.trunc(value)), value) if math.isfinite(value) else value


@declare(
    "math.round(double) -> double",
    doc="Rounds to the nearest whole number, halves away from zero.",
    examples=("math.round(1.5) == 2.0", "math.round(-1.5) == -2.0"),
)
def _round(value: float) -> float:
    if not math.isfinite(value):
        return value
    whole = math.trunc(value)
    # Not floor(x + 0.5): the sum is itself rounded for doubles close below a half.
    away = abs(value - whole) >= 0.5
    return math.copysign(float(abs(whole) + away), value)


@declare(
    "math.sqrt(double) -> double",
    "math.sqrt(int) -> double",
    "math.sqrt(uint) -> double",
    doc="Gives the square root; of a negative number NaN.",
    examples=("math.sqrt(9) == 3.0",),
)
def _sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0 or math.isnan(value) else math.nan


@declare(
    "math.abs(int) -> int",
    doc="Gives the absolute value.",
    examples=("math.abs(-3) == 3", "math.abs(-1.5) == 1.5"),
)
def _abs(value: int) -> int:
    return checked_int(abs(value))


@declare("math.abs(uint) -> uint", doc="", examples=())
def _abs_of_uint(value: UInt) -> UInt:
    return value


@declare("math.abs(double) -> double", doc="", examples=())
def _abs_of_double(value: float) -> float:
    return abs(value)


@declare("math.sign(int) -> int", doc="Gives -1, 0 or 1.", examples=("math.sign(-7) == -1", "math.sign(0.5) == 1.0"))
def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


@declare("math.sign(uint) -> uint", doc="", examples=())
def _sign_of_uint(value: UInt) -> UInt:
    return UInt(value > 0)


@declare("math.sign(double) -> double", doc="", examples=())
def _sign_of_double(value: float) -> float:
    return value if math.isnan(value) else float((value > 0) - (value < 0))


@declare("math.isNaN(double) -> bool", doc="Tells whether it is not a number.", examples=("math.isNaN(0.0 / 0.0)",))
def _is_nan(value: float) -> bool:
    return math.isnan(value)


@declare("math.isInf(double) -> bool", doc="Tells whether it is infinite.", examples=("math.isInf(1.0 / 0.0)",))
def _is_inf(value: float) -> bool:
    return math.isinf(value)


@declare("math.isFinite(double) -> bool", doc="Tells whether it is a finite number.", examples=("math.isFinite(1.5)",))
def _is_finite(value: float) -> bool:
    return math.isfinite(value)


@declare("math.bitAnd(int, int) -> int", doc="Gives the bits that both have.", examples=("math.bitAnd(6, 3) == 2",))
def _bit_and(a: int, b: int) -> int:
    return a & b


@declare("math.bitAnd(uint, uint) -> uint", doc="", examples=())
def _bit_and_uint(a: UInt, b: UInt) -> UInt:
    return UInt(int(a) & int(b))


@declare("math.bitOr(int, int) -> int", doc="Gives the bits that one of them has.", examples=("math.bitOr(6, 3) == 7",))
def _bit_or(a: int, b: int) -> int:
    return a | b


@declare("math.bitOr(uint, uint) -> uint", doc="", examples=())
def _bit_or_uint(a: UInt, b: UInt) -> UInt:
    return UInt(int(a) | int(b))


@declare("math.bitXor(int, int) -> int", doc="Gives the bits that only one has.", examples=("math.bitXor(6, 3) == 5",))
def _bit_xor(a: int, b: int) -> int:
    return a ^ b


@declare("math.bitXor(uint, uint) -> uint", doc="", examples=())
def _bit_xor_uint(a: UInt, b: UInt) -> UInt:
    return UInt(int(a) ^ int(b))


@declare("math.bitNot(int) -> int", doc="Turns all bits round.", examples=("math.bitNot(0) == -1",))
def _bit_not(value: int) -> int:
    return ~value


@declare("math.bitNot(uint) -> uint", doc="", examples=())
def _bit_not_uint(value: UInt) -> UInt:
    return UInt(UINT_MAX - int(value))


def _count(bits: int) -> int:
    if bits < 0:
        raise EvaluationError(f"bits cannot be shifted by {bits} places", BAD_ARGUMENT)
    return min(bits, 64)


@declare(
    "math.bitShiftLeft(int, int) -> int",
    doc="Shifts the 64 bits to the left; those beyond are lost.",
    examples=("math.bitShiftLeft(1, 4) == 16",),
)
def _shift_left(value: int, bits: int) -> int:
    shifted = (value << _count(bits)) & UINT_MAX
    return shifted if shifted <= INT_MAX else shifted - UINT_MAX - 1


@declare("math.bitShiftLeft(uint, int) -> uint", doc="", examples=())
def _shift_left_uint(value: UInt, bits: int) -> UInt:
    return UInt((int(value) << _count(bits)) & UINT_MAX)


@declare(
    "math.bitShiftRight(int, int) -> int",
    doc="Shifts the 64 bits to the right and fills with zeros, the sign's place too.",
    examples=("math.bitShiftRight(16, 4) == 1",),
)
def _shift_right(value: int, bits: int) -> int:
    shifted = (value & UINT_MAX) >> _count(bits)
    return shifted if shifted <= INT_MAX else shifted - UINT_MAX - 1


@declare("math.bitShiftRight(uint, int) -> uint", doc="", examples=())
def _shift_right_uint(value: UInt, bits: int) -> UInt:
    return UInt(int(value) >> _count(bits))
