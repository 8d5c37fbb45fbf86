"""The page of the expression language's functions, from their declarations in `flowlang.expr.registry`."""

from __future__ import annotations

from typing import Final

from flowlang.expr.registry import Function, functions

#: Library → its title and what to know of all of it, in the order of the page.
_LIBRARIES: Final = {
    "std": ("Conversions and sizes", ""),
    "flow": (
        "FlowLang's own",
        "`now()` and `uuid()` give the same answer in all attempts of a step, so they cannot stand where an event is "
        "matched or a key is made (`match`, a trigger's `if`, `key`).",
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

In a signature, `A` stands for any type, and `string.size()` is called on a text: `'abc'.size()`. Operators, `has` and
the macros `all`, `exists`, `map`, `filter` and `sortBy` are in [the guide](../guide/expressions.md).
"""


def functions_page() -> str:
    """The whole page."""
    return _HEAD + "".join(_library(name, title, note) for name, (title, note) in _LIBRARIES.items())


def _library(name: str, title: str, note: str) -> str:
    found = [each for each in functions().values() if each.library == name]
    intro = f"\n{note}\n" if note else ""
    return f"\n## {title}\n{intro}" + "".join(map(_function, sorted(found, key=_order)))


def _order(function: Function) -> tuple[str, bool]:
    return function.name.casefold(), function.method


def _function(function: Function) -> str:
    signatures = "\n".join(_signature(each.signature, function) for each in function.overloads)
    examples = "\n".join(function.examples)
    shown = f"\n```cel\n{examples}\n```\n" if examples else ""
    heading = f".{function.name}" if function.method else function.name
    return f"\n### `{heading}`\n\n{function.sentence}\n\n```text\n{signatures}\n```\n{shown}"


def _signature(text: str, function: Function) -> str:
    """A signature; three dots say that its last argument may be repeated."""
    return text.replace(")", ", ...)", 1) if function.any_count else text
