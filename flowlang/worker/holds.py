"""What this process holds: leases kept alive, facts that come in while a handler runs, deadlines of handlers.

One thread renews all leases by one call every third of a lease. Its answer says which holds are lost (a later claimer
has them: the handler is told to stop and its result will be refused) and which have new facts: those go through the
interpreter while the handler goes on, so that a cancel or a time-out reaches `ctx.cancelled` in time.

A thread cannot be stopped from outside. A sync handler beyond its time is told by `ctx.cancelled`; if it still runs
after a grace, the attempt is recorded as timed out without it, and its thread counts as overrun until it comes back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flowlang.clock import monotonic_ms
from flowlang.engine.drive import Held
from flowlang.engine.ops import Hold, Renew, Renewed
from flowlang.engine.turn import AttemptEnd, Call
from flowlang.worker.completion import Completion

log = logging.getLogger(__name__)

#: How long a sync handler may go on after its time before the attempt is recorded without it.
GRACE_MS = 30_000


class Hand:
    """A held scope with the call that it waits for.

    Attributes:
        lock: Guards all below, and every turn of the scope.
        settled: The call's end has been taken; whoever comes later comes for nothing.
        lost: The store has given the scope to somebody else, or its run has ended.
        aside: It waits for a coroutine.
        gone: It is not counted as in hand any more.
        overrun_recorded: The attempt was recorded without the thread, which does not come back.
    """

    def __init__(self, held: Held) -> None:
        self.held = held
        self.lock = threading.Lock()
        self.call: Call | None = None
        self.completion: Completion | None = None
        self.deadline_ms = 0.0
        self.overrun = False
        self.settled = False
        self.lost = False
        self.aside = False
        self.gone = False
        self.overrun_recorded = False

    @property
    def key(self) -> tuple[str, str]:
        """Run and scope."""
        return self.held.row.run, self.held.row.scope

    def begin_call(self, call: Call, completion: Completion) -> None:
        """Note the call that is about to be made."""
        with self.lock:
            self.call = call
            self.completion = completion
            self.deadline_ms = monotonic_ms() + call.timeout_ms
            self.overrun = False
            self.settled = False

    def in_flight(self) -> Call | None:
        """The call that is being made, if one is."""
        with self.lock:
            return None if self.settled else self.call

    def settle(self) -> bool:
        """Take the call's end; False when somebody has taken it before, or the scope is lost."""
        with self.lock:
            if self.settled or self.lost:
                return False
            self.settled = True
            return True


class Holds:
    """The scopes that a process holds.

    Args:
        apply: Sends an operation and waits for its outcome.
        worker: This process's incarnation.
        lease_ms: Length of a lease.
        on_facts: Takes the inbox of a scope whose handler is running.
        on_overrun: Records an attempt whose sync handler did not come back.
        overrun_end: Makes that attempt's end.
        grace_ms: See `GRACE_MS`.
    """

    def __init__(
        self,
        apply: Callable[[Renew], Renewed],
        worker: str,
        *,
        lease_ms: int,
        on_facts: Callable[[Hand, Call, Hold], None],
        on_overrun: Callable[[Hand, AttemptEnd], None],
        overrun_end: Callable[[Call], AttemptEnd],
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._apply = apply
        self._worker = worker
        self._lease_ms = lease_ms
        self._on_facts = on_facts
        self._on_overrun = on_overrun
        self._overrun_end = overrun_end
        self._grace_ms = grace_ms
        self._lock = threading.Lock()
        self._hands: dict[tuple[str, str], Hand] = {}

    def add(self, hand: Hand) -> None:
        """Keep a scope's lease alive from now on."""
        with self._lock:
            self._hands[hand.key] = hand

    def remove(self, hand: Hand) -> None:
        """Let a scope go; a later hold of the same scope stays."""
        with self._lock:
            if self._hands.get(hand.key) is hand:
                del self._hands[hand.key]

    def has(self, key: tuple[str, str]) -> bool:
        """Whether a scope is held, by run and scope."""
        return key in self._hands

    def all(self) -> list[Hand]:
        """What is held now."""
        with self._lock:
            return list(self._hands.values())

    def renew(self) -> None:
        """Renew all leases by one call and take what the answer says."""
        now = monotonic_ms()
        hands = [hand for hand in self.all() if self._may_renew(hand, now)]
        if not hands:
            return
        # While a call is in flight nothing of its scope is committed, so the inbox that comes back is the one that its
        # turns have counted; any other answer is of no use.
        calls = [hand.in_flight() for hand in hands]
        holds = tuple((hand.held.row.run, hand.held.row.scope, hand.held.row.fence) for hand in hands)
        answer = self._apply(Renew(self._worker, self._lease_ms, holds))
        for hand, call, hold in zip(hands, calls, answer.holds, strict=True):
            if call is None:
                continue  # between two commits: the next one learns for itself whether the scope is still ours
            if not hold.ok:
                self._lose(hand, call)
            elif hold.facts:
                self._on_facts(hand, call, hold)

    def check_deadlines(self) -> None:
        """Tell sync handlers whose time is over, and give up those that do not listen."""
        now = monotonic_ms()
        for hand in self.all():
            with hand.lock:
                call, completion = hand.call, hand.completion
                late = call is not None and not hand.settled and now >= hand.deadline_ms
                first = late and not hand.overrun
                gone = late and now >= hand.deadline_ms + self._grace_ms
                hand.overrun = hand.overrun or late
            if first and completion is not None:
                completion.cancel()
            if gone and call is not None and hand.settle():
                log.warning("%s did not come back; its attempt is recorded as timed out", call.handler)
                self._on_overrun(hand, self._overrun_end(call))

    def _may_renew(self, hand: Hand, now: float) -> bool:
        """A lease is never renewed beyond its attempt's deadline and grace."""
        with hand.lock:
            return hand.call is None or hand.settled or now < hand.deadline_ms + self._grace_ms + self._lease_ms

    def _lose(self, hand: Hand, call: Call) -> None:
        with hand.lock:
            if hand.lost or hand.settled or hand.call is not call:
                return
            hand.lost = True
            completion = hand.completion
        log.warning("lost the lease of %s %s", *hand.key)
        self.remove(hand)
        if completion is not None:
            completion.cancel()
