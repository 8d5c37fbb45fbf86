"""A small project on the memory store, for tests of the use cases and of HTTP."""

from __future__ import annotations

from typing import Any

from flowlang.clock import ManualClock
from flowlang.plan import (
    CronTrigger,
    EventSchema,
    EventTrigger,
    Idempotency,
    Manifest,
    Plan,
    SetValues,
    Step,
    WebhookSource,
)
from flowlang.service import Service
from flowlang.store.codec import PlainSealer
from flowlang.store.memory import MemoryStore

ORDER_SCHEMA = {
    "type": "object",
    "required": ["order_id", "items"],
    "properties": {
        "order_id": {"type": "string"},
        "total": {"type": "integer"},
        "items": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
    },
}
ORDER = {"order_id": "o1", "total": 3, "items": [{"sku": "a"}]}
STRIPE = WebhookSource(
    "stripe",
    "stripe",
    ("STRIPE_SECRET",),
    event="stripe/${{ body.type }}",
    ident="${{ body.id }}",
    data="${{ body.data.object }}",
)
CRM = WebhookSource("crm", "standard-webhooks", ("CRM_SECRET",), event="crm/${{ body.kind }}")


def plan(pipeline: str, **more: Any) -> Plan:
    steps = (Step(0, "total", SetValues({"n": "${{ 1 + 1 }}"})),)
    return Plan(pipeline=pipeline, steps=steps, block=(0,), **more)


PLANS = (
    plan("place-order", triggers=(EventTrigger(("shop/order",)),), idempotency=Idempotency("event.data.order_id")),
    plan("big-order", triggers=(EventTrigger(("shop/order",), condition="event.data.total > 100"),)),
    plan("ratio", triggers=(EventTrigger(("shop/ratio",), condition="event.data.a / event.data.b > 1"),)),
    plan("paid", triggers=(EventTrigger(("stripe/*", "crm/*")),)),
    plan("report", triggers=(CronTrigger(("0 * * * *",)),)),
    plan("by-hand", input_schema={"required": ["name"], "properties": {"name": {"type": "string"}}}),
)


def manifest(*plans: Plan, **more: Any) -> Manifest:
    return Manifest(
        project="test",
        pipelines={each.pipeline: each.digest for each in plans},
        events=(EventSchema("shop/order", ORDER_SCHEMA), EventSchema("stripe/invoice.paid", {"required": ["amount"]})),
        webhooks=(STRIPE, CRM),
        **more,
    )


class World:
    """A deployed project with its clock and store."""

    def __init__(self, *, deployed: bool = True, **more: Any) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.service = Service(self.store, PlainSealer(), salt=b"test", pause=lambda _: None)
        if deployed:
            self.service.deploy(manifest(*PLANS, **more), PLANS)

    def another(self) -> Service:
        """A second process on the same store."""
        return Service(self.store, PlainSealer(), salt=b"test", pause=lambda _: None)
