"""The thread of each worker process that keeps time: leases, timers, cron ticks, rescue, and the active epoch.

Every process does all of it; the store makes sure that each timer and tick counts once. Nothing here polls an idle
store faster than once a second; a timer that this process has set, or that a sweep has told of, is waited for exactly.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from flowlang.clock import monotonic_ms
from flowlang.crashpoints import crashpoint
from flowlang.engine.ops import Swept
from flowlang.errors import FlowError
from flowlang.worker.holds import Holds

log = logging.getLogger(__name__)

#: Longest pause between two sweeps.
SWEEP_MS = 1_000
#: Shortest, so that a timer that cannot fire yet does not spin.
SHORTEST_MS = 5


class Maintenance:
    """Keeps time for a process.

    Args:
        sweep: Lets the store look for what is overdue.
        holds: Leases and deadlines of this process.
        lease_ms: Length of a lease.
        unpark: Gives back what this process holds and cannot run; called every third of a lease, and at
            each sweep.
        now_ms: The store's time.
        fire_crons: Fires the cron ticks that are due.
        send_delayed: Sends the events whose delay is over.
        refresh: Reads the active manifest.
    """

    def __init__(
        self,
        *,
        sweep: Callable[[], Swept],
        holds: Holds,
        lease_ms: int,
        unpark: Callable[[], object],
        now_ms: Callable[[], int],
        fire_crons: Callable[[], object],
        send_delayed: Callable[[], object],
        refresh: Callable[[], object],
    ) -> None:
        self._sweep = sweep
        self._holds = holds
        self._unpark = unpark
        self._renew_ms = lease_ms / 3
        self._now_ms = now_ms
        self._fire_crons = fire_crons
        self._send_delayed = send_delayed
        self._refresh = refresh
        self._wake = threading.Condition()
        self._due_ms: int | None = None
        self._stale_epoch = False
        self._stopping = False
        self._failed = False
        self._renewed = monotonic_ms()
        self._swept = self._ticked = float("-inf")
        self._thread = threading.Thread(target=self._run, name="flowlang-maintenance", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread after what it is doing."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout)

    def expect(self, due_ms: int) -> None:
        """A timer has been set: wake when it is due.

        Args:
            due_ms: Store's time.
        """
        with self._wake:
            if self._due_ms is None or due_ms < self._due_ms:
                self._due_ms = due_ms
                self._wake.notify()

    def epoch_changed(self) -> None:
        """Another manifest has become active: read it soon. Never blocks."""
        with self._wake:
            self._stale_epoch = True
            self._wake.notify()

    def _run(self) -> None:
        while self._wait():
            try:
                self._round()
                self._failed = False
            except FlowError as error:
                self._failed = True
                log.warning("maintenance: %s", error)
            except Exception:
                self._failed = True
                log.exception("maintenance failed; it goes on")

    def _wait(self) -> bool:
        with self._wake:
            if not self._stopping and (self._failed or not self._stale_epoch):
                self._wake.wait(self._pause_ms() / 1000)
            return not self._stopping

    def _pause_ms(self) -> float:
        if self._failed:
            return min(SWEEP_MS, self._renew_ms)
        now = monotonic_ms()
        pauses = [self._renewed + self._renew_ms - now, self._swept + SWEEP_MS - now]
        if self._due_ms is not None:
            pauses.append(float(self._due_ms - self._now_ms()))
        return max(float(SHORTEST_MS), min(pauses))

    def _round(self) -> None:
        now = monotonic_ms()
        self._holds.check_deadlines()
        if now - self._renewed >= self._renew_ms:
            self._renewed = now
            crashpoint("lease.due")
            self._holds.renew()
            crashpoint("lease.renewed")
            self._unpark()
        due = self._due_ms is not None and self._now_ms() >= self._due_ms
        if due or now - self._swept >= SWEEP_MS:
            self._swept = now
            self._unpark()
            self._look()
            crashpoint("sweep.done")
            self._send_delayed()
        if self._stale_epoch:
            self._read_manifest()
        if now - self._ticked >= SWEEP_MS:
            self._ticked = now
            self._fire_crons()
            crashpoint("tick.looked")

    def _look(self) -> None:
        with self._wake:
            self._due_ms = None
        crashpoint("sweep.due")
        swept = self._sweep()
        if swept.next_ms is not None:
            self.expect(swept.next_ms)

    def _read_manifest(self) -> None:
        self._stale_epoch = False
        try:
            crashpoint("epoch.changed")
            self._refresh()
        except BaseException:
            self._stale_epoch = True  # once more, after a pause
            raise
