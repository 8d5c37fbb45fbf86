"""A step that waits for events, and events that cancel a run.

The store finds waits by key; what it brings is an offer, and `match` decides. Of several waits of one step, in items or
rounds, each event goes to one: which, the store says when it is asked (`ops.Take`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowlang.engine.awaiting import wait_keys
from flowlang.engine.evaluation import StepError
from flowlang.engine.intake import CANCEL_ON, WEEK_MS, decode_event
from flowlang.engine.ops import Take, Wait
from flowlang.engine.state import ErrorInfo, Result, StepFrame
from flowlang.expr import EvaluationError
from flowlang.plan import CancelOn, WaitFor

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine


def begin(machine: Machine, frame: StepFrame, wait: WaitFor) -> None:
    """Wait: for events from now on, and for those that came since the root run's event.

    Raises:
        StepError: what `match` compares with has no value.
    """
    instance = machine.instance(frame)
    try:
        keys = wait_keys(wait.events, wait.match, machine.ask.names(), machine.outside.key_hash)
    except EvaluationError as error:
        place = machine.program.place(frame.step, "wait_for.match", error)
        raise machine.ask.error(frame, "expression", f"wait_for.match: {error}{place}") from error
    since, but = None, ""
    if wait.since == "run":
        since = max(machine.view.root_ms, machine.now_ms - machine.outside.limit("lookback", WEEK_MS))
        but = machine.view.root_event
    if wait.timeout is not None:
        machine.turn.set_timer(machine.ask.timer(frame, "timeout", wait.timeout, f"wait:{instance}"))
    machine.to(frame, "waiting")
    machine.turn.waits.append(Wait(instance, keys, since, but))


def offered(machine: Machine, fact: Mapping[str, Any]) -> None:
    """Take an event that a wait of this scope was found by."""
    ident: str = fact["wait"]
    event = decode_event(fact["body"]).view()
    if ident.startswith(CANCEL_ON):
        if matches(machine, None, ident.replace(":", "[") + "].match", rule_of(machine, ident).match, event):
            machine.state.cancel = machine.state.cancel or f"cancelled by {event['name']} {event['id']}"
        return
    frame = _waiting(machine, ident)
    if frame is None or fact["event"] in frame.offers:
        return
    step = machine.plan.steps[frame.step]
    assert isinstance(step.verb, WaitFor)
    if not matches(machine, frame, "wait_for.match", step.verb.match, event):
        return
    if machine.state.inside:
        frame.offers[fact["event"]] = event
        _ask(machine, frame, step.verb)
    else:
        _accept(machine, frame, step.verb, event)


def taken(machine: Machine, fact: Mapping[str, Any]) -> None:
    """Take the answer to whether an event is this wait's."""
    frame = _waiting(machine, fact["wait"])
    if frame is None:
        return
    event = frame.offers.pop(fact["event"], None)
    step = machine.plan.steps[frame.step]
    if event is None or not isinstance(step.verb, WaitFor):
        return
    frame.asked.remove(fact["event"])
    if fact["ok"]:
        _accept(machine, frame, step.verb, event)
    else:
        _ask(machine, frame, step.verb)


def timed_out(machine: Machine, frame: StepFrame) -> None:
    """The wait's time is up."""
    instance = machine.instance(frame)
    machine.turn.unwaits.append(instance)
    error = ErrorInfo("timeout", "timeout", f"{instance}: no such event came in time", step=instance)
    machine.after_body(frame, Result("fail", error=error))


def give_up(machine: Machine, frame: StepFrame) -> None:
    """Wait no longer: what lies around has been interrupted."""
    instance = machine.instance(frame)
    machine.turn.unwaits.append(instance)
    machine.turn.clear_timer(f"wait:{instance}")


def rule_of(machine: Machine, ident: str) -> CancelOn:
    """The rule of a wait that cancels its run."""
    return machine.plan.cancel_on[int(ident.removeprefix(CANCEL_ON))]


def matches(machine: Machine, frame: StepFrame | None, slot: str, match: str, event: dict[str, Any]) -> bool:
    """Whether an event is meant; one on which `match` has no value is not."""
    try:
        answer = machine.ask.expression(frame, slot, match, extra={"incoming": event})
    except StepError as failure:
        instance = "" if frame is None else machine.instance(frame)
        machine.log("wait.passed_over", instance, event=event["id"], error=failure.error.view())
        return False
    return answer is True


def _ask(machine: Machine, frame: StepFrame, wait: WaitFor) -> None:
    """Ask for as many of the events on offer as are still needed, and no more: the others may be somebody else's."""
    for event in frame.offers:
        if len(frame.got) + len(frame.asked) >= wait.count:
            return
        if event not in frame.asked:
            frame.asked.append(event)
            machine.turn.takes.append(Take(machine.instance(frame), machine.plan.steps[frame.step].key, event))


def _accept(machine: Machine, frame: StepFrame, wait: WaitFor, event: dict[str, Any]) -> None:
    frame.got.append(event)
    instance = machine.instance(frame)
    machine.log("wait.matched", instance, event=event["id"])
    if len(frame.got) < wait.count:
        return
    give_up(machine, frame)
    machine.after_body(frame, Result("ok", frame.got if wait.count > 1 else event))


def _waiting(machine: Machine, instance: str) -> StepFrame | None:
    frame = machine.top_step("waiting")
    return frame if frame is not None and machine.instance(frame) == instance else None
