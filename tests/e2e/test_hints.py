"""Nothing depends on hints, and an idle worker leaves the server alone."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from tests.e2e.pipelines import CALLS, chain, fan
from tests.e2e.waiting import until
from tests.e2e.world import World


def test_runs_end_without_any_broker(tmp_path: Path) -> None:
    with socket.socket() as nobody:  # bound, so that nobody else takes the port, but not listening
        nobody.bind(("127.0.0.1", 0))
        dead = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        with World(tmp_path, BROKER_URL=dead) as world:
            world.deploy(chain(ms=1), fan(ms=1))
            with world.crew(2):
                details = world.ended(world.send("e2e/chain", 20) + world.send("e2e/fan", 5))
    assert {detail.run.status for detail in details} == {"succeeded"}
    expected = {(detail.run.id, step) for detail in details for step in CALLS[detail.run.pipeline]}
    assert world.ledger.calls() == dict.fromkeys(expected, 1)


def test_runs_end_though_the_broker_forgets_everything_again_and_again(tmp_path: Path) -> None:
    with World(tmp_path) as world, redis.Redis.from_url(world.server.broker_url) as broker:
        world.deploy(chain(ms=1))
        with world.crew(1):
            world.idle()
            runs: list[str] = []
            for _ in range(20):
                runs += world.send("e2e/chain", 2)
                broker.flushdb()
            details = world.ended(runs)
    assert {detail.run.status for detail in details} == {"succeeded"}


def commands(info: dict[str, Any]) -> dict[str, int]:
    return {name.removeprefix("cmdstat_"): entry["calls"] for name, entry in info.items()}


def test_idle_workers_are_rung_and_do_not_poll(tmp_path: Path, figure: Callable[[str], None]) -> None:
    processes, lease_s = 2, 3
    with World(tmp_path, LEASE=f"{lease_s}s") as world, world.client() as client:
        world.deploy(chain(ms=1))
        with world.crew(processes):
            world.ended(world.send("e2e/chain", 4))
            until(lambda: len(world.service.stats().workers) == processes, "both workers")
            client.config_resetstat()
            began = world.service.store.now_ms()
            until(lambda: world.service.store.now_ms() - began >= lease_s * 1000, "one lease", every_s=0.25)
            counts = commands(client.info("commandstats"))
    scripts = sum(counts.get(name, 0) for name in ("evalsha", "eval", "fcall"))
    blocking = counts.get("blpop", 0)
    # A second of an idle process: one sweep, one blocking wait for a hint and a look at the queue before and after.
    assert scripts <= processes * (lease_s + 1) * 4
    assert blocking <= processes * (lease_s + 1) * 2
    figure(f"{processes} idle processes, {lease_s} s: {scripts} script calls, {blocking} blocking waits")
