"""Replays with worker processes that are killed in them: each is one run, and calls nothing that is kept."""

from __future__ import annotations

from pathlib import Path

from flowlang.engine.replay import Wish
from tests.e2e.pipelines import CALLS, fan
from tests.e2e.test_killed_workers import kill_in_a_step
from tests.e2e.world import World, checkpoints

RUNS = 20
KILLS = 4
KEPT = {"a", "b", "c[0]", "c[1]", "c[3]"}


def test_replays_whose_workers_are_killed_end_as_the_runs_did(tmp_path: Path) -> None:
    with World(tmp_path, LEASE="2s") as world:
        world.deploy(fan(ms=100))
        with world.crew(2) as crew:
            first = world.ended(world.send("e2e/fan", RUNS), patience_s=60)
            answers = [world.service.replay(detail.run.id, Wish(start="c[2]")).run for detail in first]
            replays = [answer.id for answer in answers if answer is not None]
            for _ in range(KILLS):
                kill_in_a_step(crew, world.ledger)
            details = world.ended(replays, patience_s=60)
        outputs = {detail.run.id: detail.output for detail in first}
        calls = {place for line in world.ledger.lines("begin") if (place := line.place)[0] in set(replays)}

        assert len(set(replays)) == RUNS
        assert {detail.run.status for detail in details} == {"succeeded"}
        assert all(detail.output == outputs[detail.run.replay_of or ""] for detail in details)
        assert {instance for _, instance in calls} == CALLS["fan"] - KEPT
        ended = checkpoints(details)
        assert set(ended.values()) == {1}
        assert {instance for _, instance in ended} == {*CALLS["fan"] - KEPT, "c"}
        assert len(world.service.runs(limit=200)) == 2 * RUNS
