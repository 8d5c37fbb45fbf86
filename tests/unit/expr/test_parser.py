from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from lark import Lark, UnexpectedToken
from lark.lexer import Lexer

from flowlang.expr import ExpressionSyntaxError, compile_expression, tables
from flowlang.expr.automaton import END, UnexpectedTokenError
from flowlang.expr.lexer import Token, tokenize
from flowlang.expr.limits import MAX_TEXT
from flowlang.expr.parser import _automaton, _Builder
from tests.unit.expr.trees import expressions


def test_the_saved_tables_belong_to_the_grammar() -> None:
    assert tables._read("tables.json") == tables.dump(), "run `python -m flowlang.expr.tables`"


class OurTokens(Lexer):
    """Gives Lark our tokens."""

    def __init__(self, lexer_conf: object) -> None: ...

    def lex(self, lexer_state: Any, parser_state: Any = None) -> Iterator[Any]:
        del parser_state
        return tokenize(lexer_state)


def test_lark_gives_the_same_trees_and_expects_the_same_tokens() -> None:
    grammar = tables._read("grammar.lark")
    lark = Lark(grammar, parser="lalr", lexer=OurTokens, transformer=_Builder(), maybe_placeholders=False)
    texts = [
        "a.b(1)[?c] + {?'k': [1, ?d,]}.?e.`f-g` ? !x : -y",
        "a && b || c && d && e",
        *(each[0] for each in expressions()),
    ]
    trees = refused = 0
    for text in texts:
        tokens = list(_tokens(text))
        for cut in {len(tokens), len(tokens) // 2, len(tokens) // 3}:
            shorter = text[: tokens[cut - 1].end_pos] if cut else ""
            ours, theirs = _ours(shorter), _theirs(lark, shorter)
            assert ours == theirs
            trees += isinstance(ours, str)
            refused += not isinstance(ours, str)
    assert trees > 1_000
    assert refused > 1_000


def _ours(text: str) -> str | set[str]:
    """The tree, or the tokens that were expected where one is wrong."""
    try:
        return repr(_automaton().run(tokenize(text), Token(END, "", 0, 0)))
    except UnexpectedTokenError as error:
        return set(error.accepted)


def _theirs(lark: Any, text: str) -> str | set[str]:
    try:
        return repr(lark.parse(text))
    except UnexpectedToken as error:
        parser: Any = error.interactive_parser
        return set(parser.accepts())


def _tokens(text: str) -> list[Token]:
    try:
        return list(tokenize(text))
    except ExpressionSyntaxError:
        return []


def test_parsing_does_not_load_lark() -> None:
    code = "import sys; from flowlang.expr.parser import parse; parse('a + 1'); print('lark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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
