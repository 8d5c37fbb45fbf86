"""The page of operators, literals and macros, from their declarations in `flowlang.expr.language`."""

from __future__ import annotations

import re
import textwrap
from typing import Final

from flowlang.expr.language import LANGUAGE, PRECEDENCE, RESERVED, Construct
from flowlang.expr.operator_types import OPERATORS, UNARY

_HEAD: Final = """\
# Operators, literals and macros of expressions

Written from the declarations in `flowlang/expr/language.py` by `python -m flowlang.cli.reference_pages`; change them
there. Each example is an expression that is true; the tests run them all.

In what follows, `A` and `B` stand for any type. [Functions](functions.md) have a page of their own.
"""

_NOTES: Final = {
    "Arithmetic": """\
Both sides have one type: `1 + 1.0` is an error. So is a whole number that does not fit 64 bits, and a time or a
duration out of its range.
""",
    "Macros": """\
A macro evaluates its last arguments once for each element, with names for it. Lists have positions and elements, maps
keys and values; with one name, it is the element or the key.
""",
}


#: What stands between spaces and commas and has no letter in it.
_MARKS: Final = re.compile(r"(?<![^ ])[^\w ,]+(?=,| |$)")


def operators_page() -> str:
    """The whole page."""
    parts = (_part(title, constructs) for title, constructs in LANGUAGE.items())
    return _HEAD + _precedence() + "".join(parts)


def _precedence() -> str:
    rows = "\n".join(
        f"| {' '.join(f'`{_escaped(operator)}`' for operator in operators)} | {order} |"
        for operators, order in PRECEDENCE
    )
    words = ", ".join(f"`{word}`" for word in RESERVED)
    note = f"`//` begins a comment, which ends with the line. These words can be fields, but no names: {words}."
    table = f"| from the strongest | a row of them is read |\n|---|---|\n{rows}\n"
    return f"\n## What binds first\n\n{table}\n{textwrap.fill(note, 120)}\n"


def _escaped(operator: str) -> str:
    """An operator in a cell of a table."""
    return operator.replace("|", "\\|")


def _part(title: str, constructs: tuple[Construct, ...]) -> str:
    note = f"\n{_NOTES[title]}" if title in _NOTES else ""
    return f"\n## {title}\n{note}" + "".join(map(_section, constructs))


def _section(construct: Construct) -> str:
    forms = "\n".join([*construct.forms, *_signatures(construct.operators)])
    examples = "\n".join(construct.examples)
    heading = _MARKS.sub(r"`\g<0>`", construct.title)  # some of the marks mean something in Markdown
    return f"\n### {heading}\n\n{construct.sentence}\n\n```text\n{forms}\n```\n\n```cel\n{examples}\n```\n"


def _signatures(operators: tuple[str, ...]) -> list[str]:
    """What the first of the operators takes and gives: those that stand together take the same."""
    return [row for operator in operators[:1] for row in (*_between(operator), *_before(operator))]


def _between(operator: str) -> list[str]:
    found = OPERATORS.get(operator, ())
    return [f"{each.parameters[0]} {operator} {each.parameters[1]} -> {each.result}" for each in found]


def _before(operator: str) -> list[str]:
    return [f"{operator}{each.parameters[0]} -> {each.result}" for each in UNARY.get(operator, ())]
