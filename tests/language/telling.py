"""Tells stories on a stage, all on one clock, and says what did not come as they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from flowlang.model.pipeline_tests import Expected, Given, When
from flowlang.pipeline_tests.expect import Expectations
from tests.language.stage import Eyes, Stage
from tests.language.table import BEGIN_MS, ROWS, Story


def tell(stories: Sequence[Story], stage: Stage) -> dict[str, list[str]]:
    """Tell stories side by side.

    Args:
        stories: All of them begin now.
        stage: Where.

    Returns:
        By pipeline, what is not as its story says.
    """
    eyes = Eyes(stage)
    wrong: dict[str, list[str]] = defaultdict(list)

    def compare(story: Story, then: Expected) -> None:
        found = Expectations(story.document, eyes.seen(story)).failures(then, ("then",))
        wrong[story.model.pipeline] += [f"{failure.where}: {failure.message}" for failure in found]

    agenda = [
        (at_ms, place, story, action)
        for story in stories
        if not story.jumps
        for place, (at_ms, action) in enumerate(story.actions())
    ]
    for at_ms, _, story, action in sorted(agenda, key=lambda entry: entry[:2]):
        if at_ms or isinstance(action, When | Expected):
            stage.run_until(BEGIN_MS + at_ms)
            eyes.look()
        if isinstance(action, Expected):
            compare(story, action)
        else:
            eyes.note(*_given(stage, story, action))
    stage.run_until_idle()
    for story in stories:
        if not story.jumps:
            compare(story, story.model.then)
            told = ROWS.get(story.model.pipeline)
            if told is not None and told != eyes.row(story):
                wrong[story.model.pipeline].append(f"row: {eyes.row(story)}")
    jumps = {given.tick for story in stories if story.jumps for given in story.model.given}
    for moment in sorted(moment for moment in jumps if moment is not None and moment != "next"):
        stage.jump(round(moment.timestamp() * 1000))
    stage.run_until_idle()
    for story in stories:
        if story.jumps:
            compare(story, story.model.then)
    return wrong


def _given(stage: Stage, story: Story, given: Given) -> list[str]:
    if given.event is not None:
        return stage.send(given.event, given.data)
    return [stage.call(story.model.pipeline, given.call)]
