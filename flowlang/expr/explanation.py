"""Why an expression gave what it gave: the value or error of each of its parts, from the one evaluation.

The parts are watched while the closures compute them, so an explained evaluation is an evaluation: nothing is computed
twice, and what was skipped is known to have been skipped. Of a macro's turns, few are kept: the first ones, and the one
that decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from flowlang.expr.closures import Closure, ClosureCompiler
from flowlang.expr.errors import TOO_DEEP, EvaluationError
from flowlang.expr.lexer import tokenize
from flowlang.expr.program import Expression
from flowlang.expr.scope import NO_PINS, Pins, Scope
from flowlang.expr.syntax import (
    Binary,
    Bind,
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
    OptionalMap,
    Select,
    TypeName,
    children,
)
from flowlang.expr.unparser import literal, unparse
from flowlang.expr.values import Optional, is_list, is_map

#: Turns of a macro that are kept from its beginning.
KEPT_TURNS: Final = 3

#: Characters of a line, and of a value in it.
_WIDTH: Final = 100
_VALUE_WIDTH: Final = 60


class State(StrEnum):
    """What became of a part."""

    VALUE = "value"
    ERROR = "error"
    SKIPPED = "skipped"  #: was not needed


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
    compiler = _Watcher(root)
    closure = compiler.compile(root)
    scope = _WatchedScope(bindings, pins, compiler.slots)
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


@dataclass(slots=True)
class _Frame:
    """Outcomes of parts by the identity of their nodes, within one turn or outside all macros."""

    number: int = 0
    variables: tuple[object, ...] = ()
    outcomes: dict[int, tuple[State, Any]] = field(default_factory=dict)
    loops: dict[int, _Turns] = field(default_factory=dict)


@dataclass(slots=True)
class _Turns:
    """The turns of one run of a macro."""

    count: int = 0
    first: list[_Frame] = field(default_factory=list)
    last: _Frame = field(default_factory=_Frame)
    failed: _Frame | None = None

    def begin(self, variables: tuple[object, ...]) -> _Frame:
        self.last = _Frame(self.count, variables)
        if self.count < KEPT_TURNS:
            self.first.append(self.last)
        self.count += 1
        return self.last


class _WatchedScope(Scope):
    """An evaluation's scope; `homes` are the frames of `cel.bind`, whose values may be computed in an inner one."""

    __slots__ = ("frame", "homes")

    def __init__(self, bindings: Mapping[str, object], pins: Pins, slots: int) -> None:
        super().__init__(bindings, pins, slots)
        self.frame = _Frame()
        self.homes: dict[int, _Frame] = {}


class _Watcher(ClosureCompiler):
    """Compiles closures that leave their outcomes in the scope's frame."""

    def __init__(self, root: Node) -> None:
        self.slots = 0
        self._turns: dict[int, Comprehension] = {}
        self._begins: set[int] = set()
        self._values: dict[int, int] = {}
        for node in _walk(root):
            if isinstance(node, Comprehension):
                self.slots = max(self.slots, *(slot + 1 for slot in node.variables))
                parts = [node.body] if node.where is None else [node.where, node.body]
                self._turns.update((id(part), node) for part in parts)
                self._begins.add(id(parts[0]))
            elif isinstance(node, Bind):
                self.slots = max(self.slots, 0, *(slot + 1 for slot in node.slots))
                self._values.update((id(value), id(node)) for value in node.values)
            elif isinstance(node, OptionalMap):
                self.slots = max(self.slots, node.slot + 1)

    def seen(self, node: Node, closure: Closure) -> Closure:
        """Watch a closure."""
        key = id(node)
        watched = _watched(key, _at_home(key, closure) if isinstance(node, Bind) else closure)
        if key in self._turns:
            return _in_turn(self._turns[key], watched, begins=key in self._begins)
        return _from_home(self._values[key], watched) if key in self._values else watched


def _watched(key: int, closure: Closure) -> Closure:
    def watched(scope: Any) -> Any:
        try:
            value = closure(scope)
        except EvaluationError as error:
            scope.frame.outcomes[key] = State.ERROR, error
            raise
        scope.frame.outcomes[key] = State.VALUE, value
        return value

    return watched


def _in_turn(loop: Comprehension, closure: Closure, *, begins: bool) -> Closure:
    """Watch a macro's filter or body in a frame of the element's own."""
    key = id(loop)

    def turn(scope: Any) -> Any:
        outer = scope.frame
        turns = outer.loops.setdefault(key, _Turns())
        frame = turns.begin(tuple(scope.slots[slot] for slot in loop.variables)) if begins else turns.last
        scope.frame = frame
        try:
            return closure(scope)
        except EvaluationError:
            turns.failed = turns.failed or frame
            raise
        finally:
            scope.frame = outer

    return turn


def _at_home(key: int, closure: Closure) -> Closure:
    """Remember in which frame `cel.bind` stands."""

    def bind(scope: Any) -> Any:
        scope.homes[key] = scope.frame
        return closure(scope)

    return bind


def _from_home(key: int, closure: Closure) -> Closure:
    """Watch a value of `cel.bind` in the frame of that, though it is computed where it is first read."""

    def value(scope: Any) -> Any:
        outer, scope.frame = scope.frame, scope.homes[key]
        try:
            return closure(scope)
        finally:
            scope.frame = outer

    return value


def _walk(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += children(node)


class _Builder:
    """Makes parts of nodes and their outcomes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._groups = _Groups(text)

    def text_of(self, node: Node, start: int, end: int) -> str:
        """A part's text on one line; where it has breaks, and perhaps comments, it is written anew."""
        text = self._text[start:end]
        return unparse(node) if "\n" in text or "\r" in text else text

    def part(self, node: Node, frame: _Frame, *, is_minor: bool = False) -> Part:
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

    def _turns(self, node: Any, turns: _Turns) -> tuple[Turn, ...]:
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


def _operands(node: Node, frame: _Frame) -> list[Node]:
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
    return isinstance(node, Local) or all(isinstance(part, constants) for part in _walk(node))


def _is_minor(node: Node, parent: Node, *, failed: bool) -> bool:
    """Whether a part says nothing new: the beginning of a path does where the path fails."""
    if _is_plain(node):
        return True
    begins_path = isinstance(parent, Select | Has | Index) and node is parent.operand
    return begins_path and not failed and isinstance(node, Name | Select | Index)


class _Groups:
    """Finds the parentheses that belong to a part: the offsets of nodes leave them out.

    `(a || b) && c` is a node that begins at `a`, and a text that begins at the parenthesis.
    """

    def __init__(self, text: str) -> None:
        self._tokens = list(tokenize(text))
        self._at_start = {token.start_pos: place for place, token in enumerate(self._tokens)}
        self._at_end = {token.end_pos: place for place, token in enumerate(self._tokens)}
        self._partners: dict[int, int] = {}
        self._places: dict[int, tuple[int, int]] = {}
        open_: list[int] = []
        for place, token in enumerate(self._tokens):
            if token.type == "LPAR":
                open_.append(place)
            elif token.type == "RPAR":
                opening = open_.pop()
                if opening == 0 or self._tokens[opening - 1].type != "IDENT":
                    self._partners[opening] = place

    def place(self, node: Node) -> tuple[int, int]:
        """Tell where a node's text is, with the parentheses of its outermost parts and without its own."""
        found = self._places.get(id(node))
        if found is None:
            # Deepest first, since a sum of thousands is as deep.
            for part in reversed(list(_walk(node))):
                self._places[id(part)] = self._place(part)
            found = self._places[id(node)]
        return found

    def _place(self, node: Node) -> tuple[int, int]:
        around = [self._around(*self._places[id(part)]) for part in children(node)]
        return (
            min([node.start, *(start for start, _ in around)]),
            max([node.end, *(end for _, end in around)]),
        )

    def _around(self, start: int, end: int) -> tuple[int, int]:
        before, after = self._at_start[start] - 1, self._at_end[end] + 1
        while before >= 0 and self._partners.get(before) == after:
            start, end = self._tokens[before].start_pos, self._tokens[after].end_pos
            before, after = before - 1, after + 1
        return start, end


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


def shortened(value: object, room: int = _VALUE_WIDTH) -> str:
    """Write a value for people: as a literal, cut where it is long.

    Args:
        value: Any value of the language.
        room: Characters, about.

    Returns:
        Such as `{'a': [1, 2, … 98 more]}`.
    """
    if isinstance(value, Optional):
        return f"optional.of({shortened(value.value, room - 13)})" if value.present else "optional.none()"
    if is_map(value):
        content: Any = value
        entries = (f"{shortened(key, room // 2)}: {shortened(other, room // 2)}" for key, other in content.items())
        return f"{{{_few(entries, len(content), room)}}}"
    if is_list(value):
        content = value
        return f"[{_few((shortened(other, room // 2) for other in content), len(content), room)}]"
    if isinstance(value, str | bytes) and len(value) > max(room, 16):
        text = literal(value[: max(room, 16) - 1])
        return f"{text[:-1]}…{text[-1]}"
    try:
        return literal(value)
    except EvaluationError:
        return f"a Python {value.__class__.__name__}"


def _few(texts: Iterator[str], count: int, room: int) -> str:
    """Join texts as long as there is room."""
    written: list[str] = []
    for text in texts if room > 0 else ():
        if written and sum(len(each) + 2 for each in written) + len(text) > room:
            break
        written.append(text)
    if len(written) < count:
        written.append(f"… {count - len(written)} more")
    return ", ".join(written)
