"""Gates: what a run passes before it starts, and a scope before an attempt.

An operation only notes what it means for gates (`Tables.agenda`), and `settle` does it when the operation is done: so a
place is given on once the commit that gave it back is complete. Each kind of gate is a module of its own; the order of
the gates is that of whoever asks.
"""

from __future__ import annotations

from flowlang.engine.ops import MAIN, Commit, Finish, Pace, Slot, Window
from flowlang.engine.reference import ending, lines, paces, slots, windows
from flowlang.engine.reference.tables import MAX_AHEAD_MS, Pending, Run, Scope, Tables


def ask(tables: Tables, run_id: str, scope_id: str, pending: Pending) -> None:
    """Let a scope ask for gates, the first one when the operation at hand is done."""
    run = tables.runs[run_id]
    run.scopes[scope_id].pending = pending
    run.gated = run.gated or scope_id != MAIN
    tables.agenda.append(("walk", run_id, scope_id))


def write(tables: Tables, run: Run, scope: Scope, op: Commit) -> None:
    """Apply the part of a commit that is about gates and queues."""
    for ident in op.frees:
        if ident in scope.slots:
            key, member = scope.slots.pop(ident)
            tables.agenda.append(("free", key, member))
        if scope.pending is not None and scope.pending.id == ident:
            tables.withdraw(scope)
    if op.meta is not None:
        run.meta = op.meta
        run.stored += len(op.meta)
    if op.priority_ms is not None:
        scope.priority_ms = op.priority_ms
    if op.queue is not None:
        tables.hold(scope, -1)
        scope.queue = op.queue
        tables.hold(scope, 1)
    if op.gate_id is not None:
        ask(tables, op.run, op.scope, Pending(op.gate_id, list(op.gates)))


def settle(tables: Tables) -> None:
    """Do what operations have noted, until nothing is left; then runs without work give their places back."""
    agenda = tables.agenda
    while agenda or tables.counted:
        if not agenda:
            idle, tables.counted = tables.counted, {}
            for run_id in idle:
                if run_id in tables.runs:
                    slots.park(tables, run_id)
            continue
        match agenda.popleft():
            case "walk", run_id, scope_id:
                _walk(tables, run_id, scope_id)
            case "free", key, member:
                slots.free(tables, key, member)
            case "left", kind, key, member:
                _leave(tables, kind, key, member)
            case "due", "window", key:
                windows.close(tables, key)
            case "due", _, key:
                paces.run(tables, key)
            case "back", run_id:
                slots.come_back(tables, run_id)
            case "wake", run_id:
                slots.wake(tables, run_id)
            case noted:
                raise AssertionError(noted)


def _walk(tables: Tables, run_id: str, scope_id: str) -> None:
    """Ask for the next gate of a scope, or tell it that it has passed them all."""
    run = tables.living(run_id)
    scope = run.scopes.get(scope_id) if run is not None else None
    if run is None or scope is None or scope.pending is None or scope.pending.member:
        return
    pending = scope.pending
    if not pending.gates:
        _passed(tables, run_id, scope_id)
        return
    gate = pending.gates[0]
    if isinstance(gate, Pace) and not gate.wait:
        if paces.spend(tables, gate):
            ending.end_unstarted(tables, run_id, Finish("skipped", gate.refusal))
        else:
            pending.gates.pop(0)
            tables.agenda.append(("walk", run_id, scope_id))
        return
    pending.member = member = lines.new_member(tables, run_id, scope_id)
    score = tables.now_ms - scope.priority_ms
    match gate:
        case Pace():
            paces.ask(tables, member, gate, score)
        case Window():
            windows.ask(tables, member, gate)
        case Slot():
            slots.ask(tables, member, gate, score)
            if gate.on_limit == "skip" and pending.member:
                ending.end_unstarted(tables, run_id, Finish("skipped", gate.refusal))


def _passed(tables: Tables, run_id: str, scope_id: str) -> None:
    run = tables.runs[run_id]
    scope = run.scopes[scope_id]
    pending = scope.pending
    assert pending is not None
    scope.pending = None
    if pending.more:  # before all that could start: from now on its priority counts
        tables.deliver(run_id, scope_id, {"kind": "batch", "metas": pending.metas}, MAX_AHEAD_MS)
    elif not pending.id:
        run.admitting = False
        tables.deliver(run_id, scope_id, {"kind": "start"})
    else:
        tables.deliver(run_id, scope_id, {"kind": "passed", "id": pending.id})


def _leave(tables: Tables, kind: str, key: str, member: str) -> None:
    """Somebody who waited at a gate is gone."""
    lines.drop(tables.lines, key, member)
    match kind:
        case "pace":
            paces.run(tables, key)
        case "window":
            windows.leave(tables, key)
        case _:
            slots.free(tables, key, member)
