"""Where stories are told: what each stage can do, and what can be seen on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from flowlang.engine import sealed_fields
from flowlang.engine.admission import row_of_emission
from flowlang.engine.intake import decode_event
from flowlang.engine.ports import Sealer, Store
from flowlang.engine.state import decode_meta
from flowlang.pipeline_tests.expect import Seen, SeenCall, SeenEvent, undone
from flowlang.plan import Emit
from flowlang.simulate import finished
from tests.language.table import PROJECT, Story

MANY = 10_000

#: The steps of each pipeline that send events.
EMITS = {
    name: frozenset(step.key for step in plan.steps if isinstance(step.verb, Emit))
    for name, plan in PROJECT.plans.items()
}


class Stage(Protocol):
    """A deployed project whose time is moved by whoever tells the stories."""

    @property
    def store(self) -> Store:
        """Where runs live."""

    @property
    def sealer(self) -> Sealer:
        """Opens what is stored there."""

    def send(self, name: str, data: Any) -> list[str]:
        """Send an event; returns the runs that it made or found."""

    def call(self, pipeline: str, data: Any) -> str:
        """Call a pipeline; returns its run."""

    def run_until(self, at_ms: int) -> None:
        """Let everything happen that is due up to a moment."""

    def run_until_idle(self) -> None:
        """Let everything happen, however late."""

    def jump(self, at_ms: int) -> None:
        """Move the clock to a moment at once, and fire the ticks that are due."""

    def calls(self) -> Sequence[tuple[str, SeenCall]]:
        """The calls of handlers so far, in order, each with its run."""


class Eyes:
    """Sees what has come of stories on a stage.

    Args:
        stage: The stage.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._made: dict[str, int] = {}
        self._sent: dict[str, dict[str, tuple[int, SeenEvent]]] = defaultdict(dict)

    def note(self, *runs: str) -> None:
        """Remember in which order runs were made."""
        for run in runs:
            self._made.setdefault(run, len(self._made))

    def look(self) -> None:
        """Take in the events that steps have sent, before they are kept no longer."""
        store = self._stage.store
        for pipeline, keys in EMITS.items():
            for row in store.runs(pipeline=pipeline, limit=MANY) if keys else ():
                rows = store.run(row.id)
                for instance in keys & set(rows.records if rows is not None else ()):
                    kept = store.event(row_of_emission(row.id, instance))
                    if kept is not None:
                        event = decode_event(self._stage.sealer.open(kept.body, sealed_fields.EVENT, kept.id))
                        seen = SeenEvent(event.name, event.data, event.id, instance)
                        self._sent[pipeline][kept.id] = (kept.accepted_ms, seen)

    def seen(self, story: Story) -> Seen:
        """What has come of a story."""
        self.look()
        store, sealer = self._stage.store, self._stage.sealer
        rows = {name: store.runs(pipeline=name, limit=MANY) for name in story.pipelines}
        for listed in rows.values():
            listed.sort(key=lambda row: (row.created_ms, self._made.get(row.id, len(self._made))))
        runs = {name: [finished(store, sealer, row.id) for row in listed] for name, listed in rows.items()}
        mine = {run.id for listed in runs.values() for run in listed}
        journals = {run: store.run(run) for run in mine}
        return Seen(
            story.model.pipeline,
            runs,
            [call for run, call in self._stage.calls() if run in mine],
            [event for name in sorted(story.pipelines) for _, event in sorted(self._sent[name].values(), key=_at)],
            sum(letter.id in mine for letter in store.dead_letters(limit=MANY)),
            {
                run: undone(
                    msgspec.json.decode(sealer.open(entry, sealed_fields.JOURNAL, run)) for entry in found.journal
                )
                for run, found in journals.items()
                if found is not None
            },
        )

    def row(self, story: Story) -> dict[str, Any]:
        """What the row of a story's first run says."""
        row = self._stage.store.runs(pipeline=story.model.pipeline, limit=1)[0]
        meta = decode_meta(self._stage.sealer.open(row.meta, sealed_fields.META, row.id))
        return {"queue": row.queue, "labels": meta.labels}


def _at(sent: tuple[int, SeenEvent]) -> int:
    return sent[0]
