"""The page of the expression language's functions, from their declarations in `flowlang.expr.registry`."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from flowlang.expr.registry import Function, functions

#: Library → its title and what to know of all of it, in the order of the page.
_LIBRARIES: Final = {
    "std": ("Conversions and sizes", ""),
    "flow": (
        "FlowLang's own",
        "`now()` and `uuid()` have no place where an event is matched or a key is made: a trigger's `if`, `key`.",
    ),
    "optional": ("Optionals", "`a.?b` gives an optional: the field's value, or none."),
    "strings": ("Texts", "Positions count characters from 0."),
    "formatting": ("Formatting", ""),
    "regex": ("Regular expressions", "The syntax is that of RE2: matching takes a time that grows with the text only."),
    "lists": ("Lists", ""),
    "sets": ("Lists as sets", ""),
    "math": ("Numbers", ""),
    "times": ("Times and durations", ""),
    "encoders": ("Base64", ""),
    "network": ("Addresses and networks", ""),
}

_HEAD: Final = """\
# Functions of expressions

Written from the declarations in `flowlang/expr/lib` by `python -m flowlang.cli.reference_pages`; change them there.
Each example is an expression that is true; the tests run them all.

In a signature, `A` stands for any type, and `string.size()` is called on a text: `'abc'.size()`. Operators, literals,
`has` and macros such as `all`, `map` and `filter` have [a page of their own](operators.md).
"""


def functions_page() -> str:
    """The whole page."""
    return _HEAD + "".join(_library(name, title, note) for name, (title, note) in _LIBRARIES.items())


def _library(name: str, title: str, note: str) -> str:
    found = sorted((each for each in functions().values() if each.library == name), key=_order)
    intro = f"\n{note}\n" if note else ""
    return f"\n## {title}\n{intro}" + "".join(_section(list(same)) for _, same in groupby(found, _heading))


def _order(function: Function) -> tuple[str, str]:
    return function.name.casefold(), function.sentence


def _heading(function: Function) -> tuple[str, str]:
    """What has one section: a function and a method that do the same, such as `size(x)` and `x.size()`."""
    return function.name, function.sentence


def _section(same: list[Function]) -> str:
    signatures = "\n".join(_signature(each.signature, function) for function in same for each in function.overloads)
    examples = "\n".join(dict.fromkeys(example for function in same for example in function.examples))
    text = f"\n### {same[0].name}\n\n{same[0].sentence}\n\n```text\n{signatures}\n```\n"
    return text + (f"\n```cel\n{examples}\n```\n" if examples else "")


def _signature(text: str, function: Function) -> str:
    """A signature; three dots say that its last argument may be repeated."""
    return text.replace(")", ", ...)", 1) if function.any_count else text
