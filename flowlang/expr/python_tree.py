"""Builds Python's syntax trees for generated code: short constructors, each node with a place, as `compile` asks for.

Only names that the generator makes go in; what a user wrote is always a constant.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

#: Generated code has no text, so every node stands at the same place.
_AT: Final[dict[str, Any]] = {"lineno": 1, "col_offset": 0}
_LOAD: Final = ast.Load()
_STORE: Final = ast.Store()
_COMPARISONS: Final[dict[str, ast.cmpop]] = {
    "==": ast.Eq(),
    "!=": ast.NotEq(),
    "<": ast.Lt(),
    "<=": ast.LtE(),
    ">": ast.Gt(),
    ">=": ast.GtE(),
    "in": ast.In(),
    "is": ast.Is(),
    "is not": ast.IsNot(),
}
_OPERATORS: Final[dict[str, ast.operator]] = {
    "+": ast.Add(),
    "-": ast.Sub(),
    "*": ast.Mult(),
    "/": ast.Div(),
    "//": ast.FloorDiv(),
    "%": ast.Mod(),
}


def name(identifier: str) -> ast.Name:
    """A variable that is read."""
    return ast.Name(identifier, _LOAD, **_AT)


def constant(value: Any) -> ast.Constant:
    """A constant: None, bool, int, float, str, bytes, or a tuple or frozenset of such."""
    return ast.Constant(value, **_AT)


def walrus(identifier: str, value: ast.expr) -> ast.NamedExpr:
    """`(identifier := value)`."""
    return ast.NamedExpr(ast.Name(identifier, _STORE, **_AT), value, **_AT)


def attribute(value: ast.expr, field: str) -> ast.Attribute:
    """`value.field`."""
    return ast.Attribute(value, field, _LOAD, **_AT)


def subscript(value: ast.expr, key: ast.expr) -> ast.Subscript:
    """`value[key]`."""
    return ast.Subscript(value, key, _LOAD, **_AT)


def call(function: ast.expr, *arguments: ast.expr) -> ast.Call:
    """`function(*arguments)`."""
    return ast.Call(function, list(arguments), [], **_AT)


def compare(left: ast.expr, *rest: str | ast.expr) -> ast.Compare:
    """`left < middle <= right …`; operators and operands take turns."""
    operators = [_COMPARISONS[part] for part in rest if isinstance(part, str)]
    return ast.Compare(left, operators, [part for part in rest if not isinstance(part, str)], **_AT)


def arithmetic(left: ast.expr, operator: str, right: ast.expr) -> ast.BinOp:
    """`left + right`."""
    return ast.BinOp(left, _OPERATORS[operator], right, **_AT)


def negative(operand: ast.expr) -> ast.UnaryOp:
    """`-operand`."""
    return ast.UnaryOp(ast.USub(), operand, **_AT)


def negation(operand: ast.expr) -> ast.expr:
    """`not operand`."""
    return ast.UnaryOp(ast.Not(), operand, **_AT)


def every(conditions: Sequence[ast.expr]) -> ast.expr:
    """`a and b and …`; of one, itself."""
    return conditions[0] if len(conditions) == 1 else ast.BoolOp(ast.And(), list(conditions), **_AT)


def either(conditions: Sequence[ast.expr]) -> ast.expr:
    """`a or b or …`; of one, itself."""
    return conditions[0] if len(conditions) == 1 else ast.BoolOp(ast.Or(), list(conditions), **_AT)


def choose(condition: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.IfExp:
    """`then if condition else otherwise`."""
    return ast.IfExp(condition, then, otherwise, **_AT)


def list_of(elements: Sequence[ast.expr]) -> ast.List:
    """`[a, b]`."""
    return ast.List(list(elements), _LOAD, **_AT)


def tuple_of(elements: Sequence[ast.expr]) -> ast.Tuple:
    """`(a, b)`."""
    return ast.Tuple(list(elements), _LOAD, **_AT)


def dict_of(keys: Sequence[ast.expr], values: Sequence[ast.expr]) -> ast.Dict:
    """`{a: b}`."""
    return ast.Dict(list(keys), list(values), **_AT)


def list_comprehension(
    element: ast.expr, variables: Sequence[str], source: ast.expr, condition: ast.expr | None
) -> ast.ListComp:
    """`[element for variables in source if condition]`."""
    conditions = [] if condition is None else [condition]
    return ast.ListComp(element, [ast.comprehension(_targets(variables), source, conditions, is_async=0)], **_AT)


def _targets(variables: Sequence[str]) -> ast.expr:
    names: list[ast.expr] = [ast.Name(variable, _STORE, **_AT) for variable in variables]
    return names[0] if len(names) == 1 else ast.Tuple(names, _STORE, **_AT)


def assign(identifier: str, value: ast.expr) -> ast.Assign:
    """`identifier = value`."""
    return ast.Assign([ast.Name(identifier, _STORE, **_AT)], value, **_AT)


def decrease(identifier: str, value: ast.expr) -> ast.AugAssign:
    """`identifier -= value`."""
    return ast.AugAssign(ast.Name(identifier, _STORE, **_AT), ast.Sub(), value, **_AT)


def when(condition: ast.expr, then: list[ast.stmt], otherwise: list[ast.stmt] | None = None) -> ast.If:
    """`if condition: …` and `else: …`."""
    return ast.If(condition, then or [ast.Pass(**_AT)], otherwise or [], **_AT)


def loop(variables: Sequence[str], source: ast.expr, body: list[ast.stmt]) -> ast.For:
    """`for variables in source: …`."""
    return ast.For(_targets(variables), source, body, [], **_AT)


def leave() -> ast.Break:
    """`break`."""
    return ast.Break(**_AT)


def statement(value: ast.expr) -> ast.Expr:
    """An expression for its effect."""
    return ast.Expr(value, **_AT)


def give(value: ast.expr) -> ast.Return:
    """`return value`."""
    return ast.Return(value, **_AT)


def attempt(body: list[ast.stmt], exceptions: ast.expr) -> ast.Try:
    """`try: …` and `except exceptions: pass`."""
    return ast.Try(body, [ast.ExceptHandler(exceptions, None, [ast.Pass(**_AT)], **_AT)], [], [], **_AT)


def function(
    identifier: str, parameters: Sequence[str], defaults: Sequence[ast.expr], body: list[ast.stmt]
) -> ast.Module:
    """A module that defines one function; the defaults belong to its last parameters."""
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(parameter, **_AT) for parameter in parameters],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=list(defaults),
    )
    definition = ast.FunctionDef(identifier, arguments, body, [], **_AT)
    return ast.Module([definition], type_ignores=[])
