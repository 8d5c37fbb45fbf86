"""Turns of a run that has not started: it is cancelled, it has expired, or the batch that it leads has closed.

All other admission is the store's, without a turn: a run is claimed for its first step when it has passed its gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flowlang.engine.flow_control import priority_ms, run_gates
from flowlang.engine.intake import EXPIRES, key_text
from flowlang.engine.machine import Machine
from flowlang.engine.program import ROOT, Program
from flowlang.engine.state import ErrorInfo, Event, decode_meta
from flowlang.engine.turn import RunEnd, Turn
from flowlang.engine.view import RunView, uuids
from flowlang.expr import EvaluationError, Pins, Timestamp, to_json


def admitting(machine: Machine, facts: Sequence[Mapping[str, Any]]) -> Turn | None:
    """Take the facts of a run that has not started.

    Args:
        machine: Its main scope, or any other.
        facts: From its inbox; when the run starts they are left to its first turn.

    Returns:
        The turn; None when the scope starts now, or did before.
    """
    state, now_ms = machine.state, machine.now_ms
    if state.begun or state.child is not None:
        return None
    if any(fact["kind"] == "timer" and fact["id"] == EXPIRES for fact in facts):
        return _ended("cancelled", ErrorInfo("cancelled", "run.expired", "it expired before it could start"), now_ms)
    if any(fact["kind"] == "start" for fact in facts):
        return None
    for fact in facts:
        machine.take(fact)
        if state.cancel is not None:
            return _ended("cancelled", ErrorInfo("cancelled", "cancelled", state.cancel), now_ms)
        if fact["kind"] == "batch":
            events = [decode_meta(meta).event for meta in fact["metas"]]
            return _close(machine.program, machine.view, events, now_ms)
    machine.turn.status = "waiting"
    return machine.turn


def _ended(status: Any, error: ErrorInfo, now_ms: int) -> Turn:
    turn = Turn()
    turn.status = "ended"
    turn.run_end = RunEnd(status, error=error)
    turn.journal.append({"at": now_ms, "kind": "run.ended", "status": status, "error": error.view()})
    return turn


class _KeyError(Exception):
    """An expression over the events of a batch has no value."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.error = ErrorInfo("permanent", "expression", f"{where}: {message}")


def _close(program: Program, view: RunView, events: list[Event], now_ms: int) -> Turn:
    """A batch has closed: compute what sees its events, and ask for the gates of the run."""
    plan = program.plan
    about = {"id": view.run, "pipeline": view.pipeline, "version": view.version, "root": view.meta.root or view.run}
    computed: dict[str, Any] = {}
    names = {"events": [event.view() for event in events], "env": plan.env, "run": about, "vars": computed}
    pins = Pins(now=Timestamp.from_ms(now_ms), uuid=uuids(view.run, "", "vars"))

    def value(slot: str, tree: Any) -> Any:
        try:
            return to_json(program.value(ROOT, slot, tree).evaluate(names, pins=pins))
        except EvaluationError as error:
            raise _KeyError(slot, f"{error}{program.place(ROOT, slot, error)}") from error

    def expression(slot: str, text: str) -> Any:
        try:
            return to_json(program.expression(text).evaluate(names))
        except EvaluationError as error:
            raise _KeyError(slot, f"{error}{program.place(ROOT, slot, error)}") from error

    turn = Turn()
    view.meta = meta = msgspec.structs.replace(view.meta, events=tuple(events))
    try:
        for name, tree in plan.vars:
            computed[name] = value(f"vars.{name}", tree)
        labels = value("labels", plan.labels) if plan.labels else {}
        if plan.priority is not None:
            turn.priority_ms = priority_ms(expression("priority", plan.priority))
        turn.wanted = run_gates(plan, expression)
    except _KeyError as failure:
        told = view.mask().text(failure.error.message)
        ended = _ended("failed", msgspec.structs.replace(failure.error, message=told), now_ms)
        ended.meta = meta  # for a replay, when that is cured
        return ended
    texts = {name: text if isinstance(text, str) else key_text(text) for name, text in labels.items()}
    turn.meta = msgspec.structs.replace(meta, vars=computed, labels=texts)
    turn.gate_id = ""
    turn.status = "waiting"
    turn.journal.append({"at": now_ms, "kind": "batch.closed", "events": len(events)})
    return turn
