"""`format`: values put into a text by clauses such as `%s`, `%d` and `%.2f`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

from flowlang.expr.errors import BAD_ARGUMENT, EvaluationError
from flowlang.expr.operators import as_double
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope
from flowlang.expr.times import SECOND
from flowlang.expr.values import UInt, is_list, is_map, kind_name

_CLAUSE: Final = re.compile(r"%(?:\.([0-9]+))?(.?)", re.DOTALL)
_MAX_PRECISION: Final = 1_000
#: Units of a clause, and how much more than walking a value it takes to write it.
_CLAUSE_UNITS: Final = 200
_WRITTEN: Final = 4
_INTEGERS: Final = frozenset({int, UInt})
#: Octets that are no UTF-8, as Python reads them with `surrogateescape`; a run of them is written as one mark.
_INVALID: Final = re.compile("[\udc80-\udcff]+")


@declare(
    "string.format(list<dyn>) -> string",
    doc="Puts values in the places of %s, %d, %f, %e, %x, %X, %o and %b; %% is a percent sign.",
    examples=(
        "'%s owes %.2f'.format(['Ada', 12.5]) == 'Ada owes 12.50'",
        "'%d of %d, %x'.format([1, 2, 255]) == '1 of 2, ff'",
    ),
    needs_scope=True,
)
def _format(scope: Scope, text: str, values: Sequence[Any]) -> str:
    written: list[str] = []
    position, used = 0, 0
    for clause in _CLAUSE.finditer(text):
        written.append(text[position : clause.start()])
        position = clause.end()
        if clause.group() == "%%":
            written.append("%")
            continue
        if not clause[2]:
            raise EvaluationError("the text ends inside a clause; write %% for a percent sign", BAD_ARGUMENT)
        if used >= len(values):
            raise EvaluationError(f"there is no value for clause {used + 1}, `{clause.group()}`", BAD_ARGUMENT)
        scope.spend(_CLAUSE_UNITS)
        scope.spend_on(values[used], weight=_WRITTEN)
        written.append(_write(clause, values[used]))
        used += 1
        scope.make_text(len(written[-1]))
    written.append(text[position:])
    scope.make_text(sum(map(len, written)))
    return "".join(written)


def _write(clause: re.Match[str], value: Any) -> str:
    precision = 6 if clause[1] is None else int(clause[1][:4])
    if precision > _MAX_PRECISION:
        raise EvaluationError(f"`{clause.group()}` wants more than {_MAX_PRECISION} places", BAD_ARGUMENT)
    writer = _WRITERS.get(clause[2])
    if writer is None:
        message = f"`{clause.group()}` is no clause; there are %s %d %f %e %x %X %o %b and %%"
        raise EvaluationError(message, BAD_ARGUMENT)
    return writer(value, precision)


def _refuse(value: Any, clause: str, takes: str) -> EvaluationError:
    return EvaluationError(f"`{clause}` takes {takes}, and this is {kind_name(value)}", BAD_ARGUMENT)


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _plain(value: float) -> str:
    """Write a double in base 10: unlike `string()`, never with an exponent."""
    if not math.isfinite(value):
        return _special(value)
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(value: Any, precision: int = 6) -> str:
    kind = kind_name(value)
    if kind == "null":
        return "null"
    if kind == "bool":
        return "true" if value else "false"
    if kind == "double":
        return _plain(value)
    if kind == "bytes":
        return _INVALID.sub("\ufffd", bytes(value).decode(errors="surrogateescape"))
    if kind == "duration":
        return f"{_plain(value.ns / SECOND)}s"
    if kind == "timestamp":
        return f"{str(value)[:-1].rstrip('0').rstrip('.')}Z" if "." in str(value) else str(value)
    if is_list(value):
        return f"[{', '.join(_text(element, precision) for element in value)}]"
    if is_map(value):
        entries = sorted((_text(key, precision), _text(other, precision)) for key, other in value.items())
        return "{" + ", ".join(f"{key}: {other}" for key, other in entries) + "}"
    if kind in {"string", "int", "uint", "type"}:
        return str(value)
    raise _refuse(value, "%s", "no such value")


def _decimal(value: Any, _: int) -> str:
    if value.__class__ in _INTEGERS:
        return str(value)
    if value.__class__ is float:
        return _plain(value)
    raise _refuse(value, "%d", "numbers")


def _double(value: Any, clause: str) -> float:
    if value.__class__ is float or value.__class__ in _INTEGERS:
        return as_double(value)
    if value.__class__ is str and value in {"NaN", "Infinity", "-Infinity"}:
        return float(value)
    raise _refuse(value, clause, "numbers")


def _fixed(value: Any, precision: int) -> str:
    number = _double(value, "%f")
    if not math.isfinite(number):
        return _special(number)
    # Python rounds the exact binary value half to even, as the reference implementations do.
    return f"{int(value) if value.__class__ in _INTEGERS else number:.{precision}f}"


def _scientific(value: Any, precision: int) -> str:
    number = _double(value, "%e")
    return f"{number:.{precision}e}" if math.isfinite(number) else _special(number)


def _binary(value: Any, _: int) -> str:
    if value.__class__ is bool:
        return "1" if value else "0"
    if value.__class__ in _INTEGERS:
        return format(int(value), "b")
    raise _refuse(value, "%b", "integers and bools")


def _octal(value: Any, _: int) -> str:
    if value.__class__ in _INTEGERS:
        return format(int(value), "o")
    raise _refuse(value, "%o", "integers")


def _hexadecimal(value: Any, _: int) -> str:
    if value.__class__ in _INTEGERS:
        return format(int(value), "x")
    if value.__class__ is str:
        return str(value).encode(errors="replace").hex()
    if value.__class__ is bytes:
        return bytes(value).hex()
    raise _refuse(value, "%x", "integers, texts and bytes")


_WRITERS: Final[dict[str, Callable[[Any, int], str]]] = {
    "s": _text,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "o": _octal,
    "x": _hexadecimal,
    "X": lambda value, precision: _hexadecimal(value, precision).upper(),
}
