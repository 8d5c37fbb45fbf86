"""A step that runs another pipeline: the child run is created with the commit, its end comes back as a fact.

The child's failure is the step's error. A child that is waited for ends with its parent; one that is not goes on alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from flowlang.engine import attempts, recalling, undoing
from flowlang.engine.evaluation import StepError
from flowlang.engine.interruption import cancelled, interrupted_by
from flowlang.engine.state import ErrorInfo, Result, StepFrame
from flowlang.engine.turn import Invocation, decode_run_end
from flowlang.plan import Invoke

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine

#: How a child that did not do its work fails the step that invoked it.
NOT_DONE = {
    "skipped": ErrorInfo("resource", "run.skipped", "the run was skipped"),
    "cancelled": ErrorInfo("resource", "run.cancelled", "the run was cancelled"),
    "gone": ErrorInfo("resource", "run.gone", "the run is not kept any more"),
}


def begin(machine: Machine, frame: StepFrame, invoke: Invoke, arguments: Any) -> None:
    """Create the child run with the commit, and wait for what is said of it.

    Args:
        machine: The turn.
        frame: The step.
        invoke: What it invokes.
        arguments: The data of the call.

    Raises:
        StepError: the pipeline is not there, or does not take the data.
    """
    instance = machine.instance(frame)
    refused = machine.outside.refuses(invoke.pipeline, arguments)
    if refused is not None:
        raise StepError(msgspec.structs.replace(refused, step=instance))
    recalling.given(machine, frame, invoke.pipeline, arguments)
    origin, undone = attempts.idempotency_key(machine, frame), recalling.undone_in(machine, frame)
    call = Invocation(invoke.pipeline, instance, arguments, wait=invoke.wait, origin=origin, undone=undone)
    machine.turn.invocations.append(call)
    machine.to(frame, "invoking")


def told(machine: Machine, fact: Mapping[str, Any]) -> None:
    """Take what the store says of a child: which run it is, or how it ended."""
    frame = machine.top_step("invoking")
    if frame is None or machine.instance(frame) != fact["id"]:
        return
    if fact["status"] == "started":
        frame.done = True
        machine.after_body(frame, Result("ok", {"id": fact["run"]}))
        return
    interruption = interrupted_by(machine.state)
    if fact["status"] == "succeeded":
        end = decode_run_end(fact["result"])
        frame.done = True
        if frame.undo is None:
            undoing.remember_child(machine, frame, fact["run"])
        result = Result("ok", end.output)
    elif fact["status"] in NOT_DONE:
        error = NOT_DONE[fact["status"]]
        result = Result("fail", error=msgspec.structs.replace(error, step=fact["id"]))
    else:
        end = decode_run_end(fact["result"])
        error = end.error or ErrorInfo("bug", "unknown")
        result = Result("fail", error=msgspec.structs.replace(error, step=fact["id"], attempts=0))
    machine.after_body(frame, result if interruption is None else cancelled(interruption))


def give_up(machine: Machine, frame: StepFrame, why: ErrorInfo) -> None:
    """Tell the child to cancel; its end is waited for."""
    instance = machine.instance(frame)
    verb = machine.step_of(frame).verb
    assert isinstance(verb, Invoke)
    machine.turn.cancel_children.append((verb.pipeline, instance, why.message))
    machine.turn.status = "waiting"
