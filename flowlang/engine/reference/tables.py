"""The tables of a partition, and the few moves that all operations share.

Owns the rows and what keeps them consistent: a scope is in its queue exactly while it is ready, among the leases
exactly while it is held, and has timers and waits only until it ends.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from flowlang.engine.ops import MAIN, Gate, Group, Timer, Wait
from flowlang.engine.reference.ranked import Ranked

SEP = "\x1f"  #: between the parts of a member; in no id

#: How long a worker counts for hints, is listed, and a hint counts as on its way; milliseconds.
WORKER_IDLE_MS = 5_000
WORKER_LISTED_MS = 60_000
HINT_MS = 2_000
#: Scores of ready rows are ms times this, so that siblings of one millisecond are taken in their order.
RANKS = 4_096

#: Timers that one claim fires before it takes rows; more wait for the next claim or sweep.
CLAIM_TIMERS = 100
#: Scopes above one another; a chain that is longer goes in a circle, and what is in it counts as ended.
SCOPE_DEPTH = 256
#: Rows of ended scopes that one claim drops while it looks for living ones.
CLAIM_DROPS = 1_000

#: The largest advance that a priority can give.
MAX_AHEAD_MS = 600_000

#: Timers that end a run, and what the ids of waits begin with that may: they reach it although it has given its place
#: back.
ENDING_WAITS = "cancel_on:"
ENDING_TIMERS = ("run:timeout", "run:expires")


@dataclass(slots=True)
class Pending:
    """The gates that a scope has still to pass, in order."""

    id: str  #: of the answer; "": the admission of the run
    gates: list[Gate]
    more: bool = False
    member: str = ""  #: in the line of the first gate; "": it has not been asked
    metas: list[bytes] = field(default_factory=list)  #: of the runs that a batch has gathered


@dataclass(slots=True)
class RunSlot:
    """A place that a run has while it is active."""

    key: str
    limit: int
    member: str
    state: Literal["held", "parked", "back", "free"] = (
        "held"  #: back: in line again · free: at work without, since it may end
    )
    active: int = 0  #: scopes that are ready or held
    wanting: list[str] = field(default_factory=list)  #: scopes that have work and wait for the place


@dataclass(slots=True)
class Scope:
    """A scope's row."""

    status: Literal["ready", "held", "waiting", "ended"]
    parent: str | None
    queue: str
    priority_ms: int
    state: bytes
    reads: tuple[str, ...]
    group: str | None = None
    index: int = 0
    fence: int = 0
    lease_ms: int = 0
    lease_end_ms: int = 0  #: as of its claim or a later commit; renewals do not write the row
    rescues: int = 0  #: losses since its last commit that count
    alone: bool = False  #: the holder has begun it alone
    inbox: list[dict[str, Any]] = field(default_factory=list)
    timers: set[str] = field(default_factory=set)
    waits: dict[str, Wait] = field(default_factory=dict)
    pending: Pending | None = None
    slots: dict[str, tuple[str, str]] = field(default_factory=dict)  #: gate id → key and member of a place it has


@dataclass(slots=True)
class GroupRow:
    """A group's counters beside its definition."""

    spec: Group
    parent: str
    queue: str
    priority_ms: int
    next: int = 0  #: how many have started; without `needs` also the index of the one that starts next
    ended: set[int] = field(default_factory=set)  #: with `needs` only: children that have ended
    begun: set[int] = field(default_factory=set)  #: with `needs` only: children that have started
    alive: int = 0
    done: int = 0
    failed: int = 0
    strikes: int = 0  #: joins of weight 1
    closed: bool = False
    told: bool = False  #: the living children were told to cancel
    fired: bool = False
    error: bytes | None = None
    fatal: bool = False  #: `error` came with weight 2
    winner: int | None = None  #: first child of weight 3

    def child(self, index: int) -> str:
        """Scope of the child with this number."""
        return f"{self.spec.prefix}{index}{self.spec.suffix}"


@dataclass(slots=True)
class Run:
    """A run with all its rows."""

    pipeline: str
    version: str
    meta: bytes
    event: str
    queue: str
    created_ms: int
    retention_ms: int
    replay_of: str | None
    root: str
    status: str = "pending"
    started_ms: int | None = None
    ended_ms: int | None = None
    result: bytes = b""
    replaced_by: str | None = None
    scopes: dict[str, Scope] = field(default_factory=dict)
    groups: dict[str, GroupRow] = field(default_factory=dict)
    records: dict[str, bytes] = field(default_factory=dict)
    inputs: dict[str, bytes] = field(default_factory=dict)
    journal: list[bytes] = field(default_factory=list)
    taken: set[tuple[str, str]] = field(default_factory=set)  #: (share, event)
    merged_into: str | None = None
    admitting: bool = False  #: stays pending when it is claimed: its gates are not all passed
    gated: bool = False  #: scopes beside the main one have asked for gates
    slot: RunSlot | None = None
    undos: list[bytes] = field(default_factory=list)
    parent: str | None = None  #: run that it belongs to
    followers: set[str] = field(default_factory=set)  #: run, scope and instance that wait for its end
    children: set[str] = field(default_factory=set)  #: runs that belong to it and have not ended
    family: Ranked = field(default_factory=Ranked)  #: of a root: all runs below it by creation
    under: int = 0  #: of a root: runs below it that have not ended
    stored: int = 0  #: bytes of all that was written for it
    steps: int = 0  #: step instances outside loops
    over: bool = False  #: it was told that it has passed a limit

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.ended_ms is None


@dataclass(slots=True)
class EventRow:
    """A kept event."""

    name: str
    source: str
    body: bytes
    reasons: bytes
    accepted_ms: int
    expires_ms: int
    runs: tuple[str, ...]
    keys: tuple[str, ...]
    mail_until_ms: int


@dataclass(slots=True)
class Dead:
    """A dead letter."""

    kind: str
    name: str
    at_ms: int
    body: bytes


@dataclass(slots=True)
class Worker:
    """What a worker last said."""

    threads: int
    busy: int
    seen_ms: int
    queues: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    defers: tuple[str, ...] = ()


@dataclass(slots=True)
class Tables:
    """All rows, the time of the flush at hand, and the rows it has made ready so far."""

    now_ms: int = 0
    fresh: dict[str, str] = field(default_factory=dict)  #: member → queue
    stale: dict[str, int] = field(default_factory=dict)  #: queue → rows that waited too long, found by a sweep
    epoch: int = 0
    digest: str = ""
    manifest: bytes = b""
    plans: dict[str, bytes] = field(default_factory=dict)
    plan_times: dict[str, int] = field(default_factory=dict)  #: digest → when it was first stored
    crons: dict[str, int] = field(default_factory=dict)
    events: dict[str, EventRow] = field(default_factory=dict)
    dedupe: dict[str, tuple[str, int]] = field(default_factory=dict)  #: key → event, expiry
    once: dict[str, tuple[str, int]] = field(default_factory=dict)  #: key → run, expiry
    runs: dict[str, Run] = field(default_factory=dict)
    dead: dict[str, Dead] = field(default_factory=dict)
    ready: dict[str, Ranked] = field(default_factory=dict)  #: queue → members by ready time
    aside: dict[tuple[str, str], Ranked] = field(default_factory=dict)  #: (queue, version) → the same; see `serving`
    leases: Ranked = field(default_factory=Ranked)
    timers: Ranked = field(default_factory=Ranked)
    waits: dict[str, set[str]] = field(default_factory=dict)  #: key → members
    mailboxes: dict[str, Ranked] = field(default_factory=dict)  #: key → events by acceptance
    mails: Ranked = field(default_factory=Ranked)  #: events with their keys by the end of their time in mailboxes
    delayed: Ranked = field(default_factory=Ranked)  #: events by due time
    delayed_bodies: dict[str, bytes] = field(default_factory=dict)
    cache: dict[str, tuple[bytes, int]] = field(default_factory=dict)  #: key → output, expiry
    expiry: Ranked = field(default_factory=Ranked)  #: ended runs by expiry
    rows_expiry: Ranked = field(default_factory=Ranked)  #: kind and key of rows that only time ends, by expiry
    workers: dict[str, Worker] = field(default_factory=dict)
    hints: dict[str, tuple[int, int]] = field(default_factory=dict)  #: queue → outstanding, last rung
    running: dict[str, int] = field(default_factory=dict)  #: queue → rows that are held
    ticket: int = 0  #: of whoever came last to a gate
    lines: dict[str, Ranked] = field(default_factory=dict)  #: key → who waits at a gate, by ticket␟run␟scope
    places: dict[str, Ranked] = field(default_factory=dict)  #: key → who has a place, by ticket
    untold: dict[str, Ranked] = field(default_factory=dict)  #: key → who has or wants one, and may be cancelled for it
    paces: dict[str, float] = field(default_factory=dict)  #: key → when all that passed is used up (GCRA), ms
    windows: dict[str, int] = field(default_factory=dict)  #: key → when it opened
    agenda: deque[tuple[str, ...]] = field(default_factory=deque)  #: what `gates.settle` has to do after an operation
    counted: dict[str, None] = field(default_factory=dict)  #: runs that may have become idle

    def living(self, run_id: str) -> Run | None:
        """A run that has not ended."""
        run = self.runs.get(run_id)
        return run if run is not None and run.live else None

    def make_ready(self, run_id: str, scope_id: str, scope: Scope, ahead_ms: int = 0) -> None:
        """Put a scope into its queue, with so much advance before others beside the run's priority."""
        if scope.status == "waiting" and not self._is_active(run_id, scope_id):
            return
        member = run_id + SEP + scope_id
        if scope.status == "held":
            self.hold(scope, -1)
        scope.status = "ready"
        self.leases.drop(member)
        since_ms = self.now_ms - scope.priority_ms - ahead_ms
        self.ready.setdefault(scope.queue, Ranked()).put(member, since_ms * RANKS + min(scope.index, RANKS - 1))
        self.fresh[member] = scope.queue

    def unready(self, queue: str, member: str) -> None:
        """Take a ready row out of its queue, or from beside it."""
        if self.ready[queue].drop(member):
            return
        for (beside, _), rows in self.aside.items():
            if beside == queue:
                rows.drop(member)

    def deliver(self, run_id: str, scope_id: str, fact: dict[str, Any], ahead_ms: int = 0) -> None:
        """Append a fact to a scope's inbox and wake it when it waits; facts to what has ended are dropped."""
        run = self.living(run_id)
        scope = run.scopes.get(scope_id) if run is not None else None
        if scope is None or scope.status == "ended":
            return
        scope.inbox.append(fact)
        if may_end(fact) and run is not None and run.slot is not None and run.slot.state in {"parked", "back"}:
            run.slot.state = "free"
            self.agenda.append(("wake", run_id))
        if scope.status == "waiting":
            self.make_ready(run_id, scope_id, scope, ahead_ms)

    def _is_active(self, run_id: str, scope_id: str) -> bool:
        """Count a scope that becomes active; False: its run has given its place back and must get it again first."""
        slot = self.runs[run_id].slot
        if slot is None:
            return True
        if slot.state in {"parked", "back"}:
            if scope_id not in slot.wanting:
                slot.wanting.append(scope_id)
            self.agenda.append(("back", run_id))
            return False
        slot.active += 1
        return True

    def rests(self, run_id: str) -> None:
        """Count a scope that is not active any more."""
        slot = self.runs[run_id].slot
        if slot is not None:
            slot.active -= 1
            self.counted[run_id] = None

    def end_scope(self, run_id: str, scope_id: str, scope: Scope) -> None:
        """Free a scope's row; its fence stays, so that a later scope of that name goes on counting."""
        member = run_id + SEP + scope_id
        if scope.status in {"ready", "held"}:
            self.rests(run_id)
        if scope.status == "held":
            self.hold(scope, -1)
        if scope.status == "ready":
            self.unready(scope.queue, member)
            self.fresh.pop(member, None)
        self.leases.drop(member)
        self.leave_gates(run_id, scope_id, scope)
        for timer in scope.timers:
            self.timers.drop(member + SEP + timer)
        for wait in list(scope.waits):
            self.drop_wait(run_id, scope_id, scope, wait)
        self.runs[run_id].stored -= len(scope.state)
        scope.status = "ended"
        scope.timers = set()
        scope.inbox = []
        scope.state = b""
        scope.reads = ()

    def hold(self, scope: Scope, change: int) -> None:
        """Count a row that is held from now on, or not any more."""
        count = self.running.pop(scope.queue, 0) + change
        if count:
            self.running[scope.queue] = count

    def leave_gates(self, run_id: str, scope_id: str, scope: Scope) -> None:
        """Give back all that a scope has of gates, and the run's own place with its main scope."""
        self.withdraw(scope)
        for key, holder in scope.slots.values():
            self.agenda.append(("free", key, holder))
        scope.slots = {}
        slot = self.runs[run_id].slot
        if scope_id == MAIN and slot is not None:
            self.agenda.append(("free", slot.key, slot.member))
            self.runs[run_id].slot = None

    def withdraw(self, scope: Scope) -> None:
        """Take back what a scope asks of gates."""
        pending, scope.pending = scope.pending, None
        if pending is not None and pending.member:
            gate = pending.gates[0]
            self.agenda.append(("left", str(gate.__struct_config__.tag), gate.key, pending.member))

    def set_timer(self, run_id: str, scope_id: str, scope: Scope, timer: Timer) -> None:
        """Set a timer of a scope, or move it."""
        scope.timers.add(timer.id)
        due = timer.at_ms if timer.at_ms is not None else self.now_ms + timer.delay_ms
        self.timers.put(run_id + SEP + scope_id + SEP + timer.id, due)

    def clear_timer(self, run_id: str, scope_id: str, scope: Scope, timer: str) -> None:
        """Take a timer back."""
        scope.timers.discard(timer)
        self.timers.drop(run_id + SEP + scope_id + SEP + timer)

    def drop_wait(self, run_id: str, scope_id: str, scope: Scope, wait_id: str) -> None:
        """Take a wait out of the index."""
        wait = scope.waits.pop(wait_id, None)
        for key in wait.keys if wait is not None else ():
            if key in self.waits:
                self.waits[key].discard(SEP.join((run_id, scope_id, wait_id)))
                if not self.waits[key]:
                    del self.waits[key]

    def fire_timers(self, limit: int) -> int:
        """Turn due timers into facts, at most so many; tell how many."""
        due = self.timers.up_to(self.now_ms, limit)
        for member in due:
            run_id, scope_id, timer = member.split(SEP)
            self.timers.drop(member)
            if not run_id:  # of a gate: its kind and key
                self.agenda.append(("due", scope_id, timer))
                continue
            run = self.runs.get(run_id)
            if run is not None and scope_id in run.scopes:
                run.scopes[scope_id].timers.discard(timer)
            self.deliver(run_id, scope_id, {"kind": "timer", "id": timer})
        return len(due)


def may_end(fact: dict[str, Any]) -> bool:
    """Whether a fact may end its run, so that it must not wait for a place."""
    match fact["kind"]:
        case "cancel" | "limit":
            return True
        case "timer":
            return fact["id"] in ENDING_TIMERS
        case "event":
            wait: str = fact["wait"]
            return wait.startswith(ENDING_WAITS)
        case _:
            return False


def under_living(run: Run, scope: Scope) -> bool:
    """Whether no scope above this one has ended."""
    parent = scope.parent
    for _ in range(SCOPE_DEPTH):
        if parent is None:
            return True
        above = run.scopes.get(parent)
        if above is None or above.status == "ended":
            return False
        parent = above.parent
    return False


def main_scope(queue: str, priority_ms: int, state: bytes, reads: tuple[str, ...]) -> Scope:
    """A run's first scope, before it is put into its queue as `MAIN`."""
    return Scope("waiting", None, queue, priority_ms, state, reads, inbox=[{"kind": "start"}])


__all__ = [
    "CLAIM_DROPS",
    "CLAIM_TIMERS",
    "ENDING_TIMERS",
    "ENDING_WAITS",
    "HINT_MS",
    "MAIN",
    "MAX_AHEAD_MS",
    "RANKS",
    "SCOPE_DEPTH",
    "SEP",
    "WORKER_IDLE_MS",
    "WORKER_LISTED_MS",
    "Dead",
    "EventRow",
    "GroupRow",
    "Pending",
    "Run",
    "RunSlot",
    "Scope",
    "Tables",
    "Worker",
    "main_scope",
    "may_end",
    "under_living",
]
