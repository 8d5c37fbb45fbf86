"""What one evaluation carries: the caller's bindings, macro variables, pinned answers and the work left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowlang.expr import limits
from flowlang.expr.errors import TOO_MUCH_WORK, EvaluationError
from flowlang.expr.times import Timestamp
from flowlang.expr.values import Optional, is_list, is_map

#: Units for walking a list or map, and for each element in it.
CONTAINER: Final = 100
SCALAR: Final = 20
_SCALARS: Final = frozenset({str, int, float, bool, type(None), bytes})


@dataclass(frozen=True, slots=True)
class Pins:
    """What the functions answer that would otherwise look at the world.

    Args:
        now: Answer of `now()`, or None where it is not allowed.
        uuid: Gives the next answer of `uuid()`, or None where it is not allowed.
    """

    now: Timestamp | None = None
    uuid: Callable[[], str] | None = None


NO_PINS = Pins()


class Scope:
    """The state of one evaluation; never shared, so it needs no lock.

    Args:
        bindings: Values of the root names.
        pins: Answers of `now()` and `uuid()`.
        slots: How many variables the expression's macros have.
    """

    __slots__ = ("bindings", "pins", "slots", "work")

    def __init__(self, bindings: Mapping[str, object], pins: Pins, slots: int) -> None:
        self.bindings = bindings
        self.pins = pins
        self.slots: list[object] = [None] * slots
        self.work = limits.MAX_WORK

    def spend(self, units: int) -> None:
        """Count work.

        Args:
            units: Of about 20 ns or 4 bytes; see `costs`.

        Raises:
            EvaluationError: The evaluation has used up its bound.
        """
        self.work -= units
        if self.work < 0:
            raise EvaluationError("the expression does too much work on this data", TOO_MUCH_WORK)

    def make_text(self, size: int, *, narrow: bool = False) -> None:
        """Count a text or octets before they are made.

        Args:
            size: Code points or octets.
            narrow: Whether each takes one byte, which only ASCII and octets do.

        Raises:
            EvaluationError: The text is too long, or the evaluation has used up its bound.
        """
        if size > limits.MAX_TEXT_VALUE:
            message = f"the text would have more than {limits.MAX_TEXT_VALUE} characters"
            raise EvaluationError(message, TOO_MUCH_WORK)
        self.spend(size >> 2 if narrow else size)

    def spend_on(self, value: Any, *, weight: int = 1) -> None:
        """Count work for every scalar in a value; shared parts count as often as they are reached.

        Args:
            value: What will be walked, such as an operand of `==`.
            weight: How much more is done with each scalar than comparing it.

        Raises:
            EvaluationError: The evaluation has used up its bound.
        """
        pending = [value]
        while pending:
            part = pending.pop()
            if part.__class__ is Optional:
                pending += [part.value] if part.present else []
            elif is_map(part):
                self.spend(weight * (CONTAINER + SCALAR * len(part)))
                pending += [other for other in part.values() if other.__class__ not in _SCALARS]
            elif is_list(part):
                self.spend(weight * (CONTAINER + SCALAR * len(part)))
                pending += [other for other in part if other.__class__ not in _SCALARS]
