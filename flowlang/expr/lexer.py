"""Cuts the text of an expression into tokens with offsets.

Templates use it as well, to find the braces that end `${{ }}`. What tokens mean is the parser's work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from flowlang.expr.errors import ExpressionSyntaxError, Problem

_ESCAPED: Final = r"(?:[^\\{q}\n\r]|\\[^\n\r])*"
_TRIPLE: Final = r"(?:[^\\{q}]|\\.|{q}(?!{q}{q}))*"


def _quoted(plain_prefix: str, raw_prefix: str) -> str:
    """Write the pattern of the four quotes, with and without escapes.

    Args:
        plain_prefix: Pattern before a quote whose text has escapes.
        raw_prefix: Pattern before a quote whose text is raw.

    Returns:
        A pattern without groups.
    """
    forms = []
    for quote in ('"', "'"):
        triple = quote * 3
        forms += [
            f"{raw_prefix}{triple}(?:[^{quote}]|{quote}(?!{quote}{quote}))*{triple}",
            f"{plain_prefix}{triple}{_TRIPLE.format(q=quote)}{triple}",
            f"{raw_prefix}{quote}(?!{quote}{quote})[^{quote}\n\r]*{quote}",
            f"{plain_prefix}{quote}(?!{quote}{quote}){_ESCAPED.format(q=quote)}{quote}",
        ]
    return "|".join([*forms, f"{raw_prefix}(?:\"\"|'')", f"{plain_prefix}(?:\"\"|'')"])


_PUNCTUATION: Final = {
    "&&": "AND",
    "||": "OR",
    "==": "EQ",
    "!=": "NE",
    "<=": "LE",
    ">=": "GE",
    "<": "LT",
    ">": "GT",
    "!": "NOT",
    "-": "MINUS",
    "+": "PLUS",
    "*": "STAR",
    "/": "SLASH",
    "%": "PERCENT",
    ".": "DOT",
    ",": "COMMA",
    ":": "COLON",
    "?": "QMARK",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    "{": "LBRACE",
    "}": "RBRACE",
}
_KEYWORDS: Final = {"true": "TRUE", "false": "FALSE", "null": "NULL", "in": "IN"}

_TOKEN: Final = re.compile(
    "|".join(
        [
            r"(?P<SPACE>(?:[ \t\n\f\r]|//[^\n]*)+)",
            rf"(?P<BYTES>{_quoted('[bB]', '[bB][rR]')})",
            rf"(?P<STRING>{_quoted('', '[rR]')})",
            r"(?P<IDENT>[A-Za-z_][A-Za-z0-9_]*)",
            r"(?P<FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)",
            r"(?P<UINT>(?:0[xX][0-9a-fA-F]+|[0-9]+)[uU])",
            r"(?P<INT>0[xX][0-9a-fA-F]+|[0-9]+)",
            r"(?P<QUOTED>`[A-Za-z0-9_./ -]+`)",
            "(?P<PUNCTUATION>" + "|".join(re.escape(mark) for mark in _PUNCTUATION) + ")",
        ]
    ),
    re.DOTALL,
)

_CHARACTER_HINTS: Final = {
    "=": "write == to compare",
    "&": "write && for and",
    "|": "write || for or; there are no filters, call a function instead",
    ";": "an expression is one value, without a semicolon",
    "#": "a comment begins with //",
    "$": "an expression holds no ${{ }} inside itself",
    "`": "a quoted field is written .`content-type` and closes with the same mark",
}


class Token:
    """A token; carries what Lark's error path reads."""

    __slots__ = ("end_pos", "start_pos", "type", "value")

    line: ClassVar[int] = 1
    column: ClassVar[int] = 1
    end_line: ClassVar[int] = 1
    end_column: ClassVar[int] = 1

    def __init__(self, kind: str, value: str, start: int, end: int) -> None:
        self.type = kind
        self.value = value
        self.start_pos = start
        self.end_pos = end


def tokenize(text: str, position: int = 0, *, strict: bool = True) -> Iterator[Token]:
    """Cut a text into tokens, without spaces and comments.

    Args:
        text: The text that holds the expression.
        position: Offset at which to begin.
        strict: Whether a character that begins no token is a mistake; else it is a token of the kind `STRAY`.

    Yields:
        Tokens in the order of the text.

    Raises:
        ExpressionSyntaxError: A character begins no token, or a text is not closed.
    """
    match_at = _TOKEN.match
    while position < len(text):
        found = match_at(text, position)
        if found is None:
            if strict:
                raise ExpressionSyntaxError((_stray(text, position),))
            yield Token("STRAY", text[position], position, position + 1)
            position += 1
            continue
        kind, value, end = found.lastgroup, found.group(), found.end()
        if kind == "IDENT":
            yield Token(_KEYWORDS.get(value, "IDENT"), value, position, end)
        elif kind == "PUNCTUATION":
            yield Token(_PUNCTUATION[value], value, position, end)
        elif kind is not None and kind != "SPACE":
            yield Token(kind, value, position, end)
        position = end


def _stray(text: str, position: int) -> Problem:
    character = text[position]
    if character in "\"'":
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        return Problem("the text is not closed", position, end, f"write the closing {character} on the same line")
    hint = _CHARACTER_HINTS.get(character)
    if not character.isascii() and character.isalpha():
        hint = "names are made of the letters a to z, digits and _; select other fields as map['…']"
    return Problem(f"unexpected character `{character}`", position, position + 1, hint)
