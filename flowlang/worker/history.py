"""Whether the store still knows what it has told this process.

After a failover, or a power cut, a server may have lost the last moments that it had acknowledged. What a process has
learned out of them is void: it holds scopes that others may hold by now under the same fence, and has taken facts that
were never delivered. A commit made of that would write a second end of a step, or drop a fact that nobody has seen. So
each flush names the last one that was answered (`FlushId.acked`), a store without it refuses, and this process sends
nothing any more and is replaced. Its scopes are taken over when their leases end, as of any process that is gone.

A server that was restarted and has lost nothing is no reason: everything goes on where it was. But while it was away
nobody could renew a lease, and those of all who hold something may have ended. So for a while after an outage a process
takes nothing over; by then every other one that lives has been heard of.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from flowlang.clock import monotonic_ms
from flowlang.engine.ops import ClaimRequest, Op, Reply, Sweep
from flowlang.engine.ports import FlushId, Store
from flowlang.errors import HistoryLostError, StoreUnavailableError

#: After an outage nothing is taken over for so long, milliseconds. Whoever lives tries again within a second, and a
#: connection that hangs is given up after five.
RECOVERY_MS = 5_000.0

log = logging.getLogger(__name__)


class Followed:
    """The store's `apply`, for one flusher that sends one flush at a time.

    Args:
        store: Where flushes go.
        on_lost: Called once when the store has lost what it had acknowledged; on the flusher's thread.
        now_ms: A clock that never goes back.
    """

    def __init__(
        self, store: Store, on_lost: Callable[[], object], *, now_ms: Callable[[], float] = monotonic_ms
    ) -> None:
        self._now_ms = now_ms
        self._store = store
        self._on_lost = on_lost
        self._acked = 0
        self._failed: FlushId | None = None
        self._back_ms = float("-inf")
        self._lost: HistoryLostError | None = None

    def is_recovering(self) -> bool:
        """Whether the store has been away a moment ago: nothing should be taken over from others now."""
        return self._now_ms() - self._back_ms < RECOVERY_MS

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        """Apply a flush. See `engine.ports.Store`.

        Raises:
            HistoryLostError: from the first time on, whatever is sent.
        """
        if self._lost is not None:
            raise HistoryLostError(str(self._lost))
        again = flush == self._failed
        if again:  # asked for before the outage: whatever the store answers, it is not the time for a rescue
            ops = [msgspec.structs.replace(op, rescue=False) if isinstance(op, Sweep) else op for op in ops]
        try:
            reply = self._store.apply(FlushId(flush.worker, flush.seq, self._acked), ops, claim)
        except HistoryLostError as error:
            self._lost = error
            log.error("%s; this process knows what never was, and has to be replaced", error)  # noqa: TRY400
            self._on_lost()
            raise
        except StoreUnavailableError:
            self._failed = flush
            raise
        self._acked = flush.seq
        if again:
            self._back_ms = self._now_ms()
        return reply
