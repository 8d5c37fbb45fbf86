"""The end of a run: by the last commit of its main scope, or before its start, by a gate."""

from __future__ import annotations

from flowlang.engine.ops import MAIN, DeadLetter, Finish
from flowlang.engine.reference import children
from flowlang.engine.reference.tables import Dead, Run, Tables


def bury(tables: Tables, letter: DeadLetter) -> None:
    """Store a dead letter."""
    tables.dead[letter.id] = Dead(letter.kind, letter.name, tables.now_ms, letter.body)


def finish(tables: Tables, run_id: str, run: Run, end: Finish) -> None:
    """End a run whose main scope has ended; what its other scopes have of gates is given back."""
    run.status = end.status
    run.result = end.result
    run.stored += len(end.result)
    run.merged_into = end.merged_into
    run.ended_ms = tables.now_ms
    for scope_id, scope in run.scopes.items():
        for wait_id in list(scope.waits):
            tables.drop_wait(run_id, scope_id, scope, wait_id)
        tables.leave_gates(run_id, scope_id, scope)
    children.part(tables, run_id, run)
    if end.dead is not None:
        bury(tables, end.dead)
    else:
        children.expire(tables, run_id, run)


def end_unstarted(tables: Tables, run_id: str, end: Finish) -> None:
    """End a run that has not started."""
    run = tables.runs[run_id]
    tables.end_scope(run_id, MAIN, run.scopes[MAIN])
    finish(tables, run_id, run, end)
