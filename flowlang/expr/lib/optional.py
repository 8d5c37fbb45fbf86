"""Optionals: values that may be absent, as `.?` and `[?]` give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowlang.expr.errors import NO_OVERLOAD, EvaluationError
from flowlang.expr.operators import is_zero
from flowlang.expr.registry import declare
from flowlang.expr.values import Optional, kind_name


@declare("optional.of(A) -> optional<A>", doc="Wraps a value.", examples=("optional.of(1).value() == 1",), static=True)
def _of(value: Any) -> Optional:
    return Optional.of(value)


@declare(
    "optional.none() -> optional<A>",
    doc="Gives an optional without a value.",
    examples=("!optional.none().hasValue()",),
    static=True,
)
def _none() -> Optional:
    return Optional.NONE


@declare(
    "optional.ofNonZeroValue(A) -> optional<A>",
    doc="Wraps a value unless it is empty, 0, false or null.",
    examples=("!optional.ofNonZeroValue('').hasValue()", "optional.ofNonZeroValue(5).value() == 5"),
    static=True,
)
def _of_non_zero(value: Any) -> Optional:
    return Optional.NONE if is_zero(value) else Optional.of(value)


@declare("optional<A>.hasValue() -> bool", doc="Tells whether there is a value.", examples=("{'a': 1}.?a.hasValue()",))
def _has_value(target: Optional) -> bool:
    return target.present


@declare(
    "optional<A>.value() -> A",
    doc="Gives the value; an error where there is none.",
    examples=("{'a': 1}.?a.value() == 1",),
)
def _value(target: Optional) -> Any:
    return target.value


@declare(
    "optional<A>.orValue(A) -> A",
    doc="Gives the value, or another where there is none.",
    examples=("{}.?a.orValue(7) == 7", "{'a': 1}.?a.orValue(1 / 0) == 1"),
    lazy=True,
)
def _or_value(target: Optional, other: Callable[[], Any]) -> Any:
    return target.value if target.present else other()


@declare(
    "optional<A>.or(optional<A>) -> optional<A>",
    doc="Gives this optional if it has a value, else the other.",
    examples=("{'b': 2}.?a.or({'b': 2}.?b).value() == 2",),
    lazy=True,
)
def _or(target: Optional, other: Callable[[], Any]) -> Optional:
    if target.present:
        return target
    result = other()
    if result.__class__ is Optional:
        optional: Optional = result
        return optional
    raise EvaluationError(f"`or` needs an optional, and this is {kind_name(result)}; use orValue(…)", NO_OVERLOAD)


@declare(
    "optional.unwrap(list<optional<A>>) -> list<A>",
    doc="Gives the values of those optionals that have one.",
    examples=("optional.unwrap([optional.of(1), optional.none()]) == [1]",),
    static=True,
)
@declare(
    "list<optional<A>>.unwrapOpt() -> list<A>",
    doc="Gives the values of those optionals that have one.",
    examples=("[optional.of(1), optional.none()].unwrapOpt() == [1]",),
)
def _unwrap(optionals: list[Any]) -> list[Any]:
    for optional in optionals:
        if optional.__class__ is not Optional:
            raise EvaluationError(f"`unwrap` needs optionals, and one is {kind_name(optional)}", NO_OVERLOAD)
    return [optional.value for optional in optionals if optional.present]
