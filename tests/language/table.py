"""The table of the language: small pipelines that show its keys, and what must come of them.

`project/pipelines` are the pipelines and `project/tests/stories.test.yaml` is the table, one story a pipeline. A story is
a pipeline test, with two differences: all stories are told on one clock, which `tick` moves to a moment at once when all
else is over; and handlers are the project's own, so that the same story can be told in this process and with workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flowlang.compiler.pipeline_tests import reached
from flowlang.model import TestDocument
from flowlang.model.pipeline_tests import Expected, Given, PipelineTest, When
from flowlang.project import load_project

FOLDER: Final = Path(__file__).with_name("project")
PROJECT: Final = load_project(FOLDER, entry_points=False)

#: When all stories begin: no schedule of the project is near.
BEGIN_MS: Final = round(datetime(2030, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)


@dataclass(frozen=True)
class Story:
    """One row of the table."""

    document: TestDocument
    model: PipelineTest
    pipelines: frozenset[str]  #: those that take part

    @property
    def name(self) -> str:
        """What it says."""
        return self.model.test

    @property
    def jumps(self) -> bool:
        """Whether it moves the clock to a moment at once."""
        return any(given.verb == "tick" for given in self.model.given)

    def actions(self) -> Iterable[tuple[int, Given | When | Expected]]:
        """What happens, by ms from the beginning; the last one is what must be true when all is over."""
        at_ms = 0
        yield from ((at_ms, given) for given in self.model.given)
        for when in self.model.when:
            if when.after is not None:
                at_ms += round(when.after.total_seconds() * 1000)
            else:
                yield at_ms, when if when.then is None else when.then


def _story(document: TestDocument) -> Story:
    model = document.model
    assert model is not None, document.name
    return Story(document, model, frozenset(reached(PROJECT.plans, [model.pipeline, *model.also])))


STORIES: Final = tuple(map(_story, PROJECT.tests))

#: What a run's row says beside its story: the run's queue and labels.
ROWS: Final = {"basics": {"queue": "night", "labels": {"origin": "language", "team": "t2"}}}
