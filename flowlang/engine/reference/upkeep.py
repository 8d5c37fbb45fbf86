"""What nobody's turn does: sweeping, cancelling, deploying, clearing dead letters, leaving."""

from __future__ import annotations

from flowlang.engine.ops import (
    SUSPECT,
    Cancel,
    Delete,
    Deploy,
    Deployed,
    Done,
    Leave,
    Prune,
    Pruned,
    ResolveDead,
    Stale,
    Sweep,
    Swept,
)
from flowlang.engine.reference import children, events, gates, serving
from flowlang.engine.reference.tables import MAIN, MAX_AHEAD_MS, SEP, WORKER_LISTED_MS, Tables, under_living


def cancel(tables: Tables, op: Cancel) -> Done:
    """Apply a `Cancel`."""
    run = tables.runs.get(op.run)
    if run is None:
        return Done(found=False, changed=False)
    if not run.live:
        return Done(changed=False)
    tables.deliver(op.run, MAIN, {"kind": "cancel", "reason": op.reason})
    return Done()


def sweep(tables: Tables, op: Sweep) -> Swept:
    """Apply a `Sweep`."""
    fired = tables.fire_timers(op.limit)
    gates.settle(tables)
    rescued = _rescue(tables, op.limit) if op.rescue else 0
    for queue in tables.ready:
        stale = serving.waiting(tables, queue, tables.now_ms - op.stale_ms)
        if stale:
            tables.stale[queue] = max(stale, tables.stale.get(queue, 0))
    collected = _collect(tables, op.limit)
    for worker in [one for one, row in tables.workers.items() if tables.now_ms - row.seen_ms > WORKER_LISTED_MS]:
        del tables.workers[worker]
    waited_for = (tables.timers, tables.delayed, *((tables.leases,) if op.rescue else ()))
    firsts = [first[0] for table in waited_for if (first := table.first()) is not None]
    expired = tables.expiry.first()
    if expired is not None and expired[0] <= tables.now_ms:  # more than a sweep may collect
        firsts.append(expired[0])
    return Swept(fired, rescued, collected, min(firsts, default=None), len(tables.dead))


def _rescue(tables: Tables, limit: int) -> int:
    rescued = 0
    for member in tables.leases.up_to(tables.now_ms, limit):
        tables.leases.drop(member)
        run_id, scope_id = member.split(SEP)
        run = tables.runs.get(run_id)
        scope = run.scopes.get(scope_id) if run is not None else None
        if run is None or scope is None:
            continue
        if not run.live or not under_living(run, scope):
            tables.end_scope(run_id, scope_id, scope)
            continue
        if scope.rescues < SUSPECT or scope.alone:
            scope.rescues += 1
        tables.make_ready(run_id, scope_id, scope, MAX_AHEAD_MS)  # before all that has not begun
        rescued += 1
    return rescued


def _collect(tables: Tables, limit: int) -> int:
    collected = _collect_runs(tables, limit)
    events.collect(tables, limit)
    for member in tables.rows_expiry.up_to(tables.now_ms, len(tables.rows_expiry)):
        tables.rows_expiry.drop(member)
        kind, key = member.split(SEP)
        if kind == "event":
            events.unpost(tables, key, tables.events.pop(key).keys)
        elif kind == "dedupe":
            tables.dedupe.pop(key, None)
        elif kind == "cache":
            tables.cache.pop(key, None)
        elif kind == "pace":
            tables.paces.pop(key, None)
        else:
            tables.once.pop(key, None)
    return collected


def _collect_runs(tables: Tables, limit: int) -> int:
    """Free expired runs with their families, at most so many; a root goes last and so keeps the rest to be found."""
    left = limit
    for root_id in tables.expiry.up_to(tables.now_ms, limit):
        root = tables.runs[root_id]
        below = [run_id for _, run_id in root.family][:left]
        for run_id in below:
            root.family.drop(run_id)
            _free(tables, run_id)
        left -= len(below)
        if left == 0:
            break
        tables.expiry.drop(root_id)
        _free(tables, root_id)
        left -= 1
        if left == 0:
            break
    return limit - left


def _free(tables: Tables, run_id: str) -> None:
    run = tables.runs[run_id]
    for scope_id, scope in run.scopes.items():
        tables.end_scope(run_id, scope_id, scope)
    del tables.runs[run_id]


def deploy(tables: Tables, op: Deploy) -> Deployed:
    """Apply a `Deploy`."""
    tables.plans.update(op.plans)
    tables.plan_times = dict.fromkeys(op.plans, tables.now_ms) | tables.plan_times
    tables.crons = {trigger: tables.crons.get(trigger, tables.now_ms) for trigger in op.crons}
    if op.digest == tables.digest and tables.epoch:
        return Deployed(tables.epoch, changed=False)
    tables.epoch += 1
    tables.digest = op.digest
    tables.manifest = op.manifest
    return Deployed(tables.epoch, changed=True)


def prune(tables: Tables, op: Prune) -> Pruned | Stale:
    """Apply a `Prune`."""
    if op.epoch != tables.epoch:
        return Stale(tables.epoch)
    needed = {*op.keep, *(run.version for run in tables.runs.values())}
    dropped = tuple(sorted(tables.plans.keys() - needed))
    for version in dropped:
        del tables.plans[version]
        del tables.plan_times[version]
    return Pruned(dropped)


def resolve_dead(tables: Tables, op: ResolveDead) -> Done:
    """Apply a `ResolveDead`."""
    if tables.dead.pop(op.id, None) is None:
        return Done(found=False, changed=False)
    run = tables.runs.get(op.id)
    if run is not None and not run.live:
        run.replaced_by = op.replaced_by
        children.expire(tables, op.id, run)
    return Done()


def delete(tables: Tables, op: Delete) -> Done:
    """Apply a `Delete`."""
    root = tables.runs.get(op.run)
    if root is None:
        return Done(found=False, changed=False)
    if root.live or root.parent is not None or root.under > 0:
        return Done(changed=False)
    below = [run_id for _, run_id in root.family][: op.limit]
    for run_id in below:
        root.family.drop(run_id)
        _erase(tables, run_id)
    tables.expiry.drop(op.run)
    if len(below) == op.limit:
        tables.expiry.put(op.run, tables.now_ms)  # there may be more: should nobody ask again, the sweep has them
    else:
        _erase(tables, op.run)
    return Done()


def _erase(tables: Tables, run_id: str) -> None:
    """Free a run, its dead letter, and its event where that has made no other run."""
    tables.dead.pop(run_id, None)
    ident = tables.runs[run_id].event
    event = tables.events.get(ident)
    if event is not None and event.runs == (run_id,):
        events.unpost(tables, ident, event.keys)
        del tables.events[ident]
        tables.rows_expiry.drop("event" + SEP + ident)
    _free(tables, run_id)


def leave(tables: Tables, op: Leave) -> Done:
    """Apply a `Leave`."""
    known = tables.workers.pop(op.worker, None) is not None
    return Done(found=known, changed=known)
