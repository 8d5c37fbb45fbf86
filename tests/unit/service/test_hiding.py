"""What is marked is hidden in views: by its place whatever it is, and wherever its value was carried on to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.clock import ManualClock
from flowlang.engine import sealed_fields
from flowlang.engine.intake import DeadEvent
from flowlang.engine.ports import DeadRow
from flowlang.engine.state import Event, decode_meta
from flowlang.plan import (
    EventSchema,
    EventTrigger,
    Invoke,
    Manifest,
    MarkedHints,
    Plan,
    SetValues,
    Step,
    Uses,
    WebhookSource,
)
from flowlang.redaction import HIDDEN
from flowlang.service import IncomingEvent, Service
from flowlang.service.hiding import Hiding
from flowlang.service.views import opened_dead
from flowlang.simulate import SimulatedError, Simulation
from flowlang.store.codec import PlainSealer
from flowlang.store.memory import MemoryStore

SCHEMA = {
    "properties": {
        "email": {"type": "string", "x-sensitive": True},
        "ill": {"type": "boolean", "x-sensitive": True},
        "sku": {"type": "string"},
    },
    "required": ["email"],
}
CRM = WebhookSource("crm", "stripe", ("S",), event="no name ${{ body.email }}")
EMAIL, TOKEN, SKU = "zoe@example.com", "tok-4242", "sku-1"
PLANS = (
    Plan(
        pipeline="pay",
        triggers=(EventTrigger(("shop/paid",)),),
        vars=(("who", "for ${{ event.data.email }}"),),
        steps=(
            Step(0, "pay", Uses("bank.pay", {"to": "${{ event.data.email }}"})),
            Step(1, "kept", SetValues({"token": "${{ steps.pay.output.token }}", "sku": "${{ event.data.sku }}"})),
            Step(
                2, "sub", Invoke("sub", {"mail": "${{ event.data.email }}", "sku": "${{ event.data.sku }}"}, wait=True)
            ),
            Step(3, "n", SetValues({"n": "${{ int(event.data.email) }}"})),
        ),
        block=(0, 1, 2, 3),
        marked={"bank.pay": MarkedHints(returns={"properties": {"token": {"x-sensitive": True}}})},
    ),
    Plan(pipeline="sub", steps=(Step(0, "a", SetValues({"m": "to ${{ event.data.mail }}"})),), block=(0,)),
    Plan(
        pipeline="mapped",
        triggers=(EventTrigger(("shop/paid",), data={"m": "${{ event.data.email }}", "sku": "${{ event.data.sku }}"}),),
        steps=(Step(0, "a", SetValues({"m": "${{ event.data.m }}"})),),
        block=(0,),
    ),
    Plan(
        pipeline="wrong",
        triggers=(EventTrigger(("shop/paid",), condition="int(event.data.email) > 0 && event.data.ill"),),
        steps=(),
        block=(),
    ),
    Plan(
        pipeline="never",
        triggers=(EventTrigger(("shop/paid",), condition="event.data.ill && event.data.email == ''"),),
        steps=(),
        block=(),
    ),
)


class World:
    def __init__(self) -> None:
        clock = ManualClock()
        store = MemoryStore(clock)
        manifest = Manifest(
            "t",
            {plan.pipeline: plan.digest for plan in PLANS},
            events=(EventSchema("shop/paid", SCHEMA),),
            webhooks=(CRM,),
        )
        self.sim = Simulation(PLANS, {"bank.pay": self.pay}, manifest=manifest, store=store, clock=clock)
        self.service = Service(store, PlainSealer(), pause=lambda _: None)
        self.service.deploy(manifest, PLANS)
        self.fails = False

    def pay(self, call: Any) -> Any:
        del call
        if self.fails:
            raise SimulatedError("permanent", "no", "no")
        return {"token": TOKEN, "state": "open"}

    def paid(self) -> Any:
        event = IncomingEvent(name="shop/paid", data={"email": EMAIL, "ill": True, "sku": SKU}, user=EMAIL)
        answer = self.service.ingest([event])[0]
        self.sim.run_until_idle()
        return answer


@pytest.fixture
def world() -> World:
    return World()


def text(view: Any) -> str:
    return msgspec.json.encode(view).decode()


def test_runs_show_nothing_that_is_marked_nor_what_was_carried_on(world: World) -> None:
    world.paid()
    runs = world.service.runs()
    assert {run.pipeline for run in runs} == {"pay", "sub", "mapped"}
    for run in runs:
        shown, revealed = world.service.run(run.id), world.service.run(run.id, reveal=True)
        assert EMAIL not in text(shown)
        assert TOKEN not in text(shown)
        assert SKU in text(shown)
        assert EMAIL in text(revealed)
        assert [step.status for step in shown.steps] == [step.status for step in revealed.steps]


def test_where_marked_values_were_carried_on_to_is_kept_and_not_shown(world: World) -> None:
    world.paid()
    carried = {
        run.pipeline: run.id
        for run in world.service.runs()
        if (rows := world.sim.store.run(run.id)) is not None
        and decode_meta(world.sim.sealer.open(rows.row.meta, sealed_fields.META, run.id)).event.hidden
    }
    assert set(carried) == {"sub", "mapped"}
    for run in carried.values():
        for reveal in (False, True):
            assert '"hidden"' not in text(world.service.run(run, reveal=reveal))


def test_a_letter_of_an_event_that_carries_on_what_is_marked_does_not_say_where(world: World) -> None:
    event = Event("e", "shop/told", {"mail": EMAIL, "sku": SKU}, hidden=(("mail",),))
    body = msgspec.json.encode(DeadEvent(event, dedupe=EMAIL))
    sealer = PlainSealer()
    row = DeadRow("e", "event", "shop/told", 0, sealer.seal(body, "e", sealed_fields.DEAD))
    dead = opened_dead(row, sealer)
    shown = Hiding(world.service.catalog).dead(dead)
    assert shown.event is not None
    assert (shown.event.event.data, shown.event.dedupe) == ({"mail": HIDDEN, "sku": SKU}, HIDDEN)
    for each in (shown, dead.detail):
        assert '"hidden"' not in text(each)


def test_marked_fields_are_hidden_whatever_they_hold(world: World) -> None:
    answer = world.paid()
    assert world.service.event(answer.event).event.data == {"email": HIDDEN, "ill": HIDDEN, "sku": SKU}
    assert world.service.event(answer.event).event.user == HIDDEN
    run = next(run for run in world.service.runs() if run.pipeline == "pay")
    detail = world.service.run(run.id)
    assert detail.event.data == {"email": HIDDEN, "ill": HIDDEN, "sku": SKU}
    assert detail.vars == {"who": f"for {HIDDEN}"}
    outputs = {step.step: step.output for step in detail.steps}
    assert outputs["pay"] == {"token": HIDDEN, "state": "open"}
    assert outputs["kept"] == {"token": HIDDEN, "sku": SKU}
    assert detail.error is not None
    assert HIDDEN in detail.error["message"] or EMAIL not in detail.error["message"]


def test_why_a_trigger_made_no_run_names_no_value(world: World) -> None:
    answer = world.paid()
    (ignored,) = world.service.event(answer.event).ignored
    assert ignored.values == {"event.data.email": HIDDEN, "event.data.ill": HIDDEN}
    letter = world.service.dead_letter(answer.event)
    assert letter.event is not None
    (problem,) = letter.event.problems
    assert set(problem.values.values()) == {HIDDEN}
    assert EMAIL not in text(letter)
    assert EMAIL in text(world.service.dead_letter(answer.event, reveal=True))


def test_data_without_a_name_are_hidden_as_a_whole(world: World) -> None:
    answer = world.service.ingest_webhook(CRM, {}, {"email": EMAIL, "other": "x"})
    letter = world.service.dead_letter(answer.event)
    assert letter.event is not None
    assert letter.event.event.data == HIDDEN
    assert EMAIL not in text(letter)
    assert world.service.shown_of(answer.event, {"email": EMAIL}) == HIDDEN


def test_corrected_data_are_shown_as_those_that_were_sent(world: World) -> None:
    answer = world.paid()
    made = {"email": "new@example.com", "sku": f"for {EMAIL}"}
    assert world.service.shown_of(answer.event, made) == {"email": HIDDEN, "sku": f"for {HIDDEN}"}
