"""Text to syntax tree, by a LALR parser that Lark builds from `grammar.lark`.

Owns syntax errors: where, what was found, what was expected. Meaning (names, macros, literals) is `resolve`'s work.
Lark is imported at the first parse, and its tables come from `tables.json`, since building them takes longer than
everything else; `python -m flowlang.expr.tables` writes that file, and a test holds it to the grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from flowlang.expr import limits
from flowlang.expr.errors import ExpressionSyntaxError, Problem
from flowlang.expr.lexer import Token, tokenize
from flowlang.expr.syntax import (
    Binary,
    Call,
    Conditional,
    Element,
    Entry,
    Index,
    ListNode,
    Logic,
    MapNode,
    Name,
    Node,
    RawLiteral,
    Select,
    Unary,
    children,
)

#: Tokens that can begin a value; when all are possible, the message says "a value".
_VALUE_STARTS: Final = frozenset(
    "IDENT INT UINT FLOAT STRING BYTES TRUE FALSE NULL LPAR LSQB LBRACE NOT MINUS".split()  # noqa: SIM905 - a table
)
_OPERATORS: Final = frozenset(
    "OR AND EQ NE LT LE GT GE IN PLUS MINUS STAR SLASH PERCENT DOT LSQB QMARK".split()  # noqa: SIM905 - a table
)
_NAMES: Final = {
    "COMMA": "`,`",
    "COLON": "`:`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "IDENT": "a name",
    "QUOTED": "a quoted name",
    "QMARK": "`?`",
    "$END": "the end",
}
_WORD_HINTS: Final = {
    "and": "write && for and",
    "or": "write || for or",
    "not": "write ! for not",
    "is": "write == to compare",
    "if": "write condition ? value : other value",
    "else": "write condition ? value : other value",
    "for": "write list.map(x, …) or list.filter(x, …)",
}


class _Builder:
    """Makes a node of each reduced rule; the methods are named as in the grammar and get the rule's parts."""

    def group(self, parts: list[Any]) -> Node:
        node: Node = parts[1]
        return node

    def literal(self, parts: list[Token]) -> Node:
        token = parts[0]
        return RawLiteral(token.start_pos, token.end_pos, token.type, token.value)

    def name(self, parts: list[Token]) -> Node:
        return Name(parts[0].start_pos, parts[0].end_pos, parts[0].value)

    def name_absolute(self, parts: list[Token]) -> Node:
        return Name(parts[0].start_pos, parts[1].end_pos, parts[1].value, absolute=True)

    def select(self, parts: list[Any]) -> Node:
        operand, _, field = parts
        return Select(operand.start, field.end_pos, operand, field.value.strip("`"), field.start_pos)

    def select_optional(self, parts: list[Any]) -> Node:
        operand, _, _, field = parts
        return Select(operand.start, field.end_pos, operand, field.value.strip("`"), field.start_pos, optional=True)

    def index(self, parts: list[Any]) -> Node:
        return Index(parts[0].start, parts[3].end_pos, parts[0], parts[2])

    def index_optional(self, parts: list[Any]) -> Node:
        return Index(parts[0].start, parts[4].end_pos, parts[0], parts[3], optional=True)

    def arguments(self, parts: list[Any]) -> tuple[Node, ...]:
        return tuple(parts[::2])

    def first(self, parts: list[Any]) -> list[Node]:
        return parts

    def next(self, parts: list[Any]) -> list[Node]:
        # Grows in place, so that a long list is not copied once an element.
        items: list[Node] = parts[0]
        items.append(parts[2])
        return items

    def call(self, parts: list[Any]) -> Node:
        name, args = parts[0], parts[2] if len(parts) == 4 else ()
        return Call(name.start_pos, parts[-1].end_pos, None, name.value, args, name.start_pos, name.end_pos)

    def call_absolute(self, parts: list[Any]) -> Node:
        name, args = parts[1], parts[3] if len(parts) == 5 else ()
        return Call(
            parts[0].start_pos, parts[-1].end_pos, None, name.value, args, name.start_pos, name.end_pos, absolute=True
        )

    def call_member(self, parts: list[Any]) -> Node:
        target, name, args = parts[0], parts[2], parts[4] if len(parts) == 6 else ()
        return Call(target.start, parts[-1].end_pos, target, name.value, args, name.start_pos, name.end_pos)

    def make_list(self, parts: list[Any]) -> Node:
        elements = parts[1] if len(parts) > 2 else ()
        return ListNode(parts[0].start_pos, parts[-1].end_pos, tuple(elements))

    def make_map(self, parts: list[Any]) -> Node:
        entries = parts[1] if len(parts) > 2 else ()
        return MapNode(parts[0].start_pos, parts[-1].end_pos, tuple(entries))

    def element(self, parts: list[Any]) -> Node:
        return Element(parts[0].start, parts[0].end, parts[0], optional=False)

    def element_optional(self, parts: list[Any]) -> Node:
        return Element(parts[0].start_pos, parts[1].end, parts[1], optional=True)

    def entry(self, parts: list[Any]) -> Node:
        return Entry(parts[0].start, parts[2].end, parts[0], parts[2], optional=False)

    def entry_optional(self, parts: list[Any]) -> Node:
        return Entry(parts[0].start_pos, parts[3].end, parts[1], parts[3], optional=True)

    def unary(self, parts: list[Any]) -> Node:
        return Unary(parts[0].start_pos, parts[1].end, parts[0].value, parts[1])

    def relation_operator(self, parts: list[Token]) -> Token:
        return parts[0]

    def binary(self, parts: list[Any]) -> Node:
        left, operator, right = parts
        return Binary(left.start, right.end, operator.value, left, right)

    def disjunction(self, parts: list[Any]) -> Node:
        return Logic(parts[0].start, parts[-1].end, parts[1].value, tuple(parts[::2]))

    conjunction = disjunction

    def conditional(self, parts: list[Any]) -> Node:
        condition, _, then, _, otherwise = parts
        return Conditional(condition.start, otherwise.end, condition, then, otherwise)


@cache
def _lark() -> Callable[[str], Node]:
    """Load Lark with the grammar's tables, once a process."""
    from flowlang.expr import tables  # noqa: PLC0415 - `flowlang --help` must not load Lark

    parse_text: Callable[[str], Any] = tables.load(_Builder()).parse
    return parse_text


def parse(text: str) -> Node:
    """Parse an expression.

    Args:
        text: The expression, without `${{ }}`.

    Returns:
        Its syntax tree, no deeper than `limits.MAX_DEPTH`.

    Raises:
        ExpressionSyntaxError: The text is no expression, or too large.
    """
    if len(text) > limits.MAX_TEXT:
        message = f"the expression has {len(text)} characters, more than {limits.MAX_TEXT}"
        raise ExpressionSyntaxError((Problem(message, 0, len(text)),))
    from lark.exceptions import UnexpectedToken  # noqa: PLC0415 - `flowlang --help` must not load Lark

    try:
        root = _lark()(text)
    except UnexpectedToken as error:
        raise ExpressionSyntaxError((_unexpected(text, error),)) from None
    _check_depth(root)
    return root


def _check_depth(root: Node) -> None:
    """Refuse trees that are too deep to walk; the left spine of operators is walked in a loop and costs no depth."""
    pending: list[tuple[Node, int]] = [(root, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > limits.MAX_DEPTH:
            message = f"the expression is nested deeper than {limits.MAX_DEPTH} levels"
            raise ExpressionSyntaxError((Problem(message, node.start, node.end, "split it, for example with vars"),))
        for child in children(node):
            along_spine = isinstance(node, Binary) and child is node.left and isinstance(child, Binary)
            same_level = along_spine or isinstance(child, Element | Entry)
            pending.append((child, depth if same_level else depth + 1))


def _unexpected(text: str, error: Any) -> Problem:
    token = error.token
    expected = _describe(set(error.interactive_parser.accepts()))
    if token.type == "$END":
        found, start, end = (
            ("the expression ends too early" if any(tokenize(text)) else "the expression is empty"),
            *(2 * (len(text),)),
        )
    else:
        found, start, end = f"unexpected `{token.value}`", token.start_pos, token.end_pos
    return Problem(f"{found}; expected {expected}", start, end, _hint(text, token))


def _hint(text: str, token: Any) -> str | None:
    before = text[: token.start_pos].rstrip() if token.type != "$END" else ""
    if token.type == "IDENT":
        if before[-1:].isdigit() and token.value.startswith("_"):
            return "numbers are written without underscores"
        # `not` begins like a name, so the mistake shows only behind it.
        return _WORD_HINTS.get("not" if before.endswith("not") else token.value)
    if token.type == "LBRACE" and before:
        return "a map is written {'key': value}; there are no messages"
    if token.type in {"TRUE", "FALSE", "NULL", "IN"} and before.endswith("."):
        return f"`{token.value}` is a keyword; select it as ['{token.value}']"
    if token.type in {"DOT", "FLOAT"} and before[-1:].isdigit():
        return "write 1.0 for a number with a fraction"
    return None


def _describe(accepted: set[str]) -> str:
    parts = []
    if accepted >= _VALUE_STARTS:
        accepted = accepted - _VALUE_STARTS - {"DOT", "QMARK"}
        parts.append("a value")
    elif accepted >= _OPERATORS - {"QMARK"}:
        accepted = accepted - _OPERATORS - {"LPAR"}
        parts.append("an operator")
    parts += [_NAMES[name] for name in sorted(accepted) if name in _NAMES]
    if len(parts) > 1:
        return ", ".join(parts[:-1]) + " or " + parts[-1]
    return parts[0] if parts else "an operator"
