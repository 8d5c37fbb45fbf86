"""Compiles a resolved tree to Python closures: the exact meaning of every node.

A closure takes the `Scope` of one evaluation and gives a value, or raises an `EvaluationError` that says where. The
meaning of operators is in `operators`, of macros in `loops`.
"""

from __future__ import annotations

import operator as python_operators
from collections.abc import Callable, Mapping
from typing import Any

from flowlang.expr import loops, registry
from flowlang.expr.costs import (
    ABSORBED,
    COMPARED,
    LIST_PLACE,
    SHORT,
    UNSIGNED,
    Charge,
    charge_for,
    loop_cost,
    read_texts,
)
from flowlang.expr.empty_sums import EmptySums, is_sum
from flowlang.expr.errors import (
    NO_NAME,
    NO_OVERLOAD,
    UNABSORBABLE,
    EvaluationError,
)
from flowlang.expr.lib.regex import search, searcher
from flowlang.expr.literals import time_literal
from flowlang.expr.operators import (
    BINARY,
    PLAIN,
    as_double,
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
)
from flowlang.expr.values import INT_MAX, INT_MIN, Optional, TypeValue, UInt, is_list, kind_name

Closure = Callable[[Scope], Any]

#: Classes of values that cost one unit, whatever is done with them.
_SMALL = frozenset({int, float, bool, type(None)})


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
                if field in value:
                    return value[field]
                raise no_field(value, field).at(start, end)
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
        read, plain = (index_optional, False) if node.optional else (index, True)

        def indexed(scope: Scope) -> Any:
            value, place = operand(scope), key(scope)
            if plain and place.__class__ is int and value.__class__ is list and 0 <= place < len(value):
                return value[place]
            try:
                if place.__class__ is str and len(place) > SHORT:
                    scope.spend(len(place) // COMPARED)
                return read(value, place)
            except EvaluationError as error:
                raise error.at(start, end)  # noqa: B904 - the same error

        return indexed

    def _call(self, node: Call) -> Closure:
        time = time_literal(node)
        if time is not None:
            return _constant(time)
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

        apply = apply_operator(node)

        def inverted(scope: Scope) -> bool:
            value = operand(scope)
            if value is True:
                return False
            if value is False:
                return True
            raise no_overload("!", value).at(node.start, node.end)

        return inverted if node.operator == "!" else lambda scope: apply(scope, operand(scope))

    def _binary(self, node: Binary) -> Closure:
        """Compile a left spine of operators: short ones nest, long ones run in a loop, so that sums may be long."""
        spine = [node]
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        spine.reverse()
        closure = self.compile(spine[0].left)
        if len(spine) <= 8:
            for part in spine[:-1]:
                closure = self.seen(part, self._operated(part, closure, self.compile(part.right)))
            return self._operated(node, closure, self.compile(node.right))
        steps = [(self.compile(part.right), apply_operator(part), self._sums(part)) for part in spine]

        def run(scope: Scope) -> Any:
            value = closure(scope)
            for right, apply, sums in steps:
                other = right(scope)
                if sums is not None and value.__class__ is not other.__class__:
                    value, other = sums.fitted(scope, value, other)
                value = apply(scope, value, other)
            return value

        return run

    def _operated(self, node: Binary, left: Closure, right: Closure) -> Closure:
        sums = self._sums(node)
        if sums is None:
            return _operation(node, left, right)
        apply = apply_operator(node)

        def add(scope: Scope) -> Any:
            a, b = left(scope), right(scope)
            if a.__class__ is not b.__class__:
                a, b = sums.fitted(scope, a, b)
            return apply(scope, a, b)

        return add

    def _sums(self, node: Binary) -> EmptySums | None:
        """The lists whose sums an operator adds, if it adds any."""
        if node.operator != "+" or not (is_sum(node.left) or is_sum(node.right)):
            return None
        lists = [self.compile(part.args[0]) if is_sum(part) else None for part in (node.left, node.right)]
        return EmptySums(*lists)

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
                    scope.spend(ABSORBED)
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
        return loops.compile_loop(node, self.compile(node.range), where, self.compile(node.body), loop_cost(node))

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
            if not node.flat:
                return Optional.of(result)
            if result.__class__ is Optional:
                return result
            message = f"`optFlatMap` needs an optional as its result, and this is {kind_name(result)}; use optMap"
            raise EvaluationError(message, NO_OVERLOAD, node.body.start, node.body.end)

        return mapped


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
    apply = call_function(node, function, len(arguments))
    if len(arguments) == 1:
        (only,) = arguments
        return lambda scope: apply(scope, only(scope))
    if len(arguments) == 2:
        first, second = arguments
        return lambda scope: apply(scope, first(scope), second(scope))
    return lambda scope: apply(scope, *[argument(scope) for argument in arguments])


def call_function(node: Call, function: Function, count: int) -> Callable[..., Any]:
    """Make the function that calls a function of the language.

    Args:
        node: The call; errors say that they happened there.
        function: What is called.
        count: How many arguments it is given, the target included.

    Returns:
        Takes the scope and the arguments.
    """
    resolve = function.resolver(count)
    charge = charge_for(node.name)
    start, end = node.start, node.end
    chosen: dict[tuple[type, ...], Callable[..., Any]] = {}

    def choose(values: tuple[Any, ...]) -> Callable[..., Any]:
        """Bind an overload to what it needs: the scope, and to be paid for the texts that it is given."""
        overload = resolve(values)
        implementation, needs_scope = overload.implementation, overload.needs_scope
        texts = any(value.__class__ is str or value.__class__ is bytes for value in values)
        if charge is not None and (texts or charge is not read_texts):
            return _paid(charge, implementation, needs_scope=needs_scope)
        return implementation if needs_scope else lambda _, *values: implementation(*values)

    def call(scope: Scope, *values: Any) -> Any:
        try:
            classes = tuple([value.__class__ for value in values])
            implementation = chosen.get(classes)
            if implementation is None:
                implementation = chosen[classes] = choose(values)
            return implementation(scope, *values)
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error

    pattern = node.args[-1] if node.name == "matches" and node.args else None
    return _matcher(node, pattern.value, call) if isinstance(pattern, Literal) and count == 2 else call


def _paid(charge: Charge, implementation: Callable[..., Any], *, needs_scope: bool) -> Callable[..., Any]:
    def call(scope: Scope, *values: Any) -> Any:
        charge(scope, values)
        return implementation(scope, *values) if needs_scope else implementation(*values)

    return call


def _matcher(node: Call, pattern: object, general: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a constant pattern once: the calls pay for the text alone."""
    if not isinstance(pattern, str):
        return general
    try:
        compiled = searcher(pattern)
    except EvaluationError:
        return general
    start, end = node.start, node.end

    def call(scope: Scope, text: Any, given: Any) -> Any:
        try:
            if text.__class__ is not str:
                return general(scope, text, given)
            return search(scope, compiled, text)
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
    """Apply an operator: to two numbers of one class at once, to everything else by `apply_operator`."""
    apply = apply_operator(node)
    operator = node.operator
    if operator in {"==", "!="}:
        return _equality(apply, left, right, same=operator == "==")
    python = _PYTHON.get(operator)
    if python is None:
        return lambda scope: apply(scope, left(scope), right(scope))
    if operator not in {"+", "-", "*"}:

        def order(scope: Scope) -> Any:
            a, b = left(scope), right(scope)
            kind, other = a.__class__, b.__class__
            if kind is other and (kind is int or kind is float or (kind is str and len(a) <= SHORT)):
                return python(a, b)
            if kind in _NUMBERS and other in _NUMBERS:
                return python(as_double(a), as_double(b))
            return apply(scope, a, b)

        return order

    def calculate(scope: Scope) -> Any:
        a, b = left(scope), right(scope)
        kind = a.__class__
        if kind is b.__class__:
            if kind is float:
                return python(a, b)
            if kind is int and INT_MIN <= (result := python(a, b)) <= INT_MAX:
                return result
        return apply(scope, a, b)

    return calculate


def _equality(apply: Callable[..., Any], left: Closure, right: Closure, *, same: bool) -> Closure:
    def compare(scope: Scope) -> Any:
        a, b = left(scope), right(scope)
        kind, other = a.__class__, b.__class__
        if kind is other and (kind in _SMALL or (kind is str and len(a) <= SHORT)):
            return (a == b) is same
        if kind in _NUMBERS and other in _NUMBERS:
            return (as_double(a) == as_double(b)) is same
        return apply(scope, a, b)

    return compare


_NUMBERS = frozenset({int, float})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%"})
#: What operators are in Python, for two numbers of one class.
_PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    "<": python_operators.lt,
    "<=": python_operators.le,
    ">": python_operators.gt,
    ">=": python_operators.ge,
    "+": python_operators.add,
    "-": python_operators.sub,
    "*": python_operators.mul,
}


def apply_operator(node: Binary | Unary) -> Callable[..., Any]:
    """Make the function that applies an operator to values.

    Args:
        node: The operator; errors say that they happened there.

    Returns:
        Takes the scope and one or two values.
    """
    start, end, operator = node.start, node.end, node.operator

    def apply(scope: Scope, a: Any, b: Any) -> Any:
        try:
            if b.__class__ not in _SMALL:
                _spend(scope, operator, a, b)
            return binary(a, b)
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error

    def apply_to_one(_: Scope, a: Any) -> Any:
        try:
            return negate(a)
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error

    if isinstance(node, Unary):
        return apply_to_one
    binary = BINARY[operator]
    return apply


def _spend(scope: Scope, operator: str, a: Any, b: Any) -> None:
    """Count what joining, comparing or searching costs, where that depends on classes and sizes."""
    if b.__class__ is UInt:
        scope.spend(UNSIGNED if operator in _ARITHMETIC else 0)
    elif b.__class__ is str or b.__class__ is bytes:
        if operator == "+":
            _spend_on_join(scope, a, b)
        elif len(b) > SHORT and a.__class__ is b.__class__:
            scope.spend(min(len(a), len(b)) // COMPARED)
    elif operator == "in":
        if is_list(b):
            scope.spend(len(b))
            if a.__class__ not in PLAIN:
                scope.spend_on(b)
            elif a.__class__ is str and len(a) > SHORT:
                scope.spend(len(b) * len(a) // COMPARED)
        elif a.__class__ is str and len(a) > SHORT:
            scope.spend(len(a) // COMPARED)
    elif operator == "+":
        if is_list(a) and is_list(b):
            scope.spend((len(a) + len(b)) * LIST_PLACE)
    elif operator in {"==", "!="}:
        scope.spend_on(b)


def _spend_on_join(scope: Scope, a: Any, b: Any) -> None:
    if a.__class__ is not b.__class__:
        return
    scope.make_text(len(a) + len(b), narrow=a.__class__ is bytes or (a.isascii() and b.isascii()))
