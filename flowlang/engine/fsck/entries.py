"""A member of an index against the rows of its run: whatever is in an index is there because a row says so."""

from __future__ import annotations

from flowlang.engine.fsck.facts import Entry, RunFacts, ScopeFacts
from flowlang.engine.fsck.findings import Finding
from flowlang.engine.reference.tables import SEP

#: Index → code of a member that no row asks for.
STRAYS = {
    "ready": "ready-stray",
    "leases": "lease-stray",
    "timers": "timer-stray",
    "wait": "wait-stray",
    "line": "line-stray",
    "places": "place-stray",
    "untold": "untold-stray",
    "runs": "list-stray",
    "by_pipeline": "list-stray",
    "by_status": "list-stray",
    "expiry": "expiry-stray",
}


#: Index → parts of its members.
_PARTS = {"ready": 2, "leases": 2, "timers": 3, "wait": 3, "line": 3, "places": 3, "untold": 3, "expiry": 4}


def owner_of(entry: Entry) -> tuple[str, str]:
    """The run and the scope that a member is about; the run is empty for the timer of a gate, and for what is none."""
    parts = entry.member.split(SEP)
    if len(parts) != _PARTS.get(entry.kind, 1):
        return "", ""
    match entry.kind:
        case "line" | "places" | "untold":
            return parts[1], parts[2]
        case "ready" | "leases" | "timers" | "wait":
            return parts[0], parts[1]
        case _:
            return parts[0], ""


def judge_entry(entry: Entry, run: RunFacts | None, *, expired: bool = False) -> Finding | None:
    """Find what is wrong with a member of an index.

    Args:
        entry: The member.
        run: Its run with the scope that it is about; None: gone.
        expired: The run's time is over and the next sweep takes the member away.
    """
    known = entry.member.count(SEP) + 1 == _PARTS.get(entry.kind, 1)
    if expired and run is None:
        return None
    if known and run is not None and _asks_for(run, entry):
        return None
    name = f"{entry.kind}:{entry.key}" if entry.key else entry.kind
    why = "its run is gone" if run is None else "its run does not ask for it"
    why = why if known else "it is no member of this index"
    member = entry.member.replace(SEP, "|")
    return Finding(STRAYS[entry.kind], name.replace(SEP, "|"), f"{member} is there, and {why}")


def _asks_for(run: RunFacts, entry: Entry) -> bool:
    _, name = owner_of(entry)
    scope = run.scopes.get(name, ScopeFacts("ended"))
    match entry.kind:
        case "ready":
            return scope.status == "ready" and entry.key in {scope.queue, scope.queue + SEP + run.version}
        case "leases":
            return scope.status == "held"
        case "timers":
            return entry.member.split(SEP)[2] in scope.timers
        case "wait":
            wait = entry.member.split(SEP)[2]
            return run.live and wait in scope.waits and entry.key in run.waits.get((name, wait), ())
        case "line":
            return _in_line(run, scope, entry)
        case "places":
            own = run.slot is not None and run.slot.state == "held" and run.slot.member == entry.member
            return run.live and (own or (entry.key, entry.member) in scope.places)
        case "untold":
            own = run.slot is not None and run.slot.member == entry.member
            return run.live and (own or _in_line(run, scope, entry) or (entry.key, entry.member) in scope.places)
        case "by_pipeline":
            return entry.key == run.pipeline
        case "by_status":
            return entry.key == run.status
        case _:  # what `judge_run` asks for by itself
            return True


def _in_line(run: RunFacts, scope: ScopeFacts, entry: Entry) -> bool:
    asked = scope.asked is not None and (scope.asked.key, scope.asked.member) == (entry.key, entry.member)
    own = run.slot is not None and run.slot.state == "back" and run.slot.member == entry.member
    return run.live and (asked or own)
