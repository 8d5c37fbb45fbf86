"""Groups: children that run side by side, and their one join."""

from __future__ import annotations

from flowlang.engine.ops import Group, Join
from flowlang.engine.reference.tables import GroupRow, Run, Scope, Tables


def create(tables: Tables, run_id: str, parent_id: str, spec: Group) -> None:
    """Start a group under a scope: its first children, or the join at once when it has none."""
    run = tables.runs[run_id]
    parent = run.scopes[parent_id]
    row = GroupRow(spec, parent_id, parent.queue, parent.priority_ms)
    run.groups[spec.id] = row
    for index, body in enumerate(spec.inputs):
        run.inputs[row.child(index)] = body
        run.stored += len(body)
    _start_children(tables, run_id, run, row)
    _settle(tables, run_id, row)


def close(tables: Tables, run_id: str, group_id: str) -> None:
    """Start no more children of a group and tell the living ones to cancel."""
    row = tables.runs[run_id].groups.get(group_id)
    if row is None or row.fired:
        return
    row.closed = True
    _tell(tables, run_id, row)
    _settle(tables, run_id, row)


def join(tables: Tables, run_id: str, child: Scope, child_end: Join) -> None:
    """Count the end of a child; its scope has ended already."""
    run = tables.runs[run_id]
    row = run.groups.get(child_end.group)
    if row is None or row.fired or child.group != child_end.group or not _alive(row, child.index):
        return
    row.alive -= 1
    row.done += 1
    if row.spec.needs:
        row.ended.add(child.index)
    _weigh(row, child.index, child_end)
    if row.closed and row.spec.cancel_rest:
        _tell(tables, run_id, row)
    _start_children(tables, run_id, run, row)
    _settle(tables, run_id, row)


def _alive(row: GroupRow, index: int) -> bool:
    """Whether a child counts among the living; without `needs` it is only known that it has started."""
    return index in row.begun - row.ended if row.spec.needs else index < row.next


def _weigh(row: GroupRow, index: int, child_end: Join) -> None:
    if child_end.weight == 0:
        return
    if child_end.weight == 3:
        row.closed = True
        row.winner = index if row.winner is None else row.winner
        return
    row.failed += 1
    if child_end.weight == 1:
        row.strikes += 1
        if row.failed == 1:
            row.error = child_end.error
        if row.strikes > row.spec.limit:
            row.closed = True
        return
    row.closed = True
    if not row.fatal:
        row.fatal = True
        row.error = child_end.error


def _tell(tables: Tables, run_id: str, row: GroupRow) -> None:
    if row.told:
        return
    row.told = True
    for index in sorted(row.begun) if row.spec.needs else range(row.next):
        tables.deliver(run_id, row.child(index), {"kind": "cancel"})


def _start_children(tables: Tables, run_id: str, run: Run, row: GroupRow) -> None:
    spec = row.spec
    while not row.closed and row.alive < spec.max_parallel and (index := _next(row)) is not None:
        child_id = row.child(index)
        before = run.scopes.get(child_id)
        reads = tuple("=" + child_id if read == "=$" else read for read in spec.reads)
        child = Scope("waiting", row.parent, row.queue, row.priority_ms, spec.state, reads, spec.id, index)
        if before is not None:
            child.fence = before.fence
            tables.end_scope(run_id, child_id, before)
        run.scopes[child_id] = child
        run.stored += len(child.state)
        tables.make_ready(run_id, child_id, child)
        if spec.needs:
            row.begun.add(index)
        row.next += 1
        row.alive += 1


def _next(row: GroupRow) -> int | None:
    """Find the child that starts next: the lowest that has not started and needs nobody who has not ended."""
    needs = row.spec.needs
    if not needs:
        return row.next if row.next < row.spec.total else None
    free = (index for index in range(row.spec.total) if index not in row.begun and row.ended.issuperset(needs[index]))
    return next(free, None)


def _settle(tables: Tables, run_id: str, row: GroupRow) -> None:
    if row.fired or row.alive > 0 or not (row.closed or row.next == row.spec.total):
        return
    row.fired = True
    fact = {
        "kind": "joined",
        "group": row.spec.id,
        "done": row.done,
        "failed": row.failed,
        "closed": row.closed,
        "error": row.error,
        "winner": row.winner,
    }
    tables.deliver(run_id, row.parent, fact)
