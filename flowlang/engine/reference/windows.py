"""Windows: runs gather, one of them passes, the others end with its id; all in one operation, once."""

from __future__ import annotations

from flowlang.engine.ops import Finish, Window
from flowlang.engine.reference import ending, lines
from flowlang.engine.reference.tables import SEP, Tables


def ask(tables: Tables, member: str, gate: Window) -> None:
    """Put a member into the window; the one that fills a batch closes it."""
    opened_ms = tables.windows.setdefault(gate.key, tables.now_ms)
    lines.put(tables.lines, gate.key, member, 0)
    if gate.size is not None and len(tables.lines[gate.key]) >= gate.size:
        close(tables, gate.key)
        return
    due_ms = (opened_ms if gate.size is not None else tables.now_ms) + gate.period_ms
    if gate.size is None and gate.max_ms is not None:
        due_ms = min(due_ms, opened_ms + gate.max_ms)
    tables.timers.put(_timer(gate.key), due_ms)


def close(tables: Tables, key: str) -> None:
    """Close a window: the last of a debounce passes, the first of a batch with what all have brought."""
    members = [member for _, member in tables.lines.pop(key, ())]
    forget(tables, key)
    found = [(member, waiting) for member in members if (waiting := lines.waits_at(tables, member)) is not None]
    if not found:
        return
    gate = found[-1][1][1]
    assert isinstance(gate, Window)
    chosen, (pending, _) = found[-1] if gate.size is None else found[0]
    run_id = chosen.split(SEP)[1]
    if gate.size is not None:
        pending.metas = [tables.runs[member.split(SEP)[1]].meta for member, _ in found]
    lines.passes(tables, chosen, pending)
    for member, (other, own) in found:
        if member == chosen:
            continue
        other.member = ""
        assert isinstance(own, Window)
        ending.end_unstarted(tables, member.split(SEP)[1], Finish("skipped", own.refusal, merged_into=run_id))


def leave(tables: Tables, key: str) -> None:
    """A member has left; the last one takes the window with it."""
    if key not in tables.lines:
        forget(tables, key)


def forget(tables: Tables, key: str) -> None:
    """Drop what is known of a window beside its members."""
    tables.windows.pop(key, None)
    tables.timers.drop(_timer(key))


def _timer(key: str) -> str:
    return f"{SEP}window{SEP}{key}"
