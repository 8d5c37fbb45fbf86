"""The check of the store beside workers at work: whatever it reads in between, it finds nothing that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flowlang import bootstrap
from flowlang.settings import Settings
from tests.e2e.pipelines import chain, fan
from tests.e2e.world import ENDED, World


def test_nothing_is_found_in_a_store_that_workers_write_to(tmp_path: Path, figure: Callable[[str], None]) -> None:
    with World(tmp_path) as world:
        world.deploy(chain(ms=1), fan(ms=1))
        settings = Settings.from_env(world.environ())
        checks = read = unread = 0
        with world.crew(2):
            runs = world.send("e2e/chain", 40) + world.send("e2e/fan", 20)
            while any(world.service.run(run).run.status not in ENDED for run in reversed(runs)):
                report = bootstrap.fsck(settings)
                assert report.findings == ()
                checks, read, unread = checks + 1, read + report.runs, unread + report.unread
            details = world.ended(runs)
        assert bootstrap.fsck(settings).findings == ()
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert checks > 0
    figure(f"{checks} checks of a store at work read {read} runs; {unread} changed too fast to be judged")
