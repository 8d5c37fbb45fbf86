"""Taking an event: deduplicate it, keep it, create its runs."""

from __future__ import annotations

from flowlang.engine.ops import Accept, Accepted, Duplicate, RunSeed, Stale
from flowlang.engine.reference import children, delays, events, gates
from flowlang.engine.reference.ending import bury
from flowlang.engine.reference.tables import MAIN, SEP, EventRow, Pending, Run, Tables, main_scope


def accept(tables: Tables, op: Accept) -> Accepted | Duplicate | Stale:
    """Apply an `Accept`."""
    if op.epoch != tables.epoch:
        return Stale(tables.epoch)
    if op.delayed is not None and not delays.take(tables, op.delayed):
        return Duplicate(op.event.id)
    known = tables.dedupe.get(op.event.dedupe) if op.event.dedupe is not None else None
    if known is not None and known[1] > tables.now_ms:
        return Duplicate(known[0])
    if op.tick is not None:
        trigger, tick_ms = op.tick
        if tick_ms <= tables.crons.get(trigger, tick_ms - 1):
            return Duplicate(op.event.id)
        tables.crons[trigger] = tick_ms
    offered = events.announce(tables, op.event)  # before its runs are there: they do not see what made them
    made = tuple(_create(tables, op.event.id, seed) for seed in op.runs)
    _keep(tables, op, tuple(run for run, _ in made))
    if op.dead is not None:
        bury(tables, op.dead)
    return Accepted(op.event.id, made, offered)


def _keep(tables: Tables, op: Accept, runs: tuple[str, ...]) -> None:
    event = op.event
    now_ms, mail_ms = tables.now_ms, event.mail_ms if event.keys else 0
    expires = now_ms + max(event.keep_ms, mail_ms)
    before = tables.events.get(event.id)
    if before is not None:
        events.unpost(tables, event.id, before.keys)
    tables.events[event.id] = EventRow(
        event.name, event.source, event.body, event.reasons, now_ms, expires, runs, event.keys, now_ms + mail_ms
    )
    if mail_ms > 0:
        events.post(tables, event)
    tables.rows_expiry.put("event" + SEP + event.id, expires)
    if event.dedupe is not None:
        until = tables.now_ms + event.dedupe_ms
        tables.dedupe[event.dedupe] = (event.id, until)
        tables.rows_expiry.put("dedupe" + SEP + event.dedupe, until)


def _holder(tables: Tables, seed: RunSeed) -> str | None:
    """Find the run that has a seed's place already."""
    if seed.id in tables.runs:
        return seed.id
    holder = tables.once.get(seed.once.key) if seed.once is not None else None
    return holder[0] if holder is not None and holder[1] > tables.now_ms else None


def _create(tables: Tables, event_id: str, seed: RunSeed) -> tuple[str, bool]:
    holder = _holder(tables, seed)
    if holder is not None:
        if seed.parent is not None:
            children.invoked(tables, holder, seed.parent)
        return holder, False
    if seed.once is not None:
        until = tables.now_ms + seed.once.ttl_ms
        tables.once[seed.once.key] = (seed.id, until)
        tables.rows_expiry.put("once" + SEP + seed.once.key, until)
    run = Run(
        pipeline=seed.pipeline,
        version=seed.version,
        meta=seed.meta,
        event=event_id,
        queue=seed.queue,
        created_ms=tables.now_ms,
        retention_ms=seed.retention_ms,
        replay_of=seed.replay_of,
        root=seed.id,
        records=dict(seed.records),
        stored=len(seed.meta) + len(seed.state) + sum(map(len, seed.records.values())),
    )
    if seed.parent is not None and seed.parent.wait and tables.living(seed.parent.run) is not None:
        children.adopt(tables, seed.id, run, seed.parent.run)
    tables.runs[seed.id] = run
    if seed.parent is not None:
        children.invoked(tables, seed.id, seed.parent)
    main = run.scopes[MAIN] = main_scope(seed.queue, seed.priority_ms, seed.state, seed.reads)
    if seed.gates:
        run.admitting = True
        main.inbox = []
    for setting in seed.timers:
        tables.set_timer(seed.id, MAIN, main, setting)
    for wait in seed.waits:
        events.register(tables, seed.id, MAIN, main, wait)
    if seed.gates:
        gates.ask(tables, seed.id, MAIN, Pending("", list(seed.gates), seed.more))
    else:
        tables.make_ready(seed.id, MAIN, main)
    return seed.id, True
