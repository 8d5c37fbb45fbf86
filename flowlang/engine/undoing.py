"""Compensation: what each step that succeeded leaves behind to be taken back, and taking it back, newest first.

A commit that records a success appends an `UndoEntry` to the run's list: all that is needed, so that whoever undoes it
needs neither the step's scope nor, for a child's entries, the child's plan. A child run that has ended is one entry,
which stands for its own list. When the run fails or is cancelled, its main scope walks the list from the end; each undo
is a step instance `<instance>.undo` with attempts and a record like any other. One that fails does not keep the others
from being undone; the dead letter names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from flowlang.engine import attempts, ending, recalling
from flowlang.engine.evaluation import StepError
from flowlang.engine.state import (
    Record,
    Result,
    StepFrame,
    UndoEntry,
    UndoWalk,
    decode_undo,
    encode,
)
from flowlang.engine.view import StepsView
from flowlang.plan import Step, Uses

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine

#: Root names that the arguments of an undo get when it is done.
LATER = frozenset({"error", "secrets"})

#: Codes of errors after which it is not known whether the attempt has done its work.
UNKNOWN = frozenset({"unknown_outcome", "timeout", "crashed"})


def remember(machine: Machine, frame: StepFrame, step: Step, result: Result) -> None:
    """Leave an entry for a step that has done its work, or may have.

    Args:
        machine: The turn.
        frame: The step.
        step: What it is.
        result: How it has ended; of work that was done and a `finally` that failed, the output is the pending one's.
    """
    undo = step.undo
    error = result.error or frame.error
    if undo is None or not (frame.done or (undo.unknown and error is not None and error.code in UNKNOWN)):
        return
    instance = machine.instance(frame)
    verb, broken = undo.verb, None
    worked = result if result.kind == "ok" or frame.pending is None else frame.pending
    own = Record("succeeded" if frame.done else "failed", output=worked.output, error=error, attempts=frame.attempts)
    steps = StepsView(machine.program, machine.view.records, machine.state.loops, {step.key: own})
    try:
        arguments = machine.ask.partly(frame, "undo.with", undo.verb.arguments, LATER, extra={"steps": steps})
        verb = msgspec.structs.replace(undo.verb, arguments=arguments)
    except StepError as failure:
        broken = failure.error
    origin = recalling.key_origin(machine, frame)
    entry = UndoEntry(instance, origin, undo=msgspec.structs.replace(undo, verb=verb), broken=broken)
    machine.turn.undos.append(encode(entry))


def remember_child(machine: Machine, frame: StepFrame, child: str) -> None:
    """Leave an entry for a child run that has succeeded, unless the step says how it is undone."""
    if machine.step_of(frame).undo is None:
        entry = UndoEntry(machine.instance(frame), recalling.key_origin(machine, frame), child=child)
        machine.turn.undos.append(encode(entry))


def begin(machine: Machine) -> bool:
    """Begin to undo, when the run has anything that could be undone; tell whether there is."""
    if not machine.program.undoes or not machine.plan.compensate or machine.state.walk is not None:
        return False
    machine.state.walk = UndoWalk([machine.view.run], [1], [""])
    machine.log("run.undoing")
    go_on(machine)
    return True


def go_on(machine: Machine) -> None:
    """Undo the next entry; when it has not been read yet, the scope is claimed again with it."""
    walk = machine.state.walk
    assert walk is not None
    while walk.runs:
        found = machine.view.undos.get(walk.read)
        if found is None and walk.asked != walk.read:
            walk.asked = walk.read
            machine.turn.status = "ready"
            return
        if found is None:
            walk.runs.pop()
            walk.places.pop()
            walk.prefixes.pop()
            continue
        walk.places[-1] += 1
        entry = decode_undo(found)
        if entry.child is not None:
            walk.runs.append(entry.child)
            walk.places.append(1)
            walk.prefixes.append(f"{walk.prefixes[-1]}{entry.instance}/")
            continue
        machine.state.stack.append(StepFrame(-1, undo=entry, undo_name=f"{walk.prefixes[-1]}{entry.instance}.undo"))
        return
    ending.close(machine)


def start(machine: Machine, frame: StepFrame, entry: UndoEntry) -> None:
    """Begin one undo."""
    machine.to(frame, "body")
    frame.started_ms = machine.now_ms
    machine.log("step.undoing", frame.undo_name)
    if entry.broken is not None:
        ended(machine, frame, Result("fail", error=entry.broken))
        return
    assert entry.undo is not None
    try:
        if isinstance(entry.undo.verb, Uses):
            attempts.begin(machine, frame)
        else:
            machine.invoke(frame, entry.undo.verb)
    except StepError as failure:
        ended(machine, frame, Result("fail", error=failure.error))


def ended(machine: Machine, frame: StepFrame, result: Result) -> None:
    """Record how an undo ended, and go on to the one before it."""
    machine.state.stack.pop()
    failed = result.kind != "ok"
    status = "failed" if failed else "succeeded"
    error = result.error if failed else None
    machine.write(
        frame.undo_name,
        Record(
            "failed" if failed else "succeeded",
            output=msgspec.UNSET if failed else result.output,
            error=error,
            attempts=frame.attempts,
            started_ms=frame.started_ms,
            ended_ms=machine.now_ms,
        ),
    )
    machine.log("step.undone", frame.undo_name, status=status, error=None if error is None else error.view())
    if failed and machine.state.walk is not None:
        machine.state.walk.failed.append(frame.undo_name)
    go_on(machine)


def synthetic(entry: UndoEntry) -> Step:
    """An entry as a step, for the parts of the machine that make attempts."""
    assert entry.undo is not None
    return Step(-1, "undo", entry.undo.verb, retry=entry.undo.retry)
