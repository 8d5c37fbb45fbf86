"""What a replay has from the run before it: checkpoints that stand for steps, and the inputs that keys depend on.

A replay's rows begin with the records that are kept: a step that has one when it is entered has ended with it. Beside
them lies for each instance what it was given (`Past`), under `?` and its name. A scope reads what of both is its own
before it goes on: a run's main scope with its first claim, others by asking once, since nobody knew them before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flowlang import jsondata
from flowlang.engine.program import Part, Program
from flowlang.engine.state import Past, Record, Result, StepFrame
from flowlang.engine.view import instance_key
from flowlang.plan import Invoke, Uses

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine

#: Begins the names of the rows that say what instances were given.
PAST = "?"

#: Hex digits of a digest of an input.
_DIGITS = 32

_SECRETS = frozenset({"secrets"})


def recalled(
    program: Program, root: int, loops: tuple[int, ...], indexes: tuple[int, ...], part: Part
) -> Iterator[str]:
    """The reads by which a scope learns what of the earlier run is its own; see `Program.reads`."""
    for depth in range(min(len(loops), len(indexes))):
        item = program.prefix(loops[: depth + 1], indexes[: depth + 1])[:-1]
        yield from (item, f"{PAST}{item}")
    for step in program.own(root, part):
        if step.loops == loops[: len(step.loops)]:
            instance = program.instance(step, indexes)
            yield from (instance, f"{PAST}{instance}")


def ask(machine: Machine) -> None:
    """Have the scope claimed again with what of the earlier run is its own, where there is any."""
    if machine.view.meta.recalls:
        machine.turn.status = "ready"


def checkpoint(machine: Machine, frame: StepFrame) -> Record | None:
    """The record that stands for a step that is about to be entered."""
    return machine.view.records.get(machine.instance(frame)) if machine.view.meta.recalls else None


def recall(machine: Machine, frame: StepFrame, record: Record) -> None:
    """Take a checkpoint as the step's end."""
    machine.state.stack.pop()
    machine.log("step.kept", machine.instance(frame), status=record.status)
    if record.status == "succeeded":
        machine.deliver(Result("ok", record.output, view=record.view, view_of=record.view_of))
    else:  # skipped, or a failure that is tolerated
        machine.deliver(Result("ok", error=record.error, dropped=True))


def given(machine: Machine, frame: StepFrame, target: str, arguments: Any) -> None:
    """Note what a step is given, as a digest: of a secret its name.

    Args:
        machine: The turn.
        frame: The step.
        target: Handler, event or pipeline that gets it.
        arguments: Rendered.

    Raises:
        StepError: when an argument has no value.
    """
    if frame.given or frame.undo is not None:
        return
    verb = machine.step_of(frame).verb
    if isinstance(verb, Uses | Invoke):
        template = machine.program.value(frame.step, "with", verb.arguments)
        if any(path[0] in _SECRETS for path in template.paths):
            arguments = machine.ask.partly(frame, "with", verb.arguments, _SECRETS)
    frame.given = jsondata.digest([target, arguments])[:_DIGITS]


def key_origin(machine: Machine, frame: StepFrame) -> str:
    """The run that a step's idempotency key derives from: that of the earlier run, unless the step does another thing.

    A step that was undone, and one whose rendered input is another one, gets a key that derives from this run.
    """
    view = machine.view
    if not view.pasts:
        return view.origin
    past = view.pasts.get(machine.instance(frame))
    if past is None:
        return view.origin
    if past.fresh or (past.given and frame.given and past.given != frame.given):
        return view.run
    return past.origin or view.origin


def key(machine: Machine, frame: StepFrame) -> str:
    """The idempotency key of a step instance, the same for all its attempts."""
    return instance_key(key_origin(machine, frame), machine.instance(frame))


def undone_in(machine: Machine, frame: StepFrame) -> tuple[str, ...]:
    """The instances of an invoked run that were undone in the earlier one."""
    past = machine.view.pasts.get(machine.instance(frame))
    return () if past is None else past.undone


def told(machine: Machine, frame: StepFrame) -> dict[str, str]:
    """What the journal keeps of a step for the next replay."""
    if not frame.given:
        return {}
    origin = key_origin(machine, frame)
    return {"given": frame.given, **({} if origin == machine.view.origin else {"origin": origin})}


def undone(instances: Iterable[str]) -> dict[str, Past]:
    """What is to be known of instances that were undone.

    Args:
        instances: Those in an invoked run under the instance of its step: `ship/book`.
    """
    found: dict[str, Past] = {}
    inner: dict[str, list[str]] = {}
    for instance in instances:
        head, below, rest = instance.partition("/")
        if below:
            inner.setdefault(head, []).append(rest)
        else:
            found[head] = Past(fresh=True)
    for head, names in inner.items():
        found.setdefault(head, Past(undone=tuple(names)))
    return found
