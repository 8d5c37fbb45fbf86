"""Where the expressions in a text begin and end, and what an expression leaves open: by the lexer, without parsing.

Texts that are no expressions have to be read too: YAML may have cut one in the middle, and the loader says so. So
nothing here raises; what an expression means, and what is wrong with it, is the parser's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flowlang.expr.lexer import tokenize

OPENING: Final = "${{"
CLOSING: Final = "}}"

#: Kinds of tokens that close what another opens, and how the opening one is written.
_CLOSERS: Final = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}


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
    """Find every `${{ … }}` of a text; `$${{` is no template.

    Args:
        text: As written.

    Returns:
        The regions in order, and the offset of the `${{` that is never closed, or None.
    """
    regions: list[Region] = []
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        if start > position and text[start - 1] == "$":
            position = start + len(OPENING)
            continue
        end = _closing(text, start + len(OPENING))
        if end is None:
            return tuple(regions), start
        regions.append(Region(start, end))
        position = end
    return tuple(regions), None


def _closing(text: str, start: int) -> int | None:
    """Find the end of a template: not the braces inside its texts, nor those of its maps.

    When braces do not match, the first `}}` is taken: the parser says more about the mistake.
    """
    depth = 0
    for token in tokenize(text, start, strict=False):
        if token.type == "LBRACE":
            depth += 1
        elif token.type == "RBRACE":
            if depth == 0 and text.startswith(CLOSING, token.start_pos):
                return token.start_pos + len(CLOSING)
            depth = max(depth - 1, 0)
    first = text.find(CLOSING, start)
    return None if first < 0 else first + len(CLOSING)


def left_open(text: str) -> str | None:
    """Find what an expression opens and never closes.

    Args:
        text: The expression, or its beginning.

    Returns:
        The quote or bracket, or None.
    """
    stack: list[tuple[str, str]] = []
    for token in tokenize(text, strict=False):
        if token.type == "STRAY" and token.value in "'\"":
            return token.value
        if token.type in _CLOSERS:
            stack.append((token.value, _CLOSERS[token.type]))
        elif stack and token.type == stack[-1][1]:
            stack.pop()
    return stack[-1][0] if stack else None
