"""Partial evaluation: what is known is computed, and the rest of an expression is given back as an expression.

`incoming.data.id == steps.order.output.id && vars.live` becomes `incoming.data.id == 'o1'` where `vars.live` is true,
or the value `false` where it is not. So a person sees what a wait still waits for, or why an event was not taken.

A known part without a value stays as it is written, since `||`, `&&` or `?:` may yet do without it. The rest gives what
the whole would have given, errors included; bounds on work aside, and calls of `now()` and `uuid()` without a pin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from flowlang.expr import registry
from flowlang.expr.closures import ClosureCompiler
from flowlang.expr.dependence import brought, dependences, is_volatile
from flowlang.expr.empty_sums import is_sum
from flowlang.expr.errors import TOO_DEEP, EvaluationError, ExpressionSyntaxError
from flowlang.expr.program import Expression, compile_expression
from flowlang.expr.scope import NO_PINS, Pins, Scope
from flowlang.expr.syntax import (
    Binary,
    Bind,
    Call,
    Comprehension,
    Conditional,
    Element,
    Has,
    Index,
    ListNode,
    Literal,
    Local,
    Logic,
    Loop,
    MapNode,
    Node,
    OptionalMap,
    Select,
    TypeName,
    Unary,
    walk,
)
from flowlang.expr.unparser import unparse
from flowlang.expr.value_literals import literal, literal_node
from flowlang.expr.values import Optional, is_list, is_map

#: Characters of a known value that may be written into the rest.
MAX_LITERAL: Final = 1_000

_RELATIONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_PREDICATES: Final = frozenset({Loop.ALL, Loop.EXISTS, Loop.EXISTS_ONE, Loop.FILTER})
_QUANTIFIERS: Final = frozenset({Loop.ALL, Loop.EXISTS, Loop.EXISTS_ONE})


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left of an expression: a value, or another expression.

    Args:
        value: The value, where nothing is left.
        expression: What is left, or None.
        errors: Why known parts that are left as written have no value; their places are in the whole expression.
    """

    value: object = None
    expression: Expression | None = None
    errors: tuple[EvaluationError, ...] = ()

    @property
    def is_value(self) -> bool:
        """Whether nothing is left."""
        return self.expression is None

    def __str__(self) -> str:
        return literal(self.value) if self.expression is None else self.expression.text


def residual(
    expression: Expression,
    bindings: Mapping[str, object],
    unknown: Iterable[str | tuple[str, ...]] = (),
    *,
    pins: Pins = NO_PINS,
    longest: int = MAX_LITERAL,
) -> Residual:
    """Evaluate what can be, and give back the rest.

    Args:
        expression: The whole.
        bindings: Values of the root names that are known; all other names are unknown.
        unknown: Names in the bindings, or paths such as `event.data.token`, that are unknown nevertheless.
        pins: What `now()` answers; without, a call of it stays.
        longest: A known value of more characters stays as it is written; the rest then reads its names.

    Returns:
        A value, or the rest. Its text is CEL; where it would be too long or too deep to be read again, it is the whole.
    """
    paths = tuple(tuple(path.split(".")) if isinstance(path, str) else path for path in unknown)
    try:
        evaluator = _Evaluator(expression.root, bindings, paths, pins, longest)
        part = evaluator.visit(expression.root)
        if part.state is _State.KNOWN:
            return Residual(part.value)
        rest = compile_expression(unparse(part.node))
    except (ExpressionSyntaxError, RecursionError):
        return Residual(expression=expression)
    return Residual(expression=rest, errors=tuple(evaluator.errors))


class _State(Enum):
    KNOWN = auto()
    FAILED = auto()  #: has no value, whatever becomes known
    OPEN = auto()


@dataclass(frozen=True, slots=True)
class _Part:
    """What became of a node; `node` is how it is written in the rest."""

    state: _State
    node: Node
    value: Any = None


class _Evaluator:
    """Walks one tree; `errors` gathers those of known parts."""

    def __init__(
        self,
        root: Node,
        bindings: Mapping[str, object],
        unknown: Sequence[tuple[str, ...]],
        pins: Pins,
        longest: int,
    ) -> None:
        self.errors: list[EvaluationError] = []
        self._pins = pins
        self._longest = longest
        self._facts = dependences(root, bindings, unknown, pins)
        # Variables whose values are known are in the frame of the one scope that all parts are evaluated in.
        self._known_slots: set[int] = set()
        self._scope = Scope(bindings, pins, _slots(root))

    def visit(self, node: Node, *, condition: bool = False) -> _Part:
        """Evaluate a node as far as it goes.

        Args:
            node: The node.
            condition: Whether it stands where anything but a bool is an error anyway.

        Returns:
            What became of it.
        """
        if self._is_known(node):
            return self._evaluate(node, node)
        match node:
            case Select() | Has():
                return self._strict([self.visit(node.operand)], lambda parts: replace(node, operand=parts[0]))
            case Index():
                visited = [self.visit(node.operand), self.visit(node.index)]
                return self._strict(visited, lambda parts: replace(node, operand=parts[0], index=parts[1]))
            case Call():
                return self._call(node, condition=condition)
            case ListNode():
                return self._list(node)
            case MapNode():
                return self._map(node)
            case Unary():
                operand = self.visit(node.operand, condition=node.operator == "!")
                return self._strict([operand], lambda parts: replace(node, operand=parts[0]))
            case Binary():
                return self._binary(node)
            case Logic():
                return self._logic(node, condition=condition)
            case Conditional():
                return self._conditional(node, condition=condition)
            case Comprehension():
                return self._comprehension(node)
            case Bind():
                return self._bind(node, condition=condition)
            case OptionalMap():
                return self._optional_map(node)
            case _:
                return _Part(_State.OPEN, node)

    def _is_known(self, node: Node) -> bool:
        facts = self._facts[id(node)]
        return not facts.unknown and facts.free <= self._known_slots

    def _evaluate(self, node: Node, written: Node) -> _Part:
        """Compute a node of which everything is known; `written` is how it stands in the rest if it is long."""
        try:
            value = ClosureCompiler().compile(node)(self._scope)
        except EvaluationError as error:
            self.errors.append(error.at(node.start, node.end))
            return _Part(_State.FAILED, written)
        except RecursionError:
            self.errors.append(EvaluationError("the data is nested too deeply", TOO_DEEP, node.start, node.end))
            return _Part(_State.FAILED, written)
        return self._known(value, written)

    def _known(self, value: Any, written: Node) -> _Part:
        if not isinstance(written, Literal | TypeName) and _may_be_short(value, self._longest):
            try:
                node = literal_node(value)
            except (EvaluationError, RecursionError):  # an object of the caller's that no text gives, or a deep list
                return _Part(_State.KNOWN, written, value)
            if len(unparse(node)) <= self._longest:
                return _Part(_State.KNOWN, node, value)
        return _Part(_State.KNOWN, written, value)

    def _strict(self, parts: Sequence[_Part], rebuild: Callable[[list[Node]], Node]) -> _Part:
        """Put together a node that needs all its parts."""
        written = rebuild([part.node for part in parts])
        if all(part.state is _State.KNOWN for part in parts):
            return self._evaluate(rebuild([_constant(part) for part in parts]), written)
        failed = any(part.state is _State.FAILED for part in parts)
        return _Part(_State.FAILED if failed else _State.OPEN, written)

    def _call(self, node: Call, *, condition: bool) -> _Part:
        if is_volatile(node, self._pins):
            return _Part(_State.OPEN, node)
        if node.target is None:
            return self._strict([self.visit(arg) for arg in node.args], lambda parts: replace(node, args=tuple(parts)))
        target = self.visit(node.target)
        function = registry.functions().get((node.name, True))
        if function is not None and function.lazy and len(node.args) == 1:
            decided = self._lazy_call(node, target, condition=condition)
            if decided is not None:
                return decided
        parts = [target, *(self.visit(arg) for arg in node.args)]
        return self._strict(parts, lambda parts: replace(node, target=parts[0], args=tuple(parts[1:])))

    def _lazy_call(self, node: Call, target: _Part, *, condition: bool) -> _Part | None:
        """Decide `orValue` and `or` by an optional that is known; None where the argument is needed."""
        rebuilt = replace(node, target=target.node)
        if target.state is _State.FAILED:
            return _Part(_State.FAILED, rebuilt)
        if target.state is _State.OPEN:
            return None
        optional = target.value
        if not isinstance(optional, Optional) or optional.present:
            # Its argument is not looked at.
            return self._evaluate(replace(node, target=_constant(target)), rebuilt)
        return self.visit(node.args[0], condition=condition) if node.name == "orValue" else None

    def _list(self, node: ListNode) -> _Part:
        def rebuild(parts: list[Node]) -> Node:
            pairs = zip(node.elements, parts, strict=True)
            return replace(node, elements=tuple(replace(element, value=part) for element, part in pairs))

        return self._strict([self.visit(element.value) for element in node.elements], rebuild)

    def _map(self, node: MapNode) -> _Part:
        def rebuild(parts: list[Node]) -> Node:
            triples = zip(node.entries, parts[::2], parts[1::2], strict=True)
            return replace(node, entries=tuple(replace(entry, key=key, value=value) for entry, key, value in triples))

        return self._strict([self.visit(part) for entry in node.entries for part in (entry.key, entry.value)], rebuild)

    def _binary(self, node: Binary) -> _Part:
        """Walk a left spine of operators in a loop, since sums may be long."""
        spine = [node]
        while isinstance(spine[-1].left, Binary) and not self._is_known(spine[-1].left):
            spine.append(spine[-1].left)
        part = self._operand(spine[-1], spine[-1].left)
        for each in reversed(spine):

            def rebuild(parts: list[Node], each: Binary = each) -> Node:
                return replace(each, left=parts[0], right=parts[1])

            part = self._strict([part, self._operand(each, each.right)], rebuild)
        return part

    def _operand(self, node: Binary, operand: Node) -> _Part:
        """Visit an operand; the sum of an empty list, which adds to anything, stays the sum of one."""
        part = self.visit(operand)
        if node.operator != "+":
            return part
        if not is_sum(operand):
            if is_sum(part.node):  # all that is left of something else, whose zero is an int
                start, end = operand.start, operand.end
                alone = ListNode(start, end, (Element(start, end, part.node, optional=False),))
                part = replace(part, node=Index(start, end, alone, Literal(start, end, 0), optional=False))
            return part
        if part.state is not _State.KNOWN:
            return part
        items = self.visit(operand.args[0])
        if items.state is not _State.KNOWN or _has_elements(items.value):
            return part
        return replace(part, node=replace(operand, args=(ListNode(operand.start, operand.end, ()),)))

    def _logic(self, node: Logic, *, condition: bool) -> _Part:
        decisive = node.operator == "||"
        before = len(self.errors)
        kept: list[_Part] = []
        for operand in node.operands:
            part = self.visit(operand, condition=True)
            if part.state is _State.KNOWN and part.value is decisive:
                del self.errors[before:]  # it does without them
                return self._known(decisive, node)
            if part.state is not _State.KNOWN or part.value.__class__ is not bool:
                kept.append(part)
        if not kept:
            return self._known(not decisive, node)
        state = _State.OPEN if any(part.state is _State.OPEN for part in kept) else _State.FAILED
        operands = [part.node for part in kept]
        if len(operands) == 1:
            if condition or _is_bool(operands[0]):
                return _Part(state, operands[0])
            # Alone it might be anything, and there it must be a bool.
            operands.insert(0, Literal(node.start, node.start, not decisive))
        return _Part(state, replace(node, operands=tuple(operands)))

    def _conditional(self, node: Conditional, *, condition: bool) -> _Part:
        test = self.visit(node.condition, condition=True)
        if test.state is _State.KNOWN and test.value.__class__ is bool:
            return self.visit(node.then if test.value else node.otherwise, condition=condition)
        if test.state is not _State.OPEN:
            return _Part(_State.FAILED, replace(node, condition=test.node))
        then, otherwise = (self.visit(part, condition=condition) for part in (node.then, node.otherwise))
        return _Part(_State.OPEN, replace(node, condition=test.node, then=then.node, otherwise=otherwise.node))

    def _comprehension(self, node: Comprehension) -> _Part:
        source = self.visit(node.range)
        rebuilt = replace(node, range=source.node)
        if source.state is _State.FAILED:
            return _Part(_State.FAILED, rebuilt)
        if source.state is _State.KNOWN and not _has_elements(source.value):
            # The body is not looked at.
            return self._evaluate(replace(node, range=_constant(source)), rebuilt)
        where = None if node.where is None else self.visit(node.where, condition=True)
        body = self.visit(node.body, condition=node.loop in _PREDICATES)
        inner = [body] if where is None else [where, body]

        def rebuild(parts: list[Node]) -> Node:
            return replace(node, range=parts[0], where=parts[1] if len(parts) == 3 else None, body=parts[-1])

        if all(part.state is _State.KNOWN for part in (source, *inner)):
            return self._strict([source, *inner], rebuild)
        # A body without a value does no harm until there is an element.
        return _Part(_State.OPEN, rebuild([source.node, *(part.node for part in inner)]))

    def _bind(self, node: Bind, *, condition: bool) -> _Part:
        values = []
        for slot, value in zip(node.slots, node.values, strict=True):
            part = self.visit(value)
            values.append(part)
            if part.state is _State.KNOWN:
                self._set(slot, part.value)
        body = self.visit(node.body, condition=condition)
        if body.state is _State.KNOWN or not _reads(body.node, node.slots):
            return body
        return _Part(body.state, replace(node, values=tuple(part.node for part in values), body=body.node))

    def _optional_map(self, node: OptionalMap) -> _Part:
        target = self.visit(node.target)
        rebuilt = replace(node, target=target.node)
        if target.state is _State.FAILED:
            return _Part(_State.FAILED, rebuilt)
        if target.state is _State.KNOWN:
            if not isinstance(target.value, Optional) or not target.value.present:
                # The body is not looked at.
                return self._evaluate(replace(node, target=_constant(target)), rebuilt)
            self._set(node.slot, target.value.value)
        body = self.visit(node.body)
        if target.state is _State.KNOWN:
            return self._strict([target, body], lambda parts: replace(node, target=parts[0], body=parts[1]))
        return _Part(_State.OPEN, replace(rebuilt, body=body.node))

    def _set(self, slot: int, value: object) -> None:
        self._known_slots.add(slot)
        self._scope.slots[slot] = value


def _slots(root: Node) -> int:
    return max((slot + 1 for node in walk(root) for slot in brought(node)), default=0)


def _reads(root: Node, slots: Sequence[int]) -> bool:
    return any(isinstance(node, Local) and node.slot in slots for node in walk(root))


def _constant(part: _Part) -> Node:
    """A known part for evaluation; unlike in a tree that is written, its value may be of any kind and size."""
    if is_sum(part.node):  # of an empty list: only of what it is added to can be said what it is
        return part.node
    return Literal(part.node.start, part.node.end, part.value)


def _has_elements(value: Any) -> bool:
    return (is_list(value) or is_map(value)) and len(value) > 0


def _is_bool(node: Node) -> bool:
    """Whether a node gives nothing but bools."""
    match node:
        case Binary(operator=operator):
            return operator in _RELATIONS
        case Unary(operator=operator):
            return operator == "!"
        case Logic() | Has():
            return True
        case Comprehension(loop=loop):
            return loop in _QUANTIFIERS
        case Call(target=target, name=name):
            function = registry.functions().get((name, target is not None))
            return function is not None and all(overload.result == "bool" for overload in function.overloads)
        case _:
            return False


def _may_be_short(value: object, longest: int) -> bool:
    """Whether a value's literal may have so few characters; a long one is not written to find out."""
    left = longest
    pending = [value]
    while pending and left >= 0:
        part: Any = pending.pop()
        if isinstance(part, str | bytes):
            left -= len(part) + 2
        elif isinstance(part, Optional):
            left -= len("optional.of()")
            pending += [part.value] if part.present else []
        elif is_map(part):
            left -= 4 * len(part) + 2
            pending += [each for entry in part.items() for each in entry] if left >= 0 else []
        elif is_list(part):
            left -= 2 * len(part) + 2
            pending += part if left >= 0 else []
    return left >= 0
