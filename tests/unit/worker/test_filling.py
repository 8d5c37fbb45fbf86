"""Dead letters are reported before their limit is reached, once, and again when they have become fewer in between."""

from __future__ import annotations

import logging

import pytest

from flowlang.worker.filling import DeadLetterWatch


@pytest.mark.parametrize(
    ("counts", "limit", "levels"),
    [
        ([0, 7], 10, []),
        ([8, 9, 9], 10, [logging.WARNING]),
        ([8, 10, 12], 10, [logging.WARNING, logging.ERROR]),
        ([12, 9, 12], 10, [logging.ERROR, logging.ERROR]),
        ([8, 7, 8], 10, [logging.WARNING, logging.WARNING]),
        ([1_000_000], None, []),
    ],
)
def test_dead_letters_are_reported(
    caplog: pytest.LogCaptureFixture, counts: list[int], limit: int | None, levels: list[int]
) -> None:
    watch = DeadLetterWatch()

    for count in counts:
        watch.look(count, limit)

    assert [record.levelno for record in caplog.records] == levels
    assert all("`limits.dead_letters` in flowlang.yaml is 10" in record.message for record in caplog.records)
