"""Runs that other runs invoked: who waits for their end, and which rows are kept together.

A **family** is a root run and all that were invoked below it. Its rows are freed together, after the root's retention,
which begins when the last of them has ended.
"""

from __future__ import annotations

from flowlang.engine.ops import MAIN, Parent
from flowlang.engine.reference.tables import SEP, Run, Tables

#: Reason of the cancel that a run's end sends to those that it invoked and that are still living.
ORPHANED = "the run that invoked it has ended"


def adopt(tables: Tables, run_id: str, run: Run, parent_id: str) -> None:
    """Make a new run belong to the living run that invoked it."""
    parent = tables.runs[parent_id]
    parent.children.add(run_id)
    root = tables.runs[parent.root]
    root.family.put(run_id, tables.now_ms)
    root.under += 1
    run.parent, run.root = parent_id, parent.root


def invoked(tables: Tables, run_id: str, parent: Parent) -> None:
    """Tell a parent's scope of the run that it has invoked: of its end, or just which it is."""
    if parent.wait:
        follow(tables, run_id, parent)
    else:
        tell(tables, parent, run_id, "started", b"")


def follow(tables: Tables, run_id: str, parent: Parent) -> None:
    """Tell a parent's scope of a run's end, or of the one it was merged into: when it ends, or at once when it has."""
    run = tables.runs.get(run_id)
    if run is None:
        tell(tables, parent, run_id, "gone", b"")
    elif run.live:
        run.followers.add(SEP.join((parent.run, parent.scope, parent.id)))
    elif run.merged_into is not None:
        follow(tables, run.merged_into, parent)
    else:
        tell(tables, parent, run_id, run.status, run.result)


def part(tables: Tables, run_id: str, run: Run) -> None:
    """Do what a run's end means for others: those that wait for it, those that it invoked, and its family's rows."""
    followers, run.followers = run.followers, set()
    for follower in sorted(followers):
        parent_id, scope_id, ident = follower.split(SEP)
        follow(tables, run_id, Parent(parent_id, scope_id, ident))
    for child in run.children:
        tables.deliver(child, MAIN, {"kind": "cancel", "reason": ORPHANED})
    if run.parent is None:
        return
    tables.runs[run.parent].children.discard(run_id)
    root = tables.runs[run.root]
    root.under -= 1
    if not root.live and run.root not in tables.dead:
        expire(tables, run.root, root)


def expire(tables: Tables, run_id: str, run: Run) -> None:
    """Let the rows of an ended root run and its family expire, unless one of them has not ended."""
    if run.parent is None and run.under == 0:
        tables.expiry.put(run_id, tables.now_ms + run.retention_ms)


def tell(tables: Tables, parent: Parent, run_id: str, status: str, result: bytes) -> None:
    """Put what became of a run into the inbox of the scope that invoked it."""
    fact = {"kind": "child", "id": parent.id, "run": run_id, "status": status, "result": result}
    tables.deliver(parent.run, parent.scope, fact)
