"""Every pair of limiters: what the two do together, as a sentence and as events with what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowlang.plan import Batch, Concurrency, Debounce, Idempotency, RateLimit, Throttle
from tests.flow_control.traffic import Sent

MINUTE = 60_000
KEY = "event.data.key"

IDEMPOTENCY = {"idempotency": Idempotency("event.data.id")}
RATE_LIMIT = {"rate_limit": RateLimit(2, MINUTE)}
DEBOUNCE = {"debounce": Debounce(5_000, key=KEY)}
BATCH = {"batch": Batch(2, 5_000, key=KEY)}
PRIORITY = {"priority": "event.data.advance"}
THROTTLE = {"throttle": Throttle(1, 10_000)}
CONCURRENCY = {"concurrency": Concurrency(1, hold="run")}


@dataclass(frozen=True)
class Pair:
    """Two limiters on one pipeline.

    Attributes:
        limits: Both, as the plan has them.
        says: What they do together.
        events: What is sent.
        fates: What becomes of each event, see `Traffic`.
        order: The events whose runs started, in order; None: that of their times.
    """

    limits: dict[str, Any]
    says: str
    events: Sequence[Sent]
    fates: Sequence[str]
    order: Sequence[int] | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The two."""
        one, other = self.limits
        return one, other


def at(second: int, key: str = "x", *, ident: str = "", advance: int = 0) -> Sent:
    """An event."""
    return second, {"key": key, "id": ident or f"{second}-{key}", "advance": advance}


PAIRS = (
    Pair(
        {**IDEMPOTENCY, **RATE_LIMIT},
        "An event with a known key makes no run, so it does not count.",
        [at(0, ident="a"), at(1, ident="a"), at(2, ident="b"), at(3, ident="c")],
        ["start 0", "is 0", "start 2", "skipped"],
    ),
    Pair(
        {**IDEMPOTENCY, **DEBOUNCE},
        "An event with a known key does not prolong the quiet; the answer is the first run's id, whatever became of it.",
        [at(0, ident="a"), at(4, ident="b"), at(8, ident="a")],
        ["into 1", "start 9", "is 0"],
    ),
    Pair(
        {**IDEMPOTENCY, **BATCH},
        "An event with a known key is in the batch once.",
        [at(0, ident="a"), at(1, ident="a"), at(2, ident="b")],
        ["start 2", "is 0", "into 0"],
    ),
    Pair(
        {**IDEMPOTENCY, **PRIORITY},
        "The first event's priority counts.",
        [at(0, ident="a"), at(0, ident="b", advance=60), at(0, ident="a", advance=120)],
        ["start 0", "start 0", "is 0"],
        [1, 0],
    ),
    Pair(
        {**IDEMPOTENCY, **THROTTLE},
        "An event with a known key waits for nothing and delays nobody.",
        [at(0, ident="a"), at(1, ident="a"), at(2, ident="b")],
        ["start 0", "is 0", "start 10"],
    ),
    Pair(
        {**IDEMPOTENCY, **CONCURRENCY},
        "An event with a known key waits for no place.",
        [at(0, ident="a"), at(1, ident="a"), at(2, ident="b")],
        ["start 0", "is 0", "start 10"],
    ),
    Pair(
        {**RATE_LIMIT, **DEBOUNCE},
        "Events are counted, not starts; a skipped one does not prolong the quiet.",
        [at(0), at(1), at(4)],
        ["into 1", "start 6", "skipped"],
    ),
    Pair(
        {**RATE_LIMIT, "batch": Batch(3, 30_000)},
        "Events are counted, not batches; a skipped one is in no batch.",
        [at(0), at(1), at(2)],
        ["start 30", "into 0", "skipped"],
    ),
    Pair(
        {"rate_limit": RateLimit(1, MINUTE), **PRIORITY},
        "Priority helps nobody past the rate: the events are counted as they come.",
        [at(0), at(0, advance=600)],
        ["start 0", "skipped"],
    ),
    Pair(
        {**RATE_LIMIT, **THROTTLE},
        "What the rate lets pass waits for the throttle; an event has counted when it comes.",
        [at(0), at(0, "y"), at(0, "z")],
        ["start 0", "start 10", "skipped"],
    ),
    Pair(
        {**RATE_LIMIT, **CONCURRENCY},
        "What the rate lets pass waits for its place; an event has counted when it comes.",
        [at(0), at(0, "y"), at(0, "z")],
        ["start 0", "start 10", "skipped"],
    ),
    Pair(
        {**DEBOUNCE, "batch": Batch(2, MINUTE)},
        "A batch gathers the last events of quiet times.",
        [at(0), at(1), at(20), at(21)],
        ["into 1", "start 26", "into 3", "into 1"],
    ),
    Pair(
        {**DEBOUNCE, **PRIORITY},
        "The priority of the event that starts counts.",
        [at(0, "x", advance=600), at(1, "x", advance=1), at(1, "y", advance=2)],
        ["into 1", "start 6", "start 6"],
        [2, 1],
    ),
    Pair(
        {**DEBOUNCE, **THROTTLE},
        "The throttle is asked when the quiet is over.",
        [at(0, "x"), at(0, "y")],
        ["start 5", "start 15"],
    ),
    Pair(
        {**DEBOUNCE, **CONCURRENCY},
        "A place is asked for when the quiet is over; a run that waits for it is not replaced by later events.",
        [at(0, "x"), at(0, "y"), at(6, "y")],
        ["start 5", "start 15", "start 25"],
    ),
    Pair(
        {"batch": Batch(3, 5_000, key=KEY), "priority": "events.size()"},
        "The priority is computed from the events when the batch closes.",
        [at(0, "y"), at(0, "x"), at(0, "x")],
        ["start 5", "start 5", "into 1"],
        [1, 0],
    ),
    Pair(
        {**BATCH, **THROTTLE},
        "A batch counts as one start, when it closes.",
        [at(0), at(0), at(0), at(0)],
        ["start 0", "into 0", "start 10", "into 2"],
    ),
    Pair(
        {**BATCH, **CONCURRENCY},
        "A batch takes one place, when it closes; a batch that waits for it takes no more events.",
        [at(0), at(0), at(0), at(0), at(1)],
        ["start 0", "into 0", "start 10", "into 2", "start 20"],
    ),
    Pair(
        {**PRIORITY, **THROTTLE},
        "Runs wait in the order of their events' times less priority.",
        [at(0), at(1), at(2, advance=60)],
        ["start 0", "start 20", "start 10"],
    ),
    Pair(
        {**PRIORITY, **CONCURRENCY},
        "Runs wait in the order of their events' times less priority; who has a place keeps it.",
        [at(0), at(1), at(2, advance=60)],
        ["start 0", "start 20", "start 10"],
    ),
    Pair(
        {"throttle": Throttle(1, 5_000), **CONCURRENCY},
        "The throttle first: a run has counted when it passes it, even if it then waits for its place.",
        [at(0), at(0), at(0), at(21)],
        ["start 0", "start 10", "start 20", "start 30"],
    ),
)
