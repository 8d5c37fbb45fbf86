"""Why an expression gave what it gave: the value or error of each of its parts, from the one evaluation.

The parts are watched while the closures compute them, so an explained evaluation is an evaluation: nothing is computed
twice, and what was skipped is known to have been skipped. Of a macro's turns, few are kept: the first ones, and the one
that decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowlang.expr.errors import TOO_DEEP, EvaluationError
from flowlang.expr.program import Expression
from flowlang.expr.scope import NO_PINS, Pins
from flowlang.expr.syntax import (
    Binary,
    Comprehension,
    Element,
    Entry,
    Has,
    Index,
    ListNode,
    Literal,
    Local,
    Loop,
    MapNode,
    Name,
    Node,
    Select,
    TypeName,
    children,
    walk,
)
from flowlang.expr.text_places import TextPlaces
from flowlang.expr.unparser import unparse
from flowlang.expr.value_literals import shortened
from flowlang.expr.watcher import Frame, State, Turns, WatchedScope, Watcher

#: Characters of a line.
_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression, in one evaluation.

    Args:
        start: Offset of its text in the expression.
        end: Offset behind it.
        text: The part as it is written, on one line.
        state: What became of it.
        value: Its value, if it has one.
        error: Why it has none, if it failed.
        is_minor: Whether a person can do without it: a constant, a variable, the beginning of a path.
        parts: The parts it is made of; none where it was skipped.
        turns: Of a macro: turns that were kept, in order.
        turn_count: Of a macro: how many turns there were.
    """

    start: int
    end: int
    text: str
    state: State
    value: object = None
    error: EvaluationError | None = None
    is_minor: bool = False
    parts: tuple[Part, ...] = ()
    turns: tuple[Turn, ...] = ()
    turn_count: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One element's turn in a macro.

    Args:
        number: Which turn, from 0.
        variables: Names and values of the macro's variables.
        parts: What was evaluated for the element.
    """

    number: int
    variables: tuple[tuple[str, object], ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An evaluation and what happened in it.

    Args:
        part: The whole expression.
    """

    part: Part

    @property
    def value(self) -> object:
        """The value; None where there is an error."""
        return self.part.value

    @property
    def error(self) -> EvaluationError | None:
        """Why the expression has no value, if it has none."""
        return self.part.error

    def lines(self, width: int = _WIDTH) -> list[str]:
        """Write the parts, each on a line with what it gave, indented below what it is a part of.

        Args:
            width: Columns of a line, about.

        Returns:
            The lines, without line breaks.
        """
        rows = list(_rows(self.part, 0))
        column = min(max(len(left) for left, _ in rows), width * 2 // 3)
        return [f"{_cut(left, column):<{column}}  {right}".rstrip() for left, right in rows]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def explain(expression: Expression, bindings: Mapping[str, object], *, pins: Pins = NO_PINS) -> Explanation:
    """Evaluate an expression and tell what each of its parts gave.

    For a person's question, not for each evaluation: it takes many times as long.

    Args:
        expression: The expression.
        bindings: Values of the root names.
        pins: What `now()` and `uuid()` answer.

    Returns:
        The parts; an error is in the result, and not raised.
    """
    root = expression.root
    compiler = Watcher(root)
    closure = compiler.compile(root)
    scope = WatchedScope(bindings, pins, compiler.slots)
    builder = _Builder(expression.text)
    try:
        closure(scope)
    except EvaluationError as error:
        error.at(0, len(expression.text))
    except RecursionError:
        end = len(expression.text)
        too_deep = EvaluationError("the data is nested too deeply", TOO_DEEP, 0, end)
        return Explanation(Part(0, end, builder.text_of(root, 0, end), State.ERROR, error=too_deep))
    return Explanation(builder.part(root, scope.frame))


class _Builder:
    """Makes parts of nodes and their outcomes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._groups = TextPlaces(text)

    def text_of(self, node: Node, start: int, end: int) -> str:
        """A part's text on one line; where it has breaks, and perhaps comments, it is written anew."""
        text = self._text[start:end]
        return unparse(node) if "\n" in text or "\r" in text else text

    def part(self, node: Node, frame: Frame, *, is_minor: bool = False) -> Part:
        """Make the part of a node."""
        start, end = self._groups.place(node)
        state, content = frame.outcomes.get(id(node), (State.SKIPPED, None))
        text = self.text_of(node, start, end)
        if state is State.SKIPPED:
            return Part(start, end, text, state, is_minor=is_minor)
        failed = state is State.ERROR
        turns = frame.loops.get(id(node)) if isinstance(node, Comprehension) else None
        return Part(
            start,
            end,
            text,
            state,
            value=None if failed else content,
            error=content if failed else None,
            is_minor=is_minor,
            parts=tuple(
                self.part(part, frame, is_minor=_is_minor(part, node, failed=failed)) for part in _operands(node, frame)
            ),
            turns=() if turns is None else self._turns(node, turns),
            turn_count=0 if turns is None else turns.count,
        )

    def _turns(self, node: Any, turns: Turns) -> tuple[Turn, ...]:
        decisive = {Loop.ALL: False, Loop.EXISTS: True}.get(node.loop)
        kept = {frame.number: frame for frame in turns.first}
        if turns.failed is not None:
            kept[turns.failed.number] = turns.failed
        if decisive is not None and turns.last.outcomes.get(id(node.body)) == (State.VALUE, decisive):
            kept[turns.last.number] = turns.last
        bodies = [node.body] if node.where is None else [node.where, node.body]
        return tuple(
            Turn(
                number,
                tuple(zip(node.names, frame.variables, strict=True)),
                tuple(self.part(body, frame, is_minor=_is_plain(body)) for body in bodies),
            )
            for number, frame in sorted(kept.items())
        )


def _operands(node: Node, frame: Frame) -> list[Node]:
    """The parts of a node that are evaluated with it, in the order of the text."""
    if isinstance(node, Comprehension):
        return [node.range]
    below = list(children(node))
    while isinstance(node, Binary) and isinstance(node.left, Binary) and id(node.left) not in frame.outcomes:
        # The sums inside a long sum are not watched.
        node = node.left
        below[:1] = [node.left, node.right]
    return [part for each in below for part in (children(each) if isinstance(each, Element | Entry) else [each])]


def _is_plain(node: Node) -> bool:
    """Whether a part is a variable, or made of constants only."""
    constants = Literal | TypeName | ListNode | MapNode | Element | Entry
    return isinstance(node, Local) or all(isinstance(part, constants) for part in walk(node))


def _is_minor(node: Node, parent: Node, *, failed: bool) -> bool:
    """Whether a part says nothing new: the beginning of a path does where the path fails."""
    if _is_plain(node):
        return True
    begins_path = isinstance(parent, Select | Has | Index) and node is parent.operand
    return begins_path and not failed and isinstance(node, Name | Select | Index)


def _rows(part: Part, depth: int) -> Iterator[tuple[str, str]]:
    """Lines in two columns: what is evaluated, and what it gave."""
    indent = "  " * depth
    yield indent + part.text, _outcome(part)
    for each in part.parts:
        yield from _major_rows(each, depth + 1)
    previous = -1
    for turn in part.turns:
        yield from _omitted(turn.number - previous - 1, indent)
        previous = turn.number
        variables = ", ".join(f"{name} = {shortened(value)}" for name, value in turn.variables)
        yield f"{indent}  {variables}", ""
        for each in turn.parts:
            yield from _major_rows(each, depth + 2)
    yield from _omitted(part.turn_count - previous - 1, indent)


def _major_rows(part: Part, depth: int) -> Iterator[tuple[str, str]]:
    if not part.is_minor:
        yield from _rows(part, depth)
        return
    for each in part.parts:
        yield from _major_rows(each, depth)


def _omitted(turns: int, indent: str) -> Iterator[tuple[str, str]]:
    if turns > 0:
        yield f"{indent}  … {turns} more", ""


def _outcome(part: Part) -> str:
    if part.state is State.SKIPPED:
        return "(not evaluated)"
    if part.error is None:
        return shortened(part.value)
    inner = [*part.parts, *(each for turn in part.turns for each in turn.parts)]
    if any(each.error is part.error and not each.is_minor for each in inner):
        return "error"
    return f"error: {part.error.message}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
