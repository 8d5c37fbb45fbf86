"""Limits of `flowlang.yaml` that runs keep to, and what they fail with when they have reached one.

What a run has begun and stored is counted by the store at every commit, over all its scopes (`ops.Commit`). Its own
turns count on from there, so that a run that never comes back to the store does not get past a limit either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowlang import jsondata
from flowlang.engine.state import ErrorInfo, StepFrame, encode
from flowlang.engine.turn import AttemptEnd, Call

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine

#: Where a manifest names no limit there is none; `flowlang.yaml` has a default for each.
NONE: Final = 2**63 - 1

_SAYS: Final = {
    "run": "the run stores {count} bytes",
    "steps": "the run has come to {count} steps outside loops",
    "foreach": "the loop has {count} items",
    "attempts": "the step has had {count} attempts",
}


def is_near(count: int, limit: int) -> bool:
    """Whether there is so much that somebody should be told before the limit is reached."""
    return count * 5 >= limit * 4


def exceeded(name: str, count: int, limit: int, *, step: str = "", more: str = "") -> ErrorInfo:
    """What a run or step fails with.

    Args:
        name: Of the limit.
        count: What there is, or would be.
        limit: What there may be.
        step: The instance.
        more: Said after it.
    """
    message = f"{_SAYS[name].format(count=count)}; `limits.{name}` in flowlang.yaml is {limit}{more}"
    return ErrorInfo("permanent", f"limit.{name}", message, step=step)


def told(machine: Machine, fact: Mapping[str, Any]) -> None:
    """Take from the store that the run has more than it may: it ends as failed."""
    state = machine.state
    if state.cancel is None and not state.decided:
        state.overdue = state.overdue or exceeded(fact["name"], fact["count"], fact["limit"])


def begin_step(machine: Machine) -> ErrorInfo | None:
    """Count a step that is about to begin; what it fails with when that is one too many.

    Steps of loops have the limits of the loops. What a run does to end is not kept from it.
    """
    state = machine.state
    if state.inside:
        return None
    machine.view.steps += 1
    machine.turn.steps += 1
    limit = machine.outside.limit("steps", NONE)
    if machine.view.steps <= limit or _is_ending(machine):
        return None
    return exceeded("steps", machine.view.steps, limit)


def too_large(machine: Machine) -> ErrorInfo | None:
    """What a run fails with that is about to succeed and has more to store than it may."""
    limit = machine.outside.limit("run", NONE)
    turn = machine.turn
    count = machine.view.stored + sum(len(encode(one)) for one in (*turn.records.values(), *turn.journal))
    return exceeded("run", count, limit) if count > limit else None


def too_many_attempts(machine: Machine, frame: StepFrame, error: ErrorInfo) -> ErrorInfo | None:
    """What a step fails with that would be tried again and has had all its attempts."""
    limit = machine.outside.limit("attempts", NONE)
    if frame.attempts < limit:
        return None
    failure = exceeded("attempts", frame.attempts, limit, step=error.step, more=f"; the last failed: {error.message}")
    return ErrorInfo(failure.error_class, failure.code, failure.message, step=error.step, attempts=frame.attempts)


def returned(call: Call, output: Any, limit: int | None) -> AttemptEnd:
    """The end of an attempt whose handler has returned.

    Args:
        call: The attempt.
        output: JSON data; None for no output.
        limit: The most bytes that it may have.
    """
    if limit is not None and (size := len(jsondata.dumps(output))) > limit:
        message = f"the output has {size} bytes; `limits.step_output` in flowlang.yaml is {limit}"
        return AttemptEnd(call.instance, call.attempt, error=ErrorInfo("permanent", "output.too_large", message))
    return AttemptEnd(call.instance, call.attempt, msgspec.UNSET if output is None else output)


def _is_ending(machine: Machine) -> bool:
    """Whether the run is ending, or a `finally` is at work."""
    stack = machine.state.stack
    return bool(machine.state.decided) or any(isinstance(one, StepFrame) and one.phase == "finally" for one in stack)
