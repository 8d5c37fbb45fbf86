"""Compiles closures that leave the outcome of each part behind, for explanations.

An evaluation's outcomes are in frames: one outside all macros, and one for each turn of a macro.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from flowlang.expr.closures import Closure, ClosureCompiler
from flowlang.expr.errors import EvaluationError
from flowlang.expr.scope import Pins, Scope
from flowlang.expr.syntax import Bind, Comprehension, Node, OptionalMap, walk

#: Turns of a macro that are kept from its beginning.
KEPT_TURNS: Final = 3


class State(StrEnum):
    """What became of a part."""

    VALUE = "value"
    ERROR = "error"
    SKIPPED = "skipped"  #: was not needed


@dataclass(slots=True)
class Frame:
    """Outcomes of parts by the identity of their nodes, within one turn or outside all macros."""

    number: int = 0
    variables: tuple[object, ...] = ()
    outcomes: dict[int, tuple[State, Any]] = field(default_factory=dict)
    loops: dict[int, Turns] = field(default_factory=dict)


@dataclass(slots=True)
class Turns:
    """The turns of one run of a macro."""

    count: int = 0
    first: list[Frame] = field(default_factory=list)
    last: Frame = field(default_factory=Frame)
    failed: Frame | None = None

    def begin(self, variables: tuple[object, ...]) -> Frame:
        """Begin the turn of an element; `variables` are the values of the macro's variables."""
        self.last = Frame(self.count, variables)
        if self.count < KEPT_TURNS:
            self.first.append(self.last)
        self.count += 1
        return self.last


class WatchedScope(Scope):
    """An evaluation's scope; `homes` are the frames of `cel.bind`, whose values may be computed in an inner one."""

    __slots__ = ("frame", "homes")

    def __init__(self, bindings: Mapping[str, object], pins: Pins, slots: int) -> None:
        super().__init__(bindings, pins, slots)
        self.frame = Frame()
        self.homes: dict[int, Frame] = {}


class Watcher(ClosureCompiler):
    """Compiles closures that leave their outcomes in the scope's frame."""

    def __init__(self, root: Node) -> None:
        self.slots = 0
        self._turns: dict[int, Comprehension] = {}
        self._begins: set[int] = set()
        self._values: dict[int, int] = {}
        for node in walk(root):
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
        turns = outer.loops.setdefault(key, Turns())
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
