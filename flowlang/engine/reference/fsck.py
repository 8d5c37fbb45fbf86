"""The tables of the reference, as a check of the store reads them. See `engine.fsck`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from flowlang.engine.fsck import (
    Asked,
    Entry,
    Finding,
    GroupFacts,
    LineFacts,
    RunFacts,
    RunHead,
    ScopeFacts,
    SlotFacts,
    judge_counts,
    judge_entry,
    judge_line,
    judge_pair,
    judge_run,
)
from flowlang.engine.fsck.entries import owner_of
from flowlang.engine.ops import Slot
from flowlang.engine.reference.ranked import Ranked
from flowlang.engine.reference.tables import SEP, GroupRow, Pending, Run, Scope, Tables


def check(tables: Tables) -> list[Finding]:
    """Check all tables.

    Args:
        tables: Of a partition, between two flushes.
    """
    runs = {ident: run_facts(ident, run) for ident, run in tables.runs.items()}
    index = _TableIndex(tables)
    found = [finding for run in runs.values() for finding in judge_run(run, index)]
    for entry in _entries(tables):
        finding = judge_entry(entry, runs.get(owner_of(entry)[0]))
        found += [finding] if finding is not None else []
    found += _lines(tables, runs)
    found += _pairs(tables)
    held = Counter(scope.queue for run in runs.values() for scope in run.scopes.values() if scope.status == "held")
    found += judge_counts("running-count", tables.running, held)
    return sorted(found)


def run_facts(ident: str, run: Run) -> RunFacts:
    """A run's rows as a check reads them.

    Args:
        ident: Of the run.
        run: Its row.
    """
    slot = run.slot
    place = (
        None
        if slot is None
        else SlotFacts(slot.key, slot.member, slot.state, slot.limit, slot.active, tuple(slot.wanting))
    )
    return RunFacts(
        id=ident,
        pipeline=run.pipeline,
        version=run.version,
        status=run.status,
        created_ms=run.created_ms,
        ended=run.ended_ms is not None,
        root=run.root,
        parent=run.parent,
        under=run.under if len(run.family) else None,
        admitting=run.admitting,
        slot=place,
        scopes={name: _scope_facts(scope) for name, scope in run.scopes.items()},
        groups={name: _group_facts(group) for name, group in run.groups.items()},
        waits={(name, wait.id): wait.keys for name, scope in run.scopes.items() for wait in scope.waits.values()},
        children=frozenset(run.children),
        followers=frozenset(run.followers),
        family=frozenset(name for _, name in run.family),
    )


def _scope_facts(scope: Scope) -> ScopeFacts:
    return ScopeFacts(
        status=scope.status,
        parent=scope.parent,
        queue=scope.queue,
        group=scope.group,
        facts=len(scope.inbox),
        timers=tuple(scope.timers),
        waits=frozenset(scope.waits),
        asked=None if scope.pending is None else _asked(scope.pending),
        places=tuple(scope.slots.values()),
    )


def _asked(pending: Pending) -> Asked:
    if not pending.gates:
        return Asked(pending.member)
    gate = pending.gates[0]
    limit = gate.limit if isinstance(gate, Slot) else 0
    return Asked(pending.member, str(gate.__struct_config__.tag), gate.key, limit)


def _group_facts(group: GroupRow) -> GroupFacts:
    needs = group.spec.needs
    startable = (
        any(child not in group.begun and group.ended.issuperset(needs[child]) for child in range(group.spec.total))
        if needs
        else group.next < group.spec.total
    )
    return GroupFacts(
        parent=group.parent,
        total=group.spec.total,
        max_parallel=group.spec.max_parallel,
        next=group.next,
        alive=group.alive,
        closed=group.closed,
        fired=group.fired,
        startable=startable,
    )


class _TableIndex:
    """`engine.fsck.Index` on tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._followers = {
            tuple(follower.split(SEP)[:2]) for run in tables.runs.values() if run.live for follower in run.followers
        }

    def score(self, kind: str, key: str, member: str) -> int | None:
        tables = self._tables
        run = tables.runs.get(member)
        match kind:
            case "runs" | "by_pipeline" | "by_status":
                return None if run is None else run.created_ms
            case "dead":
                return 0 if member in tables.dead else None
            case "plans":
                return 0 if member in tables.plans else None
            case "wait":
                return 0 if member in tables.waits.get(key, ()) else None
            case "children":
                return 0 if key in tables.runs and member in tables.runs[key].children else None
            case "family":
                return tables.runs[key].family.score(member) if key in tables.runs else None
            case "expiry":
                return tables.expiry.score(member.split(SEP, maxsplit=1)[0])
            case _:
                rows = self._ranked(kind, key)
                return None if rows is None else rows.score(member)

    def _ranked(self, kind: str, key: str) -> Ranked | None:
        tables = self._tables
        match kind:
            case "ready":
                queue, _, version = key.partition(SEP)
                return tables.aside.get((queue, version)) if version else tables.ready.get(queue)
            case "leases":
                return tables.leases
            case "timers":
                return tables.timers
            case "line":
                return tables.lines.get(key)
            case "places":
                return tables.places.get(key)
            case _:
                raise AssertionError(kind)

    def head(self, run: str) -> RunHead | None:
        row = self._tables.runs.get(run)
        return None if row is None else RunHead(row.status, row.parent, row.root)

    def awaited(self, run: str, scope: str) -> bool:
        return (run, scope) in self._followers


def _entries(tables: Tables) -> Iterator[Entry]:
    ranked = {
        **{("ready", queue): rows for queue, rows in tables.ready.items()},
        **{("ready", SEP.join(aside)): rows for aside, rows in tables.aside.items()},
        **{("line", key): rows for key, rows in tables.lines.items()},
        **{("places", key): rows for key, rows in tables.places.items()},
        **{("untold", key): rows for key, rows in tables.untold.items()},
        ("leases", ""): tables.leases,
        ("timers", ""): tables.timers,
    }
    for (kind, key), rows in ranked.items():
        yield from (Entry(kind, key, member) for _, member in rows if kind != "timers" or member[0] != SEP)
    for _, ident in tables.expiry:
        run = tables.runs[ident]
        yield Entry("expiry", "", SEP.join((ident, run.pipeline, run.version, run.status)))
    for key, members in tables.waits.items():
        yield from (Entry("wait", key, member) for member in members)


def _lines(tables: Tables, runs: dict[str, RunFacts]) -> Iterator[Finding]:
    timers: dict[str, set[str]] = {}
    for _, member in tables.timers:
        if member[0] == SEP:
            _, kind, key = member.split(SEP)
            timers.setdefault(key, set()).add(kind)
    for key in sorted({*tables.lines, *timers, *tables.windows}):
        rows = tables.lines.get(key)
        first = rows.first() if rows is not None else None
        member = "" if first is None else first[1]
        line = LineFacts(
            key, member, len(tables.places.get(key, ())), frozenset(timers.get(key, ())), key in tables.windows
        )
        yield from judge_line(line, runs.get(member.split(SEP)[1]) if member else None)


def _pairs(tables: Tables) -> Iterator[Finding]:
    for event in sorted({*(name for _, name in tables.delayed), *tables.delayed_bodies}):
        listed, kept = event in tables.delayed, event in tables.delayed_bodies
        if finding := judge_pair("delayed-lost", event, ("delayed", listed), ("delayed:rows", kept)):
            yield finding
    mails = {(event, key) for _, mail in tables.mails for event, *keys in [mail.split(SEP)] for key in keys}
    boxes = {(event, key) for key, box in tables.mailboxes.items() for _, event in box}
    for event, key in sorted(mails - boxes):
        yield Finding("mail-lost", f"mail:{key}", f"{event} is in mails and not there")
    for event, key in sorted(boxes - mails):
        yield Finding("mail-stray", f"mail:{key}", f"{event} is there and not in mails")
    for ident, letter in sorted(tables.dead.items()):
        if letter.kind == "run" and ident not in tables.runs:
            yield Finding("dead-run", f"dead letter {ident}", "its run is gone")
