"""The generic cell rate algorithm with a line: never more than `burst` + time x rate pass.

`Tables.paces` holds, for each key, the moment at which all that has passed is used up. Since nobody is told a time
beforehand, whoever leaves the line leaves no gap.
"""

from __future__ import annotations

import math

from flowlang.engine.ops import Pace
from flowlang.engine.reference import lines
from flowlang.engine.reference.tables import SEP, Tables


def spend(tables: Tables, gate: Pace) -> float:
    """Pass once.

    Returns:
        0, or the time from which on one may pass, when it is not now.
    """
    used_up = max(tables.paces.get(gate.key, 0.0), float(tables.now_ms))
    step = gate.period_ms / gate.limit
    from_ms = used_up - (gate.burst - 1) * step
    if from_ms > tables.now_ms:
        return from_ms
    tables.paces[gate.key] = used_up + step
    tables.rows_expiry.put("pace" + SEP + gate.key, math.ceil(used_up + step))
    return 0.0


def ask(tables: Tables, member: str, gate: Pace, score: int) -> None:
    """Put a member into the line and let pass whoever may."""
    lines.put(tables.lines, gate.key, member, score)
    run(tables, gate.key)


def run(tables: Tables, key: str) -> None:
    """Let the first of the line pass while they may; the timer is set for the next one."""
    timer = f"{SEP}pace{SEP}{key}"
    while (member := lines.head(tables, key)) is not None:
        waiting = lines.waits_at(tables, member)
        if waiting is None:
            lines.drop(tables.lines, key, member)
            continue
        pending, gate = waiting
        assert isinstance(gate, Pace)
        from_ms = spend(tables, gate)
        if from_ms:
            tables.timers.put(timer, math.ceil(from_ms))
            return
        lines.drop(tables.lines, key, member)
        lines.passes(tables, member, pending)
    tables.timers.drop(timer)
