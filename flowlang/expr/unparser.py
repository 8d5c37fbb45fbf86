"""Writes trees as CEL: reading the text again gives the same tree.

Parentheses stand where the tree needs them; spaces, quotes and the form of numbers are always the same ones. Offsets of
the tree play no part, so trees that were put together from parts of others can be written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

from flowlang.expr.syntax import (
    Binary,
    Bind,
    Call,
    Comprehension,
    Conditional,
    Element,
    Entry,
    Has,
    Index,
    ListNode,
    Literal,
    Local,
    Logic,
    MapNode,
    Name,
    Node,
    OptionalMap,
    Select,
    TypeName,
    Unary,
    walk,
)
from flowlang.expr.values import UInt


class _Level(IntEnum):
    """What may stand in a place without parentheses, from everything to what a selection can follow."""

    ANY = 0
    OR = 1
    AND = 2
    RELATION = 3
    SUM = 4
    PRODUCT = 5
    UNARY = 6
    MEMBER = 7


_OPERATORS: Final = {
    "||": _Level.OR,
    "&&": _Level.AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), _Level.RELATION),
    **dict.fromkeys(("+", "-"), _Level.SUM),
    **dict.fromkeys(("*", "/", "%"), _Level.PRODUCT),
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS: Final = frozenset({"true", "false", "null", "in"})
_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}


def unparse(node: Node) -> str:
    """Write a tree.

    Args:
        node: A resolved tree, or a part of one.

    Returns:
        Its text. A variable of a macro gets another name where its own would hide what the body means.
    """
    writer = _Writer(node)
    writer.write(node, _Level.ANY)
    return "".join(writer.text)


class _Writer:
    """Writes one tree; `slots` has the names of the variables in sight, as they are written."""

    def __init__(self, root: Node) -> None:
        self.text: list[str] = []
        self._root = root
        self._slots: dict[int, str] = {}
        self._taken: set[str] | None = None

    def write(self, node: Node, least: _Level) -> None:
        """Write a node, in parentheses where its operator binds less than its place needs."""
        if _level(node) < least:
            self.text.append("(")
            self._node(node)
            self.text.append(")")
        else:
            self._node(node)

    def _node(self, node: Node) -> None:
        match node:
            case Literal():
                self.text.append(_constant(node.value))
            case Name():
                self._name(node.name, absolute=node.absolute)
            case TypeName():
                self._name(node.name, absolute=False)
            case Local():
                self.text.append(self._slots.get(node.slot, node.name))
            case Select():
                self.write(node.operand, _Level.MEMBER)
                self.text.append(_selector(node))
            case Has():
                self.text.append("has(")
                self.write(node.operand, _Level.MEMBER)
                self.text.append(f"{_selector(node)})")
            case Index():
                self.write(node.operand, _Level.MEMBER)
                self.text.append("[?" if node.optional else "[")
                self.write(node.index, _Level.ANY)
                self.text.append("]")
            case Call():
                self._call(node)
            case ListNode() | MapNode():
                self._collection(node)
            case Unary():
                self._unary(node)
            case Binary():
                self._binary(node)
            case Logic():
                self._logic(node)
            case Conditional():
                self._conditional(node)
            case Comprehension():
                self._comprehension(node)
            case Bind():
                self._bind(node)
            case OptionalMap():
                self._optional_map(node)
            case _:
                raise AssertionError(f"{node.__class__.__name__} is no node of a resolved tree")

    def _name(self, name: str, *, absolute: bool) -> None:
        hidden = name.partition(".")[0] in self._slots.values()
        self.text.append(f".{name}" if absolute or hidden else name)

    def _call(self, node: Call) -> None:
        if node.target is None:
            self.text.append("." if node.absolute else "")
        else:
            self.write(node.target, _Level.MEMBER)
            self.text.append(".")
        self.text.append(f"{node.name}(")
        self._list(node.args)
        self.text.append(")")

    def _list(self, nodes: tuple[Node, ...]) -> None:
        for number, node in enumerate(nodes):
            self.text.append(", " if number else "")
            self.write(node, _Level.ANY)

    def _collection(self, node: ListNode | MapNode) -> None:
        opening, closing = "[]" if isinstance(node, ListNode) else "{}"
        parts: tuple[Element | Entry, ...] = node.elements if isinstance(node, ListNode) else node.entries
        self.text.append(opening)
        for number, part in enumerate(parts):
            self.text.append(", " if number else "")
            self.text.append("?" if part.optional else "")
            if isinstance(part, Entry):
                # A condition as a key could do without parentheses, but nobody could read `{a ? b : c: d}`.
                self.write(part.key, _Level.OR)
                self.text.append(": ")
            self.write(part.value, _Level.ANY)
        self.text.append(closing)

    def _unary(self, node: Unary) -> None:
        self.text.append(node.operator)
        if node.operator == "-" and isinstance(node.operand, Literal) and _takes_sign(node.operand.value):
            # Directly behind a minus, a number would take it for its own sign.
            self.text.append(f"({_constant(node.operand.value)})")
        else:
            self.write(node.operand, _Level.UNARY)

    def _binary(self, node: Binary) -> None:
        """Write a left spine of operators in a loop, since sums may be long."""
        spine = [node]
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        grouped = [_level(part) < _level(outer) for outer, part in pairwise(spine)]
        self.text.append("(" * sum(grouped))
        self.write(spine[-1].left, _level(spine[-1]))
        for part, in_group in zip(reversed(spine), reversed([False, *grouped]), strict=True):
            self.text.append(f" {part.operator} ")
            self.write(part.right, _Level(_level(part) + 1))
            self.text.append(")" if in_group else "")

    def _logic(self, node: Logic) -> None:
        for number, operand in enumerate(node.operands):
            self.text.append(f" {node.operator} " if number else "")
            self.write(operand, _Level(_level(node) + 1))

    def _conditional(self, node: Conditional) -> None:
        self.write(node.condition, _Level.OR)
        self.text.append(" ? ")
        self.write(node.then, _Level.OR)
        self.text.append(" : ")
        self.write(node.otherwise, _Level.ANY)

    def _comprehension(self, node: Comprehension) -> None:
        self.write(node.range, _Level.MEMBER)
        parts = (node.body,) if node.where is None else (node.where, node.body)
        outer = self._slots
        names = self._declare(node.variables, node.names, parts)
        self.text.append(f".{node.loop.value}({', '.join(names)}, ")
        self._list(parts)
        self.text.append(")")
        self._slots = outer

    def _optional_map(self, node: OptionalMap) -> None:
        self.write(node.target, _Level.MEMBER)
        outer = self._slots
        (name,) = self._declare((node.slot,), (node.name,), (node.body,))
        self.text.append(f".{'optFlatMap' if node.flat else 'optMap'}({name}, ")
        self.write(node.body, _Level.ANY)
        self.text.append(")")
        self._slots = outer

    def _bind(self, node: Bind) -> None:
        outer = self._slots
        if node.names == tuple(f"cel.index({number})" for number in range(len(node.names))):
            self.text.append("cel.block([")
            for number, value in enumerate(node.values):
                self.text.append(", " if number else "")
                self.write(value, _Level.ANY)
                self._slots = {**self._slots, node.slots[number]: node.names[number]}
            self.text.append("]")
        else:
            inner = {**outer, **dict(zip(node.slots, self._renamed(node.names, (node.body,)), strict=True))}
            self.text.append(f"cel.bind({inner[node.slots[0]]}, ")
            self.write(node.values[0], _Level.ANY)
            self._slots = inner
        self.text.append(", ")
        self.write(node.body, _Level.ANY)
        self.text.append(")")
        self._slots = outer

    def _declare(self, slots: tuple[int, ...], names: tuple[str, ...], parts: tuple[Node, ...]) -> tuple[str, ...]:
        """Bring variables into sight of parts; the answer is what they are called there."""
        renamed = self._renamed(names, parts)
        self._slots = {**self._slots, **dict(zip(slots, renamed, strict=True))}
        return renamed

    def _renamed(self, names: tuple[str, ...], parts: tuple[Node, ...]) -> tuple[str, ...]:
        """Choose other names for variables that would catch what the parts mean by the same name."""
        meant = {name for part in parts for name in self._meant(part)}
        return tuple(self._fresh(name) if name in meant else name for name in names)

    def _meant(self, part: Node) -> Iterator[str]:
        """Names that have a meaning in a part, and no other way to be written, when it is read in its place."""
        for node in walk(part):
            if isinstance(node, Call) and node.target is None:
                yield node.name.partition(".")[0] if "." in node.name else ""
            elif isinstance(node, Bind):
                yield "cel"
            elif isinstance(node, Local):
                yield self._slots.get(node.slot, "")

    def _fresh(self, name: str) -> str:
        if self._taken is None:
            self._taken = {written for node in walk(self._root) for written in _written(node)}
        number = 1
        while f"{name}_{number}" in self._taken:
            number += 1
        self._taken.add(f"{name}_{number}")
        return f"{name}_{number}"


def _written(node: Node) -> tuple[str, ...]:
    """Names that a node writes or brings."""
    if isinstance(node, Comprehension | Bind):
        return node.names
    if isinstance(node, Name | Local | TypeName | Call | OptionalMap):
        return (node.name.partition(".")[0],)
    return ()


def _level(node: Node) -> _Level:
    """How closely the operator at a node's top binds."""
    if isinstance(node, Binary | Logic):
        return _OPERATORS[node.operator]
    if isinstance(node, Conditional):
        return _Level.ANY
    if isinstance(node, Unary) or (isinstance(node, Literal) and _is_negative(node.value)):
        return _Level.UNARY
    return _Level.MEMBER


def _is_number(value: object) -> bool:
    """Whether a constant may have a sign of its own; a uint has none."""
    return value.__class__ is int or value.__class__ is float


def _is_negative(value: Any) -> bool:
    return _is_number(value) and math.copysign(1.0, value) < 0


def _takes_sign(value: Any) -> bool:
    return _is_number(value) and not _is_negative(value)


def _selector(node: Select | Has) -> str:
    mark = ".?" if node.optional else "."
    plain = _IDENTIFIER.fullmatch(node.field) is not None and node.field not in _KEYWORDS
    return mark + (node.field if plain else f"`{node.field}`")


def _constant(value: object) -> str:
    """Write what a literal of the tree holds."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, UInt):
        return f"{int(value)}u"
    if isinstance(value, float):
        # Only a literal that is too large, such as 1e999, is infinite; `literal_node` calls double('Infinity').
        return repr(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}1e999"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return _quoted_octets(value)
    return str(value)


def _quoted(text: str) -> str:
    quote = '"' if "'" in text and '"' not in text else "'"
    if text.isprintable() and "\\" not in text and quote not in text:
        return f"{quote}{text}{quote}"
    return quote + "".join(_escaped(char, quote) for char in text) + quote


def _escaped(char: str, quote: str) -> str:
    if char == quote:
        return f"\\{char}"
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable() or "\ud800" <= char <= "\udfff":
        # Half a surrogate pair has no escape; it can only stand for itself.
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _quoted_octets(octets: bytes) -> str:
    text = octets.decode("latin-1")
    quote = '"' if "'" in text and '"' not in text else "'"
    written = [
        _escaped(char, quote) if char in _ESCAPES or " " <= char <= "~" else f"\\x{ord(char):02x}" for char in text
    ]
    return f"b{quote}{''.join(written)}{quote}"
