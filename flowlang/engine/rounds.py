"""A step that is repeated: its rounds follow one another in their scope, each a step instance with a record of its own.

The loop's frame lies below the frame of its round: `rounds` while one goes on or is to begin, `pausing` between two,
`collecting` when the records of all rounds must be read before the loop's output can be made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from flowlang.engine import recalling, retry
from flowlang.engine.evaluation import StepError, type_name
from flowlang.engine.ops import Timer
from flowlang.engine.state import ErrorInfo, Record, Result, StepFrame
from flowlang.engine.view import StepsView, results
from flowlang.plan import Repeat, Step

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine


def start(machine: Machine, frame: StepFrame, step: Step, repeat: Repeat) -> None:
    """Begin a loop: compute what `last` is in the first round."""
    frame.first_ms = machine.now_ms
    if repeat.start is not None:
        try:
            machine.state.starts = {
                **machine.state.starts,
                step.index: machine.ask.value(frame, "start", repeat.start),
            }
        except StepError as failure:
            machine.settle(frame, Result("fail", error=failure.error))
            return
    machine.to(frame, "rounds")


def begin(machine: Machine, frame: StepFrame) -> None:
    """Begin the next round, unless the turn has done enough."""
    if machine.budget == 0:
        machine.turn.status = "ready"
        return
    machine.budget -= 1
    state = machine.state
    state.loops = (*state.loops, frame.round)
    state.inside = (*state.inside, frame.step)
    state.stack.append(StepFrame(frame.step, item=True))
    recalling.ask(machine)


def ended(machine: Machine, frame: StepFrame, step: Step, result: Result) -> None:
    """Take the end of a round: is it the last one?"""
    repeat = step.repeat
    assert repeat is not None
    state = machine.state
    instance = machine.program.frame_instance(StepFrame(step.index, item=True), state.loops)
    record = machine.view.records.get(instance)  # one that was cancelled before it began has none
    done: bool | ErrorInfo = False
    if result.kind == "ok" and record is not None:
        done = _is_done(machine, step, repeat, record)
    state.loops, state.inside = state.loops[:-1], state.inside[:-1]
    frame.total = frame.round + 1
    if result.kind != "ok":
        _leave(machine, frame, result)
    elif isinstance(done, ErrorInfo):
        _leave(machine, frame, Result("fail", error=done))
    elif done:
        machine.to(frame, "collecting")
    else:
        _go_on(machine, frame, repeat, kept=record is not None and _is_kept(machine, record))


def collect(machine: Machine, frame: StepFrame) -> None:
    """Make the output of a loop whose last round has ended: that of the round, or what `collect` makes of all."""
    step = machine.plan.steps[frame.step]
    group = machine.instance(frame)
    wanted = range(frame.total) if step.collect is not msgspec.UNSET else (frame.total - 1,)
    if any(f"{group}[{number}]" not in machine.view.records for number in wanted):
        machine.turn.status = "ready"  # claimed again, the scope has them
        return
    if step.collect is msgspec.UNSET:
        last = machine.view.records[f"{group}[{frame.total - 1}]"]
        _leave(machine, frame, Result("ok", last.output, view=last.view, view_of=last.view_of))
        return
    extra = {"results": results(group, frame.total, machine.view)}
    try:
        result = Result("ok", machine.ask.value(frame, "collect", step.collect, extra=extra))
    except StepError as failure:
        result = Result("fail", error=failure.error)
    _leave(machine, frame, result)


def _is_done(machine: Machine, step: Step, repeat: Repeat, record: Record) -> bool | ErrorInfo:
    """Evaluate `until`, which sees the round that has just ended as what its own step gave."""
    at_end = StepFrame(step.index, item=True, started_ms=machine.now_ms)
    steps = StepsView(machine.program, machine.view.records, machine.state.loops, {step.key: record})
    try:
        done = machine.ask.expression(at_end, "repeat.until", repeat.until, extra={"steps": steps})
        if not isinstance(done, bool):
            message = f"`until: {repeat.until}` gives {type_name(done)}, not true or false"
            raise machine.ask.error(at_end, "expression", message)
    except StepError as failure:
        return failure.error
    return done


def _is_kept(machine: Machine, record: Record) -> bool:
    """Whether a round is one of the run that is replayed."""
    return machine.view.meta.recalls and record.ended_ms < machine.state.started_ms


def _go_on(machine: Machine, frame: StepFrame, repeat: Repeat, *, kept: bool) -> None:
    """Begin another round, now or after a pause; when it has run out of rounds or time, the loop has failed.

    After a round that is kept of an earlier run there is no pause.
    """
    instance = machine.instance(frame)
    pause = 0 if kept else retry.backoff_ms(repeat.every, frame.total, machine.rng)
    out = ""
    if repeat.limit is not None and frame.total >= repeat.limit:
        out = f"{instance} was not done after {frame.total} rounds"
    elif repeat.for_ms is not None and machine.now_ms + pause > frame.first_ms + repeat.for_ms:
        out = f"{instance} was not done in the time that its `for` gives it"
    if out:
        error = ErrorInfo("timeout", "repeat.exhausted", out, step=instance)
        _leave(machine, frame, Result("fail", error=error))
        return
    frame.round += 1
    machine.to(frame, "rounds")
    if pause > 0:
        machine.to(frame, "pausing")
        machine.turn.set_timer(Timer(f"round:{instance}", pause))


def _leave(machine: Machine, frame: StepFrame, result: Result) -> None:
    starts = machine.state.starts
    if frame.step in starts:
        machine.state.starts = {step: value for step, value in starts.items() if step != frame.step}
    machine.settle(frame, result)  # catch and finally were each round's own
