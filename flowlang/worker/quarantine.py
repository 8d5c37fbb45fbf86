"""Scopes whose worker was lost again and again are kept apart, so that poison takes nobody along to its end.

A handler that kills its process costs all that the process has in hand a rescue; after `MAX_RESCUES` of them a call is
taken for poison. Whoever is claimed with it each time would count as poison, too. So a scope that was lost `SUSPECT`
times without a commit in between is a suspect: a process has one suspect at a time, hands others back before it begins,
and claims nothing while it has one. An innocent suspect ends, and its commit sets the count to 0; poison dies alone.

What the process tells the store before a suspect begins is also what its loss counts by: a suspect that waited for its
turn in a process that was killed has done nothing, and is one more time taken over.

A suspect that has lived for a lease is none any more: a handler that takes long must not stop a process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowlang.clock import monotonic_ms
from flowlang.engine.ops import SUSPECT, Claimed, Outcome, Renew, Renewed
from flowlang.errors import StoreError
from flowlang.worker.runqueue import Task

if TYPE_CHECKING:
    from flowlang.worker.flusher import Then

#: A suspect begins within this time, or has been handed back, milliseconds.
BEGINS_MS = 2_000.0


class Quarantine:
    """The one suspect that a process may have. All calls come from the flusher's thread.

    Args:
        worker: This process's incarnation.
        lease_ms: Length of a lease.
        submit: Sends an operation; what it answers makes a task.
        is_held: Whether this process holds the scope of a run.
        now_ms: A clock that never goes back.
    """

    def __init__(
        self,
        worker: str,
        lease_ms: int,
        *,
        submit: Callable[[Renew, Then], object],
        is_held: Callable[[tuple[str, str]], bool],
        now_ms: Callable[[], float] = monotonic_ms,
    ) -> None:
        self._worker = worker
        self._lease_ms = lease_ms
        self._submit = submit
        self._is_held = is_held
        self._now_ms = now_ms
        self._suspect: tuple[str, str] | None = None
        self._since_ms = 0.0
        self._begun = False

    def admit(self, row: Claimed, task: Task) -> Task:
        """The task to do for a claimed row: its own, or for a suspect too many nothing, since it is handed back.

        Args:
            row: As claimed.
            task: Begins with it.
        """
        if row.rescues < SUSPECT:
            return task
        if self.is_occupied():
            assert task.give_back is not None
            task.give_back()
            return Task(_nothing, None, task.since_ms)
        suspect = row.run, row.scope
        self._suspect, self._since_ms, self._begun = suspect, self._now_ms(), False
        # It begins when a flush of its own was answered: those that were handed back are safe by then, also when it
        # kills the process at once.
        renewal = Renew(self._worker, self._lease_ms, ((row.run, row.scope, row.fence),), alone=True)

        def answered(outcome: Outcome | StoreError | None) -> Task | None:
            return self._may_begin(suspect, outcome, task)

        return Task(lambda: self._submit(renewal, answered), None, task.since_ms)

    def _may_begin(self, suspect: tuple[str, str], outcome: Outcome | StoreError | None, task: Task) -> Task | None:
        """Take the answer to a suspect's renewal: its task, or when the scope is another's by now, nothing."""
        if isinstance(outcome, Renewed) and all(hold.ok for hold in outcome.holds):
            return task
        if self._suspect == suspect:
            self._suspect = None
        assert task.give_back is not None
        task.give_back()
        return None

    def is_occupied(self) -> bool:
        """Whether there is a suspect: then nothing is claimed."""
        if self._suspect is None:
            return False
        age_ms = self._now_ms() - self._since_ms
        if self._is_held(self._suspect):
            self._begun = True
            if age_ms <= self._lease_ms:
                return True
        elif not self._begun and age_ms <= BEGINS_MS:
            return True
        self._suspect = None
        return False


def _nothing() -> Any:
    """What is left to do for a row that was handed back."""
