"""`flowlang lsp`, driven by a real client through all that it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.lsp.editor import PATIENCE_S, Editor, editor
from tests.unit.project.projects import write_project

ORDER = {
    "type": "object",
    "properties": {
        "email": {"type": "string", "description": "Where the receipt goes."},
        "amount": {"type": "integer"},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
        },
    },
    "required": ["email", "amount", "items"],
}

PIPELINE = """\
flowlang: 1
pipeline: order
description: Charges an order.
triggers:
  - event: shop/placed
vars: {currency: eur}
steps:
  - id: charge
    uses: shop.charge
    with:
      amount: ${{ event.data.amount }}
      note: "🎉 ${{ event.data.email }}"
  - id: note
    set: {total: "${{ event.data.amount * 2 }}", text: "${{ vars.currency }}"}
  - id: tell
    uses: shop.tell
    if: steps.note.output.total > 3
    with: {to: "${{ steps.note.output.text }}", steps: "${{ steps.charge.status }}"}
  - emit: shop/paid
    with:
      ok: true
"""

TEST = """\
test: an order is charged
pipeline: order
given: {event: shop/placed, data: {email: a@example.com, amount: 2, items: []}}
handlers:
  shop.charge: {return: {id: c}}
  shop.tell: {return: {}}
then: {status: succeeded, steps: {note: succeeded, "charge": {attempts: 1}}}
"""

HANDLERS = '''\
from flowlang import handler


@handler("shop.charge", effect="keyed")
def charge(amount: int, note: str = "") -> dict[str, str]:
    """Charge the customer."""
    return {}


@handler("shop.tell", effect="idempotent")
def tell(to: str, steps: str = "") -> None:
    """Tell the customer."""
'''

FILES = {
    "flowlang.yaml": "flowlang: 1\nproject: shop\nretries:\n  gentle: {attempts: 3}\n",
    "pipelines/order.yaml": PIPELINE,
    "pipelines/order.test.yaml": TEST,
    "handlers/shop.py": HANDLERS,
    "schemas/events/shop/placed.json": json.dumps(ORDER, indent=2),
    "schemas/events/shop/paid.json": json.dumps(
        {"type": "object", "properties": {"ok": {"type": "boolean"}, "why": {"type": "string"}}, "required": ["ok"]}
    ),
}

ORDERS = "pipelines/order.yaml"

Session = Callable[[Editor], Awaitable[None]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path, FILES)


def drive(folder: Path, session: Session, **options: list[types.PositionEncodingKind | str]) -> None:
    """Let an editor do something with a project."""

    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S), editor(folder, **options) as client:
            await session(client)

    asyncio.run(run())


def test_findings_follow_what_is_typed_and_go_when_it_is_right(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)
        await client.finds(ORDERS)
        client.write(ORDERS, "steps.note.output.total > 3", "steps.note.output.totl > 3")
        (found,) = await client.finds(ORDERS, "FL214")
        assert (found.code, found.source, found.severity) == ("FL214", "flowlang", types.DiagnosticSeverity.Error)
        assert client.text_in(ORDERS, found.range) == "totl"
        assert "did you mean `total`?" in found.message
        client.write(ORDERS, "steps.note.output.totl > 3", "steps.note.output.total > 3")
        await client.finds(ORDERS)
        assert (folder / ORDERS).read_text() == PIPELINE  # nothing was saved

    drive(folder, session)


def test_a_mistake_in_one_file_shows_in_another_and_closing_forgets_what_was_not_saved(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)
        test = "pipelines/order.test.yaml"
        client.open(test)
        await client.finds(test)
        client.write(ORDERS, "pipeline: order\n", "pipeline: orders\n")
        await client.finds(test, "FL301")
        client.close(ORDERS)
        await client.finds(test)

    drive(folder, session)


def test_the_expressions_know_fields_steps_vars_and_functions(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)
        path = ORDERS
        client.write(path, "${{ event.data.amount }}", "${{ event.data.")
        found = await client.complete(path, client.at(path, "amount: ${{ event.data.|"))
        assert {"email", "amount", "items"} <= set(found)
        assert found["amount"].detail == "int"
        client.write(path, "amount: ${{ event.data.", "amount: ${{ st")
        found = await client.complete(path, client.at(path, "amount: ${{ st|"))
        assert found["steps"].text_edit is not None
        assert isinstance(found["steps"].text_edit, types.TextEdit)
        assert client.text_in(path, found["steps"].text_edit.range) == "st"
        assert found["string"].kind == types.CompletionItemKind.Function
        client.write(path, "amount: ${{ st", "amount: ${{ event.data.items.map(x, x.")
        found = await client.complete(path, client.at(path, "map(x, x.|"))
        assert (next(iter(found)), found["sku"].detail) == ("sku", "string")
        client.write(path, "amount: ${{ event.data.items.map(x, x.", "amount: ${{ event.data.amount }}")
        client.write(path, "if: steps.note.output.total > 3", "if: steps.")
        found = await client.complete(path, client.at(path, "if: steps.|"))
        assert sorted(found) == ["charge", "note"]  # `tell` itself has not ended by then
        client.write(path, "if: steps.", "if: steps.note.output.")
        found = await client.complete(path, client.at(path, "if: steps.note.output.|"))
        assert list(found)[:2] == ["total", "text"]
        client.write(path, "if: steps.note.output.", "if: vars.")
        assert list(await client.complete(path, client.at(path, "if: vars.|"))) == ["currency"]
        client.write(path, "if: vars.", "if: event.data.email.")
        found = await client.complete(path, client.at(path, "if: event.data.email.|"))
        assert "startsWith" in found
        assert "sum" not in found

    drive(folder, session)


def test_the_output_of_a_pipeline_that_is_invoked_is_known(folder: Path) -> None:
    below = "flowlang: 1\npipeline: below\nsteps: [{id: a, set: {n: 1}}]\noutput: {count: '${{ steps.a.output.n }}'}\n"
    above = "flowlang: 1\npipeline: above\nsteps:\n  - {id: b, invoke: below}\n  - {id: c, set: {x: '${{ steps.b.output. }}'}}\n"
    write_project(folder, {"pipelines/below.yaml": below, "pipelines/above.yaml": above})

    async def session(client: Editor) -> None:
        client.open("pipelines/above.yaml")
        at = client.at("pipelines/above.yaml", "steps.b.output.|")
        found = await client.complete("pipelines/above.yaml", at)
        assert (next(iter(found)), found["count"].detail) == ("count", "int")

    drive(folder, session)


def test_keys_handlers_events_and_arguments_are_offered(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)
        path = ORDERS
        client.write(path, "    if: steps.note.output.total > 3\n", "    re\n")
        found = await client.complete(path, client.at(path, "    re|\n"))
        assert {"retry", "undo", "catch", "timeout"} <= set(found)
        assert not {"uses", "sleep", "output"} & set(found)  # it has its verb, which takes no `output`
        client.write(path, "    re\n", "    retry: \n")
        position = client.at(path, "    retry: |")
        assert "gentle" in await client.complete(path, position)
        client.write(path, "    retry: \n", "")
        client.write(path, "uses: shop.tell", "uses: sh")
        found = await client.complete(path, client.at(path, "uses: sh|\n    with: {to"))
        assert sorted(found) == [
            "http.request", "log", "mail.send", "posthog.capture", "shop.charge", "shop.tell", "slack.post",
        ]  # fmt: skip
        documentation = found["shop.tell"].documentation
        assert isinstance(documentation, types.MarkupContent)
        assert documentation.value == "Tell the customer."
        client.write(path, "uses: sh\n    with: {to", "uses: shop.tell\n    with: {to")
        client.write(path, "- emit: shop/paid", "- emit: sh")
        found = await client.complete(path, client.at(path, "- emit: sh|"))
        assert sorted(found) == ["shop/paid", "shop/placed"]  # not the outcome events, which FlowLang alone sends
        client.write(path, "- emit: sh\n", "- emit: shop/paid\n")
        client.write(path, "      ok: true\n", "      ok: true\n      w\n")
        found = await client.complete(path, client.at(path, "      w|\n"))
        assert {name: item.detail for name, item in found.items()} == {"why": "string, optional"}
        client.write(path, "      w\n", "")
        client.write(path, "      amount: ${{ event.data.amount }}\n", "      \n")
        found = await client.complete(path, client.at(path, "    with:\n      |\n      note"))
        assert {name: item.detail for name, item in found.items()} == {"amount": "int"}

    drive(folder, session)


def test_hovering_says_what_something_is(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)

        async def about(text: str) -> str:
            return await client.hover(ORDERS, client.at(ORDERS, text)) or ""

        assert "event.data.email: string" in await about("event.data.e|mail")
        assert "Where the receipt goes." in await about("event.data.e|mail")
        assert "total: int" in await about("steps.note.output.to|tal")
        assert "currency: string" in await about("vars.c|urrency")
        shown = await about("uses: sh|op.tell")
        assert "def shop.tell(to: str, steps: str = …) -> None" in shown
        assert "Tell the customer." in shown
        assert "handlers/shop.py:10:1" in shown
        assert "calls `shop.charge`. Charge the customer." in await about("steps.ch|arge.status")
        assert await about("v|ars: {currency: eur}") == (
            "`vars`: Values computed once when a trigger has matched, in written order; read as `vars.NAME`."
        )
        assert "schemas/events/shop/placed.json" in await about("event: sho|p/placed")
        assert await about("e|ur}") == ""

    drive(folder, session)


def test_definitions_lead_to_steps_handlers_schemas_and_back(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)

        async def of(text: str) -> list[str]:
            return await client.definition(ORDERS, client.at(ORDERS, text))

        assert await of("steps.no|te.output.total") == ["pipelines/order.yaml:13:9"]
        assert await of("vars.c|urrency") == ["pipelines/order.yaml:6:8"]
        assert await of("uses: shop|.charge") == ["handlers/shop.py:4:1"]
        assert await of("event: sho|p/placed") == ["schemas/events/shop/placed.json:1:1"]
        assert await of("event.data.e|mail") == ["schemas/events/shop/placed.json:4:5"]
        assert await of("description: Ch|arges") == []
        client.open("pipelines/order.test.yaml")
        where = client.at("pipelines/order.test.yaml", "pipeline: order|")
        assert await client.definition("pipelines/order.test.yaml", where) == ["pipelines/order.yaml:2:11"]
        start = client.at(ORDERS, "id: charge|")
        assert await client.references(ORDERS, start) == [
            "pipelines/order.test.yaml:7:53",
            "pipelines/order.yaml:8:9",
            "pipelines/order.yaml:18:67",
        ]

    drive(folder, session)


def test_a_step_is_renamed_wherever_it_is_named(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)
        position = client.at(ORDERS, "id: note|")
        edits = await client.rename(ORDERS, position, "remark")
        assert {path: len(found) for path, found in edits.items()} == {ORDERS: 3, "pipelines/order.test.yaml": 1}
        for path, found in edits.items():
            assert {client.text_in(path, edit.range) for edit in found} == {"note"}
        for wrong, says in (("charge", "there is a step `charge` already"), ("No-Id", "takes an id")):
            with pytest.raises(JsonRpcException, match=says):
                await client.rename(ORDERS, position, wrong)
        with pytest.raises(JsonRpcException, match="only ids of steps and vars"):
            await client.rename(ORDERS, client.at(ORDERS, "description: Ch|"), "x")

    drive(folder, session)


def test_quick_fixes_write_what_the_hint_says(folder: Path) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS)
        client.write(ORDERS, "    uses: shop.tell", "    usse: shop.tell")
        client.write(ORDERS, "if: steps.note.output.total > 3", "if: !steps.charge.output.x")
        found = await client.finds(ORDERS, "FL101", "FL016")
        titles = {}
        for finding in found:
            (action,) = await client.actions(ORDERS, finding.range)
            assert action.edit is not None
            assert action.edit.changes is not None
            ((edit,),) = action.edit.changes.values()
            titles[action.title] = (client.text_in(ORDERS, edit.range), edit.new_text)
        assert titles == {
            "Write `uses`": ("usse", "uses"),
            "Quote it": ("!steps.charge.output.x", '"!steps.charge.output.x"'),
        }
        client.write(ORDERS, "- event: shop/placed", "- event: shop/unknown")
        client.write(ORDERS, "    usse: shop.tell", "    uses: shop.tell")
        client.write(ORDERS, "if: !steps.charge.output.x", "if: steps.note.output.total > 3")
        found = await client.finds(ORDERS, "FL304")
        (action,) = await client.actions(ORDERS, found[0].range)
        assert action.title == "Create schemas/events/shop/unknown.json"

    drive(folder, session)


@pytest.mark.parametrize(
    ("encodings", "column"),
    [(None, 15), ([types.PositionEncodingKind.Utf16], 15), ([types.PositionEncodingKind.Utf32], 14),
     ([types.PositionEncodingKind.Utf8], 17)],
)  # fmt: skip
def test_characters_are_counted_as_the_client_counts(
    folder: Path, encodings: list[types.PositionEncodingKind | str] | None, column: int
) -> None:
    async def session(client: Editor) -> None:
        client.open(ORDERS, PIPELINE.replace("🎉 ${{ event.data.email }}", "🎉${{ event.data.emial }}"))
        (found,) = await client.finds(ORDERS, "FL214")
        assert found.range.start.character == column + len("${{ event.data.")

    drive(folder, session, **({} if encodings is None else {"encodings": encodings}))
