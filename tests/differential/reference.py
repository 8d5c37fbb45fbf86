"""Google's implementation of CEL behind Python, `cel_expr_python`: asking it, and reading its answers.

Its wrapper loses types at the boundary (uint, nanoseconds, optionals, types), so answers are read from the text that it
prints for debugging, where doubles have six digits; whole doubles are compared by `plain`, where that is there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from flowlang.expr import Duration, EvaluationError, Optional, Timestamp, TypeValue, UInt, literal
from flowlang.expr.operators import make_map
from flowlang.expr.values import is_list, is_map, kind_of
from tests.differential.generator import NAMES

try:
    from cel_expr_python import cel  # type: ignore[import-untyped]
except ImportError:  # no wheel for this platform
    cel = None

#: All that it has; network functions and `cel.block` it has not.
_CONFIGURATION: Final = "extensions:\n" + "".join(
    f"  - name: {name}\n"
    for name in (
        *("optional", "regex", "sets", "lists", "strings", "math", "bindings", "encoders"),
        "two-var-comprehensions",
    )
)
#: Values that do not come to the wrapper as what they are (it cuts octets at a zero); they are bound as literals.
_UNBOUND: Final = frozenset({UInt, Timestamp, Duration, bytes})
#: `existsOne` with one variable, which is newer than the reference: it is asked for `exists_one`.
_EXISTS_ONE: Final = re.compile(r"\.existsOne\((?=\w+,(?! *\w+,))")
#: An error that the reference put into an optional, as it prints it.
FAILED_INSIDE: Final = re.compile(r"optional\.of\([A-Z_]+: ")
_ERROR: Final = re.compile(r"[A-Z_]+: ")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reference says: a value, an error, or something that its wrapper cannot give to Python.

    Args:
        kind: `value`, `error` or `unreadable`.
        value: The value, doubles with six digits.
        plain: The value as the wrapper gives it to Python, or None where it cannot.
        message: Of the error.
        printed: What it prints for debugging.
    """

    kind: str
    value: Any = None
    plain: Any = None
    message: str = ""
    printed: str = ""


def installed() -> bool:
    return cel is not None


@cache
def _environment() -> Any:
    config = cel.NewEnvConfigFromYaml(_CONFIGURATION)
    return cel.NewEnv(config=config, variables=dict.fromkeys((*NAMES, "order"), cel.Type.DYN))


def ask(text: str, bindings: Mapping[str, Any]) -> Answer:
    """Evaluate with the reference; unchecked, since generated expressions are confused on purpose."""
    data = {name: value for name, value in bindings.items() if value.__class__ not in _UNBOUND}
    bound = {name: value for name, value in bindings.items() if name not in data and re.search(rf"\b{name}\b", text)}
    text = _EXISTS_ONE.sub(".exists_one(", text)
    for name, value in bound.items():
        text = re.sub(rf"(?<![\w)\]}}?.])\.{name}\b", f" {name}", text)  # `.t` is the root's, which has none here
        text = f"cel.bind({name}, {literal(value)}, {text}\n)"
    try:
        result = _environment().compile(text, disable_check=True).eval(data=data)
        printed = repr(result)
    except UnicodeError as error:
        return Answer("unreadable", message=str(error))
    except (RuntimeError, ValueError, MemoryError) as error:
        # Also what C++ throws inside, such as `vector::reserve` for an enormous list.
        return Answer("error", message=str(error))
    if str(result.type()) == "ERROR" and _ERROR.match(printed):
        return Answer("error", message=printed)
    try:
        value = _Reader(printed).whole()
    except (ValueError, EvaluationError) as error:
        return Answer("unreadable", message=str(error), printed=printed)
    return Answer("value", value, _plain(result, value), printed=printed)


def _plain(result: Any, value: Any) -> Any:
    try:
        return result.plain_value() if _crosses(value) else None
    except (TypeError, OverflowError, ValueError):  # a time that Python has not
        return None


def _crosses(value: Any) -> bool:
    """Whether a value can cross to Python: the wrapper crashes on a list or map with an optional or a type in it."""
    if is_map(value):
        return all(map(_crosses, value.values()))
    return all(map(_crosses, value)) if is_list(value) else value.__class__ not in {Optional, TypeValue}


_TOKEN: Final = re.compile(
    r"""(?P<time>-?\d+-\d\d-\d\dT[\d:.]+Z)
    |(?P<duration>-?(?:\d+(?:\.\d+)?(?:h|ms|us|ns|m|s))+)
    |(?P<uint>-?\d+u)
    |(?P<double>[+-]infinity|-?nan|-?\d+(?:\.\d+)?e[+-]?\d+(?:\.0)?|-?\d+\.\d+)
    |(?P<int>-?\d+)
    |(?P<bytes>b"(?:[^"\\]|\\.)*"|b'(?:[^'\\]|\\.)*')
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<none>optional\.none\(\))
    |(?P<some>optional\.of\()
    |(?P<name>[A-Za-z_][\w.@]*(?:<[^<>]*>)?)
    |(?P<mark>[\[\]{}(),:])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_SIMPLE: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


class _Reader:
    """Reads the text that the reference prints for a value."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def whole(self) -> Any:
        value = self._value()
        if self._place != len(self._text):
            raise ValueError("text behind the value")
        return value

    def _next(self) -> tuple[str, str]:
        while self._text[self._place : self._place + 1] == " ":
            self._place += 1
        found = _TOKEN.match(self._text, self._place)
        if found is None or found.lastgroup is None:
            raise ValueError(f"nothing known at {self._place}")
        self._place = found.end()
        return found.lastgroup, found.group()

    def _peek(self, mark: str) -> bool:
        place = self._place
        if self._next() == ("mark", mark):
            return True
        self._place = place
        return False

    def _value(self) -> Any:
        kind, text = self._next()
        match kind:
            case "time":
                return _timestamp(text)
            case "duration":
                return Duration.parse(text)
            case "uint":
                return UInt(int(text[:-1]) % 2**64)  # printed as if it were signed
            case "double":
                return float(text.removesuffix(".0") if "e" in text else text)
            case "int":
                return int(text)
            case "string":
                return _unescaped(text[1:-1])
            case "bytes":
                return _unescaped(text[2:-1]).encode("latin-1")
            case "none":
                return Optional.NONE
            case "some":
                value = Optional.of(self._value())
                self._expect(")")
                return value
            case "name":
                return _CONSTANTS[text] if text in _CONSTANTS else TypeValue(text.partition("<")[0])
            case _:
                return self._list() if text == "[" else self._map()

    def _expect(self, mark: str) -> None:
        if not self._peek(mark):
            raise ValueError(f"no {mark} at {self._place}")

    def _list(self) -> list[Any]:
        values: list[Any] = []
        while not self._peek("]"):
            if values:
                self._expect(",")
            values.append(self._value())
        return values

    def _map(self) -> Any:
        entries: list[tuple[Any, Any]] = []
        while not self._peek("}"):
            if entries:
                self._expect(",")
            key = self._value()
            self._expect(":")
            entries.append((key, self._value()))
        return make_map(entries)


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        digits = found[1] or found[2] or found[3]
        if digits:
            return chr(int(digits, 16))
        return chr(int(found[4], 8)) if found[4] else _SIMPLE.get(found[5], found[5])

    return _ESCAPE.sub(character, text)


def _timestamp(text: str) -> Timestamp:
    year, _, rest = text.partition("-")
    return Timestamp.parse(f"{int(year):04}-{rest}")


def agrees(value: Any, answer: Answer) -> bool:
    """Whether a value of ours is the reference's, type included."""
    return _same(value, answer.value) and (answer.plain is None or _same_doubles(value, answer.plain))


def _same(a: Any, b: Any) -> bool:
    if a == Duration(0) and b.__class__ is int:
        return b == 0  # a duration of nothing is printed as 0
    if a.__class__ is float and b.__class__ is int:
        b = float(b)  # six digits of a double may leave no fraction
    if kind_of(a) != kind_of(b):
        return False
    if is_map(a):
        return len(a) == len(b) and all(
            any(_same(key, other) and _same(value, content) for other, content in b.items()) for key, value in a.items()
        )
    if is_list(a):
        return len(a) == len(b) and all(map(_same, a, b))
    if a.__class__ is Optional:
        return bool(a.present == b.present) and (not a.present or _same(a.value, b.value))
    if a.__class__ is float:
        return _six_digits(a) == _six_digits(b)
    return bool(a == b)


def _six_digits(value: float) -> str:
    return "nan" if math.isnan(value) else f"{value:.5e}"


def _same_doubles(a: Any, plain: Any) -> bool:
    """Whether the doubles of a value are exactly those that the wrapper gives."""
    if a.__class__ is float:
        return plain.__class__ is float and (a == plain or (math.isnan(a) and math.isnan(plain)))
    if is_list(a) and isinstance(plain, list):
        return len(a) == len(plain) and all(map(_same_doubles, a, plain))
    if is_map(a) and isinstance(plain, dict) and len(a) == len(plain):
        return all(_same_doubles(value, plain.get(key)) for key, value in a.items())
    return True
