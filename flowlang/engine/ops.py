"""The store's operations: what a flush may carry, and what comes back.

This is the whole write interface of the store (`ports.Store.apply`). Each operation stands or falls by itself, is
checked completely before its first write, and answers the same when the same flush is sent again. Payloads (`bytes`)
are opaque: no backend looks inside. `reference.Partition` is the executable definition; the Redis scripts are the
second one.

Times are milliseconds of the server's clock since the epoch; delays are milliseconds from the moment of application.

A **scope** row: status (`ready` has a ready row · `held` under a lease · `waiting` for a fact · `ended`), fence,
parent, queue, priority, rescues, state (opaque), reads (what its next claimer wants), inbox (facts not yet consumed).

**Reads** are strings: `order` the record of that instance; `=pages[3]` the input of that item; `*pages` the records of
all items of the group with that id, `#pages` their inputs; `~poll:3` the records `poll[0]` to `poll[2]`; `^<run>` the
undo list of that run, which is of the same family, as `^<run>:0`, `^<run>:1`, …; `^<run>:-1` its newest entry alone,
`^<run>:-2` the one before. Absent ones are left out of the answer.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

MAIN = ""  #: id of a run's main scope

#: A scope that was lost so often since its last commit is a suspect: from then on a loss counts only where it was begun
#: alone. A process that dies takes along all that it has in hand, and most of that has not even begun.
#: Not 1: after any crash a whole process's scopes are taken over, soon.
SUSPECT = 2


class Timer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A timer of a scope; setting an id again replaces it. It fires as the fact `{"kind": "timer", "id": id}`."""

    id: str
    delay_ms: int = 0  #: from the commit's server time
    at_ms: int | None = None  #: absolute; wins over `delay_ms`


class Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """Children that run side by side and are joined exactly once: the items of a foreach, the branches of a parallel.

    Child `i` is the scope `prefix + i + suffix`, a child of the committing scope, in its queue, with its priority. At
    most `max_parallel` are alive at a time; when one ends, the lowest that may start is created. A child may start when
    all those in its `needs` have ended, however they ended. A closed group starts none. With `total` 0 the join happens
    at once.
    """

    id: str
    prefix: str
    suffix: str
    total: int
    max_parallel: int
    limit: int  #: so many joins of weight 1 are tolerated; one more closes the group
    cancel_rest: bool  #: closing it sends the fact `{"kind": "cancel"}` to the children that are alive
    state: bytes  #: first state of every child; the claimer knows its index from the scope's `index`
    reads: tuple[str, ...] = ()  #: as in `Commit.reads`; `=$` stands for the child's own input
    inputs: tuple[bytes, ...] = ()  #: one a child, or none at all
    needs: tuple[tuple[int, ...], ...] = ()  #: one a child, without a circle, or none at all


class Join(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a child, counted once.

    When no child is alive and none may start any more, the parent gets `{"kind": "joined", "group": id, "done": n,
    "failed": n, "closed": bool, "error": bytes | None, "winner": n | None}`. `done` counts all that ended, `failed`
    those of weight 1 and 2. A group can have both an error and a winner: what was at work when it was closed may still
    fail or win. A scope that is no living child of the group counts for nothing.
    """

    group: str
    #: 0 succeeded, tolerated or skipped · 1 counts against the limit · 2 closes the group at once as failed ·
    #: 3 closes it at once as won; the first such child is the winner
    weight: Literal[0, 1, 2, 3] = 0
    error: bytes | None = (
        None  #: of the failure; the group keeps the first of weight 1, the first of weight 2 replaces it
    )
    cancelled: bool = False  #: the child ended because it was told to; counts as done


class Wait(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scope's wait for events, found by their keys; setting an id again replaces it and looks back anew.

    Each event accepted from now on that carries one of the keys is put into the scope's inbox, once:
    `{"kind": "event", "wait": id, "event": row id, "at": ms, "body": bytes}`. So are those accepted before that are
    still in the mailboxes of the keys, when `since_ms` says so: oldest first, those of the same millisecond by id. The
    wait stays until it is taken back, its scope ends or its run ends. A wait of a `RunSeed` does not see the event that
    makes the run.
    """

    id: str
    keys: tuple[str, ...]  #: keyed hashes; see `EventRow.keys`
    since_ms: int | None = None  #: look back to events accepted at this time or later; None: not at all
    but: str = ""  #: row id of an event that is not meant: the one that started the root run


class Take(msgspec.Struct, frozen=True):
    """Ask for an event on behalf of one of several waits of a run that may take it once between them.

    The first that asks has it, for as long as the run's rows are kept.

    Answered by the fact `{"kind": "taken", "wait": id, "event": row id, "ok": bool}` in the scope's own inbox.
    """

    wait: str
    share: str  #: names what the waits have in common: the step
    event: str


class Delayed(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that is to be accepted later. `Store.delayed` lists the due ones; an `Accept.delayed` takes it off.

    Any number of workers may route it at once: one of them is `Accepted`. The same id again replaces what it had.
    """

    id: str  #: row id of the event, which its `Accept` has too
    body: bytes  #: sealed: all that is needed to route it
    delay_ms: int = 0


class CacheEntry(msgspec.Struct, frozen=True):
    """An output kept for other runs, in place of what its key had. Lookups of the same commit see it."""

    key: str  #: keyed hash
    body: bytes
    ttl_ms: int


class Lookup(msgspec.Struct, frozen=True):
    """Ask for a cached output. Answered by the fact `{"kind": "cached", "id": id, "body": bytes | None}`."""

    id: str  #: the instance that asks
    key: str


class Parent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who invoked a run, and waits for its end; without `wait` it is told at once, with the status `started`.

    The end of the run, or of the one that its idempotency key or a merge leads to, is put into the scope's inbox, once:
    `{"kind": "child", "id": id, "run": run id, "status": status, "result": bytes}`; at once when that run has ended,
    with the status `gone` when its rows are there no more. A run that is new belongs to its parent: when that ends it
    is told to cancel, and its rows are kept as long as those of its root, the topmost of its **family**. The root's
    retention begins when the last of its family has ended. A run whose parent has ended or is gone is a run of its own.
    """

    run: str
    scope: str
    id: str  #: instance of the step
    wait: bool = True  #: else it is only told which run it is


class OnceKey(msgspec.Struct, frozen=True):
    """A run is created only if the key is free; else the answer names the run that has it."""

    key: str  #: keyed hash, never a user's text
    ttl_ms: int


class Slot(msgspec.Struct, frozen=True, omit_defaults=True, tag="slot"):
    """One of `limit` places of a key; whoever finds none waits in its line, refuses itself, or cancels the oldest.

    The line is in order of arrival less priority; a run that had a place before and comes back goes before the others.
    """

    key: str  #: keyed hash, of no other kind of gate
    limit: int
    on_limit: Literal["wait", "skip", "cancel_oldest"] = "wait"
    active: bool = False  #: of a run: given back while none of its scopes is ready or held, and asked for again
    refusal: bytes = b""  #: sealed result of a run that is refused


class Pace(msgspec.Struct, frozen=True, omit_defaults=True, tag="pace"):
    """Never more than `burst` + time x `limit` / `period_ms` pass (GCRA); the others wait in line or are refused."""

    key: str  #: keyed hash, of no other kind of gate
    limit: int
    period_ms: int
    burst: int = 1
    wait: bool = True
    refusal: bytes = b""  #: sealed result of a run that is refused


class Window(msgspec.Struct, frozen=True, omit_defaults=True, tag="window"):
    """Runs that gather until it closes: one of them passes, the others end as `skipped` with its id.

    Without `size` each newcomer moves the closing by `period_ms`, at the latest to `max_ms` after the first, and the
    last one passes (debounce). With `size` it closes with so many members, at the latest `period_ms` after the first,
    and the first one passes with the fact `{"kind": "batch", "metas": [bytes, …]}`, in the order of arrival.
    """

    key: str  #: keyed hash, of no other kind of gate
    period_ms: int
    size: int | None = None
    max_ms: int | None = None
    refusal: bytes = b""  #: sealed result of a run that is merged into another


Gate = Slot | Pace | Window


class RunSeed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run to be created: its meta data and its main scope, ready when it has passed its `gates`, in their order.

    Until then it is `pending`. A run that a gate refuses ends as `skipped`, without a turn.
    """

    id: str
    pipeline: str
    version: str  #: digest of its stored plan
    meta: bytes  #: sealed; event, vars, links, origin
    state: bytes
    reads: tuple[str, ...] = ()
    queue: str = "default"
    priority_ms: int = 0  #: head start in the queue
    once: OnceKey | None = None
    retention_ms: int = 7 * 86_400_000
    replay_of: str | None = None
    parent: Parent | None = None
    timers: tuple[Timer, ...] = ()  #: of its main scope, from the beginning
    waits: tuple[Wait, ...] = ()  #: the same; their facts come after its start
    records: dict[str, bytes] = {}  #: checkpoints that a replay starts with
    gates: tuple[Gate, ...] = ()
    more: bool = False  #: a batch: the one that passes asks by itself for more gates, and stays pending


class EventRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as it is kept, with the run that each matching trigger made or why none did.

    One that is accepted again under its id takes the place of the first, in the mailboxes too.
    """

    id: str
    name: str
    source: str
    body: bytes  #: sealed
    dedupe: str | None = None  #: keyed hash of (source, id); remembered for `dedupe_ms`
    dedupe_ms: int = 7 * 86_400_000
    keep_ms: int = 86_400_000
    reasons: bytes = b""  #: sealed: for each trigger looked at, why it made no run
    keys: tuple[str, ...] = ()  #: keyed hashes of (name or pattern, path, value) that waits may ask for
    mail_ms: int = 0  #: kept so long in the mailboxes of its keys, and its row with it; 0: in none


class DeadLetter(msgspec.Struct, frozen=True):
    """Something kept for a person: a failed run or an event that could not be taken. It does not expire."""

    id: str  #: the run's or the event's id
    kind: Literal["run", "event"]
    name: str  #: pipeline or event name
    body: bytes  #: sealed: error, failing paths, the event itself for an event


class Accept(msgspec.Struct, frozen=True, omit_defaults=True, tag="accept"):
    """Take one event: deduplicate, store it, create all its runs. Outcome `Accepted`, `Duplicate` or `Stale`."""

    epoch: int  #: of the manifest it was routed by; refused when another is active
    event: EventRow
    runs: tuple[RunSeed, ...] = ()
    dead: DeadLetter | None = None
    tick: tuple[str, int] | None = (
        None  #: (cron trigger, tick in ms): refused as a duplicate unless newer than the last
    )
    delayed: str | None = (
        None  #: row id of a `Delayed` event that this is; taken off; refused as a duplicate when it is gone
    )


class Finish(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a run, written with the last commit of its main scope."""

    status: Literal["succeeded", "failed", "cancelled", "skipped"]
    result: bytes  #: sealed: output or error
    dead: DeadLetter | None = None  #: keeps the run from expiring
    merged_into: str | None = None  #: of a skipped one: the run that goes on in its place


class Commit(msgspec.Struct, frozen=True, omit_defaults=True, tag="commit"):
    """What one turn of a scope decided.

    Outcome `Committed`, `Lost` (fence, or an ended ancestor or run) or `Stale` (one of its accepts).

    Its parts are applied in this order, in which the facts that answer them come: `consumed`, state and records,
    `cleared`, `timers`, `unwaits`, `waits`, `takes`, `cached`, `lookups`, `frees`, `groups`, `cancels`, the end,
    `join`, `finish`, `cancel_runs`, `accepts`, the limits, `gates`.

    **Stored bytes** of a run are those of all payloads that were written for it: its meta data, records, journal, undo
    list, inputs and result, and the states of its scopes as they are now. One that is written again counts again.
    """

    run: str
    scope: str
    fence: int
    status: Literal["held", "ready", "waiting", "ended"]  #: `held` renews the lease when less than half is left
    state: bytes
    consumed: int = 0  #: so many facts, from the front of the inbox; with more left, `waiting` becomes ready
    reads: tuple[str, ...] = ()
    records: dict[str, bytes] = {}
    journal: tuple[bytes, ...] = ()
    timers: tuple[Timer, ...] = ()
    cleared: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    cancels: tuple[str, ...] = ()  #: groups to close; their living children get the fact `{"kind": "cancel"}`
    join: Join | None = None  #: with `ended`
    waits: tuple[Wait, ...] = ()
    unwaits: tuple[str, ...] = ()  #: waits taken back
    takes: tuple[Take, ...] = ()
    undos: tuple[bytes, ...] = ()  #: appended to the run's undo list
    delayed: tuple[Delayed, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    cached: tuple[CacheEntry, ...] = ()
    #: (run, reason, id): see `Cancel`. A run that was never made will not say that it has ended: the scope is told at
    #: once that it is `gone`, as in `Parent`, under this id.
    cancel_runs: tuple[tuple[str, str, str], ...] = ()
    accepts: tuple[Accept, ...] = ()
    finish: Finish | None = None  #: with `ended`, main scope only
    #: To be passed in order, with `waiting`; then the fact `{"kind": "passed", "id": gate_id}`, or for `""`, which
    #: stands for the admission of the run itself, `{"kind": "start"}`.
    gates: tuple[Gate, ...] = ()
    gate_id: str | None = None
    frees: tuple[str, ...] = ()  #: ids of gates whose places are given back, or whose request is taken back
    meta: bytes | None = None  #: replaces the run's meta data: what a batch computes when it has closed
    priority_ms: int | None = None  #: replaces the scope's
    queue: str | None = None  #: replaces the scope's
    steps: int = 0  #: step instances outside loops that it has begun
    #: What the run may have of stored bytes and of such steps. When it has more with this commit, its main scope is
    #: told, once: `{"kind": "limit", "name": "run" | "steps", "count": n, "limit": n}`.
    max_stored: int | None = None
    max_steps: int | None = None


class Renew(msgspec.Struct, frozen=True, omit_defaults=True, tag="renew"):
    """Proof of life for held scopes. Outcome `Renewed`, one entry a hold."""

    worker: str
    lease_ms: int
    holds: tuple[tuple[str, str, int], ...]  #: (run, scope, fence)
    alone: bool = False  #: they are begun now, and nothing is begun beside them: lost, they are to blame


class Release(msgspec.Struct, frozen=True, tag="release"):
    """Hand a held scope back, ready at once, without using a rescue. Outcome `Committed` or `Lost`."""

    run: str
    scope: str
    fence: int


class Cancel(msgspec.Struct, frozen=True, omit_defaults=True, tag="cancel"):
    """Put `{"kind": "cancel", "reason": …}` into a run's main scope. Outcome `Done(found=…, changed=…)`."""

    run: str
    reason: str = ""


class Sweep(msgspec.Struct, frozen=True, omit_defaults=True, tag="sweep"):
    """Find what is overdue: fire timers, rescue ended leases, ring for rows that nobody took, collect expired rows.

    Outcome `Swept`.
    """

    limit: int = 200  #: of each kind
    stale_ms: int = 1000  #: a ready row that nobody took for so long rings again
    rescue: bool = True  #: False: not now, since holders could not renew their leases


class Deploy(msgspec.Struct, frozen=True, omit_defaults=True, tag="deploy"):
    """Store plans and make a manifest the active one. The epoch rises unless the digest is the active one already.

    New keys of `crons` start at the server's time, kept ones go on, others are dropped. Outcome `Deployed`.
    """

    digest: str
    manifest: bytes
    plans: dict[str, bytes] = {}
    crons: tuple[str, ...] = ()


class Prune(msgspec.Struct, frozen=True, omit_defaults=True, tag="prune"):
    """Drop the plans that no kept run needs, live, dead-lettered or retained. Outcome `Pruned` or `Stale`."""

    epoch: int  #: of the manifest that `keep` was read from
    keep: tuple[str, ...] = ()  #: versions of the active manifest


class ResolveDead(msgspec.Struct, frozen=True, omit_defaults=True, tag="resolve_dead"):
    """Take a dead letter off the list; a run's rows then expire after its retention. Outcome `Done`."""

    id: str
    replaced_by: str | None = None


class Delete(msgspec.Struct, frozen=True, omit_defaults=True, tag="delete"):
    """Free an ended root run with its family now: rows, dead letters, and the events that made nothing else.

    Outcome `Done`: not `changed` while it or a run of its family lives, and for a run that another one invoked. Of a
    large family it frees so many at a time; sent again until the run is not `found`, it frees them all.
    """

    run: str
    limit: int = 200


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """A worker stops: forget its threads. Outcome `Done`."""

    worker: str


Op = Accept | Commit | Renew | Release | Cancel | Sweep | Deploy | Prune | ResolveDead | Delete | Leave


class QueueTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """On which terms rows are taken from a queue."""

    order: int = 0  #: rows of a lower one go first, whatever their times
    limit: int | None = None  #: so many rows are held at a time, by all workers together
    reserved: int = 0  #: threads of the claiming process that are the queue's own and do not work for it yet


class ClaimRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Take up to `limit` ready rows, best first: by the order of their queues, then by time; due timers fire before.

    Of rows with the same time that of the queue named first goes first.

    It also says how the process is: its threads and how many of them are at work, from which hints are counted.
    """

    worker: str
    queues: tuple[str, ...]
    limit: int
    lease_ms: int
    threads: int
    busy: int  #: threads at work, not counting those that ask for the `limit` rows
    answered: tuple[str, ...] = ()  #: queues whose hint rang a thread since the last request, once each hint
    refuses: tuple[str, ...] = ()  #: versions that this worker cannot run: their rows are left to others
    defers: tuple[str, ...] = ()  #: versions whose handlers it has in another form: left to those that have them as is
    terms: dict[str, QueueTerms] = {}  #: of queues that have any
    known: tuple[
        str, ...
    ] = ()  #: runs whose meta data the claimer has, and need not get with rows below their main one


class Claimed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ready row, now held: all that its next turn needs, in one answer."""

    run: str
    scope: str
    fence: int
    state: bytes
    pipeline: str
    version: str
    meta: bytes  #: empty when the claimer has it: see `ClaimRequest.known`
    created_ms: int = 0  #: when the run was
    queue: str = "default"
    parent: str | None = None
    group: str | None = None  #: group that it is a child of
    index: int = 0  #: its number there
    rescues: int = 0  #: leases that ended since its last commit, as far as they count: see `SUSPECT`
    deferred: bool = False  #: of a version that the worker defers, and no other worker has as it is
    stored: int = 0  #: bytes of the run; see `Commit`
    steps: int = 0  #: step instances outside loops that the run has begun
    facts: tuple[dict[str, Any], ...] = ()
    reads: dict[str, bytes] = {}  #: keyed as asked: `order`, `=pages[3]`; a group's under `pages[0]`, `=pages[0]`, …


# Outcomes -----------------------------------------------------------------------------------------------------------


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    """The event and its runs are stored. `runs`: (run id, whether it is new); an old one holds the idempotency key."""

    event: str
    runs: tuple[tuple[str, bool], ...] = ()
    offered: int = 0  #: waits that were found by its keys; whether they take it, their runs decide


class Duplicate(msgspec.Struct, frozen=True, tag="duplicate"):
    """The event had been accepted before, under this id."""

    event: str


class Stale(msgspec.Struct, frozen=True, tag="stale"):
    """Routed by a manifest that is not the active one; nothing was written. Route again and send it anew."""

    epoch: int


class Committed(msgspec.Struct, frozen=True, omit_defaults=True, tag="committed"):
    """Written. `facts` are still in the inbox of a scope that stays held; `accepted` answers the commit's accepts."""

    facts: tuple[dict[str, Any], ...] = ()
    accepted: tuple[Accepted | Duplicate, ...] = ()


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """Refused: somebody else holds the scope, or it, an ancestor or the run has ended. Nothing was written."""

    why: str


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """One hold's answer: whether it is still ours, and the facts that wait for it."""

    ok: bool
    facts: tuple[dict[str, Any], ...] = ()


class Renewed(msgspec.Struct, frozen=True, tag="renewed"):
    """Answers a `Renew`, in its order."""

    holds: tuple[Hold, ...]


class Swept(msgspec.Struct, frozen=True, omit_defaults=True, tag="swept"):
    """What a sweep found."""

    fired: int = 0
    rescued: int = 0
    collected: int = 0
    #: When the next timer, lease or delayed event is due; a time that is past also when expired runs are left.
    next_ms: int | None = None
    dead: int = 0  #: dead letters that there are


class Deployed(msgspec.Struct, frozen=True, tag="deployed"):
    """The active epoch and whether this deploy raised it."""

    epoch: int
    changed: bool


class Pruned(msgspec.Struct, frozen=True, tag="pruned"):
    """The versions whose plans were dropped."""

    versions: tuple[str, ...]


class Done(msgspec.Struct, frozen=True, omit_defaults=True, tag="done"):
    """Answers the small operations."""

    found: bool = True
    changed: bool = True


Outcome = Accepted | Duplicate | Stale | Committed | Lost | Renewed | Swept | Deployed | Pruned | Done


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a flush."""

    now_ms: int
    epoch: int
    outcomes: tuple[Outcome, ...] = ()
    claimed: tuple[Claimed, ...] = ()
    rings: dict[str, int] = {}  #: queue → how many hints to send


# Checks -------------------------------------------------------------------------------------------------------------

_SEPARATOR = "\x1f"  # parts the members of the store's indexes


def check(op: Op) -> None:
    """Check that an operation does not contradict itself; a backend does so before it applies a flush.

    Raises:
        ValueError: naming the operation and what would be right. It is a fault of the caller's code, not of its data.
    """
    match op:
        case Accept():
            _check_accept(op)
        case Commit():
            _check_commit(op)
        case _:
            return


def _check_accept(op: Accept) -> None:
    _check_ids(op.event.id, *op.event.keys)
    for seed in op.runs:
        _check_ids(seed.id, *[timer.id for timer in seed.timers])
        if seed.parent is None and not seed.waits:
            continue
        where = f"run {seed.id} of event {op.event.id}"
        _check_waits(where, seed.waits)
        if seed.parent is None:
            continue
        _check_ids(seed.parent.run, seed.parent.scope, seed.parent.id)
        if op.event.dedupe is not None or op.tick is not None or op.delayed is not None:
            raise ValueError(
                f"{where}: an event that may be a duplicate invokes no run, its parent would wait for ever"
            )


def _check_waits(where: str, waits: tuple[Wait, ...]) -> None:
    for wait in waits:
        if not wait.keys:
            raise ValueError(f"{where}: wait {wait.id!r} needs at least one key, by which events find it")
        _check_ids(wait.id, *wait.keys)


def _check_commit(op: Commit) -> None:
    where = f"commit of {op.run} {op.scope!r}"
    if op.finish is not None and (op.scope != MAIN or op.status != "ended"):
        raise ValueError(f"{where}: only the main scope finishes a run, and it ends with it")
    if op.finish is None and op.scope == MAIN and op.status == "ended":
        raise ValueError(f"{where}: the end of a main scope needs `finish`")
    if op.join is not None and op.status != "ended":
        raise ValueError(f"{where}: a scope joins when it ends, not while it is {op.status}")
    if op.gate_id is not None and op.status != "waiting":
        raise ValueError(f"{where}: a scope that asks for gates waits for the answer, it is not {op.status}")
    if op.gates and op.gate_id is None:
        raise ValueError(f"{where}: gates need a `gate_id` for their answer")
    if op.groups and op.status == "ended":
        raise ValueError(f"{where}: a scope that ends cannot start a group")
    _check_ids(op.scope, *(timer.id for timer in op.timers))
    _check_waits(where, op.waits)
    for take in op.takes:
        _check_ids(take.share, take.event)
    _check_ids(*(event.id for event in op.delayed), *(entry.key for entry in op.cached))
    for group in op.groups:
        if group.total < 0 or group.max_parallel < 1:
            raise ValueError(f"{where}: group {group.id!r} needs a total of at least 0 and max_parallel of at least 1")
        if len(group.inputs) not in {0, group.total}:
            raise ValueError(f"{where}: group {group.id!r} has {len(group.inputs)} inputs for {group.total} children")
        _check_needs(f"{where}: group {group.id!r}", group)
        _check_ids(group.id, group.prefix, group.suffix)
    for accept in op.accepts:
        check(accept)


def _check_needs(where: str, group: Group) -> None:
    """Check that every child of a group will be able to start."""
    if not group.needs:
        return
    if len(group.needs) != group.total:
        raise ValueError(f"{where} has needs of {len(group.needs)} for {group.total} children")
    waiting = dict(enumerate(map(set, group.needs)))
    if any(not 0 <= one < group.total for needs in waiting.values() for one in needs):
        raise ValueError(f"{where} needs a child that it does not have; there are 0 to {group.total - 1}")
    while free := {child for child, needs in waiting.items() if not needs}:
        waiting = {child: needs - free for child, needs in waiting.items() if child not in free}
    if waiting:
        raise ValueError(f"{where} has children that need one another in a circle: {sorted(waiting)}")


def _check_ids(*texts: str) -> None:
    if _SEPARATOR not in "".join(texts):
        return
    for text in texts:
        if _SEPARATOR in text:
            raise ValueError(f"{text!r}: ids cannot hold the unit separator")
