"""What a plain scalar of YAML 1.2's core schema is, and which of them are refused because tools disagree on them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

#: The smallest and the largest integer of expressions and of most JSON readers.
_INT64: Final = (-(2**63), 2**63 - 1)

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?", re.ASCII)
_EXPONENT_WITHOUT_POINT = re.compile(r"(?P<digits>[-+]?[0-9]+)[eE](?P<exponent>[-+]?[0-9]+)", re.ASCII)
_NUMBER_START: Final = frozenset("+-.0123456789")

type_of_value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Trap:
    """Why a plain scalar is refused.

    Args:
        code: A code of findings.
        message: What is wrong.
        hint: What to write instead.
    """

    code: str
    message: str
    hint: str


def resolve_plain(text: str) -> tuple[type_of_value, Trap | None]:
    """The value of an unquoted scalar.

    Args:
        text: The scalar's text.

    Returns:
        The value, and why it is refused, or None.
    """
    if text in _NULLS:
        return None, None
    if text in _BOOLEANS:
        return _BOOLEANS[text], None
    if text[0] not in _NUMBER_START:
        return text, None
    if _NOT_FINITE.fullmatch(text):
        return text, Trap("FL024", f"`{text}` is no number that JSON can hold", f'as a text: `"{text}"`')
    if _LEADING_ZERO.fullmatch(text):
        return text, _leading_zero(text)
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if match := _EXPONENT_WITHOUT_POINT.fullmatch(text):
        number = f"{match['digits']}.0e{match['exponent']}"
        return text, Trap(
            "FL013",
            f"`{text}` has an exponent and no point",
            f'as a number: `{number}`; as a text, quote it: `"{text}"`',
        )
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text, None


def _leading_zero(text: str) -> Trap:
    sign = text[0] if text[0] in "+-" else ""
    digits = text.removeprefix(sign).lstrip("0")
    number = sign + (digits if digits[:1].isdigit() else "0" + digits)
    return Trap(
        "FL012", f"the number `{text}` begins with a zero", f'as a number: `{number}`; as a text, quote it: `"{text}"`'
    )


def _integer(text: str) -> tuple[type_of_value, Trap | None]:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    digits = text[2:] if base != 10 else text
    value = int(digits, base) if len(digits) <= 70 else None
    if value is None or not _INT64[0] <= value <= _INT64[1]:
        shown = text if len(text) <= 30 else text[:29] + "…"
        return text, Trap("FL024", f"`{shown}` is beyond 64 bits", "quote it to keep it as a text")
    return value, None


def _float(text: str) -> tuple[type_of_value, Trap | None]:
    value = float(text)
    if not math.isfinite(value):
        return text, Trap("FL024", f"`{text}` is too large for a number", "quote it to keep it as a text")
    return value, None
