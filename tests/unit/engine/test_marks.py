"""Marked fields are found wherever a schema puts them, and what stands there is hidden, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.engine.marks import NO_MARKS, Marks, RunMarks, leaves, step_key
from flowlang.engine.state import Event, Record, RunMeta
from flowlang.plan import MarkedHints, Plan, SetValues, Step, Uses, WaitFor
from flowlang.redaction import HIDDEN

MARK = {"x-sensitive": True}
CASES: dict[str, tuple[Any, Any, Any]] = {
    "a property": ({"properties": {"a": MARK}}, {"a": "x", "b": "y"}, {"a": HIDDEN, "b": "y"}),
    "a whole object": ({"properties": {"a": MARK}}, {"a": {"b": [1, 2]}}, {"a": HIDDEN}),
    "a truth": ({"properties": {"a": MARK}}, {"a": True}, {"a": HIDDEN}),
    "null says nothing": ({"properties": {"a": MARK}}, {"a": None}, {"a": None}),
    "not false": ({"properties": {"a": {"x-sensitive": False}}}, {"a": "x"}, {"a": "x"}),
    "the root": (MARK, "x", HIDDEN),
    "elements": ({"items": MARK}, ["x", 1], [HIDDEN, HIDDEN]),
    "a field of elements": ({"items": {"properties": {"a": MARK}}}, [{"a": 1, "b": 2}], [{"a": HIDDEN, "b": 2}]),
    "first elements": ({"prefixItems": [{}, MARK], "items": {}}, [1, 2, 3], [1, HIDDEN, 3]),
    "other properties": (
        {"properties": {"a": {}}, "additionalProperties": MARK},
        {"a": 1, "b": 2},
        {"a": 1, "b": HIDDEN},
    ),
    "properties by pattern": (
        {"patternProperties": {"^x_": MARK}, "additionalProperties": {}},
        {"x_a": 1, "y": 2},
        {"x_a": HIDDEN, "y": 2},
    ),
    "a reference": (
        {"$defs": {"card": MARK}, "properties": {"a": {"$ref": "#/$defs/card"}}},
        {"a": "x"},
        {"a": HIDDEN},
    ),
    "a circle of references": (
        {"$defs": {"n": {"properties": {"v": MARK, "next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
        {"v": 1, "next": {"v": 2, "next": {"v": 3, "w": 4}}},
        {"v": HIDDEN, "next": {"v": HIDDEN, "next": {"v": HIDDEN, "w": 4}}},
    ),
    "a part of allOf": ({"allOf": [{"properties": {"a": MARK}}, {}]}, {"a": 1}, {"a": HIDDEN}),
    "one of several forms": (
        {"oneOf": [{"properties": {"a": MARK}}, {"properties": {"b": {}}}]},
        {"a": 1, "b": 2},
        {"a": HIDDEN, "b": 2},
    ),
    "a form under a condition": (
        {"if": {"properties": {"k": {"const": 1}}}, "then": {"properties": {"a": MARK}}},
        {"k": 1, "a": 2},
        {"k": 1, "a": HIDDEN},
    ),
}


@pytest.mark.parametrize(("schema", "data", "shown"), CASES.values(), ids=CASES.keys())
def test_marked_fields_are_hidden(schema: Any, data: Any, shown: Any) -> None:
    assert Marks(schema).hidden(data) == shown


@pytest.mark.parametrize(("schema", "data", "shown"), CASES.values(), ids=CASES.keys())
def test_the_values_that_are_found_are_those_that_are_hidden(schema: Any, data: Any, shown: Any) -> None:
    visible = [value for value in leaves(shown) if value != HIDDEN]
    found = list(Marks(schema).values(data))
    assert sorted(map(str, [*visible, *found])) == sorted(map(str, leaves(data)))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_without_marks_nothing_changes(data: Any) -> None:
    assert Marks({"type": "object"}).hidden(data) is data
    assert NO_MARKS.hidden(data) is data
    assert not list(NO_MARKS.values(data))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (("card", "number"), HIDDEN),
        (("card", "kind"), "visa"),
        (("card",), {"number": HIDDEN}),
        (("all", "deep"), HIDDEN),
    ],
)
def test_what_was_read_at_a_path_is_hidden_by_its_place(path: tuple[str, ...], shown: Any) -> None:
    marks = Marks({"properties": {"card": {"properties": {"number": MARK}}, "all": MARK}})
    value = {"card": {"number": "1"}}["card"] if path == ("card",) else "1" if shown == HIDDEN else "visa"
    assert marks.hidden_at(path, value) == shown


@pytest.mark.parametrize(
    ("instance", "key"),
    [("pay", "pay"), ("pages[3]", "pages"), ("pages[3].notify", "notify"), ("a[1].b[2].c[3]", "c"), ("set-1", "set-1")],
)
def test_an_instance_tells_its_step(instance: str, key: str) -> None:
    assert step_key(instance) == key


def test_all_that_is_marked_of_a_run_is_found() -> None:
    plan = Plan(
        pipeline="p",
        steps=(
            Step(0, "pay", Uses("bank.pay", {})),
            Step(1, "answer", WaitFor(("bank/answered",), "true")),
            Step(2, "kept", SetValues({})),
        ),
        block=(0, 1, 2),
        input_schema={"properties": {"email": MARK}},
        marked={"bank.pay": MarkedHints({"card": MARK}, {"properties": {"token": MARK}})},
    )
    schemas = {
        "bank/answered": Marks({"properties": {"iban": MARK}}),
        "shop/paid": Marks({"properties": {"card": MARK}}),
    }
    event = Event("e", "shop/paid", {"email": "a@example.com", "card": "4242-1", "sku": "plain"})
    records = {
        "pay": Record("succeeded", {"token": "tok-1", "state": "open"}),
        "answer": Record("succeeded", {"name": "bank/answered", "data": {"iban": "DE-1", "n": 1}}),
        "kept": Record("succeeded", {"token": "free"}),
    }
    marks = RunMarks(plan)
    mask = marks.mask(RunMeta(event, 0), records, lambda name: schemas.get(name, NO_MARKS))
    shown = mask.tree(["a@example.com", "4242-1", "plain", "tok-1", "open", "DE-1", "free"])
    assert shown == [HIDDEN, HIDDEN, "plain", HIDDEN, "open", HIDDEN, "free"]
    assert list(marks.argument_values("bank.pay", {"card": "4242-2", "note": "plain"})) == ["4242-2"]
    assert marks.hidden_output("pay", records["pay"].output) == {"token": HIDDEN, "state": "open"}
