"""Whoever waits for a run follows it to the one that it was merged into."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flowlang.cli.waiting import await_end


class Runs:
    """Runs as they are from look to look."""

    def __init__(self, looks: list[tuple[str, dict[str, Any]]]) -> None:
        self.looks = looks

    def run(self, ident: str) -> Any:
        expected, state = self.looks.pop(0)
        assert ident == expected
        plain = {"status": "pending", "ended_at": None, "merged_into": None}
        return SimpleNamespace(run=SimpleNamespace(id=ident, **{**plain, **state}), steps=[], timers={})


def test_a_merged_run_leads_on() -> None:
    service: Any = Runs(
        [
            ("first", {}),
            ("first", {"status": "skipped", "ended_at": "now", "merged_into": "last"}),
            ("last", {}),
            ("last", {"status": "succeeded", "ended_at": "now"}),
        ]
    )

    ended = await_end(service, "first", None, lambda _: None, pause=lambda _: None)

    assert (ended.run.id, ended.run.status, service.looks) == ("last", "succeeded", [])
