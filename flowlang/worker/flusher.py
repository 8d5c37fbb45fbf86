"""Group commit: one flusher a process sends what all threads have queued as one call of the store.

While a flush is under way the next batch gathers; no timer is needed. A thread goes on only when its own operation has
been acknowledged. When the store gives no answer the same flush is sent again under the same id until one comes, so a
lost reply, or an outage of any length, neither loses nor doubles anything.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from queue import SimpleQueue

from flowlang.engine.ops import Claimed, ClaimRequest, Op, Outcome, Renew, Renewed, Reply
from flowlang.engine.ports import FlushId, Store
from flowlang.errors import StoreError, StoreUnavailableError
from flowlang.plan import QueueRule
from flowlang.worker.terms import terms_of

log = logging.getLogger(__name__)

#: Bounds on one flush: as many entries as one script call carries well.
MAX_BATCH = 64
#: Seconds between two tries while the store does not answer: first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class FlusherStopped(StoreError):  # noqa: N818 - it says what happened
    """The process is stopping; nothing of this operation was sent."""


class _Entry:
    """What one thread waits for."""

    __slots__ = ("answered", "claimed", "done", "error", "op", "outcome", "thread", "wants")

    def __init__(self, op: Op | None, *, wants: bool, answered: str | None) -> None:
        self.op = op
        self.wants = wants
        self.answered = answered
        self.thread = threading.get_ident()
        self.outcome: Outcome | None = None
        self.claimed: Claimed | None = None
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Flusher:
    """Sends operations of many threads together.

    Args:
        store: Where to.
        worker: This process's incarnation.
        queues: Tells the served queues, best first.
        rules: Tells what the project says of its queues.
        lease_ms: For claimed rows.
        threads: How many threads this process runs steps on.
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
        on_reply: Callable[[Reply], None],
        declined: Callable[[], tuple[tuple[str, ...], tuple[str, ...]]] = lambda: ((), ()),
    ) -> None:
        self._store = store
        self._worker = worker
        self._queues = queues
        self._rules = rules
        self._lease_ms = lease_ms
        self._threads = threads
        self._on_reply = on_reply
        self._declined = declined
        self._seq = 0
        self._entries: SimpleQueue[_Entry | None] = SimpleQueue()
        self._working: dict[int, str | None] = {}  #: thread → queue of the row that it works on
        self._working_lock = threading.Lock()
        self._stopping = threading.Event()
        self._hurried = threading.Event()
        self._gate = threading.Lock()
        self._ended = False
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
        self._stopping.set()
        self._entries.put(None)
        self._thread.join(timeout)

    def begin_work(self) -> None:
        """Count this thread as running steps. It counts no more as soon as a claim of its finds nothing."""
        with self._working_lock:
            self._working.setdefault(threading.get_ident(), None)

    def end_work(self) -> None:
        """Count this thread as idle."""
        with self._working_lock:
            self._working.pop(threading.get_ident(), None)

    def has_idle(self) -> bool:
        """Whether fewer threads are at work than this process has."""
        with self._working_lock:
            return len(self._working) < self._threads

    def apply(self, op: Op) -> Outcome:
        """Apply one operation and wait for its outcome.

        Raises:
            StoreError: when the store refuses the whole flush, or does not answer and we were told to hurry.
            FlusherStopped: when the process is stopping.
        """
        outcome, _ = self._wait(_Entry(op, wants=False, answered=None))
        assert outcome is not None
        return outcome

    def renew(self, op: Renew) -> Renewed:
        """Renew leases."""
        outcome = self.apply(op)
        assert isinstance(outcome, Renewed)
        return outcome

    def apply_and_claim(self, op: Op) -> tuple[Outcome, Claimed | None]:
        """Apply one operation and claim the next row in the same flush."""
        outcome, claimed = self._wait(_Entry(op, wants=True, answered=None))
        assert outcome is not None
        return outcome, claimed

    def claim(self, answered: str | None = None) -> Claimed | None:
        """Claim the next row, if there is one.

        Args:
            answered: The queue whose hint rang.
        """
        return self._wait(_Entry(None, wants=True, answered=answered))[1]

    def _wait(self, entry: _Entry) -> tuple[Outcome | None, Claimed | None]:
        with self._gate:
            if self._ended or self._stopping.is_set():
                raise FlusherStopped("the process is stopping")
            self._entries.put(entry)
        entry.done.acquire()
        if entry.error is not None:
            raise entry.error
        return entry.outcome, entry.claimed

    # The flusher's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            batch = self._gather()
            if not batch:
                break
            try:
                self._flush(batch)
            except BaseException as error:  # the threads must not wait for ever
                log.exception("a flush failed")
                for entry in batch:
                    entry.error = error if isinstance(error, StoreError) else StoreError(f"flush failed: {error!r}")
            for entry in batch:
                entry.done.release()
        with self._gate:  # whoever passed it before has queued; whoever comes now is turned away
            self._ended = True
        while not self._entries.empty():
            late = self._entries.get()
            if late is not None:
                late.error = FlusherStopped("the process is stopping")
                late.done.release()

    def _gather(self) -> list[_Entry]:
        batch: list[_Entry] = []
        while len(batch) < MAX_BATCH:
            if batch and self._entries.empty():
                break
            entry = self._entries.get()
            if entry is None:
                if batch:
                    self._entries.put(None)  # end after this batch
                break
            batch.append(entry)
        return batch

    def _flush(self, batch: list[_Entry]) -> None:
        ops = [entry.op for entry in batch if entry.op is not None]
        askers = [entry for entry in batch if entry.wants and not self._stopping.is_set()]
        request = None
        if askers:
            with self._working_lock:
                asking = {entry.thread for entry in askers}
                at_work = [queue for thread, queue in self._working.items() if thread not in asking]
            refuses, defers = self._declined()
            request = ClaimRequest(
                self._worker,
                self._queues(),
                len(askers),
                self._lease_ms,
                self._threads,
                len(at_work),
                tuple(entry.answered for entry in askers if entry.answered is not None),
                refuses=refuses,
                defers=defers,
                terms=terms_of(self._rules(), self._threads, Counter(queue for queue in at_work if queue is not None)),
            )
        reply = self._send(ops, request)
        outcomes = iter(reply.outcomes)
        for entry in batch:
            if entry.op is not None:
                entry.outcome = next(outcomes)
        for entry, claimed in zip(askers, reply.claimed, strict=False):
            entry.claimed = claimed
        with self._working_lock:
            for entry in askers:
                if entry.claimed is None:
                    self._working.pop(entry.thread, None)
                elif entry.thread in self._working:
                    self._working[entry.thread] = entry.claimed.queue
        self._on_reply(reply)

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
