"""What the holder of a scope does: commit, renew, release, and the check that it is still the holder."""

from __future__ import annotations

from flowlang.engine.ops import (
    Accepted,
    Commit,
    Committed,
    Duplicate,
    Hold,
    Lost,
    Parent,
    Release,
    Renew,
    Renewed,
    Stale,
)
from flowlang.engine.reference import cache, children, delays, events, gates, groups
from flowlang.engine.reference.accept import accept
from flowlang.engine.reference.ending import finish
from flowlang.engine.reference.tables import MAIN, SEP, Run, Scope, Tables, under_living


def _held(tables: Tables, run_id: str, scope_id: str, fence: int) -> tuple[Run, Scope] | Lost:
    """Find a held scope, or why it is not the caller's."""
    run = tables.runs.get(run_id)
    if run is None:
        return Lost("no such run")
    if not run.live:
        return Lost("the run has ended")
    scope = run.scopes.get(scope_id)
    if scope is None:
        return Lost("no such scope")
    if scope.status != "held" or scope.fence != fence:
        return Lost("not the holder")
    if not under_living(run, scope):
        return Lost("an ancestor has ended")
    return run, scope


def commit(tables: Tables, op: Commit) -> Committed | Lost | Stale:
    """Apply a `Commit`."""
    found = _held(tables, op.run, op.scope, op.fence)
    if isinstance(found, Lost):
        return found
    if any(one.epoch != tables.epoch for one in op.accepts):
        return Stale(tables.epoch)
    run, scope = found
    _write(tables, run, scope, op)
    gates.write(tables, run, scope, op)
    for group in op.groups:
        groups.create(tables, op.run, op.scope, group)
    for group_id in op.cancels:
        groups.close(tables, op.run, group_id)
    if op.status == "ended":
        tables.end_scope(op.run, op.scope, scope)
    if op.join is not None:
        groups.join(tables, op.run, scope, op.join)
    if op.finish is not None:
        finish(tables, op.run, run, op.finish)
    for run_id, reason, ident in op.cancel_runs:
        tables.deliver(run_id, MAIN, {"kind": "cancel", "reason": reason})
        if run_id not in tables.runs:
            children.tell(tables, Parent(op.run, op.scope, ident), run_id, "gone", b"")
    answers = [answer for one in op.accepts if isinstance(answer := accept(tables, one), Accepted | Duplicate)]
    _tell_limits(tables, run, op)
    if op.status == "held":
        if scope.lease_end_ms - tables.now_ms < scope.lease_ms / 2:
            scope.lease_end_ms = tables.now_ms + scope.lease_ms
            tables.leases.put(op.run + SEP + op.scope, scope.lease_end_ms)
        return Committed(tuple(scope.inbox), tuple(answers))
    if op.status == "ready" or (op.status == "waiting" and scope.inbox):
        tables.make_ready(op.run, op.scope, scope)
    elif op.status == "waiting":
        scope.status = "waiting"
        tables.hold(scope, -1)
        tables.leases.drop(op.run + SEP + op.scope)
        tables.rests(op.run)
    return Committed((), tuple(answers))


def _write(tables: Tables, run: Run, scope: Scope, op: Commit) -> None:
    del scope.inbox[: op.consumed]
    run.stored += len(op.state) - len(scope.state) + sum(map(len, op.records.values()))
    run.stored += sum(map(len, op.journal)) + sum(map(len, op.undos))
    run.steps += op.steps
    scope.state = op.state
    scope.reads = op.reads
    scope.rescues = 0
    run.records.update(op.records)
    run.journal.extend(op.journal)
    run.undos.extend(op.undos)
    for timer in op.cleared:
        tables.clear_timer(op.run, op.scope, scope, timer)
    for setting in op.timers:
        tables.set_timer(op.run, op.scope, scope, setting)
    for wait_id in op.unwaits:
        tables.drop_wait(op.run, op.scope, scope, wait_id)
    for wait in op.waits:
        events.register(tables, op.run, op.scope, scope, wait)
    for asked in op.takes:
        events.take(tables, op.run, op.scope, run, asked)
    for event in op.delayed:
        delays.put(tables, event)
    for entry in op.cached:
        cache.keep(tables, entry)
    for lookup in op.lookups:
        cache.look_up(tables, op.run, op.scope, lookup)


def _tell_limits(tables: Tables, run: Run, op: Commit) -> None:
    """Tell a run's main scope that it has more than it may; once, for it will end."""
    for name, count, limit in (("run", run.stored, op.max_stored), ("steps", run.steps, op.max_steps)):
        if limit is not None and count > limit and not run.over and run.live:
            run.over = True
            tables.deliver(op.run, MAIN, {"kind": "limit", "name": name, "count": count, "limit": limit})


def renew(tables: Tables, op: Renew) -> Renewed:
    """Apply a `Renew`."""
    worker = tables.workers.get(op.worker)
    if worker is not None:
        worker.seen_ms = tables.now_ms
    answers = []
    for run_id, scope_id, fence in op.holds:
        found = _held(tables, run_id, scope_id, fence)
        if isinstance(found, Lost):
            answers.append(Hold(ok=False))
            continue
        _, scope = found
        scope.lease_ms = op.lease_ms
        scope.alone = scope.alone or op.alone
        tables.leases.put(run_id + SEP + scope_id, tables.now_ms + op.lease_ms)
        answers.append(Hold(ok=True, facts=tuple(scope.inbox)))
    return Renewed(tuple(answers))


def release(tables: Tables, op: Release) -> Committed | Lost:
    """Apply a `Release`."""
    found = _held(tables, op.run, op.scope, op.fence)
    if isinstance(found, Lost):
        return found
    tables.make_ready(op.run, op.scope, found[1])
    return Committed()
