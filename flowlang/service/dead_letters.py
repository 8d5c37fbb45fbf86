"""Dead letters: looked at, and sent again: a failed run as a replay, an event that could not be taken as itself.

Sending one again twice, at the same time or after a crash in between, makes one run: its id follows from the letter's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from flowlang.crashpoints import crashpoint
from flowlang.engine import retry as retries
from flowlang.engine import sealed_fields
from flowlang.engine.admission import check_data
from flowlang.engine.intake import DeadEvent, Delivery, TriggerProblem, decode_dead_event
from flowlang.engine.ops import Accept, Done, ResolveDead
from flowlang.engine.ports import DeadRow, Sealer, Store
from flowlang.engine.replay import Wish
from flowlang.engine.route import Router
from flowlang.engine.state import ErrorInfo, Event, decode_meta
from flowlang.ids import new_event_id, partition_of
from flowlang.service.answers import Answer, DataError, NotFoundError
from flowlang.service.events import Intake
from flowlang.service.replays import Replays
from flowlang.service.views import DeadSummary, OpenedDead, opened_dead
from flowlang.service.writer import Writer

#: Rows that are read at a time while letters are looked for.
_PAGE = 200


class DeadFilter(msgspec.Struct, frozen=True):
    """Which dead letters are meant.

    Attributes:
        kind: `run` or `event`.
        name: Of the pipeline or event.
        code: What it failed with: a code, a code's prefix with `.*`, or a class.
        since_ms: That came at this time or later.
        limit: At most so many.
    """

    kind: str | None = None
    name: str | None = None
    code: str | None = None
    since_ms: int | None = None
    limit: int | None = None
    before: str | None = None  #: only those after this one in the list

    def names(self, opened: OpenedDead) -> bool:
        """Whether a dead letter is meant, as far as it can be seen from itself."""
        letter, error = opened.letter, opened.detail.error or {}
        if self.kind is not None and letter.kind != self.kind:
            return False
        said = ErrorInfo(error.get("class", "permanent"), letter.code)
        return self.code is None or retries.names((self.code,), said)


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

    def page(self, *, name: str | None, before: str | None, limit: int) -> list[OpenedDead]:
        """Dead letters, newest first."""
        rows = self._store.dead_letters(name=name, before=before, limit=limit)
        return [opened_dead(row, self._sealer) for row in rows]

    def find(self, wanted: DeadFilter) -> Iterator[DeadSummary]:
        """The dead letters that a filter leaves, newest first; those that come off the list meanwhile do no harm."""
        left, before = wanted.limit, wanted.before
        while left is None or left > 0:
            rows = self._store.dead_letters(name=wanted.name, before=before, limit=_PAGE)
            for row in rows:
                if wanted.since_ms is not None and row.at_ms < wanted.since_ms:
                    return
                opened = opened_dead(row, self._sealer)
                if left == 0 or not wanted.names(opened):
                    continue
                left = None if left is None else left - 1
                yield opened.letter
            if not rows:
                return
            before = rows[-1].id

    def one(self, ident: str) -> OpenedDead:
        """One dead letter. Raises: NotFoundError."""
        row = self._store.dead_letter(ident)
        if row is None:
            raise NotFoundError(f"no dead letter {ident!r}")
        return opened_dead(row, self._sealer)

    def discard(self, ident: str) -> None:
        """Take one off the list for good; a run's rows then expire after its retention. Raises: NotFoundError."""
        (outcome,) = self._writer.send([ResolveDead(ident)])
        crashpoint("dead_letter.discarded")
        assert isinstance(outcome, Done)
        if not outcome.found:
            raise NotFoundError(f"no dead letter {ident!r}")

    def event_of(self, ident: str) -> Event:
        """The event of a dead letter, or that the failed run began with. Raises: NotFoundError."""
        row = self._store.dead_letter(ident)
        if row is None:
            raise NotFoundError(f"no dead letter {ident!r}")
        if row.kind == "event":
            return self._event(row).event
        rows = self._store.run(ident)
        if rows is None:
            raise NotFoundError(f"run {ident!r} is not kept any more")
        return decode_meta(self._sealer.open(rows.row.meta, sealed_fields.META, ident)).event

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
        answer = self._again(ident, self._event(row), data)
        crashpoint("dead_letter.sent")
        replaced_by = answer.runs[0].id if answer.runs else answer.event
        self._writer.send([ResolveDead(ident, replaced_by)])
        crashpoint("dead_letter.resolved")
        return answer

    def _event(self, row: DeadRow) -> DeadEvent:
        return decode_dead_event(self._sealer.open(row.body, sealed_fields.DEAD, row.id))

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

        return self._intake.secured(self._intake.send([make], raising=True))[0]


def _row(letter: str) -> str:
    return new_event_id(f"retry\n{letter}", partition_of(letter))


def _told(problem: TriggerProblem) -> str:
    return f"{problem.pipeline}: {problem.where}: {problem.message}"
