"""A run against the indexes: all that its rows say must be there is there, and nothing that they exclude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from flowlang.engine.fsck.facts import ENDED, LIVE, GroupFacts, Index, RunFacts, ScopeFacts
from flowlang.engine.fsck.findings import Finding
from flowlang.engine.fsck.stuck import why_stuck
from flowlang.engine.ops import MAIN
from flowlang.engine.reference.tables import SEP


def judge_run(run: RunFacts, index: Index) -> Iterator[Finding]:
    """Find what is wrong with a run.

    Args:
        run: With all its rows.
        index: Of the same moment.
    """
    if run.status not in LIVE | ENDED or run.ended == run.live:
        yield Finding("run-broken", f"run {run.id}", f"its status is {run.status!r}, ended: {run.ended}")
        return
    yield from _lists(run, index)
    yield from _end(run, index)
    yield from _family(run, index)
    for name, scope in run.scopes.items():
        if scope.status != "ended":
            yield from _scope(run, name, scope, index)
    yield from _waits(run)
    yield from _slot(run, index)
    if run.live:
        if index.score("plans", "", run.version) is None:
            yield Finding("plan-lost", f"run {run.id}", f"its version {run.version} is not stored")
        for name, group in run.groups.items():
            yield from _group(run, name, group)
        yield from _stuck(run, index)


def _at(run: RunFacts, scope: str) -> str:
    return f"run {run.id}, scope {scope or 'main'}"


def _lists(run: RunFacts, index: Index) -> Iterator[Finding]:
    for kind, key in (("runs", ""), ("by_pipeline", run.pipeline), ("by_status", run.status)):
        score = index.score(kind, key, run.id)
        if score != run.created_ms:
            found = "is not there" if score is None else f"has the time {score}"
            yield Finding("list-lost", f"run {run.id}", f"in {kind} {key}".rstrip() + f" it {found}")


def _end(run: RunFacts, index: Index) -> Iterator[Finding]:
    member = SEP.join((run.id, run.pipeline, run.version, run.status))
    expires = index.score("expiry", "", member) is not None
    dead = index.score("dead", "", run.id) is not None
    should = not run.live and run.parent is None and not run.under and not dead
    where = f"run {run.id}"
    if should and not expires:
        yield Finding("expiry-lost", where, f"it is {run.status}, no dead letter keeps it, and it does not expire")
    if expires and not should:
        kept = "not ended" if run.live else "a dead letter" if dead else "kept with its family"
        yield Finding("expiry-stray", where, f"it will expire though it is {kept}")
    if run.left_ms is None or expires != should:
        return
    ends = should and run.under is None
    for part, left_ms in run.left_ms.items():
        if ends and left_ms is None:
            yield Finding("ttl-lost", where, f"its key {part or 'run'} has no expiry")
        if not ends and left_ms is not None:
            yield Finding("ttl-early", where, f"its key {part or 'run'} ends in {left_ms} ms")


def _family(run: RunFacts, index: Index) -> Iterator[Finding]:
    where = f"run {run.id}"
    if run.parent is not None:
        if index.head(run.parent) is None or index.head(run.root) is None:
            yield Finding("family", where, f"its parent {run.parent} or its root {run.root} is gone")
        elif index.score("family", run.root, run.id) is None:
            yield Finding("family", where, f"the family of {run.root} does not name it")
        listed = index.score("children", run.parent, run.id) is not None
        if run.live and not listed:
            yield Finding("child-lost", where, f"{run.parent} does not have it among its children")
    for child in sorted(run.children):
        head = index.head(child)
        if head is None or not head.live or head.parent != run.id:
            yield Finding("child-stray", where, f"{child} is among its children")
    living = 0
    for below in sorted(run.family):
        head = index.head(below)
        if head is None or head.root != run.id:
            yield Finding("family", where, f"its family names {below}, which is gone or of another")
        elif head.live:
            living += 1
    if (run.under or 0) != living:
        yield Finding("family", where, f"{run.under or 0} runs below it are counted as living, {living} are")
    if run.followers and not run.live:
        yield Finding("follower-stray", where, f"{len(run.followers)} scopes wait for its end")


def _scope(run: RunFacts, name: str, scope: ScopeFacts, index: Index) -> Iterator[Finding]:
    where, member = _at(run, name), run.id + SEP + name
    sources = (scope.queue, scope.queue + SEP + run.version)
    ready = [source for source in sources if index.score("ready", source, member) is not None]
    if scope.status == "ready" and not ready:
        yield Finding("ready-lost", where, f"it is ready and in no set of queue {scope.queue}")
    if len(ready) > 1:
        yield Finding("ready-twice", where, f"it is in queue {scope.queue} and beside it")
    if scope.status == "held" and index.score("leases", "", member) is None:
        yield Finding("lease-lost", where, "it is held and has no lease")
    for timer in scope.timers:
        if index.score("timers", "", member + SEP + timer) is None:
            yield Finding("timer-lost", where, f"its timer {timer} is not set")
    if not run.live and (scope.asked is not None or scope.places):
        yield Finding("slot-state", where, "its run has ended, and it still has something of a gate")
        return
    if scope.asked is not None:
        if not scope.asked.member:
            yield Finding("gate-unasked", where, "it stands in no line")
        elif index.score("line", scope.asked.key, scope.asked.member) is None:
            yield Finding("line-lost", where, f"it is not in line:{scope.asked.key}")
    for key, place in scope.places:
        if index.score("places", key, place) is None:
            yield Finding("place-lost", where, f"it has a place that is not in places:{key}")
    for wait in sorted(scope.waits):
        for key in run.waits.get((name, wait), ()):
            if index.score("wait", key, member + SEP + wait) is None:
                yield Finding("wait-lost", where, f"its wait {wait} is not in wait:{key}")


def _waits(run: RunFacts) -> Iterator[Finding]:
    rows = {(name, wait) for name, scope in run.scopes.items() for wait in scope.waits}
    for name, wait in sorted(rows - run.waits.keys()):
        yield Finding("wait-lost", _at(run, name), f"the keys of its wait {wait} are gone")
    for name, wait in sorted(run.waits.keys() - rows):
        yield Finding("wait-stray", _at(run, name), f"there are keys of a wait {wait} that it does not have")
    if not run.live and rows:
        yield Finding("wait-stray", f"run {run.id}", "it has ended and still waits for events")


def _slot(run: RunFacts, index: Index) -> Iterator[Finding]:
    slot = run.slot
    if slot is None:
        return
    where = f"run {run.id}"
    if not run.live:
        yield Finding("slot-state", where, "it has ended and still has a place")
        return
    placed = index.score("places", slot.key, slot.member) is not None
    lined = index.score("line", slot.key, slot.member) is not None
    if (placed, lined) != (slot.state == "held", slot.state == "back"):
        yield Finding(
            "slot-state", where, f"its place is {slot.state}; in places: {placed}, in line: {lined} ({slot.key})"
        )
    active = sum(scope.status in {"ready", "held"} for scope in run.scopes.values())
    if active != slot.active:
        yield Finding("slot-state", where, f"{slot.active} of its scopes count as active, {active} are")
    if slot.wanting and slot.state != "back":
        yield Finding("stuck", where, f"{len(slot.wanting)} of its scopes want its place, which is {slot.state}")


def _group(run: RunFacts, name: str, group: GroupFacts) -> Iterator[Finding]:
    parent = run.scopes.get(group.parent)
    if parent is None or parent.status == "ended" or not run.under_living(parent):
        return
    where = f"run {run.id}, group {name}"
    alive = sum(scope.status != "ended" and scope.group == name for scope in run.scopes.values())
    if alive != group.alive:
        yield Finding("group-count", where, f"{group.alive} children count as alive, {alive} are")
        return
    if group.fired:
        if alive:
            yield Finding("group-count", where, f"it is joined, and {alive} children are alive")
        return
    if not alive and (group.closed or group.next == group.total):
        yield Finding("join-lost", where, "no child is alive and none will start")
    elif not group.closed and group.startable and alive < group.max_parallel:
        yield Finding("children-lost", where, f"{alive} of {group.max_parallel} are alive, {group.next} have started")


def _stuck(run: RunFacts, index: Index) -> Iterator[Finding]:
    main = run.scopes.get(MAIN)
    if main is None or main.status == "ended":
        yield Finding("stuck", f"run {run.id}", "its main scope has ended, or is not there, and the run has not")
    statuses = Counter(scope.status for scope in run.scopes.values())
    for name, scope in run.scopes.items() if statuses["waiting"] else ():
        if scope.status == "waiting" and (why := why_stuck(run, name, scope, index)):
            yield Finding("stuck", _at(run, name), why)
