"""Compares our own tiers on a case: closures, generated code, and code generated for the types of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from flowlang.expr import (
    CelError,
    Environment,
    EvaluationError,
    Expression,
    Pins,
    Timestamp,
    check_expression,
    compile_expression,
)
from flowlang.expr.types import ListOf, MapOf, Opaque, OptionalOf, Type, kind
from flowlang.expr.values import Optional, is_list, is_map
from tests.conformance.cases import same
from tests.differential.generator import Case
from tests.unit.expr.inhabits import inhabits
from tests.unit.expr.test_tiers import ListView, View

#: Cases that the checker accepts, so that they have a typed tier.
TYPED: Final = "typed tier compared"
#: What escaped, though it is no error of the language.
ESCAPING: Final = "escaped"
#: A value is not of the type that the checker deduced.
OTHER_TYPE: Final = "the checker's type"
#: Evaluations that were compared between tiers.
CHECKED: Final = "evaluations in tiers"

#: What null fits by the rules of CEL's checkers.
_NULL_FITS: Final = frozenset({"timestamp", "duration", "optional"})

PINS: Final = Pins(now=Timestamp.from_ms(1_781_092_800_000), uuid=lambda: "u")

Answer = tuple[Any, ...]
#: What differs, what closures say, what the other tier says.
Problem = tuple[str, str, str]


def tier_problems(case: Case) -> tuple[list[Problem], Counter[str]]:
    """Evaluate a case in all tiers, on all its data.

    Args:
        case: The case.

    Returns:
        What differs or should not have escaped, and how much was compared.
    """
    reached: Counter[str] = Counter()
    try:
        expression = compile_expression(case.text)
    except CelError:
        return [], reached
    except Exception as error:  # noqa: BLE001 - that none escapes is what is measured
        return [(ESCAPING, "compile", repr(error))], reached
    try:
        problems = {problem[0]: problem for problem in _problems(case, expression, reached)}
        return list(problems.values()), reached
    except Exception as error:  # noqa: BLE001 - the checker's or the generator's
        return [(ESCAPING, "check or generate", repr(error))], reached


def _problems(case: Case, expression: Expression, reached: Counter[str]) -> Iterator[Problem]:
    generated = expression.specialise(None)
    promised = [case.bindings, *case.others]
    exact = [_answer(expression.exactly, bindings) for bindings in promised]
    for bindings in (*promised, *case.wild, _as_views(case.bindings)):
        reached[CHECKED] += 1
        yield from _difference(
            "generated", _answer(expression.exactly, bindings), _answer(generated, bindings), bindings
        )
    checked = check_expression(expression, Environment(case.types))
    if checked.problems:
        return
    reached[TYPED] += 1
    typed = expression.specialise(checked.types)
    for bindings, first in zip(promised, exact, strict=True):
        reached[CHECKED] += 1
        yield from _difference("typed", first, _answer(typed, bindings), bindings)
        if len(first) == 1 and not _inhabits(first[0], checked.type):
            yield OTHER_TYPE, repr(first[0]), f"{checked.type} with {bindings}"


def _inhabits(value: Any, type_: Type) -> bool:
    """Like `inhabits`, but null fits what CEL's checkers say, and maps may be of any class."""
    if value is None and kind(type_) in _NULL_FITS:
        return True
    match type_:
        case ListOf(element):
            return is_list(value) and all(_inhabits(part, element) for part in value)
        case MapOf(key, member):
            return is_map(value) and all(_inhabits(k, key) and _inhabits(v, member) for k, v in value.items())
        case OptionalOf(inner):
            return value.__class__ is Optional and (not value.present or _inhabits(value.value, inner))
        case Opaque():
            return True  # what a library brings has names of its own
        case _:
            return inhabits(value, type_)


def _difference(what: str, first: Answer, second: Answer, bindings: Mapping[str, Any]) -> Iterator[Problem]:
    for answer in (first, second):
        if answer[0] == ESCAPING and len(answer) == 2:
            yield ESCAPING, repr(answer[1]), f"with {bindings}"
            return
    if len(first) != len(second) or first[1:] != second[1:] or not _same(first[0], second[0]):
        yield what, str(first), f"{second} with {bindings}"


def _answer(evaluate: Callable[..., Any], bindings: Mapping[str, Any]) -> Answer:
    """What a tier gives: a value, or an error by its code and place, or what escapes."""
    try:
        return (evaluate(bindings, PINS),)
    except EvaluationError as error:
        return error.code, error.start, error.end
    except Exception as error:  # noqa: BLE001 - that none escapes is what is measured
        return ESCAPING, repr(error)


def _same(a: Any, b: Any) -> bool:
    """Whether two values are the same, type and order included."""
    if a is b:
        return True
    if is_map(a) and is_map(b):
        return len(a) == len(b) and all(
            _same(one[0], other[0]) and _same(one[1], other[1]) for one, other in zip(a.items(), b.items(), strict=True)
        )
    if is_list(a) and is_list(b):
        return len(a) == len(b) and all(map(_same, a, b))
    if a.__class__ is Optional and b.__class__ is Optional:
        return bool(a.present == b.present) and (not a.present or _same(a.value, b.value))
    return same(a, b)


def _as_views(bindings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same data, none of it a dict or a list."""
    return {name: _view(value) for name, value in bindings.items()}


def _view(value: Any) -> Any:
    if isinstance(value, dict):
        return View({name: _view(part) for name, part in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ListView([_view(part) for part in value])
    return value
