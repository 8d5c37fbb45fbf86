"""Every story of the language comes true on a real server with worker processes: all of them at once, on one clock.

Once with each kind of broker: one on the server itself, and RabbitMQ where one answers; and once with all payloads
encrypted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import pytest

from flowlang.clock import random_bytes
from flowlang.keyring import Keyring
from tests.conftest import rabbitmq_url
from tests.language.live import Live
from tests.language.table import STORIES, Story
from tests.language.telling import tell


@pytest.fixture(scope="module", params=["embedded", "encrypted", "rabbitmq"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[str]]:
    """What is not as the stories say, by pipeline: one deploy and one crew for all of them."""
    with ExitStack() as stack:
        settings: dict[str, str] = {}
        if request.param == "rabbitmq":
            settings["BROKER_URL"] = stack.enter_context(rabbitmq_url())
        if request.param == "encrypted":
            settings |= {"ENCRYPTION_KEYS": Keyring({1: random_bytes(32)}).spelled(), "ENCRYPTION_PLAIN": "refuse"}
        stage = stack.enter_context(Live(tmp_path_factory.mktemp("language"), workers=2, **settings))
        return tell(STORIES, stage)
    raise AssertionError("not reached")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.model.pipeline)
def test_it_comes_true(told: Mapping[str, Sequence[str]], story: Story) -> None:
    assert told[story.model.pipeline] == []
