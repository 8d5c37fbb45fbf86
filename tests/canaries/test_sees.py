"""Where nothing hides anything, the same search finds it in every place: so the other two say something."""

from __future__ import annotations

from pathlib import Path

from tests.canaries.checks import SHOWN, STORED, assert_all_was_played, found
from tests.canaries.stage import Canaries, perform

#: It says nothing of data, but for what a stranger sends and is refused.
SILENT = {"server's output"}


def test_without_masks_all_is_seen(tmp_path: Path) -> None:
    canaries = Canaries()
    traces = perform(tmp_path, canaries, masked=False)
    assert_all_was_played(traces, canaries)
    assert found(traces, SHOWN, canaries.sensitive()).keys() == set(SHOWN) - SILENT
    secrets = list(canaries.secrets.values())
    assert found(traces, [*SHOWN, *STORED], secrets).keys() == {*SHOWN, *STORED} - SILENT
