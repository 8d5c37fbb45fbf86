"""What the engine's surroundings must offer: the store as a Protocol, and the views that it answers reads with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from flowlang.engine.ops import ClaimRequest, Op, Reply
from flowlang.plan import Durability

#: Counts of refused deliveries are kept for so long after the last one.
REFUSALS_KEPT_MS = 30 * 86_400_000


class Sealer(Protocol):
    """Every payload passes here on its way into the store and out of it; encryption lives behind it."""

    def seal(self, payload: bytes, origin: str, field: str) -> bytes:
        """Close a payload. `origin` is the run or event that made it, `field` what it is of it; see `sealed_fields`."""

    def open(self, sealed: bytes, field: str, origin: str | None = None) -> bytes:
        """Open what `seal` closed under this field.

        Without `origin` it may be of any run or event: for what is handed from one to another.
        Raises: FlowError when it is another payload, or nobody here can open it.
        """


class FlushId(msgspec.Struct, frozen=True):
    """Names one flush of one process; sent again, it gets the stored reply.

    A store that has not heard of the flush `acked` has gone back in time, so what the process knows of its scopes is of
    a history that is gone: the flush is refused. Nobody else need notice; whoever got no reply out of the lost part has
    seen nothing of it.
    """

    worker: str  #: incarnation: new for each start of a process
    seq: int  #: rises by one
    acked: int = 0  #: the last one that was answered; 0: not said


class RunRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run as lists show it."""

    id: str
    pipeline: str
    version: str
    status: str  #: pending · running · succeeded · failed · cancelled · skipped
    created_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    event: str = ""  #: id of the event that made it
    queue: str = "default"
    replay_of: str | None = None
    parent: str | None = None  #: run that invoked it
    replaced_by: str | None = None  #: run that replaced it when its dead letter was resolved
    merged_into: str | None = None  #: run that goes on in the place of a skipped one
    stored: int = 0  #: bytes; see `ops.Commit`
    meta: bytes = b""
    result: bytes = b""


class RunHead(msgspec.Struct, frozen=True):
    """Of a run, what tells whether somebody may look at it, and whether it has ended."""

    pipeline: str
    status: str


class RunRows(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is kept of a run."""

    row: RunRow
    records: dict[str, bytes] = {}
    journal: tuple[bytes, ...] = ()
    scopes: dict[str, str] = {}  #: scope → status
    timers: dict[str, int] = {}  #: `scope|timer` → due, ms
    waits: dict[str, tuple[str, ...]] = {}  #: `scope|wait` → keys


class EventView(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event as it is kept."""

    id: str
    name: str
    source: str
    accepted_ms: int
    body: bytes
    runs: tuple[str, ...] = ()
    reasons: bytes = b""


class DeadRow(msgspec.Struct, frozen=True):
    """A dead letter."""

    id: str
    kind: str
    name: str
    at_ms: int
    body: bytes


class DelayedRow(msgspec.Struct, frozen=True):
    """An event that is to be accepted now; `Accept.delayed` takes it off."""

    id: str
    due_ms: int
    body: bytes


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker process that was heard of lately."""

    id: str
    threads: int
    busy: int
    seen_ms: int
    queues: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()  #: versions that it cannot run
    defers: tuple[str, ...] = ()  #: versions whose handlers it has in another form


class VersionRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version that is stored or that a kept run has."""

    version: str
    stored_ms: int | None = None  #: when its plan was first stored; None: there is none
    runs: dict[str, int] = {}  #: status → kept runs
    at_work: int = 0  #: live runs that a worker is working on; the other running ones wait


class Stats(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts for `doctor` and `/readyz`."""

    now_ms: int
    epoch: int
    ready: dict[str, int] = {}  #: queue → rows
    oldest_ready_ms: dict[str, int] = {}  #: queue → ready time of its first row
    unserved: dict[str, int] = {}  #: version → ready rows that no worker of their queue can run
    held: int = 0
    timers: int = 0
    runs: int = 0
    dead: int = 0
    workers: tuple[WorkerRow, ...] = ()


class RefusalRow(msgspec.Struct, frozen=True):
    """Deliveries that a webhook turned away for one reason."""

    webhook: str
    reason: str
    count: int
    first_ms: int
    last_ms: int


class KeyUse(msgspec.Struct, frozen=True):
    """How many stored payloads are closed with which key."""

    payloads: dict[int, int]  #: by the key's id; 0 for those that are not encrypted
    keys: int  #: of the store that were looked at
    complete: bool  #: whether these were all


class Rotated(msgspec.Struct, frozen=True):
    """What a rotation of keys did."""

    rewrapped: int  #: payloads whose data key the current key closes now
    use: KeyUse  #: what the last look through all found


class Memory(msgspec.Struct, frozen=True):
    """What of a store's memory is used, and how much it may be; bytes."""

    used: int = 0
    limit: int = 0  #: 0: there is none


class Grants(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the holder of an API key may do; nothing, where nothing is said.

    Each is a list of names. `*` stands for all of them; of events, `shop/*` for all whose name begins with `shop/`.
    """

    send: tuple[str, ...] = ()  #: events
    call: tuple[str, ...] = ()  #: pipelines
    read: tuple[str, ...] = ()  #: pipelines whose runs may be looked at, with the events that started them
    control: tuple[str, ...] = ()  #: pipelines whose runs may be cancelled and replayed
    delete: tuple[str, ...] = ()  #: pipelines whose ended runs may be deleted for good
    admin: bool = False  #: all of the above for all of them
    reveal: tuple[str, ...] = ()  #: pipelines of whose runs and events sensitive data may be seen; not of `admin`


class ApiKeyRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An API key as it is stored: without the text that proves it."""

    id: str  #: the part of its text that may be shown
    name: str  #: for people and for `allow`; a key and the one that replaces it share it
    digest: str  #: SHA-256 of its whole text, hex
    grants: Grants
    created_ms: int
    groups: tuple[str, ...] = ()
    expires_ms: int | None = None
    rate: str | None = None  #: how much it may do, where it is not as the settings say


class Spent(msgspec.Struct, frozen=True):
    """What was granted of a bounded rate."""

    granted: int
    wait_us: int  #: when nothing was: after how long as much as is of use will be


class Store(Protocol):
    """Where runs live. All may be called from any thread.

    `apply` writes, `once` its mark, `refused` its count; the others only read.

    Raises (all methods): StoreUnavailableError when no answer came; `apply` may then be sent again with the same id.
    """

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        """Apply operations in order, then claim. See `ops`. Raises: HistoryLostError, see `FlushId`."""

    def now_ms(self) -> int:
        """The server's time, test clock included."""

    def manifest(self) -> tuple[int, bytes] | None:
        """The active manifest with its epoch; None before the first deploy."""

    def plan(self, digest: str) -> bytes | None:
        """A stored plan."""

    def versions(self) -> list[VersionRow]:
        """All versions that are stored or that a kept run has."""

    def crons(self) -> dict[str, int]:
        """Cron trigger → its last tick (or when it was first deployed), ms."""

    def run(self, run: str) -> RunRows | None:
        """All that is kept of one run."""

    def heads(self, runs: Sequence[str]) -> dict[str, RunHead]:
        """Of those of these runs that are kept, what tells whether they have ended: one call for all of them."""

    def runs(
        self, *, pipeline: str | None = None, status: str | None = None, before: str | None = None, limit: int = 50
    ) -> list[RunRow]:
        """Runs, newest first, from after the run `before` on; a page may be shorter than `limit` only at the end."""

    def event(self, event: str) -> EventView | None:
        """A kept event."""

    def delayed(self, limit: int = 50) -> list[DelayedRow]:
        """Delayed events that are due, the first due first."""

    def dead_letters(self, *, name: str | None = None, before: str | None = None, limit: int = 50) -> list[DeadRow]:
        """Dead letters, newest first."""

    def dead_letter(self, ident: str) -> DeadRow | None:
        """One dead letter."""

    def stats(self) -> Stats:
        """Counts for people and probes."""

    def once(self, name: str, ttl_ms: int) -> bool:
        """Whether this is the first time that anybody asks under this name; remembered for `ttl_ms`."""

    def api_keys(self) -> dict[str, ApiKeyRow]:
        """All API keys by id, those that have expired too."""

    def amend_api_keys(self, change: Callable[[Mapping[str, ApiKeyRow]], Mapping[str, ApiKeyRow]]) -> None:
        """Make the API keys what `change` makes of them, as one step; it may be called several times."""

    def api_keys_used(self, used: Mapping[str, int] | None = None) -> dict[str, int]:
        """Remember when keys were used; returns id → when each was, ms."""

    def refused(self, webhook: str, reason: str) -> None:
        """Count a delivery that was turned away; a webhook's counts go when there was none for `REFUSALS_KEPT_MS`.

        Args:
            webhook: A webhook of the active manifest.
            reason: One of a few fixed sentences, so that a stranger cannot fill the store.
        """

    def refusals(self, webhooks: Iterable[str]) -> list[RefusalRow]:
        """What these webhooks turned away, the last first."""

    def spend(self, name: str, *, step_us: int, cap_us: int, least: int, want: int) -> Spent:
        """Grant some of a bounded rate, by the server's time; see `reference.rates`."""

    def memory(self) -> Memory:
        """How much memory is used."""

    def tidy(self) -> None:
        """Drop what earlier releases have left on the server besides data; one that still runs brings it back."""

    def secure(self, durability: Durability) -> None:
        """Wait until all that was written before is safe. Raises: NotDurableError."""

    def why_not_secure(self, durability: Durability) -> str:
        """Why this store can never say that something is safe, and what would be right; empty when it can."""

    def close(self) -> None:
        """Give back connections."""
