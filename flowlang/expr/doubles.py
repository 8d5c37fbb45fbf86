"""How doubles are written: the shortest digits that read back as the same number, in two layouts."""

from __future__ import annotations

import math
from decimal import Decimal


def go_text(value: float) -> str:
    """Write a double as `string()` does, like Go's `%g`.

    Args:
        value: Any double.

    Returns:
        Such as `1`, `0.5`, `1e+06`, `NaN`, `+Inf`.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digit_tuple, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple))
    stripped = digits.rstrip("0") or "0"
    exponent += len(digits) - len(stripped)
    point = len(stripped) + exponent
    prefix = "-" if sign else ""
    if stripped == "0":
        return f"{prefix}0"
    if not -4 <= point - 1 < 6:
        fraction = f".{stripped[1:]}" if len(stripped) > 1 else ""
        return f"{prefix}{stripped[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02}"
    return prefix + _plain(stripped, point)


def json_text(value: float) -> str:
    """Write a finite double as JSON does: whole numbers without a fraction.

    Args:
        value: A finite double.

    Returns:
        Such as `1000000`, `12.5`, `1e+21`.
    """
    if value == 0:
        return "0"
    if not 1e-6 <= abs(value) < 1e21:
        return repr(value)
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"
