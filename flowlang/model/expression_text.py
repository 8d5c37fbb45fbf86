"""Where expressions begin and end in a text: a lexical look, without parsing them.

The YAML loader needs to know that `x == 'a` was cut, and the models need the inside of `${{ … }}`; what an expression
means is `flowlang.expr`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

OPENING: Final = "${{"
CLOSING: Final = "}}"

_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_RAW_PREFIX = re.compile(r"(?:^|[^A-Za-z0-9_])[bB]?[rR]$")


@dataclass(frozen=True, slots=True)
class Region:
    """A `${{ … }}` in a text.

    Args:
        start: Offset of `${{`.
        end: Offset behind `}}`.
    """

    start: int
    end: int


def template_regions(text: str) -> tuple[tuple[Region, ...], int | None]:
    """Every `${{ … }}` of a text; `$${{` is no template.

    Returns:
        The regions in order, and the offset of the `${{` that is never closed, or None.
    """
    regions: list[Region] = []
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        if start > 0 and text[start - 1] == "$":
            position = start + len(OPENING)
            continue
        end = _closing(text, start + len(OPENING))
        if end is None:
            return tuple(regions), start
        regions.append(Region(start, end))
        position = end
    return tuple(regions), None


def _closing(text: str, start: int) -> int | None:
    """Offset behind the `}}` that ends a template; braces and quotes inside the expression are seen.

    When quotes or braces do not match, the first `}}` is taken: the parser of expressions says more about the mistake.
    """
    depth = 0
    position = start
    while position < len(text):
        char = text[position]
        if char in "'\"":
            after = _after_string(text, position)
            if after is None:
                break
            position = after
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            if depth == 0 and text.startswith(CLOSING, position):
                return position + len(CLOSING)
            depth = max(depth - 1, 0)
        position += 1
    first = text.find(CLOSING, start)
    return None if first < 0 else first + len(CLOSING)


def left_open(text: str) -> str | None:
    """The quote or bracket that an expression's text opens and never closes, or None."""
    stack: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char in "'\"":
            after = _after_string(text, position)
            if after is None:
                return char
            position = after
            continue
        if char in _CLOSERS:
            stack.append(char)
        elif stack and char == _CLOSERS[stack[-1]]:
            stack.pop()
        position += 1
    return stack[-1] if stack else None


def _after_string(text: str, start: int) -> int | None:
    """Offset behind the string literal that begins at `start`, or None when it never ends."""
    quote = text[start]
    mark = quote * 3 if text.startswith(quote * 3, start) else quote
    raw = _RAW_PREFIX.search(text[max(start - 3, 0) : start]) is not None
    position = start + len(mark)
    while position < len(text):
        if text.startswith(mark, position):
            return position + len(mark)
        position += 2 if text[position] == "\\" and not raw else 1
    return None


def quoted(text: str) -> str:
    """A text as a quoted YAML scalar on one line, in the quotes that need no escapes where there are such."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"
