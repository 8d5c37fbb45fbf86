"""Whether the store still knows what it has told this process.

After a failover, or a power cut, a server may have lost the last moments that it had acknowledged. What a process has
learned out of them is void: it holds scopes that others may hold by now under the same fence, and has taken facts that
were never delivered. A commit made of that would write a second end of a step, or drop a fact that nobody has seen. So
each flush names the last one that was answered (`FlushId.acked`), a store without it refuses, and this process sends
nothing any more and is replaced. Its scopes are taken over when their leases end, as of any process that is gone.

A server that was restarted and has lost nothing is no reason: everything goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from flowlang.engine.ops import ClaimRequest, Op, Reply
from flowlang.engine.ports import FlushId, Store
from flowlang.errors import HistoryLostError

log = logging.getLogger(__name__)


class Followed:
    """The store's `apply`, for one flusher that sends one flush at a time.

    Args:
        store: Where flushes go.
        on_lost: Called once when the store has lost what it had acknowledged; on the flusher's thread.
    """

    def __init__(self, store: Store, on_lost: Callable[[], object]) -> None:
        self._store = store
        self._on_lost = on_lost
        self._acked = 0
        self._lost: HistoryLostError | None = None

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        """Apply a flush. See `engine.ports.Store`.

        Raises:
            HistoryLostError: from the first time on, whatever is sent.
        """
        if self._lost is not None:
            raise HistoryLostError(str(self._lost))
        try:
            reply = self._store.apply(FlushId(flush.worker, flush.seq, self._acked), ops, claim)
        except HistoryLostError as error:
            self._lost = error
            log.error("%s; this process knows what never was, and has to be replaced", error)  # noqa: TRY400
            self._on_lost()
            raise
        self._acked = flush.seq
        return reply
