"""Code for timestamps and durations: it calculates with nanoseconds, and makes objects only of what leaves it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from flowlang.expr import fast_paths
from flowlang.expr import python_tree as py
from flowlang.expr.emitter import BOOL, Code
from flowlang.expr.syntax import Binary, Call, Node
from flowlang.expr.times import MAX_DIFFERENCE, MAX_DURATION, MAX_TIMESTAMP, MIN_TIMESTAMP, Duration, Timestamp

if TYPE_CHECKING:
    from flowlang.expr.codegen import Generator

_SPANS: Final = (-MAX_DURATION, MAX_DURATION)
_MOMENTS: Final = (MIN_TIMESTAMP, MAX_TIMESTAMP)
#: What `+` and `-` give, by their operands: its kind, and between which nanoseconds it must lie.
_RESULTS: Final[dict[tuple[str, str | None, str | None], tuple[str, tuple[int, int]]]] = {
    ("+", "duration", "duration"): ("duration", _SPANS),
    ("-", "duration", "duration"): ("duration", _SPANS),
    ("+", "timestamp", "duration"): ("timestamp", _MOMENTS),
    ("+", "duration", "timestamp"): ("timestamp", _MOMENTS),
    ("-", "timestamp", "duration"): ("timestamp", _MOMENTS),
    ("-", "timestamp", "timestamp"): ("duration", (-MAX_DIFFERENCE - 1, MAX_DIFFERENCE)),
}


def time_of(node: Node) -> str | None:
    """Tell whether a part is certainly a time, unless it fails.

    Args:
        node: Any part.

    Returns:
        `timestamp`, `duration`, or None where it may be something else.
    """
    if isinstance(node, Call):
        return _FUNCTIONS.get((node.name, len(node.args))) if node.target is None else None
    if not isinstance(node, Binary) or node.operator not in {"+", "-"}:
        return None
    left = time_of(node.left)
    right = time_of(node.right) if left is not None else None
    result = _RESULTS.get((node.operator, left, right))
    return None if result is None else result[0]


_FUNCTIONS: Final = {("timestamp", 1): "timestamp", ("now", 0): "timestamp", ("duration", 1): "duration"}


def value(generator: Generator, node: Node) -> Code:
    """Make the code of a part that is certainly a time, as an object."""
    kind = time_of(node)
    python_class = Timestamp if kind == "timestamp" else Duration
    (nanoseconds,) = _nanoseconds(generator, [node])
    return Code(py.call(generator.emitter.known(python_class), nanoseconds), kind)


def comparison(generator: Generator, node: Binary) -> Code:
    """Make the code of a comparison of two parts that are certainly times."""
    if time_of(node.left) != time_of(node.right):
        return Code(generator.emitter.failure())
    left, right = _nanoseconds(generator, [node.left, node.right])
    return Code(py.compare(left, node.operator, right), BOOL)


def _nanoseconds(generator: Generator, nodes: list[Node]) -> list[ast.expr]:
    """Make the code of the nanoseconds of times that are all evaluated."""
    texts: list[Node] = []
    for node in nodes:
        _collect(generator, node, texts)
    codes = iter(generator.together(texts))
    return [_written(generator, node, codes) for node in nodes]


def _collect(generator: Generator, node: Node, texts: list[Node]) -> None:
    """List the arguments of the functions that make the times, in their order."""
    if node in generator.folded:
        return
    if isinstance(node, Binary):
        _collect(generator, node.left, texts)
        _collect(generator, node.right, texts)
    elif isinstance(node, Call):
        texts += node.args


def _written(generator: Generator, node: Node, codes: Iterator[Code]) -> ast.expr:
    emitter = generator.emitter
    folded = generator.folded.get(node)
    if folded is not None:
        emitter.charge(folded.units)
        return py.constant(folded.value.ns)
    if isinstance(node, Binary):
        left, right = _written(generator, node.left, codes), _written(generator, node.right, codes)
        _, (low, high) = _RESULTS[node.operator, time_of(node.left), time_of(node.right)]
        first, again = emitter.twice(Code(py.arithmetic(left, node.operator, right)))
        return emitter.guarded([py.compare(py.constant(low), "<=", first, "<=", py.constant(high))], again)
    assert isinstance(node, Call)
    if node.name == "now":
        return py.attribute(py.attribute(py.name("pins"), "now"), "ns")
    read = fast_paths.moment if node.name == "timestamp" else fast_paths.span
    emitter.charge(fast_paths.LONGEST_MOMENT if node.name == "timestamp" else fast_paths.SPAN)
    return py.call(emitter.known(read), next(codes).expr)
