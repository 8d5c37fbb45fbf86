"""Runs scopes: claim, turn, call, commit, and on with the next one in the same message.

A thread that a hint has woken works until no row is ready, or its slice of time is over. Each commit is acknowledged
before the next handler starts, and carries the claim of the next row when it lets its scope go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from flowlang.clock import Rng, monotonic_ms
from flowlang.engine.attempts import MAX_RESCUES
from flowlang.engine.drive import Held
from flowlang.engine.limits import returned
from flowlang.engine.machine import Flight
from flowlang.engine.ops import Claimed, Commit, Committed, Hold, Lost, Outcome, Release, Stale
from flowlang.engine.ports import Sealer
from flowlang.engine.program import Program
from flowlang.engine.route import Router
from flowlang.engine.state import ErrorInfo
from flowlang.engine.turn import AttemptEnd, Call, Turn
from flowlang.errors import FlowError, StoreError
from flowlang.handler.classify import Failure
from flowlang.handler.context import RunInfo
from flowlang.worker import completion as attempts
from flowlang.worker.flusher import Flusher
from flowlang.worker.holds import GRACE_MS, Hand, Holds
from flowlang.worker.observing.observers import Observers
from flowlang.worker.observing.receivers import attempt_seen, run_seen
from flowlang.worker.runner import Runner
from flowlang.worker.serving import Serving

log = logging.getLogger(__name__)

#: After so long a thread goes back to its message queue, so that it sees a stop and others' hints.
SLICE_MS = 30_000


class Executor:
    """Runs scopes on the threads that call `drain`.

    Args:
        flusher: Sends commits and claims.
        worker: This process's incarnation.
        lease_ms: Length of a lease.
        program: Gives the compiled plan of a version.
        serving: Which versions are for this process.
        router: Makes a router for now, with the active catalog.
        refresh: Reads the active manifest anew after a stale accept.
        sealer: Opens and closes payloads.
        runner: Calls handlers.
        rng: For jitter.
        secrets: What `secrets` is to expressions in `with`.
        stopping: Whether this process is stopping: nothing new is begun.
        on_more: Called when a thread ends its slice while there may be more to do.
        grace_ms: How long a sync handler may go on after its time.
        observers: Told of attempts and runs that have ended.
        on_timer: Called with the due time of a timer that has been set, ms of the store's time.
    """

    def __init__(
        self,
        *,
        flusher: Flusher,
        worker: str,
        lease_ms: int,
        program: Callable[[str], Program],
        serving: Serving,
        router: Callable[[], Router],
        refresh: Callable[[], object],
        sealer: Sealer,
        runner: Runner,
        rng: Rng,
        secrets: Mapping[str, str],
        stopping: Callable[[], bool],
        on_more: Callable[[str], None],
        on_timer: Callable[[int], None],
        observers: Observers | None = None,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self._flusher = flusher
        self._program = program
        self._serving = serving
        self._router = router
        self._refresh = refresh
        self._sealer = sealer
        self._runner = runner
        self._rng = rng
        self._secrets = secrets
        self._stopping = stopping
        self._on_more = on_more
        self._on_timer = on_timer
        self._observers = observers
        self.holds = Holds(
            flusher.renew,
            worker,
            lease_ms=lease_ms,
            on_facts=self._facts_in_flight,
            on_overrun=self._overrun,
            overrun_end=lambda call: _failed(call, _timeout(call)),
            grace_ms=grace_ms,
        )
        self._parked: list[Claimed] = []
        self._parked_lock = threading.Lock()

    def drain(self, queue: str | None = None) -> int:
        """Work until no row is ready or the slice is over.

        Args:
            queue: Whose hint rang.

        Returns:
            How many scopes were run.
        """
        return self._drain(lambda: self._flusher.claim(queue), queue)

    def drain_from(self, row: Claimed) -> int:
        """Work until no row is ready or the slice is over, beginning with one that is claimed already.

        Returns:
            How many scopes were run.
        """
        return self._drain(lambda: row, row.queue)

    def _drain(self, first: Callable[[], Claimed | None], queue: str | None) -> int:
        done = 0
        until = monotonic_ms() + SLICE_MS

        def goes_on() -> bool:
            return not self._stopping() and monotonic_ms() < until

        self._flusher.begin_work()
        try:
            row = first()
            while row is not None:
                if self._stopping():
                    self._flusher.apply(Release(row.run, row.scope, row.fence))
                    break
                row = self.run(row, goes_on)
                done += 1
            if queue is not None and not goes_on():
                self._on_more(queue)
        except StoreError as error:
            log.warning("stopped working: %s", error)
        finally:
            self._flusher.end_work()
        return done

    def run(self, row: Claimed, goes_on: Callable[[], bool]) -> Claimed | None:
        """Run one scope until it lets go of this thread.

        Args:
            row: As claimed.
            goes_on: Whether to claim another row when this one is done with; asked then.

        Returns:
            That other row.
        """
        try:
            verdict = self._serving.verdict(row.version)
            if verdict.kind == "refuses" or (verdict.kind == "defers" and not row.deferred):
                return self._leave_to_others(row, goes_on)
            hand = Hand(Held(row, self._program(row.version), self._sealer, self._secrets))
        except (FlowError, LookupError, ValueError) as error:
            # Not ours to fail: the store may answer again.
            log.warning("cannot run %s of %s, version %s: %s", row.run, row.pipeline, row.version[:12], error)
            with self._parked_lock:
                self._parked.append(row)
            return self._flusher.claim() if goes_on() else None
        self.holds.add(hand)
        try:
            turn = self._turn(hand, row.facts, flight="lost")
            return self._go_on(hand, turn, goes_on)
        except StoreError:
            raise
        except Exception as error:
            log.exception("%s of %s could not go on; it is for us to mend", row.run, row.pipeline)
            return self._broken(hand, error, goes_on)
        finally:
            self.holds.remove(hand)

    def _leave_to_others(self, row: Claimed, goes_on: Callable[[], bool]) -> Claimed | None:
        """Give a row back that was claimed before its version was known; from now on no such row comes."""
        release = Release(row.run, row.scope, row.fence)
        if goes_on():
            return self._flusher.apply_and_claim(release)[1]
        self._flusher.apply(release)
        return None

    def _broken(self, hand: Hand, error: Exception, goes_on: Callable[[], bool]) -> Claimed | None:
        """Deal with a fault of our own: the lease runs out and another process tries; after some rescues, give up."""
        if hand.held.row.rescues < MAX_RESCUES:
            return self._flusher.claim() if goes_on() else None
        message = f"FlowLang itself failed: {type(error).__name__}: {error}"[:2000]
        turn = hand.held.give_up(ErrorInfo("bug", "internal", message))
        return self._commit(hand, turn, claim=goes_on())[1]

    def unpark(self) -> None:
        """Give back the rows that this process could not run.

        They are kept for a while, so that it does not claim them again at once; but not until their leases run out,
        which would count as a lost worker.
        """
        with self._parked_lock:
            rows, self._parked = self._parked, []
        for row in rows:
            self._flusher.apply(Release(row.run, row.scope, row.fence))

    def hand_back(self) -> None:
        """Give back all that is still held, ready at once, when the process cannot wait any longer for its handlers."""
        self.unpark()
        for hand in self.holds.all():
            if hand.settle():
                row = hand.held.row
                if hand.completion is not None:
                    hand.completion.cancel()
                self._flusher.apply(Release(row.run, row.scope, row.fence))

    # One scope ------------------------------------------------------------------------------------------------------

    def _go_on(self, hand: Hand, turn: Turn, goes_on: Callable[[], bool]) -> Claimed | None:
        while True:
            if self._stopping():
                _leave_call(turn)
            if hand.held.must_commit(turn):
                lets_go = turn.status != "held"
                facts, next_row = self._commit(hand, turn, claim=lets_go and goes_on())
                if lets_go or facts is None:
                    return next_row
                if facts:
                    turn = self._turn(hand, facts)
                    continue
            assert turn.call is not None
            end = self._make_call(hand, turn.call)
            if end is None:
                return self._flusher.claim() if goes_on() else None
            turn = self._turn(hand, (), attempt=end)

    def _turn(
        self,
        hand: Hand,
        facts: tuple[dict[str, Any], ...],
        *,
        attempt: AttemptEnd | None = None,
        flight: Flight = "none",
    ) -> Turn:
        router = self._router()
        with hand.lock:
            return hand.held.turn(
                facts,
                catalog=router.catalog,
                now_ms=router.now_ms,
                rng=self._rng,
                attempt=attempt,
                flight=flight,
            )

    def _commit(
        self, hand: Hand, turn: Turn, *, claim: bool
    ) -> tuple[tuple[dict[str, Any], ...] | None, Claimed | None]:
        """Write a turn down.

        Returns:
            The facts that are waiting (None: the scope is not ours any more), and the next row.
        """
        next_row: Claimed | None = None
        while True:
            commit: Commit = hand.held.commit(turn, self._router())
            outcome: Outcome
            if claim and next_row is None:
                outcome, next_row = self._flusher.apply_and_claim(commit)
            else:
                outcome = self._flusher.apply(commit)
            match outcome:
                case Committed(facts=facts):
                    hand.held.committed()
                    self._expect(commit)
                    self._tell_end(hand, turn)
                    return facts, next_row
                case Stale():
                    self._refresh()
                case Lost(why=why):
                    log.warning("the commit of %s %s was refused: %s", *hand.key, why)
                    return None, next_row
                case _:
                    raise StoreError(f"a commit was answered with {type(outcome).__name__}")

    def _expect(self, commit: Commit) -> None:
        if not commit.timers:
            return
        now = self._router().now_ms
        for timer in commit.timers:
            self._on_timer(now + timer.delay_ms if timer.at_ms is None else timer.at_ms)

    def _make_call(self, hand: Hand, call: Call) -> AttemptEnd | None:
        """Call a handler. None: somebody else has taken its end, or the scope is lost."""
        row = hand.held.row
        began_ms = self._router().now_ms
        completion = self._runner.start(
            attempts.Attempt(
                handler=call.handler,
                arguments=call.arguments,
                run=RunInfo(row.run, row.pipeline, row.version),
                step=call.instance,
                number=call.attempt,
                idempotency_key=call.idempotency_key,
                timeout_seconds=call.timeout_ms / 1000,
            )
        )
        hand.begin_call(call, completion)
        outcome = completion.result()
        if not hand.settle():
            return None
        if hand.overrun and isinstance(outcome, attempts.AttemptFailed | attempts.Succeeded):
            end = _failed(call, _timeout(call))
        else:
            end = self._end(call, outcome)
        if self._observers is not None:
            self._observers.attempt_ended(attempt_seen(hand.held, call, end, (began_ms, self._router().now_ms)))
        return end

    def _tell_end(self, hand: Hand, turn: Turn) -> None:
        if turn.run_end is not None and self._observers is not None:
            self._observers.run_ended(run_seen(hand.held, turn.run_end, self._router().now_ms))

    def _end(self, call: Call, outcome: attempts.Outcome) -> AttemptEnd:
        match outcome:
            case attempts.Succeeded(output=output):
                return returned(call, output, self._router().catalog.manifest.limits.get("step_output"))
            case attempts.Snoozed(seconds=seconds):
                return AttemptEnd(call.instance, call.attempt, snooze_ms=round(seconds * 1000))
            case attempts.AttemptFailed(failure=failure):
                return _failed(call, _error(failure))
            case _:
                assert_never(outcome)

    # From the thread that renews leases -----------------------------------------------------------------------------

    def _facts_in_flight(self, hand: Hand, call: Call, hold: Hold) -> None:
        """Take facts of a scope while its handler goes on: a cancel or a time-out reaches `ctx.cancelled` here."""
        router = self._router()
        with hand.lock:
            if hand.settled or hand.call is not call:
                return
            turn = hand.held.turn(
                hold.facts, catalog=router.catalog, now_ms=router.now_ms, rng=self._rng, flight="running"
            )
            completion = hand.completion
        if turn.stop_call and completion is not None:
            completion.cancel()

    def _overrun(self, hand: Hand, end: AttemptEnd) -> None:
        """Record an attempt whose thread did not come back, and let the scope go to another thread."""
        self.holds.remove(hand)
        turn = self._turn(hand, (), attempt=end)
        _leave_call(turn)
        self._commit(hand, turn, claim=False)


def _leave_call(turn: Turn) -> None:
    """Leave the call that a turn asks for to whoever claims its scope next."""
    if turn.call is not None:
        turn.call = None
        turn.status = "ready"


def _timeout(call: Call) -> ErrorInfo:
    return ErrorInfo("transient", "timeout", f"{call.handler} did not end within {call.timeout_ms / 1000:g} s")


def _failed(call: Call, error: ErrorInfo) -> AttemptEnd:
    return AttemptEnd(call.instance, call.attempt, error=error)


def _error(failure: Failure) -> ErrorInfo:
    after = failure.retry_after_seconds
    return ErrorInfo(
        failure.error_class,
        failure.code,
        failure.message,
        retry_after_ms=None if after is None else round(after * 1000),
    )
