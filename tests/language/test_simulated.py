"""Each story of the language comes true on the memory store and a virtual clock: alone, and all of them at once."""

from __future__ import annotations

import pytest

from tests.language.simulated import Simulated
from tests.language.table import STORIES, Story
from tests.language.telling import tell


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.model.pipeline)
def test_it_comes_true(story: Story) -> None:
    with Simulated() as stage:
        assert tell([story], stage) == {story.model.pipeline: []}


def test_all_at_once_come_true() -> None:
    with Simulated() as stage:
        assert {name: wrong for name, wrong in tell(STORIES, stage).items() if wrong} == {}
