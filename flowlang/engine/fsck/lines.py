"""The line of a gate: whoever is first and may pass has passed, and what will open the gate is set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowlang.engine.fsck.facts import RunFacts
from flowlang.engine.fsck.findings import Finding
from flowlang.engine.reference.tables import SEP


@dataclass(frozen=True, slots=True)
class LineFacts:
    """A line at one moment.

    Attributes:
        key: Of its gate.
        first: Who is first; empty when nobody waits.
        places: How many have a place of the key.
        timers: `pace`, `window`: those that are set.
        opened: Whether a window is open.
    """

    key: str
    first: str
    places: int
    timers: frozenset[str]
    opened: bool


def judge_line(line: LineFacts, run: RunFacts | None) -> Iterator[Finding]:
    """Find what is wrong with a line.

    Args:
        line: The line.
        run: Of whoever is first, with the scope that waits.
    """
    where = f"line:{line.key}"
    if not line.first:
        if line.timers:
            yield Finding("gate-timer-stray", where, f"nobody waits, and a {min(line.timers)} timer is set")
        if line.opened:
            yield Finding("window-stray", where, "nobody waits, and a window is open")
        return
    kind, limit = _gate_of(line.first, run)
    if kind == "slot" and line.places < limit:
        yield Finding("line-idle", where, f"{line.places} of {limit} places are taken, and somebody waits")
    if kind in {"pace", "window"} and kind not in line.timers:
        yield Finding("gate-timer-lost", where, f"somebody waits, and no {kind} timer is set")
    if kind == "window" and not line.opened:
        yield Finding("gate-timer-lost", where, "somebody waits at a window that is not open")


def _gate_of(member: str, run: RunFacts | None) -> tuple[str, int]:
    if run is None or not run.live:
        return "", 0
    if run.slot is not None and run.slot.member == member:
        return "slot", run.slot.limit
    scope = run.scopes.get(member.split(SEP)[2])
    if scope is None or scope.asked is None or scope.asked.member != member:
        return "", 0
    return scope.asked.kind, scope.asked.limit
