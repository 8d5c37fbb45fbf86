"""An expression that fails at run time says where it is written. `«` marks the place."""

from __future__ import annotations

import pytest

from flowlang.engine.catalog import Catalog
from flowlang.engine.intake import Delivery
from flowlang.engine.program import Program
from flowlang.engine.route import Router
from flowlang.engine.state import Event
from flowlang.ids import new_event_id
from flowlang.plan import Manifest
from flowlang.simulate import Simulation
from flowlang.store.codec import PlainSealer
from tests.unit.compiler.compiling import compile_text

HEAD = "flowlang: 1\npipeline: p\ntriggers: [{event: shop/paid}]\nsteps:\n"

STEPS = {
    "a condition": "  - id: a\n    if: event.data.«nope == 1\n    uses: any.thing\n",
    "a value": "  - {id: a, set: {x: 1, y: '${{ event.data.«nope }}'}}\n",
    "a deep value": '  - id: a\n    set:\n      x: [1, {y: "n ${{ event.id }} ${{ event.data.«nope }}"}]\n',
    "a folded block": "  - id: a\n    set:\n      x: >-\n        ${{ event.data.items.size()\n        + event.data.«nope }}\n",
    "a text with escapes": '  - {id: a, set: {x: "\\u00fc\\t ${{ event.data.«nope }}"}}\n',
    "the items of a loop": "  - id: a\n    foreach: {in: event.data.«nope, as: x}\n    uses: any.thing\n",
    "an item": "  - id: a\n    foreach: {in: event.data.items, as: x}\n    set: {y: '${{ x.«nope }}'}\n",
    "a nested step": "  - id: a\n    steps:\n      - {id: b, set: {c: 1}}\n      - {id: d, set: {e: '${{ event.data.«nope }}'}}\n",
    "what a catch gives": (
        "  - id: a\n    fail: {code: x, message: y}\n    catch: {steps: [{id: b, set: {c: '${{ event.data.«nope }}'}}]}\n"
    ),
}


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_that_cannot_be_evaluated_says_where_it_is_written(name: str) -> None:
    marked = HEAD + STEPS[name]
    before = marked[: marked.index("«")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    plan = compile_text(marked.replace("«", "")).plans["p"]
    project = Simulation([plan], {})
    (run,) = project.send("shop/paid", {"items": [{"n": 1}]})
    project.run_until_idle()
    error = project.finished(run).error
    assert error is not None
    assert error.message.endswith(f"(pipelines/p.yaml:{line}:{column})"), error.message


def test_a_moved_pipeline_is_the_same_version_in_another_place() -> None:
    text = HEAD + "  - {id: a, set: {x: '${{ event.data.nope }}'}}\n"
    plan, moved = (compile_text(each).plans["p"] for each in (text, "# moved\n" + text))
    assert plan.digest == moved.digest
    assert plan.places is not None
    assert moved.places is not None
    assert plan.places.find("steps[0].set.x", 4) == "pipelines/p.yaml:5:27"
    assert moved.places.find("steps[0].set.x", 4) == "pipelines/p.yaml:6:27"
    assert moved.places.find("steps[0].set.y", 4) == ""


TRIGGERS = {
    "a trigger": "triggers: [{event: shop/paid, if: event.data.«nope > 1}]\nsteps:\n  - {id: a, set: {x: 1}}\n",
    "a var": "triggers: [{event: shop/paid}]\nvars: {v: '${{ event.data.«nope }}'}\nsteps:\n  - {id: a, set: {x: 1}}\n",
    "a key": (
        "triggers: [{event: shop/paid}]\nidempotency: {key: event.data.«nope}\nsteps:\n  - {id: a, set: {x: 1}}\n"
    ),
}


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_a_start_that_cannot_be_decided_says_where_it_is_written(name: str) -> None:
    marked = "flowlang: 1\npipeline: p\n" + TRIGGERS[name]
    before = marked[: marked.index("«")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    plan = compile_text(marked.replace("«", "")).plans["p"]
    catalog = Catalog(Manifest("test", {"p": plan.digest}), 1, {"p": Program(plan)})
    row = new_event_id("test-row-0123456789")
    routed = Router(catalog, PlainSealer(), 0).route(Event("e", "shop/paid", {}), Delivery(row))
    (problem,) = routed.problems
    assert problem.message.endswith(f"(pipelines/p.yaml:{line}:{column})"), problem.message
