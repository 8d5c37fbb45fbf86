"""Without a key, payloads are stored as they are; secrets are not among them, and nothing that must not be shown is."""

from __future__ import annotations

from pathlib import Path

from tests.canaries.checks import SHOWN, STORED, assert_all_was_played, found
from tests.canaries.stage import Canaries, perform


def test_no_secret_is_stored_and_nothing_hidden_is_shown(tmp_path: Path) -> None:
    canaries = Canaries()
    traces = perform(tmp_path, canaries)
    assert_all_was_played(traces, canaries)
    assert found(traces, [*SHOWN, *STORED], list(canaries.secrets.values())) == {}
    assert found(traces, SHOWN, canaries.sensitive()) == {}
    assert found(traces, STORED, canaries.sensitive()).keys() == set(STORED), "or the search would find nothing"
