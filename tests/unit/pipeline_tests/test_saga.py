"""The saga of the language's description: two failures, a crash and a declined card, with undos."""

from __future__ import annotations

from pathlib import Path

from flowlang.pipeline_tests import Suite
from flowlang.project import load_project
from tests.unit.project.projects import write_project

FILES = {
    "handlers/shop.py": """
from typing import Any

from flowlang import handler


@handler("orders.create", effect="idempotent")
def create(id: str, items: list[Any]) -> dict[str, Any]:
    raise NotImplementedError


@handler("orders.set_status", effect="idempotent")
def set_status(id: str, status: str) -> dict[str, Any]:
    raise NotImplementedError


@handler("payments.charge", effect="idempotent")
def charge(order: str, amount: int) -> dict[str, Any]:
    raise NotImplementedError


@handler("payments.refund", effect="idempotent")
def refund(order: str) -> dict[str, Any]:
    raise NotImplementedError


@handler("inventory.reserve", effect="idempotent")
def reserve(sku: str, quantity: int) -> dict[str, Any]:
    raise NotImplementedError


@handler("inventory.release", effect="idempotent")
def release(sku: str, quantity: int) -> dict[str, Any]:
    raise NotImplementedError


@handler("mail.send", effect="idempotent")
def send(to: str, template: str) -> dict[str, Any]:
    raise NotImplementedError


@handler("sns.publish", effect="idempotent")
def publish(topic: str, message: str) -> dict[str, Any]:
    raise NotImplementedError
""",
    "pipelines/order-saga.yaml": """flowlang: 1
pipeline: place-order
triggers:
  - event: shop/order-placed
idempotency: {key: event.data.order_id, ttl: 7d}
timeout: 15m
steps:
  - id: order
    uses: orders.create
    with: {id: "${{ event.data.order_id }}", items: "${{ event.data.items }}"}
    timeout: 10s
    undo: {uses: orders.set_status, with: {id: "${{ event.data.order_id }}", status: failed}}
  - id: pay
    uses: payments.charge
    with: {order: "${{ event.data.order_id }}", amount: "${{ event.data.total_cents }}"}
    timeout: 10s
    undo: {uses: payments.refund, with: {order: "${{ event.data.order_id }}"}}
    catch:
      errors: card_declined
      steps:
        - {id: ask_again, uses: mail.send, with: {to: "${{ event.data.email }}", template: card_declined}}
        - fail: ${{ error }}
  - id: reserve
    foreach: {in: event.data.items, as: line, max_parallel: 10}
    uses: inventory.reserve
    with: {sku: "${{ line.sku }}", quantity: "${{ line.quantity }}"}
    timeout: 10s
    undo: {uses: inventory.release, with: {sku: "${{ line.sku }}", quantity: "${{ line.quantity }}"}}
  - id: tell
    tolerate: true
    uses: sns.publish
    with: {topic: orders, message: "${{ event.data.order_id }} placed"}
  - emit: shop/order-confirmed
    with: {order_id: "${{ event.data.order_id }}"}
on_failure:                                # after the undos
  - {id: apologise, uses: mail.send, with: {to: "${{ event.data.email }}", template: order_failed}}
""",
    "pipelines/order-saga.test.yaml": """test: two transient errors and a crash cost nothing
pipeline: place-order
given: {event: shop/order-placed, data: {order_id: o1, items: [], total_cents: 900, email: a@example.com}}
handlers:                                    # a scripted entry is consumed by a recorded attempt
  orders.create: {return: {id: o1}}
  payments.charge: [{fail: transient}, {fail: transient}, {return: {id: ch1}}]
  sns.publish: {return: {}}
faults: [{crash: before_commit, step: pay, attempt: 3}]
then: {status: succeeded, calls: {payments.charge: 4}, steps: {pay: {attempts: 3}}, emitted: [shop/order-confirmed]}
---
test: a declined card asks again, fails and undoes the order
pipeline: place-order
given: {event: shop/order-placed, data: {order_id: o2, items: [{sku: a, quantity: 1}], total_cents: 900, email: a@example.com}}
handlers:
  orders.create: {return: {id: o2}}
  orders.set_status: {return: {}}
  payments.charge: {fail: permanent, code: card_declined}
  mail.send: {return: {id: m1}}
then: {status: failed, error: {code: card_declined}, calls: {orders.set_status: 1, mail.send: 2, inventory.reserve: 0}}
---
test: what was reserved is released again, newest first
pipeline: place-order
given:
  event: shop/order-placed
  data: {order_id: o3, items: [{sku: a, quantity: 1}, {sku: b, quantity: 2}], total_cents: 900, email: a@example.com}
handlers:
  orders.create: {return: {id: o3}}
  payments.charge: {return: {id: ch3}}
  inventory.reserve: [{with: {sku: a}, return: {}}, {with: {sku: b}, fail: permanent, code: sold_out}]
  inventory.release: {return: {}}
  payments.refund: [{fail: transient}, {return: {}}]
  orders.set_status: {return: {}}
  mail.send: {return: {id: m1}}
faults: [{crash: before_commit, step: order.undo}]
then:
  status: failed
  error: {code: sold_out}
  undone: ["reserve[0]", pay, order]
  order: [inventory.release, payments.refund, orders.set_status, mail.send]
  steps: {pay.undo: {attempts: 2}}
  calls: {orders.set_status: 2}
  emitted: []
""",
}


def test_each_passes(tmp_path: Path) -> None:
    suite = Suite(load_project(write_project(tmp_path, FILES), entry_points=False))
    results = [suite.run(test) for test in suite.tests]
    assert [(result.name, result.failures) for result in results] == [(test.name, ()) for test in suite.tests]
    assert len(results) == 3
