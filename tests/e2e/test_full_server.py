"""The server's memory runs full under load: events are refused, what was taken waits, and no run is half there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.edge import served
from tests.e2e.pipelines import CALLS, CHECKPOINTS, chain, fan
from tests.e2e.senders import Senders
from tests.e2e.waiting import until
from tests.e2e.world import World, checkpoints

SENDERS = 4
ROOM = 1_000_000  #: bytes between what is used and the limit; a tenth of the limit is kept for commits
PAD = "x" * 2_000
NAMES = ("e2e/fan", *["e2e/chain"] * 4)


def refusals(server: Any) -> int:
    """How often the server has said that its memory is full."""
    return int(server.info("errorstats").get("errorstat_OOM", {"count": 0})["count"])


def test_a_server_that_runs_full_loses_nothing_and_leaves_nothing_half(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    # Nobody can renew a lease on a full server; so long a one outlives it.
    with World(tmp_path, LEASE="10m") as world, served(world) as client, world.client() as server:
        world.deploy(chain(ms=5), fan(ms=5))
        with world.crew(2) as crew:
            world.idle()
            limit = world.service.store.memory().used + ROOM
            server.config_set("maxmemory", limit)
            with Senders(client, SENDERS, NAMES, data={"pad": PAD}) as senders:
                until(lambda: senders.refused["store.full"] >= SENDERS, "the high-water mark")
                at_mark = world.service.store.memory().used
                until(lambda: world.ledger.lines("end"), "commits")
                server.config_set("maxmemory", 1)  # and now the server itself refuses whatever may grow
                refused = refusals(server)
                until(lambda: refusals(server) >= refused + 10, "commits that are refused")
            rows = {run.id for run in world.service.find_runs(statuses=("pending", "running", "succeeded"))}
            assert rows == set(senders.taken), "what was answered is there, and nothing else"
            assert {world.service.run(run).event.data["pad"] for run in rows} == {PAD}
            assert world.findings() == (), "nothing is half there"
            server.config_set("maxmemory", 0)
            details = world.ended(senders.taken)
            assert {event.kind for event in crew.events} == {"started"}
            assert world.findings() == ()

    assert {detail.run.status for detail in details} == {"succeeded"}
    expected = {(detail.run.id, step) for detail in details for step in CHECKPOINTS[detail.run.pipeline]}
    assert checkpoints(details) == dict.fromkeys(expected, 1)
    called = {(detail.run.id, step) for detail in details for step in CALLS[detail.run.pipeline]}
    assert world.ledger.calls() == dict.fromkeys(called, 1)
    # What is on its way when the server itself becomes full is told that the server gave no answer that counts.
    assert set(senders.refused) <= {"store.full", "store.unavailable"}
    assert {answer.retry_after for answer in senders.answers if answer.status != 202} <= {"10", "1"}
    figure(f"{len(senders.taken)} runs taken, refused {dict(senders.refused)}; {at_mark / limit:.0%} used at the mark")
