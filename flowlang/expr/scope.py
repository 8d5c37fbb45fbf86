"""What one evaluation carries: the caller's bindings, macro variables, pinned answers and the work left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flowlang.expr import limits
from flowlang.expr.errors import TOO_MUCH_WORK, EvaluationError
from flowlang.expr.times import Timestamp


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
            units: About one for an operation on a scalar, or for 64 characters copied.

        Raises:
            EvaluationError: The evaluation has used up its bound.
        """
        self.work -= units
        if self.work < 0:
            raise EvaluationError("the expression does too much work on this data", TOO_MUCH_WORK)
