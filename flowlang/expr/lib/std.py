"""The standard functions: sizes, searching in texts, conversions, types."""

from __future__ import annotations

import re
from typing import Any, Final

from flowlang.expr.doubles import go_text
from flowlang.expr.errors import BAD_ARGUMENT, OUT_OF_RANGE, EvaluationError
from flowlang.expr.registry import declare
from flowlang.expr.times import SECOND, Duration, Timestamp
from flowlang.expr.values import TypeValue, UInt, checked_int, checked_uint, kind_of

_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_INT_TEXT: Final = re.compile(r"[+-]?[0-9]{1,30}")
_UINT_TEXT: Final = re.compile(r"[0-9]{1,30}")
_DOUBLE_TEXT: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|infinity)|nan", re.IGNORECASE
)


@declare(
    *(f"size({kind}) -> int" for kind in ("string", "bytes", "list<A>", "map<K, V>")),
    *(f"{kind}.size() -> int" for kind in ("string", "bytes", "list<A>", "map<K, V>")),
    doc="Counts the characters of a text, the octets of bytes, the elements of a list or the entries of a map.",
    examples=("size('héllo') == 5", "[1, 2, 3].size() == 3", "size({'a': 1}) == 1"),
)
def _size(value: Any) -> int:
    return len(value)


@declare(
    "string.contains(string) -> bool",
    doc="Tells whether the text holds another.",
    examples=("'hello'.contains('ell')",),
)
def _contains(text: str, part: str) -> bool:
    return part in text


@declare(
    "string.startsWith(string) -> bool",
    doc="Tells whether the text begins with another.",
    examples=("'hello'.startsWith('he')",),
)
def _starts_with(text: str, part: str) -> bool:
    return text.startswith(part)


@declare(
    "string.endsWith(string) -> bool",
    doc="Tells whether the text ends with another.",
    examples=("'hello'.endsWith('lo')",),
)
def _ends_with(text: str, part: str) -> bool:
    return text.endswith(part)


@declare("bool(bool) -> bool", doc="Converts to a bool.", examples=("bool('true')", "!bool('0')"))
def _bool(value: bool) -> bool:
    return value


@declare("bool(string) -> bool", doc="", examples=())
def _bool_of_text(text: str) -> bool:
    if text not in _BOOLS:
        raise EvaluationError(f"`{text[:40]}` is no bool; write true or false", BAD_ARGUMENT)
    return _BOOLS[text]


@declare(
    "int(int) -> int",
    "int(uint) -> int",
    doc="Converts to an int; doubles are cut towards zero, timestamps give seconds since 1970.",
    examples=("int('42') == 42", "int(1.9) == 1", "int(timestamp('1970-01-01T00:01:00Z')) == 60"),
)
def _int(value: int) -> int:
    return checked_int(int(value))


@declare("int(double) -> int", doc="", examples=())
def _int_of_double(value: float) -> int:
    # The bounds themselves are refused, since as doubles they stand for numbers beyond them as well.
    if not -(2.0**63) < value < 2.0**63:
        raise EvaluationError(f"{go_text(value)} does not fit an int of 64 bits", OUT_OF_RANGE)
    return int(value)


@declare("int(string) -> int", doc="", examples=())
def _int_of_text(text: str) -> int:
    if not _INT_TEXT.fullmatch(text):
        raise EvaluationError(f"`{text[:40]}` is no int; write digits only", BAD_ARGUMENT)
    return checked_int(int(text))


@declare("int(timestamp) -> int", doc="", examples=())
def _int_of_timestamp(value: Timestamp) -> int:
    return value.ns // SECOND


@declare(
    "uint(uint) -> uint",
    "uint(int) -> uint",
    doc="Converts to a uint; doubles are cut towards zero.",
    examples=("uint('42') == 42u", "uint(7.9) == 7u"),
)
def _uint(value: int) -> UInt:
    return checked_uint(int(value))


@declare("uint(double) -> uint", doc="", examples=())
def _uint_of_double(value: float) -> UInt:
    if not 0.0 <= value < 2.0**64:
        raise EvaluationError(f"{go_text(value)} does not fit a uint of 64 bits", OUT_OF_RANGE)
    return UInt(int(value))


@declare("uint(string) -> uint", doc="", examples=())
def _uint_of_text(text: str) -> UInt:
    if not _UINT_TEXT.fullmatch(text):
        raise EvaluationError(f"`{text[:40]}` is no uint; write digits only", BAD_ARGUMENT)
    return checked_uint(int(text))


@declare(
    "double(double) -> double",
    "double(int) -> double",
    "double(uint) -> double",
    doc="Converts to a double.",
    examples=("double(3) == 3.0", "double('1e3') == 1000.0"),
)
def _double(value: float) -> float:
    return float(value)


@declare("double(string) -> double", doc="", examples=())
def _double_of_text(text: str) -> float:
    if not _DOUBLE_TEXT.fullmatch(text):
        raise EvaluationError(f"`{text[:40]}` is no double; write one like 12.5 or 1e3", BAD_ARGUMENT)
    return float(text)


@declare(
    "string(string) -> string",
    "string(int) -> string",
    "string(uint) -> string",
    "string(timestamp) -> string",
    "string(duration) -> string",
    doc="Converts to a text.",
    examples=("string(42) == '42'", "string(true) == 'true'", "string(duration('90m')) == '5400s'"),
)
def _string(value: Any) -> str:
    return str(value)


@declare("string(bool) -> string", doc="", examples=())
def _string_of_bool(value: bool) -> str:
    return "true" if value else "false"


@declare("string(double) -> string", doc="", examples=())
def _string_of_double(value: float) -> str:
    return go_text(value)


@declare("string(bytes) -> string", doc="", examples=())
def _string_of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise EvaluationError("the bytes are no UTF-8", BAD_ARGUMENT) from None


@declare("bytes(bytes) -> bytes", doc="Converts to octets; texts as UTF-8.", examples=("bytes('é') == b'\\xc3\\xa9'",))
def _bytes(value: bytes) -> bytes:
    return value


@declare("bytes(string) -> bytes", doc="", examples=())
def _bytes_of_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise EvaluationError("the text holds half of a surrogate pair", BAD_ARGUMENT) from None


@declare("type(A) -> type<A>", doc="Gives the type of a value.", examples=("type(1) == int", "type([]) == list"))
def _type(value: Any) -> TypeValue:
    return TypeValue(kind_of(value))


@declare(
    "dyn(A) -> dyn", doc="Gives the value itself; its type is checked only at run time.", examples=("dyn(1) == 1.0",)
)
def _dyn(value: Any) -> Any:
    return value


@declare(
    "timestamp(timestamp) -> timestamp",
    doc="Converts to a timestamp: RFC 3339 text, or seconds since 1970.",
    examples=(
        "timestamp('2026-06-10T12:00:00Z').getHours() == 12",
        "timestamp(60) == timestamp('1970-01-01T00:01:00Z')",
    ),
)
def _timestamp(value: Timestamp) -> Timestamp:
    return value


@declare("timestamp(string) -> timestamp", doc="", examples=())
def _timestamp_of_text(text: str) -> Timestamp:
    return Timestamp.parse(text)


@declare("timestamp(int) -> timestamp", doc="", examples=())
def _timestamp_of_int(seconds: int) -> Timestamp:
    return Timestamp(seconds * SECOND)


@declare(
    "duration(duration) -> duration",
    doc="Converts to a duration: numbers with the units w d h m s ms us ns.",
    examples=("duration('1h30m') == duration('5400s')", "duration('1d') == duration('24h')"),
)
def _duration(value: Duration) -> Duration:
    return value


@declare("duration(string) -> duration", doc="", examples=())
def _duration_of_text(text: str) -> Duration:
    return Duration.parse(text)
