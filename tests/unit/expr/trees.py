"""Trees for laws: their shape, all expressions of the tables, and generated ones over names of one's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from flowlang.expr import EvaluationError, Expression, Optional, Pins, UInt
from flowlang.expr.registry import functions
from flowlang.expr.scope import NO_PINS
from flowlang.expr.syntax import Node
from tests.conformance.cases import decode, load, same

ROOT = Path(__file__).parents[3]
CEL_CASES = ROOT.parent / "shared" / "cel"

_PLACES = {"start", "end", "field_start", "field_end", "name_start", "name_end"}


def shape(node: Any) -> Any:
    """A node as nested tuples, without offsets; `-0.0` and `0.0`, `1` and `1u` differ."""
    if isinstance(node, Node):
        parts = [shape(getattr(node, each.name)) for each in fields(node) if each.name not in _PLACES]
        return (node.__class__.__name__, *parts)
    if isinstance(node, tuple):
        return tuple(shape(part) for part in node)
    return (node.__class__.__name__, repr(node))


def alike(a: Any, b: Any) -> bool:
    """Whether two values are the same as `same` says, and optionals by what they hold."""
    if isinstance(a, Optional) and isinstance(b, Optional):
        return a.present == b.present and (not a.present or alike(a.value, b.value))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        pairs = zip(a.items(), b.items(), strict=False)
        return len(a) == len(b) and all(same(k, m) and alike(v, w) for (k, v), (m, w) in pairs)
    return same(a, b)


def expressions() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Each expression of the conformance folders and tables and of the functions: text, container, variables."""
    for path in sorted(CEL_CASES.glob("*.json")):
        for case in load(path):
            yield case["expr"], case["container"], frozenset(case["bindings"])
    for path in sorted((ROOT / "tests/conformance").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield case["expr"], "", frozenset()
    for example in itertools.chain.from_iterable(function.examples for function in functions().values()):
        yield example, "", frozenset()


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each expression of the conformance folders and tables with its bindings, those of plain names only."""
    for path in sorted(CEL_CASES.glob("*.json")):
        for case in load(path):
            if not case["container"] and not any("." in name for name in case["bindings"]):
                yield case["expr"], {name: decode(value) for name, value in case["bindings"].items()}
    for path in sorted((ROOT / "tests/conformance").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield case["expr"], case.get("with", {})


_LEAVES = [
    *(
        "1",
        "0",
        "-1",
        "2u",
        "0.0",
        "-0.0",
        "1.5",
        "1e999",
        "'a'",
        '"it\'s"',
        "'\\n'",
        "b'a\\xff'",
        "null",
        "true",
        "false",
    ),
    *("[]", "{}", "int", "google.protobuf.Timestamp", "-9223372036854775808", "optional.none()", "duration('1h')"),
]
_OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in"]
_MEMBERS = ["a", "?b", "`in`", "`x-y`", "if", "size()", "orValue(1)", "trim()", "hasValue()", "value()", "sort()"]
_FUNCTIONS = ["size", "int", "string", "double", "type", "json", "sum", "dyn", "optional.of", "math.abs", "sets.unique"]
_LOOPS = ["map", "filter", "all", "exists", "exists_one", "sortBy"]
_PAIRS = ["all", "exists", "exists_one", "transformList", "transformMap", "transformMapEntry"]


def texts(names: list[str], *, max_leaves: int = 12) -> st.SearchStrategy[str]:
    """Texts of expressions that can be read, over these names and the variables `v` and `w` of macros."""
    functions_ = [name for name in _FUNCTIONS if (name, False) in functions()]
    leaves = st.sampled_from([*names * 2, *names, *_LEAVES, "v", "w"])

    def grow(e: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds(lambda a, o, b: f"({a}) {o} ({b})", e, st.sampled_from(_OPERATORS), e),
            st.builds(lambda o, parts: f" {o} ".join(f"({part})" for part in parts), st.sampled_from(["&&", "||"]), st.lists(e, min_size=2, max_size=3)),
            st.builds(lambda a, f: f"({a}).{f}", e, st.sampled_from(_MEMBERS)),
            st.builds(lambda a, f: f"has(({a}).{f})", e, st.sampled_from(_MEMBERS[:5])),
            st.builds(lambda a: f"({a}).?a.orValue(1)", e),
            st.builds(lambda a, b: f"({a}).or({b})", e, e),
            st.builds(lambda f, a: f"{f}({a})", st.sampled_from(functions_), e),
            st.builds(lambda a, m, v, b: f"({a}).{m}({v}, {b})", e, st.sampled_from(_LOOPS), st.sampled_from("vw"), e),
            st.builds(lambda a, m, b: f"({a}).{m}(v, w, {b})", e, st.sampled_from(_PAIRS), e),
            st.builds(lambda a, v, w, b: f"({a}).map({v}, {w}, {b})", e, st.sampled_from("vw"), e, e),
            st.builds(lambda v, a, b: f"cel.bind({v}, {a}, {b})", st.sampled_from("vw"), e, e),
            st.builds(lambda a, b, c: f"cel.block([{a}, cel.index(0) == {b}], cel.index(1) || {c})", e, e, e),
            st.builds(lambda a, m, b: f"({a}).{m}(v, {b})", e, st.sampled_from(["optMap", "optFlatMap"]), e),
            st.builds(lambda a, b, c: f"({a}) ? ({b}) : ({c})", e, e, e),
            st.builds(lambda a, o, b: f"({a})[{o}{b}]", e, st.sampled_from(["", "?"]), e),
            st.builds(lambda a, o, b: f"[{a}, {o}{b}]", e, st.sampled_from(["", "?"]), e),
            st.builds(lambda o, a, b: f"{{{o}({a}): {b}}}", st.sampled_from(["", "?"]), e, e),
            st.builds(lambda o, a: f"{o}({a})", st.sampled_from("-!"), e),
            st.builds(lambda a: f"-{a}", e),
        )  # fmt: skip

    return st.recursive(leaves, grow, max_leaves=max_leaves)


_SCALARS = st.sampled_from([0, 1, 2, -1, 1.0, 0.5, True, False, None, "a", "b", "", b"a", UInt(1), 2**63 - 1])

#: Values for the names of `texts`: small, so that they are often of the kind that an operator takes.
DATA = st.recursive(
    _SCALARS,
    lambda e: st.one_of(
        st.lists(e, max_size=3),
        st.lists(st.tuples(st.sampled_from(["a", "b", "x-y"]), e), max_size=3).map(dict),
        e.map(Optional.of),
    ),
    max_leaves=5,
)


def answer(expression: Expression, bindings: Mapping[str, Any], *, pins: Pins = NO_PINS) -> tuple[str, Any]:
    """What an expression gives: `value` and it, or `error` and its code."""
    try:
        return "value", expression.evaluate(bindings, pins=pins)
    except EvaluationError as error:
        return "error", error.code
