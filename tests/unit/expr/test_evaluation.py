from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from flowlang.expr import EvaluationError, Optional, Pins, Timestamp, UInt, compile_expression, to_json


class LazyMap(Mapping[str, object]):
    """Loads a value when it is asked for, and remembers for which keys it was."""

    def __init__(self, content: dict[str, object]) -> None:
        self._content = content
        self.loaded: list[str] = []

    def __getitem__(self, key: str) -> object:
        value = self._content[key]
        self.loaded.append(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


class LazyList(Sequence[object]):
    def __init__(self, *elements: object) -> None:
        self._elements = elements

    def __getitem__(self, place: Any) -> Any:
        return self._elements[place]

    def __len__(self) -> int:
        return len(self._elements)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x.a.b", 1),
        ("x['a'].b", 1),
        ("x.?a.?nope.orValue(7)", 7),
        ("has(x.a) && !has(x.z) && 'list' in x", True),
        ("x.list[1]", 2),
        ("x.list.map(e, e * 2)", [2, 4, 6]),
        ("x.list + [4]", [1, 2, 3, 4]),
        ("x.list == [1, 2, 3] && [1, 2, 3] == x.list", True),
        ("x.a == {'b': 1} && {'b': 1} == x.a", True),
        ("x.list.size() + size(x.a)", 4),
        ("x.a.map(k, k)", ["b"]),
        ("x.a.exists(k, v, v == 1)", True),
        ("3 in x.list && !(9 in x.list)", True),
        ("sum(x.list)", 6),
        ("x.list.slice(1, 3).reverse()", [3, 2]),
        ("json(x.a)", '{"b":1}'),
        ("type(x) == map && type(x.list) == list", True),
    ],
)
def test_views_that_load_on_demand_are_maps_and_lists(text: str, value: object) -> None:
    view = LazyMap({"a": LazyMap({"b": 1}), "list": LazyList(1, 2, 3)})
    assert compile_expression(text).evaluate({"x": view}) == value


def test_only_what_is_read_is_loaded() -> None:
    view = LazyMap({"a": 1, "big": "never"})
    assert compile_expression("x.a + 1 > 1 && has(x.a)").evaluate({"x": view}) is True
    assert set(view.loaded) == {"a"}


def test_a_python_object_that_is_no_value_is_refused() -> None:
    with pytest.raises(EvaluationError, match="a Python datetime is no value of expressions"):
        compile_expression("size(x)").evaluate({"x": datetime(2026, 1, 1, tzinfo=UTC)})


@pytest.mark.parametrize(
    ("text", "start", "end", "message"),
    [
        ("1 + event.data.amont", 15, 20, "no such field `amont`; did you mean `amount`?"),
        ("event.date.x", 6, 10, "no such field `date`; did you mean `data`?"),
        ("event.data.zzz", 11, 14, "no such field `zzz`; there are `amount`, `name`"),
        ("evnt.data", 0, 4, "unknown name `evnt`; did you mean `event`?"),
        ("[1, 2].map(x, 1 + x / 0)", 18, 23, "division by zero"),
        ("true && (event.data.amount > 'a')", 9, 32, "`>` does not take an int and a string"),
        ("event.data.name + 5", 0, 19, "convert with string(…)"),
        ("size(event.data.amount)", 0, 23, "`size` does not take (int)"),
        ("event.data.?amount + 1", 0, 22, "an optional and an int"),
        ("event.data.?amount.size()", 0, 25, "unwrap the optional with orValue(…)"),
    ],
)
def test_an_error_says_where_and_what_would_be_right(text: str, start: int, end: int, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compile_expression(text).evaluate({"event": {"data": {"amount": 5, "name": "Ada"}}})
    assert message in caught.value.message
    assert (caught.value.start, caught.value.end) == (start, end)


def test_pins_answer_now_and_uuid() -> None:
    given = iter(["first", "second"])
    pins = Pins(now=Timestamp.from_ms(1_500), uuid=lambda: next(given))
    answer = compile_expression("[string(now()), uuid(), uuid()]").evaluate({}, pins=pins)
    assert answer == ["1970-01-01T00:00:01.500Z", "first", "second"]


def test_work_of_one_evaluation_does_not_count_for_the_next() -> None:
    expression = compile_expression("lists.range(1000).all(x, lists.range(60).all(y, y >= 0))")
    assert [expression.evaluate({}) for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "xs.map(a, xs.map(b, xs.map(c, 1)))",
        "xs.all(a, xs == xs)",
        "xs.map(a, 'x' + big).size()",
        "xs.map(a, big.replace('', big)).size()",
        "cel.bind(a, big + big, cel.bind(b, a + a, cel.bind(c, b + b, cel.bind(d, c + c, d + d))))",
    ],
)
def test_too_much_work_ends_in_an_error_that_nothing_absorbs(text: str) -> None:
    bindings = {"xs": list(range(2_000)), "big": "x" * 1_000_000}
    with pytest.raises(EvaluationError) as caught:
        compile_expression(f"size({text}) == 0 || true" if text.startswith("cel") else f"{text} == 0 || true").evaluate(
            bindings
        )
    assert caught.value.code == "too_much_work"


def _doubling(levels: int, use: str) -> str:
    text = use
    for level in range(levels, 0, -1):
        text = f"cel.bind(v{level}, [v{level - 1}, v{level - 1}], {text})"
    return f"cel.bind(v0, [1, 2], {text})"


@pytest.mark.parametrize(
    "use",
    [
        "v60 == v60",
        "v60 in [v60]",
        "json(v60)",
        "hash(v60)",
        "'%s'.format([v60])",
        "v60.flatten(60)",
        "[v60, v60].distinct()",
        "sets.contains([v60], [v60])",
        "optional.of(v60) == optional.of(v60)",
    ],
)
def test_a_small_value_that_unfolds_to_a_huge_one_is_bounded(use: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compile_expression(_doubling(60, use)).evaluate({})
    assert caught.value.code == "too_much_work"


def test_a_huge_result_is_not_written_as_json() -> None:
    value = compile_expression(_doubling(60, "v60")).evaluate({})
    with pytest.raises(EvaluationError, match="holds more than"):
        to_json(value)


@pytest.mark.parametrize("text", ["x == y", "json(x)", "hash(x)", "'%s'.format([x])", "x in [y]"])
def test_data_that_is_nested_very_deeply_gives_a_typed_error(text: str) -> None:
    def deep() -> object:
        value: object = 1
        for _ in range(5_000):
            value = [value]
        return value

    with pytest.raises(EvaluationError) as caught:
        compile_expression(text).evaluate({"x": deep(), "y": deep()})
    assert caught.value.code == "too_deep"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (UInt(5), 5),
        (Timestamp(1), "1970-01-01T00:00:00.000000001Z"),
        (b"\xff", "/w=="),
        ((1, "a"), [1, "a"]),
        ({"a": [None, True, 1.5]}, {"a": [None, True, 1.5]}),
    ],
)
def test_values_become_plain_json(value: object, plain: object) -> None:
    assert to_json(value) == plain
    assert to_json(value).__class__ is plain.__class__


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Optional.NONE, {1: 2}, 2**63, {"a": [Optional.of(1)]}])
def test_what_json_cannot_carry_is_refused(value: object) -> None:
    with pytest.raises(EvaluationError) as caught:
        to_json(value)
    assert caught.value.code == "not_json"
