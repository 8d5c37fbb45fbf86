"""Attempts of a handler: asked for, made again after a failure as the policies say, and given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowlang.engine import gating, limits, recalling, retry
from flowlang.engine.evaluation import StepError
from flowlang.engine.interruption import cancelled, interrupted_by
from flowlang.engine.ops import Timer
from flowlang.engine.state import ErrorInfo, Result, StepFrame
from flowlang.engine.turn import AttemptEnd, Call
from flowlang.engine.view import instance_key
from flowlang.plan import Invoke, Uses

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine

#: An item whose lease ended more often than this without a commit is taken for poison (language.md §6); which ends
#: count, `ops.SUSPECT` says.
MAX_RESCUES = 3


def begin(machine: Machine, frame: StepFrame) -> None:
    """Ask for a call of the handler; arguments that cannot be computed fail the step for good."""
    step = machine.step_of(frame)
    verb = step.verb
    assert isinstance(verb, Uses)
    if gating.ask(machine, frame):
        return
    instance = machine.instance(frame)
    machine.to(frame, "calling")
    frame.called = False
    frame.first_ms = frame.first_ms or machine.now_ms
    if is_poison(machine, verb):
        frame.attempts += 1
        lost = f"the worker was lost {machine.rescues} times in this call"
        message = f"{lost}, the last times with nothing begun beside it"
        failed(machine, frame, ErrorInfo("permanent", "crashed", message), final=True)
        return
    try:
        given = arguments(machine, frame, verb)
        recalling.given(machine, frame, verb.handler, given)
    except StepError as failure:
        machine.after_body(frame, Result("fail", error=failure.error))
        return
    machine.turn.call = Call(
        step=step.index,
        instance=instance,
        handler=verb.handler,
        arguments=given,
        attempt=frame.attempts + 1,
        effect=verb.effect,
        timeout_ms=verb.timeout_ms,
        idempotency_key=idempotency_key(machine, frame),
    )


def ended(machine: Machine, end: AttemptEnd) -> None:
    """Take the end of the call in flight; one that nobody waits for is dropped."""
    frame = machine.top_step("calling")
    if frame is None or machine.instance(frame) != end.instance or end.attempt != frame.attempts + 1:
        return
    if end.snooze_ms is not None:
        machine.log("attempt.snoozed", end.instance, attempt=end.attempt, delay_ms=end.snooze_ms)
        back_off(machine, frame, end.instance, end.snooze_ms)
        return
    frame.attempts += 1
    machine.turn.took_attempt = True
    if end.error is None:
        frame.done = True
        machine.after_body(frame, Result("ok") if end.output is None else Result("ok", end.output))
        return
    failed(machine, frame, end.error)


def failed(machine: Machine, frame: StepFrame, error: ErrorInfo, *, final: bool = False) -> None:
    """Take an attempt's failure; `final`: whatever the policies say, there is no other one."""
    machine.turn.took_attempt = True
    step = machine.step_of(frame)
    instance = machine.instance(frame)
    error = msgspec.structs.replace(error, step=instance, attempts=frame.attempts)
    interruption = interrupted_by(machine.state)
    delay = None
    if interruption is None and not final and isinstance(step.verb, Uses):
        delay = retry.next_delay_ms(
            step.retry,
            error,
            attempts=frame.attempts,
            first_ms=frame.first_ms,
            now_ms=machine.now_ms,
            rng=machine.rng,
            effect=step.verb.effect,
        )
    if delay is not None and (failure := limits.too_many_attempts(machine, frame, error)) is not None:
        error, delay = failure, None
    machine.log("attempt.failed", instance, attempt=frame.attempts, error=error.view(), delay_ms=delay)
    if interruption is not None:
        machine.after_body(frame, cancelled(interruption))  # there would have been another attempt, or a catch
    elif delay is None:
        machine.after_body(frame, Result("fail", error=error))
    else:
        back_off(machine, frame, instance, delay)


def back_off(machine: Machine, frame: StepFrame, instance: str, delay_ms: int) -> None:
    """Wait before the next attempt."""
    gating.give_back(machine, frame)
    machine.to(frame, "backoff")
    machine.turn.set_timer(Timer(f"retry:{instance}", delay_ms))


def is_poison(machine: Machine, verb: Uses) -> bool:
    """Whether the call that is about to be made has cost the worker its life too often.

    What a turn writes is committed before its call, and a commit sets the count to 0: so when this one has
    written nothing, the lost workers were lost in this very call.
    """
    if machine.flight != "lost" or machine.rescues <= MAX_RESCUES or verb.effect == "once":
        return False
    return not machine.turn.writes


def arguments(machine: Machine, frame: StepFrame, verb: Uses | Invoke) -> Any:
    """The arguments of a call. Raises: StepError."""
    if frame.undo is not None:
        error = machine.state.ending or ErrorInfo("cancelled", "cancelled", machine.state.cancel or "cancelled")
        return machine.ask.left(frame, verb.arguments, {"error": error.view(), "secrets": machine.view.secrets})
    return machine.ask.value(frame, "with", verb.arguments, secrets=isinstance(verb, Uses))


def idempotency_key(machine: Machine, frame: StepFrame) -> str:
    """The key of a frame's instance, the same for all attempts."""
    if frame.undo is not None:
        return instance_key(frame.undo.origin, f"{frame.undo.instance}.undo")
    return recalling.key(machine, frame)
