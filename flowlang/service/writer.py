"""Writing to the store from many threads: what they send at the same time goes out together, under one flush id.

The store remembers the last flush of each incarnation, so only one of each may be under way, and one whose reply was
lost is sent again as it was. There are two of them, its lanes, so that one flush is put together while the store is at
work on another. Unlike a worker's, these senders have a client that waits: after a few tries they are told that the
store is away, and the client sends its event again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from flowlang.clock import monotonic_ms, random_token
from flowlang.crashpoints import crashpoint
from flowlang.engine.ops import Op, Outcome, Reply
from flowlang.engine.ports import FlushId, Store
from flowlang.errors import HistoryLostError, StoreUnavailableError

log = logging.getLogger(__name__)

MAX_BATCH = 64  #: operations in one flush
LANES = 2  #: flushes at a time: the store does one after the other, and more would only be smaller
TRIES = 3
#: The store is taken to know a flush for so long, milliseconds: half of what it keeps its answer for.
REMEMBERED_MS = 43_200_000
PAUSE_S = 0.1  #: before the second try; doubled before the third


class _Request:
    """What one thread sends and waits for."""

    __slots__ = ("done", "error", "ops", "outcomes")

    def __init__(self, ops: Sequence[Op]) -> None:
        self.ops = tuple(ops)
        self.outcomes: tuple[Outcome, ...] = ()
        self.error: BaseException | None = None
        self.done = threading.Event()


class _Lane:
    """One flush at a time, under the name of one incarnation.

    Args:
        store: Where to.
        worker: The incarnation.
        pause: Waits so many seconds between two tries.
        now_ms: A clock that never goes back.
    """

    def __init__(
        self, store: Store, worker: str, pause: Callable[[float], object], now_ms: Callable[[], float]
    ) -> None:
        self._store = store
        self._worker = worker
        self._pause = pause
        self._now_ms = now_ms
        self._acked_ms = now_ms()
        self._seq = self._acked = 0

    def flush(self, ops: Sequence[Op]) -> Reply:
        """Send operations; again when there is no answer.

        Raises:
            StoreUnavailableError: when none came.
        """
        self._seq += 1
        if self._now_ms() - self._acked_ms > REMEMBERED_MS:
            self._acked = 0  # the store has forgotten it by itself, perhaps
        try:
            reply = self._apply(FlushId(self._worker, self._seq, self._acked), ops)
        except HistoryLostError as error:
            # Nobody here holds anything, so nothing is wrong but that senders were told too much.
            log.error("%s; events of the last moment may be gone, though their senders were answered", error)  # noqa: TRY400
            self._worker, self._seq = f"service-{random_token()}", 1
            reply = self._apply(FlushId(self._worker, self._seq), ops)
        self._acked, self._acked_ms = self._seq, self._now_ms()
        return reply

    def _apply(self, flush: FlushId, ops: Sequence[Op]) -> Reply:
        for tried in range(1, TRIES):
            try:
                return self._store.apply(flush, ops)
            except StoreUnavailableError:
                self._pause(PAUSE_S * 2 ** (tried - 1))
        return self._store.apply(flush, ops)


class Writer:
    """Sends operations; those of one call in order. Thread-safe.

    Args:
        store: Where to.
        worker: This process's incarnation; its lanes add a number.
        on_reply: Called with each reply by one of the waiting threads, by several at a time; must not raise.
        pause: Waits so many seconds between two tries.
        now_ms: A clock that never goes back.
        lanes: Flushes at a time.
    """

    def __init__(
        self,
        store: Store,
        worker: str,
        *,
        on_reply: Callable[[Reply], None],
        pause: Callable[[float], object] | None = None,
        now_ms: Callable[[], float] = monotonic_ms,
        lanes: int = LANES,
    ) -> None:
        self._on_reply = on_reply
        self._waiting: list[_Request] = []
        self._waiting_lock = threading.Lock()
        pause = pause or threading.Event().wait
        self._free = [_Lane(store, f"{worker}-{number}", pause, now_ms) for number in range(lanes)]
        self._turns = threading.Semaphore(lanes)

    def send(self, ops: Sequence[Op]) -> tuple[Outcome, ...]:
        """Apply operations in order; returns when the store has answered.

        Returns:
            Their outcomes.

        Raises:
            StoreUnavailableError: when no answer came; whether the last of them were applied is not known.
        """
        outcomes: list[Outcome] = []
        for at in range(0, len(ops), MAX_BATCH):
            outcomes.extend(self._sent(_Request(ops[at : at + MAX_BATCH])))
        return tuple(outcomes)

    def _sent(self, request: _Request) -> tuple[Outcome, ...]:
        with self._waiting_lock:
            self._waiting.append(request)
        with self._turns:  # whoever comes first sends for all that wait by then
            lane = self._free.pop()
            try:
                while not request.done.is_set() and (batch := self._next_batch()):
                    self._send_together(lane, batch)
            finally:
                self._free.append(lane)
        request.done.wait()  # another may be sending it
        if request.error is not None:
            raise request.error
        return request.outcomes

    def _next_batch(self) -> list[_Request]:
        with self._waiting_lock:
            if not self._waiting:
                return []
            batch = [self._waiting.pop(0)]
            size = len(batch[0].ops)
            while self._waiting and size + len(self._waiting[0].ops) <= MAX_BATCH:
                batch.append(self._waiting.pop(0))
                size += len(batch[-1].ops)
            return batch

    def _send_together(self, lane: _Lane, batch: list[_Request]) -> None:
        try:
            crashpoint("writer.before_flush")
            reply = lane.flush([op for request in batch for op in request.ops])
            crashpoint("writer.answered")
            self._on_reply(reply)
            crashpoint("writer.rung")
            at = 0
            for request in batch:
                request.outcomes = reply.outcomes[at : at + len(request.ops)]
                at += len(request.ops)
        except BaseException as error:
            for request in batch:
                request.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            for request in batch:
                request.done.set()
