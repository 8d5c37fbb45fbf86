"""`allow`: who may call, cancel, replay and delete; the operator always may, and events start it all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowlang.engine.ports import Grants
from flowlang.plan import EventTrigger, Fail, Plan, Step
from flowlang.service import ANYBODY, OPERATOR, Caller, IncomingEvent, NotAllowedError, NotFoundError
from flowlang.simulate import Simulation
from tests.unit.service.world import World, manifest, plan

ALL = Grants(call=("*",), control=("*",), delete=("*",))
WEB = Caller({"web"}, ALL, "web")


def guarded(allow: tuple[str, ...] | None = ("ops", "billing")) -> Plan:
    return plan("guarded", triggers=(EventTrigger(("shop/guarded",)),), allow=allow)


def world(*plans: Plan) -> World:
    made = World(deployed=False)
    made.service.deploy(manifest(*plans), plans)
    return made


@pytest.mark.parametrize(
    ("allow", "caller", "may"),
    [
        (None, ANYBODY, False),
        (None, Caller({"web"}, ALL), True),
        (("ops",), Caller({"web"}, ALL), False),
        (("ops",), Caller({"web"}, Grants(admin=True)), False),
        (("ops",), Caller({"web", "ops"}, ALL), True),
        (("ops",), Caller({"web", "ops"}), False),
        (("ops",), Caller({"web", "ops"}, Grants(call=("other",), control=("other",))), False),
        (("ops", "billing"), Caller({"billing"}, ALL), True),
        ((), Caller({"ops"}, ALL), False),
        ((), OPERATOR, True),
        (("ops",), OPERATOR, True),
    ],
)
def test_a_pipeline_is_called_and_its_runs_are_cancelled_by_those_it_names(
    allow: tuple[str, ...] | None, caller: Caller, may: bool
) -> None:
    service = world(guarded(allow)).service
    (run,) = service.ingest([IncomingEvent(name="shop/guarded")])[0].runs

    assert allowed(lambda: service.call("guarded", {}, caller=caller)) is may
    assert allowed(lambda: service.cancel(run.id, caller=caller)) is may

    assert len(service.runs()) == (2 if may else 1)


@pytest.mark.parametrize("caller", [WEB, OPERATOR])
def test_an_ended_run_is_deleted_by_those_whom_its_pipeline_names(caller: Caller) -> None:
    made = world(guarded())
    simulation = Simulation([guarded()], {}, store=made.store, clock=made.clock)
    run = simulation.call("guarded")
    simulation.run_until_idle()
    made.service.refresh()

    assert allowed(lambda: made.service.delete(run, caller=caller)) is (caller is OPERATOR)
    assert len(made.service.runs()) == (0 if caller is OPERATOR else 1)


def allowed(act: Callable[[], Any]) -> bool:
    try:
        act()
    except NotAllowedError:
        return False
    return True


def test_a_refusal_says_whom_the_pipeline_names() -> None:
    service = world(guarded()).service

    with pytest.raises(NotAllowedError) as caught:
        service.call("guarded", {}, caller=WEB)

    assert str(caught.value) == (
        "`allow` of the pipeline 'guarded' names ops, billing; the key 'web' is none of them, and in no such group"
    )


@pytest.mark.parametrize("caller", [WEB, OPERATOR])
def test_a_failed_run_is_replayed_by_those_whom_its_pipeline_names(caller: Caller) -> None:
    broken = Plan("guarded", (Step(0, "bad", Fail()),), (0,), allow=("ops",))
    made = world(broken)
    simulation = Simulation([broken], {}, store=made.store, clock=made.clock)
    run = simulation.call("guarded")
    simulation.run_until_idle()
    assert simulation.finished(run).status == "failed"
    made.service.refresh()

    assert allowed(lambda: made.service.retry_dead_letter(run, caller=caller)) is (caller is OPERATOR)


def test_what_is_deployed_decides_about_old_runs_and_their_own_version_when_the_pipeline_is_gone() -> None:
    made = world(guarded(None))
    run = made.service.call("guarded", {})
    made.service.deploy(manifest(guarded()), (guarded(),))
    late = made.service.call("guarded", {})
    assert not allowed(lambda: made.service.cancel(run.id, caller=WEB))

    other = plan("other")
    made.service.deploy(manifest(other), (other,))
    assert not allowed(lambda: made.service.cancel(late.id, caller=WEB))
    assert allowed(lambda: made.service.cancel(run.id, caller=WEB))


def test_a_run_that_is_not_there_is_not_found_whoever_asks() -> None:
    with pytest.raises(NotFoundError):
        world(guarded()).service.cancel("r00-none", caller=WEB)
