from __future__ import annotations

import pytest

from flowlang.expr import compile_expression


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("1 + 2", []),
        ("event.data.amount > 10", ["event.data.amount"]),
        ("steps.charge.output['amount'].cents", ["steps.charge.output.amount.cents"]),
        ("steps.a.output.items[0].sku", ["steps.a.output.items"]),
        ("steps.a.output[event.name].b", ["event.name", "steps.a.output"]),
        ("event.data.items.map(i, i.price * vars.rate)", ["event.data.items", "vars.rate"]),
        ("event.data.items.filter(event, event.x > 0)", ["event.data.items"]),
        ("cel.bind(x, event.data, x.name + item)", ["event.data", "item"]),
        ("has(event.data.a) ? event.data.?b.c.orValue(1) : item", ["event.data.a", "event.data.b.c", "item"]),
        ("event.?data[?'k'].orValue(last)", ["event.data.k", "last"]),
        ("type(x) == int && google.protobuf.Timestamp == y", ["x", "y"]),
        ("math.abs(x.y) + size(z)", ["x.y", "z"]),
        ("{a: b, 'c': [d, e.f]}", ["a", "b", "d", "e.f"]),
        (".a.b + a", ["a", "a.b"]),
    ],
)
def test_paths_are_the_longest_constant_ones(text: str, paths: list[str]) -> None:
    expression = compile_expression(text)
    assert sorted(".".join(path) for path in expression.paths) == paths
    assert expression.roots == {path.partition(".")[0] for path in paths}


def test_a_reference_has_a_span_for_each_segment() -> None:
    text = "1 + steps.charge['output'].?amount.orValue(2)"
    (reference,) = compile_expression(text).references
    assert [text[start:end] for start, end in reference.spans] == ["steps", "charge", "'output'", "amount"]
    assert reference.path == ("steps", "charge", "output", "amount")


def test_spans_of_has_end_at_the_field() -> None:
    text = "has( event.data.name )"
    (reference,) = compile_expression(text).references
    assert [text[start:end] for start, end in reference.spans] == ["event", "data", "name"]


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("a.b", False),
        ("has(a.b)", True),
        ("a.?b.c", True),
        ("a[?'b']", True),
        ("a[?0]", False),
        ("a[0].?b", False),
        ("a.?b[0]", True),
    ],
)
def test_a_reference_knows_whether_its_last_segment_may_be_absent(text: str, guarded: bool) -> None:
    assert [reference.guarded for reference in compile_expression(text).references] == [guarded]


def test_calls_are_the_names_of_functions_and_methods() -> None:
    expression = compile_expression("now() > timestamp('2026-01-01T00:00:00Z') && math.abs(x) > size(y.trim())")
    assert expression.calls == {"now", "timestamp", "math.abs", "size", "trim"}
