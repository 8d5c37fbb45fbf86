"""What must be true of a performance."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from flowlang.clock import random_bytes
from tests.canaries.stage import MODES, Canaries, Traces, hits

#: Where a project shows its data to people and to other services.
SHOWN = ("answers", "commands", "receivers", "worker-text's output", "worker-json's output", "server's output")
STORED = ("the store", "the store's files")


def new_key() -> str:
    """A keyring of one key."""
    return f"1:{base64.b64encode(random_bytes(32)).decode()}"


def found(traces: Traces, places: Iterable[str], values: list[str]) -> dict[str, set[str]]:
    """Which values are in which places."""
    seen = {place: hits(traces.places[place], values) for place in places}
    return {place: values for place, values in seen.items() if values}


def assert_all_was_played(traces: Traces, canaries: Canaries) -> None:
    """Nothing is proved by a play that has not taken place."""
    assert traces.statuses["failed"] >= 5
    assert traces.statuses["succeeded"] >= len(MODES)
    assert traces.dead >= 5
    assert hits(traces.revealed, canaries.sensitive()) == set(canaries.sensitive()) - {canaries.iban}
    assert all(traces.places.values())
    assert traces.key
    assert found(traces, traces.places, [traces.key]) == {}, "an API key is stored as a digest, and written nowhere"
