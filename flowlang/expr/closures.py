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


def compile_node(node: Node) -> Closure:
    """Compile a resolved tree.

    Args:
        node: Its top; the tree is no deeper than `limits.MAX_DEPTH`.

    Returns:
        Evaluates it in a scope.
    """
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
            return _select(node)
        case Has():
            return _has(node)
        case Index():
            return _index(node)
        case Call():
            return _call(node)
        case ListNode():
            return _list(node)
        case MapNode():
            return _map(node)
        case Unary():
            return _unary(node)
        case Binary():
            return _binary(node)
        case Logic():
            return _logic(node)
        case Conditional():
            return _conditional(node)
        case Comprehension():
            return _comprehension(node)
        case Bind():
            return _bind(node)
        case OptionalMap():
            return _optional_map(node)
        case _:
            raise AssertionError(f"{node.__class__.__name__} is no node of a resolved tree")


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


def _local(node: Local) -> Closure:
    slot = node.slot
    return lambda scope: scope.slots[slot]


def _select(node: Select) -> Closure:
    operand = compile_node(node.operand)
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


def _has(node: Has) -> Closure:
    operand = compile_node(node.operand)
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


def _index(node: Index) -> Closure:
    operand, key = compile_node(node.operand), compile_node(node.index)
    start, end = node.index.start, node.index.end
    read = index_optional if node.optional else index

    def indexed(scope: Scope) -> Any:
        value, place = operand(scope), key(scope)
        try:
            return read(value, place)
        except EvaluationError as error:
            raise error.at(start, end)  # noqa: B904 - the same error

    return indexed


def _call(node: Call) -> Closure:
    method = node.target is not None
    function = registry.functions().get((node.name, method))
    if function is None:
        name, start, end = node.name, node.name_start, node.name_end

        def unknown(_: Scope) -> Any:
            raise EvaluationError(f"no such function `{name}`", NO_OVERLOAD, start, end)

        return unknown
    parts = node.args if node.target is None else (node.target, *node.args)
    arguments = [compile_node(part) for part in parts]
    if function.lazy:
        return _lazy_call(node, function, arguments)
    return _strict_call(node, function, arguments)


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


def _list(node: ListNode) -> Closure:
    elements = [(compile_node(element.value), element.optional, element) for element in node.elements]
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


def _map(node: MapNode) -> Closure:
    entries = [(compile_node(entry.key), compile_node(entry.value), entry) for entry in node.entries]

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


def _optional(value: Any, node: Node) -> Optional:
    if value.__class__ is Optional:
        optional: Optional = value
        return optional
    message = f"`?` before it needs an optional, and this is {kind_name(value)}"
    raise EvaluationError(message, NO_OVERLOAD, node.start, node.end)


def _unary(node: Unary) -> Closure:
    operand = compile_node(node.operand)

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


def _binary(node: Binary) -> Closure:
    """Compile a left spine of operators: short ones nest, long ones run in a loop, so that sums may be long."""
    spine = [node]
    while isinstance(spine[-1].left, Binary):
        spine.append(spine[-1].left)
    spine.reverse()
    closure = compile_node(spine[0].left)
    if len(spine) <= 8:
        for part in spine:
            closure = _operation(part, closure, compile_node(part.right))
        return closure
    steps = [(compile_node(part.right), _application(part)) for part in spine]

    def run(scope: Scope) -> Any:
        value = closure(scope)
        for right, apply in steps:
            value = apply(scope, value, right(scope))
        return value

    return run


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


def _logic(node: Logic) -> Closure:
    operands = [compile_node(operand) for operand in node.operands]
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


def _conditional(node: Conditional) -> Closure:
    condition, then, otherwise = (compile_node(part) for part in (node.condition, node.then, node.otherwise))

    def choose(scope: Scope) -> Any:
        value = condition(scope)
        if value is True:
            return then(scope)
        if value is False:
            return otherwise(scope)
        message = f"the condition before `?` must be a bool, and this is {kind_name(value)}"
        raise EvaluationError(message, NO_OVERLOAD, node.condition.start, node.condition.end)

    return choose


def _comprehension(node: Comprehension) -> Closure:
    where = None if node.where is None else compile_node(node.where)
    per_element = cost(node.body) + (0 if node.where is None else cost(node.where))
    return loops.compile_loop(node, compile_node(node.range), where, compile_node(node.body), per_element)


def _bind(node: Bind) -> Closure:
    value, body, slot = compile_node(node.value), compile_node(node.body), node.slot

    def bind(scope: Scope) -> Any:
        scope.slots[slot] = value(scope)
        return body(scope)

    return bind


def _optional_map(node: OptionalMap) -> Closure:
    target, body, slot = compile_node(node.target), compile_node(node.body), node.slot
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
