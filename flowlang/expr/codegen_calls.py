"""Code for the functions that are worth code of their own: those that conditions call most."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from flowlang.expr import fast_paths
from flowlang.expr import python_tree as py
from flowlang.expr.emitter import BOOL, DOUBLE, INT, MAP, OPTIONAL, STRING, Code
from flowlang.expr.errors import CelError
from flowlang.expr.intervals import SIZES
from flowlang.expr.lib.regex import searcher
from flowlang.expr.operators import has_field
from flowlang.expr.syntax import Call, Literal, Node, Select

if TYPE_CHECKING:
    from flowlang.expr.codegen import Generator

#: Makes the code of a call with its target and arguments; None where the call is one like any other.
Inlined = Callable[["Generator", Call, list[Node]], Code | None]


def _size(generator: Generator, node: Call, parts: list[Node]) -> Code:
    del node
    (code,) = generator.together(parts)
    return Code(py.call(generator.emitter.known(len), code.expr), INT, SIZES)


def _constant_text(generator: Generator, node: Node) -> str | None:
    folded = generator.folded.get(node)
    value = node.value if isinstance(node, Literal) else None if folded is None else folded.value
    return value if isinstance(value, str) else None


def _begins_or_ends(generator: Generator, node: Call, parts: list[Node]) -> Code | None:
    part = _constant_text(generator, parts[1])
    if part is None:
        return None
    text = generator.emit(parts[0])
    generator.emitter.charge(len(part) >> 6)
    method = "startswith" if node.name == "startsWith" else "endswith"
    return Code(py.call(py.attribute(text.expr, method), py.constant(part)), BOOL)


def _contains(generator: Generator, node: Call, parts: list[Node]) -> Code | None:
    del node
    part = _constant_text(generator, parts[1])
    if part is None:
        return None
    first, again = generator.emitter.twice(generator.emit(parts[0]))
    generator.emitter.charge(generator.emitter.longest_text + len(part))
    return Code(
        generator.emitter.guarded(generator.text_guard(first, again), py.compare(py.constant(part), "in", again)), BOOL
    )


def _matches(generator: Generator, node: Call, parts: list[Node]) -> Code | None:
    pattern = _constant_text(generator, node.args[-1])
    if pattern is None:
        return None
    try:
        compiled = searcher(pattern)
    except CelError:
        return None
    first, again = generator.emitter.twice(generator.emit(parts[0]))
    generator.emitter.charge(compiled.cost(generator.emitter.longest_text))
    match = py.call(generator.emitter.known(compiled.match), again)
    found = py.negation(py.negation(match))
    return Code(generator.emitter.guarded(generator.text_guard(first, again), found), BOOL)


def _or_value(generator: Generator, node: Call, parts: list[Node]) -> Code | None:
    """`x.?a.?b.orValue(c)`: looks for each field before it is read, without an optional in between."""
    del node
    chain = _optional_chain(parts[0])
    if chain is None:
        return None
    emitter = generator.emitter
    condition, value = _chain(generator, *chain)
    with emitter.branch() as statements:
        other = generator.emit(parts[1])
    if not statements:
        return Code(py.choose(condition, value, other.expr))
    result = emitter.fresh()
    statements.append(py.assign(result, other.expr))
    emitter.block.append(py.when(condition, [py.assign(result, value)], statements))
    return Code(py.name(result))


def _has_value(generator: Generator, node: Call, parts: list[Node]) -> Code | None:
    del node
    chain = _optional_chain(parts[0])
    return None if chain is None else Code(_chain(generator, *chain)[0], BOOL)


def _optional_chain(node: Node) -> tuple[Node, list[str]] | None:
    """Take apart `operand.?a.b`: the operand, and the fields that may be absent."""
    selected: list[Select] = []
    while isinstance(node, Select):
        selected.append(node)
        node = node.operand
    selected.reverse()
    first = next((place for place, select in enumerate(selected) if select.optional), None)
    return None if first is None else (selected[first].operand, [select.field for select in selected[first:]])


def _chain(generator: Generator, operand: Node, fields: list[str]) -> tuple[ast.expr, ast.expr]:
    """Make the condition that all fields are there, and the expression that reads the last one after that."""
    code = generator.emit(operand)
    if code.kind not in {None, MAP, OPTIONAL}:
        return generator.emitter.failure(), generator.emitter.failure()
    conditions: list[ast.expr] = []
    for field in fields:
        first, again = generator.emitter.twice(code)
        # Behind the first field an optional is a value of the map, which no field is read of.
        look = fast_paths.has_field_of_map if conditions else has_field
        conditions.append(generator.has(first, again, field, otherwise=look))
        code = Code(py.subscript(again, py.constant(field)))
    return py.every(conditions), code.expr


def _conversion(function: Callable[[Any], Any], kind: str) -> Inlined:
    def convert(generator: Generator, node: Call, parts: list[Node]) -> Code:
        del node
        (code,) = generator.together(parts)
        if code.kind == kind and kind != STRING:
            return code
        generator.emitter.charge(fast_paths.IN_LOOP if kind == STRING else 0)
        return Code(py.call(generator.emitter.known(function), code.expr), kind)

    return convert


INLINED: Final[dict[tuple[str, int], Inlined]] = {
    ("size", 1): _size,
    ("startsWith", 2): _begins_or_ends,
    ("endsWith", 2): _begins_or_ends,
    ("contains", 2): _contains,
    ("matches", 2): _matches,
    ("string", 1): _conversion(fast_paths.text_of, STRING),
    ("int", 1): _conversion(fast_paths.int_of, INT),
    ("double", 1): _conversion(fast_paths.double_of, DOUBLE),
    ("orValue", 2): _or_value,
    ("hasValue", 1): _has_value,
}
