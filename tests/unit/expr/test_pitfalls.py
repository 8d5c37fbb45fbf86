"""Where Python parts from the language: what data may hold that JSON never does. A value or our error, in both tiers."""

from __future__ import annotations

from collections import ChainMap, OrderedDict, UserDict, UserList, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from enum import IntEnum, StrEnum
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

from flowlang.expr import (
    CelError,
    Duration,
    EvaluationError,
    Expression,
    Optional,
    Timestamp,
    TypeValue,
    UInt,
    compile_expression,
    to_json,
    to_text,
)
from flowlang.expr.operators import BINARY
from flowlang.expr.registry import functions
from flowlang.expr.values import MixedMap


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    A = "a"


def _nested(make: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(3_000):
        value = make(value)
    return value


#: Half of a surrogate pair, which `json.loads` lets through.
HALF = "a\ud800"
NAN = float("nan")
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63 - 1, -(2**63), 2**63, 10**400, -(10**5_000)),
    *(UInt(5), UInt(2**64), 0.0, -0.0, 1.5, NAN, float("inf"), float("-inf")),
    *("", "a", "10", HALF, "é", Text("a"), Word.A, b"", b"\xff", bytearray(b"a"), memoryview(b"a")),
    *([], [1, "a"], [HALF], [NAN], [None], _nested(lambda value: [value]), (1, 2), range(3), deque([1])),
    *({}, {"a": 1}, {HALF: 1}, {True: 1}, {NAN: 1}, {1.5: 2}, {None: 1}, {("a",): 1}, {b"a": 1}),
    *(_nested(lambda value: {"a": value}), MixedMap([(True, 1), (1, 2)]), OrderedDict(a=1), UserDict(a=1)),
    *(MappingProxyType({"a": 1}), ChainMap({"a": 1}), UserList([1]), frozenset({1}), {1, 2}),
    *(Whole(1), Real(1.5), Number.ONE, Decimal("1.5"), 1j, object(), int, len, iter([1])),
    *(Optional.NONE, Optional.of(1), {"a": Optional.NONE}, [Optional.of(NAN)], TypeValue("int"), TypeValue("nope")),
    *(Timestamp(0), Duration(1)),
]

TEXTS = """
    x.a x[0] x['a'] x[y] x[?y] x.?a has(x.a) -x !x [x] {x:y} {x:1,y:2} {true:x,1:y} [?x] {?'a':x} x?y:y x&&y x||y
    x.map(v,v) x.map(k,x[k]) x.filter(v,y) x.all(v,v==y) x.exists(v,v) x.exists_one(v,v==y) x.sortBy(v,v)
    x.transformList(i,v,v) x.transformMap(i,v,v) x.transformMapEntry(i,v,{v:i}) x.optMap(v,v) x.optFlatMap(v,v)
    '%s|%s'.format([x,y]) '%d'.format([x]) '%f'.format([x]) '%e'.format([x]) '%x'.format([x]) '%b'.format([x])
    '%o'.format([x]) [x,y].distinct() [x,y].sort() [[x]].flatten() [x]==[y] {'a':x}=={'a':y} cel.bind(v,x,v==y)
""".split()  # noqa: SIM905 - a table


def _calls() -> Iterator[str]:
    for (name, method), function in functions().items():
        for count in function.arities():
            names = ["x", "y", "y", "x"][: count + method]
            yield f"x.{name}({', '.join(names[1:])})" if method else f"{name}({', '.join(names)})"


EVERYTHING = sorted({*TEXTS, *_calls(), *(f"x {operator} y" for operator in BINARY)} - {"now()", "uuid()"})


def _finish(expression: Expression, data: dict[str, Any]) -> None:
    """Evaluate in both tiers and write the answer, or what is wrong."""
    for evaluate in (expression.exactly, expression.specialise(None)):
        for write in (to_json, to_text):
            message = "no error"
            try:
                write(evaluate(data))
            except CelError as error:
                message = str(error)
            assert message


@pytest.mark.parametrize("text", EVERYTHING)
def test_any_data_gives_a_value_or_our_error(text: str) -> None:
    expression = compile_expression(text)
    random = Random(text)
    for value in ODD:
        _finish(expression, {"x": value, "y": random.choice(ODD)})


@pytest.mark.parametrize(
    ("text", "data", "value"),
    [
        ("x[true] + x[1]", MixedMap([(True, 10), (1, 2)]), 12),
        ("1 in x || true in x", {True: 1}, True),
        ("1 in x", {True: 1}, False),
        ("x['a'] == 'A' && x.a == 'A'", {Text("a"): "A"}, True),
        ("x == 'a' && x in ['a'] && x.size() == 1", Text("a"), True),
        ("x.a.hasValue()", {"a": Optional.NONE}, False),
        ("x.exists(v, v != v)", [NAN], True),
        ("x.size() == 1 && !(0.0 / 0.0 in x)", {NAN: 1}, True),
        ("x.size()", HALF, 2),
        ("x == x && x + x == x + x", HALF, True),
        ("x.map(v, v)", (1, 2), [1, 2]),
        pytest.param("x < 1.5 || x > 1.5", 10**400, True, id="a number with 400 digits has its place"),
        ("true == x || x == 1", True, True),
        ("x == 1", True, False),
        ("[x] == [1]", True, False),
    ],
)
def test_odd_data_means_what_it_should(text: str, data: Any, value: object) -> None:
    expression = compile_expression(text)
    for evaluate in (expression.exactly, expression.specialise(None)):
        assert evaluate({"x": data}) == value


@pytest.mark.parametrize(
    ("text", "data", "code"),
    [
        ("bytes(x)", HALF, "bad_argument"),
        ("x.matches('a')", HALF, "bad_argument"),
        ("'a'.matches(x)", HALF, "bad_argument"),
        pytest.param("string(x)", 10**5_000, "out_of_range", id="string of a number with 5000 digits"),
        pytest.param("double(x)", 10**400, "out_of_range", id="double of a number with 400 digits"),
        ("x + 1", 2**63 - 1, "out_of_range"),
        ("json(x)", 2**64, "not_json"),
        pytest.param("x == x", _nested(lambda value: [value]), "too_deep", id="deep lists"),
        pytest.param("x[x]", _nested(lambda value: {"a": value}), "no_such_field", id="a deep map as key"),
        ("type(x)", bytearray(b"a"), "no_such_overload"),
        ("x + x", Decimal(1), "no_such_overload"),
    ],
)
def test_odd_data_fails_as_it_should(text: str, data: Any, code: str) -> None:
    expression = compile_expression(text)
    for evaluate in (expression.exactly, expression.specialise(None)):
        with pytest.raises(EvaluationError) as caught:
            evaluate({"x": data})
        assert caught.value.code == code, caught.value.message
