"""A deploy goes on giving events to the runs of versions that it replaces."""

from __future__ import annotations

from flowlang.plan import Awaited, Plan, Step, WaitFor
from tests.unit.service.world import World, manifest, plan

WAITING = Plan(
    pipeline="waiting",
    steps=(Step(0, "paid", WaitFor(("shop/paid",), "incoming.data.id == event.data.id")),),
    block=(0,),
)
BY_ID = Awaited("shop/paid", ("data", "id"))


def waiting_world() -> World:
    world = World(deployed=False)
    world.service.deploy(manifest(WAITING), (WAITING,))
    return world


def test_what_runs_of_an_older_version_wait_for_stays_in_the_manifest() -> None:
    world = waiting_world()
    world.service.call("waiting", {"id": 1})
    other = plan("waiting")
    for _ in range(2):  # the second time the old version is not the active one any more
        world.service.deploy(manifest(other), (other,))
        assert world.service.catalog.manifest.awaited == (BY_ID,)
    keys = world.service.catalog.awaited.keys({"name": "shop/paid", "data": {"id": 1}}, lambda *parts: "/".join(parts))
    assert len(keys) == 2


def test_deploying_the_same_again_raises_no_epoch_because_of_them() -> None:
    world = waiting_world()
    world.service.call("waiting", {"id": 1})
    other = plan("waiting")
    first = world.service.deploy(manifest(other), (other,))
    again = world.service.deploy(manifest(other), (other,))
    assert (again.epoch, again.changed) == (first.epoch, False)


def test_a_version_that_no_run_has_is_forgotten() -> None:
    world = waiting_world()
    first, second = plan("waiting"), plan("other")
    world.service.deploy(manifest(first), (first,))
    world.service.deploy(manifest(second), (second,))
    assert world.service.catalog.manifest.awaited == ()
