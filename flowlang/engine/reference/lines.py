"""Who waits at a gate: one line a key, of members `ticket␟run␟scope`."""

from __future__ import annotations

from flowlang.engine.ops import Gate
from flowlang.engine.reference.ranked import Ranked
from flowlang.engine.reference.tables import SEP, Pending, Tables

#: Advance of a run that had a place and comes back: before every time there is, and exact in a double.
BACK_AHEAD_MS = 4_000_000_000_000


def new_member(tables: Tables, run_id: str, scope_id: str) -> str:
    """Draw a ticket; members with the same score are in the order of their tickets."""
    tables.ticket += 1
    return f"{tables.ticket:016d}{SEP}{run_id}{SEP}{scope_id}"


def ticket_of(member: str) -> int:
    """The number that a member drew."""
    return int(member[:16])


def put(table: dict[str, Ranked], key: str, member: str, score: int) -> None:
    """Add a member to a key's set."""
    table.setdefault(key, Ranked()).put(member, score)


def drop(table: dict[str, Ranked], key: str, member: str) -> bool:
    """Take a member out of a key's set, which goes with its last one; tell whether it was there."""
    row = table.get(key)
    if row is None:
        return False
    was_there = row.drop(member)
    if not len(row):
        del table[key]
    return was_there


def head(tables: Tables, key: str) -> str | None:
    """Who is next in a line."""
    row = tables.lines.get(key)
    first = row.first() if row is not None else None
    return None if first is None else first[1]


def waits_at(tables: Tables, member: str) -> tuple[Pending, Gate] | None:
    """The gate that a member of a line waits at; None when its scope is gone."""
    _, run_id, scope_id = member.split(SEP)
    run = tables.living(run_id)
    scope = run.scopes.get(scope_id) if run is not None else None
    pending = scope.pending if scope is not None else None
    if pending is None or pending.member != member:
        return None
    return pending, pending.gates[0]


def passes(tables: Tables, member: str, pending: Pending) -> None:
    """A member has passed the gate that it waited at."""
    _, run_id, scope_id = member.split(SEP)
    pending.gates.pop(0)
    pending.member = ""
    tables.agenda.append(("walk", run_id, scope_id))
