from __future__ import annotations

import json
import subprocess
import sys

import pytest

from flowlang.expr import ExpressionSyntaxError, compile_expression, tables
from flowlang.expr.limits import MAX_TEXT
from flowlang.expr.parser import _Builder, parse


def test_the_saved_tables_belong_to_the_grammar_and_the_installed_lark() -> None:
    saved = json.loads(tables._read("tables.json"))
    assert saved["made_for"] == json.loads(tables.dump())["made_for"], "run `python -m flowlang.expr.tables`"


@pytest.mark.parametrize("text", ["a.b(1)[?c] + {?'k': [1, ?d,]}.?e.`f-g` ? !x : -y", "a && b || c", "x in y == z"])
def test_tables_built_from_the_grammar_give_the_same_trees(text: str) -> None:
    built = tables._build(tables._read("grammar.lark"), _Builder()).parse(text)
    assert repr(built) == repr(parse(text))


def test_importing_the_package_loads_neither_lark_nor_re2() -> None:
    code = "import sys, flowlang.expr; print(sorted({'lark', 're2', 'zoneinfo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("1 +", 3, 3),
        ("a b", 2, 3),
        ("f(1 2)", 4, 5),
        ("'é' = 1", 4, 5),
        ("x + 'open", 4, 9),
        ("'a\\qb'", 2, 4),
        ("99999999999999999999", 0, 20),
        ("a.b.sise()", 4, 8),
    ],
)
def test_a_problem_says_where_it_is(text: str, start: int, end: int) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression(text)
    assert [(problem.start, problem.end) for problem in caught.value.problems] == [(start, end)]


def test_all_problems_of_meaning_are_found_at_once() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression("nope(1) + '\\q' + if + xs.map(1, 2) + 99999999999999999999")
    assert [problem.start for problem in caught.value.problems] == [0, 11, 17, 29, 37]


def test_at_most_thirty_problems_are_reported() -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_expression(" + ".join(["nope()"] * 100))
    assert len(caught.value.problems) == 30


@pytest.mark.parametrize(
    "text",
    [
        "[" * 101 + "]" * 101,
        "-" * 200 + "x",
        "!" * 5_000 + "x",
        "size(" * 101 + "x" + ")" * 101,
        "x" + ".y" * 200,
        "x" + "[0]" * 200,
        "a ? b : " * 150 + "c",
        "{'a': " * 101 + "1" + "}" * 101,
        "1 + (" * 150 + "1" + ")" * 150,
        "x.map(y, " * 101 + "1" + ")" * 101,
    ],
)
def test_nesting_beyond_the_bound_is_a_syntax_error(text: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match="nested deeper than 100 levels"):
        compile_expression(text)


def test_a_text_beyond_the_bound_is_a_syntax_error() -> None:
    with pytest.raises(ExpressionSyntaxError, match="more than 20000"):
        compile_expression("1" * (MAX_TEXT + 1))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" + ".join(["1"] * 5_000), 5_000),
        (" || ".join([*["false"] * 2_000, "true"]), True),
        ("(" * 5_000 + "1" + ")" * 5_000, 1),
        ("[" + ", ".join(["1"] * 3_000) + "].size()", 3_000),
        ("[" * 90 + "]" * 90 + "[0]" * 5, None),
        ("1 - 2 - 3 - 4 - 5 - 6 - 7 - 8 - 9 - 10", -53),
        ("a.b == a.b == true == true == true == true == true == true == true == true", True),
    ],
)
def test_what_is_long_but_not_deep_works(text: str, value: object) -> None:
    answer = compile_expression(text).evaluate({"a": {"b": 1}})
    assert value is None or answer == value


def test_the_same_text_is_compiled_once() -> None:
    assert compile_expression("1 + 41") is compile_expression("1 + 41")
