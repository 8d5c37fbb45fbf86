"""Worker processes with different keys side by side: what one cannot open another runs, and nothing fails or is lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from flowlang.cli.root import cli
from flowlang.clock import random_bytes
from flowlang.keyring import KEY_BYTES, Keyring
from flowlang.plan import Plan
from tests.e2e.pipelines import CALLS, CHECKPOINTS, chain, fan
from tests.e2e.world import World, checkpoints
from tests.unit.engine.building import emit, plan, uses, wait

ONE, TWO = random_bytes(KEY_BYTES), random_bytes(KEY_BYTES)
OLD, BOTH, LACKING = Keyring({1: ONE}), Keyring({2: TWO, 1: ONE}), Keyring({3: random_bytes(KEY_BYTES)})
COUNT = 8


def waits() -> Plan:
    """A call, an event that is sent later, the wait for it, and a call with what it said."""
    return plan(
        uses("a", "work.do", {"n": "${{ event.data.n }}"}),
        emit("e2e/heard", {"n": "${{ event.data.n }}", "more": "${{ steps.a.output }}"}, key="sent", delay="50ms"),
        wait("b", "e2e/heard", "incoming.data.n == event.data.n", timeout_ms=600_000),
        uses("c", "work.do", {"n": "${{ steps.b.output.data.more }}"}),
        pipeline="waits",
        on="e2e/waits",
        output="${{ steps.c.output }}",
    )


GROWS = {"chain": 5, "fan": 5, "waits": 2}
CALLED = {**CALLS, "waits": {"a", "c"}}
ENDED = {**CHECKPOINTS, "waits": {"a", "sent", "b", "c"}}


def keyrings(world: World) -> tuple[str, str]:
    """What `flowlang doctor` says of the keys of running processes: status and sentence."""
    done = CliRunner().invoke(cli, ["doctor", "--json"], env=world.environ())
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}["keyrings"]
    return found["status"], found["message"]


def check(world: World, runs: dict[str, list[str]]) -> None:
    """All runs have ended as they should, each instance was called once, and the store is whole."""
    details = {name: world.ended(ids) for name, ids in runs.items()}
    for name, found in details.items():
        assert Counter(detail.run.status for detail in found) == {"succeeded": len(runs[name])}
        assert {detail.output - detail.event.data["n"] for detail in found} == {GROWS[name]}
    places = {(run, step) for name, ids in runs.items() for run in ids for step in CALLED[name]}
    calls = world.ledger.calls()
    assert {place: calls[place] for place in places} == dict.fromkeys(places, 1)
    ended = Counter((run, step) for name, ids in runs.items() for run in ids for step in ENDED[name])
    assert checkpoints(detail for found in details.values() for detail in found) == ended
    assert world.service.stats().dead == 0
    assert world.findings() == ()


@pytest.mark.parametrize("lacks", [OLD, LACKING], ids=["an older key alone", "another key"])
def test_what_a_process_cannot_open_is_run_by_one_that_can(
    tmp_path: Path, lacks: Keyring, capfd: pytest.CaptureFixture[str]
) -> None:
    with World(tmp_path, ENCRYPTION_KEYS=BOTH.spelled(), LOG_LEVEL="warning") as world:
        world.deploy(chain(ms=5), fan(ms=5), waits())
        with world.crew(1, ENCRYPTION_KEYS=lacks.spelled()), world.crew(1):
            world.idle(2)
            runs = {name: world.send(f"e2e/{name}", COUNT) for name in GROWS}
            check(world, runs)
            status, said = keyrings(world)
            assert status == "fail"
            assert said.endswith(f"here are key {', '.join(BOTH.marks())}")
        with world.crew(2):
            world.idle(2)
            check(world, {name: world.send(f"e2e/{name}", COUNT) for name in GROWS})
            assert keyrings(world)[0] == "ok"
    lines = [
        line for line in capfd.readouterr().err.splitlines() if "are left to processes that have their key" in line
    ]
    assert lines
    assert len(lines) <= len(BOTH.keys), "a key that is missing is told of once in a while, not for each run"
