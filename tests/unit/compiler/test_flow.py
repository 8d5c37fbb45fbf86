"""Flow control in plans, and what its keys may read."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.diagnostics import Severity
from flowlang.plan import Batch, Concurrency, Debounce, Idempotency, Plan, QueueRule, RateLimit, Throttle, Uses
from tests.unit.compiler.compiling import compile_text, findings

ORDER = {"type": "object", "properties": {"shop": {"type": "string"}, "n": {"type": "integer"}}, "required": ["shop"]}


def compiled(keys: str, steps: str = "  - {id: a, set: {x: 1}}") -> Any:
    text = f"flowlang: 1\npipeline: p\ntriggers: [{{event: shop/order}}]\n{keys}\nsteps:\n{steps}\n"
    return compile_text(text, schemas={"shop/order": ORDER})


def plan(keys: str, steps: str = "  - {id: a, set: {x: 1}}") -> Plan:
    made = compiled(keys, steps)
    assert findings(made, least=Severity.ERROR) == [], made.diagnostics
    found: Plan = made.plans["p"]
    return found


WRITTEN = [
    ("expires: 1h", {"expires_ms": 3_600_000}),
    ("idempotency: {key: event.data.shop}", {"idempotency": Idempotency("event.data.shop")}),
    ("rate_limit: {limit: 5, period: 1m}", {"rate_limit": RateLimit(5, 60_000)}),
    ("rate_limit: {limit: 5, period: 1m, key: event.id}", {"rate_limit": RateLimit(5, 60_000, "event.id")}),
    ("debounce: {period: 1s, max: 1m}", {"debounce": Debounce(1_000, 60_000)}),
    ("batch: {size: 10, period: 5s, key: event.data.shop}", {"batch": Batch(10, 5_000, "event.data.shop")}),
    ("priority: 60", {"priority": "60"}),
    ("priority: size(event.data.shop)", {"priority": "size(event.data.shop)"}),
    ("throttle: {limit: 2, period: 1s, burst: 4}", {"throttle": Throttle(2, 1_000, 4)}),
    ("concurrency: {limit: 2}", {"concurrency": Concurrency(2)}),
    (
        "concurrency: {limit: 2, key: event.data.shop, scope: project, hold: run}",
        {"concurrency": Concurrency(2, "event.data.shop", "project", "wait", "run")},
    ),
    (
        "concurrency: {limit: 2, on_limit: cancel_oldest}",
        {"concurrency": Concurrency(2, on_limit="cancel_oldest", hold="run")},
    ),
    ("vars: {s: '${{ event.data.shop }}'}\nthrottle: {limit: 1, period: 1s, key: vars.s}", {}),
    ("vars: {s: '${{ event.data.shop }}'}\nrate_limit: {limit: 1, period: 1s, key: vars.s}", {}),
]


@pytest.mark.parametrize(("keys", "fields"), WRITTEN, ids=[keys for keys, _ in WRITTEN])
def test_what_is_written_is_in_the_plan(keys: str, fields: dict[str, Any]) -> None:
    made = plan(keys)

    assert {name: getattr(made, name) for name in fields} == fields


def test_limits_of_a_step() -> None:
    step = (
        "  - {id: a, uses: any.thing, queue: heavy, concurrency: {limit: 2, key: event.data.shop},"
        " throttle: {limit: 1, period: 1s, key: event.id}}"
    )
    made = plan("", step).steps[0]

    assert isinstance(made.verb, Uses)
    assert (made.verb.queue, made.verb.concurrency) == ("heavy", Concurrency(2, "event.data.shop"))
    assert made.throttle == Throttle(1, 1_000, 1, "event.id")


def test_a_batch_sees_its_events() -> None:
    made = plan(
        "batch: {size: 2, period: 1s}\nvars: {all: '${{ events.map(e, e.data.shop) }}'}\n"
        "concurrency: {limit: 2, key: 'events[0].data.shop'}\noutput: '${{ vars.all }}'\npriority: events.size()",
        "  - {id: a, set: {x: '${{ events.size() }}'}}",
    )

    assert made.concurrency == Concurrency(2, "events[0].data.shop")


BATCH = "batch: {size: 2, period: 1s}\n"
MISTAKES = [
    ("concurrency: {limit: 2, key: event.data.shpo}", "FL214"),
    ("rate_limit: {limit: 1, period: 1s, key: steps.a.output}", "FL202"),
    ("throttle: {limit: 1, period: 1s, key: now()}", "FL207"),
    ("priority: event.data.shop", "FL211"),
    (BATCH + "throttle: {limit: 1, period: 1s, key: event.id}", "FL202"),
    (BATCH + "rate_limit: {limit: 1, period: 1s, key: 'events[0].id'}", "FL202"),
    (BATCH + "vars: {a: 1}\nidempotency: {key: vars.a}", "FL202"),
    (BATCH + "vars: {a: '${{ event.id }}'}", "FL202"),
    (BATCH + "output: '${{ event.id }}'", "FL202"),
]


@pytest.mark.parametrize(("keys", "code"), MISTAKES, ids=[keys for keys, _ in MISTAKES])
def test_keys_are_checked_where_they_stand(keys: str, code: str) -> None:
    assert [found for found, _, _ in findings(compiled(keys), least=Severity.ERROR)] == [code]


def test_queues_are_in_the_manifest() -> None:
    project = "flowlang: 1\nproject: x\nqueues: {critical: {order: 0, share: 25%}, slow: {limit: 3}}\n"
    manifest = compile_text("flowlang: 1\npipeline: p\nsteps: [{sleep: 1s}]\n", project=project).manifest

    assert manifest is not None
    assert manifest.queues == {"critical": QueueRule(0, 25), "slow": QueueRule(10, 0, 3)}
