"""Runs scopes: claim, turn, call, commit, and on with the next one in the same message.

A thread that a hint has woken works until nothing is left for it, or its slice of time is over. Each commit of a scope
is acknowledged before its next handler starts; meanwhile the thread goes on with another scope (`runqueue`). A commit
that lets its scope go carries the claim of the next row.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, assert_never

from flowlang.clock import Rng, monotonic_ms
from flowlang.crashpoints import crashpoint
from flowlang.engine.attempts import MAX_RESCUES
from flowlang.engine.catalog import Catalog
from flowlang.engine.drive import Held
from flowlang.engine.limits import returned
from flowlang.engine.machine import Flight
from flowlang.engine.ops import Claimed, Commit, Committed, Hold, Lost, Outcome, Release, Stale
from flowlang.engine.ports import Sealer
from flowlang.engine.program import Program
from flowlang.engine.route import Router
from flowlang.engine.state import ErrorInfo, RunMeta
from flowlang.engine.turn import AttemptEnd, Call, Turn
from flowlang.errors import FlowError, StoreError
from flowlang.handler.classify import Failure
from flowlang.handler.context import RunInfo
from flowlang.redaction import LazyMask, Mask
from flowlang.store.codec import CodecError, MissingKeyError
from flowlang.telemetry import Trace, attempt_id, span_id, trace_id
from flowlang.worker import completion as attempts
from flowlang.worker.flusher import Flusher, FlusherStopped
from flowlang.worker.holds import GRACE_MS, Hand, Holds
from flowlang.worker.logfields import hiding
from flowlang.worker.metas import Metas
from flowlang.worker.missing_keys import MissingKeys
from flowlang.worker.observing.observers import Observers
from flowlang.worker.observing.receivers import attempt_seen, run_seen
from flowlang.worker.runner import Runner
from flowlang.worker.runqueue import RunQueue, Task
from flowlang.worker.serving import Serving

log = logging.getLogger(__name__)

#: After so long a thread goes back to its message queue, so that it sees a stop and others' hints.
SLICE_MS = 30_000


class Executor:
    """Runs scopes on the threads that call `drain`.

    Args:
        flusher: Sends commits and claims.
        worker: This process's incarnation.
        run_queue: What this process has in hand, and its threads.
        lease_ms: Length of a lease.
        program: Gives the compiled plan of a version.
        serving: Which versions are for this process.
        router: Makes a router for now, with the active catalog.
        catalog: The active catalog.
        now_ms: The store's time.
        refresh: Reads the active manifest anew after a stale accept.
        sealer: Opens and closes payloads.
        metas: Has meta data of runs between the claims of their items.
        runner: Calls handlers.
        rng: For jitter.
        secrets: What `secrets` is to expressions in `with`.
        hidden: What hides those that were read.
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
        run_queue: RunQueue,
        program: Callable[[str], Program],
        serving: Serving,
        router: Callable[[], Router],
        catalog: Callable[[], Catalog],
        now_ms: Callable[[], int],
        refresh: Callable[[], object],
        sealer: Sealer,
        metas: Metas,
        runner: Runner,
        rng: Rng,
        secrets: Mapping[str, str],
        hidden: LazyMask = Mask,
        stopping: Callable[[], bool],
        on_more: Callable[[str], None],
        on_timer: Callable[[int], None],
        observers: Observers | None = None,
        grace_ms: int = GRACE_MS,
    ) -> None:
        self.run_queue = run_queue
        self._flusher = flusher
        self._program = program
        self._serving = serving
        self._router = router
        self._catalog = catalog
        self._now_ms = now_ms
        self._refresh = refresh
        self._sealer = sealer
        self._metas = metas
        self._runner = runner
        self._rng = rng
        self._secrets = secrets
        self._hidden = hidden
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
        self.missing_keys = MissingKeys()

    def drain(self, queue: str | None = None) -> int:
        """Lend this thread until there is nothing to do for it, or its slice is over.

        Args:
            queue: Whose hint rang.

        Returns:
            How many tasks it did.
        """
        return self._help(queue, claims=self.run_queue.answer(queue))

    def help(self) -> int:
        """Work on a thread that has been lent to the run queue already. See `drain`."""
        return self._help(None, claims=True)

    def expect(self, queue: str) -> None:
        """A hint has come, and a thread will `drain`: claim while it is on its way. Must not block."""
        if self.run_queue.expect(queue):
            self._flusher.poke()

    def _help(self, queue: str | None, *, claims: bool) -> int:
        until = monotonic_ms() + SLICE_MS

        def goes_on(now_ms: float) -> bool:
            return now_ms < until and not self._stopping()

        if claims:
            self._flusher.poke()
        done = self.run_queue.work(goes_on, lent=True)
        if queue is not None and not goes_on(monotonic_ms()):
            self._on_more(queue)
        return done

    def task_of(self, row: Claimed) -> Task:
        """The task of a row that has been claimed; called on the flusher's thread."""
        meta = self._metas.of(row)
        return Task(lambda: self._begin(row, meta), lambda: self._return_row(row), monotonic_ms())

    def hand_back_stale(self) -> None:
        """Hand back what has waited too long for a thread of this process."""
        for task in self.run_queue.stale():
            assert task.give_back is not None
            task.give_back()

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
                crashpoint("scope.handing_back")
                self._flusher.apply(Release(row.run, row.scope, row.fence))

    # Tasks, on lent threads -----------------------------------------------------------------------------------------

    def _begin(self, row: Claimed, meta: RunMeta | None) -> None:
        """Begin with a claimed row."""
        if self._stopping():
            self._return_row(row)
            return
        try:
            crashpoint("scope.claimed")
            verdict = self._serving.verdict(row.version)
            if verdict.kind == "refuses" or (verdict.kind == "defers" and not row.deferred):
                self._return_row(row)  # claimed before its version was known; from now on no such row comes
                return
            hand = Hand(Held(row, self._program(row.version), self._sealer, self._secrets, meta, hidden=self._hidden))
        except (FlowError, LookupError, ValueError) as error:
            # Not ours to fail: the store may answer again, or another process has the key.
            self._park(row, error)
            self.run_queue.let_go(row.queue)
            self._flusher.poke()
            return
        except Exception:
            log.exception("%s of %s could not be begun; its lease will run out", row.run, row.pipeline)
            self.run_queue.let_go(row.queue)
            self._flusher.poke()
            return
        self.missing_keys.opened()
        self.holds.add(hand)
        self._guarded(hand, lambda: self._go_on(hand, self._turn(hand, row.facts, flight="lost")))

    def _resume(self, hand: Hand, turn: Turn, facts: tuple[dict[str, Any], ...]) -> None:
        """Go on with a scope whose commit was acknowledged."""
        crashpoint("commit.acknowledged")
        if facts:
            self._go_on(hand, self._turn(hand, facts))
        elif self._stopping() and turn.call is not None and turn.call.effect != "once":
            self._return(hand)
        else:
            assert turn.call is not None
            self._call_and_go_on(hand, turn.call)

    def _go_on(self, hand: Hand, turn: Turn) -> None:
        """Carry out what a turn has decided."""
        crashpoint("turn.made")
        if self._stopping():
            _leave_call(turn)
        if hand.held.must_commit(turn):
            self._submit(hand, turn)
            return
        assert turn.call is not None
        self._call_and_go_on(hand, turn.call)

    def _call_and_go_on(self, hand: Hand, call: Call) -> None:
        """Make a call; what follows is done on this thread, or when the coroutine has ended."""
        crashpoint("handler.before")
        row = hand.held.row
        began_ms = self._now_ms() if self._watched() else 0
        completion = self._runner.start(
            attempts.Attempt(
                handler=call.handler,
                arguments=call.arguments,
                run=RunInfo(row.run, row.pipeline, row.version),
                step=call.instance,
                number=call.attempt,
                idempotency_key=call.idempotency_key,
                timeout_seconds=call.timeout_ms / 1000,
                trace=self._trace(hand, call, began_ms),
                hidden=cache(lambda: hand.held.mask(self._catalog(), call)),
            )
        )
        hand.begin_call(call, completion)
        if completion.needs_thread or completion.done():
            self._called(hand, call, completion.result(), began_ms)
            return
        hand.aside = True
        self.run_queue.step_aside(row.queue)
        self._flusher.poke()
        completion.add_done_callback(lambda outcome: self._returned(hand, call, outcome, began_ms))

    def _trace(self, hand: Hand, call: Call, began_ms: int) -> Trace | None:
        """The place in a trace of what an attempt asks for: below its span, where a receiver is told of that."""
        row, meta = hand.held.row, hand.held.view.meta
        trace = meta.event.trace
        if not self._watched():
            return trace
        ident = attempt_id(row.run, call.instance, call.attempt, began_ms)
        if trace is not None:
            return trace.below(ident)
        return Trace(trace_id(meta.root or row.run), span_id(ident), sampled=True)

    def _returned(self, hand: Hand, call: Call, outcome: attempts.Outcome, began_ms: int) -> None:
        """Take the end of a coroutine, on the thread of the event loop."""
        with hand.lock:
            if not hand.aside:
                return  # it was given up
            hand.aside = False
        go_on = Task(
            lambda: self._guarded(hand, lambda: self._called(hand, call, outcome, began_ms)), None, monotonic_ms()
        )
        self.run_queue.step_in(hand.held.row.queue, go_on)

    def _called(self, hand: Hand, call: Call, outcome: attempts.Outcome, began_ms: int) -> None:
        """Take the end of a call, unless somebody else has taken it, or the scope is lost."""
        crashpoint("handler.after")
        if not hand.settle():
            if hand.overrun_recorded:
                self.run_queue.stuck(-1)
            else:
                self._let_go(hand)
                self._flusher.poke()
            return
        if hand.overrun and isinstance(outcome, attempts.AttemptFailed | attempts.Succeeded):
            end = _failed(call, _timeout(call))
        else:
            end = self._end(call, outcome)
        if began_ms and self._observers is not None:
            self._observers.attempt_ended(lambda: attempt_seen(hand.held, call, end, (began_ms, self._now_ms())))
        self._go_on(hand, self._turn(hand, (), attempt=end))

    def _guarded(self, hand: Hand, action: Callable[[], object]) -> None:
        """Do something for a scope; whatever goes wrong, it does not stay in hand."""
        try:
            action()
        except CodecError as error:  # what has come in since is closed by a key that only others have
            self._let_go(hand)
            self._park(hand.held.row, error)
            self._flusher.poke()
        except StoreError as error:
            log.warning("stopped working: %s", error)
            self._let_go(hand)
        except Exception as error:
            row = hand.held.row
            with hiding(lambda: hand.held.mask(self._catalog())):
                log.exception("%s of %s could not go on; it is for us to mend", row.run, row.pipeline)
            self._broken(hand, error)
        except BaseException:
            self._let_go(hand)
            raise

    def _park(self, row: Claimed, error: Exception) -> None:
        """Keep a row that this process cannot run, until others may have it."""
        with self._parked_lock:
            self._parked.append(row)
        if isinstance(error, MissingKeyError):
            self.missing_keys.missed(row.run, error)
        else:
            log.warning("cannot run %s of %s, version %s: %s", row.run, row.pipeline, row.version[:12], error)

    def _broken(self, hand: Hand, error: Exception) -> None:
        """Deal with a fault of our own: the lease runs out and another process tries; after some rescues, give up."""
        try:
            if hand.held.row.rescues >= MAX_RESCUES and not hand.gone:
                hide = hand.held.mask(self._catalog()).text
                message = hide(f"FlowLang itself failed: {type(error).__name__}: {error}")[:2000]
                self._submit(hand, hand.held.give_up(ErrorInfo("bug", "internal", message)))
                return
        except StoreError as stopped:
            log.warning("stopped working: %s", stopped)
        self._let_go(hand)
        self._flusher.poke()

    # Letting go -----------------------------------------------------------------------------------------------------

    def _let_go(self, hand: Hand) -> None:
        """A scope is not ours any more, or will not be renewed: others may have it."""
        self.holds.remove(hand)
        with hand.lock:
            gone, hand.gone = hand.gone, True
        if not gone:
            self.run_queue.let_go(hand.held.row.queue)

    def _return(self, hand: Hand) -> None:
        """Hand a scope back that waits for its call: nothing of it is lost, and no attempt is used."""
        self._let_go(hand)
        self._release(hand.held.row)

    def _return_row(self, row: Claimed) -> None:
        """Hand back a row that was not begun."""
        self.run_queue.let_go(row.queue)
        self._release(row)

    def _release(self, row: Claimed) -> None:
        try:
            self._flusher.submit(Release(row.run, row.scope, row.fence), _heard)
        except FlusherStopped as error:
            _heard(error)

    # One scope ------------------------------------------------------------------------------------------------------

    def _turn(
        self,
        hand: Hand,
        facts: tuple[dict[str, Any], ...],
        *,
        attempt: AttemptEnd | None = None,
        flight: Flight = "none",
    ) -> Turn:
        now_ms = self._now_ms()
        with hand.lock:
            return hand.held.turn(
                facts,
                catalog=self._catalog(),
                now_ms=now_ms,
                rng=self._rng,
                attempt=attempt,
                flight=flight,
            )

    def _submit(self, hand: Hand, turn: Turn) -> None:
        """Write a turn down, and go on when that is acknowledged."""
        commit = hand.held.commit(turn, self._router())
        if turn.status != "held":
            self._make_room(hand)  # so that the same flush claims another
        crashpoint("commit.made")
        self._flusher.submit(commit, lambda outcome: self._answered(hand, turn, commit, outcome))

    def _make_room(self, hand: Hand) -> None:
        with hand.lock:
            gone, hand.gone = hand.gone, True
        if not gone:
            self.run_queue.let_go(hand.held.row.queue)

    def _answered(self, hand: Hand, turn: Turn, commit: Commit, outcome: Outcome | StoreError | None) -> Task | None:
        """Take the answer to a commit, on the flusher's thread: whether and how the scope goes on."""
        match outcome:
            case Committed(facts=facts):
                hand.held.committed()
                self._expect(commit)
                self._tell_end(hand, turn)
                if turn.status == "held":
                    once = turn.call is not None and turn.call.effect == "once"  # the store has it as called
                    give_back = None if facts or once else lambda: self._return(hand)
                    resume = lambda: self._guarded(hand, lambda: self._resume(hand, turn, facts))  # noqa: E731
                    return Task(resume, give_back, monotonic_ms())
            case Stale():
                return Task(lambda: self._guarded(hand, lambda: self._route_again(hand, turn)), None, monotonic_ms())
            case Lost(why=why):
                log.warning("the commit of %s %s was refused: %s", *hand.key, why)
            case StoreError():
                log.warning("stopped working: %s", outcome)
            case _:
                log.error("a commit was answered with %s", type(outcome).__name__)
        self._let_go(hand)
        return None

    def _route_again(self, hand: Hand, turn: Turn) -> None:
        """Write a turn down whose events were routed by a manifest that is not the active one any more."""
        self._refresh()
        self._submit(hand, turn)

    def _commit_now(self, hand: Hand, turn: Turn) -> None:
        """Write a turn down that lets its scope go, and wait until that is acknowledged."""
        while True:
            commit = hand.held.commit(turn, self._router())
            outcome = self._flusher.apply(commit)
            if not isinstance(outcome, Stale):
                self._answered(hand, turn, commit, outcome)
                return
            self._refresh()

    def _expect(self, commit: Commit) -> None:
        if not commit.timers:
            return
        now = self._now_ms()
        for timer in commit.timers:
            self._on_timer(now + timer.delay_ms if timer.at_ms is None else timer.at_ms)

    def _watched(self) -> bool:
        """Whether somebody wants to know of attempts."""
        return self._observers is not None and self._observers.watches_attempts

    def _tell_end(self, hand: Hand, turn: Turn) -> None:
        if turn.run_end is not None and self._observers is not None:
            end = turn.run_end
            self._observers.run_ended(lambda: run_seen(hand.held, end, self._now_ms()))

    def _end(self, call: Call, outcome: attempts.Outcome) -> AttemptEnd:
        match outcome:
            case attempts.Succeeded(output=output):
                return returned(call, output, self._catalog().manifest.limits.get("step_output"))
            case attempts.Snoozed(seconds=seconds):
                return AttemptEnd(call.instance, call.attempt, snooze_ms=round(seconds * 1000))
            case attempts.AttemptFailed(failure=failure):
                return _failed(call, _error(failure))
            case _:
                assert_never(outcome)

    # From the thread that renews leases -----------------------------------------------------------------------------

    def _facts_in_flight(self, hand: Hand, call: Call, hold: Hold) -> None:
        """Take facts of a scope while its handler goes on: a cancel or a time-out reaches `ctx.cancelled` here."""
        now_ms, catalog = self._now_ms(), self._catalog()
        with hand.lock:
            if hand.settled or hand.call is not call:
                return
            turn = hand.held.turn(hold.facts, catalog=catalog, now_ms=now_ms, rng=self._rng, flight="running")
            completion = hand.completion
        if turn.stop_call and completion is not None:
            completion.cancel()

    def _overrun(self, hand: Hand, end: AttemptEnd) -> None:
        """Record an attempt whose handler did not come back, and let the scope go to another thread."""
        with hand.lock:
            aside, hand.aside = hand.aside, False
            hand.overrun_recorded = not aside
        if aside:
            self.run_queue.forget_aside(hand.held.row.queue)
        else:
            self.run_queue.stuck(1)
        turn = self._turn(hand, (), attempt=end)
        _leave_call(turn)
        self._commit_now(hand, turn)


def _heard(outcome: Outcome | StoreError | None) -> None:
    """Take the answer to a release: whatever it is, the scope is not ours."""
    if isinstance(outcome, StoreError):
        log.warning("a scope could not be handed back (%s); its lease will run out instead", outcome)


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
