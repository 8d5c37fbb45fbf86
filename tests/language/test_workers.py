"""Every story of the language comes true on a real server with worker processes: all of them at once, on one clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.language.live import Live
from tests.language.table import STORIES, Story
from tests.language.telling import tell


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[str]]:
    """What is not as the stories say, by pipeline: one deploy and one crew for all of them."""
    with Live(tmp_path_factory.mktemp("language")) as stage:
        return tell(STORIES, stage)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.model.pipeline)
def test_it_comes_true(told: Mapping[str, Sequence[str]], story: Story) -> None:
    assert told[story.model.pipeline] == []
