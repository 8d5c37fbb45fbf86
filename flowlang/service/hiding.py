"""Runs, events and dead letters without what must not be shown: what everybody gets who has not asked to see it all.

Marked fields are hidden by their place, whatever they hold; where their values were carried on to (vars, outputs,
errors, the journal), they are found again by what they are. Marks are those of the run's version and of the active
manifest's event schemas.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from flowlang.engine.catalog import Catalog
from flowlang.engine.intake import DeadEvent, Reason, TriggerProblem
from flowlang.engine.marks import NO_MARKS, Marks, RunMarks, event_values, leaves
from flowlang.engine.program import Program
from flowlang.engine.state import Event
from flowlang.plan import Plan
from flowlang.redaction import HIDDEN, Mask
from flowlang.service.views import (
    DeadDetail,
    EventDetail,
    OpenedDead,
    OpenedEvent,
    OpenedRun,
    RunDetail,
    ShownEvent,
    StepState,
    shown_dead,
)

#: What an expression reads of an event's data: `event.data.email`.
_DATA = ("event", "data")

Told = TypeVar("Told", Event, ShownEvent)

_UNKNOWN = RunMarks(Plan(pipeline="", steps=(), block=()))


class Hiding:
    """Hides what the marks of a project say.

    Args:
        catalog: The active manifest; None: nothing is deployed.
    """

    def __init__(self, catalog: Catalog | None) -> None:
        self._catalog = catalog

    def run(self, opened: OpenedRun, program: Program | None) -> RunDetail:
        """A run as it may be shown.

        Args:
            opened: All that is known of it.
            program: Its version; None when its plan is gone.
        """
        detail, marks = opened.detail, _UNKNOWN if program is None else program.marks
        mask = marks.mask(opened.meta, opened.records, self._marks)
        return msgspec.structs.replace(
            detail,
            event=self._event(detail.event, mask, marks),
            vars=mask.tree(detail.vars),
            labels=mask.tree(detail.labels),
            output=mask.tree(detail.output),
            error=mask.tree(detail.error),
            steps=tuple(_step(step, mask, marks) for step in detail.steps),
            journal=tuple(mask.tree(entry) for entry in detail.journal),
        )

    def event(self, opened: OpenedEvent) -> EventDetail:
        """A kept event as it may be shown."""
        detail, mask = opened.detail, Mask(event_values(opened.event, self._marks))
        ignored = tuple(self._reason(reason, opened.event, mask) for reason in detail.ignored)
        return msgspec.structs.replace(detail, event=self._event(detail.event, mask), ignored=ignored)

    def dead(self, opened: OpenedDead) -> DeadDetail:
        """A dead letter as it may be shown. The error of a run was cleaned when it was recorded."""
        detail, dead = opened.detail, opened.dead
        return detail if dead is None else msgspec.structs.replace(detail, event=shown_dead(self._dead_event(dead)))

    def data(self, opened: OpenedDead, event: Event, data: Any) -> Any:
        """Data, or a text, that was made of a dead letter's event, as it may be shown."""
        if self._is_unknown(opened.dead):
            return HIDDEN
        return Mask(event_values(event, self._marks)).tree(self._marks(event.name).hidden(data))

    def _is_unknown(self, dead: DeadEvent | None) -> bool:
        """Whether data have no name, and so no schema that could say what of them is marked."""
        nameless = dead is not None and dead.reason != ""
        return nameless and self._catalog is not None and self._catalog.marks_anything

    def _dead_event(self, dead: DeadEvent) -> DeadEvent:
        event = dead.event
        if self._is_unknown(dead):
            reason = Mask(leaves(event.data)).text(dead.reason)
            return msgspec.structs.replace(dead, event=msgspec.structs.replace(event, data=HIDDEN), reason=reason)
        mask = Mask(event_values(event, self._marks))
        problems = tuple(self._reason(problem, event, mask) for problem in dead.problems)
        dedupe = None if dead.dedupe is None else mask.text(dead.dedupe)
        return msgspec.structs.replace(dead, event=self._event(event, mask), problems=problems, dedupe=dedupe)

    def _reason(self, reason: Any, event: Event, mask: Mask) -> Any:
        """A `Reason` or `TriggerProblem`, whose expressions have read the event."""
        assert isinstance(reason, Reason | TriggerProblem)
        marks = self._marks(event.name)
        values = {name: mask.tree(_read(marks, name, value)) for name, value in reason.values.items()}
        made = msgspec.structs.replace(reason, values=values)
        if isinstance(made, TriggerProblem):
            return msgspec.structs.replace(made, message=mask.text(made.message))
        return made

    def _event(self, event: Told, mask: Mask, marks: RunMarks = _UNKNOWN) -> Told:
        data = marks.hidden_input(self._marks(event.name).hidden(event.data))
        return msgspec.structs.replace(event, id=mask.text(event.id), data=mask.tree(data), user=mask.tree(event.user))

    def _marks(self, event: str) -> Marks:
        return NO_MARKS if self._catalog is None else self._catalog.marks(event)


def _step(step: StepState, mask: Mask, marks: RunMarks) -> StepState:
    output = step.output
    if output is not msgspec.UNSET:
        output = mask.tree(marks.hidden_output(step.step, output))
    return msgspec.structs.replace(step, output=output, error=mask.tree(step.error))


def _read(marks: Marks, name: str, value: Any) -> Any:
    path = tuple(name.split("."))
    return marks.hidden_at(path[len(_DATA) :], value) if path[: len(_DATA)] == _DATA else value
