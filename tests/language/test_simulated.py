"""Each story of the language comes true on the memory store and a virtual clock: alone, and all of them at once."""

from __future__ import annotations

import pytest

from flowlang.clock import random_bytes
from flowlang.engine.ports import Sealer
from flowlang.keyring import Keyring
from flowlang.store.codec import PlainSealer
from flowlang.store.encryption import EncryptingSealer
from tests.language.simulated import Simulated
from tests.language.table import STORIES, Story
from tests.language.telling import tell

KEYRING = Keyring({1: random_bytes(32)})


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.model.pipeline)
def test_it_comes_true(story: Story) -> None:
    with Simulated() as stage:
        assert tell([story], stage) == {story.model.pipeline: []}


@pytest.mark.parametrize("sealer", [PlainSealer(), EncryptingSealer(KEYRING, plain=False)], ids=["plain", "encrypted"])
def test_all_at_once_come_true(sealer: Sealer) -> None:
    with Simulated(sealer) as stage:
        assert {name: wrong for name, wrong in tell(STORIES, stage).items() if wrong} == {}
