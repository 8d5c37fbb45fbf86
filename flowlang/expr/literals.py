"""What literals mean: numbers in their ranges, texts and octets with their escapes."""

from __future__ import annotations

import re
from typing import Final

from flowlang.expr.errors import EvaluationError, ExpressionSyntaxError, Problem
from flowlang.expr.syntax import Call, Literal, Node, RawLiteral
from flowlang.expr.times import Duration, Timestamp
from flowlang.expr.values import INT_MAX, INT_MIN, UINT_MAX, UInt

_SIMPLE_ESCAPES: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "?": "?",
    '"': '"',
    "'": "'",
    "`": "`",
}
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.?))", re.DOTALL
)
_CONSTANTS: Final = {"TRUE": True, "FALSE": False, "NULL": None}


def time_literal(node: Node) -> Timestamp | Duration | None:
    """Read `timestamp("…")` or `duration("…")` of a constant text, which is a literal in all but its syntax.

    Args:
        node: Any node of a resolved tree.

    Returns:
        The time; None where the node is something else, or no such text.
    """
    if not isinstance(node, Call) or node.target is not None or len(node.args) != 1:
        return None
    argument, time = node.args[0], _TIMES.get(node.name)
    if time is None or not isinstance(argument, Literal) or not isinstance(argument.value, str):
        return None
    try:
        return time.parse(argument.value)
    except EvaluationError:
        return None


_TIMES: Final[dict[str, type[Timestamp | Duration]]] = {"timestamp": Timestamp, "duration": Duration}


def decode(literal: RawLiteral, *, negative: bool = False) -> object:
    """Give the value of a literal.

    Args:
        literal: As written.
        negative: Whether a minus stands before it, which belongs to the number.

    Returns:
        None, bool, int, UInt, float, str or bytes.

    Raises:
        ExpressionSyntaxError: A number is out of range, or an escape means nothing.
    """
    if literal.kind in _CONSTANTS:
        return _CONSTANTS[literal.kind]
    if literal.kind == "INT":
        value = _integer(literal.text)
        value = -value if negative else value
        if not INT_MIN <= value <= INT_MAX:
            raise _error(
                literal,
                "the number does not fit an int of 64 bits",
                "write a double such as 1e20, or a uint such as 5u",
            )
        return value
    if literal.kind == "UINT":
        value = _integer(literal.text[:-1])
        if value > UINT_MAX:
            raise _error(literal, "the number does not fit a uint of 64 bits", None)
        return UInt(value)
    if literal.kind == "FLOAT":
        return -float(literal.text) if negative else float(literal.text)
    return _text(literal)


def _integer(text: str) -> int:
    if text[:2] in {"0x", "0X"}:
        return int(text, 16)
    # Longer ones are out of range anyway, and Python refuses to read thousands of digits.
    return int(text) if len(text) <= 40 else UINT_MAX + 1


def _text(literal: RawLiteral) -> str | bytes:
    quote_at = min(place for place in (literal.text.find('"'), literal.text.find("'")) if place >= 0)
    prefix, body = literal.text[:quote_at].lower(), literal.text[quote_at:]
    width = 3 if len(body) >= 6 and body[:3] == body[0] * 3 else 1
    inner = body[width:-width]
    binary = literal.kind == "BYTES"
    if "r" in prefix or "\\" not in inner:
        return _encode(literal, inner) if binary else inner
    if binary:
        return _octets(literal, inner, quote_at + width)
    return _ESCAPE.sub(lambda found: _character(literal, found, quote_at + width), inner)


def _octets(literal: RawLiteral, inner: str, shift: int) -> bytes:
    parts = []
    position = 0
    for found in _ESCAPE.finditer(inner):
        parts.append(_encode(literal, inner[position : found.start()]))
        if found[3] or found[4]:
            raise _escape_error(literal, found, shift, "octets are written as \\xHH")
        parts.append(_character(literal, found, shift).encode("latin-1"))
        position = found.end()
    parts.append(_encode(literal, inner[position:]))
    return b"".join(parts)


def _encode(literal: RawLiteral, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _error(literal, "the text holds half of a surrogate pair", None) from None


def _character(literal: RawLiteral, found: re.Match[str], shift: int) -> str:
    simple, hexadecimal, short, long, octal, _ = found.groups()
    if simple:
        return _SIMPLE_ESCAPES[simple]
    if octal:
        return chr(int(octal, 8))
    digits = hexadecimal or short or long
    if digits is None:
        raise _escape_error(literal, found, shift, "write \\\\ for a backslash, or r'…' for a text without escapes")
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise _escape_error(literal, found, shift, "there is no such character")
    return chr(code)


def _escape_error(literal: RawLiteral, found: re.Match[str], shift: int, hint: str) -> ExpressionSyntaxError:
    start = literal.start + shift + found.start()
    problem = Problem(f"`{found.group()}` is no escape", start, start + len(found.group()), hint)
    return ExpressionSyntaxError((problem,))


def _error(literal: RawLiteral, message: str, hint: str | None) -> ExpressionSyntaxError:
    return ExpressionSyntaxError((Problem(message, literal.start, literal.end, hint),))
