"""Taking ready rows, and the hints that say where there are some."""

from __future__ import annotations

from flowlang.engine.ops import Claimed, ClaimRequest
from flowlang.engine.reference import gates, serving, terms
from flowlang.engine.reference.tables import (
    CLAIM_DROPS,
    CLAIM_TIMERS,
    HINT_MS,
    SEP,
    WORKER_IDLE_MS,
    Run,
    Scope,
    Tables,
    Worker,
    under_living,
)


def claim(tables: Tables, request: ClaimRequest) -> tuple[Claimed, ...]:
    """Apply a `ClaimRequest`: note the worker, fire due timers, take the best rows."""
    for queue in request.answered:
        count, rung_ms = tables.hints.get(queue, (0, 0))
        tables.hints[queue] = (max(0, count - 1), rung_ms)
    tables.fire_timers(CLAIM_TIMERS)
    gates.settle(tables)
    taken: list[Claimed] = []
    dropped = 0
    left = serving.declined(tables, request)
    sources = serving.sources(tables, request, left)
    while len(taken) < request.limit and dropped < CLAIM_DROPS:
        best = terms.best(tables, request, sources, taken)
        if best is None:
            break
        queue, rows, score, member = best
        rows.drop(member)
        version = serving.version_of(tables, member)
        if version is not None and (queue, version) in left:
            serving.set_aside(tables, queue, version, member, score)
            dropped += 1
            continue
        tables.fresh.pop(member, None)
        row = _take(tables, member, request)
        if row is None:
            dropped += 1
        else:
            taken.append(row)
    gates.settle(tables)
    busy = min(request.threads, request.busy + len(taken))
    tables.workers[request.worker] = Worker(
        request.threads, busy, tables.now_ms, request.queues, request.refuses, request.defers
    )
    return tuple(taken)


def _take(tables: Tables, member: str, request: ClaimRequest) -> Claimed | None:
    """Hold a row that came out of its queue; None when its run or a scope above it has ended."""
    run_id, scope_id = member.split(SEP)
    run = tables.runs.get(run_id)
    scope = run.scopes.get(scope_id) if run is not None else None
    if run is None or scope is None:
        return None
    if not run.live or not under_living(run, scope):
        tables.end_scope(run_id, scope_id, scope)
        return None
    scope.status = "held"
    tables.hold(scope, 1)
    scope.fence += 1
    scope.alone = False
    scope.lease_ms = request.lease_ms
    scope.lease_end_ms = tables.now_ms + request.lease_ms
    tables.leases.put(member, scope.lease_end_ms)
    if run.status == "pending" and not run.admitting:
        run.status = "running"
        run.started_ms = tables.now_ms
    return Claimed(
        run=run_id,
        scope=scope_id,
        fence=scope.fence,
        state=scope.state,
        pipeline=run.pipeline,
        version=run.version,
        meta=b"" if scope_id and run_id in request.known else run.meta,
        created_ms=run.created_ms,
        queue=scope.queue,
        parent=scope.parent,
        group=scope.group,
        index=scope.index,
        rescues=scope.rescues,
        deferred=run.version in request.defers,
        stored=run.stored,
        steps=run.steps,
        facts=tuple(scope.inbox),
        reads=_read(tables, run, scope),
    )


def _read(tables: Tables, run: Run, scope: Scope) -> dict[str, bytes]:
    """Look up what a scope's reads name."""
    found: dict[str, bytes] = {}
    for read in scope.reads:
        if read[:1] == "^":
            name, _, place = read[1:].partition(":-")
            other = tables.runs.get(name)
            undos = other.undos if other is not None and other.root == run.root else []
            if not place:
                found.update({f"{read}:{number}": body for number, body in enumerate(undos)})
            elif int(place) <= len(undos):
                found[read] = undos[-int(place)]
            continue
        if read[:1] in {"*", "#"}:
            row = run.groups.get(read[1:])
            names = [row.child(index) for index in range(row.spec.total)] if row is not None else []
            keys = names if read[0] == "*" else ["=" + name for name in names]
        elif read[:1] == "~":
            loop, _, rounds = read[1:].rpartition(":")
            keys = [f"{loop}[{number}]" for number in range(int(rounds))]
        else:
            keys = [read]
        for key in keys:
            body = run.inputs.get(key[1:]) if key[:1] == "=" else run.records.get(key)
            if body is not None:
                found[key] = body
    return found


def rings(tables: Tables) -> dict[str, int]:
    """Count the hints to send for rows that this flush made ready and nobody took; they count as on their way."""
    wanted = dict(tables.stale)
    for queue in tables.fresh.values():
        wanted[queue] = wanted.get(queue, 0) + 1
    if not wanted:
        return {}
    seen = [one for one in tables.workers.values() if tables.now_ms - one.seen_ms <= WORKER_IDLE_MS]
    idle = sum(max(0, one.threads - one.busy) for one in seen)
    rung: dict[str, int] = {}
    for queue, rows in wanted.items():
        count, rung_ms = tables.hints.get(queue, (0, 0))
        outstanding = count if tables.now_ms - rung_ms < HINT_MS else 0
        listeners = max(idle, 1) if queue in tables.stale else idle
        number = min(rows, serving.waiting(tables, queue), listeners - outstanding)
        if number > 0:
            tables.hints[queue] = (outstanding + number, tables.now_ms)
            rung[queue] = number
    return rung
