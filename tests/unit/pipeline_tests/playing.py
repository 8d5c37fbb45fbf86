"""Plays pipeline tests that are written as text, in a small shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.pipeline_tests import Suite, TestResult
from flowlang.project import load_project
from tests.unit.project.projects import PROJECT_FILE, write_project

SHOP = {
    "handlers/shop.py": """
from flowlang import Context, Snooze, Transient, handler


@handler("orders.charge", effect="keyed")
def charge(order: str, ctx: Context, *, cents: int = 0) -> dict[str, str]:
    if order == "busy" and ctx.attempt == 1:
        raise Transient("later")
    return {"id": f"{order}-{ctx.env['SHOP']}-{ctx.attempt}"}


@handler("orders.pack", effect="idempotent")
async def pack(line: str) -> int:
    return len(line)


@handler("mail.send", effect="keyed")
def send(to: str, ctx: Context) -> None:
    ctx.logger.info("sent")
""",
    "schemas/events/shop/order-placed.json": (
        '{"type": "object", "properties": {"id": {"type": "string"}, "lines": {"type": "array"}}, "required": ["id"]}'
    ),
    "pipelines/order.yaml": """
flowlang: 1
pipeline: order
triggers:
  - event: shop/order-placed
    if: event.data.id != 'ignored'
  - {cron: "0 7 * * 1", data: {id: weekly, lines: []}}
vars:
  currency: EUR
  shop: ${{ env.SHOP }}
idempotency: {key: event.data.id}
steps:
  - id: pay
    uses: orders.charge
    with: {order: "${{ event.data.id }}"}
    retry: {attempts: 3, initial: 1m, jitter: none}
    catch:
      - errors: card.*
        steps: [{id: declined, set: {code: "${{ error.code }}"}}]
        output: {id: none}
      - errors: resource
        steps: [{fail: "${{ error }}"}]
  - id: packed
    foreach: {in: "event.data.?lines.orValue([])", as: line, max_parallel: 1}
    uses: orders.pack
    with: {line: "${{ line }}"}
  - id: kind
    switch:
      - {id: small, if: "event.data.?lines.orValue([]).size() < 2", set: {is: small}}
      - {id: large, if: "event.data.?lines.orValue([]).size() > 2", set: {is: large}}
  - id: tell
    if: event.data.id != 'quiet'
    uses: mail.send
    with: {to: "${{ vars.currency }}@${{ vars.shop }}"}
  - emit: shop/order-packed
    with: {id: "${{ event.data.id }}", packed: "${{ steps.packed.output }}"}
output: {charge: "${{ steps.pay.output.id }}", packed: "${{ steps.packed.output }}"}
""",
    "pipelines/listen.yaml": """
flowlang: 1
pipeline: listen
triggers: [{event: shop/order-packed}]
steps:
  - sleep: 7d
  - {id: heard, set: {id: "${{ event.data.id }}"}}
""",
}

SHARED = """
shared:
  pipeline: order
  env: {SHOP: vienna}
  given: {event: shop/order-placed, data: {id: o1, lines: [a, bb]}}
  handlers:
    orders.charge: {return: {id: c1}}
    orders.pack: {return: 1}
    mail.send: {return: null}
---
test: it
"""


class Player:
    """Plays tests in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = write_project(folder, SHOP)
        self.project_file = PROJECT_FILE

    def suite(self, tests: str, **files: str) -> Suite:
        written = {
            "flowlang.yaml": self.project_file,
            "tests/it.test.yaml": tests,
            **{f"tests/{name}.json": text for name, text in files.items()},
        }
        write_project(self.folder, written)
        suite = Suite(load_project(self.folder, entry_points=False))
        assert [item.message for item in suite.project.diagnostics if item.severity == "error"] == []
        return suite

    def play(self, test: str, **files: str) -> TestResult:
        """Play a test; what it does not write is shared."""
        suite = self.suite(SHARED + test, **files)
        return suite.run(suite.tests[0])

    def told(self, test: str, **files: str) -> list[str]:
        """What is not as a test says, as people read it, with the line's text that it points at."""
        result = self.play(test, **files)
        assert result.status != "error", result.failures
        source = result.test.source
        return [
            f"{each.where}: {each.message} [{source.text[each.span.start : each.span.end]}]" for each in result.failures
        ]


@pytest.fixture
def player(tmp_path: Path) -> Player:
    return Player(tmp_path)
