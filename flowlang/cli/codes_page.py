"""The page of diagnostic codes, from the table in `flowlang.diagnostics.codes`."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from flowlang.diagnostics.codes import CODES, Code

_TOPICS: Final = {
    "0": ("YAML", "What the YAML reader refuses, most of it because tools read it in different ways."),
    "1": ("Shape", "Keys and values that the language does not have there."),
    "2": ("Expressions", "What stands in `${{ }}` and under keys that take an expression."),
    "3": ("Events and pipelines", "Names that lead to other parts of the project."),
    "4": ("Handlers", "Calls that do not fit the Python functions."),
    "5": ("Reliability", "What would be lost, doubled or never end."),
    "6": ("Security", "What a stranger could use."),
    "7": ("Deprecated", "What a later version takes away."),
    "8": ("Compatibility", "What does not fit the runs that are under way."),
    "9": ("Ignores", "Comments and settings that leave findings out."),
}

_HEAD: Final = """\
# Diagnostic codes

Written from `flowlang/diagnostics/codes.py` by `python -m flowlang.cli.reference_pages`; change it there.

Each finding of `flowlang validate` has a code, the file, line and column, the line itself with a caret, and a hint
where one is known. Errors make the exit status 1; warnings and notes do not. A code keeps its meaning and is never
given to something else.

The page of a code says why it is looked for, shows an example with and without the mistake, and how to put it right;
`flowlang explain FL214` shows the same in a terminal. What the examples speak of and do not show is a handler
`mail.send(to, subject)` and the schema of an event `shop/order-placed`.
"""


def codes_page() -> str:
    """The whole page."""
    ordered = [CODES[name] for name in sorted(CODES)]
    return _HEAD + "".join(_topic(digit, list(codes)) for digit, codes in groupby(ordered, lambda each: each.code[2]))


def _topic(digit: str, codes: list[Code]) -> str:
    title, sentence = _TOPICS[digit]
    rows = "".join(
        f"| [`{each.code}`](../rules/{each.code}.md) | {each.slug} | {_cell(each.sentence)} |\n" for each in codes
    )
    return f"\n## {title}\n\n{sentence}\n\n| code | name | what it says |\n|---|---|---|\n{rows}"


def _cell(text: str) -> str:
    """A text that does not end the cell of its table."""
    return text.replace("|", "\\|")
