"""Other versions become active while runs of the old ones are alive, and workers of two releases stand side by side."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Self

import msgspec

from flowlang.plan import Plan
from flowlang.project.signatures import read_signatures
from flowlang.service import IncomingEvent
from tests.e2e.pipelines import KEYS, chain
from tests.e2e.waiting import until
from tests.e2e.world import PROJECT, World
from tests.unit.engine.building import plan, uses

NEXT = PROJECT.with_name("project_next")


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


def checked(made: Plan, project: Path) -> Plan:
    """A plan as it is deployed from a project: with the signatures of its handlers."""
    signatures, _ = read_signatures(project, entry_points=False)
    return msgspec.structs.replace(made, handlers={name: signatures[name].digest for name in ("work.do",)})


def renamed() -> Plan:
    """The chain of the next release: a step has another name and handler."""
    return plan(
        uses("a", "work.do", {"n": "${{ event.data.n }}", "ms": 300}),
        uses("added", "work.more", {"n": "${{ steps.a.output }}"}),
        uses("c", "work.do", {"n": "${{ steps.added.output }}", "ms": 300, "by": 10}),
        pipeline="chain",
        on="e2e/chain",
        output="${{ steps.c.output }}",
    )


class Sender:
    """Sends one event after the other from a thread of its own, until told to stop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.runs: dict[int, list[str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            n = len(self.runs)
            (answer,) = self.world.service.ingest([IncomingEvent(name="e2e/chain", data={"n": n})])
            self.runs[n] = [run.id for run in answer.runs]

    def more(self, count: int) -> None:
        """Wait until so many more have been sent."""
        enough = len(self.runs) + count
        until(lambda: len(self.runs) >= enough, f"{count} events more")


def test_a_rolling_deploy_under_load_routes_each_event_once_and_each_run_ends_as_its_version_says(
    tmp_path: Path,
) -> None:
    first = checked(chain(ms=150), PROJECT)
    second = checked(renamed(), NEXT)
    third = chain(ms=20, keys=("a", "c"))
    versions = {first.digest: "first", second.digest: "second", third.digest: "third"}
    with World(tmp_path) as world:
        world.deploy(first)
        with world.crew(2) as old, world.crew(2, PROJECT=str(NEXT)) as new:
            until(lambda: len(world.service.stats().workers) == 4, "four workers")
            old_pids, new_pids = set(old.pids), set(new.pids)
            with Sender(world) as sender:
                sender.more(40)
                world.deploy(second)
                sender.more(40)
                world.deploy(third)
                sender.more(3)
                alive = [
                    run for status in ("running", "pending") for run in world.service.runs(status=status, limit=1000)
                ]
                beside = world.ledger.lines("begin")
                old.stop()  # the last processes of the old release go; what they had left is the others'
                sender.more(10)
            sent = sender.runs
            details = {detail.run.id: detail for detail in world.ended(run for runs in sent.values() for run in runs)}
        lines = world.ledger.lines("begin")

    assert {versions[run.version] for run in alive} == {"first", "second", "third"}
    assert all(len(runs) == 1 for runs in sent.values()), "each event is routed once"
    assert len(details) == len(sent)
    by_version = Counter(versions[detail.run.version] for detail in details.values())
    assert set(by_version) == {"first", "second", "third"}
    grown = {"first": 5, "second": 111, "third": 2}
    steps = {"first": set(KEYS), "second": {"a", "added", "c"}, "third": {"a", "c"}}
    for detail in details.values():
        version = versions[detail.run.version]
        assert detail.run.status == "succeeded"
        assert detail.output - detail.event.data["n"] == grown[version], version
        assert {line.step for line in lines if line.run == detail.run.id} == steps[version]
    runs = {name: {run for run, each in details.items() if versions[each.run.version] == name} for name in grown}
    assert {line.pid for line in lines if line.run in runs["second"]} <= new_pids, "the old release cannot serve it"
    assert {line.pid for line in beside if line.run in runs["first"]} <= old_pids, (
        "the new release leaves it to the old"
    )
