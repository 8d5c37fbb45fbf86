"""Our tables have every function, operator and macro: a case with a value, and one that fails where that is possible."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from flowlang.expr import EvaluationError, compile_expression
from flowlang.expr.operators import BINARY
from flowlang.expr.registry import functions
from flowlang.expr.syntax import (
    Binary,
    Bind,
    Call,
    Comprehension,
    Conditional,
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

CASES: list[dict[str, Any]] = list(
    chain.from_iterable(
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(Path(__file__).parent.glob("*.yaml"))
    )
)

#: What takes any value, or does not fail by itself.
CANNOT_FAIL = {
    *("==", "!=", "type()", "dyn()", "optional.of()", "optional.none()", "optional.ofNonZeroValue()"),
    *("cel.bind", "cel.block"),
}
#: What answers only where the caller pins it; its examples are cases with a value.
PINNED = {"now()", "uuid()"}

EVERYTHING = {
    *BINARY,
    *("&&", "||", "?:", "!", "-x", ".", ".?", "[]", "[?]", "has", "cel.bind", "cel.block", "optMap", "optFlatMap"),
    *(f"{loop.value} {count}" for loop in Loop for count in (1, 2)),
    *(f"{'.' if method else ''}{name}()" for name, method in functions()),
} - {
    *("map 2", "filter 2", "sortBy 2"),
    *("transformList 1", "transformMap 1", "transformMapEntry 1"),
}


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
        case _:
            return None


def _nodes(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending += children(node)


def _labels(case: dict[str, Any]) -> set[str]:
    return {label for node in _nodes(compile_expression(case["expr"]).root) if (label := _label(node)) is not None}


def _failing(case: dict[str, Any]) -> set[str]:
    """What fails in a case: the smallest parts around the place of the error."""
    expression = compile_expression(case["expr"])
    try:
        expression.evaluate(case.get("with", {}))
    except EvaluationError as error:
        around = [node for node in _nodes(expression.root) if node.start <= error.start and error.end <= node.end]
        around = [node for node in around if _label(node) is not None]
        smallest = min((node.end - node.start for node in around), default=0)
        return {label for node in around if node.end - node.start == smallest and (label := _label(node)) is not None}
    return set()


def test_everything_has_a_case_with_a_value() -> None:
    seen = set(chain.from_iterable(_labels(case) for case in CASES if "is" in case))
    assert EVERYTHING - seen - PINNED == set()


def test_everything_that_can_fail_has_a_case_that_fails() -> None:
    seen = set(chain.from_iterable(_failing(case) for case in CASES if "error" in case))
    assert EVERYTHING - seen - CANNOT_FAIL == set()
