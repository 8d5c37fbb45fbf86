"""Worker processes that cannot go on are replaced at once: threads that do not come back, a store that went back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from flowlang.plan import RetryRule
from flowlang.service import NotFoundError
from flowlang.worker.embedded import EmbeddedServer
from flowlang.worker.supervisor import REPLACE_ME
from tests.e2e.launch import GRACE
from tests.e2e.pipelines import CALLS, CHECKPOINTS, chain, one
from tests.e2e.waiting import until
from tests.e2e.world import World, checkpoints

RUNS = 20
BETWEEN = 150  #: steps that end between the moment to which the store goes back and the loss


def test_a_process_is_replaced_when_half_of_its_threads_do_not_come_back(tmp_path: Path) -> None:
    with World(tmp_path, THREADS="4", SHUTDOWN="10s") as world:
        world.deploy(one("work.deaf", timeout_ms=100, retry=((RetryRule(attempts=1),),)), chain())
        with world.crew(1, variables={GRACE: "100"}) as crew:
            stuck = world.send("e2e/one", 2)
            until(lambda: REPLACE_ME in crew.ends(), "the process to be replaced")
            details = world.ended(world.send("e2e/chain", 5))
            assert {detail.run.status for detail in world.ended(stuck)} == {"failed"}
            assert crew.ends() == [REPLACE_ME]
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert len(world.ledger.calls()) == 2 + 5 * len(CALLS["chain"])
    assert set(world.ledger.calls().values()) == {1}, "no attempt was lost or repeated"


@contextlib.contextmanager
def replica_of(world: World, folder: Path) -> Iterator[EmbeddedServer]:
    """A replica of the world's server that has all of its data, with the same password."""
    primary = world.server.log_file.parent
    folder.mkdir()
    (folder / "password").write_text((primary / "password").read_text())
    with EmbeddedServer(folder) as replica, redis.Redis.from_url(replica.url) as client:
        client.config_set("masterauth", (folder / "password").read_text())
        client.replicaof("127.0.0.1", port_of(world))
        asked: Any = client
        until(lambda: asked.info("replication")["master_link_status"] == "up", "the replica to have everything")
        yield replica


def test_runs_go_on_after_a_replica_was_promoted_that_lagged(tmp_path: Path, figure: Callable[[str], None]) -> None:
    with World(tmp_path, LEASE="2s") as world, replica_of(world, tmp_path / "replica") as replica:
        world.deploy(chain(ms=10))
        with redis.Redis.from_url(replica.url) as client:
            # What was sent is of the time before the replica is cut off; what is sent afterwards it never hears of.
            kept = world.send("e2e/chain", RUNS)
            with world.crew(2) as crew:
                until(lambda: len(world.ledger.lines("end")) >= RUNS, "runs under way")
                client.replicaof("NO", "ONE")
                lost = world.send("e2e/chain", RUNS)
                until(lambda: len(world.ledger.lines("end")) >= BETWEEN, "work that will be lost")
                world.server.kill()
                replica.stop()
                with EmbeddedServer(tmp_path / "replica", port=port_of(world)):
                    details = world.ended(kept)
                    until(lambda: crew.ends() == [REPLACE_ME] * 2, "the processes to be replaced")
                    later = world.ended(world.send("e2e/chain", RUNS))
                    assert [run for run in lost if is_known(world, run)] == []
                    assert world.service.stats().held == 0
                    assert world.findings() == ()
    assert {detail.run.status for detail in details + later} == {"succeeded"}
    assert {detail.output - detail.event.data["n"] for detail in details + later} == {5}
    expected = {(detail.run.id, step) for detail in details + later for step in CHECKPOINTS["chain"]}
    assert checkpoints(details + later) == dict.fromkeys(expected, 1), (
        "one end of each step in the history that is left"
    )
    repeated = world.ledger.calls().total() - len(world.ledger.calls())
    figure(f"{len(lost)} runs and {repeated} steps were lost with the old primary; the steps were made again")


def port_of(world: World) -> int:
    """Where the world's server listens."""
    port = urlsplit(world.server.url).port
    assert port is not None
    return port


def is_known(world: World, run: str) -> bool:
    """Whether the store has a run."""
    try:
        world.service.run(run)
    except NotFoundError:
        return False
    return True
