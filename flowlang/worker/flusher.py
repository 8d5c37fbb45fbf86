"""Group commit: one flusher a process sends what all threads have queued as one call of the store.

While a flush is under way the next batch gathers. Where threads go from one short task to the next, it gathers until
they have done about half of what is in hand, so that server and threads both have something to do; it goes out at once
when there is nothing else to do. A scope goes on only when its own commit has been
acknowledged. When the store gives no answer the same flush is sent again under the same id until one comes, so a lost
reply, or an outage of any length, neither loses nor doubles anything.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from flowlang.crashpoints import crashpoint
from flowlang.engine.ops import Claimed, ClaimRequest, Op, Outcome, Renew, Renewed, Reply
from flowlang.engine.ports import FlushId, Store
from flowlang.errors import StoreError, StoreUnavailableError
from flowlang.plan import QueueRule
from flowlang.worker.runqueue import RunQueue, Task
from flowlang.worker.terms import terms_of

log = logging.getLogger(__name__)

#: Bounds on one flush: as many entries as one script call carries well.
MAX_BATCH = 64
#: Seconds that a flush waits for more while threads go from one short task to the next.
GATHER_S = 0.0005
#: Seconds that tasks may wait beside an idle thread; much longer than short ones take.
STALL_S = 0.005
#: Seconds between two tries while the store does not answer: first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


#: Takes the outcome of an operation, or what went wrong, and makes the task that follows.
Then: TypeAlias = Callable[[Outcome | StoreError | None], Task | None]


class FlusherStopped(StoreError):  # noqa: N818 - it says what happened
    """The process is stopping; nothing of this operation was sent."""


class _Entry:
    """An operation with whoever waits for its outcome: a thread (`done`), or nobody but the scope itself (`then`)."""

    __slots__ = ("done", "error", "op", "outcome", "then")

    def __init__(self, op: Op | None, then: Then | None = None) -> None:
        self.op = op
        self.then = then
        self.outcome: Outcome | None = None
        self.error: StoreError | None = None
        self.done: threading.Lock | None = None


class Flusher:
    """Sends operations of many threads together, with the claim of what the process can take besides.

    Args:
        store: Where to.
        worker: This process's incarnation.
        queues: Tells the served queues, best first.
        rules: Tells what the project says of its queues.
        lease_ms: For claimed rows.
        threads: How many threads this process runs steps on.
        run_queue: Says what the process can take, and gets it.
        known: Tells the runs whose meta data this process has; asked on the flusher's thread.
        declined: Tells the versions that this process refuses, and those that it defers.
        on_reply: Called on the flusher's thread with every reply; must not block.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        *,
        queues: Callable[[], tuple[str, ...]],
        rules: Callable[[], Mapping[str, QueueRule]] = dict,
        lease_ms: int,
        threads: int,
        run_queue: RunQueue,
        on_reply: Callable[[Reply], None],
        known: Callable[[], tuple[str, ...]] = tuple,
        declined: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]] = lambda: ((), ()),
    ) -> None:
        self._store = store
        self._worker = worker
        self._queues = queues
        self._rules = rules
        self._lease_ms = lease_ms
        self._threads = threads
        self._run_queue = run_queue
        self._on_reply = on_reply
        self._known = known
        self._declined = declined
        self._seq = 0
        self._gate = threading.Lock()  #: of what follows
        self._entries: deque[_Entry] = deque()
        self._asleep: Literal["", "empty", "gathering"] = ""  #: the flusher's thread waits for `_bell`, rung once
        self._ended = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._stopping = threading.Event()
        self._hurried = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flowlang-flusher", daemon=True)

    def start(self) -> None:
        """Start the flusher's thread."""
        self._thread.start()

    def hurry(self) -> None:
        """Wait no longer for a store that does not answer: a flush is tried once more, then its operations fail."""
        self._hurried.set()

    def stop(self, timeout: float = 10.0) -> None:
        """Send what is queued, then end. An outage ends the waiting after `timeout` seconds."""
        self.hurry()
        with self._gate:
            self._stopping.set()
            self._wake()
        self._thread.join(timeout)

    def apply(self, op: Op) -> Outcome:
        """Apply one operation and wait for its outcome.

        Raises:
            StoreError: when the store refuses the whole flush, or does not answer and we were told to hurry.
            FlusherStopped: when the process is stopping.
        """
        entry = _Entry(op)
        entry.done = threading.Lock()
        entry.done.acquire()
        self._put(entry)
        entry.done.acquire()
        if entry.error is not None:
            raise entry.error
        assert entry.outcome is not None
        return entry.outcome

    def submit(self, op: Op, then: Then) -> None:
        """Apply one operation and go on.

        Args:
            op: The operation.
            then: Called on the flusher's thread with the outcome, or with the error in its place; must not block or
                raise. The task that it returns goes to the run queue.

        Raises:
            FlusherStopped: when the process is stopping.
        """
        self._put(_Entry(op, then))

    def poke(self) -> None:
        """Claim soon what the process can take, though nothing is to be sent."""
        with contextlib.suppress(FlusherStopped):
            self._put(_Entry(None))

    def renew(self, op: Renew) -> Renewed:
        """Renew leases."""
        outcome = self.apply(op)
        assert isinstance(outcome, Renewed)
        return outcome

    def press(self) -> None:
        """Send what has gathered: no more is to come for the moment."""
        if self._asleep:
            with self._gate:
                self._wake()

    def _put(self, entry: _Entry) -> None:
        with self._gate:
            if self._ended or self._stopping.is_set():
                raise FlusherStopped("the process is stopping")
            self._entries.append(entry)
            if self._asleep == "empty" or len(self._entries) >= self._run_queue.worth_a_flush:
                self._wake()

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = ""
            self._bell.release()

    # The flusher's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._gather():
            rows: tuple[Claimed, ...] = ()
            try:
                rows = self._flush(batch)
            except BaseException as error:  # the threads must not wait for ever
                log.exception("a flush failed")
                for entry in batch:
                    entry.error = error if isinstance(error, StoreError) else StoreError(f"flush failed: {error!r}")
            try:
                self._hand_out(batch, rows)
            except Exception:
                log.exception("answers could not be handed out; what they were for is taken over when its lease ends")
        with self._gate:  # whoever passed it before has queued; whoever comes now is turned away
            self._ended = True
            late = list(self._entries)
        for entry in late:
            entry.error = FlusherStopped("the process is stopping")
        self._hand_out(late, ())

    def _hand_out(self, batch: list[_Entry], rows: tuple[Claimed, ...]) -> None:
        tasks: list[Task] = []
        for entry in batch:
            if entry.done is not None:
                entry.done.release()
            elif entry.then is not None:
                task = entry.then(entry.outcome if entry.error is None else entry.error)
                if task is not None:
                    tasks.append(task)
        self._run_queue.claimed(rows, tasks)

    def _gather(self) -> list[_Entry]:
        """Wait until there is something to send, and take it; nothing when the process is stopping."""
        gathered = False
        while True:
            with self._gate:
                waiting = len(self._entries)
                if waiting and (gathered or waiting >= self._run_queue.worth_a_flush or self._stopping.is_set()):
                    return [self._entries.popleft() for _ in range(min(waiting, MAX_BATCH))]
                if self._stopping.is_set():
                    return []
                self._asleep = "gathering" if waiting else "empty"
            if waiting:
                self._sleep(GATHER_S)
                gathered = True  # once is enough
            elif not self._sleep(STALL_S if self._run_queue.is_stalled() else None):
                self._run_queue.nudge()

    def _sleep(self, seconds: float | None) -> bool:
        """Wait for the bell; whether it has rung."""
        if self._bell.acquire(timeout=-1 if seconds is None else seconds):
            return True
        with self._gate:
            if self._asleep:
                self._asleep = ""
                return False
        self._bell.acquire()  # it rang just now
        return True

    def _flush(self, batch: list[_Entry]) -> tuple[Claimed, ...]:
        ops = [entry.op for entry in batch if entry.op is not None]
        request = None if self._stopping.is_set() else self._request()
        if not ops and request is None:
            return ()
        crashpoint("flush.gathered")
        reply = self._send(ops, request)
        crashpoint("flush.answered")
        outcomes = iter(reply.outcomes)
        for entry in batch:
            if entry.op is not None:
                entry.outcome = next(outcomes)
        self._on_reply(reply)
        return reply.claimed

    def _request(self) -> ClaimRequest | None:
        demand = self._run_queue.demand()
        if demand is None:
            return None
        refuses, defers = self._declined()
        return ClaimRequest(
            self._worker,
            self._queues(),
            demand.limit,
            self._lease_ms,
            self._threads,
            demand.busy,
            demand.answered,
            refuses=refuses,
            defers=defers,
            terms=terms_of(self._rules(), self._threads, demand.at_work),
            known=self._known(),
        )

    def _send(self, ops: list[Op], request: ClaimRequest | None) -> Reply:
        self._seq += 1
        flush = FlushId(self._worker, self._seq)
        pause = FIRST_PAUSE
        while True:
            try:
                return self._store.apply(flush, ops, request)
            except StoreUnavailableError as error:
                if self._hurried.is_set():
                    raise
                log.warning("the store does not answer (%s); the same flush goes out again", error)
                self._hurried.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
