"""The server's time is known from its replies, for a while, and never ahead of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowlang.store.server_time import FRESH_MS, ServerTime

Step = Callable[["Told"], object]


class Told:
    """What a process has been told, on a clock of its own."""

    def __init__(self) -> None:
        self.own_ms = 5_000.0
        self.time = ServerTime(lambda: self.own_ms)

    def wait(self, passed_ms: float) -> None:
        self.own_ms += passed_ms


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], None),
        ([lambda told: told.time.heard(90_000, "w", 1)], 90_000),
        ([lambda told: told.time.heard(90_000, "w", 1), lambda told: told.wait(7.9)], 90_007),
        ([lambda told: told.time.heard(90_000, "w", 1), lambda told: told.wait(FRESH_MS)], 90_000 + FRESH_MS),
        ([lambda told: told.time.heard(90_000, "w", 1), lambda told: told.wait(FRESH_MS + 1)], None),
        ([lambda told: told.time.heard(90_000, "w", 1), lambda told: told.wait(500),
          lambda told: told.time.heard(90_400, "w", 2)], 90_400),
        ([lambda told: told.time.unanswered("w", 1), lambda told: told.time.heard(90_000, "w", 1)], None),
        ([lambda told: told.time.unanswered("w", 1), lambda told: told.time.heard(90_000, "v", 1)], 90_000),
        ([lambda told: told.time.unanswered("w", 1), lambda told: told.time.heard(90_000, "w", 1),
          lambda told: told.time.heard(95_000, "w", 2)], 95_000),
    ],
    ids=["nothing was heard", "at once", "later", "at its end", "too late", "each reply counts", "an answer that is old",
         "another's answer", "the one after it"],
)  # fmt: skip
def test_the_time_is_as_the_last_reply_said(steps: list[Step], expected: int | None) -> None:
    told = Told()
    for step in steps:
        step(told)

    assert told.time.now_ms() == expected
