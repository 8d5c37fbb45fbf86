"""How a run ends: its status decided, then undos, then on_failure, all within a bound, then one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from flowlang.engine import limits, undoing
from flowlang.engine.evaluation import StepError
from flowlang.engine.ops import Timer
from flowlang.engine.program import ROOT
from flowlang.engine.state import BlockFrame, ErrorInfo, Result, StepFrame, UndoWalk
from flowlang.engine.turn import RunEnd

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine

#: The timer of what a run's ending may take, and how long that is where the project does not say.
RUN_CLEANUP = "run:cleanup"
HOUR_MS = 3_600_000


def scope_ended(machine: Machine, result: Result) -> None:
    """The stack is empty: the run or the child has ended."""
    state = machine.state
    if state.child is not None:
        machine.child_ended(result)
    elif state.decided:
        close(machine)
    elif state.overdue is not None:
        fail(machine, state.overdue)
    elif result.kind == "cancel" or state.cancel is not None:
        state.cancel = state.cancel or "cancelled"
        decide(machine, "cancelled")
    elif result.kind == "fail":
        fail(machine, result.error or ErrorInfo("bug", "unknown"))
    else:
        succeed(machine, result)


def succeed(machine: Machine, result: Result) -> None:
    """End the run with its output."""
    error = limits.too_large(machine)
    if error is not None:
        fail(machine, error)
        return
    output: Any = msgspec.UNSET
    if result.kind == "stop":
        output = result.output
    elif machine.plan.output is not msgspec.UNSET:
        try:
            output = machine.ask.value(None, "output", machine.plan.output)
        except StepError as failure:
            fail(machine, failure.error)
            return
    end(machine, RunEnd("succeeded", output=output))


def fail(machine: Machine, error: ErrorInfo) -> None:
    """Begin to end the run as failed."""
    machine.log("run.failing", error=error.view())
    machine.state.ending = error
    decide(machine, "failed")


def decide(machine: Machine, status: Literal["failed", "cancelled"]) -> None:
    """The run will have ended so; what its ending still has to do is bounded in time."""
    machine.state.decided = status
    if machine.plan.on_failure or machine.program.undoes:
        machine.turn.set_timer(Timer(RUN_CLEANUP, machine.outside.limit("cleanup", HOUR_MS)))
    close(machine)


def close(machine: Machine) -> None:
    """Go through what a run that has not succeeded still does: undos, then on_failure, then its end."""
    state = machine.state
    if undoing.begin(machine):
        return
    if state.decided == "failed" and machine.plan.on_failure and not state.closing:
        state.closing = True
        state.stack.append(BlockFrame(ROOT, "on_failure"))
        return
    incomplete = () if state.walk is None else tuple(state.walk.failed)
    if state.decided == "failed":
        end(machine, RunEnd("failed", error=state.ending, incomplete=incomplete))
    else:
        error = ErrorInfo("cancelled", "cancelled", state.cancel or "cancelled")
        end(machine, RunEnd("cancelled", error=error, incomplete=incomplete))


def give_up(machine: Machine) -> bool:
    """Ending has taken its time: leave the rest, and say so. A call in flight is told, and waited for."""
    state = machine.state
    top = state.stack[-1] if state.stack else None
    if isinstance(top, StepFrame) and top.phase == "calling" and machine.flight == "running":
        machine.turn.stop_call = True
        machine.turn.status = "held"
        return True
    if state.walk is not None and state.walk.runs:
        state.walk.failed.append(f"{state.walk.read} and those before it")
    state.stack.clear()
    state.closing = True
    state.walk = state.walk or UndoWalk([], [], [])
    close(machine)
    return True


def end(machine: Machine, how: RunEnd) -> None:
    """Write the end of the run with the commit."""
    machine.log("run.ended", status=how.status)
    machine.turn.run_end = how
    machine.turn.status = "ended"
