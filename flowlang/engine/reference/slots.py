"""Places with a line: at most so many members of a key at a time."""

from __future__ import annotations

from flowlang.engine.ops import Slot
from flowlang.engine.reference import lines
from flowlang.engine.reference.tables import MAIN, SEP, RunSlot, Tables

#: Why a run is cancelled whose place a newer one wants.
NEWER = "concurrency.cancel_oldest"


def ask(tables: Tables, member: str, gate: Slot, score: int) -> None:
    """Put a member into the line and let in whom there are places for."""
    lines.put(tables.lines, gate.key, member, score)
    run(tables, gate.key)
    if gate.on_limit != "cancel_oldest":
        return
    lines.put(tables.untold, gate.key, member, lines.ticket_of(member))
    while len(tables.untold.get(gate.key, ())) > gate.limit:
        first = tables.untold[gate.key].first()
        assert first is not None
        lines.drop(tables.untold, gate.key, first[1])
        tables.deliver(first[1].split(SEP)[1], MAIN, {"kind": "cancel", "reason": NEWER})


def run(tables: Tables, key: str) -> None:
    """Let in the first of the line while there are places."""
    while (member := lines.head(tables, key)) is not None:
        _, run_id, scope_id = member.split(SEP)
        owner = tables.living(run_id)
        slot = owner.slot if owner is not None else None
        if owner is not None and slot is not None and slot.member == member:
            if len(tables.places.get(key, ())) >= slot.limit:
                return
            _take_place(tables, key, member)
            slot.state = "held"
            tables.agenda.append(("wake", run_id))
            continue
        waiting = lines.waits_at(tables, member)
        if owner is None or waiting is None:
            lines.drop(tables.lines, key, member)
            continue
        pending, gate = waiting
        assert isinstance(gate, Slot)
        if len(tables.places.get(key, ())) >= gate.limit:
            return
        _take_place(tables, key, member)
        if gate.active:
            at_work = owner.scopes[scope_id].status in {"ready", "held"}  # woken while it stood in line
            owner.slot = RunSlot(key, gate.limit, member, active=int(at_work))
        else:
            owner.scopes[scope_id].slots[pending.id] = (key, member)
        lines.passes(tables, member, pending)


def _take_place(tables: Tables, key: str, member: str) -> None:
    lines.drop(tables.lines, key, member)
    lines.put(tables.places, key, member, lines.ticket_of(member))


def free(tables: Tables, key: str, member: str) -> None:
    """Give a place back, or leave the line for one."""
    lines.drop(tables.places, key, member)
    lines.drop(tables.untold, key, member)
    lines.drop(tables.lines, key, member)
    run(tables, key)


def park(tables: Tables, run_id: str) -> None:
    """Give back the place of a run that has nothing to do."""
    slot = tables.runs[run_id].slot
    if slot is None or slot.state not in {"held", "free"} or slot.active > 0:
        return
    slot.state = "parked"
    free(tables, slot.key, slot.member)


def come_back(tables: Tables, run_id: str) -> None:
    """Ask for the place again of a run that has work again: before all that had none."""
    owner = tables.living(run_id)
    slot = owner.slot if owner is not None else None
    if owner is None or slot is None or slot.state != "parked":
        return
    slot.state = "back"
    lines.put(tables.lines, slot.key, slot.member, tables.now_ms - owner.scopes[MAIN].priority_ms - lines.BACK_AHEAD_MS)
    run(tables, slot.key)


def wake(tables: Tables, run_id: str) -> None:
    """A run has its place again, or needs none any more: what waited for it goes on."""
    owner = tables.living(run_id)
    slot = owner.slot if owner is not None else None
    if owner is None or slot is None:
        return
    if slot.state == "free":
        free(tables, slot.key, slot.member)
    wanting, slot.wanting = slot.wanting, []
    for scope_id in wanting:
        scope = owner.scopes[scope_id]
        if scope.status == "waiting":
            tables.make_ready(run_id, scope_id, scope)
