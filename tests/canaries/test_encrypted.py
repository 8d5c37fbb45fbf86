"""With a key, the store holds no value of any payload; and nothing that must not be shown is, anywhere."""

from __future__ import annotations

from pathlib import Path

from tests.canaries.checks import SHOWN, STORED, assert_all_was_played, found, new_key
from tests.canaries.stage import Canaries, perform


def test_nothing_is_stored_in_the_clear_and_nothing_hidden_is_shown(tmp_path: Path) -> None:
    canaries = Canaries()
    traces = perform(tmp_path, canaries, keys=new_key())
    assert_all_was_played(traces, canaries)
    hidden = [*canaries.sensitive(), *canaries.secrets.values()]
    assert found(traces, [*SHOWN, *STORED], hidden) == {}
    assert found(traces, STORED, [canaries.sku]) == {}
    assert found(traces, SHOWN, [canaries.sku]).keys() >= {"answers", "commands"}, "what is not marked is shown"
