"""Test files as they are read: documents, lists, what is shared, and short forms. `tests/diagnostics` has the mistakes."""

from __future__ import annotations

import pytest

from flowlang.model import TestDocument, load_tests
from flowlang.source import SourceText


def read(text: str) -> list[TestDocument]:
    tests, found = load_tests(SourceText("p.test.yaml", text))
    assert [item.message for item in found] == []
    return tests


def one(text: str) -> TestDocument:
    (test,) = read(text)
    return test


SMALLEST = "test: a\npipeline: p\ngiven: {call: {}}\nthen: {status: succeeded}\n"


def test_documents_and_lists_of_tests_are_read_in_order() -> None:
    text = f"{SMALLEST}---\n- &b {{test: b, pipeline: p, given: {{call: 1}}, then: {{}}}}\n- {{<<: *b, test: c}}\n"
    assert [test.name for test in read(text)] == ["a", "b", "c"]


def test_what_is_shared_holds_behind_it_and_gives_way_to_a_tests_own() -> None:
    text = (
        "test: before\npipeline: q\ngiven: {call: 1}\nthen: {}\n---\n"
        "shared: {pipeline: p, given: {call: 1}, handlers: {a.b: {return: 1}, c.d: {return: 2}}, env: {X: '1'}}\n---\n"
        "test: first\nhandlers: {c.d: {return: 3}, e.f: real}\nthen: {}\n---\n"
        "test: second\ngiven: {call: 2}\nenv: {Y: '2'}\nthen: {}\n"
    )
    before, first, second = (test.model for test in read(text))
    assert before is not None
    assert first is not None
    assert second is not None
    assert (before.pipeline, dict(before.handlers), before.env) == ("q", {}, {})
    assert {name: script[0].return_ for name, script in first.handlers.items()} == {"a.b": 1, "c.d": 3, "e.f": None}
    assert (first.given[0].call, second.given[0].call) == (1, 2)
    assert second.env == {"X": "1", "Y": "2"}


def test_a_shared_value_has_its_place_where_it_is_written() -> None:
    text = "shared: {pipeline: p, given: {call: 1}}\n---\ntest: a\nthen: {}\n"
    assert one(text).document.span_at(("pipeline",)).line == 1
    assert one(text).document.span_at(("test",)).line == 3


@pytest.mark.parametrize(
    ("script", "times"),
    [
        ("{return: 1}", ["any"]),
        ("[{return: 1}]", [None]),
        ("[{return: 1}, {return: 2, times: 3}, {fail: bug, times: any}]", [None, 3, "any"]),
        ("{return: 1, times: 2}", [2]),
        ("real", ["any"]),
        ("[{fail: transient}, real]", [None, None]),
    ],
)
def test_a_single_answer_answers_every_call_and_one_of_a_list_one(script: str, times: list[object]) -> None:
    model = one(SMALLEST + f"handlers: {{a.b: {script}}}\n").model
    assert model is not None
    assert [answer.times for answer in model.handlers["a.b"]] == times


def test_real_alone_stands_for_all_handlers() -> None:
    model = one(SMALLEST + "handlers: real\n").model
    assert model is not None
    assert [(name, answer.verb) for name, script in model.handlers.items() for answer in script] == [("*", "real")]


def test_short_forms_are_the_long_ones() -> None:
    short = "{calls: {a.b: 2, c.d: [{x: 1}]}, steps: {s: skipped}, emitted: [e/f], runs: [failed, succeeded], check: 1 == 1}"
    long = (
        "{calls: {a.b: {count: 2}, c.d: {each: [{x: 1}]}}, steps: {s: {status: skipped}}, emitted: [{event: e/f}],"
        " runs: [{status: failed}, {status: succeeded}], check: ['${{ 1 == 1 }}']}"
    )
    models = [one(SMALLEST.replace("{status: succeeded}", then)).model for then in (short, long)]
    assert models[0] is not None
    assert models[1] is not None
    left, right = (model.then.model_dump(exclude={"check"}) for model in models if model is not None)
    assert left == right
    assert [each.text for each in models[0].then.check] == [each.text for each in models[1].then.check] == ["1 == 1"]


def test_fields_that_are_named_as_expression_keys_are_data_in_a_test() -> None:
    model = one(SMALLEST.replace("{call: {}}", "{call: {if: a, key: 'x y ? z', in: '${x}'}}")).model
    assert model is not None
    assert model.given[0].call == {"if": "a", "key": "x y ? z", "in": "${x}"}
