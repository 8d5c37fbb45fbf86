"""Another version becomes active while runs of the old one are alive."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.pipelines import chain
from tests.e2e.waiting import until
from tests.e2e.world import World


def test_each_run_ends_as_its_version_says_and_a_new_queue_is_served_at_once(tmp_path: Path) -> None:
    old = chain(ms=50)
    new = chain(ms=1, keys=("a", "b"), queue="fresh")
    with World(tmp_path) as world:
        world.deploy(old)
        with world.crew(2) as crew:
            before = world.send("e2e/chain", 20)
            until(lambda: world.ledger.lines("begin"), "a run of the old version")
            world.deploy(new)
            assert any(world.service.run(run).run.status != "succeeded" for run in before)
            after = world.send("e2e/chain", 20)
            details = {detail.run.id: detail for detail in world.ended(before + after)}
            assert len(crew.events) == 2, "no worker was started again"

    assert {details[run].run.version for run in before} == {old.digest}
    assert {details[run].run.version for run in after} == {new.digest}
    assert {details[run].run.queue for run in after} == {"fresh"}
    grown = {run: detail.output - detail.event.data["n"] for run, detail in details.items()}
    assert grown == dict.fromkeys(before, 5) | dict.fromkeys(after, 2)
