"""Our tables have every function, operator and macro: each overload with a value, and each that can fail failing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import chain

from flowlang.expr import EvaluationError, Expression
from flowlang.expr.check import check_text
from flowlang.expr.environment import Environment
from flowlang.expr.operator_types import OPERATORS, UNARY
from flowlang.expr.operators import BINARY
from flowlang.expr.parser import parse
from flowlang.expr.registry import Function, functions
from flowlang.expr.resolve import resolve
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
    Logic,
    Loop,
    Node,
    OptionalMap,
    Select,
    Unary,
    children,
)
from flowlang.expr.types import Variable, kind
from tests.conformance.tables import TableCase, load_tables

CASES = load_tables()

#: What takes any value, or does not fail by itself.
CANNOT_FAIL = {
    *("==", "!=", "type()", "dyn()", "optional.of()", "optional.none()", "optional.ofNonZeroValue()"),
    *("cel.bind", "cel.block"),
}

EVERYTHING = {
    *BINARY,
    *("&&", "||", "?:", "!", "-x", ".", ".?", "[]", "[?]", "[?x]", "{?k: x}"),
    *("has", "cel.bind", "cel.block", "optMap", "optFlatMap"),
    *(f"{loop.value} {count}" for loop in Loop for count in (1, 2)),
    *(f"{'.' if method else ''}{name}()" for name, method in functions()),
} - {
    *("map 2", "filter 2", "sortBy 2"),
    *("transformList 1", "transformMap 1", "transformMapEntry 1"),
}
#: Nothing is known of any name.
OPEN = Environment({}, closed=False)
#: Kinds that have another name at run time.
_NAMES = {
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "optional": "optional_type",
    "ip": "net.IP",
    "cidr": "net.CIDR",
}
#: Macros that may have a filter before their result.
FILTERED = {"map 1", "transformList 2", "transformMap 2", "transformMapEntry 2"}


def _label(node: Node) -> str | None:
    match node:
        case Call(target=target, name=name):
            return f"{'' if target is None else '.'}{name}()"
        case Binary(operator=operator) | Logic(operator=operator):
            return operator
        case Unary(operator=operator):
            return "!" if operator == "!" else "-x"
        case Conditional():
            return "?:"
        case Select(optional=optional):
            return ".?" if optional else "."
        case Index(optional=optional):
            return "[?]" if optional else "[]"
        case Has():
            return "has"
        case Comprehension(loop=loop, variables=variables):
            return f"{loop.value} {len(variables)}"
        case Bind(names=names):
            return "cel.block" if names[:1] == ("cel.index(0)",) else "cel.bind"
        case OptionalMap(flat=flat):
            return "optFlatMap" if flat else "optMap"
        case Element(optional=True):
            return "[?x]"
        case Entry(optional=True):
            return "{?k: x}"
        case _:
            return None


@cache
def _tree(text: str) -> tuple[Node, int]:
    """A tree of its own: the compiled expressions that others have know what they were called with."""
    resolved = resolve(parse(text))
    return resolved.root, resolved.slots


def _nodes(case: TableCase) -> Iterator[Node]:
    pending = [_tree(case.text)[0]]
    while pending:
        node = pending.pop()
        yield node
        pending += children(node)


def _failing(case: TableCase) -> set[str]:
    """What fails in a case: the smallest parts around the place of the error."""
    try:
        Expression(case.text, *_tree(case.text)).exactly(case.bindings, case.pins())
    except EvaluationError as error:
        around = [node for node in _nodes(case) if node.start <= error.start and error.end <= node.end]
        around = [node for node in around if _label(node) is not None]
        smallest = min((node.end - node.start for node in around), default=0)
        return {label for node in around if node.end - node.start == smallest and (label := _label(node)) is not None}
    return set()


def _valued() -> Iterator[TableCase]:
    return (case for case in CASES if case.value is not None)


def test_everything_has_a_case_with_a_value() -> None:
    nodes = list(chain.from_iterable(map(_nodes, _valued())))
    assert EVERYTHING - {_label(node) for node in nodes} == set()
    filtered = {_label(node) for node in nodes if isinstance(node, Comprehension) and node.where is not None}
    assert filtered == FILTERED


def test_everything_that_can_fail_has_a_case_that_fails() -> None:
    seen = set(chain.from_iterable(_failing(case) for case in CASES if case.error is not None))
    assert EVERYTHING - seen - CANNOT_FAIL == set()


def test_every_overload_of_a_function_has_a_case_with_a_value() -> None:
    called: set[str] = set()
    for case in _valued():
        types = check_text(case.text, OPEN).types
        for node in types:
            if isinstance(node, Call) and (function := functions().get((node.name, node.target is not None))):
                parts = node.args if node.target is None else (node.target, *node.args)
                called |= _taking(function, tuple(kind(types[part]) for part in parts))
    every = {overload.signature for function in functions().values() for overload in function.overloads}
    assert every - called == set()


def _taking(function: Function, kinds: tuple[str, ...]) -> set[str]:
    """The signatures that take arguments of these kinds."""
    found = {overload.signature for overload in function.overloads}
    names = tuple(_NAMES.get(each, each) for each in kinds)
    return found if function.any_count else {each.signature for each in function.overloads if each.takes(names)}


def test_every_overload_of_an_operator_has_a_case_with_a_value() -> None:
    used: set[tuple[str, ...]] = set()
    for case in _valued():
        types = check_text(case.text, OPEN).types
        for node in types:
            if isinstance(node, Binary):
                used.add((node.operator, kind(types[node.left]), kind(types[node.right])))
            elif isinstance(node, Unary):
                used.add((node.operator, kind(types[node.operand])))
    declared = {
        (symbol, *map(kind, each.parameters))
        for symbol, signatures in (*OPERATORS.items(), *UNARY.items())
        for each in signatures
        if not any(isinstance(parameter, Variable) for parameter in each.parameters)
    }
    assert declared - used == set()
