"""Operators, literals and macros are declared where the reference takes them from: all of them, and as they are."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest

from flowlang.expr import compile_expression
from flowlang.expr.language import LANGUAGE, PRECEDENCE, RESERVED, Construct
from flowlang.expr.operator_types import OPERATORS, UNARY
from flowlang.expr.parser import parse
from flowlang.expr.resolve import _GLOBAL_MACROS, _MACRO_NAMES, _RESERVED
from flowlang.expr.syntax import Binary, Conditional, Logic, Node, Unary

CONSTRUCTS = list(chain.from_iterable(LANGUAGE.values()))


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda construct: construct.title)
def test_every_construct_is_documented_and_its_examples_are_true(construct: Construct) -> None:
    assert construct.sentence.endswith(".")
    assert construct.examples
    assert construct.operators or construct.forms
    for example in construct.examples:
        assert compile_expression(example).evaluate({}) is True, example


def test_every_operator_and_macro_is_declared() -> None:
    operators = set(chain.from_iterable(construct.operators for construct in CONSTRUCTS))
    titles = {construct.title for construct in CONSTRUCTS}
    assert operators | titles >= {*OPERATORS, *UNARY, "&&", "||"}
    forms = " ".join(chain.from_iterable((*construct.forms, *construct.examples) for construct in CONSTRUCTS))
    assert {name for name in _MACRO_NAMES if f".{name}(" not in forms} == set()
    assert {name for name in _GLOBAL_MACROS if f"{name}(" not in forms} == set()


def test_operators_that_stand_together_take_the_same() -> None:
    for construct in CONSTRUCTS:
        taken = {
            tuple((each.parameters, each.result) for each in OPERATORS.get(name, ())) for name in construct.operators
        }
        assert len(taken) <= 1, construct.title


def test_reserved_words_are_the_ones_that_are_refused() -> None:
    assert set(RESERVED) == _RESERVED


def test_what_binds_first_is_as_the_parser_has_it() -> None:
    strongest_first = [operators for operators, _ in PRECEDENCE if operators[0] not in {".", "!"}]
    for stronger, weaker in pairwise(strongest_first):
        for strong, weak in ((strong, weak) for strong in stronger for weak in weaker):
            text = f"a {strong} b ? c : d" if weak == "?:" else f"a {weak} b {strong} c"
            assert _top(parse(text)) == weak, text
    assert _top(parse("-a * b")) == "*"
    assert _top(parse("-a.b")) == "-"
    assert _top(parse("!a[b]")) == "!"


def _top(node: Node) -> str:
    match node:
        case Binary(operator=operator) | Logic(operator=operator) | Unary(operator=operator):
            return operator
        case Conditional():
            return "?:"
        case _:
            return ""
