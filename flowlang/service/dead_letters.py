"""Dead letters: looked at, and sent again: a failed run as a replay, an event that could not be taken as itself.

Sending one again twice, at the same time or after a crash in between, makes one run: its id follows from the letter's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowlang.engine.admission import check_data
from flowlang.engine.intake import DeadEvent, Delivery, TriggerProblem, decode_dead_event
from flowlang.engine.ops import Accept, ResolveDead
from flowlang.engine.ports import Sealer, Store
from flowlang.engine.replay import Wish
from flowlang.engine.route import Router
from flowlang.ids import new_event_id, partition_of
from flowlang.service.answers import Answer, DataError, NotFoundError
from flowlang.service.events import Intake
from flowlang.service.replays import Replays
from flowlang.service.views import DeadDetail, DeadSummary, dead_detail, dead_summary
from flowlang.service.writer import Writer


class DeadLetters:
    """What is kept for a person.

    Args:
        store: Answers reads.
        writer: Writes.
        intake: Sends again.
        replays: Replays failed runs.
        sealer: Opens payloads.
    """

    def __init__(self, store: Store, writer: Writer, intake: Intake, replays: Replays, sealer: Sealer) -> None:
        self._store = store
        self._replays = replays
        self._writer = writer
        self._intake = intake
        self._sealer = sealer

    def page(self, *, name: str | None, before: str | None, limit: int) -> list[DeadSummary]:
        """Dead letters, newest first."""
        return [dead_summary(row) for row in self._store.dead_letters(name=name, before=before, limit=limit)]

    def one(self, ident: str) -> DeadDetail:
        """One dead letter. Raises: NotFoundError."""
        row = self._store.dead_letter(ident)
        if row is None:
            raise NotFoundError(f"no dead letter {ident!r}")
        return dead_detail(row, self._sealer)

    def retry(self, ident: str, data: Any = msgspec.UNSET) -> Answer:
        """Send one again and take it off the list.

        Args:
            ident: Of the letter: the run's or the event's id.
            data: Corrected data, of the event or of the run's.

        Raises:
            NotFoundError: when it, or its pipeline, is not there.
            DataError: when it still does not fit; it stays on the list.
        """
        row = self._store.dead_letter(ident)
        if row is None:
            raise NotFoundError(f"no dead letter {ident!r}")
        if row.kind == "run":
            run = self._replays.replay(ident, Wish(data=data)).run
            assert run is not None
            return Answer("accepted", runs=(run,))
        answer = self._again(ident, decode_dead_event(self._sealer.open(row.body)), data)
        replaced_by = answer.runs[0].id if answer.runs else answer.event
        self._writer.send([ResolveDead(ident, replaced_by)])
        return answer

    def _again(self, ident: str, dead: DeadEvent, data: Any) -> Answer:
        if dead.reason:
            raise DataError(
                f"{dead.reason}; it has no event name, so the sender or the webhook's templates must change"
            )
        event = dead.event if data is msgspec.UNSET else msgspec.structs.replace(dead.event, data=data)
        places = [(problem.pipeline, problem.trigger) for problem in dead.problems]

        def make(router: Router) -> Accept:
            checked = check_data(router.catalog, event.name, event.data)
            if not checked.ok:
                raise DataError(f"{event.name} still does not fit its schema", checked.failures)
            routed = router.route(event, Delivery(_row(ident)), only=places or None)
            if routed.problems:
                raise DataError("; ".join(_told(problem) for problem in routed.problems))
            return routed.accept

        return self._intake.send([make], raising=True)[0]


def _row(letter: str) -> str:
    return new_event_id(f"retry\n{letter}", partition_of(letter))


def _told(problem: TriggerProblem) -> str:
    return f"{problem.pipeline}: {problem.where}: {problem.message}"
