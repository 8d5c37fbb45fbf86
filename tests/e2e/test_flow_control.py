"""Flow control in real workers, one of which is killed: what the handlers have seen, and what became of the runs."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from flowlang.plan import Batch, Concurrency, Plan, QueueRule, Uses
from tests.e2e.ledger import Line
from tests.e2e.pipelines import KEYS, chain
from tests.e2e.waiting import until
from tests.e2e.world import World

RUNS = 24


def most_at_once(lines: list[Line], killed_ns: int) -> int:
    """How many handlers ran at a time; those that have no end were lost with their worker."""
    open_at: dict[tuple[str, str], int] = {}
    spans: list[tuple[int, int]] = []
    for line in sorted(lines, key=lambda one: one.at_ns):
        begun = open_at.pop((line.run, line.step), None)
        if line.kind == "begin":
            if begun is not None:
                spans.append((begun, killed_ns))
            open_at[line.run, line.step] = line.at_ns
        elif begun is not None:
            spans.append((begun, line.at_ns))
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most


def per_step(concurrency: Concurrency) -> Plan:
    """The chain with a limit on the attempts of its first step alone."""
    made = chain(keys=("a",))
    first = made.steps[0]
    assert isinstance(first.verb, Uses)
    limited = msgspec.structs.replace(first, verb=msgspec.structs.replace(first.verb, concurrency=concurrency))
    return msgspec.structs.replace(made, steps=(limited,))


LIMITED = {
    "active runs": (msgspec.structs.replace(chain(), concurrency=Concurrency(3)), {}),
    "runs": (msgspec.structs.replace(chain(), concurrency=Concurrency(3, hold="run")), {}),
    "attempts of a step": (per_step(Concurrency(3)), {}),
    "work of a queue": (chain(queue="slow"), {"slow": QueueRule(limit=3)}),
}


@pytest.mark.parametrize("limited", LIMITED)
def test_three_at_a_time_although_a_worker_is_killed(tmp_path: Path, limited: str) -> None:
    made, queues = LIMITED[limited]
    with World(tmp_path, LEASE="1s") as world:
        world.deploy(made, queues=queues)
        with world.crew(2) as crew:
            runs = world.send("e2e/chain", RUNS)
            until(lambda: len(world.ledger.lines("end")) > 6, "some work")
            crew.kill(crew.pids[0])
            killed_ns = time.monotonic_ns()
            details = world.ended(runs)
    steps = len(made.steps)
    assert Counter(detail.run.status for detail in details) == {"succeeded": RUNS}
    assert {detail.output - detail.event.data["n"] for detail in details} == {steps}
    assert most_at_once(world.ledger.lines(), killed_ns) == 3


def test_every_event_is_in_one_batch(tmp_path: Path) -> None:
    made = msgspec.structs.replace(
        chain(keys=KEYS[:1]), batch=Batch(10, 60_000), output="${{ events.map(e, e.data.n) }}"
    )
    first = made.steps[0]
    assert isinstance(first.verb, Uses)
    counted = msgspec.structs.replace(first.verb, arguments={"n": "${{ events.size() }}"})
    made = msgspec.structs.replace(made, steps=(msgspec.structs.replace(first, verb=counted),))
    with World(tmp_path) as world:
        world.deploy(made)
        with world.crew(2):
            details = world.ended(world.send("e2e/chain", 40))
    batches = [detail for detail in details if detail.run.status == "succeeded"]
    merged = Counter(detail.run.merged_into for detail in details if detail.run.status == "skipped")
    assert sorted(n for detail in batches for n in detail.output) == list(range(40))
    assert merged == {detail.run.id: 9 for detail in batches}
