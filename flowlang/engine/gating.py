"""What an attempt of a step passes first: its throttle, its place under `concurrency`, and its queue.

Asked for before each attempt, and given back by the commit that takes the attempt's end. A lost worker's place stays
with its scope, whose next claimer makes the same attempt again. A step that invokes a run has a throttle only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowlang.engine.evaluation import StepError
from flowlang.engine.flow_control import has_step_gates, step_gates
from flowlang.engine.state import Result, StepFrame
from flowlang.plan import Step, Uses

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine


def ask(machine: Machine, frame: StepFrame) -> bool:
    """Ask for what an attempt needs; returns whether it has to wait for it."""
    step = machine.step_of(frame)
    queue = _queue(step)
    if frame.admitted or not (has_step_gates(step) or queue is not None):
        return False
    try:
        machine.turn.wanted = step_gates(
            machine.plan, step, lambda slot, text: machine.ask.expression(frame, slot, text)
        )
    except StepError as failure:
        machine.after_body(frame, Result("fail", error=failure.error))
        return True
    machine.to(frame, "gating")
    machine.turn.gate_id = machine.instance(frame)
    machine.turn.queue = queue
    return True


def passed(machine: Machine, fact: Mapping[str, Any]) -> None:
    """Take the answer: the attempt may begin."""
    frame = machine.top_step("gating")
    if frame is not None and machine.instance(frame) == fact["id"]:
        frame.admitted = True
        machine.run_body(frame)


def give_back(machine: Machine, frame: StepFrame) -> None:
    """Give back what an attempt has, or take back what it asks for; it has ended, or is not wanted any more."""
    if not frame.admitted and frame.phase != "gating":
        return
    frame.admitted = False
    step, turn = machine.step_of(frame), machine.turn
    instance = machine.instance(frame)
    if _queue(step) is not None:
        turn.queue = machine.plan.queue
    if turn.gate_id == instance:  # the store has not been asked
        turn.gate_id, turn.wanted = None, ()
    elif has_step_gates(step):
        turn.frees.append(instance)


def _queue(step: Step) -> str | None:
    return step.verb.queue if isinstance(step.verb, Uses) else None
