"""A version is the hash of all that decides what a run does, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.project import load_project

FILES = {
    "flowlang.yaml": """
flowlang: 1
project: shop
retries:
  gentle: {errors: transient, attempts: 4}
  unused: {errors: transient, attempts: 4}
vars:
  support: help@example.com
  greeting: Dear customer of ${{ vars.support }}
  unused: nothing
defaults: {retry: gentle, retention: 3d, labels: {team: shop}}
limits: {event: 100KiB}
""",
    "pipelines/order.yaml": """
flowlang: 1
pipeline: order
triggers:
  - event: shop/ordered
  - event: crm/*
    data: {order_id: none}
input: schemas/order.json
vars: {currency: "${{ env.CURRENCY }}"}
steps:
  - id: charge
    uses: pay.charge
    with: {order: "${{ event.data.order_id }}", currency: "${{ vars.currency }}"}
  - emit: shop/charged
    with: {text: "${{ vars.greeting }}"}
""",
    "pipelines/other.yaml": """
flowlang: 1
pipeline: other
steps:
  - {id: one, uses: mail.send, with: {to: me}}
""",
    "schemas/order.json": '{"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}',
    "schemas/events/shop/ordered.json": '{"type": "object", "properties": {"order_id": {"type": "string"}}}',
    "schemas/events/shop/charged.json": '{"type": "object", "properties": {"text": {"type": "string"}}}',
    "schemas/events/crm/lead.json": '{"type": "object", "properties": {"name": {"type": "string"}}}',
    "schemas/events/shop/other.json": '{"type": "object"}',
    "handlers/pay.py": """
from flowlang import handler

@handler("pay.charge", effect="keyed")
def charge(order: str, currency: str = "EUR") -> dict[str, str]:
    return {"id": order}

@handler("pay.refund", effect="keyed")
def refund(order: str) -> None:
    pass
""",
    "handlers/mail.py": """
from flowlang import handler

@handler("mail.send", effect="idempotent", timeout="10s")
def send(to: str) -> None:
    pass
""",
}  # fmt: skip


def versions(folder: Path, *, currency: str = "EUR", **changes: str) -> dict[str, str]:
    for path, text in {**FILES, **changes}.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    environ = {"CURRENCY": currency, "ANOTHER": currency}
    project = load_project(folder, environ=environ, deploying=True, entry_points=False)
    assert project.manifest is not None, [item.message for item in project.diagnostics]
    return project.manifest.pipelines


@pytest.mark.parametrize(
    ("what", "path", "old", "new", "changed"),
    [
        ("a step", "pipelines/order.yaml", "id: charge", "id: pay", {"order"}),
        ("an argument", "pipelines/order.yaml", 'order: "$', 'order: "no $', {"order"}),
        ("a trigger", "pipelines/order.yaml", "crm/*", "crm/lead", {"order"}),
        ("a retry policy that is used", "flowlang.yaml", "gentle: {errors: transient, attempts: 4}", "gentle: {errors: transient, attempts: 5}", {"order", "other"}),
        ("a var that is read by another", "flowlang.yaml", "help@example.com", "sos@example.com", {"order"}),
        ("a var that is read", "flowlang.yaml", "Dear customer", "Hello", {"order"}),
        ("a default", "flowlang.yaml", "retention: 3d", "retention: 4d", {"order", "other"}),
        ("a label of the project", "flowlang.yaml", "team: shop", "team: sales", {"order", "other"}),
        ("the input", "schemas/order.json", '"required": ["order_id"]', '"required": ["order_id"], "minProperties": 1', {"order"}),
        ("the schema of a trigger's event", "schemas/events/shop/ordered.json", '"string"', '"string", "minLength": 1', {"order"}),
        ("the schema of an event that a pattern stands for", "schemas/events/crm/lead.json", '"string"', '"integer"', {"order"}),
        ("the schema of an event that is sent", "schemas/events/shop/charged.json", '"string"', '"string", "minLength": 1', {"order"}),
        ("what a handler takes", "handlers/pay.py", "order: str, currency", "order: str | None, currency", {"order"}),
        ("what a handler returns", "handlers/pay.py", "dict[str, str]", "dict[str, object]", {"order"}),
        ("what a handler does outside", "handlers/pay.py", '"pay.charge", effect="keyed"', '"pay.charge", effect="idempotent"', {"order"}),
        ("a handler's time", "handlers/mail.py", "10s", "20s", {"other"}),
    ],
)  # fmt: skip
def test_a_version_changes_with_what_its_pipeline_uses(
    tmp_path: Path, what: str, path: str, old: str, new: str, changed: set[str]
) -> None:
    before = versions(tmp_path)
    assert FILES[path].count(old) == 1, f"{old!r} stands for {what}"
    after = versions(tmp_path, **{path: FILES[path].replace(old, new)})
    assert {name for name in before if before[name] != after[name]} == changed, what


@pytest.mark.parametrize(
    ("what", "path", "old", "new"),
    [
        ("a comment", "pipelines/order.yaml", "steps:\n", "# what is done\nsteps:\n"),
        ("the order of keys", "pipelines/other.yaml", "{id: one, uses: mail.send,", "{uses: mail.send, id: one,"),
        ("a policy that nobody uses", "flowlang.yaml", "unused: {errors: transient, attempts: 4}", "unused: {errors: transient, attempts: 5}"),
        ("the name of a policy", "flowlang.yaml", "unused: {", "spare: {"),
        ("a var that nobody reads", "flowlang.yaml", "unused: nothing", "unused: something"),
        ("a limit", "flowlang.yaml", "100KiB", "200KiB"),
        ("the schema of another event", "schemas/events/shop/other.json", '"object"', '"object", "minProperties": 1'),
        ("the code of a handler", "handlers/pay.py", '{"id": order}', '{"id": order + "!"}'),
        ("where a handler stands", "handlers/pay.py", "from flowlang import handler\n", "from flowlang import handler\n\n\n\n"),
        ("a handler that is not called", "handlers/pay.py", "def refund(order: str)", "def refund(order: int)"),
    ],
)  # fmt: skip
def test_a_version_stays_when_something_else_changes(tmp_path: Path, what: str, path: str, old: str, new: str) -> None:
    before = versions(tmp_path)
    assert FILES[path].count(old) == 1, f"{old!r} stands for {what}"
    assert versions(tmp_path, **{path: FILES[path].replace(old, new)}) == before, what


def test_a_version_changes_with_the_values_of_the_environment_that_are_read(tmp_path: Path) -> None:
    euros, francs = versions(tmp_path), versions(tmp_path, currency="CHF")
    assert {name for name in euros if euros[name] != francs[name]} == {"order"}
