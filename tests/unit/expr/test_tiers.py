"""Both tiers mean the same: generated code gives the value or the error of the closures, for any expression and data."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlang.expr import EvaluationError, Optional, Pins, Timestamp, UInt, compile_expression
from flowlang.expr.codegen import generate
from flowlang.expr.program import EVALUATIONS_BEFORE_GENERATION, Expression
from flowlang.expr.values import is_list, is_map
from tests.conformance.cases import same


class View(Mapping[str, object]):
    """A map that is no dict, as `steps` is."""

    def __init__(self, content: dict[str, object]) -> None:
        self._content = content

    def __getitem__(self, key: str) -> object:
        return self._content[key]

    def __iter__(self) -> Any:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"View({self._content})"


class ListView(Sequence[object]):
    """A list that is no list, as the output of a foreach is."""

    def __init__(self, elements: list[object]) -> None:
        self._elements = elements

    def __getitem__(self, place: Any) -> Any:
        return self._elements[place]

    def __len__(self) -> int:
        return len(self._elements)

    def __repr__(self) -> str:
        return f"ListView({self._elements})"


PINS = Pins(now=Timestamp.from_ms(1_781_092_800_000), uuid=lambda: "u")
#: Numbers near the borders where Python and the language part.
NUMBERS = st.sampled_from(
    [
        0,
        1,
        -1,
        2,
        7,
        255,
        2**30,
        -(2**31),
        2**53,
        2**53 + 1,
        2**62,
        2**63 - 1,
        -(2**63),
        2**63,
        0.0,
        -0.0,
        1.0,
        1.5,
        -2.5,
    ]
) | st.sampled_from([float(2**53), float(2**63), 1e308, float("inf"), float("nan"), UInt(0), UInt(1), UInt(2**64 - 1)])
TEXTS = st.sampled_from(
    ["", "a", "ab", "A1", "k", "é", "2026-06-10T12:00:00Z", "2026-06-10T12:00:00.25+02:00", "1h", "7"]
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.just("a" * 70), st.just("é" * 300), st.just(b"a"))
KEYS = st.sampled_from(["a", "b", "k", ""])
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        # Not `dictionaries`: a filter inside a recursion makes Hypothesis write the whole of it as text.
        st.lists(st.tuples(KEYS, inner), max_size=4).map(dict),
        st.lists(st.tuples(KEYS, inner), max_size=3).map(dict).map(View),
        st.lists(inner, max_size=3).map(ListView),
        inner.map(Optional.of),
    ),
    max_leaves=8,
)

ATOMS = st.sampled_from(
    """x y x.a y.b x.a.b x['k'] v v.a 0 1 2 (-1) 7 100 9007199254740993 9223372036854775807 (-9223372036854775808) 2u 0.0 1.0
    1.5 (-2.5) '' 'a' 'ab' 'A1' b'a' null true false [] {} [1,2] ['a','b'] [0,1] [true] {'a':1} {'k':x} int string
    now() timestamp('2026-06-10T12:00:00Z') timestamp(x) timestamp(x.a) duration('1h') duration(y) optional.none() x.?a
    x.?a.b [x,y] size(x)""".split()  # noqa: SIM905 - a table
)
BINARY = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in"])
UNARY = st.sampled_from(
    """-{} !{} size({}) string({}) int({}) double({}) type({}) {}.a {}['b'] {}.?a {}.?a.b.orValue(1) {}.?a.hasValue() {}[0]
    {}[?0] has({}.a) {}.startsWith('a') {}.endsWith('b') {}.contains('a') {}.matches('^[a-z]+$') {}.size() [{}] {{'a':{}}}
    {}.trim() {}.upperAscii() {}.join('-') '%s'.format([{}]) sum({}) {}.sort() {}.distinct() math.greatest({}) json({})
    timestamp({}) duration({}) {}.getHours() dyn({}) {}.optMap(o,o) {}.split('') {}.first() [?{}]""".split()  # noqa: SIM905 - a table
)
MACROS = st.sampled_from(
    """map filter all exists exists_one existsOne sortBy""".split()  # noqa: SIM905 - a table
)
TWO_VARIABLES = st.sampled_from(
    """all exists existsOne transformList transformMap""".split()  # noqa: SIM905 - a table
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda e: st.one_of(
        st.builds("({} {} {})".format, e, BINARY, e),
        st.builds("({} {} {} {} {})".format, e, BINARY, e, BINARY, e),
        st.builds(lambda form, a: form.format(a), UNARY, e),
        st.builds("({} {} {})".format, e, st.sampled_from(["&&", "||"]), e),
        st.builds("({} ? {} : {})".format, e, e, e),
        st.builds("{}.{}(v, {})".format, e, MACROS, e),
        st.builds("{}.map(v, {}, {})".format, e, e, e),
        st.builds("{}.{}(i, v, {})".format, e, TWO_VARIABLES, e),
        st.builds("{}[{}]".format, e, e),
        st.builds("cel.bind(v, {}, {})".format, e, e),
        st.builds("[{}, {}]".format, e, e),
    ),
    max_leaves=10,
)


def answer(evaluate: Callable[..., Any], bindings: Mapping[str, object]) -> tuple[Any, ...]:
    """What a tier gives: a value, or an error by its code and place."""
    try:
        return (comparable(evaluate(bindings, PINS)),)
    except EvaluationError as error:
        return (error.code, error.start, error.end)


def comparable(value: Any) -> Any:
    """Write optionals as lists, which compare by what they hold."""
    if isinstance(value, Optional):
        return ["optional", *([comparable(value.value)] if value.present else [])]
    if is_map(value):
        return [[comparable(key), comparable(other)] for key, other in value.items()]
    return [comparable(part) for part in value] if is_list(value) else value


def generated(text: str) -> tuple[Expression, Callable[..., Any], list[None]]:
    """An expression, its generated function alone, and a list that grows when that asks the closures."""
    expression = compile_expression(text)
    asked: list[None] = []

    def exact(bindings: Mapping[str, object], pins: Pins) -> Any:
        asked.append(None)
        return expression.exactly(bindings, pins)

    function = generate(expression.root, 16, exact)
    assert function is not None
    return expression, function, asked


@settings(max_examples=500, deadline=None)
@given(EXPRESSIONS, DATA, DATA)
@example(text="(x == 1)", x=True, y=None)
@example(text="'a' in x", x="ab", y=None)
@example(text="x.map(v, (v < 1))", x=[0, True], y=None)
def test_generated_code_answers_like_closures(text: str, x: Any, y: Any) -> None:
    expression, function, _ = generated(text)
    bindings = {"x": x, "y": y, "v": 1}
    exact, fast = answer(expression.exactly, bindings), answer(function, bindings)
    assert len(exact) == len(fast)
    assert same(exact[0], fast[0]), (exact, fast)
    assert exact[1:] == fast[1:]


@pytest.mark.parametrize("text", ["x + 1", "1 / 0 == 1 || x == 1", "[1].map(v, v + x)"])
def test_the_tier_changes_after_some_evaluations_and_the_answers_do_not(text: str) -> None:
    expression = Expression(text, compile_expression(text).root, 16)
    first = expression.evaluate
    answers = {repr(expression.evaluate({"x": 1})) for _ in range(EVALUATIONS_BEFORE_GENERATION)}
    assert expression.evaluate is not first
    answers.add(repr(expression.evaluate({"x": 1})))
    assert len(answers) == 1


def test_threads_may_change_the_tier_at_the_same_time() -> None:
    text = "x.map(v, v * 2).exists(v, v == 6)"
    expression = Expression(text, compile_expression(text).root, 16)
    answers: list[Any] = []

    def evaluate() -> None:
        answers.extend(expression.evaluate({"x": [1, 2, 3]}) for _ in range(2 * EVALUATIONS_BEFORE_GENERATION))

    threads = [threading.Thread(target=evaluate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * (8 * EVALUATIONS_BEFORE_GENERATION)


def test_uuids_are_counted_once_so_such_expressions_are_not_generated() -> None:
    expression = compile_expression("[uuid(), x.nope]")
    assert generate(expression.root, 0, expression.exactly) is None
    expression.optimise()
    given_out: list[str] = []

    def give() -> str:
        given_out.append("u")
        return "u"

    with pytest.raises(EvaluationError):
        expression.evaluate({"x": {}}, pins=Pins(uuid=give))
    assert given_out == ["u"]


def test_a_tree_too_deep_for_generation_stays_with_closures() -> None:
    expression = compile_expression(" + ".join(["x"] * 2_000))
    assert generate(expression.root, 0, expression.exactly) is None
    expression.optimise()
    assert expression.evaluate({"x": 1}) == 2_000


def test_errors_of_generated_code_have_no_other_error_behind_them() -> None:
    expression = compile_expression("x.nope + 1")
    expression.optimise()
    with pytest.raises(EvaluationError, match="no such field `nope`") as caught:
        expression.evaluate({"x": {}})
    assert caught.value.__context__ is None or caught.value.__suppress_context__
