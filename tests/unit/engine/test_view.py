"""What expressions see of records, items and errors."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from flowlang.engine.program import ROOT, Program
from flowlang.engine.state import BlockFrame, ErrorInfo, Event, Record, Result, RunMeta, ScopeState, StepFrame
from flowlang.engine.view import ItemsView, RunView, StepsView, bindings, handled_error, instance_key, results, uuids
from flowlang.plan import Foreach
from tests.unit.engine.building import T0, plan, sets, steps

ERROR = ErrorInfo("transient", "x", "m", "a[1]", 3)
OTHER = ErrorInfo("bug", "y")


def view(**more: Any) -> RunView:
    return RunView("r1", "p", "v1", RunMeta(Event("e1", "x/y", {"n": 1}), created_ms=T0, vars={"v": 1}), **more)


def test_a_list_of_items_is_read_from_their_rows() -> None:
    records = {"l[0]": Record("succeeded", 1), "l[1]": Record("failed", error=ERROR), "l[2]": Record("succeeded", None)}
    items = ItemsView("l", 4, records)
    assert list(items) == [1, None, None, None]
    assert (len(items), items[0], items[0:2]) == (4, 1, [1, None])
    for index in (-1, 4):
        with pytest.raises(IndexError):
            items[index]


def test_a_step_that_has_no_record_counts_as_skipped_and_one_that_does_not_exist_is_absent() -> None:
    records = {"a": Record("failed", error=ERROR, attempts=3, started_ms=T0, ended_ms=T0 + 1_500)}
    seen = StepsView(Program(plan(sets("a", v=1), sets("b", v=1))), records, ())
    assert seen["a"] == {
        "status": "failed",
        "attempts": 3,
        "started_at": "2026-01-01T00:00:00.000Z",
        "ended_at": "2026-01-01T00:00:01.500Z",
        "error": {"class": "transient", "code": "x", "message": "m", "step": "a[1]", "attempts": 3},
    }
    assert seen["b"] == {"status": "skipped", "attempts": 0}
    assert (list(seen), len(seen)) == (["a", "b"], 2)
    with pytest.raises(KeyError):
        seen["c"]


def test_items_and_their_index_are_bound_from_outside_in() -> None:
    inner = steps("in", sets("x", v=1), foreach=Foreach("[1]", name="cell"))
    program = Program(plan(steps("out", inner, foreach=Foreach("[1]", name="row"))))
    state = ScopeState(child=1, loops=(2, 5), inside=(0, 1), started_ms=T0)
    names = bindings(program, view(inputs={"out[2]": "r", "out[2].in[5]": "c"}), state)
    assert (names["row"], names["cell"], names["index"], names["vars"]) == ("r", "c", 5, {"v": 1})
    assert "error" not in names
    assert names["run"] == {
        "id": "r1",
        "pipeline": "p",
        "version": "v1",
        "started_at": "2026-01-01T00:00:00.000Z",
        "root": "r1",
    }


BODY = BlockFrame(0, "catch0")
ERRORS = [
    ("nothing", ScopeState(), None),
    ("catch", ScopeState(stack=[BlockFrame(ROOT, "steps"), StepFrame(0, "catch", error=ERROR), BODY]), ERROR),
    (
        "the innermost catch",
        ScopeState(stack=[StepFrame(0, "catch", error=OTHER), BODY, StepFrame(1, "catch", error=ERROR)]),
        ERROR,
    ),
    (
        "finally after a failure",
        ScopeState(stack=[StepFrame(0, "finally", pending=Result("fail", error=ERROR))]),
        ERROR,
    ),
    ("finally after success", ScopeState(stack=[StepFrame(0, "finally", pending=Result("ok"))], error=OTHER), None),
    ("on_failure", ScopeState(stack=[BlockFrame(ROOT, "on_failure")], ending=ERROR), ERROR),
    ("a child of a catch body", ScopeState(stack=[StepFrame(0, "calling")], error=ERROR), ERROR),
]


@pytest.mark.parametrize(("state", "wanted"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS])
def test_error_is_that_of_the_innermost_body(state: ScopeState, wanted: ErrorInfo | None) -> None:
    assert handled_error(state) == wanted


def test_results_have_five_fields_whatever_became_of_the_item() -> None:
    records = {"l[0]": Record("succeeded", [1]), "l[1]": Record("failed", error=ERROR)}
    entries = results("l", 3, view(records=records, inputs={"l[0]": "a", "l[1]": "b", "l[2]": "c"}))
    assert [list(entry) for entry in entries] == [["item", "index", "output", "error", "status"]] * 3
    assert [(entry["item"], entry["status"], entry["output"]) for entry in entries] == [
        ("a", "succeeded", [1]),
        ("b", "failed", None),
        ("c", "cancelled", None),
    ]


def test_uuids_follow_from_run_instance_and_order_alone() -> None:
    source = uuids("r1", "a[1]", "with")
    first, second = source(), source()
    again = uuids("r1", "a[1]", "with")
    assert (again(), again()) == (first, second)
    others = [uuids(*parts)() for parts in (("r2", "a[1]", "with"), ("r1", "a[2]", "with"), ("r1", "a[1]", "set"))]
    assert len({first, second, *others}) == 5
    assert {uuid.UUID(one).version for one in (first, second, *others)} == {8}
    assert {uuid.UUID(one).variant for one in (first, second, *others)} == {uuid.RFC_4122}


def test_idempotency_keys_follow_from_origin_and_instance() -> None:
    keys = [instance_key(*parts) for parts in (("r1", "a"), ("r1", "a[1]"), ("r2", "a"), ("r1", "a"))]
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3
    assert all(len(key) == 40 for key in keys)


def test_a_replay_derives_its_keys_from_its_origin() -> None:
    meta = RunMeta(Event("e1", "x/y"), created_ms=T0, origin="r0", root="r9", parent="r8", replay_of="r0")
    seen = RunView("r1", "p", "v1", meta)
    assert seen.origin == "r0"
    assert view().origin == "r1"
    about = seen.about(T0)
    assert (about["root"], about["parent"], about["replay_of"]) == ("r9", "r8", "r0")
