"""Compiles a resolved tree to Python closures: the exact meaning of every node.

A closure takes the `Scope` of one evaluation and gives a value, or raises an `EvaluationError` that says where. The
meaning of operators is in `operators`, of macros in `loops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flowlang.expr import loops, registry
from flowlang.expr.errors import (
    NO_NAME,
    NO_OVERLOAD,
    TOO_MUCH_WORK,
    UNABSORBABLE,
    EvaluationError,
)
from flowlang.expr.limits import MAX_TEXT_VALUE
from flowlang.expr.operators import (
    BINARY,
    PLAIN,
    did_you_mean,
    has_field,
    index,
    index_optional,
    make_map,
    negate,
    no_field,
    no_overload,
    select,
    select_optional,
)
from flowlang.expr.registry import Function
from flowlang.expr.scope import Scope
from flowlang.expr.syntax import (
    Binary,
    Bind,
    Call,
    Comprehension,
    Conditional,
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
    children,
)
from flowlang.expr.values import Optional, TypeValue, is_list, kind_name

Closure = Callable[[Scope], Any]

#: Classes of values that cost one unit, whatever is done with them.
_SMALL = frozenset({int, float, bool, type(None)})

#: A binary operator copies or compares this many characters or elements for one unit of work.
_COPIED_PER_UNIT = 64


class ClosureCompiler:
    """Compiles the nodes of one tree; `explain` compiles the same meaning with an eye on each value."""

    def compile(self, node: Node) -> Closure:
        """Compile a resolved tree.

        Args:
            node: Its top; the tree is no deeper than `limits.MAX_DEPTH`.

        Returns:
            Evaluates it in a scope.
        """
        return self.seen(node, self._compiled(node))

    def seen(self, node: Node, closure: Closure) -> Closure:
        """Take the closure of a node before it is built into others; the compiler of `explain` watches it."""
        del node
        return closure

    def _compiled(self, node: Node) -> Closure:
        match node:
            case Literal():
                return _constant(node.value)
            case TypeName():
                return _constant(TypeValue(node.name))
            case Name():
                return _root(node)
            case Local():
                return _local(node)
            case Select():
                return self._select(node)
            case Has():
                return self._has(node)
            case Index():
                return self._index(node)
            case Call():
                return self._call(node)
            case ListNode():
                return self._list(node)
            case MapNode():
                return self._map(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Logic():
                return self._logic(node)
            case Conditional():
                return self._conditional(node)
            case Comprehension():
                return self._comprehension(node)
            case Bind():
                return self._bind(node)
            case OptionalMap():
                return self._optional_map(node)
            case _:
                raise AssertionError(f"{node.__class__.__name__} is no node of a resolved tree")

    def _select(self, node: Select) -> Closure:
        operand = self.compile(node.operand)
        field, start, end = node.field, node.field_start, node.end
        read = select_optional if node.optional else select

        def general(value: Any) -> Any:
            try:
                return read(value, field)
            except EvaluationError as error:
                raise error.at(start, end)  # noqa: B904 - the same error

        if node.optional:
            return lambda scope: general(operand(scope))

        def plain(scope: Scope) -> Any:
            value = operand(scope)
            if value.__class__ is dict:
                try:
                    return value[field]
                except KeyError:
                    raise no_field(value, field).at(start, end) from None
            return general(value)

        return plain

    def _has(self, node: Has) -> Closure:
        operand = self.compile(node.operand)
        field, start, end = node.field, node.field_start, node.field_end

        def has(scope: Scope) -> bool:
            value = operand(scope)
            if value.__class__ is dict:
                return field in value
            try:
                return has_field(value, field)
            except EvaluationError as error:
                raise error.at(start, end)  # noqa: B904 - the same error

        return has

    def _index(self, node: Index) -> Closure:
        operand, key = self.compile(node.operand), self.compile(node.index)
        start, end = node.index.start, node.index.end
        read = index_optional if node.optional else index

        def indexed(scope: Scope) -> Any:
            value, place = operand(scope), key(scope)
            try:
                return read(value, place)
            except EvaluationError as error:
                raise error.at(start, end)  # noqa: B904 - the same error

        return indexed

    def _call(self, node: Call) -> Closure:
        method = node.target is not None
        function = registry.functions().get((node.name, method))
        if function is None:
            name, start, end = node.name, node.name_start, node.name_end

            def unknown(_: Scope) -> Any:
                raise EvaluationError(f"no such function `{name}`", NO_OVERLOAD, start, end)

            return unknown
        parts = node.args if node.target is None else (node.target, *node.args)
        arguments = [self.compile(part) for part in parts]
        if function.lazy:
            return _lazy_call(node, function, arguments)
        return _strict_call(node, function, arguments)

    def _list(self, node: ListNode) -> Closure:
        elements = [(self.compile(element.value), element.optional, element) for element in node.elements]
        if not any(optional for _, optional, _ in elements):
            plain = [closure for closure, _, _ in elements]
            return lambda scope: [closure(scope) for closure in plain]

        def build(scope: Scope) -> list[Any]:
            result = []
            for closure, optional, element in elements:
                value = closure(scope)
                if not optional:
                    result.append(value)
                elif _optional(value, element).present:
                    result.append(value.value)
            return result

        return build

    def _map(self, node: MapNode) -> Closure:
        entries = [(self.compile(entry.key), self.compile(entry.value), entry) for entry in node.entries]

        def build(scope: Scope) -> Mapping[Any, Any]:
            pairs = []
            for key, value, entry in entries:
                name, content = key(scope), value(scope)
                if not entry.optional:
                    pairs.append((name, content))
                elif _optional(content, entry).present:
                    pairs.append((name, content.value))
            try:
                return make_map(pairs)
            except EvaluationError as error:
                raise error.at(node.start, node.end)  # noqa: B904 - the same error

        return build

    def _unary(self, node: Unary) -> Closure:
        operand = self.compile(node.operand)

        def negated(scope: Scope) -> Any:
            try:
                return negate(operand(scope))
            except EvaluationError as error:
                raise error.at(node.start, node.end)  # noqa: B904 - the same error

        def inverted(scope: Scope) -> bool:
            value = operand(scope)
            if value is True:
                return False
            if value is False:
                return True
            raise no_overload("!", value).at(node.start, node.end)

        return inverted if node.operator == "!" else negated

    def _binary(self, node: Binary) -> Closure:
        """Compile a left spine of operators: short ones nest, long ones run in a loop, so that sums may be long."""
        spine = [node]
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        spine.reverse()
        closure = self.compile(spine[0].left)
        if len(spine) <= 8:
            for part in spine[:-1]:
                closure = self.seen(part, _operation(part, closure, self.compile(part.right)))
            return _operation(node, closure, self.compile(node.right))
        steps = [(self.compile(part.right), _application(part)) for part in spine]

        def run(scope: Scope) -> Any:
            value = closure(scope)
            for right, apply in steps:
                value = apply(scope, value, right(scope))
            return value

        return run

    def _logic(self, node: Logic) -> Closure:
        operands = [self.compile(operand) for operand in node.operands]
        decisive = node.operator == "||"
        places = node.operands

        def logic(scope: Scope) -> bool:
            fault: EvaluationError | None = None
            for place, operand in enumerate(operands):
                try:
                    value = operand(scope)
                except EvaluationError as error:
                    if error.code in UNABSORBABLE:
                        raise
                    fault = fault or error
                    continue
                if value is decisive:
                    return bool(value)
                if value.__class__ is not bool and fault is None:
                    fault = no_overload(node.operator, value).at(places[place].start, places[place].end)
            if fault is not None:
                raise fault
            return not decisive

        return logic

    def _conditional(self, node: Conditional) -> Closure:
        condition, then, otherwise = (self.compile(part) for part in (node.condition, node.then, node.otherwise))

        def choose(scope: Scope) -> Any:
            value = condition(scope)
            if value is True:
                return then(scope)
            if value is False:
                return otherwise(scope)
            message = f"the condition before `?` must be a bool, and this is {kind_name(value)}"
            raise EvaluationError(message, NO_OVERLOAD, node.condition.start, node.condition.end)

        return choose

    def _comprehension(self, node: Comprehension) -> Closure:
        where = None if node.where is None else self.compile(node.where)
        per_element = cost(node.body) + (0 if node.where is None else cost(node.where))
        return loops.compile_loop(node, self.compile(node.range), where, self.compile(node.body), per_element)

    def _bind(self, node: Bind) -> Closure:
        values = [(slot, Pending(self.compile(value))) for slot, value in zip(node.slots, node.values, strict=True)]
        body = self.compile(node.body)

        def bind(scope: Scope) -> Any:
            for slot, pending in values:
                scope.slots[slot] = pending
            return body(scope)

        return bind

    def _optional_map(self, node: OptionalMap) -> Closure:
        target, body, slot = self.compile(node.target), self.compile(node.body), node.slot
        name = "optFlatMap" if node.flat else "optMap"

        def mapped(scope: Scope) -> Optional:
            value = target(scope)
            if value.__class__ is not Optional:
                message = f"`{name}` is for optionals, and this is {kind_name(value)}; read the field with .? or [?]"
                raise EvaluationError(message, NO_OVERLOAD, node.start, node.end)
            if not value.present:
                return Optional.NONE
            scope.slots[slot] = value.value
            result = body(scope)
            return _optional(result, node.body) if node.flat else Optional.of(result)

        return mapped


def cost(node: Node) -> int:
    """Count the nodes that one evaluation of a part touches; loops inside it count for themselves.

    Args:
        node: The part.

    Returns:
        Units of work, at least 1.
    """
    total = 0
    pending = [node]
    while pending:
        part = pending.pop()
        total += 1
        pending += [part.range] if isinstance(part, Comprehension) else children(part)
    return total


def _constant(value: object) -> Closure:
    return lambda _: value


def _root(node: Name) -> Closure:
    name = node.name

    def root(scope: Scope) -> Any:
        try:
            return scope.bindings[name]
        except KeyError:
            bindings = scope.bindings

            def message() -> str:
                return f"unknown name `{name}`{did_you_mean(name, list(bindings))}"

            raise EvaluationError(message, NO_NAME, node.start, node.end) from None

    return root


class Pending:
    """A value of `cel.bind` or `cel.block` that nobody has read yet; it never leaves its slot."""

    __slots__ = ("compute",)

    def __init__(self, compute: Closure) -> None:
        self.compute = compute


def _local(node: Local) -> Closure:
    slot = node.slot
    if not node.lazy:
        return lambda scope: scope.slots[slot]

    def read(scope: Scope) -> Any:
        value = scope.slots[slot]
        if value.__class__ is Pending:
            value = scope.slots[slot] = value.compute(scope)
        return value

    return read


def _strict_call(node: Call, function: Function, arguments: list[Closure]) -> Closure:
    resolve = function.resolver(len(arguments))
    start, end = node.start, node.end

    def call(scope: Scope) -> Any:
        values = tuple([argument(scope) for argument in arguments])
        try:
            overload = resolve(values)
            if overload.needs_scope:
                return overload.implementation(scope, *values)
            return overload.implementation(*values)
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error

    return call


def _lazy_call(node: Call, function: Function, arguments: list[Closure]) -> Closure:
    """Call a method of optionals, whose arguments are evaluated only when they are needed."""
    target, rest = arguments[0], arguments[1:]
    implementation = next(
        (overload.implementation for overload in function.overloads if len(overload.parameters) == len(arguments)), None
    )
    name, start, end = node.name, node.start, node.end

    def call(scope: Scope) -> Any:
        value = target(scope)
        if value.__class__ is not Optional or implementation is None:
            message = f"`{name}` is for optionals, and this is {kind_name(value)}; read the field with .? or [?]"
            raise EvaluationError(message, NO_OVERLOAD, start, end)
        try:
            return implementation(value, *[lambda part=part: part(scope) for part in rest])
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error

    return call


def _optional(value: Any, node: Node) -> Optional:
    if value.__class__ is Optional:
        optional: Optional = value
        return optional
    message = f"`?` before it needs an optional, and this is {kind_name(value)}"
    raise EvaluationError(message, NO_OVERLOAD, node.start, node.end)


def _operation(node: Binary, left: Closure, right: Closure) -> Closure:
    apply = _application(node)
    if node.operator not in {"==", "!="}:
        return lambda scope: apply(scope, left(scope), right(scope))
    same = node.operator == "=="

    def compare(scope: Scope) -> Any:
        a, b = left(scope), right(scope)
        if a.__class__ is b.__class__ and a.__class__ in PLAIN:
            return (a == b) is same
        return apply(scope, a, b)

    return compare


def _application(node: Binary) -> Callable[[Scope, Any, Any], Any]:
    """Make the function that applies an operator to two values; its errors say where."""
    operate = BINARY[node.operator]
    start, end = node.start, node.end
    operator = node.operator
    sized = operator in {"+", "==", "!=", "in"}

    def apply(scope: Scope, a: Any, b: Any) -> Any:
        try:
            if sized and b.__class__ not in _SMALL:
                _spend(scope, operator, a, b)
            return operate(a, b)
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error

    return apply


def _spend(scope: Scope, operator: str, a: Any, b: Any) -> None:
    """Count what joining, comparing or searching costs, where that is more than one unit."""
    if operator == "in":
        if is_list(b):
            scope.spend(len(b) // 8)
            if a.__class__ not in PLAIN:
                scope.spend_on(b)
    elif operator != "+":
        scope.spend_on(b)
    elif isinstance(a, str | bytes) and isinstance(b, str | bytes):
        size = len(a) + len(b)
        if size > MAX_TEXT_VALUE:
            raise EvaluationError(f"the text would have more than {MAX_TEXT_VALUE} characters", TOO_MUCH_WORK)
        scope.spend(size // _COPIED_PER_UNIT)
    elif is_list(a) and is_list(b):
        scope.spend((len(a) + len(b)) // 8)
