"""FlowLang's own functions: pinned time and ids, hashes and JSON texts, sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowlang import jsondata
from flowlang.expr.errors import NO_OVERLOAD, NOT_ALLOWED, EvaluationError
from flowlang.expr.json_values import to_json
from flowlang.expr.operators import add
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope
from flowlang.expr.times import Duration, Timestamp
from flowlang.expr.values import UInt, kind_name

#: Units of an element of a sum.
_ADDED: Final = 25


@declare(
    "now() -> timestamp",
    doc="Gives the time at which the step instance became ready, the same in all its attempts.",
    examples=("now() == now()",),
    needs_scope=True,
)
def _now(scope: Scope) -> Timestamp:
    if scope.pins.now is None:
        raise EvaluationError("now() is not allowed here", NOT_ALLOWED)
    return scope.pins.now


@declare(
    "uuid() -> string",
    doc="Gives an id that follows from the run, the step instance and how often it was asked for.",
    examples=("uuid() != uuid()",),
    needs_scope=True,
)
def _uuid(scope: Scope) -> str:
    if scope.pins.uuid is None:
        raise EvaluationError("uuid() is not allowed here", NOT_ALLOWED)
    return scope.pins.uuid()


@declare(
    "hash(A) -> string",
    doc="Gives the SHA-256 of a value's JSON with sorted keys, as 64 hexadecimal digits.",
    examples=("hash({'a': 1, 'b': 2}) == hash({'b': 2, 'a': 1.0})", "hash('x').size() == 64"),
    needs_scope=True,
)
def _hash(scope: Scope, value: Any) -> str:
    scope.spend_on(value, weight=2)
    return jsondata.digest(_equal_form(to_json(value)))


def _equal_form(plain: Any) -> Any:
    """Write doubles without a fraction as ints, so that equal values have equal hashes."""
    if plain.__class__ is float and plain.is_integer() and abs(plain) < 2.0**53:
        return int(plain)
    if plain.__class__ is list:
        return [_equal_form(part) for part in plain]
    if plain.__class__ is dict:
        return {key: _equal_form(part) for key, part in plain.items()}
    return plain


@declare(
    "json(A) -> string",
    doc="Writes a value as JSON text.",
    examples=("json({'a': [1, 2.5, null]}) == '{\"a\":[1,2.5,null]}'",),
    needs_scope=True,
)
def _json(scope: Scope, value: Any) -> str:
    scope.spend_on(value)
    return jsondata.dumps(to_json(value)).decode()


@declare(
    *(f"sum(list<{kind}>) -> {kind}" for kind in ("int", "uint", "double", "duration")),
    doc="Adds the numbers or durations of a list; an empty list gives 0, which adds to whatever it is added to.",
    examples=("sum([1, 2, 3]) == 6", "sum([0.5, 0.25]) == 0.75", "sum([]) == 0", "1.5 + sum(dyn([])) == 1.5"),
    needs_scope=True,
)
def _sum(scope: Scope, values: Sequence[Any]) -> Any:
    scope.spend(_ADDED * len(values))
    total: Any = None
    value: Any
    for value in values:
        if value.__class__ not in {int, float, UInt, Duration}:
            raise EvaluationError(f"sum adds numbers and durations, and one element is {kind_name(value)}", NO_OVERLOAD)
        if total is None:
            total = value
        elif (total.__class__ is int and value.__class__ is float) or (
            total.__class__ is float and value.__class__ is int
        ):
            # JSON writes a double without a fraction as an int, so a list of amounts holds both.
            total = float(total) + float(value)
        else:
            total = add(total, value)
    return 0 if total is None else total


def _is_number(value: Any) -> bool:
    """Whether a value is one of the numbers that JSON has; bool is another class."""
    return value.__class__ is int or value.__class__ is float
